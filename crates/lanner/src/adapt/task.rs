//! An accuracy on a new task.

use lanner_data::Table;
use lanner_predict::accuracy::adapted::{TaskPredictor, TaskTable};
use lanner_predict::predictor::{Predictor, Target};

use super::{AdaptArgs, Source, with_quality};
use crate::output::{Row, usage};

pub(super) fn adapt(
    args: &AdaptArgs,
    (target, metric): (&Table, &str),
    sources: &[Source],
    from: &[Source],
) -> anyhow::Result<(Box<dyn Predictor>, Row)> {
    let for_latencies =
        [("--archs", args.archs.is_some()), ("--from-metric", args.from_metric.is_some())];
    if let Some((option, _)) = for_latencies.iter().find(|o| o.1) {
        return Err(usage(format!(
            "{option} is for latencies, and '{metric}' does not end in _ms"
        )));
    }
    eprintln!("note: '{metric}' is taken as an accuracy, more is better: latencies end in _ms");
    let name = args.target.display().to_string();
    let table = match &args.proxies {
        None => target.clone(),
        Some(file) => {
            let (proxies, _) = Table::read(file, &target.space)?;
            let joined = proxies.join(target);
            joined.map_err(|e| anyhow::anyhow!("{} and {name}: {e}", file.display()))?
        }
    };
    let task = |source: &Source| -> anyhow::Result<TaskTable> {
        let column = source.column.as_deref().unwrap_or(metric);
        TaskTable::new(&source.name, &source.table, column).map_err(|e| {
            let says = "a source's column is TABLE:COLUMN";
            if source.column.is_some() { e.into() } else { usage(format!("{e} ({says})")) }
        })
    };
    let sources: Vec<TaskTable> =
        sources.iter().chain(from).map(task).collect::<anyhow::Result<_>>()?;
    let (elsewhere, here) = (from.len(), sources.len() - from.len());
    let predictor = TaskPredictor::fit(TaskTable::new(&name, &table, metric)?, sources)?;
    let (values, left_out) = predictor.left_out();
    let row = Row::new()
        .with("metric", metric)
        .with("trained", values.len())
        .with("sources", here)
        .with("other_space", elsewhere)
        .with("with_proxies", predictor.with_proxies());
    let row = with_quality(row, Target::Accuracy, left_out, values);
    Ok((Box::new(predictor), row))
}
