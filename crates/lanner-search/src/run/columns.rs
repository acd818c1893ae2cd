//! Metrics that are columns of tables, or that a command or a function measures: looked up or measured for
//! networks that are asked for, predicted for all others.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanner_data::{Table, converted};
use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::Evaluator;
use lanner_network::Skeleton;
use lanner_space::{Architecture, Space};

use super::tables::Tables;
use crate::job::LATENCY;
use crate::study::costs::COUNTED;
use crate::study::{ANALYTIC, Measurement, analytic};
use crate::{Bound, Evaluate, Job, Limit, SearchError, Setup};

/// A function that measures metrics of a network by name; `None` if the network cannot be measured.
pub type Measure = Arc<
    dyn Fn(&Architecture) -> Result<Option<BTreeMap<String, f64>>, EvaluateError> + Send + Sync,
>;

/// How a metric of the measuring command or function is known.
pub(super) const MEASURED: &str = "measured";

/// Tells whether latencies are a metric like any other, which the evaluation tells: a space of parameters has
/// no network to measure, that of transformers has.
pub(super) fn tells_latency(space: &Space, setup: &Setup) -> bool {
    let is_elsewhere = setup.latency_column().is_some() || setup.measures(LATENCY);
    !Skeleton::is_known(space) && !is_elsewhere
}

/// The columns of tables, and metrics of the measuring command or function, that limits and objectives
/// name.
#[derive(Default)]
pub(super) struct Columns {
    tables: Vec<Arc<Table>>,
    /// Metric, number of the table, number of the column.
    known: Vec<(String, usize, usize)>,
    /// The measuring command or function, and the metrics that it gives.
    measure: Option<Measure>,
    measured: Vec<String>,
    /// Costs that the function counts on the user's networks, beside those.
    costs: Vec<&'static str>,
}

impl Columns {
    /// Collects the columns from the setup's tables, then from the table that is searched. Without a
    /// meter of the caller's own, the setup may name a column for latencies.
    pub fn of(
        job: &Job,
        setup: &Setup,
        evaluator: &dyn Evaluator,
        space: &Space,
        measure: Option<&Measure>,
        has_meter: bool,
        tables: &mut Tables,
    ) -> Result<Columns, SearchError> {
        let costs = match measure {
            Some(_) if !Skeleton::is_known(space) => COUNTED.to_vec(),
            _ => Vec::new(),
        };
        let costs = costs.into_iter().filter(|cost| setup.measures(cost)).collect();
        let mut columns = Columns { measure: measure.cloned(), costs, ..Columns::default() };
        let latency = setup.latency_column().filter(|_| !has_meter);
        let wanted: Vec<&String> = named(job, space)
            .filter(|m| *m != LATENCY || tells_latency(space, setup) || latency.is_some())
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
                None if setup.measures(metric) && measure.is_some() => {
                    columns.measured.push(metric.clone());
                }
                None if setup.measures(metric) => {
                    let why = format!(
                        "no function measures {metric}; the program that began the study gave one"
                    );
                    return Err(SearchError::Nothing { why });
                }
                // Then the evaluation gives the metric.
                None if evaluator.may_tell(metric) => {}
                None => return Err(unknown(metric, &job.limits, &columns.tables)),
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

    /// Returns the costs that are kept for predictors.
    pub fn costs(&self) -> &[&'static str] {
        &self.costs
    }

    /// Tells whether a metric is measured.
    pub fn measures(&self) -> bool {
        !self.measured.is_empty()
    }

    /// Returns the table of a metric, and the number of its column.
    pub fn table(&self, metric: &str) -> Option<(&Arc<Table>, usize)> {
        self.sources().find(|s| s.0 == metric).map(|(_, table, column)| (table, column))
    }

    /// Returns the value in a table, or measures it.
    ///
    /// # Errors
    /// The measurement failed.
    pub fn value(&self, metric: &str, arch: &Architecture) -> Result<Option<f64>, SearchError> {
        let Some((_, table, column)) = self.known.iter().find(|k| k.0 == metric) else {
            let Some(measure) = &self.measure else { return Ok(None) };
            let all = measure(arch)?.unwrap_or_default();
            let value = all.iter().find_map(|(name, value)| converted(*value, name, metric));
            return Ok(value.filter(|v| v.is_finite()));
        };
        let table = &self.tables[*table];
        let value = table.row_of(arch).map(|row| table.columns[*column][row]);
        Ok(value.filter(|v| v.is_finite()))
    }

    /// Tells how a metric is known, for the record.
    pub fn how(&self, metric: &str) -> &'static str {
        match self.measured.iter().any(|m| m == metric) {
            true => MEASURED,
            false => Measurement::LOOKED_UP,
        }
    }
}

/// Returns the metrics of limits and further objectives that the network's cost does not tell.
pub(super) fn named<'a>(job: &'a Job, space: &'a Space) -> impl Iterator<Item = &'a String> {
    (job.limits.iter().map(|l| &l.metric))
        .chain(job.objectives.iter().skip(1).map(|o| &o.metric))
        .filter(|m| analytic(space, m).is_none())
}

/// Refuses a metric that no table has, and names the one that is meant if only its unit differs.
fn unknown(metric: &str, limits: &[Limit], tables: &[Arc<Table>]) -> SearchError {
    let names = || tables.iter().flat_map(|t| t.names.iter().map(String::as_str));
    let other =
        names().chain([LATENCY]).find_map(|name| Some((name, converted(1.0, metric, name)?)));
    let mut known: Vec<&str> = [LATENCY].into_iter().chain(ANALYTIC).collect();
    known.extend(names().take(20));
    let known = known.join(", ");
    let why = match (other, limits.iter().find(|l| l.metric == metric)) {
        (Some((name, factor)), Some(limit)) => {
            let sign = if matches!(limit.bound, Bound::AtMost(_)) { "<=" } else { ">=" };
            // Without the last digits, which the conversion made.
            let value: f64 = format!("{:.12e}", limit.value() * factor).parse().unwrap_or(f64::NAN);
            format!("the metric is {name} here: --limit '{name}{sign}{value}'")
        }
        (Some((name, _)), None) => format!("the metric is {name} here"),
        (None, _) => format!(
            "no metric '{metric}' to limit or to weigh; there are: {known}, and the columns of              --latency-table FILE"
        ),
    };
    SearchError::Setting { name: "limit", value: metric.into(), why }
}
