//! Reads each table that a job names once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanner_data::{DataError, Table};
use lanner_space::Space;

/// Tables of one search space that were read so far.
#[derive(Default)]
pub struct Tables(Vec<(PathBuf, Arc<Table>)>);

impl Tables {
    pub fn read(&mut self, file: &Path, space: &Space) -> Result<Arc<Table>, DataError> {
        if let Some((_, table)) = self.0.iter().find(|t| t.0 == file) {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(Table::read(file, space)?.0);
        self.0.push((file.into(), Arc::clone(&table)));
        Ok(table)
    }
}
