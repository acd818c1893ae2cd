//! The recipe `multi-predict` (Akhauri & Abdelfattah, "Multi-Predict", AutoML-Conf 2023) in its three
//! uses: [`devices`] goes from known devices to a new one in their space, [`spaces`] takes a device's
//! latencies from one space to another, [`tasks`] takes accuracies from one task or space to another.

pub mod devices;
pub mod spaces;
pub mod tasks;

use lanner_predict::PredictError;
use lanner_predict::regress::linalg::Mat;

use super::mlp::{Mlp, Training};

const LAYERS: usize = 4;
const PRE_TRAINING: Training = Training { epochs: 250, rate: 4e-4, falling: true };
const FINE_TUNING: Training = Training { epochs: 50, rate: 1e-3, falling: false };

/// The network of [`spaces`] and [`tasks`].
#[derive(Debug, Clone)]
pub struct MultiPredict(Mlp);

impl MultiPredict {
    /// Trains a new network on the source: encoded networks and their values. Trained on samples of the
    /// target, it is the same network without transfer.
    pub fn pre_train(width: usize, x: &Mat, y: &[f64], seed: u64) -> Result<Self, PredictError> {
        let mut network = Mlp::new(x.cols, LAYERS, width, seed);
        network.train(x, y, PRE_TRAINING, seed)?;
        Ok(MultiPredict(network))
    }

    /// Returns a copy that is trained further on samples of the target.
    pub fn fine_tuned(&self, x: &Mat, y: &[f64], seed: u64) -> Result<Self, PredictError> {
        let mut network = self.clone();
        network.0.train(x, y, FINE_TUNING, seed)?;
        Ok(network)
    }

    /// Predicts scores without a unit, for ranking.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        self.0.predict(x)
    }
}
