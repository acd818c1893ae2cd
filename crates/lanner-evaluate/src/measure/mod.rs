//! Latency, measured: what BRP-NAS's LatBench is made with, for anyone's device.
//!
//! A [`Runtime`] runs models: `Rten` and `Ort` in this process, [`Command`] for any other
//! device. A
//! [`Protocol`] decides how often and what of the samples counts. A [`Campaign`] measures many
//! networks into one file ([`Log`]), each on disk before the next is begun.
//!
//! **Drift.** A shared or thermally limited machine is faster in one second than in the next, by more
//! than what is to be measured. The `default` protocol therefore runs a [`Reference`] network between
//! short blocks of the network in question and divides by how much slower than at first it is, as far as
//! these looks agree.

mod campaign;
mod command;
mod drift;
mod layers;
#[cfg(feature = "ort")]
mod library;
mod log;
pub mod machine;
#[cfg(feature = "ort")]
mod ort;
mod protocol;
#[cfg(feature = "rten")]
mod rten;
mod runtime;
pub mod samples;
mod statistics;

pub use crate::Header;
pub use campaign::{Campaign, Outcome, groups, reference};
pub use command::{Command, CommandOptions};
pub use layers::{LayerLatency, LayerWise};
pub use log::{Log, Row, UNSURE, baseline, blocks_path, half_width};
#[cfg(feature = "ort")]
pub use ort::Ort;
pub use protocol::{Adaptive, Block, Measurement, Protocol, Reference};
#[cfg(feature = "rten")]
pub use rten::Rten;
pub use runtime::{Runtime, Session};
pub use statistics::{interquartile_mean, median, median_error, quantile};
