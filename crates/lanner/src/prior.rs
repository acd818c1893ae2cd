//! Untrained scores from which predictions of accuracies start: `--prior TABLE[:COLUMN]`.

use lanner_predict::accuracy::untrained::{RANK, of_table};
use lanner_search::TableColumn;
use lanner_space::{Architecture, Space};

use crate::output::usage;
use crate::selection::read_table;

/// Reads the scores of TABLE[:COLUMN], of `rank` if no column is named.
pub fn read_prior(text: &str, space: &Space) -> anyhow::Result<Vec<(Architecture, f64)>> {
    let TableColumn { file, column } = TableColumn::parse(text);
    let table = read_table(file, space)?;
    let scores = of_table(&table, column.as_deref().unwrap_or(RANK));
    let scores = scores.map_err(|e| usage(format!("--prior {text}: {e}")))?;
    match scores.len() {
        5.. => Ok(scores),
        few => {
            Err(usage(format!("--prior {text}: {few} networks have a score, expected 5 or more")))
        }
    }
}
