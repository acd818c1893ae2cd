//! Latency of any network on a device, from networks of any kind that were measured there.
//!
//! A network's latency is a sum over its operations,
//!
//! > t = c + Σ base(v), log(measured / t) = Σ share(v) · (g(v) + f(v)) + b + noise
//!
//! where `base` is a non-negative sum of what a kernel's time grows with (products, values moved, weights
//! beyond the caches, …), with weights for each class of operation, and `g` a Gaussian process over the
//! operations' sizes, in random features (Rahimi & Recht, NIPS 2007). So whole networks teach what
//! operations cost, what fuses with what, and where shapes are slow. `f` is such a process of each family's own, and
//! `b` a factor of each family: ten of its networks measure both. Of a family that was never measured only `g` is known, and
//! that is believed as far as it would have helped for families that were left out.

mod families;
mod features;

use std::path::Path;

use lanner_network::TensorGraph;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::encode::tensor_operations::{self as ops, ALL_SUMS, CLASS_COUNT, Operation};
use crate::predictor::file::{self, Array, Header, ModelFile};
use crate::regress::linalg::{Cholesky, Mat};
use crate::{Forecast, PredictError};
use families::Process;
use features::{RandomFeatures, WIDTH, features};
pub use features::{informative, probes};

/// The kind in a predictor's file; its space is [`ANY`].
pub const KIND: &str = "any-network";
/// Stands for the space in the file's header.
pub const ANY: &str = "any network";
const FEWEST: usize = 20;
/// Most measurements that are used: more would cost more than they tell.
const MOST: usize = 4000;

/// Variances of logarithms: of `g`, of a family's factor, and of a family's own effects. Chosen on seven of the
/// fourteen families of latbench, by leaving each out.
const SHARED: f64 = 0.02;
const FACTOR: f64 = 0.1;
const OF_FAMILY: f64 = 0.1;
/// Most distance of a network from those of the family to be predicted that were measured, if it is to be one of
/// them; that of two that share no operation is 1.4.
const NEAR: f64 = 0.5;
/// Number of measurements of a family that the scatter of all others counts for in its own.
const SCATTER: f64 = 3.0;

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

/// Origin of a measured network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A random network, like no other.
    Probe,
    /// One of a family by the number that the caller gives it, that will not be asked for.
    Family(u32),
    /// One of the family that will be predicted.
    Own,
}

impl Origin {
    /// Weight of a measurement in the sums.
    fn importance(self) -> f64 {
        if self == Origin::Probe { 0.3 } else { 1.0 }
    }

    /// Variance of the noise, measured and unexplained.
    fn noise(self) -> f64 {
        if self == Origin::Probe { 0.02 } else { 0.003 }
    }
}

/// A measured network.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub network: Counted,
    /// Latency in any unit, above 0.
    pub latency: f64,
    pub origin: Origin,
}

/// A device's latency of any network.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyLatency {
    /// Weights of the sums, and the constant.
    weights: Vec<f64>,
    /// Effects of features on networks of no measured family.
    effects: Vec<f64>,
    /// Half the width of their intervals, on the scale of logarithms.
    half: f64,
    own: Option<Family>,
    trust: f64,
    metric: String,
    measured: usize,
}

