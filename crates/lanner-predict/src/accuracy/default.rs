//! The `default` accuracy predictor, and the Gaussian process that it has to beat.
//!
//! Rankings matter more than values, and accuracies crowd below their optimum with a long tail of
//! networks that hardly learn: the target is the normal score of the rank, t = Φ⁻¹((rank − ½) / n).
//! Three members that err differently are averaged: a Matérn process on graph properties and counts,
//! one on variance shares and sizes (see [`crate::encode::cells`]), and extremely randomised trees
//! on all of these. In chains, where there are no paths to describe and what is chosen adds up
//! place by place, the three are processes with linear terms: an exponential one on the choices, a
//! Matérn one on what came before each place, and one with products of two choices. How many there are
//! of each block, and the cost, have bent terms of their own, for where they tell nearly all. Each
//! member's predictions are turned into normal scores over the whole pool before the mean, so that the
//! members weigh equally, whatever they shrink.
//!
//! With an untrained score of the architectures ([`AccuracyFeatures::with_prior`]), members predict the
//! difference from a line in it. The processes' line has a slope that the targets move as much as they
//! tell, by a linear term beside the fixed one; the trees', one by Bayes' rule. The members without it
//! stand beside them, and all weigh as much as they predict training rows that are held out, so that a
//! score that tells nothing is forgotten.
//!
//! Values in the metric's own unit come from where the score falls among the training values, and
//! intervals from predictions of training rows that were held out.

use std::borrow::Cow;

use super::features::{AccuracyFeatures, SLOPE, slope};
use super::scores::{Calibration, NormalScores};
use crate::checks::check_lengths;
use crate::regress::gp::{Component, EXACT_ROWS, Gp, GpOptions, HyperPrior};
use crate::regress::linalg::Mat;
use crate::regress::trees::{ExtraTrees, TreeOptions};
use crate::{Forecast, PredictError};

/// Fewest training rows.
const FEWEST: usize = 5;
/// Hyper-parameters are fitted to at most this many rows.
const HYPER_ROWS: usize = 500;
/// Parts in which the trees hold training rows out to learn how far they err.
const FOLDS: usize = 5;

/// Options by which [`AccuracyModel`], [`GraphGp`](super::GraphGp) and the search fit their processes.
pub fn gp_options(iterations: usize) -> GpOptions {
    GpOptions {
        noise: HyperPrior::new(0.135, 1.0),
        iterations,
        hyper_rows: HYPER_ROWS,
        student: None,
    }
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
    /// Whether it sees the prior.
    prior: bool,
    scale: NormalScores,
    weight: f64,
}

enum MemberKind {
    Process(Box<Gp>, Vec<Component>),
    /// Trees, and the slope of the prior beside them.
    Trees(ExtraTrees, f64),
}

