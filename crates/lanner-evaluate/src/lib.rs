//! Evaluators: what tells how good or how fast a network is.

mod error;
pub mod measure;

pub use error::EvaluateError;
