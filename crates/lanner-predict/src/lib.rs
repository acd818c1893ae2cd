//! Predictors of latency and accuracy.

pub mod accuracy;
pub mod baselines;
pub mod cell_features;
pub mod encode;
mod error;
pub mod features;
pub mod fitted;
pub mod gcn;
pub mod gp;
pub mod latency;
pub mod linalg;
pub mod metrics;
pub mod model_file;
mod pool;
mod program;
pub mod relation;
pub mod ridge;
pub mod selection;
pub mod trees;

pub use error::PredictError;
pub use pool::Pool;

/// Predicted values and, where the predictor knows its uncertainty, 90 % intervals.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    pub mean: Vec<f64>,
    /// Empty for predictors without uncertainty.
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}
