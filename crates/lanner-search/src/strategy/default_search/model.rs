//! The model of the default search: predicts all networks from the trials so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lanner_predict::accuracy::{AccuracyFeatures, gp_options};
use lanner_predict::encode::cells::CellFeatures;
use lanner_predict::regress::gp::{Component, Gp, HyperPrior, Kernel, Predictions};
use lanner_predict::regress::linalg::Mat;
use lanner_predict::{Pool, PredictError};
use rayon::prelude::*;

use super::START;
use crate::strategy::history::{History, Trial};

/// Rise of the prior mean, in standard deviations of the target, for one standard deviation of log
/// FLOPs over the pool.
const SLOPE: f64 = 0.3;
/// The same for one of an untrained score, which tells more.
const PRIOR_SLOPE: f64 = 0.6;
/// Distance below the best at which the target's logarithm flattens, as a fraction of the distance
/// between the best and the median of the start.
const SOFTENING: f64 = 0.1;
/// Number of imagined repetitions of a training without any difference, as a prior for luck.
const REPETITIONS: f64 = 4.0;
/// Steps of the hyper-parameter search in a round, each search starting from the last round's result.
const ITERATIONS: usize = 15;

/// Precomputed features of a pool, and each process's hyper-parameters from the last round.
pub(super) struct Model {
    members: Vec<Member>,
    features: Arc<Mat>,
    /// Size, or untrained score, by which the start is chosen.
    sizes: Vec<f64>,
    /// The same of each row, scaled to mean 0 and variance 1, and the slope of the prior mean in it.
    standing: Vec<f64>,
    slope: f64,
    /// For each row, a number that it shares with all rows that differ from it in dead choices only.
    networks: Vec<usize>,
    /// Mean of each row's warm-start values, NaN where no origin has one; empty if there are none.
    promise: Vec<f64>,
    last: Option<Last>,
}

/// The last answer of [`Model::beliefs`], and what it follows from: a round that is asked for again
/// after measurements is answered from it.
struct Last {
    trials: Vec<Trial>,
    pending: Vec<usize>,
    hyper: Vec<Option<Vec<f64>>>,
    fitted: Vec<Option<Vec<f64>>>,
    /// Rows that were free, ascending, and their predictions.
    free: Vec<usize>,
    beliefs: Vec<Belief>,
}

/// Prediction of a row's target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belief {
    pub mean: f64,
    /// Standard deviation of the network's worth: the mean over many trainings.
    pub sd: f64,
    /// Standard deviation of the next training's value.
    pub trained_sd: f64,
}

struct Member {
    components: Vec<Component>,
    hyper: Option<Vec<f64>>,
}

impl Member {
    /// Adds the pending rows with their predicted values as if they were measured, so that other
    /// rows are asked for meanwhile (the "believer" of Ginsbourger et al. 2010).
    fn with_pending(
        &self,
        gp: Gp,
        rows: &[usize],
        targets: &[f64],
        pending: &[usize],
    ) -> Result<Gp, PredictError> {
        if pending.is_empty() {
            return Ok(gp);
        }
        let believed = gp.predict(&self.components, pending, false).mean;
        let rows = [rows, pending].concat();
        let targets = [targets, &believed].concat();
        Gp::restore(&self.components, &rows, &targets, gp.hyper, vec![1.0; rows.len()])
    }
}

impl Model {
    /// Makes a model of a pool. `sizes` has one value a row, in any unit; so has each of `warm_start` and of `costs`.
    pub(super) fn new(
        pool: &Pool,
        sizes: Vec<f64>,
        warm_start: &[Vec<f64>],
        costs: &[Vec<f64>],
    ) -> Model {
        let features = AccuracyFeatures::new(pool);
        let edges = Arc::new(CellFeatures::new(pool).live_one_hot.clone());
        // All pairs of operations on edges.
        let pairs = [Kernel::Linear, Kernel::Polynomial(2)].map(|kernel| Component {
            kernel,
            x: edges.clone(),
            amplitude: HyperPrior::new(0.37, 1.5),
            length: HyperPrior::new(1.17, 0.7),
        });
        let networks = alike(&edges);
        let origins: Vec<Vec<f64>> = warm_start.iter().map(|values| feature(values)).collect();
        let costs: Vec<Vec<f64>> = costs.iter().map(|values| scaled(values)).collect();
        let linear = origins.iter().chain(&costs).map(|values| Component {
            kernel: Kernel::Linear,
            x: Mat::from_fn(values.len(), 1, |row, _| values[row]).into(),
            amplitude: HyperPrior::new(0.37, 1.5),
            length: HyperPrior::new(1.17, 0.7),
        });
        let members = (features.diverse_components().into_iter())
            .chain([pairs.to_vec()])
            .map(|components| Member {
                components: components.into_iter().chain(linear.clone()).collect(),
                hyper: None,
            })
            .collect();
        let known = if origins.is_empty() { 0 } else { pool.len() };
        let mean = |row: usize| {
            let known = origins.iter().zip(warm_start).filter(|o| o.1[row].is_finite());
            let (sum, n) = known.fold((0.0, 0.0), |(sum, n), o| (sum + o.0[row], n + 1.0));
            sum / n
        };
        let promise = (0..known).map(mean).collect();
        Model {
            members,
            features: features.features().clone(),
            standing: scaled(&sizes),
            slope: SLOPE,
            sizes,
            networks,
            promise,
            last: None,
        }
    }