/// The family to be predicted, of which some networks were measured.
#[derive(Debug, Clone, PartialEq)]
struct Family {
    effects: Vec<f64>,
    factor: f64,
    half: f64,
    /// Roots of the shares of operations of the measured ones, [`CLASS_COUNT`] each.
    shares: Vec<f64>,
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
        let (n, all) = (samples.len(), (0..samples.len()).collect::<Vec<usize>>());
        let y: Vec<f64> = samples.iter().map(|s| s.latency).collect();
        let sums: Vec<Vec<f64>> =
            samples.iter().map(|s| ops::sums(&s.network.operations)).collect();
        let sums = Mat::from_fn(n, ALL_SUMS, |i, j| sums[i][j]);
        let weights = families::base(&samples, &sums, &y, &all);
        let (z, errors) = features(&samples, &y, &weights);
        let precision = covariance(&samples, &z)
            .ok_or_else(|| PredictError::Singular { what: "likeness of networks".into() })?
            .inverse();
        let alpha: Vec<f64> = (0..n)
            .map(|i| precision.row(i).iter().zip(&errors).map(|(p, e)| p * e).sum())
            .collect();
        let process = Process { precision: &precision, alpha: &alpha, errors: &errors };
        let left_out = families::left_out(&samples, &sums, &y, &weights, &process);
        let sum_of = |rows: &[usize], scale: f64| {
            let mut effects = vec![0.0; WIDTH];
            for &i in rows {
                effects.iter_mut().zip(z.row(i)).for_each(|(to, z)| *to += scale * z * alpha[i]);
            }
            effects
        };
        let shared = sum_of(&all, SHARED);
        let own: Vec<usize> =
            all.into_iter().filter(|&i| samples[i].origin == Origin::Own).collect();
        let own = (!own.is_empty()).then(|| {
            let alone = sum_of(&own, OF_FAMILY);
            let shares = |&i: &usize| ops::share_roots(&samples[i].network.operations, &weights);
            Family {
                effects: shared.iter().zip(alone).map(|(a, b)| a + b).collect(),
                factor: FACTOR * own.iter().map(|&i| alpha[i]).sum::<f64>(),
                half: half_of_own(&samples, &precision, &alpha).min(left_out.half.max(0.02)),
                shares: own.iter().flat_map(shares).collect(),
            }
        });
        Ok(AnyLatency {
            weights,
            effects: shared.iter().map(|e| left_out.trust * e).collect(),
            half: left_out.half,
            own,
            trust: left_out.trust,
            metric: metric.into(),
            measured: n,
        })
    }

    /// Predicts medians with 90 % intervals, in the unit of the measurements.
    pub fn predict(&self, networks: &[Counted]) -> Forecast {
        let random = RandomFeatures::new();
        let one = |network: &Counted| {
            let (base, features) = random.of(network, &self.weights);
            let own = self.own.as_ref().filter(|own| own.is_near(network, &self.weights));
            let (effects, factor, half) = match own {
                Some(own) => (&own.effects, own.factor, own.half),
                None => (&self.effects, 0.0, self.half),
            };
            let effect: f64 = features.iter().zip(effects).map(|(f, e)| f * e).sum();
            let median = (base.ln() + effect + factor).exp();
            (median, median / half.exp(), median * half.exp())
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
        let AnyLatency { trust, half, measured, .. } = self;
        format!("{measured} networks, {trust} of effects believed, ±{:.0} %", 100.0 * half.exp_m1())
    }

    /// Returns the kinds of operations that no measured network had, if more than a twentieth of the network's
    /// products are theirs: they are predicted as if they took no time.
    pub fn unmeasured(&self, network: &Counted) -> Vec<&'static str> {
        let products = |o: &Operation| o.sums[ops::PRODUCTS];
        let all: f64 = network.operations.iter().map(products).sum();
        let is_new = |class: usize| ops::weights_of(class, &self.weights).iter().all(|w| *w == 0.0);
        let share = |class: usize| {
            let of = network.operations.iter().filter(|o| o.class == class).map(products);
            of.sum::<f64>() / all.max(f64::MIN_POSITIVE)
        };
        let classes = (0..CLASS_COUNT).filter(|&class| is_new(class) && share(class) > 0.05);
        classes.map(|class| ops::CLASSES[class]).collect()
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
    pub fn save(&self, path: &Path) -> Result<(), PredictError> {
        self.to_file()?.save(path)
    }

    /// The content of its file.
    pub fn to_file(&self) -> Result<ModelFile, PredictError> {
        let mut header = Header::new(KIND, ANY, "default", 0);
        let settings = Settings { metric: self.metric.clone(), measured: self.measured };
        header.settings = serde_json::to_value(settings)
            .map_err(|e| PredictError::Model { why: e.to_string() })?;
        let mut file = ModelFile::new(header);
        let (own, facts) = match &self.own {
            Some(own) => {
                (own.effects.iter().chain(&own.shares).copied().collect(), [own.factor, own.half])
            }
            None => (Vec::new(), [0.0; 2]),
        };
        for (name, values) in [
            ("weights", self.weights.clone()),
            ("effects", self.effects.clone()),
            ("own", own),
            ("facts", vec![self.half, self.trust, facts[0], facts[1]]),
        ] {
            file.tensors.insert(name.into(), Array::f64(values));
        }
        Ok(file)
    }

    /// Reads a predictor that [`AnyLatency::save`] wrote.
    pub fn load(path: &Path) -> Result<AnyLatency, PredictError> {
        AnyLatency::from_bytes(&file::read(path)?, path)
    }

    /// Reads a predictor from the content of its file, which errors call `path`.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<AnyLatency, PredictError> {
        let file = ModelFile::of_kind(bytes, path, KIND, ANY)?;
        let bad = |why: &str| PredictError::Model { why: why.into() };
        let read = || {
            let Settings { metric, measured } = file.settings()?;
            let Some(own) = file.tensors.get("own") else {
                return Err(bad(
                    "of an older Lanner: the same lanner profile command fits its measurements again",
                ));
            };
            let own = file.f64("own", &[own.shape().iter().product()])?;
            let facts = file.f64("facts", &[4])?;
            let &[half, trust, factor, own_half] = facts else { unreachable!("of length 4") };
            let [weights, effects] =
                [file.f64("weights", &[ALL_SUMS + 1])?, file.f64("effects", &[WIDTH])?];
            let numbers = [facts, own, weights, effects];
            if numbers.iter().copied().flatten().any(|v| !v.is_finite()) {
                return Err(bad("a number that is not finite"));
            }
            let own = match own.split_at_checked(WIDTH) {
                Some((effects, shares)) if shares.len().is_multiple_of(CLASS_COUNT) => {
                    let (effects, shares) = (effects.to_vec(), shares.to_vec());
                    Some(Family { effects, factor, half: own_half, shares })
                }
                None if own.is_empty() => None,
                _ => return Err(bad("numbers of the family are missing")),
            };
            let (weights, effects) = (weights.to_vec(), effects.to_vec());
            Ok(AnyLatency { weights, effects, half, own, trust, metric, measured })
        };
        read().map_err(|e: PredictError| PredictError::ModelFile {
            path: path.into(),
            why: e.to_string(),
        })
    }
}

