//! Limits on measured metrics: predicts which networks are within.

use std::collections::{BTreeMap, HashMap};

use lanner_predict::latency::{Expected, LatencyFeatures};
use lanner_predict::{Pool, choose};
use lanner_space::{Architecture, Space};
use rusqlite::Connection;

use super::candidates::{ANALYTIC, analytic};
use super::predictors::Asked;
use super::{SearchError, Study, read};
use crate::constrained::{Belief, LatencyProcess};
use crate::job::LATENCY;
use crate::{Evaluate, Job, Limit, Setup};

/// Least probability, for each limit, that a network that [`Study::ask`] returns is within it. It
/// is not higher since the network is measured before it is evaluated.
pub const PROBABLE: f64 = 0.5;
/// Least probability where only the evaluation tells whether a network is within the limits, so that
/// each that is not costs one.
const SURE: f64 = 0.8;
/// Least probability where no network reaches [`PROBABLE`].
const POSSIBLE: f64 = 0.1;
/// Largest number of measurements that a process is fitted to, the latest ones.
const MOST: usize = 200;

/// The limits of a study on measured metrics.
pub(super) struct Limits {
    /// Limits, with their positions among all limits.
    measured: Vec<(usize, Limit)>,
    /// Least probability, if any network reaches it.
    least: f64,
    /// The processes of the network's costs and, where they differ, of other metrics.
    processes: [Option<LatencyProcess>; 2],
    /// Predictions of the pool's latencies by a saved predictor.
    expected: Option<Vec<Expected>>,
}

/// Architectures and their values.
pub(super) type Known = Vec<(Architecture, f64)>;
/// Predictions by row, for each metric.
pub(super) type Beliefs = Vec<(String, HashMap<usize, Belief>)>;

impl Limits {
    pub fn of(job: &Job, space: &Space) -> Limits {
        let all = job.limits.iter().cloned().enumerate();
        let measured = all.filter(|(_, l)| analytic(space, &l.metric).is_none()).collect();
        let by_evaluation =
            |s: &Setup| matches!(s.evaluate, Evaluate::Command(_)) && s.tables.is_empty();
        let tells = space.parameters().is_some() && job.setup.as_ref().is_some_and(by_evaluation);
        let least = if tells { SURE } else { PROBABLE };
        Limits { measured, least, processes: [None, None], expected: None }
    }

    pub fn new_pool(&mut self) {
        self.processes = [None, None];
        self.expected = None;
    }

    /// Returns the probability of each row to be within the limit of the latency, before any is
    /// measured; `None` without a limit or a saved predictor.
    pub fn expected(&mut self, pool: &Pool, predictor: Option<&mut Asked>) -> Option<Vec<f64>> {
        let limits = self.measured.iter().filter(|(_, l)| l.metric == LATENCY);
        let limit = limits.map(|(_, l)| l.value()).reduce(f64::min)?;
        let predictor = predictor?;
        let expected = self.expected.get_or_insert_with(|| predictor.latencies(&pool.archs));
        Some(expected.iter().map(|e| e.within(limit)).collect())
    }

    /// Closes the rows that are not likely to be within all limits, and returns the predictions of the
    /// rows. Before measurements, a saved predictor gives the predictions of latencies.
    pub fn allowed(
        &mut self,
        pool: &Pool,
        measured: &[Known],
        mut predictor: Option<&mut Asked>,
        open: &mut [bool],
    ) -> Beliefs {
        let mut beliefs = Beliefs::new();
        // Least probability over all limits.
        let mut within = vec![1.0f64; pool.len()];
        for (number, limit) in &self.measured.clone() {
            let known: Vec<(usize, f64)> = (measured[*number].iter())
                .filter_map(|(arch, value)| Some((pool.row_of(arch)?, *value)))
                .collect();
            let rows: Vec<usize> = (0..pool.len()).filter(|&r| open[r]).collect();
            let is_other = usize::from(!is_cost(&pool.space, &limit.metric));
            let process =
                self.processes[is_other].get_or_insert_with(|| process(pool, &limit.metric));
            let predictor = predictor.as_deref_mut().filter(|_| limit.metric == LATENCY);
            let believed = match predictor {
                Some(predictor) => {
                    let expected =
                        self.expected.get_or_insert_with(|| predictor.latencies(&pool.archs));
                    Ok(process.corrected(expected, &known, limit.value(), &rows))
                }
                None => process.beliefs(&known, limit.value(), &rows),
            };
            // Without enough measurements for a process, every row stays open.
            if let Ok(mut believed) = believed {
                believed.iter_mut().for_each(|b| b.within = limit.probability(b.within));
                rows.iter().zip(&believed).for_each(|(&r, b)| within[r] = within[r].min(b.within));
                let of_rows = rows.into_iter().zip(believed).collect();
                beliefs.push((limit.metric.clone(), of_rows));
            }
            for (row, value) in known {
                within[row] = if limit.holds(value) { within[row].max(PROBABLE) } else { 0.0 };
            }
        }
        let any = |least: f64| open.iter().zip(&within).any(|(o, p)| *o && *p >= least);
        let least = [self.least, PROBABLE].into_iter().find(|&l| any(l)).unwrap_or(POSSIBLE);
        open.iter_mut().zip(&within).for_each(|(o, p)| *o &= *p >= least);
        beliefs
    }
}

