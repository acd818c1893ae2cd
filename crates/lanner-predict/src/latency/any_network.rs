//! Latency of any network on a device, from networks of any kind that were measured there.
//!
//! A network's latency is a sum over its operations,
//!
//! > t = c + Σ base(v), log(measured / t) = Σ share(v) · g(v) + noise
//!
//! where `base` is a non-negative sum of what a kernel's time grows with (products, values moved, weights
//! beyond the caches, …), with weights for each class of operation, and `g` a Gaussian process over the
//! operations' sizes, in random features (Rahimi & Recht, NIPS 2007). So whole networks teach what
//! operations cost, what fuses with what, and where shapes are slow. Networks of the family to be
//! predicted count for more than others ([`Sample::own`]).

use lanner_network::TensorGraph;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::encode::tensor_operations::{self as ops, ALL_SUMS, CLASS_COUNT, Operation, SIZES};
use crate::predictor::file::{Array, Header, ModelFile};
use crate::regress::linalg::{Cholesky, Mat};
use crate::regress::mixture;
use crate::{Forecast, PredictError};

/// The kind in a predictor's file; its space is [`ANY`].
pub const KIND: &str = "any-network";
/// Stands for the space in the file's header.
pub const ANY: &str = "any network";
const FEWEST: usize = 20;
/// Most measurements that are used: more would cost more than they tell.
const MOST: usize = 4000;

/// Random features of a class of operations, and of those the projection that tells how far a network is
/// from the measured ones.
const FEATURES: usize = 96;
const WIDTH: usize = CLASS_COUNT * (FEATURES + 1) + 1;
const PROJECTED: usize = 160;
/// Variance that all operations, and those of a class, have in common; that of sizes is 1.
const COMMON: f64 = 0.3;
const OF_CLASS: f64 = 0.3;
/// Candidates of the length by which likeness falls, in octaves, and of the noise's variance as a share of
/// the process's; those with most evidence are taken.
const LENGTHS: [f64; 3] = [2.0, 4.0, 8.0];
const NOISES: [f64; 4] = [0.003, 0.01, 0.03, 0.1];
/// Networks on which they are chosen.
const CHOICE: usize = 300;
/// Variance of a measurement of the user's own family, as a share of the others'.
const OWN: f64 = 0.2;

/// A network with its operations, ready to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    operations: Vec<Operation>,
}

impl Counted {
    pub fn of(graph: &TensorGraph) -> Counted {
        Counted { operations: ops::operations(graph) }
    }
}

/// A measured network.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub network: Counted,
    /// Latency in any unit, above 0.
    pub latency: f64,
    /// Whether it is of the family that will be predicted.
    pub own: bool,
}

/// A device's latency of any network.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyLatency {
    /// Weights of the sums, and the constant.
    weights: Vec<f64>,
    length: f64,
    /// What the random features add.
    effects: Vec<f64>,
    /// Factor of the covariance of projected features, and the variances of process and noise.
    spread: Vec<f64>,
    variance: f64,
    noise: f64,
    /// By how much intervals must be wider to hold what they should.
    widening: f64,
    metric: String,
    measured: usize,
}

#[derive(Serialize, Deserialize)]
struct Settings {
    metric: String,
    measured: usize,
}

impl AnyLatency {
    /// Fits measured networks. `metric` is the name of the latency, such as `latency_ms`.
    ///
    /// # Errors
    /// Too few networks, or a latency that is not above 0.
    pub fn fit(samples: &[Sample], metric: &str) -> Result<AnyLatency, PredictError> {
        let wrong = |s: &Sample| !(s.latency.is_finite() && s.latency > 0.0);
        if let Some(row) = samples.iter().position(wrong) {
            return Err(PredictError::Latency { row, value: samples[row].latency });
        }
        if samples.len() < FEWEST {
            let what = "latency predictor of any network".into();
            return Err(PredictError::TooFew { what, needed: FEWEST, got: samples.len() });
        }
        let step = samples.len().div_ceil(MOST);
        let samples: Vec<&Sample> = samples.iter().step_by(step).collect();
        let y: Vec<f64> = samples.iter().map(|s| s.latency).collect();
        let sums: Vec<Vec<f64>> =
            samples.iter().map(|s| ops::sums(&s.network.operations)).collect();
        let times = Mat::from_fn(y.len(), ALL_SUMS, |i, j| sums[i][j]);
        let (_, weights) = mixture::weights(&times, &y);
        let (length, noise) = likeliest(&samples, &y, &weights)
            .ok_or_else(|| PredictError::Singular { what: "likeness of networks".into() })?;
        let mut fitted = AnyLatency {
            weights,
            length,
            effects: Vec::new(),
            spread: Vec::new(),
            variance: 1.0,
            noise,
            widening: 1.0,
            metric: metric.into(),
            measured: y.len(),
        };
        fitted
            .learn(&samples)
            .ok_or_else(|| PredictError::Singular { what: "likeness of networks".into() })?;
        Ok(fitted)
    }

