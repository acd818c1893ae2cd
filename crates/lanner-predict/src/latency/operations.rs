//! Latency as a sum over operations: a predictor that is not bound to a search space.
//!
//! A network is counted as the [`OpNode`]s of its [`OpGraph`](lanner_network::OpGraph): operations by what they are (kind,
//! kernel, stride, groups, channels, resolution, cost), not by a space's own codes. Each takes
//!
//! > t(v) = base(v) · (1 + g(v))
//!
//! where `base` is a mixture of simulated devices (non-negative weights, [`crate::encode::costs`]), and `g`
//! a Gaussian process over operations, alike in kind and the nearer in sizes, the more alike. A
//! network's latency is the sum over its operations and a constant. So measurements of whole networks of one space tell
//! the times of operations, which are those of any other network: what was never measured is
//! the simulated devices' guess.
//!
//! ```
//! use lanner_network::{Skeleton, View};
//! use lanner_predict::encode::operations::Counted;
//! use lanner_predict::latency::operations::OperationsModel;
//! use lanner_space::Space;
//!
//! // A made-up device: a nanosecond for every thousand FLOPs and a microsecond a layer.
//! let counted = |space: &Space, text: &str| -> Result<Counted, Box<dyn std::error::Error>> {
//!     let skeleton = Skeleton { cells: 1, ..Skeleton::of(space)? };
//!     Ok(Counted::of(&skeleton.build(&space.parse(text)?, View::Raw)?))
//! };
//! let device = |n: &Counted| -> f64 {
//!     n.operations.iter().map(|(op, count)| count * (1e-3 + op.flops as f64 * 1e-9)).sum()
//! };
//! let texts = ["333333", "222222", "111111", "301402", "123404", "444444", "313131", "023210"];
//! let known: Vec<Counted> =
//!     texts.iter().map(|t| counted(&Space::NasBench201, t)).collect::<Result<_, _>>()?;
//! let latencies: Vec<f64> = known.iter().map(device).collect();
//! let model = OperationsModel::fit(&[known], &latencies)?;
//! // Asked of another space.
//! let other = counted(&Space::TransBench101Micro, "64-41414-3_33_333")?;
//! let asked = model.latency(&other);
//! assert!((asked / device(&other) - 1.0).abs() < 0.3, "{asked}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;

use lanner_network::OpNode;
use rayon::prelude::*;
use serde::Deserialize;

use crate::PredictError;
use crate::checks::check_varied;
use crate::encode::costs;
use crate::encode::operations::Counted;
use crate::predictor::file::{Array, ModelFile};
use crate::regress::linalg::{Cholesky, Mat};
use crate::regress::mixture;

/// The method's name on the command line and in files.
pub const OPERATIONS: &str = "operations";
/// Names of arrays in a predictor's file.
const WEIGHTS: &str = "operations.weights";
const EFFECTS: &str = "operations.effects";
const LENGTH: &str = "operations.length";

/// Share of the variance of g that all operations have in common, and share that those of one kind
/// have; the rest falls with distance. Without what is common, kinds that were never measured would
/// keep a base that was corrected for all others. Chosen on the development devices of
/// `lanner-bench cross-space`.
const COMMON: f64 = 0.5;
const OF_KIND: f64 = 0.25;
/// Candidates of the length by which it falls, in octaves of sizes, and of the ratio of g's variance to
/// the noise's; the one with most evidence is taken.
const LENGTHS: [f64; 2] = [2.0, 8.0];
const RATIOS: [f64; 7] = [1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6];
/// Largest number of measurements that are used: more would cost more than they tell.
const MOST: usize = 2000;
const FEWEST: usize = 5;
/// No operation takes less of its base than this.
const LEAST: f64 = 0.05;

/// A device's times of operations.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationsModel {
    /// The view, of those that it was fitted to, that explains the device.
    view: usize,
    /// Weights of the simulated devices, and the constant.
    weights: Vec<f64>,
    length: f64,
    /// Operations of the measured networks, and what their g adds to that of others.
    known: Vec<(OpNode, f64)>,
}

impl OperationsModel {
    /// Fits latencies (any unit, positive) of networks in one or more views, of which the one that
    /// explains them best is taken.
    pub fn fit(views: &[Vec<Counted>], latencies: &[f64]) -> Result<OperationsModel, PredictError> {
        let mut best: Option<Candidate> = None;
        for (view, networks) in views.iter().enumerate() {
            let mut fitted = Candidate::fit(networks, latencies)?;
            fitted.model.view = view;
            if best.as_ref().is_none_or(|b| fitted.evidence > b.evidence) {
                best = Some(fitted);
            }
        }
        let none = || PredictError::Model { why: "no networks to learn from".into() };
        best.map(|fitted| fitted.model).ok_or_else(none)
    }

