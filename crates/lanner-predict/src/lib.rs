//! Predictors of the latency and the accuracy of neural architectures from few measurements.
//!
//! Everything speaks of architectures by their number in a [`Pool`], a whole space or the rows of a
//! table. A predictor has *views*, its encodings of the pool, made once; it is fitted to some rows
//! and asked for others, and answers with a [`Forecast`]: values and 90 % intervals.
//!
//! ```
//! use lanner_predict::latency::{LatencyModel, LatencyViews};
//! use lanner_predict::{Pool, metrics};
//! use lanner_space::Space;
//! let pool = Pool::whole(Space::NasBench201);
//! // A made-up device: each live operation costs something.
//! let cost = |row: usize| -> f64 {
//!     let arch = &pool.archs[row];
//!     let live = arch.codes().iter().zip(pool.space.live(arch)).filter(|x| x.1);
//!     1.0 + live.map(|(&code, _)| [0.0, 0.1, 1.0, 2.5, 0.4][usize::from(code)]).sum::<f64>()
//! };
//! let measured: Vec<usize> = (0..100).collect();
//! let values: Vec<f64> = measured.iter().map(|&row| cost(row)).collect();
//! let views = LatencyViews::new(&pool);
//! let model = LatencyModel::fit(&views, &measured, &values)?;
//! let others: Vec<usize> = (100..2000).collect();
//! let forecast = model.predict(&others);
//! let truth: Vec<f64> = others.iter().map(|&row| cost(row)).collect();
//! assert!(metrics::within_of_truth(&forecast.mean, &truth, 5.0) > 0.9);
//! # Ok::<(), lanner_predict::PredictError>(())
//! ```
//!
//! **The predictors.** [`latency`] and [`accuracy`] are the recipe `default`: Gaussian processes on
//! counts in the program that a runtime executes, and with trees on graph features. [`gcn`] (one
//! network, one number) and [`relation`] (which of two is better) answer BRP-NAS's questions, by
//! the authors' recipe and by ours. [`transfer`] predicts for a device of which a handful of
//! measurements exist, with the tables of others, [`across`] the accuracy on a task of which a handful
//! of networks are trained, with those of other tasks and spaces; [`operations`] predicts latencies
//! in spaces where nothing was measured. [`baselines`] are what all of them must beat; [`metrics`] tell whether they do.
//!
//! **The parts.** [`gp`], [`ridge`] and [`trees`] are general regressors over matrices ([`linalg`]);
//! [`features`], [`cell_features`], [`analytic`] and [`encode`] turn architectures into vectors and graphs;
//! [`selection`] chooses what to train next; [`fitted`] and [`model_file`] put predictors on disk.
//!
//! **Reproducible.** A fit is a function of its arguments: the same seed gives the same bits at any
//! number of threads on one machine.

pub mod accuracy;
pub mod across;
pub mod analytic;
pub mod baselines;
pub mod cell_features;
mod choose;
pub mod encode;
mod error;
pub mod features;
pub mod fitted;
pub mod gcn;
pub mod gp;
pub mod latency;
pub mod linalg;
pub mod metrics;
mod mlp;
pub mod model_file;
pub mod operations;
mod pool;
mod program;
pub mod relation;
pub mod ridge;
mod samples;
pub mod selection;
pub mod transfer;
pub mod trees;

pub use choose::{CANDIDATES, candidates_to_measure, choose};
pub use error::PredictError;
pub use pool::{Pool, all_or_some, distinct};

/// Predicted values and, where the predictor knows its uncertainty, 90 % intervals.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    pub mean: Vec<f64>,
    /// Empty for predictors without uncertainty.
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}