    /// Learns the effects of features, and how sure predictions are: from predictions of each network
    /// without itself, and of groups of networks that are alike, as a new family will not be.
    fn learn(&mut self, samples: &[&Sample]) -> Option<()> {
        let latencies: Vec<f64> = samples.iter().map(|s| s.latency).collect();
        let (z, errors) = features(samples, &latencies, &self.weights, self.length);
        let n = errors.len();
        let noise = |i: usize| if samples[i].own { OWN * self.noise } else { self.noise };
        let precision = covariance(&z, noise)?.inverse();
        let alpha: Vec<f64> = (0..n)
            .map(|i| precision.row(i).iter().zip(&errors).map(|(p, e)| p * e).sum())
            .collect();
        let square: f64 = alpha.iter().zip(&errors).map(|(a, e)| a * e).sum();
        self.variance = square / n as f64;
        self.effects = vec![0.0; WIDTH];
        for (i, a) in alpha.iter().enumerate() {
            self.effects.iter_mut().zip(z.row(i)).for_each(|(to, z)| *to += z * a);
        }
        let projection = projection();
        let projected: Vec<Vec<f64>> =
            (0..n).into_par_iter().map(|i| projected(&projection, z.row(i))).collect();
        // (SᵀN⁻¹S + I), whose inverse is the covariance of what projected features add.
        let scaled = Mat::from_fn(n, PROJECTED, |i, a| projected[i][a] / noise(i).sqrt());
        let mut inner = scaled.gram();
        (0..PROJECTED).for_each(|a| inner[(a, a)] += 1.0);
        let inverse = Cholesky::new(inner)?.inverse();
        self.spread = (0..PROJECTED).flat_map(|a| inverse.row(a).to_vec()).collect();
        let mut scores = Vec::new();
        for i in 0..n {
            let (error, variance) = (alpha[i] / precision[(i, i)], 1.0 / precision[(i, i)]);
            scores.push(error.abs() / (self.variance * variance).sqrt());
        }
        for group in alike(&projected) {
            let m = group.len();
            let block = Mat::from_fn(m, m, |a, b| precision[(group[a], group[b])]);
            let Some(factor) = Cholesky::new(block) else { continue };
            let part: Vec<f64> = group.iter().map(|&i| alpha[i]).collect();
            let (left, variances) = (factor.solve(&part), factor.inverse());
            for a in 0..m {
                scores.push(left[a].abs() / (self.variance * variances[(a, a)]).sqrt());
            }
        }
        scores.sort_by(f64::total_cmp);
        let place = ((scores.len() as f64 * 0.9) as usize).min(scores.len() - 1);
        self.widening = (scores[place] / NORMAL_90).max(0.3);
        Some(())
    }

    /// Predicts medians with 90 % intervals, in the unit of the measurements.
    pub fn predict(&self, networks: &[Counted]) -> Forecast {
        let random = RandomFeatures::new(self.length);
        let projection = projection();
        let one = |network: &Counted| {
            let (base, features) = random.of(network, &self.weights);
            let effect: f64 = features.iter().zip(&self.effects).map(|(f, e)| f * e).sum();
            let s = projected(&projection, &features);
            let whole: f64 = features.iter().map(|f| f * f).sum();
            let inside: f64 = s.iter().map(|f| f * f).sum();
            let known: f64 = (s.iter().zip(self.spread.chunks(PROJECTED)))
                .map(|(a, row)| a * row.iter().zip(&s).map(|(r, b)| r * b).sum::<f64>())
                .sum();
            // What the projection leaves out is as unknown as what it has.
            let unknown = known.max(0.0) * (whole / inside.max(1e-12)).clamp(1.0, 2.0);
            let deviation = (self.variance * (unknown + self.noise)).sqrt() * self.widening;
            let median = (base.ln() + effect).exp();
            let wide = (NORMAL_90 * deviation).min(5.0).exp();
            (median, median / wide, median * wide)
        };
        let all: Vec<(f64, f64, f64)> = networks.par_iter().map(one).collect();
        Forecast {
            mean: all.iter().map(|p| p.0).collect(),
            low: all.iter().map(|p| p.1).collect(),
            high: all.iter().map(|p| p.2).collect(),
        }
    }

