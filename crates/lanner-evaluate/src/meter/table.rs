//! Latencies looked up in a table.

use std::sync::Arc;

use lanner_data::Table;
use lanner_space::Architecture;

use super::{Effort, Latency, Meter};
use crate::EvaluateError;

/// Looks latencies up in a column of a table, milliseconds.
pub struct TableMeter {
    table: Arc<Table>,
    column: String,
}

impl TableMeter {
    /// # Errors
    /// The table has no such column.
    pub fn new(table: Arc<Table>, column: &str) -> Result<TableMeter, EvaluateError> {
        table.column(column)?;
        Ok(TableMeter { table, column: column.into() })
    }
}

impl Meter for TableMeter {
    fn measure(
        &mut self,
        arch: &Architecture,
        _: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        let ms = self.table.value(&self.column, arch)?;
        Ok(ms.map(|ms| Latency { ms, se: 0.0 }))
    }
}
