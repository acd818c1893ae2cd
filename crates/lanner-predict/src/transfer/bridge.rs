//! What a device's latencies in one search space tell of another.
//!
//! Devices measured in both spaces, the *references*, are the bridge (Multi-Predict's encoding by
//! latencies on other hardware means the same in every space): whatever mixture of them a device
//! resembles in the source space, it should resemble in the target space.

use super::layers;
use crate::linalg::{Cholesky, Mat};
use crate::{Pool, PredictError};

/// One space's part: its pool, the references' latencies (a slice a device, one value a row of the
/// pool, NaN where there is none) and what [`Views::smooth`](super::Views::smooth) made of them.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub pool: &'a Pool,
    pub latencies: &'a [&'a [f64]],
    pub functions: &'a Mat,
}

/// References in two spaces.
pub struct Bridge {
    /// Smooth log latencies over each pool, centred: p × (references + simulated devices).
    from: Mat,
    to: Mat,
    /// The references' log latencies as measured in the source space.
    measured: Vec<Vec<f64>>,
    /// Scalar products of the columns of `to`, divided by p.
    products: Mat,
}

/// Penalties of a mixture's weights, and how much more those of simulated devices are penalised.
const PENALTIES: [f64; 7] = [1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0];
const SIMULATED: [f64; 3] = [1.0, 10.0, 1e12];
/// A column with this penalty has no weight.
const EXCLUDED: f64 = 1e12;
/// The penalty on the weights' mean, in units of that on their deviations from it.
const OF_MEAN: f64 = 0.01;

impl Bridge {
    /// References in the same order on both sides.
    pub fn new(source: Side, target: Side) -> Result<Bridge, PredictError> {
        let references = source.latencies.len();
        if references < 2
            || [target.latencies.len(), source.functions.cols, target.functions.cols]
                != [references; 3]
        {
            return Err(PredictError::TooFew {
                what: "transfer between spaces, whose devices measured in both,".into(),
                needed: 2,
                got: references.min(target.latencies.len()),
            });
        }
        let from = centred(source)?;
        let to = centred(target)?;
        let mut products = to.gram();
        products.data.iter_mut().for_each(|v| *v /= to.rows as f64);
        let measured =
            (source.latencies.iter()).map(|l| l.iter().map(|v| v.ln()).collect()).collect();
        Ok(Bridge { from, to, measured, products })
    }

    /// Log latencies over the target pool, but for a constant, of a device whose latencies were
    /// measured for `rows` of the source pool. Penalties and size are those that serve the
    /// references best, each carried over by the others.
    pub fn carry(&self, rows: &[usize], latencies: &[f64]) -> Result<Vec<f64>, PredictError> {
        let n = rows.len();
        if n != latencies.len() {
            return Err(PredictError::Lengths { architectures: n, targets: latencies.len() });
        }
        if n < 2 {
            let what = "transfer between spaces".into();
            return Err(PredictError::TooFew { what, needed: 2, got: n });
        }
        if let Some(row) = rows.iter().find(|r| **r >= self.from.rows) {
            let why = format!("row {row} is not among the {} of the source space", self.from.rows);
            return Err(PredictError::Model { why });
        }
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let logs: Vec<f64> = latencies.iter().map(|v| v.ln()).collect();
        let x = self.from.select(rows);
        let means: Vec<f64> =
            (0..x.cols).map(|j| (0..n).map(|i| x[(i, j)]).sum::<f64>() / n as f64).collect();
        let x = Mat::from_fn(n, x.cols, |i, j| x[(i, j)] - means[j]);
        let mut gram = x.gram();
        gram.data.iter_mut().for_each(|v| *v /= n as f64);
        let towards = |y: &[f64]| -> Vec<f64> {
            let mean = y.iter().sum::<f64>() / n as f64;
            (0..x.cols)
                .map(|j| (0..n).map(|i| x[(i, j)] * (y[i] - mean)).sum::<f64>() / n as f64)
                .collect()
        };
        let references = self.measured.len();
        let theirs: Vec<Vec<f64>> = self
            .measured
            .iter()
            .map(|m| towards(&rows.iter().map(|&r| m[r]).collect::<Vec<_>>()))
            .collect();
        let unit = (0..references).map(|j| gram[(j, j)]).sum::<f64>() / references as f64;
        let mut best: Option<(f64, f64, f64, f64)> = None;
        for &simulated in &SIMULATED {
            for &penalty in &PENALTIES {
                let mut loss = 0.0;
                let mut slopes = Vec::new();
                for (j, t) in theirs.iter().enumerate() {
                    let w = self.weights(&gram, t, unit, penalty, simulated, Some(j))?;
                    let (own, cross, norm) = self.compare(&w, j);
                    loss += 1.0 - cross * cross / (own * norm);
                    slopes.push(cross / norm);
                }
                slopes.sort_by(f64::total_cmp);
                let slope = slopes[references / 2];
                if best.is_none_or(|b| loss < b.0) {
                    best = Some((loss, penalty, simulated, slope));
                }
            }
        }
        let (_, penalty, simulated, slope) = best.unwrap_or((0.0, 1.0, 1.0, 1.0));
        let w = self.weights(&gram, &towards(&logs), unit, penalty, simulated, None)?;
        Ok((0..self.to.rows)
            .map(|i| slope * self.to.row(i).iter().zip(&w).map(|(x, w)| x * w).sum::<f64>())
            .collect())
    }