impl Family {
    fn is_near(&self, network: &Counted, weights: &[f64]) -> bool {
        let shares = ops::share_roots(&network.operations, weights);
        self.shares.chunks(CLASS_COUNT).any(|own| ops::distance(own, &shares) < NEAR)
    }
}

/// Covariance of the measured networks' errors.
fn covariance(samples: &[&Sample], z: &Mat) -> Option<Cholesky> {
    let mut k = z.times_transposed(z, 1.0);
    for i in 0..z.rows {
        for j in 0..z.rows {
            let is_family =
                samples[i].origin == samples[j].origin && samples[i].origin != Origin::Probe;
            k[(i, j)] = match is_family {
                true => (SHARED + OF_FAMILY) * k[(i, j)] + FACTOR,
                false => SHARED * k[(i, j)],
            };
        }
        k[(i, i)] += samples[i].origin.noise();
    }
    Cholesky::new(k)
}

/// Half the width of 90 % intervals of the own family, from errors of each network of a family without itself: what
/// nine of ten are within, in units of each family's scatter, times that of the own one.
fn half_of_own(samples: &[&Sample], precision: &Mat, alpha: &[f64]) -> f64 {
    let errors: Vec<(Origin, f64)> = (0..alpha.len())
        .map(|i| (samples[i].origin, (alpha[i] / precision[(i, i)]).abs()))
        .collect();
    // Without other families, the profile's networks are all there is to compare with.
    let has_families = samples.iter().any(|s| matches!(s.origin, Origin::Family(_)));
    let used = |origin: Origin| origin != Origin::Probe || !has_families;
    let square = |of: &dyn Fn(Origin) -> bool| {
        let (n, sum) = (errors.iter().filter(|e| of(e.0)))
            .fold((0.0, 0.0), |(n, sum), e| (n + 1.0, sum + e.1 * e.1));
        (n, sum)
    };
    let (n, sum) = square(&used);
    let mean = sum / f64::max(n, 1.0);
    let scatter = |origin: Origin| {
        let (n, sum) = square(&|k| k == origin);
        ((sum + SCATTER * mean) / (n + SCATTER)).sqrt().max(1e-6)
    };
    let mut origins: Vec<Origin> = samples.iter().map(|s| s.origin).filter(|k| used(*k)).collect();
    origins.sort_unstable();
    origins.dedup();
    let mut scores = Vec::new();
    for origin in origins {
        let scatter = scatter(origin);
        scores.extend(errors.iter().filter(|e| e.0 == origin).map(|e| e.1 / scatter));
    }
    scores.sort_by(f64::total_cmp);
    let place = ((scores.len() as f64 * 0.9) as usize).min(scores.len().saturating_sub(1));
    let own = errors.iter().filter(|e| e.0 == Origin::Own).count() as f64;
    // The scatter itself is known from few.
    let wider = (1.0 + 2.0 / own.max(1.0)).sqrt();
    (scores.get(place).copied().unwrap_or(1.0) * scatter(Origin::Own) * wider).clamp(0.005, 5.0)
}

#[cfg(test)]
mod tests;
