//! Metrics that are columns of tables: looked up for networks that are asked for, predicted for all
//! others.

use std::sync::Arc;

use lanner_data::Table;
use lanner_evaluate::evaluator::Evaluator;
use lanner_space::{Architecture, Space};

use super::tables::Tables;
use crate::job::LATENCY;
use crate::study::{ANALYTIC, analytic};
use crate::{Evaluate, Job, SearchError, Setup};

/// Tells whether latencies are a metric like any other, which the evaluation tells: a space of parameters has
/// no network to measure.
pub(super) fn tells_latency(space: &Space, setup: &Setup) -> bool {
    space.parameters().is_some() && setup.latency_column().is_none()
}

/// The columns of tables that limits and objectives name.
#[derive(Default)]
pub(super) struct Columns {
    tables: Vec<Arc<Table>>,
    /// Metric, number of the table, number of the column.
    known: Vec<(String, usize, usize)>,
}

impl Columns {
    /// Collects the columns from the setup's tables, then from the table that is searched. Without a
    /// meter of the caller's own, the setup may name a column for latencies.
    pub fn of(
        job: &Job,
        setup: &Setup,
        evaluator: &dyn Evaluator,
        space: &Space,
        has_meter: bool,
        tables: &mut Tables,
    ) -> Result<Columns, SearchError> {
        let mut columns = Columns::default();
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
                // Then the evaluation gives the metric.
                None if evaluator.may_tell(metric) => {}
                None => return Err(unknown(metric, &columns.tables)),
            }
        }
        Ok(columns)
    }

    pub fn has(&self, metric: &str) -> bool {
        self.known.iter().any(|k| k.0 == metric)
    }

    /// Returns the metrics, each with its table and the number of its column.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<Table>, usize)> {
        self.known
            .iter()
            .map(|(metric, table, column)| (metric.as_str(), &self.tables[*table], *column))
    }

    pub fn value(&self, metric: &str, arch: &Architecture) -> Option<f64> {
        let (_, table, column) = self.known.iter().find(|k| k.0 == metric)?;
        let table = &self.tables[*table];
        let row = table.row_of(arch)?;
        Some(table.columns[*column][row]).filter(|v| v.is_finite())
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