    fn compare(&self, w: &[f64], j: usize) -> (f64, f64, f64) {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norm =
            (0..w.len()).map(|i| w[i] * dot(self.products.row(i), w)).sum::<f64>().max(1e-300);
        (self.products[(j, j)], dot(self.products.row(j), w), norm)
    }

    fn weights(
        &self,
        gram: &Mat,
        towards: &[f64],
        unit: f64,
        penalty: f64,
        simulated: f64,
        without: Option<usize>,
    ) -> Result<Vec<f64>, PredictError> {
        let references = self.measured.len();
        let mut a = gram.clone();
        let p = penalty * unit;
        for i in 0..a.rows {
            a[(i, i)] += if i < references { p } else { p * simulated };
        }
        for i in 0..references {
            for j in 0..references {
                a[(i, j)] -= p * (1.0 - OF_MEAN) / references as f64;
            }
        }
        if let Some(j) = without {
            a[(j, j)] += EXCLUDED * unit;
        }
        let factor = Cholesky::new(a)
            .ok_or_else(|| PredictError::Singular { what: "mixture of references".into() })?;
        Ok(factor.solve(towards))
    }
}

fn centred(side: Side) -> Result<Mat, PredictError> {
    let Side { pool, latencies, functions } = side;
    let p = pool.len();
    let mut all = functions.clone();
    for (j, latencies) in latencies.iter().enumerate() {
        // Functions have variance one: give them back that of the logarithms.
        let known: Vec<usize> = (0..p).filter(|&i| latencies[i].is_finite()).collect();
        let n = known.len() as f64;
        let mean = known.iter().map(|&i| latencies[i].ln()).sum::<f64>() / n;
        let cross =
            known.iter().map(|&i| (latencies[i].ln() - mean) * functions[(i, j)]).sum::<f64>();
        let own = known.iter().map(|&i| functions[(i, j)].powi(2)).sum::<f64>();
        (0..p).for_each(|i| all[(i, j)] *= cross / own);
    }
    if let Some(times) = layers::simulated(&pool.space, &pool.archs, false) {
        let mut logs = times;
        for j in 0..logs.cols {
            let mean = (0..p).map(|i| logs[(i, j)]).sum::<f64>() / p as f64;
            (0..p).for_each(|i| logs[(i, j)] = (logs[(i, j)] + 0.1 * mean).ln());
            let mean = (0..p).map(|i| logs[(i, j)]).sum::<f64>() / p as f64;
            (0..p).for_each(|i| logs[(i, j)] -= mean);
        }
        all = all.beside(&logs);
    }
    Ok(all)
}
