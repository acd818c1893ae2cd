//! Adapts a predictor of latencies to a new device.

use std::collections::HashSet;

use lanner_data::Table;
use lanner_predict::latency::adapted::{AdaptedLatency, DeviceTable, OtherSpace};
use lanner_predict::predictor::{Predictor, Target};
use lanner_predict::{Pool, all_or_some};
use lanner_space::Space;

use super::{AdaptArgs, Source, with_quality};
use crate::output::{Row, usage};
use crate::selection::read_archs;
use crate::skeleton;
use lanner::say;

/// Largest size of spaces that are predicted whole: all architectures are in memory.
const PREDICTED: u128 = 200_000;

pub(super) fn adapt(
    args: &AdaptArgs,
    (target, metric, kind): (&Table, &str, Target),
    sources: &[Source],
    from: &[Source],
) -> anyhow::Result<(Box<dyn Predictor>, Row)> {
    let for_accuracies = [("--proxies", args.proxies.is_some()), ("--prior", args.prior.is_some())];
    if let Some((option, _)) = for_accuracies.iter().find(|o| o.1) {
        return Err(usage(format!(
            "{option} is for accuracies, and '{metric}' is of {}",
            kind.words()
        )));
    }
    let space = skeleton::measured(&args.target, metric, &target.space)?;
    let tables = |sources: &[Source]| -> anyhow::Result<Vec<DeviceTable>> {
        let table = |s: &Source| match s.column.as_deref() {
            Some(column) => DeviceTable::named(&s.name, &s.table, column),
            None => DeviceTable::of_quantity(&s.name, &s.table, metric),
        };
        sources.iter().map(table).collect::<Result<_, _>>().map_err(|e| usage(e.to_string()))
    };
    let pool = pool(args, &space, target, sources)?;
    let (sources, from) = (tables(sources)?, tables(from)?);
    let own = DeviceTable::of_target(&args.target.display().to_string(), target, metric, kind)?;
    let device = args.from_metric.as_deref().unwrap_or(metric);
    let elsewhere = (!from.is_empty()).then_some(OtherSpace { tables: &from, device });
    let adapted = AdaptedLatency::from_tables(pool, &own, &sources, elsewhere)?;
    for name in sources.iter().flat_map(DeviceTable::devices) {
        if !adapted.sources().contains(&name) {
            say!("note: the source {name} is left out: all networks are equally fast there");
        }
    }
    let (values, left_out) = adapted.left_out();
    let row = Row::new()
        .with("metric", metric)
        .with("measured", values.len())
        .with("sources", adapted.sources().len())
        .with("architectures", adapted.candidates().map_or(0, <[_]>::len));
    let row = with_quality(row, kind, left_out, &values);
    Ok((Box::new(adapted), row))
}

fn pool(
    args: &AdaptArgs,
    space: &Space,
    target: &Table,
    sources: &[Source],
) -> anyhow::Result<Pool> {
    let asked = match &args.archs {
        Some(file) => read_archs(file, space)?,
        None => Vec::new(),
    };
    let mut rng = lanner_nn::rng(args.seed, "sample to predict");
    let random = all_or_some(space, PREDICTED, args.sample as usize, &mut rng);
    if space.size() <= PREDICTED {
        return Ok(Pool::new(space.clone(), random));
    }
    let mut seen = HashSet::new();
    let of_tables = sources.iter().map(|s| &s.table).chain([target]).flat_map(|t| &t.archs);
    let all = of_tables.chain(&asked).chain(&random);
    let archs = all.filter(|a| seen.insert((*a).clone())).cloned().collect();
    Ok(Pool::new(space.clone(), archs))
}
