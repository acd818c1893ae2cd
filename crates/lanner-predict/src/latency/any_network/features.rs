//! Random features of networks, by which effects of operations' sizes are linear.

use lanner_network::NetworkError;
use lanner_network::onnx::{self, FIRST_RECURRENT, ReadOptions};
use rand::RngExt;
use rayon::prelude::*;

use super::{Counted, Sample};
use crate::PredictError;
use crate::encode::tensor_operations::{self as ops, ALL_SUMS, CLASS_COUNT, SIZES};
use crate::regress::gp::{Component, HyperPrior, Kernel};
use crate::regress::linalg::Mat;
use crate::select::informative::most_informative;

/// Numbers of probes that are put in order, so many as are considered at a time.
const IMAGES_AND_TOKENS: u64 = 2300;
const RECURRENT: u64 = 200;
/// Random features of a class of operations.
const FEATURES: usize = 96;
/// Those of all classes, with what each class and all operations have in common.
pub(super) const WIDTH: usize = CLASS_COUNT * (FEATURES + 1) + 1;
/// Variance that all operations, and those of a class, have in common; that of sizes is 1.
const COMMON: f64 = 0.3;
const OF_CLASS: f64 = 0.3;
/// Length by which likeness of operations falls, in octaves of their sizes.
const LENGTH: f64 = 4.0;
/// Milliseconds of a network, an operation, a million products and a million values moved, on an ordinary core.
const ORDINARY: [f64; 4] = [0.01, 0.002, 0.02, 0.3];

/// Random directions in the space of sizes: their cosines' products fall with the distance of two
/// operations, slowly for far ones.
pub(super) struct RandomFeatures {
    directions: Vec<[f64; SIZES]>,
    phases: Vec<f64>,
}

impl RandomFeatures {
    pub(super) fn new() -> RandomFeatures {
        let mut rng = lanner_nn::rng(0, "directions of operations");
        let mut uniform = || -> f64 { rng.random() };
        let mut normal =
            || (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let mut directions = Vec::with_capacity(FEATURES);
        for _ in 0..FEATURES {
            let mut direction = [0.0; SIZES];
            direction.iter_mut().for_each(|d| *d = normal());
            // A mixture of lengths (Cauchy's): near operations are alike, and far ones a little.
            let scale = 0.7 / LENGTH / normal().abs().max(0.05);
            directions.push(direction.map(|d| d * scale));
        }
        let mut rng = lanner_nn::rng(0, "phases of operations");
        let phases = (0..FEATURES).map(|_| std::f64::consts::TAU * rng.random::<f64>()).collect();
        RandomFeatures { directions, phases }
    }

    /// Base time and features of a network: each operation's, by its share of the base.
    pub(super) fn of(&self, network: &Counted, weights: &[f64]) -> (f64, Vec<f64>) {
        let constant = weights[ALL_SUMS];
        let times: Vec<f64> = network.operations.iter().map(|o| ops::time(o, weights)).collect();
        let base = (times.iter().sum::<f64>() + constant).max(1e-9);
        let mut features = vec![0.0; WIDTH];
        let scale = (2.0 / FEATURES as f64).sqrt();
        for (o, time) in network.operations.iter().zip(times) {
            // An operation without a time in the base may still have one.
            let share = (time + 1e-3 * base / network.operations.len() as f64) / base;
            let part = &mut features[o.class * (FEATURES + 1)..(o.class + 1) * (FEATURES + 1)];
            for ((to, direction), phase) in part.iter_mut().zip(&self.directions).zip(&self.phases)
            {
                let angle: f64 = direction.iter().zip(o.sizes).map(|(d, s)| d * s).sum();
                *to += scale * share * (angle + phase).cos();
            }
            part[FEATURES] += OF_CLASS.sqrt() * share;
            features[WIDTH - 1] += COMMON.sqrt() * share;
        }
        (base, features)
    }
}

/// Features of networks, and the logarithms of what their base times are wrong by.
pub(super) fn features(samples: &[&Sample], latencies: &[f64], weights: &[f64]) -> (Mat, Vec<f64>) {
    let random = RandomFeatures::new();
    let rows: Vec<(f64, Vec<f64>)> =
        samples.par_iter().map(|s| random.of(&s.network, weights)).collect();
    let errors = latencies.iter().zip(&rows).map(|(y, r)| (y / r.0).ln()).collect();
    (Mat::from_fn(rows.len(), WIDTH, |i, j| rows[i].1[j]), errors)
}

/// Chooses `n` of random networks to measure, the most informative first, before anything is known of the device: under
/// the covariance that operations would have on one of ordinary speeds
/// ([`most_informative`](crate::select::informative::most_informative)).
pub fn informative(networks: &[Counted], n: usize, seed: u64) -> Vec<usize> {
    let mut weights = vec![0.0; ALL_SUMS + 1];
    weights[ALL_SUMS] = ORDINARY[0];
    for class in weights[..ALL_SUMS].chunks_mut(ALL_SUMS / CLASS_COUNT) {
        (class[ops::NUMBER], class[ops::PRODUCTS], class[ops::MOVED]) =
            (ORDINARY[1], ORDINARY[2], ORDINARY[3]);
    }
    let random = RandomFeatures::new();
    let rows: Vec<Vec<f64>> = networks.par_iter().map(|n| random.of(n, &weights).1).collect();
    let x = Mat::from_fn(rows.len(), WIDTH, |i, j| rows[i][j]);
    let prior = HyperPrior::new(1.0, 1.0);
    let component =
        Component { kernel: Kernel::Linear, x: x.into(), amplitude: prior, length: prior };
    let all: Vec<usize> = (0..networks.len()).collect();
    most_informative(&[component], &all, n, seed)
}

/// Numbers of [`candidates`], those that tell most first, as [`order_probes`] chooses them: that takes too long to do it
/// for each profile.
const ORDER: &str = include_str!("probes.txt");

/// Lists the numbers of `count` [probes](onnx::probe) to measure on a device, those that tell most first: however
/// many are measured, they are the best of that number.
pub fn probes(count: u64) -> Vec<u64> {
    let chosen = ORDER.split_whitespace().filter_map(|number| number.parse().ok());
    chosen.chain(IMAGES_AND_TOKENS..).take(count as usize).collect()
}

/// Numbers of the probes that are put in order.
fn candidates() -> Vec<u64> {
    (0..IMAGES_AND_TOKENS).chain(FIRST_RECURRENT..FIRST_RECURRENT + RECURRENT).collect()
}

/// Chooses the first `n` of the order of candidates in which they tell most.
///
/// # Errors
/// None that a caller could cause.
pub fn order_probes(n: usize) -> Result<Vec<u64>, PredictError> {
    let numbers = candidates();
    let counted = numbers
        .par_iter()
        .map(|&n| Ok(Counted::of(&onnx::read(&onnx::probe(n), &ReadOptions::default())?)))
        .collect::<Result<Vec<Counted>, NetworkError>>()
        .map_err(|e| PredictError::Model { why: e.to_string() })?;
    Ok(informative(&counted, n, 0).into_iter().map(|i| numbers[i]).collect())
}
