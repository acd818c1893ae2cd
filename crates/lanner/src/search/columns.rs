//! Metrics that are columns of tables: looked up for what is asked for, predicted for the others.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use lanner_data::Table;
use lanner_search::study::{ANALYTIC, Measurement, Settings, Trial};
use lanner_space::{Architecture, Space};

use super::{
    driver::Search,
    job::{Job, LATENCY},
    tables::Tables,
};
use crate::output::usage;

/// The tables' columns that limits and objectives are about.
#[derive(Default)]
pub struct Columns {
    tables: Vec<Arc<Table>>,
    /// Metric, table, column.
    known: Vec<(String, usize, usize)>,
}

/// FILE or FILE:COLUMN. A file's name may have colons.
pub fn file_and_column(source: &str) -> (PathBuf, Option<&str>) {
    match source.rsplit_once(':') {
        Some((file, column)) if !Path::new(source).exists() => (file.into(), Some(column)),
        _ => (source.into(), None),
    }
}

impl Columns {
    /// Those of the `--latency-table` files, then of the table that is searched.
    pub fn of(
        settings: &Settings,
        job: &Job,
        space: &Space,
        tables: &mut Tables,
    ) -> anyhow::Result<Columns> {
        let mut columns = Columns::default();
        let wanted: Vec<&String> = (settings.limits.iter().map(|l| &l.metric))
            .chain(settings.objectives.iter().skip(1).map(|o| &o.metric))
            .filter(|m| *m != LATENCY && !ANALYTIC.contains(&m.as_str()))
            .collect();
        if wanted.is_empty() {
            return Ok(columns);
        }
        let searched = job.evaluate.strip_prefix("table:");
        let files = job.tables.iter().map(|t| file_and_column(t).0);
        for file in files.chain(searched.map(PathBuf::from)) {
            columns.tables.push(tables.read(&file, space)?);
        }
        for metric in wanted {
            let place = columns.tables.iter().enumerate().find_map(|(i, table)| {
                Some((metric.clone(), i, table.names.iter().position(|n| n == metric)?))
            });
            match place {
                Some(place) => columns.known.push(place),
                // Then it is for the evaluation to tell.
                None if job.tells(metric) => {}
                None => return Err(unknown(metric, &columns.tables)),
            }
        }
        Ok(columns)
    }

    pub fn has(&self, metric: &str) -> bool {
        self.known.iter().any(|k| k.0 == metric)
    }

    pub fn value(&self, metric: &str, arch: &Architecture) -> Option<f64> {
        let (_, table, column) = self.known.iter().find(|k| k.0 == metric)?;
        let table = &self.tables[*table];
        let row = table.row_of(arch)?;
        Some(table.columns[*column][row]).filter(|v| v.is_finite())
    }
}

fn unknown(metric: &str, tables: &[Arc<Table>]) -> anyhow::Error {
    let mut known: Vec<&str> = [LATENCY].into_iter().chain(ANALYTIC).collect();
    known.extend(tables.iter().flat_map(|t| t.names.iter().map(String::as_str)).take(20));
    let known = known.join(", ");
    usage(format!(
        "no metric '{metric}' to limit or to weigh; there are: {known}, and the columns of --latency-table FILE"
    ))
}

impl Search {
    /// Limits that are columns, or that the evaluation tells of.
    fn other_limits(&self) -> Vec<(String, f64)> {
        (self.study.settings().limits.iter())
            .filter(|l| l.metric != LATENCY && !ANALYTIC.contains(&l.metric.as_str()))
            .map(|l| (l.metric.clone(), l.at_most))
            .collect()
    }

    /// Looks columns up for the networks that say most of the others.
    pub fn look_up_first(&mut self) -> anyhow::Result<()> {
        let limits = self.other_limits();
        let known = self.study.measurements()?;
        for (metric, _) in limits.iter().filter(|l| self.columns.has(&l.0)) {
            let seen = |arch: &str| known.iter().any(|m| m.metric == *metric && m.arch == arch);
            if known.iter().filter(|m| m.metric == *metric).count() >= self.job.latency_samples {
                continue;
            }
            for text in self.study.first_measurements(self.job.latency_samples)? {
                let arch = self.study.space().parse(&text)?;
                if !seen(&text)
                    && let Some(value) = self.columns.value(metric, &arch)
                {
                    self.study.measured(&looked_up(text, metric, value, None))?;
                }
            }
        }
        Ok(())
    }

    /// The metrics of a network that is over a limit of a column, or of which a column has no value.
    pub fn over_a_column(
        &mut self,
        trial: Option<i64>,
        arch: &Architecture,
    ) -> anyhow::Result<Option<BTreeMap<String, f64>>> {
        let mut limits = self.other_limits();
        limits.retain(|l| self.columns.has(&l.0));
        if limits.is_empty() {
            return Ok(None);
        }
        let text = self.study.space().print(arch);
        let known = self.study.measurements_of(&text)?;
        for (metric, at_most) in limits {
            let Some(value) = self.columns.value(&metric, arch) else {
                return Ok(Some(BTreeMap::new()));
            };
            if !known.iter().any(|m| m.metric == metric) {
                self.study.measured(&looked_up(text.clone(), &metric, value, trial))?;
            }
            if value > at_most {
                return Ok(Some([(metric, value)].into()));
            }
        }
        Ok(None)
    }

    /// Whether a trial keeps the limits that only its evaluation could tell of.
    pub fn keeps_evaluated_limits(&self, trial: &Trial) -> bool {
        let limits = self.other_limits();
        let mut evaluated = limits.iter().filter(|l| !self.columns.has(&l.0));
        evaluated.all(|(metric, most)| trial.metrics.get(metric).is_some_and(|v| v <= most))
    }
}

fn looked_up(arch: String, metric: &str, value: f64, trial: Option<i64>) -> Measurement {
    super::driver::measurement(arch, metric, value, None, trial, "looked up".into())
}