    /// Predicts by the sums alone, as kernel by kernel, for comparisons.
    pub fn sums_of(&self, networks: &[Counted]) -> Vec<f64> {
        let one = |network: &Counted| {
            let times = network.operations.iter().map(|o| ops::time(o, &self.weights));
            self.weights[ALL_SUMS] + times.sum::<f64>()
        };
        networks.iter().map(one).collect()
    }

    /// Describes what was chosen when it was fitted.
    pub fn describe(&self) -> String {
        let AnyLatency { length, noise, widening, measured, .. } = self;
        format!("{measured} networks, length {length}, noise {noise}, widening {widening:.2}")
    }

    /// Name of the latency.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Number of measured networks.
    pub fn measured(&self) -> usize {
        self.measured
    }

    /// Writes the predictor to a file.
    pub fn save(&self, path: &std::path::Path) -> Result<(), PredictError> {
        let mut header = Header::new(KIND, ANY, "default", 0);
        let settings = Settings { metric: self.metric.clone(), measured: self.measured };
        header.settings = serde_json::to_value(settings)
            .map_err(|e| PredictError::Model { why: e.to_string() })?;
        let mut file = ModelFile::new(header);
        let facts = vec![self.length, self.variance, self.noise, self.widening];
        for (name, values) in [
            ("weights", self.weights.clone()),
            ("effects", self.effects.clone()),
            ("spread", self.spread.clone()),
            ("facts", facts),
        ] {
            file.tensors.insert(name.into(), Array::f64(values));
        }
        file.save(path)
    }

    /// Reads a predictor that [`AnyLatency::save`] wrote.
    pub fn load(path: &std::path::Path) -> Result<AnyLatency, PredictError> {
        let file = ModelFile::load(path, KIND, ANY)?;
        let read = || {
            let Settings { metric, measured } = file.settings()?;
            let facts = file.f64("facts", &[4])?;
            let &[length, variance, noise, widening] = facts else { unreachable!("of length 4") };
            let arrays = [
                file.f64("weights", &[ALL_SUMS + 1])?,
                file.f64("effects", &[WIDTH])?,
                file.f64("spread", &[PROJECTED * PROJECTED])?,
            ];
            if facts.iter().chain(arrays.iter().copied().flatten()).any(|v| !v.is_finite()) {
                return Err(PredictError::Model { why: "a number that is not finite".into() });
            }
            let [weights, effects, spread] = arrays.map(<[f64]>::to_vec);
            Ok(AnyLatency {
                weights,
                length,
                effects,
                spread,
                variance,
                noise,
                widening,
                metric,
                measured,
            })
        };
        read().map_err(|e: PredictError| PredictError::ModelFile {
            path: path.into(),
            why: e.to_string(),
        })
    }
}

/// Features of networks, and the logarithms of what their base times are wrong by.
fn features(
    samples: &[&Sample],
    latencies: &[f64],
    weights: &[f64],
    length: f64,
) -> (Mat, Vec<f64>) {
    let random = RandomFeatures::new(length);
    let rows: Vec<(f64, Vec<f64>)> =
        samples.par_iter().map(|s| random.of(&s.network, weights)).collect();
    let errors = latencies.iter().zip(&rows).map(|(y, r)| (y / r.0).ln()).collect();
    (Mat::from_fn(rows.len(), WIDTH, |i, j| rows[i].1[j]), errors)
}

fn covariance(z: &Mat, noise: impl Fn(usize) -> f64) -> Option<Cholesky> {
    let mut k = z.times_transposed(z, 1.0);
    (0..z.rows).for_each(|i| k[(i, i)] += noise(i));
    Cholesky::new(k)
}

