//! Earlier searches and tables to start from.

use std::path::Path;

use lanner_search::study::{FILE, Settings, State, Study};
use lanner_space::{Architecture, Space};

use super::{SearchArgs, columns::file_and_column, tables::Tables};
use crate::output::usage;

/// An origin's name and its values.
type Origin = (String, Vec<(Architecture, f64)>);

/// What `--warm-start` names.
pub fn read(
    args: &SearchArgs,
    settings: &Settings,
    space: &Space,
    tables: &mut Tables,
) -> anyhow::Result<Vec<Origin>> {
    if !args.warm_start.is_empty() && settings.strategy != "default" {
        let strategy = &settings.strategy;
        return Err(usage(format!("--warm-start is for --strategy default, not {strategy}")));
    }
    let metric = &settings.objectives[0].metric;
    args.warm_start.iter().map(|source| one(source, metric, space, tables)).collect()
}

fn one(source: &str, metric: &str, space: &Space, tables: &mut Tables) -> anyhow::Result<Origin> {
    let (path, column) = file_and_column(source);
    let metric = column.unwrap_or(metric);
    let wrong = |why: String| usage(format!("--warm-start {source}: {why}"));
    let values = match is_study(&path) {
        true => of_study(&path, metric, space).map_err(|e| wrong(e.to_string()))?,
        false => {
            let table = tables.read(&path, space)?;
            let values = table.column(metric).map_err(|e| wrong(e.to_string()))?;
            table.archs.iter().cloned().zip(values.iter().copied()).collect()
        }
    };
    let known: Vec<_> = values.into_iter().filter(|v: &(_, f64)| v.1.is_finite()).collect();
    match known.is_empty() {
        true => Err(wrong(format!("no value of {metric}"))),
        false => Ok((source.to_string(), known)),
    }
}

fn is_study(path: &Path) -> bool {
    path.join(FILE).is_file() || path.extension().is_some_and(|e| e == "db")
}

fn of_study(path: &Path, metric: &str, space: &Space) -> anyhow::Result<Vec<(Architecture, f64)>> {
    let study = Study::open_read_only(path)?;
    if study.space().identity() != space.identity() {
        let (its, ours) = (study.space().identity(), space.identity());
        anyhow::bail!("a study of search space '{its}', not '{ours}'");
    }
    let trials = study.trials()?.into_iter().filter(|t| t.state == State::Done);
    let values = trials.filter_map(|t| Some((t.arch.clone(), *t.metrics.get(metric)?)));
    values.map(|(text, v)| Ok((space.parse(&text)?, v))).collect()
}
