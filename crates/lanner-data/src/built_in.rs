//! Lanner's own table of latencies of NAS-Bench-201, part of the program.

use lanner_space::Space;

use crate::{DataError, Table};

/// Name under which commands know the table of a space.
pub const NAME: &str = "built-in";

/// The spaces that have a table: columns of milliseconds on one server processor, two runtimes, two
/// precisions.
const TABLES: [(&str, &str); 1] = [(
    "nasbench201",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../latbench/amd-epyc-2-cores.csv")),
)];

/// The table of a space.
///
/// # Errors
/// The space has none.
pub fn table(space: &Space) -> Result<Table, DataError> {
    match TABLES.iter().find(|t| t.0 == space.name()) {
        Some((_, text)) => Ok(Table::read_text(text, NAME, space)?.0),
        None => {
            let names = TABLES.map(|t| t.0).join(", ");
            Err(DataError::Table(format!("the built-in source is of {names}, not of {space}")))
        }
    }
}
