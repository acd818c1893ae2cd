//! What a device's latencies in one search space tell of another.
//!
//! Devices measured in both spaces, the *references*, are the bridge (Multi-Predict's encoding by
//! latencies on other hardware means the same in every space): devices that are alike in one space
//! should be alike in the other. The few-shot predictor fills in what was not measured of the device
//! in the source space; its likeness to each reference there, over the whole pool, tells the mixture
//! of references that it should be in the target space (a Gaussian process over devices).

use super::{FewShot, Prior};
use crate::PredictError;
use crate::linalg::{Cholesky, Mat};
use crate::metrics::pearson;

/// The covariance of two devices falls exponentially with the distance of their standardised
/// functions, by this length; noise of so much variance stands for what differs between spaces.
const LENGTH: f64 = 1.0;
const NOISE: f64 = 0.1;

/// References in two spaces.
pub struct Bridge {
    source: Prior,
    /// What [`Views::smooth`](super::Views::smooth) made of the references: p × references in each
    /// space.
    from: Mat,
    to: Mat,
    factor: Cholesky,
}

impl Bridge {
    /// The prior of the source space and the references, in the same order on both sides.
    pub fn new(source: Prior, from: Mat, to: Mat) -> Result<Bridge, PredictError> {
        let references = from.cols;
        if references < 2 || to.cols != references {
            return Err(PredictError::TooFew {
                what: "transfer between spaces, whose devices measured in both,".into(),
                needed: 2,
                got: references.min(to.cols),
            });
        }
        let columns: Vec<Vec<f64>> = (0..references).map(|j| column(&from, j)).collect();
        let k = Mat::from_fn(references, references, |i, j| {
            covariance(&columns[i], &columns[j]) + if i == j { NOISE } else { 0.0 }
        });
        let factor = Cholesky::new(k)
            .ok_or_else(|| PredictError::Singular { what: "likeness of references".into() })?;
        Ok(Bridge { source, from, to, factor })
    }

    /// Log latencies over the target pool (p × 1), but for a constant and a factor, of a device whose
    /// latencies were measured for `rows` of the source pool.
    pub fn carry(&self, rows: &[usize], latencies: &[f64]) -> Result<Mat, PredictError> {
        if let Some(row) = rows.iter().find(|r| **r >= self.from.rows) {
            let why = format!("row {row} is not among the {} of the source space", self.from.rows);
            return Err(PredictError::Model { why });
        }
        let all: Vec<usize> = (0..self.from.rows).collect();
        let mine: Vec<f64> = (FewShot::fit(&self.source, rows, latencies)?)
            .latencies(&self.source, &all)
            .iter()
            .map(|v| v.ln())
            .collect();
        let alike: Vec<f64> =
            (0..self.from.cols).map(|j| covariance(&mine, &column(&self.from, j))).collect();
        // The mean over devices, as a function, is not known beforehand (generalised least squares).
        let weights = self.factor.solve(&alike);
        let ones = self.factor.solve(&vec![1.0; alike.len()]);
        let rest = (1.0 - weights.iter().sum::<f64>()) / ones.iter().sum::<f64>();
        let mixture: Vec<f64> = weights.iter().zip(&ones).map(|(w, o)| w + rest * o).collect();
        Ok(Mat::from_fn(self.to.rows, 1, |i, _| {
            self.to.row(i).iter().zip(&mixture).map(|(x, w)| x * w).sum()
        }))
    }
}

fn column(functions: &Mat, j: usize) -> Vec<f64> {
    (0..functions.rows).map(|i| functions[(i, j)]).collect()
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let distance = (2.0 - 2.0 * pearson(a, b)).max(0.0).sqrt();
    (-distance / LENGTH).exp()
}
