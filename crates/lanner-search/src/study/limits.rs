//! Limits on measured metrics: predicts which networks are within.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lanner_network::Skeleton;
use lanner_predict::latency::{Expected, LatencyFeatures};
use lanner_predict::predictor::Predictor;
use lanner_predict::{Pool, choose};
use lanner_space::{Architecture, Space};
use rusqlite::Connection;

use super::best::{Drift, Last, drift, last_measured};
use super::candidates::Current;
use super::predictors::Asked;
use super::within::{ANALYTIC, analytic};
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

/// Largest number of architectures whose last measurement is known exactly, the latest ones.
const REMEMBERED: usize = 20_000;

/// Least probability for a network whose value cannot be measured.
const CERTAIN: f64 = 0.95;

/// Tells whether a network's value can be measured or looked up.
pub(crate) type Source = Arc<dyn Fn(&Architecture) -> bool + Send + Sync>;

/// The limits of a study on measured metrics.
pub(super) struct Limits {
    /// Limits, with their positions among all limits.
    measured: Vec<(usize, Limit)>,
    /// Least probability, if any network reaches it.
    least: f64,
    /// The processes of the network's costs and, where they differ, of other metrics; and that of the latency
    /// where costs are known.
    processes: [Option<LatencyProcess>; 3],
    /// Predictions of the pool's latencies by a saved predictor.
    expected: Option<Vec<Expected>>,
    /// Metrics that can be measured for some networks only.
    sources: Vec<(String, Source)>,
    /// Predictors of latencies that are known of a few networks, learnt with other devices.
    adapted: Vec<(String, Asked)>,
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
        // Latencies of transformers are measured before.
        let measures = Skeleton::is_known(space) && job.limits.iter().any(|l| l.metric == LATENCY);
        let evaluates = job.setup.as_ref().is_some_and(by_evaluation);
        let tells = space.parameters().is_some() && !measures && evaluates;
        let least = if tells { SURE } else { PROBABLE };
        Limits {
            measured,
            least,
            processes: [None, None, None],
            expected: None,
            sources: Vec::new(),
            adapted: Vec::new(),
        }
    }

    /// Tells whether a metric can be measured for a network.
    pub fn may_measure(&self, metric: &str, arch: &Architecture) -> bool {
        self.sources.iter().find(|s| s.0 == metric).is_none_or(|(_, source)| source(arch))
    }

    pub fn new_pool(&mut self) {
        self.processes = [None, None, None];
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

    /// Closes the rows that are not within all limits with a sufficient probability (or, if there are
    /// none, a lower one), and returns the predictions of the rows. A row that was measured
    /// is open if it is surely within, and one that cannot be measured if it is within with a probability
    /// of .95. Before measurements, a saved predictor gives the predictions of
    /// latencies. `costs` are features of the network, one list a cost. `cheap` is the probability that suffices for metrics that can be measured at little
    /// cost.
    pub fn allowed(
        &mut self,
        current: &Current,
        measured: &[Measured],
        costs: &[Vec<f64>],
        mut predictor: Option<&mut Asked>,
        cheap: Option<(f64, &[String])>,
        open: &mut [bool],
    ) -> Beliefs {
        let pool = &current.pool;
        let mut beliefs = Beliefs::new();
        // Least probability over all limits.
        let mut within = vec![1.0f64; pool.len()];
        let mut likely_enough = vec![true; pool.len()];
        for (number, limit) in &self.measured.clone() {
            let measured = &measured[*number];
            let known: Vec<(usize, f64)> = (measured.latest.iter())
                .filter_map(|(arch, value)| Some((pool.row_of(arch)?, *value)))
                .collect();
            let bound = measured.sure_bound(limit);
            let rows: Vec<usize> = (0..pool.len()).filter(|&r| open[r]).collect();
            let sees_costs = !costs.is_empty() && limit.metric == LATENCY;
            let is_other = usize::from(!is_cost(&pool.space, &limit.metric));
            let slot = &mut self.processes[if sees_costs { 2 } else { is_other }];
            let process = slot.get_or_insert_with(|| match sees_costs {
                true => LatencyProcess::with_costs(pool, costs),
                false => process(pool, &limit.metric),
            });
            let predictor = predictor.as_deref_mut().filter(|_| limit.metric == LATENCY);
            let adapted = self.adapted.iter_mut().find(|a| a.0 == limit.metric);
            let believed = match (adapted, predictor) {
                (Some((_, adapted)), _) => {
                    let archs: Vec<_> = rows.iter().map(|&r| pool.archs[r].clone()).collect();
                    Ok(adapted.latencies(&archs).iter().map(|e| e.uncorrected(bound)).collect())
                }
                (None, Some(predictor)) => {
                    let expected =
                        self.expected.get_or_insert_with(|| predictor.latencies(&pool.archs));
                    Ok(process.corrected(expected, &known, bound, &rows))
                }
                (None, None) => process.beliefs(&known, bound, &rows),
            };
            // Without enough measurements for a process, every row stays open.
            let source = self.sources.iter().find(|s| s.0 == limit.metric).map(|s| &s.1);
            let mut likely = vec![1.0; pool.len()];
            let mut of_rows: HashMap<usize, Belief> =
                believed.map_or_else(|_| HashMap::new(), |b| rows.into_iter().zip(b).collect());
            for (&row, belief) in &mut of_rows {
                belief.within = limit.probability(belief.within);
                likely[row] = belief.within;
            }
            for (row, text) in current.texts.iter().enumerate() {
                if let Some(&(value, se)) = measured.last.get(text) {
                    let sure = measured.drift.surely_holds(limit, value, se);
                    likely[row] = f64::from(u8::from(sure));
                    // A measured value is not predicted any more.
                    of_rows.remove(&row);
                } else if source.is_some_and(|source| !source(&pool.archs[row])) {
                    let belief = of_rows.get(&row);
                    likely[row] = f64::from(u8::from(belief.is_some_and(|b| b.within >= CERTAIN)));
                }
            }
            if !of_rows.is_empty() {
                beliefs.push((limit.metric.clone(), of_rows));
            }
            let least = match cheap {
                Some((least, metrics)) if metrics.contains(&limit.metric) => least,
                _ => self.least,
            };
            likely_enough.iter_mut().zip(&likely).for_each(|(enough, p)| *enough &= *p >= least);
            within.iter_mut().zip(likely).for_each(|(w, p)| *w = w.min(p));
        }
        let any = |least: f64| open.iter().zip(&within).any(|(o, p)| *o && *p >= least);
        // Where no network is so likely, less likely ones are tried.
        if open.iter().zip(&likely_enough).any(|(o, likely)| *o && *likely) {
            open.iter_mut().zip(&likely_enough).for_each(|(o, likely)| *o &= *likely);
            return beliefs;
        }
        let least = if any(PROBABLE) { PROBABLE } else { POSSIBLE };
        open.iter_mut().zip(&within).for_each(|(o, p)| *o &= *p >= least);
        beliefs
    }
}

