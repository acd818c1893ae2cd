//! The `default` accuracy predictor, and the Gaussian process that it has to beat.
//!
//! Rankings matter more than values, and accuracies crowd below their optimum with a long tail of
//! networks that hardly learn: the target is the normal score of the rank, t = Φ⁻¹((rank − ½) / n).
//! Three members that err differently are averaged: a Matérn process on graph properties and counts,
//! one on variance shares and sizes (see [`crate::cell_features`]), and extremely randomised trees
//! on all of these. In chains, where there are no paths to describe and what is chosen adds up
//! place by place, the three are processes with linear terms: a Matérn one on the choices, one on what
//! came before each place, and one with products of two choices. Each member's predictions are turned into normal scores over the whole pool
//! before the mean, so that the members weigh equally, whatever they shrink.
//!
//! Values in the metric's own unit come from where the score falls among the training values, and
//! intervals from predictions of training rows that were held out.

use std::sync::Arc;

use lanner_space::Architecture;
use rayon::prelude::*;

use crate::cell_features::{CellEncoder, CellFeatures};
use crate::gp::{Component, Gp, Kernel, Options as GpOptions, Prior};
use crate::latency::quantile;
use crate::linalg::{Mat, Standardiser};
use crate::metrics::{mean_and_error, ranks};
use crate::trees::{ExtraTrees, Options as TreeOptions};
use crate::{Forecast, Pool, PredictError};

/// Fewest training rows.
const FEWEST: usize = 5;
/// Hyper-parameters are fitted to at most this many rows.
const HYPER_ROWS: usize = 500;
/// Parts in which the trees hold training rows out to learn how far they err.
const FOLDS: usize = 5;
/// Content of the intervals.
const LEVEL: f64 = 0.90;

/// The encodings that the accuracy predictors see, for every architecture of a pool.
#[derive(Debug, Clone)]
pub struct AccuracyViews {
    /// Graph properties and counts, p × d, standardised over the pool as the others.
    pub(crate) graph: Mat,
    /// Variance shares, sizes and live counts.
    pub(crate) shares: Mat,
    /// All columns of the two.
    pub(crate) all: Mat,
    /// Counts, graph properties and live one-hots: for the search.
    pub(crate) plain: Mat,
    /// Of chains only.
    chain: Option<Box<Chain>>,
    encoder: Arc<Encoder>,
}

/// What linear terms see of a chain.
#[derive(Debug, Clone)]
struct Chain {
    /// Counts, choices, what came before each place, and cost.
    line: Mat,
    choices: Mat,
    /// Counts and cost, so few that a line in them is known soon.
    totals: Mat,
}

/// How the columns are made.
#[derive(Debug)]
struct Encoder {
    features: CellEncoder,
    /// Of the groups of [`grouped`], by the pool.
    standardisers: [Standardiser; GROUPS],
}

const GROUPS: usize = 6;

/// The columns of graph, shares, plain, and of a chain's line, choices and totals.
fn grouped(f: &CellFeatures) -> [Mat; GROUPS] {
    let chain = f.choices.cols > 0;
    let of_chain =
        |groups: &[&Mat]| if chain { Mat::joined(groups) } else { Mat::zeros(f.counts.rows, 0) };
    [
        Mat::joined(&[&f.graph, &f.counts, &f.choices, &f.cost]),
        Mat::joined(&[
            &f.shares,
            &f.lossless_shares,
            &f.size,
            &f.live_counts,
            &f.share_moments,
            &f.places,
            &f.cost,
        ]),
        Mat::joined(&[&f.counts, &f.graph, &f.live_one_hot, &f.cost]),
        of_chain(&[&f.counts, &f.choices, &f.places, &f.cost]),
        of_chain(&[&f.choices]),
        of_chain(&[&f.counts, &f.cost]),
    ]
}

impl AccuracyViews {
    pub fn new(pool: &Pool) -> AccuracyViews {
        let features = CellEncoder::new(&pool.space);
        let groups = grouped(&features.features(&pool.archs));
        let all: Vec<usize> = (0..pool.len()).collect();
        let standardisers = std::array::from_fn(|g| Standardiser::of(&groups[g], &all));
        AccuracyViews::of_groups(groups, Arc::new(Encoder { features, standardisers }))
    }

    /// The same columns for other architectures of the space, in units of the pool's deviations.
    pub fn of(&self, archs: &[Architecture]) -> AccuracyViews {
        let groups = grouped(&self.encoder.features.features(archs));
        AccuracyViews::of_groups(groups, Arc::clone(&self.encoder))
    }

