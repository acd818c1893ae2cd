//! Latency, measured.

mod command;
#[cfg(feature = "ort")]
mod library;
#[cfg(feature = "ort")]
mod ort;
mod process;
mod runtime;
pub mod samples;

#[cfg(feature = "ort")]
pub use ort::Ort;
pub use command::{Command, CommandOptions};
pub use runtime::{Runtime, Session};
