//! The recipe `multi-predict` for latency across search spaces (Akhauri & Abdelfattah,
//! "Multi-Predict", AutoML-Conf 2023).
//!
//! A network is encoded by its latencies on reference devices, which were measured in both spaces;
//! an MLP of four layers of 256 learns the target device's latencies from 100 or so samples of the
//! source space and then, with all its weights, from the few of the target space. L1 loss, AdamW;
//! 250 epochs at 4e-4 along a cosine, then 50 at 1e-3. Every call begins from the pre-trained
//! weights: in the official code repetitions go on training one and the same network.

use crate::PredictError;
use crate::across::multi_predict::{FINE_TUNING, PRE_TRAINING};
use crate::linalg::Mat;
use crate::mlp::Mlp;

const LAYERS: usize = 4;
const WIDTH: usize = 256;

/// Latencies on reference devices (a slice a device, one value a row of the pool), each scaled to
/// lie between 0 and 1 over the pool: p × references.
pub fn encoding(references: &[&[f64]]) -> Mat {
    let rows = references.iter().map(|r| r.len()).min().unwrap_or(0);
    let scales: Vec<(f64, f64)> = (references.iter())
        .map(|values| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let range = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
            (least, if range > 0.0 { range } else { 1.0 })
        })
        .collect();
    Mat::from_fn(rows, references.len(), |i, j| (references[j][i] - scales[j].0) / scales[j].1)
}

/// The network.
#[derive(Debug, Clone)]
pub struct LatencyAcross(Mlp);

impl LatencyAcross {
    /// Pre-training on the source space: rows of [`encoding`] and latencies. On samples of the
    /// target space it is the same network without transfer.
    pub fn pre_train(x: &Mat, y: &[f64], seed: u64) -> Result<LatencyAcross, PredictError> {
        let mut network = Mlp::new(x.cols, LAYERS, WIDTH, seed);
        network.train(x, y, PRE_TRAINING, seed)?;
        Ok(LatencyAcross(network))
    }

    /// The same network after training on samples of the target space.
    pub fn fine_tuned(&self, x: &Mat, y: &[f64], seed: u64) -> Result<LatencyAcross, PredictError> {
        let mut network = self.clone();
        network.0.train(x, y, FINE_TUNING, seed)?;
        Ok(network)
    }

    /// Predictions in no unit: they rank.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        self.0.predict(x)
    }
}