    fn of_groups(groups: [Mat; GROUPS], encoder: Arc<Encoder>) -> AccuracyViews {
        let is_chain = groups[4].cols > 0;
        let mut by = encoder.standardisers.iter();
        let [graph, shares, plain, line, choices, totals] =
            groups.map(|x| by.next().map_or(Mat::default(), |by| by.apply(&x)));
        AccuracyViews {
            all: graph.beside(&shares),
            graph,
            shares,
            plain,
            chain: is_chain.then(|| Box::new(Chain { line, choices, totals })),
            encoder,
        }
    }

    /// The number of architectures.
    pub fn len(&self) -> usize {
        self.all.rows
    }

    pub fn is_empty(&self) -> bool {
        self.all.rows == 0
    }

    /// All features, p × d, standardised: distances between their rows tell how alike networks are.
    pub fn features(&self) -> &Mat {
        &self.all
    }

    /// Linear plus squared exponential on counts, graph properties and live one-hots.
    pub fn plain_components(&self) -> Vec<Component> {
        [Kernel::Linear, Kernel::Rbf].map(|kernel| component(kernel, &self.plain)).to_vec()
    }

    /// Covariances of the processes of [`AccuracyModel`].
    fn members(&self) -> Vec<Vec<Component>> {
        let smooth = |x| component(Kernel::Matern52, x);
        let Some(chain) = &self.chain else {
            return vec![vec![smooth(&self.graph)], vec![smooth(&self.shares)]];
        };
        let line = component(Kernel::Linear, &chain.line);
        let totals = component(Kernel::Linear, &chain.totals);
        vec![
            vec![smooth(&self.graph), line.clone()],
            vec![smooth(&self.shares), totals.clone()],
            vec![line, component(Kernel::Polynomial(2), &chain.choices), totals],
        ]
    }

    /// Covariances of three processes that see different things, for ensembles: that of
    /// [`AccuracyViews::plain_components`], one that adds graph properties and variance shares, one on all columns.
    pub fn diverse_components(&self) -> [Vec<Component>; 3] {
        let smooth = |x| component(Kernel::Matern52, x);
        [
            self.plain_components(),
            vec![smooth(&self.graph), smooth(&self.shares)],
            vec![smooth(&self.all)],
        ]
    }
}

/// Priors on amplitude and length scale that hold for any metric: targets are standardised and
/// length scales are in units of the mean distance.
pub(crate) fn component(kernel: Kernel, x: &Mat) -> Component {
    Component {
        kernel,
        x: x.clone(),
        amplitude: Prior::new(0.37, 1.5),
        length: Prior::new(1.17, 0.7),
    }
}

/// How [`AccuracyModel`], [`GraphGp`] and the search fit their processes.
pub fn gp_options(iterations: usize) -> GpOptions {
    GpOptions { noise: Prior::new(0.135, 1.0), iterations, hyper_rows: HYPER_ROWS, student: None }
}

/// A fitted `default` accuracy predictor.
pub struct AccuracyModel {
    /// Mean of the members' normal scores, one a pool row.
    scores: Vec<f64>,
    members: Vec<Member>,
    calibration: Calibration,
}

/// One of the regressors, and the scores of what it predicts for the pool.
struct Member {
    kind: MemberKind,
    scale: NormalScores,
}

enum MemberKind {
    Process(Box<Gp>, Vec<Component>),
    Trees(ExtraTrees),
}

impl AccuracyModel {
    /// Fits accuracies (any unit, more is better) of pool rows `rows`; the seed is that of the trees.
    pub fn fit(
        views: &AccuracyViews,
        rows: &[usize],
        values: &[f64],
        seed: u64,
    ) -> Result<AccuracyModel, PredictError> {
        check(rows, values)?;
        let target = NormalScores::new(values);
        let t: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
        let pool: Vec<usize> = (0..views.len()).collect();
        let mut fitted = Vec::new();
        for components in views.members() {
            let gp = Gp::fit(&components, rows, &t, &gp_options(40), None)?;
            let all = gp.predict(&components, &pool, false).mean;
            let held_out = gp.leave_one_out().mean;
            fitted.push((MemberKind::Process(Box::new(gp), components), all, held_out));
        }
        if views.chain.is_none() {
            let (forest, held_out) = trees(views, rows, &t, seed)?;
            let all = forest.predict(&views.all);
            fitted.push((MemberKind::Trees(forest), all, held_out));
        }

        let mut scores = vec![0.0; views.len()];
        let mut held_out = vec![0.0; rows.len()];
        let weight = 1.0 / fitted.len() as f64;
        let mut members = Vec::new();
        for (kind, all, out) in fitted {
            let scale = NormalScores::new(&all);
            for (sum, &p) in scores.iter_mut().zip(&all) {
                *sum += weight * scale.score(p);
            }
            for (sum, &p) in held_out.iter_mut().zip(&out) {
                *sum += weight * scale.score(p);
            }
            members.push(Member { kind, scale });
        }
        Ok(AccuracyModel { scores, members, calibration: Calibration::new(target, &held_out, &t) })
    }