    /// Chooses the view that the device runs, of a space's
    /// [`views`](crate::encode::operations::views); a single view is the live one.
    pub fn seen<'a, T>(&self, views: &'a [T]) -> Option<&'a T> {
        views.get(self.view).or(views.last())
    }

    /// The latency of any network, of whatever space.
    pub fn latency(&self, network: &Counted) -> f64 {
        self.latencies(std::slice::from_ref(network))[0]
    }

    /// The same of many, which share operations.
    pub fn latencies(&self, networks: &[Counted]) -> Vec<f64> {
        let (all, places) = distinct(networks.iter());
        let times: Vec<f64> = all.par_iter().map(|op| self.time(op)).collect();
        let sum = |n: &Counted| -> f64 {
            n.operations.iter().map(|(op, count)| count * times[places[op]]).sum()
        };
        networks.iter().map(|n| self.weights[self.weights.len() - 1] + sum(n)).collect()
    }

    /// Writes its part of a predictor's file: nodes in the settings, numbers as arrays.
    pub(crate) fn store(&self, file: &mut ModelFile) {
        let nodes: Vec<OpNode> = self.known.iter().map(|k| k.0).collect();
        file.header.settings[OPERATIONS] = serde_json::json!({ "view": self.view, "nodes": nodes });
        let effects: Vec<f64> = self.known.iter().map(|k| k.1).collect();
        for (name, values) in
            [(WEIGHTS, self.weights.clone()), (EFFECTS, effects), (LENGTH, vec![self.length])]
        {
            file.tensors.insert(name.into(), Array::f64(values));
        }
    }

    /// Reads the part that [`OperationsModel::store`] wrote; `None` in other predictors' files.
    pub(crate) fn read(file: &ModelFile) -> Result<Option<OperationsModel>, PredictError> {
        #[derive(Deserialize)]
        struct Stored {
            view: usize,
            nodes: Vec<OpNode>,
        }
        let Some(settings) = file.header.settings.get(OPERATIONS) else { return Ok(None) };
        let bad = |why: String| PredictError::Model { why };
        let Stored { view, nodes } = Stored::deserialize(settings)
            .map_err(|e| bad(format!("its operations cannot be read: {e}")))?;
        // A weight of each simulated device, which any operation tells, and the constant.
        let devices = nodes.first().map_or(0, |op| costs::times_of(op).len());
        let weights = file.f64(WEIGHTS, &[devices + 1])?.to_vec();
        let effects = file.f64(EFFECTS, &[nodes.len()])?;
        let length = file.f64(LENGTH, &[1])?[0];
        let known = nodes.into_iter().zip(effects.iter().copied()).collect();
        Ok(Some(OperationsModel { view, weights, length, known }))
    }

    /// Time of an operation, in the unit of the measurements.
    pub fn time(&self, op: &OpNode) -> f64 {
        let g: f64 = self.known.iter().map(|(o, a)| a * likeness(o, op, self.length)).sum();
        base(&self.weights, op) * (1.0 + g).max(LEAST)
    }
}

/// The operations of networks, each once, and where each stands.
fn distinct<'a>(
    networks: impl Iterator<Item = &'a Counted>,
) -> (Vec<OpNode>, HashMap<OpNode, usize>) {
    let mut all = Vec::new();
    let mut places = HashMap::new();
    for (op, _) in networks.flat_map(|n| &n.operations) {
        places.entry(*op).or_insert_with(|| {
            all.push(*op);
            all.len() - 1
        });
    }
    (all, places)
}

/// A model and the logarithm of its evidence, but for a constant.
struct Candidate {
    model: OperationsModel,
    evidence: f64,
}

