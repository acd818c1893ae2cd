//! Predictors of latency on a device: [`LatencyModel`], recipe `default`, from measurements of one space;
//! [`adapted`] from a handful of them and the tables of other devices; [`operations`] as sums over
//! operations, in any space; [`any_network`], of any ONNX model; and [`LatencyProcess`], which tells how probable it is that a limit is met.

pub mod adapted;
pub mod any_network;
mod choose;
mod default;
pub mod operations;
mod within_limit;

pub use choose::choose;
pub use default::{LatencyFeatures, LatencyModel};
pub use within_limit::{Belief, Expected, LatencyProcess};
