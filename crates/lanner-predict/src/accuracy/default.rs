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
//! Values in the metric's own unit come from where the score falls among the training values, and
//! intervals from predictions of training rows that were held out.

use super::features::AccuracyFeatures;
use super::scores::{Calibration, NormalScores};
use crate::checks::check_lengths;
use crate::regress::gp::{Component, EXACT_ROWS, Gp, GpOptions, HyperPrior};
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
    scale: NormalScores,
}

enum MemberKind {
    Process(Box<Gp>, Vec<Component>),
    Trees(ExtraTrees),
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
        let pool: Vec<usize> = (0..features.len()).collect();
        let mut fitted = Vec::new();
        for components in features.members() {
            let gp = Gp::fit(&components, rows, &t, &gp_options(40), None)?;
            let all = gp.predict(&components, &pool, false).mean;
            let held_out = gp.leave_one_out().mean;
            fitted.push((MemberKind::Process(Box::new(gp), components), all, held_out));
        }
        if features.chain.is_none() {
            let (forest, held_out) = trees(features, rows, &t, seed)?;
            let all = forest.predict(&features.all);
            fitted.push((MemberKind::Trees(forest), all, held_out));
        }

        let mut scores = vec![0.0; features.len()];
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

    /// Accuracies of other architectures, by [`AccuracyFeatures::of`] the features that this was fitted on.
    /// Beyond the best and the worst that a member predicts in the pool, its scores go on in a line.
    pub fn predict_others(&self, features: &AccuracyFeatures) -> Forecast {
        let mut scores = vec![0.0; features.len()];
        let mut asked = features.members().into_iter();
        for member in &self.members {
            let predicted = match &member.kind {
                MemberKind::Trees(forest) => forest.predict(&features.all),
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

/// The trees, and predictions for the training rows by trees without them. Of more than [`EXACT_ROWS`] rows
/// each tree sees some, so that there are trees without each.
fn trees(
    features: &AccuracyFeatures,
    rows: &[usize],
    t: &[f64],
    seed: u64,
) -> Result<(ExtraTrees, Vec<f64>), PredictError> {
    let mut options = TreeOptions::default();
    let known = features.all.select(rows);
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
