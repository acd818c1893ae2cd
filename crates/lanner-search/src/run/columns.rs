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
    /// Collects the columns from the setup's tables, then from the table that is searched.
    pub fn of(
        job: &Job,
        setup: &Setup,
        evaluator: &dyn Evaluator,
        space: &Space,
        tables: &mut Tables,
    ) -> Result<Columns, SearchError> {
        let mut columns = Columns::default();
        let wanted: Vec<&String> = (job.limits.iter().map(|l| &l.metric))
            .chain(job.objectives.iter().skip(1).map(|o| &o.metric))
            .filter(|m| *m != LATENCY || tells_latency(space, setup))
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
