//! Latency on a device of which only a handful of measurements exist.
//!
//! A table of other devices, the *sources*, and ten or twenty measurements of the new one, the
//! *target*, give a predictor for the whole pool, with 90 % intervals:
//!
//! ```
//! use lanner_predict::latency::adapted::{DeviceFeatures, FewShot};
//! use lanner_predict::{Pool, metrics};
//! use lanner_space::Space;
//! let pool = Pool::whole(Space::NasBench201);
//! // Made-up devices that pay for live operations.
//! let device = |costs: [f64; 5]| -> Vec<f64> {
//!     let cost = |arch: &lanner_space::Architecture| -> f64 {
//!         let live = arch.codes().iter().zip(pool.space.live(arch)).filter(|x| x.1);
//!         1.0 + live.map(|(&code, _)| costs[usize::from(code)]).sum::<f64>()
//!     };
//!     pool.archs.iter().map(cost).collect()
//! };
//! let (phone, desktop) = (device([0., 0.1, 1., 3., 0.5]), device([0., 0., 0.4, 2., 1.]));
//! let mine = device([0., 0.1, 0.8, 2.5, 0.9]);
//!
//! let features = DeviceFeatures::new(&pool);
//! let prior = features.with_sources(&features.smooth(&[&phone, &desktop])?);
//! let measured: Vec<usize> = (0..pool.len()).step_by(1600).collect();
//! let values: Vec<f64> = measured.iter().map(|&row| mine[row]).collect();
//! let model = FewShot::fit(&prior, &measured, &values)?;
//! let all: Vec<usize> = (0..pool.len()).collect();
//! assert!(metrics::spearman(&model.predict(&prior, &all).mean, &mine) > 0.97);
//! # Ok::<(), lanner_predict::PredictError>(())
//! ```
//!
//! **The method** is the same for every space and set of devices. A Gaussian process sums
//! covariances of several groups of features: what the network consists of, what it costs on
//! simulated devices (roofline, no measurement needed), what the sources took, all of these as
//! straight lines; and smooth functions of the choices and of the executed program. For cells, what
//! the text says and what is live count apart, since some devices pay for dead operations.
//!
//! - *Sources are smoothed first* ([`DeviceFeatures::smooth`]): a ridge on many features of a whole table
//!   keeps what the device does and leaves its noise behind.
//! - *Hyper-parameters are averaged, not chosen*: 1,500 candidates, weighed by evidence. Most of them
//!   believe that the device runs dead operations or that it skips them, not both; half of them that
//!   the sources tell nothing of it.
//! - *The scale is averaged too*: logarithm, square root and the latency itself. Costs add up, but
//!   some devices' errors are relative.
//! - *What costs more takes longer*: the slope along simulated costs, on average over the pool, is
//!   known to be positive.
//! - *Noise is Student-t* with one degree of freedom: a slow outlier among ten measurements must
//!   not bend the prediction.

mod average;
mod bridge;
mod carried;
mod features;
mod few_shot;
mod group;
mod prior;
mod saved;
mod simulated;
mod slope;
mod tables;

pub use bridge::Bridge;
pub use carried::Carried;
pub use features::DeviceFeatures;
pub use few_shot::FewShot;
pub use prior::{Confidence, DevicePrior, Guess};
pub use saved::AdaptedLatency;
pub use tables::{DeviceTable, OtherSpace};

#[cfg(test)]
mod bridge_tests;
#[cfg(test)]
mod tests;
