//! Adapts a predictor of accuracies to a new task.

use std::path::Path;

use lanner_data::{Table, is_latency};
use lanner_predict::accuracy::adapted::{PROXIES, TaskPredictor, TaskTable};
use lanner_predict::predictor::{Predictor, Target};
use lanner_space::Space;

use super::{AdaptArgs, Source, with_quality};
use crate::output::{Row, usage};
use crate::prior::read_prior;
use crate::selection::read_table;
use lanner::say;

pub(super) fn adapt(
    args: &AdaptArgs,
    (target, metric): (&Table, &str),
    sources: &[Source],
    from: &[Source],
) -> anyhow::Result<(Box<dyn Predictor>, Row)> {
    let for_latencies =
        [("--archs", args.archs.is_some()), ("--from-metric", args.from_metric.is_some())];
    if let Some((option, _)) = for_latencies.iter().find(|o| o.1) {
        return Err(usage(format!("{option} is for latencies, and '{metric}' is an accuracy")));
    }
    let name = args.target.display().to_string();
    let table = match &args.proxies {
        None => target.clone(),
        Some(file) => {
            let joined = proxies(file, &target.space)?.join(target);
            joined.map_err(|e| anyhow::anyhow!("{} and {name}: {e}", file.display()))?
        }
    };
    let task = |source: &Source| -> anyhow::Result<TaskTable> {
        let column = source.column.as_deref().unwrap_or(metric);
        if is_latency(column) {
            return Err(usage(format!("{}:{column} is a latency, '{metric}' is not", source.name)));
        }
        TaskTable::new(&source.name, &source.table, column).map_err(|e| {
            let says = "a source's column is TABLE:COLUMN";
            if source.column.is_some() { e.into() } else { usage(format!("{e} ({says})")) }
        })
    };
    let sources: Vec<TaskTable> =
        sources.iter().chain(from).map(task).collect::<anyhow::Result<_>>()?;
    let (elsewhere, here) = (from.len(), sources.len() - from.len());
    let prior = match &args.prior {
        None => Vec::new(),
        Some(text) => read_prior(text, &target.space)?,
    };
    let scores = prior.len();
    let predictor = TaskPredictor::fit(TaskTable::new(&name, &table, metric)?, sources, prior)?;
    if predictor.with_proxies() == 0 && table.names.iter().any(|n| PROXIES.contains(&n.as_str())) {
        say!(
            "note: {name} has proxies of trained networks alone: give those of others by --proxies"
        );
    }
    let (values, left_out) = predictor.left_out();
    let row = Row::new()
        .with("metric", metric)
        .with("trained", values.len())
        .with("sources", here)
        .with("other_space", elsewhere)
        .with("with_proxies", predictor.with_proxies());
    let row = if scores > 0 { row.with("untrained", scores) } else { row };
    let row = with_quality(row, Target::Accuracy, left_out, values);
    Ok((Box::new(predictor), row))
}

/// The columns of a table that are named as proxies.
fn proxies(file: &Path, space: &Space) -> anyhow::Result<Table> {
    let mut table = read_table(file, space)?;
    let names = std::mem::take(&mut table.names).into_iter();
    let columns = names.zip(std::mem::take(&mut table.columns));
    (table.names, table.columns) = columns.filter(|c| PROXIES.contains(&c.0.as_str())).unzip();
    match table.names.is_empty() {
        true => Err(usage(format!(
            "{}: no column is named as one of the proxies {}",
            file.display(),
            PROXIES.join(", ")
        ))),
        false => Ok(table),
    }
}