/// Length and noise with most evidence, on some of the networks: on all it would take minutes.
fn likeliest(samples: &[&Sample], y: &[f64], weights: &[f64]) -> Option<(f64, f64)> {
    let step = samples.len().div_ceil(CHOICE);
    let few: Vec<&Sample> = samples.iter().copied().step_by(step).collect();
    let y: Vec<f64> = y.iter().copied().step_by(step).collect();
    let mut best: Option<(f64, (f64, f64))> = None;
    for length in LENGTHS {
        let (z, errors) = features(&few, &y, weights, length);
        let k = z.times_transposed(&z, 1.0);
        for noise in NOISES {
            let own = |i: usize| if few[i].own { OWN * noise } else { noise };
            let n = y.len();
            let sum = |i, j| k[(i, j)] + if i == j { own(i) } else { 0.0 };
            let Some(factor) = Cholesky::new(Mat::from_fn(n, n, sum)) else { continue };
            let square: f64 = factor.solve(&errors).iter().zip(&errors).map(|(a, e)| a * e).sum();
            let evidence = -factor.half_log_det() - n as f64 / 2.0 * square.max(1e-300).ln();
            if best.is_none_or(|b| evidence > b.0) {
                best = Some((evidence, (length, noise)));
            }
        }
    }
    best.map(|b| b.1)
}

/// Half the width of a normal distribution's 90 % interval, in deviations.
const NORMAL_90: f64 = 1.6449;

/// Random directions in the space of sizes: their cosines' products fall with the distance of two
/// operations, slowly for far ones.
struct RandomFeatures {
    directions: Vec<[f64; SIZES]>,
    phases: Vec<f64>,
}

impl RandomFeatures {
    fn new(length: f64) -> RandomFeatures {
        let mut rng = lanner_nn::rng(0, "directions of operations");
        let mut uniform = || -> f64 { rng.random() };
        let mut normal =
            || (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let mut directions = Vec::with_capacity(FEATURES);
        for _ in 0..FEATURES {
            let mut direction = [0.0; SIZES];
            direction.iter_mut().for_each(|d| *d = normal());
            // A mixture of lengths (Cauchy's): near operations are alike, and far ones a little.
            let scale = 0.7 / length / normal().abs().max(0.05);
            directions.push(direction.map(|d| d * scale));
        }
        let mut rng = lanner_nn::rng(0, "phases of operations");
        let phases = (0..FEATURES).map(|_| std::f64::consts::TAU * rng.random::<f64>()).collect();
        RandomFeatures { directions, phases }
    }

    /// Base time and features of a network: each operation's, by its share of the base.
    fn of(&self, network: &Counted, weights: &[f64]) -> (f64, Vec<f64>) {
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

/// A random matrix that keeps distances of features (Johnson & Lindenstrauss 1984).
fn projection() -> Vec<f32> {
    let mut rng = lanner_nn::rng(0, "projection of features");
    let scale = (1.0 / PROJECTED as f32).sqrt();
    let sign = |bits: u64| if bits & 1 == 0 { scale } else { -scale };
    (0..WIDTH * PROJECTED).map(|_| sign(rng.random())).collect()
}

fn projected(projection: &[f32], features: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0; PROJECTED];
    for (f, row) in features.iter().zip(projection.chunks(PROJECTED)).filter(|(f, _)| **f != 0.0) {
        all.iter_mut().zip(row).for_each(|(a, r)| *a += f * f64::from(*r));
    }
    all
}

/// Groups of networks that are alike: those nearest to each of a dozen that are far from each other.
fn alike(points: &[Vec<f64>]) -> Vec<Vec<usize>> {
    const GROUPS: usize = 12;
    let distance =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum() };
    let mut nearest = vec![(f64::INFINITY, 0); points.len()];
    let mut centre = 0;
    for group in 0..GROUPS.min(points.len()) {
        for (i, near) in nearest.iter_mut().enumerate() {
            let d = distance(&points[i], &points[centre]);
            if d < near.0 {
                *near = (d, group);
            }
        }
        let far = nearest.iter().enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        centre = far.map_or(0, |(i, _)| i);
    }
    let mut groups = vec![Vec::new(); GROUPS];
    nearest.iter().enumerate().for_each(|(i, n)| groups[n.1].push(i));
    groups.retain(|g| !g.is_empty() && g.len() < points.len());
    groups
}

#[cfg(test)]
#[path = "any_network_tests.rs"]
mod tests;
