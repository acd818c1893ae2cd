//! Reads each table that a job names once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanner_data::{DataError, Table};
use lanner_space::Space;

/// Tables of one search space that were read so far.
#[derive(Default)]
pub struct Tables {
    read: Vec<(PathBuf, Arc<Table>)>,
    /// Sentences about cells that have no number, and rows that disagree.
    pub notes: Vec<String>,
}

impl Tables {
    pub fn read(&mut self, file: &Path, space: &Space) -> Result<Arc<Table>, DataError> {
        if let Some((_, table)) = self.read.iter().find(|t| t.0 == file) {
            return Ok(Arc::clone(table));
        }
        let (table, report) = Table::read(file, space)?;
        self.notes.extend(report.notes);
        let table = Arc::new(table);
        self.read.push((file.into(), Arc::clone(&table)));
        Ok(table)
    }
}
