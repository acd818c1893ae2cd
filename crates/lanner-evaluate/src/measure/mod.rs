//! Latency, measured.

mod runtime;

pub use runtime::{Runtime, Session};
