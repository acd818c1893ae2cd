//! Predictors of the latency and the accuracy of neural architectures from few measurements.
//!
//! Everything speaks of architectures by their number in a [`Pool`], a whole space or the rows of a
//! table. A predictor has *features*, its encodings of the pool, made once; it is fitted to some rows
//! and asked for others, and answers with a [`Forecast`]: values and 90 % intervals.
//!
//! ```
//! use lanner_predict::latency::{LatencyFeatures, LatencyModel};
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
//! let features = LatencyFeatures::new(&pool);
//! let model = LatencyModel::fit(&features, &measured, &values)?;
//! let others: Vec<usize> = (100..2000).collect();
//! let forecast = model.predict(&others);
//! let truth: Vec<f64> = others.iter().map(|&row| cost(row)).collect();
//! assert!(metrics::within_of_truth(&forecast.mean, &truth, 5.0) > 0.9);
//! # Ok::<(), lanner_predict::PredictError>(())
//! ```
//!
//! **The rooms.** A line of code is in the room of what it is about:
//!
//! - [`encode`]: what an architecture or a network looks like, as vectors or as a graph.
//! - [`regress`]: what learns numbers from vectors or graphs and knows no architecture.
//! - [`latency`]: predictors of a device, from measurements of it alone, adapted to it from other devices
//!   and spaces, or as sums over operations.
//! - [`accuracy`]: predictors of a task, from trained networks of it alone, adapted to it from other
//!   tasks and spaces, or as a relation (which of two is better).
//! - [`general`]: predictors of any metric: plain baselines, and BRP-NAS's graph network.
//! - [`select`]: which architectures to measure or to train next.
//! - [`predictor`]: any of them by name, and on disk.
//! - [`metrics`]: whether predictions are any good.
//!
//! The recipe `default` is [`latency::LatencyModel`] and [`accuracy::AccuracyModel`]. Rooms use those above
//! them: `encode` and `regress` no predictor, predictors no `predictor::fitted`.
//!
//! **Reproducible.** A fit is a function of its arguments: the same seed gives the same bits at any
//! number of threads on one machine.

pub mod accuracy;
mod checks;
pub mod encode;
mod error;
pub mod general;
pub mod latency;
pub mod metrics;
mod pool;
pub mod predictor;
pub mod regress;
pub mod select;

pub use encode::memo::FeatureMemo;
pub use error::PredictError;
pub use latency::choose;
pub use pool::{Pool, all_or_some, distinct, reference};
pub use select::informative::{CANDIDATES, candidates_to_measure};

/// Predicted values and, where the predictor knows its uncertainty, 90 % intervals.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    pub mean: Vec<f64>,
    /// Empty for predictors without uncertainty.
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}
