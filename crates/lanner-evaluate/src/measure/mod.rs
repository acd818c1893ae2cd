//! Latency, measured: what BRP-NAS's LatBench is made with, for anyone's device.
//!
//! A [`Runtime`] runs models: `Rten` and `Ort` in this process, [`Command`] for any other
//! device. A
//! [`Protocol`] decides how often and what of the samples counts. A [`Campaign`] measures many
//! networks into one file ([`LatencyTable`]), each on disk before the next is begun.
//!
//! **Drift.** A shared or thermally limited machine is faster in one second than in the next, by more
//! than what is to be measured. The `default` protocol therefore runs a [`Reference`] network between
//! short blocks of the network in question and divides by how much slower than at first it is, as far as
//! these looks agree.

mod campaign;
mod command;
pub mod command_output;
mod drift;
mod latency_table;
mod layers;
#[cfg(feature = "ort")]
mod library;
pub mod machine;
#[cfg(feature = "ort")]
mod ort;
mod protocol;
#[cfg(feature = "rten")]
mod rten;
mod runtime;
mod statistics;

pub use crate::Header;
pub use campaign::{Campaign, Outcome, equivalent_groups, reference};
pub use command::{Command, CommandOptions};
pub use latency_table::{
    DOUBTFUL, LatencyRow, LatencyTable, blocks_path, read_baseline, relative_half_width,
};
pub use layers::{LayerLatency, LayerWise};
#[cfg(feature = "ort")]
pub use ort::Ort;
pub use protocol::{Adaptive, Block, Measurement, Protocol, Reference};
#[cfg(feature = "rten")]
pub use rten::Rten;
pub use runtime::{Runtime, Session};
pub use statistics::{interquartile_mean, median, median_error, quantile};
