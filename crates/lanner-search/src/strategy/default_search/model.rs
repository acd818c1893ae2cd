//! What the trials so far say about every other network.

use std::collections::{BTreeMap, HashMap};

use lanner_predict::accuracy::{AccuracyFeatures, gp_options};
use lanner_predict::encode::counts::live_one_hot;
use lanner_predict::regress::gp::{Component, Gp, HyperPrior, Kernel, Predictions};
use lanner_predict::regress::linalg::Mat;
use lanner_predict::{Pool, PredictError};
use rayon::prelude::*;

use super::START;
use crate::strategy::history::History;

/// Rise of the prior mean, in standard deviations of the target for one of log FLOPs over the pool.
const SLOPE: f64 = 0.3;
/// Distance below the best at which the target's logarithm flattens, in units of what the best is
/// above the median of the start.
const SOFTENING: f64 = 0.1;
/// So many repetitions of a training without a difference are imagined before any are seen.
const REPETITIONS: f64 = 4.0;
/// Steps of the search for hyper-parameters a round, each from where the last round ended.
const ITERATIONS: usize = 15;

/// What is computed once a pool, and each process's hyper-parameters of the last round.
pub(super) struct Model {
    members: Vec<Member>,
    features: Mat,
    sizes: Vec<f64>,
    /// Of each row, the sizes with mean 0 and variance 1.
    standing: Vec<f64>,
    /// Of each row, a number that it shares with all that are the same but for dead choices.
    networks: Vec<usize>,
    /// Of each row, the mean of what is known of it from elsewhere; empty if nothing is.
    promise: Vec<f64>,
}

/// What is believed of a row's target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belief {
    pub mean: f64,
    /// Standard deviation of what the network is worth: the mean over many trainings.
    pub sd: f64,
    /// Standard deviation of the next training's value.
    pub trained_sd: f64,
}

struct Member {
    components: Vec<Component>,
    hyper: Option<Vec<f64>>,
}

impl Member {
    /// As if rows whose values are awaited had come out as believed, so that others are asked for
    /// meanwhile (the "believer" of Ginsbourger et al. 2010).
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
    /// `sizes` are of any unit, one a row of the pool, and so are the values of each of `earlier`.
    pub(super) fn new(pool: &Pool, sizes: Vec<f64>, earlier: &[Vec<f64>]) -> Model {
        let views = AccuracyFeatures::new(pool);
        let edges = live_one_hot(&pool.space, &pool.archs);
        // All pairs of operations on edges.
        let pairs = [Kernel::Linear, Kernel::Polynomial(2)].map(|kernel| Component {
            kernel,
            x: edges.clone(),
            amplitude: HyperPrior::new(0.37, 1.5),
            length: HyperPrior::new(1.17, 0.7),
        });
        let networks = alike(&edges);
        let earlier: Vec<Vec<f64>> = earlier.iter().map(|values| feature(values)).collect();
        let linear = earlier.iter().map(|values| Component {
            kernel: Kernel::Linear,
            x: Mat::from_fn(values.len(), 1, |row, _| values[row]),
            amplitude: HyperPrior::new(0.37, 1.5),
            length: HyperPrior::new(1.17, 0.7),
        });
        let members = (views.diverse_components().into_iter())
            .chain([pairs.to_vec()])
            .map(|components| Member {
                components: components.into_iter().chain(linear.clone()).collect(),
                hyper: None,
            })
            .collect();
        let known = if earlier.is_empty() { 0 } else { pool.len() };
        let mean = |row: usize| earlier.iter().map(|e| e[row]).sum::<f64>() / earlier.len() as f64;
        let promise = (0..known).map(mean).collect();
        let (mean, deviation) = moments(&sizes);
        let scale = if deviation > 0.0 { deviation.recip() } else { 0.0 };
        Model {
            members,
            features: views.features().clone(),
            standing: sizes.iter().map(|s| (s - mean) * scale).collect(),
            sizes,
            networks,
            promise,
        }
    }

    /// Up to `n` of `open` that are the best by what is known from elsewhere.
    pub(super) fn promising(&self, open: &[usize], n: usize) -> Vec<usize> {
        if self.promise.is_empty() {
            return Vec::new();
        }
        let mut best = open.to_vec();
        best.sort_by(|&a, &b| self.promise[b].total_cmp(&self.promise[a]).then(a.cmp(&b)));
        best.truncate(n);
        best
    }

    /// Hyper-parameters of the processes that were fitted, empty for the others.
    pub(super) fn hyper(&self) -> Vec<Vec<f64>> {
        self.members.iter().map(|m| m.hyper.clone().unwrap_or_default()).collect()
    }

    pub(super) fn set_hyper(&mut self, hyper: Vec<Vec<f64>>) {
        for (member, hyper) in self.members.iter_mut().zip(hyper) {
            member.hyper = Some(hyper).filter(|h| !h.is_empty());
        }
    }

    /// By which rows are near or far from each other, p × d.
    pub(super) fn features(&self) -> &Mat {
        &self.features
    }

    pub(super) fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    /// Variance of the targets of rows that differ in dead choices alone. Shrunk, as there are few; 0 as
    /// long as there are none.
    fn luck(&self, rows: &[usize], targets: &[f64]) -> f64 {
        let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (&row, &target) in rows.iter().zip(targets) {
            groups.entry(self.networks[row]).or_default().push(target);
        }
        let squares: f64 = groups.values().map(|g| g.len() as f64 * moments(g).1.powi(2)).sum();
        squares / ((rows.len() - groups.len()) as f64 + REPETITIONS)
    }

    /// What is believed of each of `open`; an error if there are too few trials for a process.
    pub(super) fn beliefs(
        &mut self,
        history: &History,
        open: &[usize],
    ) -> Result<Vec<Belief>, PredictError> {
        let rows = history.rows();
        let plain = targets(&history.values());
        let slope = SLOPE * moments(&plain).1;
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

/// Earlier values as the target sees this search's, so that one may be a line in the other: mean 0 and
/// variance 1 over those there are, and 0 for the others.
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

/// Of each row of `x`, the first that equals it.
fn alike(x: &Mat) -> Vec<usize> {
    let mut firsts = HashMap::new();
    let bits = |row: usize| x.row(row).iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    (0..x.rows).map(|row| *firsts.entry(bits(row)).or_insert(row)).collect()
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt())
}

/// The target −log(best − value + κ), and back.
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
        // More than half may share the best value (chance level); all may, and then any κ will do.
        let scale = [best - median, best - worst].into_iter().find(|s| *s > 0.0).unwrap_or(1.0);
        Targets { best, kappa: SOFTENING * scale }
    }

    pub(super) fn target(&self, value: f64) -> f64 {
        -(self.best - value + self.kappa).ln()
    }

    /// Median and standard deviation (to first order) of the value whose target has this mean and
    /// deviation.
    pub(super) fn value(&self, (mean, sd): (f64, f64)) -> (f64, f64) {
        let below = (-mean).exp();
        (self.best + self.kappa - below, below * sd)
    }
}

/// The targets of all values.
pub(super) fn targets(values: &[f64]) -> Vec<f64> {
    let targets = Targets::of(values);
    values.iter().map(|&v| targets.target(v)).collect()
}
