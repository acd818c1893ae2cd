//! Metrics that are columns of tables, or that a command measures: looked up or measured for networks
//! that are asked for, predicted for all others.

use std::sync::Arc;

use lanner_data::Table;
use lanner_evaluate::evaluator::Evaluator;
use lanner_evaluate::meter::ScriptMeter;
use lanner_space::{Architecture, Space};

use super::tables::Tables;
use crate::job::LATENCY;
use crate::study::{ANALYTIC, analytic};
use crate::{Evaluate, Job, SearchError, Setup};

/// How a metric of the measuring command is known.
pub(super) const MEASURED: &str = "measured";

/// Tells whether latencies are a metric like any other, which the evaluation tells: a space of parameters has
/// no network to measure.
pub(super) fn tells_latency(space: &Space, setup: &Setup) -> bool {
    let is_elsewhere = setup.latency_column().is_some() || setup.measures(LATENCY);
    space.parameters().is_some() && !is_elsewhere
}

/// The columns of tables, and metrics of the measuring command, that limits and objectives name.
#[derive(Default)]
pub(super) struct Columns {
    tables: Vec<Arc<Table>>,
    /// Metric, number of the table, number of the column.
    known: Vec<(String, usize, usize)>,
    /// The measuring command, and the metrics that it gives.
    script: Option<Arc<ScriptMeter>>,
    measured: Vec<String>,
}

impl Columns {
    /// Collects the columns from the setup's tables, then from the table that is searched. Without a
    /// meter of the caller's own, the setup may name a column for latencies.
    pub fn of(
        job: &Job,
        setup: &Setup,
        evaluator: &dyn Evaluator,
        space: &Space,
        script: Option<&Arc<ScriptMeter>>,
        has_meter: bool,
        tables: &mut Tables,
    ) -> Result<Columns, SearchError> {
        let mut columns = Columns { script: script.cloned(), ..Columns::default() };
        let latency = setup.latency_column().filter(|_| !has_meter);
        let wanted: Vec<&String> = (job.limits.iter().map(|l| &l.metric))
            .chain(job.objectives.iter().skip(1).map(|o| &o.metric))
            .filter(|m| *m != LATENCY || tells_latency(space, setup) || latency.is_some())
            .filter(|m| analytic(space, m).is_none())
            .collect();
        if wanted.is_empty() {
            return Ok(columns);
        }
        let searched = match &setup.evaluate {
            Evaluate::Table(file) => Some(file),
            _ => None,
        };
        for file in setup.tables.iter().map(|t| &t.file).chain(searched) {
            columns.tables.push(tables.read(file, space)?);
        }
        for metric in wanted {
            if let (LATENCY, Some((file, column))) = (metric.as_str(), latency) {
                let table = tables.read(file, space)?;
                table.column(column)?;
                let number = table.names.iter().position(|n| n == column).unwrap_or_default();
                columns.known.push((metric.clone(), columns.tables.len(), number));
                columns.tables.push(table);
                continue;
            }
            let place = columns.tables.iter().enumerate().find_map(|(i, table)| {
                Some((metric.clone(), i, table.names.iter().position(|n| n == metric)?))
            });
            match place {
                Some(place) => columns.known.push(place),
                None if setup.measures(metric) => columns.measured.push(metric.clone()),
                // Then the evaluation gives the metric.
                None if evaluator.may_tell(metric) => {}
                None => return Err(unknown(metric, &columns.tables)),
            }
        }
        Ok(columns)
    }

    pub fn has(&self, metric: &str) -> bool {
        self.known.iter().any(|k| k.0 == metric) || self.measured.iter().any(|m| m == metric)
    }

    /// Returns the metrics of tables, each with its table and the number of its column.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<Table>, usize)> {
        self.known
            .iter()
            .map(|(metric, table, column)| (metric.as_str(), &self.tables[*table], *column))
    }

    /// Returns the names of all metrics.
    pub fn metrics(&self) -> Vec<String> {
        self.known.iter().map(|k| k.0.clone()).chain(self.measured.iter().cloned()).collect()
    }

    /// Tells whether the measuring command gives a metric.
    pub fn measures(&self) -> bool {
        !self.measured.is_empty()
    }

    /// Returns the table of a metric, and the number of its column.
    pub fn table(&self, metric: &str) -> Option<(&Arc<Table>, usize)> {
        self.sources().find(|s| s.0 == metric).map(|(_, table, column)| (table, column))
    }

    /// Returns the value in a table, or calls the command.
    ///
    /// # Errors
    /// The command failed.
    pub fn value(&self, metric: &str, arch: &Architecture) -> Result<Option<f64>, SearchError> {
        let Some((_, table, column)) = self.known.iter().find(|k| k.0 == metric) else {
            return match &self.script {
                Some(script) => Ok(script.value(metric, arch)?.filter(|v| v.is_finite())),
                None => Ok(None),
            };
        };
        let table = &self.tables[*table];
        let value = table.row_of(arch).map(|row| table.columns[*column][row]);
        Ok(value.filter(|v| v.is_finite()))
    }

    /// Tells how a metric is known, for the record.
    pub fn how(&self, metric: &str) -> &'static str {
        if self.measured.iter().any(|m| m == metric) { MEASURED } else { "looked up" }
    }
}

fn unknown(metric: &str, tables: &[Arc<Table>]) -> SearchError {
    let mut known: Vec<&str> = [LATENCY].into_iter().chain(ANALYTIC).collect();
    known.extend(tables.iter().flat_map(|t| t.names.iter().map(String::as_str)).take(20));
    let known = known.join(", ");
    SearchError::Setting {
        name: "limit",
        value: metric.into(),
        why: format!(
            "no metric '{metric}' to limit or to weigh; there are: {known}, and the columns of \
             --latency-table FILE"
        ),
    }
}
