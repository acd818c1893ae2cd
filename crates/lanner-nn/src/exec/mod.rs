//! Runs networks forward and backward on the CPU.

mod backward;
mod batch_norm;
mod blocked;
mod conv;
mod depthwise;
mod elementwise;
mod error;
mod float;
mod join;
mod linear;
mod params;
mod parts;
mod plan;
mod pool;
mod run;
mod tiles;
pub(crate) mod wide;
mod winograd;

pub use backward::Wants;
pub use error::ExecError;
pub use float::Float;
pub use params::{Layout, Params, Place};
pub use run::{Executor, Mode, Observer, Options};
