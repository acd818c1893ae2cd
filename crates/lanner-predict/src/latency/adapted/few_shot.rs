//! The predictor of a device's latencies from a few of them.

use std::array::from_fn;
use std::collections::HashMap;

use rayon::prelude::*;

use super::average::Average;
use super::prior::DevicePrior;
use super::slope::Slope;
use crate::checks::{check_lengths, check_varied};
use crate::regress::lanes::{LANES, Lanes, add};
use crate::regress::linalg::Mat;
use crate::{Forecast, PredictError};

/// Half the width of intervals in predicted standard deviations, for this many measurements: more than
/// Student's 1.7 to 2.1, since a handful of measurements shows neither all outliers nor what other
/// hyper-parameters would say. Chosen on draws of HELP's devices in NAS-Bench-201, FBNet and MobileNetV3
/// with seeds of their own; LatBench's devices were left out.
fn half_width(measured: usize) -> f64 {
    2.35 + 18.0 / (measured as f64).powi(2)
}

/// A scale on which latencies are modelled: Box-Cox with the geometric mean of the measurements as
/// unit, so that evidences of different powers can be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub power: f64,
    pub unit: f64,
}

/// Logarithm, square root, the latency itself.
pub(super) const POWERS: [f64; 3] = [0.0, 0.5, 1.0];
/// Scales that weigh less are left out.
const NEGLIGIBLE: f64 = 0.01;

impl Scale {
    pub fn apply(self, v: f64) -> f64 {
        let Scale { power, unit } = self;
        let v = v / unit;
        unit * if power == 0.0 { v.ln() } else { (v.powf(power) - 1.0) / power }
    }

    pub fn invert(self, v: f64) -> f64 {
        let Scale { power, unit } = self;
        let v = v / unit;
        let v = if power == 0.0 {
            v.clamp(-20.0, 20.0).exp()
        } else {
            (power * v + 1.0).max(1e-3).powf(1.0 / power)
        };
        unit * v
    }
}

/// A predictor for a device from a few of its latencies.
pub struct FewShot {
    rows: Vec<usize>,
    /// Weights sum to one.
    parts: Vec<Part>,
}

/// A posterior on one scale.
struct Part {
    scale: Scale,
    weight: f64,
    average: Average,
}

impl FewShot {
    /// Fits latencies (any unit, positive) measured for rows of the pool.
    pub fn fit(
        prior: &DevicePrior,
        rows: &[usize],
        latencies: &[f64],
    ) -> Result<FewShot, PredictError> {
        check_lengths(rows, latencies)?;
        let pool = prior.groups.first().map_or(0, |g| g.x.rows);
        if let Some(row) = rows.iter().find(|r| **r >= pool) {
            let why = format!("row {row} of a pool of {pool}: was it measured in another space?");
            return Err(PredictError::Model { why });
        }
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let distinct: HashMap<usize, ()> = rows.iter().map(|&r| (r, ())).collect();
        if distinct.len() < 3 {
            let what = "few-shot latency predictor".into();
            return Err(PredictError::TooFew { what, needed: 3, got: distinct.len() });
        }
        check_varied(latencies, "latencies")?;
        let n = latencies.len();
        let kernels: Vec<Mat> = (prior.groups.iter())
            .map(|g| {
                let x = g.x.select(rows);
                g.covariance(&x, &x)
            })
            .collect();
        let slope = Slope {
            known: Mat::from_fn(prior.groups.len(), n, |g, i| prior.groups[g].slope.0[rows[i]]),
            own: prior.groups.iter().map(|g| g.slope.1).collect(),
        };
        let candidates = prior.candidates(n);
        let unit = (latencies.iter().map(|v| v.ln()).sum::<f64>() / n as f64).exp();
        let mut parts = Vec::new();
        for power in POWERS {
            let scale = Scale { power, unit };
            let y: Vec<f64> = latencies.iter().map(|&v| scale.apply(v) / unit).collect();
            let average = Average::fit(&kernels, &slope, &y, &candidates)
                .ok_or_else(|| PredictError::Singular { what: "covariance".into() })?;
            parts.push(Part { scale, weight: 0.0, average });
        }
        let most = parts.iter().map(|p| p.average.evidence).fold(f64::NEG_INFINITY, f64::max);
        parts.iter_mut().for_each(|p| p.weight = (p.average.evidence - most).exp());
        parts.retain(|p| p.weight > NEGLIGIBLE);
        let total: f64 = parts.iter().map(|p| p.weight).sum();
        parts.iter_mut().for_each(|p| p.weight /= total);
        Ok(FewShot { rows: rows.to_vec(), parts })
    }

    /// Latencies of rows of the pool of that prior, with 90 % intervals for a new measurement.
    pub fn predict(&self, prior: &DevicePrior, rows: &[usize]) -> Forecast {
        self.in_blocks(prior, prior, rows, true)
    }

