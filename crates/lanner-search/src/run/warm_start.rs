//! Reads the tables and studies to start from.

use std::path::Path;

use lanner_predict::accuracy::untrained::of_table;
use lanner_space::{Architecture, Space};

use super::tables::Tables;
use crate::study::{FILE, State, Study};
use crate::{Job, SearchError, TableColumn};

/// Name of an origin, and its values.
type Origin = (String, Vec<(Architecture, f64)>);

pub(super) fn read(
    sources: &[String],
    job: &Job,
    space: &Space,
    tables: &mut Tables,
) -> Result<Vec<Origin>, SearchError> {
    let Some(first) = sources.first() else { return Ok(Vec::new()) };
    if !job.strategy.takes_warm_start() {
        let why = format!("only --strategy default takes it, not {}", job.strategy);
        return Err(SearchError::Setting { name: "warm-start", value: first.clone(), why });
    }
    let metric = job.objectives.first().map_or("", |o| o.metric.as_str());
    sources.iter().map(|source| one(source, metric, space, tables)).collect()
}

fn one(
    source: &str,
    metric: &str,
    space: &Space,
    tables: &mut Tables,
) -> Result<Origin, SearchError> {
    let TableColumn { file, column } = TableColumn::parse(source);
    let metric = column.as_deref().unwrap_or(metric);
    let wrong =
        |why: String| SearchError::Setting { name: "warm-start", value: source.into(), why };
    let values = match is_study(&file) {
        true => of_study(&file, metric, space).map_err(|e| wrong(e.to_string()))?,
        false => {
            let table = tables.read(&file, space)?;
            of_table(&table, metric).map_err(|e| wrong(e.to_string()))?
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

fn of_study(
    path: &Path,
    metric: &str,
    space: &Space,
) -> Result<Vec<(Architecture, f64)>, SearchError> {
    let study = Study::open_read_only(path)?;
    let (its, ours) = (study.space().identity(), space.identity());
    if its != ours {
        let why = format!("this study is of the search space '{its}', expected '{ours}'");
        return Err(SearchError::Nothing { why });
    }
    let trials = study.trials()?.into_iter().filter(|t| t.state == State::Done);
    Ok(trials.filter_map(|t| Some((t.arch.clone(), *t.metrics.get(metric)?))).collect())
}