    /// Scores of pool rows, by which they rank: about standard normal over the pool.
    pub fn scores(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&r| self.scores[r]).collect()
    }

    /// Accuracies of pool rows in the unit of the training values, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Forecast {
        self.calibration.forecast(&self.scores(rows))
    }

    /// Accuracies of other architectures, by [`AccuracyViews::of`] the views that this was fitted on.
    /// Beyond the best and the worst that a member predicts in the pool, its scores go on in a line.
    pub fn predict_others(&self, views: &AccuracyViews) -> Forecast {
        let mut scores = vec![0.0; views.len()];
        let mut asked = views.members().into_iter();
        for member in &self.members {
            let predicted = match &member.kind {
                MemberKind::Trees(forest) => forest.predict(&views.all),
                MemberKind::Process(gp, components) => {
                    // As many as were fitted: which there are depends on the space alone.
                    let asked = asked.next().unwrap_or_default();
                    gp.predict_others(components, &asked, false).mean
                }
            };
            for (sum, p) in scores.iter_mut().zip(predicted) {
                *sum += member.scale.score_beyond(p) / self.members.len() as f64;
            }
        }
        self.calibration.forecast(&scores)
    }
}

/// The trees, and predictions for the training rows by trees without them.
fn trees(
    views: &AccuracyViews,
    rows: &[usize],
    t: &[f64],
    seed: u64,
) -> Result<(ExtraTrees, Vec<f64>), PredictError> {
    let options = TreeOptions::default();
    let known = views.all.select(rows);
    let all = ExtraTrees::fit(&known, t, &options, seed)?;
    let mut held_out = vec![0.0; rows.len()];
    let some = TreeOptions { trees: options.trees / 4, ..options };
    for fold in 0..FOLDS {
        let (out, kept): (Vec<usize>, Vec<usize>) =
            (0..rows.len()).partition(|i| i % FOLDS == fold);
        let targets: Vec<f64> = kept.iter().map(|&i| t[i]).collect();
        let forest = ExtraTrees::fit(&known.select(&kept), &targets, &some, seed)?;
        for (&i, p) in out.iter().zip(forest.predict(&known.select(&out))) {
            held_out[i] = p;
        }
    }
    Ok((all, held_out))
}

/// The plain baseline: one Gaussian process on counts and graph properties, with linear and squared
/// exponential covariance and white noise, on normal scores. Without live one-hots, which would be
/// a quarter of all columns and cost it τ 0.03 on NAS-Bench-201 accuracies after 12 epochs.
pub struct GraphGp {
    gp: Gp,
    components: Vec<Component>,
    calibration: Calibration,
}

impl GraphGp {
    /// Fits accuracies (any unit, more is better) of pool rows `rows`.
    pub fn fit(
        views: &AccuracyViews,
        rows: &[usize],
        values: &[f64],
    ) -> Result<GraphGp, PredictError> {
        check(rows, values)?;
        let target = NormalScores::new(values);
        let t: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
        let components = [Kernel::Linear, Kernel::Rbf].map(|k| component(k, &views.graph)).to_vec();
        let gp = Gp::fit(&components, rows, &t, &gp_options(40), None)?;
        let calibration = Calibration::new(target, &gp.leave_one_out().mean, &t);
        Ok(GraphGp { gp, components, calibration })
    }

    /// Scores of pool rows, by which they rank.
    pub fn scores(&self, rows: &[usize]) -> Vec<f64> {
        self.gp.predict(&self.components, rows, false).mean
    }

    /// Accuracies of pool rows in the unit of the training values, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Forecast {
        self.calibration.forecast(&self.scores(rows))
    }
}

pub(crate) fn check(rows: &[usize], values: &[f64]) -> Result<(), PredictError> {
    if rows.len() != values.len() {
        return Err(PredictError::Lengths { architectures: rows.len(), targets: values.len() });
    }
    if rows.len() < FEWEST {
        return Err(PredictError::TooFew {
            what: "accuracy predictor".into(),
            needed: FEWEST,
            got: rows.len(),
        });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(row) => Err(PredictError::Target { row, value: values[row] }),
        None => Ok(()),
    }
}

/// The map between values and the normal scores of their ranks in a sample.
#[derive(Debug, Clone)]
pub(crate) struct NormalScores {
    /// Distinct values of the sample, ascending, and their scores.
    knots: Vec<(f64, f64)>,
}

impl NormalScores {
    pub(crate) fn new(sample: &[f64]) -> NormalScores {
        let n = sample.len() as f64;
        let mut knots: Vec<(f64, f64)> = (sample.iter().zip(ranks(sample)))
            .map(|(&v, rank)| (v, probit((rank + 0.5) / n)))
            .collect();
        knots.sort_by(|a, b| a.0.total_cmp(&b.0));
        knots.dedup_by(|a, b| a.0 == b.0);
        NormalScores { knots }
    }