    /// The same latencies without intervals, which take most of the time.
    pub fn latencies(&self, prior: &DevicePrior, rows: &[usize]) -> Vec<f64> {
        self.in_blocks(prior, prior, rows, false).mean
    }

    /// Latencies of all rows of `others`, which are architectures outside the pool of the prior.
    pub(super) fn predict_others(&self, prior: &DevicePrior, others: &DevicePrior) -> Forecast {
        let rows: Vec<usize> = (0..others.groups.first().map_or(0, |g| g.x.rows)).collect();
        self.in_blocks(prior, others, &rows, true)
    }

    /// Forecasts for rows of `asked`, by the measured rows of `prior`.
    fn in_blocks(
        &self,
        prior: &DevicePrior,
        asked: &DevicePrior,
        rows: &[usize],
        intervals: bool,
    ) -> Forecast {
        let known: Vec<Mat> = prior.groups.iter().map(|g| g.x.select(&self.rows)).collect();
        let block = |block: &[usize]| self.predict_block(asked, &known, block, intervals);
        let blocks: Vec<Forecast> = rows.par_chunks(256).map(block).collect();
        let mut all = Forecast::default();
        for block in blocks {
            all.mean.extend(block.mean);
            all.low.extend(block.low);
            all.high.extend(block.high);
        }
        all
    }

    fn predict_block(
        &self,
        prior: &DevicePrior,
        known: &[Mat],
        block: &[usize],
        intervals: bool,
    ) -> Forecast {
        let (n, m) = (self.rows.len(), block.len());
        let mut crosses = Vec::new();
        // Of eight rows at a time: covariances with the measurements and with the slope, and their own.
        let mut together: Vec<(Vec<Lanes>, Vec<Lanes>, Vec<Lanes>)> = Vec::new();
        // The last row fills the lanes that are left.
        let eight = |of: &dyn Fn(usize) -> f64, chunk: usize| -> Lanes {
            from_fn(|l| of((chunk * LANES + l).min(m - 1)))
        };
        let chunks = if intervals { m.div_ceil(LANES) } else { 0 };
        for (g, known) in prior.groups.iter().zip(known) {
            let x = g.x.select(block);
            let k = g.covariance(&x, known);
            together.push((
                (0..chunks * n).map(|at| eight(&|i| k[(i, at % n)], at / n)).collect(),
                (0..chunks).map(|chunk| eight(&|i| g.slope.0[block[i]], chunk)).collect(),
                (0..chunks).map(|chunk| eight(&|i| g.own(x.row(i)), chunk)).collect(),
            ));
            crosses.push(k);
        }
        let half_width = half_width(n);
        let bounds = if intervals { m } else { 0 };
        let mut out =
            Forecast { mean: vec![0.0; m], low: vec![0.0; bounds], high: vec![0.0; bounds] };
        let mut means = vec![0.0; m];
        for Part { scale, weight, average } in &self.parts {
            let at = |v: f64| weight * scale.invert(scale.unit * v);
            for (i, out) in out.mean.iter_mut().enumerate() {
                let mut mean = average.mean;
                for (g, k) in crosses.iter().enumerate() {
                    mean +=
                        k.row(i).iter().zip(average.alpha.row(g)).map(|(k, a)| k * a).sum::<f64>();
                }
                let slopes = prior.groups.iter().map(|g| g.slope.0[block[i]]);
                mean += slopes.zip(&average.along).map(|(k, a)| k * a).sum::<f64>();
                *out += at(mean);
                means[i] = mean;
            }
            for chunk in 0..chunks {
                let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
                for fitted in &average.best {
                    let mut cross = vec![[0.0; LANES]; n];
                    let (mut along, mut own) = ([0.0; LANES], [0.0; LANES]);
                    for ((k, slopes, owns), &amplitude) in together.iter().zip(&fitted.amplitudes) {
                        for (to, k) in cross.iter_mut().zip(&k[chunk * n..]) {
                            add(to, k, amplitude);
                        }
                        add(&mut along, &slopes[chunk], amplitude);
                        add(&mut own, &owns[chunk], amplitude);
                    }
                    let (mean, variance) = fitted.predict(&cross, &along, &own);
                    for l in 0..LANES {
                        first[l] += fitted.weight * mean[l];
                        second[l] += fitted.weight * (variance[l] + mean[l] * mean[l]);
                    }
                }
                for (l, i) in (chunk * LANES..m.min((chunk + 1) * LANES)).enumerate() {
                    let spread = half_width * (second[l] - first[l] * first[l]).max(0.0).sqrt();
                    out.low[i] += at(means[i] - spread);
                    out.high[i] += at(means[i] + spread);
                }
            }
        }
        out
    }
}