impl Candidate {
    fn fit(networks: &[Counted], latencies: &[f64]) -> Result<Candidate, PredictError> {
        if networks.len() != latencies.len() {
            let (architectures, targets) = (networks.len(), latencies.len());
            return Err(PredictError::Lengths { architectures, targets });
        }
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        check_varied(latencies, "latencies")?;
        if latencies.len() < FEWEST {
            let what = "latency predictor of operations".into();
            return Err(PredictError::TooFew { what, needed: FEWEST, got: latencies.len() });
        }
        let step = latencies.len().div_ceil(MOST);
        let rows: Vec<usize> = (0..latencies.len()).step_by(step).collect();
        let (ops, places) = distinct(rows.iter().map(|&row| &networks[row]));
        let simulated: Vec<Vec<f64>> = ops.iter().map(costs::times_of).collect();
        let mut times = Mat::zeros(rows.len(), simulated.first().map_or(0, Vec::len));
        for (i, &row) in rows.iter().enumerate() {
            for (op, count) in &networks[row].operations {
                let of = &simulated[places[op]];
                times.row_mut(i).iter_mut().zip(of).for_each(|(t, o)| *t += count * o);
            }
        }
        let y: Vec<f64> = rows.iter().map(|&r| latencies[r]).collect();
        let (_, weights) = mixture::weights(&times, &y);
        let bases: Vec<f64> = ops.iter().map(|op| base(&weights, op)).collect();
        // Each operation's part of a network's base.
        let mut parts = Mat::zeros(rows.len(), ops.len());
        let mut errors = vec![0.0; rows.len()];
        for (i, &row) in rows.iter().enumerate() {
            let of = &networks[row].operations;
            let sum: f64 = of.iter().map(|(op, count)| count * bases[places[op]]).sum();
            let whole = sum + weights[weights.len() - 1];
            for (op, count) in of {
                parts[(i, places[op])] += count * bases[places[op]] / whole;
            }
            errors[i] = y[i] / whole - 1.0;
        }
        let mut best: Option<Candidate> = None;
        for length in LENGTHS {
            let alike =
                Mat::from_fn(ops.len(), ops.len(), |a, b| likeness(&ops[a], &ops[b], length));
            let mixed = parts.times_transposed(&alike, 1.0);
            let k = mixed.times_transposed(&parts, 1.0);
            let tried: Vec<Option<(f64, Vec<f64>)>> =
                RATIOS.par_iter().map(|&ratio| evidence(&k, ratio, &errors, &y)).collect();
            for (evidence, alpha) in tried.into_iter().flatten() {
                if best.as_ref().is_some_and(|b| b.evidence >= evidence) {
                    continue;
                }
                let known = (ops.iter().enumerate())
                    .map(|(v, op)| {
                        let sum = (0..rows.len()).map(|i| parts[(i, v)] * alpha[i]).sum();
                        (*op, sum)
                    })
                    .collect();
                let model = OperationsModel { view: 0, weights: weights.clone(), length, known };
                best = Some(Candidate { model, evidence });
            }
        }
        best.ok_or_else(|| PredictError::Singular { what: "likeness of operations".into() })
    }
}

/// Log evidence of relative errors under a process with `ratio` times the variance of the noise,
/// which is integrated out; and ratio · K⁻¹ errors.
fn evidence(k: &Mat, ratio: f64, errors: &[f64], y: &[f64]) -> Option<(f64, Vec<f64>)> {
    let n = errors.len();
    let covariance = Mat::from_fn(n, n, |i, j| ratio * k[(i, j)] + if i == j { 1.0 } else { 0.0 });
    let factor = Cholesky::new(covariance)?;
    let mut alpha = factor.solve(errors);
    let square: f64 = alpha.iter().zip(errors).map(|(a, e)| a * e).sum();
    // Errors are relative to what the simulated devices take, which differs between views.
    let unit: f64 = y.iter().zip(errors).map(|(y, e)| (y / (1.0 + e)).ln()).sum();
    alpha.iter_mut().for_each(|a| *a *= ratio);
    let evidence = -factor.half_log_det() - n as f64 / 2.0 * square.max(1e-300).ln() - unit;
    evidence.is_finite().then_some((evidence, alpha))
}

/// Time of an operation on the mixture of simulated devices.
fn base(weights: &[f64], op: &OpNode) -> f64 {
    costs::times_of(op).iter().zip(weights).map(|(t, w)| t * w).sum()
}

/// The covariance of two operations' g.
fn likeness(a: &OpNode, b: &OpNode, length: f64) -> f64 {
    let form = |op: &OpNode| (op.kind, op.groups == 1, op.groups == op.out_channels);
    if form(a) != form(b) {
        return COMMON;
    }
    let distance: f64 = (a.features().iter().zip(b.features()))
        .map(|(a, b)| f64::from(a - b).powi(2))
        .sum::<f64>()
        .sqrt();
    COMMON + OF_KIND + (1.0 - COMMON - OF_KIND) * (-distance / length).exp()
}

#[cfg(test)]
mod tests;