/// Tells whether a metric is one of the network alone, whatever the parameters of its training.
fn is_cost(space: &Space, metric: &str) -> bool {
    space.parameters().is_none() || metric == LATENCY || ANALYTIC.contains(&metric)
}

/// Makes the process of a metric.
fn process(pool: &Pool, metric: &str) -> LatencyProcess {
    match is_cost(&pool.space, metric) {
        true => LatencyProcess::new(pool),
        false => LatencyProcess::of_metric(pool),
    }
}

/// Returns the latest value of a metric for each architecture, measured apart or with a trial; of
/// the latest architectures only.
pub(super) fn measured(c: &Connection, space: &Space, metric: &str) -> rusqlite::Result<Known> {
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    for sql in [
        "SELECT arch, value FROM measurement WHERE metric = ? ORDER BY id DESC LIMIT ?",
        "SELECT trial.arch, metric.value FROM metric JOIN trial ON trial.id = metric.trial
         WHERE metric.name = ? ORDER BY metric.trial DESC LIMIT ?",
    ] {
        // A search for values that no trial has would read all trials.
        if values.len() >= MOST {
            break;
        }
        let mut select = c.prepare_cached(sql)?;
        let mut rows = select.query((metric, MOST as i64))?;
        while let Some(row) = rows.next()? {
            if values.len() >= MOST {
                break;
            }
            values.entry(row.get(0)?).or_insert(row.get(1)?);
        }
    }
    (values.into_iter())
        .map(|(text, v)| {
            let arch = space.parse(&text).map_err(|e| read::unreadable(0, e.to_string()))?;
            Ok((arch, v))
        })
        .collect()
}

impl Study {
    /// Predicts a metric of any architectures from the measurements so far: median, standard deviation
    /// of a new measurement, and the probability to be within the study's limit (1 without a limit).
    ///
    /// # Errors
    /// There are fewer than two measurements.
    pub fn forecast(
        &self,
        metric: &str,
        archs: &[Architecture],
    ) -> Result<Vec<Belief>, SearchError> {
        let known = self.database.read(|c| measured(c, &self.space, metric))?;
        let unlimited = Limit::at_most(metric, f64::INFINITY);
        let limit = self.job.limits.iter().find(|l| l.metric == metric).unwrap_or(&unlimited);
        let mut all = archs.to_vec();
        let mut rows = Vec::new();
        for (arch, value) in known {
            rows.push((all.len(), value));
            all.push(arch);
        }
        let pool = Pool::new(self.space.clone(), all);
        let asked: Vec<usize> = (0..archs.len()).collect();
        let mut beliefs = process(&pool, metric).beliefs(&rows, limit.value(), &asked)?;
        beliefs.iter_mut().for_each(|b| b.within = limit.probability(b.within));
        Ok(beliefs)
    }

    /// Returns the `n` networks whose measurements tell most about all others, the most informative
    /// first. They should be measured before the first [`Study::ask`] of a study with measured limits.
    ///
    /// If the job has a saved predictor, only networks that it predicts to be likely within the limit
    /// are returned.
    pub fn first_measurements(&mut self, n: usize) -> Result<Vec<Architecture>, SearchError> {
        self.load_predictors()?;
        let (current, changed) = self.candidates.at(0, 0, &[], &[]);
        if changed {
            self.limits.new_pool();
            self.strategy = None;
        }
        let mut rows: Vec<usize> = (0..current.pool.len()).filter(|&r| current.may[r]).collect();
        let predictor = self.predictors.as_mut().and_then(|p| p.latency.as_mut());
        if let Some(within) = self.limits.expected(&current.pool, predictor) {
            // Rows over the limit would teach the process as well, but could not be chosen.
            rows.sort_by(|&a, &b| within[b].total_cmp(&within[a]).then(a.cmp(&b)));
            let likely = rows.partition_point(|&r| within[r] >= PROBABLE);
            rows.truncate(likely.max(n));
            rows.sort_unstable();
        }
        let views = LatencyFeatures::new(&current.pool);
        let chosen = choose(&views, &rows, n, self.job.seed);
        Ok(chosen.into_iter().map(|r| current.pool.archs[r].clone()).collect())
    }
}