    /// The score of a value: that of its rank, or between those of its neighbours.
    pub(crate) fn score(&self, value: f64) -> f64 {
        interpolate(&self.knots, value, |k| *k)
    }

    /// As [`NormalScores::score`], but beyond the sample's extremes the slope of the outermost tenth
    /// goes on.
    fn score_beyond(&self, value: f64) -> f64 {
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        let per_value =
            |a: (f64, f64), b: (f64, f64)| if b.0 > a.0 { (b.1 - a.1) / (b.0 - a.0) } else { 0.0 };
        let beyond = if value > last.0 {
            (value - last.0) * per_value(self.knots[self.knots.len() - 1 - self.tenth()], last)
        } else if value < first.0 {
            (value - first.0) * per_value(first, self.knots[self.tenth()])
        } else {
            0.0
        };
        beyond + self.score(value)
    }

    /// The value of a score; beyond the sample's extremes the ends' slope goes on.
    fn value(&self, score: f64) -> f64 {
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        let beyond = if score > last.1 {
            // The slope of the outermost tenth: that of the last two alone would be noise.
            let inner = self.knots[self.knots.len() - 1 - self.tenth()];
            (score - last.1) * slope(inner, last)
        } else if score < first.1 {
            (score - first.1) * slope(first, self.knots[self.tenth()])
        } else {
            0.0
        };
        beyond + interpolate(&self.knots, score, |k| (k.1, k.0))
    }

    fn tenth(&self) -> usize {
        self.knots.len().div_ceil(10).min(self.knots.len() - 1)
    }
}

/// Value per score between two knots.
fn slope(a: (f64, f64), b: (f64, f64)) -> f64 {
    if b.1 > a.1 { (b.0 - a.0) / (b.1 - a.1) } else { 0.0 }
}

/// y at `x` on the line through knots, `at` giving (x, y) of each, ascending in both; constant
/// beyond them.
fn interpolate(knots: &[(f64, f64)], x: f64, at: impl Fn(&(f64, f64)) -> (f64, f64)) -> f64 {
    let after = knots.partition_point(|k| at(k).0 < x);
    if after == 0 {
        return at(&knots[0]).1;
    }
    if after == knots.len() {
        return at(&knots[after - 1]).1;
    }
    let ((x0, y0), (x1, y1)) = (at(&knots[after - 1]), at(&knots[after]));
    y0 + (x - x0) / (x1 - x0) * (y1 - y0)
}

/// From scores to values with intervals, learned from predictions of held-out training rows.
#[derive(Debug, Clone)]
pub(crate) struct Calibration {
    target: NormalScores,
    /// Target = offset + slope · score.
    offset: f64,
    slope: f64,
    /// Quantiles of the target's residuals.
    quantiles: (f64, f64),
}

impl Calibration {
    /// Of held-out scores and the true targets, both on the scale of normal scores.
    pub(crate) fn new(target: NormalScores, scores: &[f64], t: &[f64]) -> Calibration {
        let ((ms, _), (mt, _)) = (mean_and_error(scores), mean_and_error(t));
        let (mut ss, mut st) = (0.0, 0.0);
        for (s, t) in scores.iter().zip(t) {
            ss += (s - ms) * (s - ms);
            st += (s - ms) * (t - mt);
        }
        // Never against the ranking.
        let slope = if ss > 1e-12 { (st / ss).max(0.0) } else { 0.0 };
        let offset = mt - slope * ms;
        let mut residuals: Vec<f64> =
            (scores.iter().zip(t)).map(|(s, t)| t - offset - slope * s).collect();
        residuals.sort_by(f64::total_cmp);
        // The quantile of n draws that a further one stays inside with that probability.
        let n = residuals.len() as f64;
        let tail = ((1.0 - LEVEL) / 2.0 * (n + 1.0) - 1.0) / (n - 1.0);
        Calibration {
            target,
            offset,
            slope,
            quantiles: (quantile(&residuals, tail), quantile(&residuals, 1.0 - tail)),
        }
    }

    pub(crate) fn forecast(&self, scores: &[f64]) -> Forecast {
        let at = |shift: f64| -> Vec<f64> {
            scores
                .par_iter()
                .map(|s| self.target.value(self.offset + self.slope * s + shift))
                .collect()
        };
        Forecast { mean: at(0.0), low: at(self.quantiles.0), high: at(self.quantiles.1) }
    }
}

/// Quantile function of the standard normal distribution, to 1e-9 relative (Acklam's rational
/// approximation).
fn probit(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    } else if p <= 1.0 - 0.02425 {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    } else {
        -probit(1.0 - p)
    }
}

#[cfg(test)]
mod tests;
