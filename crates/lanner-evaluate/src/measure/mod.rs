//! Measures latencies, by the method of BRP-NAS's LatBench or a better one, on any device.
//!
//! A [`Runtime`] runs models: `Rten` and `Ort` in this process, [`Command`] on any other device. A
//! [`Protocol`] decides how often a network runs and which samples count. A [`LatencyCampaign`] measures many
//! networks into one file ([`LatencyTable`]), each on disk before the next begins.
//!
//! **Drift.** The speed of a shared or thermally limited machine changes from second to second, by more
//! than the differences to be measured. The `default` protocol therefore runs a [`Reference`] network
//! between short blocks of the measured network, and divides by the slowdown of the reference, as far
//! as these readings of it agree.

mod campaign;
mod command;
pub mod command_output;
mod device;
mod drift;
mod latency_table;
mod layers;
#[cfg(feature = "ort")]
mod library;
pub mod machine;
mod models;
#[cfg(feature = "ort")]
mod ort;
mod protocol;
#[cfg(feature = "rten")]
mod rten;
mod runtime;
mod statistics;

pub use crate::Header;
pub(crate) use campaign::deployed;
pub use campaign::{LatencyCampaign, LatencySummary, equivalent_groups, reference};
pub use command::{Command, CommandOptions};
pub use device::{Device, RuntimeName};
pub use latency_table::{
    DOUBTFUL, LAYERS, LatencyRow, LatencyTable, blocks_path, check_beside, layers_path,
    milliseconds, read_baseline, relative_half_width,
};
pub use layers::{LayerLatency, LayerWise};
pub use models::{Model, ModelLatency, ModelSource, fingerprint, measure_models, measured_sizes};
#[cfg(feature = "ort")]
pub use ort::Ort;
pub use protocol::{Adaptive, Block, Measurement, Protocol, Reference};
#[cfg(feature = "rten")]
pub use rten::Rten;
pub use runtime::{Runtime, Session};
pub use statistics::{interquartile_mean, median, median_error, quantile};