/// Measurements of a limited metric.
pub(super) struct Measured {
    /// The latest architectures with values, measured apart or with a trial.
    pub latest: Known,
    /// The last measurements of architectures, as texts.
    last: HashMap<String, Last>,
    drift: Drift,
}

impl Measured {
    pub fn read(c: &Connection, space: &Space, metric: &str) -> rusqlite::Result<Measured> {
        Ok(Measured {
            latest: latest(c, space, metric)?,
            last: last_measured(c, metric, REMEMBERED)?,
            drift: drift(c, metric)?,
        })
    }

    /// Returns the value up to which (or from which on) a measurement will surely keep a limit.
    fn sure_bound(&self, limit: &Limit) -> f64 {
        let mut errors: Vec<f64> =
            self.last.values().filter_map(|(value, se)| Some((*se)? / value)).collect();
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).map_or(limit.value(), |se| self.drift.sure_bound(limit, *se))
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
pub(super) fn latest(c: &Connection, space: &Space, metric: &str) -> rusqlite::Result<Known> {
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
    /// Names the networks for which a limited metric can be measured. All others are asked for if they
    /// are within the limit with a predicted probability of .95.
    pub(crate) fn set_source(&mut self, metric: &str, source: Source) {
        self.limits.sources.push((metric.into(), source));
    }

    /// Predicts a latency, which is known of a few networks only, by what was learnt with other devices.
    pub(crate) fn set_adapted(&mut self, metric: &str, predictor: Box<dyn Predictor>) {
        self.limits.adapted.push((metric.into(), Asked::new(predictor)));
    }

    /// Tells whether a network is predicted to be within the limits of a metric with a probability of
    /// at least .95.
    pub(crate) fn is_predicted_within(
        &self,
        metric: &str,
        arch: &Architecture,
    ) -> Result<bool, SearchError> {
        match self.forecast(metric, std::slice::from_ref(arch)) {
            Ok(beliefs) => Ok(beliefs.first().is_some_and(|b| b.within >= CERTAIN)),
            // Too little is known to predict from.
            Err(SearchError::Predict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

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
        let mut bounds = self.job.bounds_of(metric).into_iter();
        let bound = bounds.next().unwrap_or(Limit::at_most(metric, f64::INFINITY));
        let mut beliefs = self.forecast_within(&bound, archs)?;
        for bound in bounds {
            // No value misses both a largest and a smallest value.
            let others = self.forecast_within(&bound, archs)?;
            let both = |a: f64, b: f64| (a + b - 1.0).max(0.0);
            beliefs.iter_mut().zip(others).for_each(|(a, b)| a.within = both(a.within, b.within));
        }
        Ok(beliefs)
    }

    /// Predicts a metric, and the probability to be within this limit of it.
    fn forecast_within(
        &self,
        limit: &Limit,
        archs: &[Architecture],
    ) -> Result<Vec<Belief>, SearchError> {
        let metric = limit.metric.as_str();
        if let Some((_, adapted)) = self.limits.adapted.iter().find(|a| a.0 == metric) {
            let expected = adapted.latencies_once(archs);
            let mut beliefs: Vec<Belief> =
                expected.iter().map(|e| e.uncorrected(limit.value())).collect();
            beliefs.iter_mut().for_each(|b| b.within = limit.probability(b.within));
            return Ok(beliefs);
        }
        let known = self.database.read(|c| latest(c, &self.space, metric))?;
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