    /// Starts from an untrained score of each row instead of sizes; there may be none.
    pub(super) fn with_prior(mut self, prior: &[f64]) -> Model {
        if prior.is_empty() {
            return self;
        }
        let prior = standing(prior);
        let linear = Component {
            kernel: Kernel::Linear,
            x: Mat::from_fn(prior.len(), 1, |row, _| prior[row]).into(),
            amplitude: HyperPrior::new(0.37, 1.5),
            length: HyperPrior::new(1.17, 0.7),
        };
        self.members.iter_mut().for_each(|m| m.components.push(linear.clone()));
        self.standing = prior.clone();
        self.sizes = prior;
        self.slope = PRIOR_SLOPE;
        self
    }

    /// Returns up to `n` rows of `open` with the best warm-start values.
    pub(super) fn promising(&self, open: &[usize], n: usize) -> Vec<usize> {
        if self.promise.is_empty() {
            return Vec::new();
        }
        let mut best = open.to_vec();
        best.retain(|&row| self.promise[row].is_finite());
        best.sort_by(|&a, &b| self.promise[b].total_cmp(&self.promise[a]).then(a.cmp(&b)));
        best.truncate(n);
        best
    }

    /// Returns the hyper-parameters of each fitted process, empty for one that was not fitted.
    pub(super) fn hyper(&self) -> Vec<Vec<f64>> {
        self.members.iter().map(|m| m.hyper.clone().unwrap_or_default()).collect()
    }

    pub(super) fn set_hyper(&mut self, hyper: Vec<Vec<f64>>) {
        for (member, hyper) in self.members.iter_mut().zip(hyper) {
            member.hyper = Some(hyper).filter(|h| !h.is_empty());
        }
    }

    /// Features that tell how near two rows are to each other, p × d.
    pub(super) fn features(&self) -> &Mat {
        &self.features
    }

    pub(super) fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    /// Variance of the targets of rows that differ in dead choices only: 0 as long as there are
    /// none, and shrunk, since there are few.
    fn luck(&self, rows: &[usize], targets: &[f64]) -> f64 {
        let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (&row, &target) in rows.iter().zip(targets) {
            groups.entry(self.networks[row]).or_default().push(target);
        }
        let squares: f64 = groups.values().map(|g| g.len() as f64 * moments(g).1.powi(2)).sum();
        squares / ((rows.len() - groups.len()) as f64 + REPETITIONS)
    }

    /// Predicts each row of `open`, none of which is taken; an error if there are too few trials for
    /// a process.
    pub(super) fn beliefs(
        &mut self,
        history: &History,
        open: &[usize],
    ) -> Result<Vec<Belief>, PredictError> {
        let hyper: Vec<_> = self.members.iter().map(|m| m.hyper.clone()).collect();
        let answers = |last: &Last| {
            last.trials == history.trials && last.pending == history.pending && last.hyper == hyper
        };
        if !self.last.as_ref().is_some_and(answers) {
            // All free rows, whichever are open: rows that open later have the same predictions.
            let free: Vec<usize> =
                (0..self.sizes.len()).filter(|r| !history.is_taken(*r)).collect();
            let beliefs = self.predict(history, &free)?;
            let fitted = self.members.iter().map(|m| m.hyper.clone()).collect();
            let (trials, pending) = (history.trials.clone(), history.pending.clone());
            self.last = Some(Last { trials, pending, hyper, fitted, free, beliefs });
        }
        let Some(last) = &self.last else { unreachable!("made above") };
        for (member, hyper) in self.members.iter_mut().zip(&last.fitted) {
            member.hyper.clone_from(hyper);
        }
        let of = |row: &usize| last.free.binary_search(row).ok().map(|i| last.beliefs[i]);
        Ok(open.iter().filter_map(of).collect())
    }

