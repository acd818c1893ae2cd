//! Latency, measured.

#[cfg(feature = "ort")]
mod library;
#[cfg(feature = "ort")]
mod ort;
mod runtime;

#[cfg(feature = "ort")]
pub use ort::Ort;
pub use runtime::{Runtime, Session};
