//! Lanner's own table of latencies of NAS-Bench-201, which comes with the program.

use lanner_space::Space;

use crate::{DataError, Table};

/// Name under which commands know the table.
pub const NAME: &str = "built-in";

const CSV: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../latbench/amd-epyc-2-cores.csv"));

/// The table: columns of milliseconds on one server processor, two runtimes, two precisions.
pub fn table() -> Result<Table, DataError> {
    Ok(Table::read_text(CSV, NAME, &Space::NasBench201)?.0)
}
