//! The Gaussian process that [`AccuracyModel`](super::AccuracyModel) has to beat.

use super::default::{check, gp_options};
use super::features::{AccuracyFeatures, component};
use super::scores::{Calibration, NormalScores};
use crate::regress::gp::{Component, Gp, Kernel};
use crate::{Forecast, PredictError};

/// The plain baseline: one Gaussian process on counts and graph properties, with linear and squared
/// exponential covariance and white noise, on normal scores. Without live one-hots, which would be
/// a quarter of all columns and cost it τ 0.03 on NAS-Bench-201 accuracies after 12 epochs.
pub struct GraphGp {
    gp: Gp,
    components: Vec<Component>,
    calibration: Calibration,
}

impl GraphGp {
    /// Fits accuracies (any unit, more is better) of pool rows `rows`.
    pub fn fit(
        features: &AccuracyFeatures,
        rows: &[usize],
        values: &[f64],
    ) -> Result<GraphGp, PredictError> {
        check(rows, values)?;
        let target = NormalScores::new(values);
        let t: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
        let components =
            [Kernel::Linear, Kernel::Rbf].map(|k| component(k, &features.graph)).to_vec();
        let gp = Gp::fit(&components, rows, &t, &gp_options(40), None)?;
        let calibration = Calibration::new(target, &gp.leave_one_out().mean, &t);
        Ok(GraphGp { gp, components, calibration })
    }

    /// Scores of pool rows, by which they rank.
    pub fn scores(&self, rows: &[usize]) -> Vec<f64> {
        self.gp.predict(&self.components, rows, false).mean
    }

    /// Accuracies of pool rows in the unit of the training values, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Forecast {
        self.calibration.forecast(&self.scores(rows))
    }
}