impl AccuracyModel {
    /// Fits accuracies (any unit, more is better) of pool rows `rows`; the seed is that of the trees.
    pub fn fit(
        features: &AccuracyFeatures,
        rows: &[usize],
        values: &[f64],
        seed: u64,
    ) -> Result<AccuracyModel, PredictError> {
        check(rows, values)?;
        let target = NormalScores::new(values);
        let t: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
        let mut fitted = fitted(features, rows, &t, seed)?;
        if features.prior.is_some() {
            fitted.extend(self::fitted(&features.without_prior(), rows, &t, seed)?);
        }
        let weights = match features.prior {
            None => vec![1.0 / fitted.len() as f64; fitted.len()],
            Some(_) => weights(&fitted, &t),
        };
        let mut scores = vec![0.0; features.len()];
        let mut held_out = vec![0.0; rows.len()];
        let mut members = Vec::new();
        for (Fitted { kind, prior, all, held_out: out }, weight) in fitted.into_iter().zip(weights)
        {
            let scale = NormalScores::new(&all);
            for (sum, &p) in scores.iter_mut().zip(&all) {
                *sum += weight * scale.score(p);
            }
            for (sum, &p) in held_out.iter_mut().zip(&out) {
                *sum += weight * scale.score(p);
            }
            members.push(Member { kind, prior, scale, weight });
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

    /// Accuracies of other architectures, by [`AccuracyFeatures::of`] the features that this was fitted on.
    /// Beyond the best and the worst that a member predicts in the pool, its scores go on in a line.
    pub fn predict_others(&self, features: &AccuracyFeatures) -> Forecast {
        let mut scores = vec![0.0; features.len()];
        let plain = features.without_prior();
        let features = match self.members.iter().any(|m| m.prior) {
            true => &features.clone().or_without_score(),
            false => &plain,
        };
        let mut asked = features.members().into_iter().chain(plain.members());
        for member in &self.members {
            let features = if member.prior { features } else { &plain };
            let (slope, mut predicted) = match &member.kind {
                MemberKind::Trees(forest, slope) => (*slope, forest.predict(&for_trees(features))),
                MemberKind::Process(gp, components) => {
                    // As many as were fitted: which there are depends on the space alone.
                    let asked = asked.next().unwrap_or_default();
                    (SLOPE, gp.predict_others(components, &asked, false).mean)
                }
            };
            let with_prior = predicted.iter_mut().enumerate();
            with_prior.for_each(|(row, p)| *p += slope * features.prior(row));
            for (sum, p) in scores.iter_mut().zip(predicted) {
                *sum += member.weight * member.scale.score_beyond(p);
            }
        }
        self.calibration.forecast(&scores)
    }
}

/// A fitted member: whether it sees the prior, and what it predicts of the pool and of each training row
/// without it.
struct Fitted {
    kind: MemberKind,
    prior: bool,
    all: Vec<f64>,
    held_out: Vec<f64>,
}

/// Fits all members to targets; with a prior, they predict the difference from what it says.
fn fitted(
    features: &AccuracyFeatures,
    rows: &[usize],
    t: &[f64],
    seed: u64,
) -> Result<Vec<Fitted>, PredictError> {
    let pool: Vec<usize> = (0..features.len()).collect();
    let prior = features.prior.is_some();
    let without = |slope: f64| -> Vec<f64> {
        t.iter().zip(rows).map(|(t, &row)| t - slope * features.prior(row)).collect()
    };
    let with = |rows: &[usize], slope: f64, mut values: Vec<f64>| -> Vec<f64> {
        values.iter_mut().zip(rows).for_each(|(v, &row)| *v += slope * features.prior(row));
        values
    };
    let mut fitted = Vec::new();
    let target_of_processes = without(SLOPE);
    for components in features.members() {
        let gp = Gp::fit(&components, rows, &target_of_processes, &gp_options(40), None)?;
        let all = with(&pool, SLOPE, gp.predict(&components, &pool, false).mean);
        let held_out = with(rows, SLOPE, gp.leave_one_out().mean);
        let kind = MemberKind::Process(Box::new(gp), components);
        fitted.push(Fitted { kind, prior, all, held_out });
    }
    if features.chain.is_none() {
        let scores: Vec<f64> = rows.iter().map(|&row| features.prior(row)).collect();
        let slope = slope(&scores, t);
        let (forest, held_out) = trees(features, rows, &without(slope), seed)?;
        let all = with(&pool, slope, forest.predict(&for_trees(features)));
        let held_out = with(rows, slope, held_out);
        fitted.push(Fitted { kind: MemberKind::Trees(forest, slope), prior, all, held_out });
    }
    Ok(fitted)
}

/// Share of the training rows that count as evidence for or against the prior: their predictions, each
/// without that row, are not independent.
const EVIDENCE: f64 = 0.5;

/// Weights of members, those with the prior first: all kinds weigh the same, and within each the prior as
/// much as training rows that were held out speak for it. With residuals of a normal distribution, the
/// logarithm of the odds is half the rows times that of the ratio of the errors, here its mean over kinds.
fn weights(fitted: &[Fitted], t: &[f64]) -> Vec<f64> {
    let error = |f: &Fitted| -> f64 {
        let square: f64 = f.held_out.iter().zip(t).map(|(p, t)| (p - t).powi(2)).sum();
        (square / t.len() as f64).max(1e-6)
    };
    let kinds = fitted.len() / 2;
    let (with, without) = fitted.split_at(kinds);
    let ratios = with.iter().zip(without).map(|(a, b)| (error(b) / error(a)).ln());
    let mean = ratios.sum::<f64>() / kinds as f64;
    let share = 1.0 / (1.0 + (-EVIDENCE * t.len() as f64 * mean).exp());
    let of = |f: &Fitted| if f.prior { share } else { 1.0 - share } / kinds as f64;
    fitted.iter().map(of).collect()
}

/// Input of the trees: all features, and the prior.
fn for_trees(features: &AccuracyFeatures) -> Cow<'_, Mat> {
    match &features.prior {
        None => Cow::Borrowed(&features.all),
        Some(prior) => Cow::Owned(features.all.beside(prior)),
    }
}

/// The trees, and predictions for the training rows by trees without them. Of more than [`EXACT_ROWS`] rows
/// each tree sees some, so that there are trees without each.
fn trees(
    features: &AccuracyFeatures,
    rows: &[usize],
    t: &[f64],
    seed: u64,
) -> Result<(ExtraTrees, Vec<f64>), PredictError> {
    let mut options = TreeOptions::default();
    let known = for_trees(features).select(rows);
    if rows.len() > EXACT_ROWS {
        options.rows = EXACT_ROWS.min(rows.len() * 4 / 5);
        let all = ExtraTrees::fit(&known, t, &options, seed)?;
        let held_out = all.out_of_bag(&known, &options, seed);
        return Ok((all, held_out));
    }
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

pub(crate) fn check(rows: &[usize], values: &[f64]) -> Result<(), PredictError> {
    check_lengths(rows, values)?;
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

#[cfg(test)]
mod tests;