    /// Fits the processes to the trials and predicts each of `rows`.
    pub(super) fn predict(
        &mut self,
        history: &History,
        open: &[usize],
    ) -> Result<Vec<Belief>, PredictError> {
        let rows = history.rows();
        let plain = targets(&history.values());
        let slope = self.slope * moments(&plain).1;
        let prior = |row: usize| slope * self.standing[row];
        let targets: Vec<f64> = plain.iter().zip(&rows).map(|(t, &r)| t - prior(r)).collect();
        let variance = moments(&targets).1.powi(2);
        // Sums over members of their means, squared means and variances without noise.
        let mut sums = vec![[0.0; 3]; open.len()];
        let luck = self.luck(&rows, &plain);
        let of_members: Vec<(Predictions, f64)> = (self.members.par_iter_mut())
            .map(|member| {
                let (parts, options) = (&member.components, gp_options(ITERATIONS));
                let gp = Gp::fit(parts, &rows, &targets, &options, member.hyper.as_deref())?;
                let hyper = gp.hyper.clone();
                let gp = member.with_pending(gp, &rows, &targets, &history.pending)?;
                member.hyper = Some(hyper);
                Ok((gp.predict(&member.components, open, true), gp.noise() * variance))
            })
            .collect::<Result<_, PredictError>>()?;
        for (p, noise) in &of_members {
            for (sums, (mean, sd)) in sums.iter_mut().zip(p.mean.iter().zip(&p.sd)) {
                sums[0] += mean;
                sums[1] += mean * mean;
                sums[2] += (sd * sd - noise).max(0.0);
            }
        }
        let count = self.members.len() as f64;
        Ok((sums.iter().zip(open))
            .map(|([mean, squares, variances], &row)| {
                let mean = mean / count;
                let disagreement = (squares / count - mean * mean).max(0.0);
                let variance = disagreement + variances / count;
                let trained = variance + luck;
                Belief { mean: mean + prior(row), sd: variance.sqrt(), trained_sd: trained.sqrt() }
            })
            .collect())
    }
}

/// Scales values to mean 0 and variance 1; what has none is 0.
fn standing(values: &[f64]) -> Vec<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let (mean, deviation) = moments(&known);
    let scale = if deviation > 0.0 { deviation.recip() } else { 0.0 };
    values.iter().map(|v| if v.is_finite() { (v - mean) * scale } else { 0.0 }).collect()
}

/// Transforms warm-start values as the targets of this search, so that one may be linear in the
/// other: scaled to mean 0 and variance 1, and 0 where a value is missing.
fn feature(values: &[f64]) -> Vec<f64> {
    let mut known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let (Some(&worst), Some(&best)) = (known.first(), known.last()) else {
        return vec![0.0; values.len()];
    };
    let targets = Targets::scaled(best, known[known.len() / 2], worst);
    let all: Vec<f64> = known.iter().map(|&v| targets.target(v)).collect();
    let (mean, deviation) = moments(&all);
    let scale = if deviation > 0.0 { deviation.recip() } else { 0.0 };
    let one = |&v: &f64| if v.is_finite() { (targets.target(v) - mean) * scale } else { 0.0 };
    values.iter().map(one).collect()
}

/// Returns the values scaled to mean 0 and variance 1.
fn scaled(values: &[f64]) -> Vec<f64> {
    let (mean, deviation) = moments(values);
    let scale = if deviation > 0.0 { deviation.recip() } else { 0.0 };
    values.iter().map(|v| (v - mean) * scale).collect()
}

/// Returns for each row of `x` the first row that equals it.
fn alike(x: &Mat) -> Vec<usize> {
    let mut firsts = HashMap::new();
    let bits = |row: usize| x.row(row).iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    (0..x.rows).map(|row| *firsts.entry(bits(row)).or_insert(row)).collect()
}

/// Returns mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt())
}

/// Converts values to targets, −log(best − value + κ), and back.
pub(super) struct Targets {
    best: f64,
    kappa: f64,
}

impl Targets {
    pub(super) fn of(values: &[f64]) -> Targets {
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut start = values[..values.len().min(START)].to_vec();
        start.sort_by(f64::total_cmp);
        let median = start.get(start.len() / 2).copied().unwrap_or(best);
        let worst = start.first().copied().unwrap_or(best);
        Targets::scaled(best, median, worst)
    }

    fn scaled(best: f64, median: f64, worst: f64) -> Targets {
        // More than half of the values may equal the best (chance level). If all do, any κ works.
        let scale = [best - median, best - worst].into_iter().find(|s| *s > 0.0).unwrap_or(1.0);
        Targets { best, kappa: SOFTENING * scale }
    }

    pub(super) fn target(&self, value: f64) -> f64 {
        -(self.best - value + self.kappa).ln()
    }

    /// Converts mean and standard deviation of a target to median and standard deviation (to first
    /// order) of the value.
    pub(super) fn value(&self, (mean, sd): (f64, f64)) -> (f64, f64) {
        let below = (-mean).exp();
        (self.best + self.kappa - below, below * sd)
    }
}

/// Converts all values to targets.
pub(super) fn targets(values: &[f64]) -> Vec<f64> {
    let targets = Targets::of(values);
    values.iter().map(|&v| targets.target(v)).collect()
}
