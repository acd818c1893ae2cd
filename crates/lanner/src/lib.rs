//! Lanner finds the neural network to deploy on your device with the fewest trainings and the
//! fewest measurements. This crate re-exports each library crate under a short name; [`output`] has
//! the helpers by which its commands print.

#![forbid(unsafe_code)]

pub mod output;

pub use lanner_data as data;
pub use lanner_evaluate as evaluate;
pub use lanner_network as network;
pub use lanner_nn as nn;
pub use lanner_predict as predict;
pub use lanner_report as report;
pub use lanner_search as search;
pub use lanner_space as space;
