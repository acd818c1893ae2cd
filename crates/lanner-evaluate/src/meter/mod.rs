//! Meters: the latency of networks, measured on this machine or looked up in a table.

#[cfg(feature = "rten")]
mod machine;
mod model;
mod table;

use lanner_space::Architecture;
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::measure::{Adaptive, Protocol};
#[cfg(feature = "rten")]
pub use machine::MachineMeter;
pub use model::ModelMeter;
pub use table::TableMeter;

/// Quantile of the normal distribution below which 95 % lie.
const SURE: f64 = 1.645;

/// A latency and its standard error, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub ms: f64,
    pub se: f64,
}

impl Latency {
    /// Whether another measurement will be within `limit` with a probability of 95 %.
    /// `repeatability` is that of [`Meter::repeatability`].
    pub fn is_surely_within(&self, limit: f64, repeatability: f64) -> bool {
        let se = if self.se.is_finite() { self.se } else { 0.0 };
        self.ms + SURE * se.hypot(repeatability * self.ms) <= limit
    }
}

/// Effort that a measurement is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For a network that is about to be evaluated.
    Quick,
    /// For a network that is about to be returned.
    Final,
}

impl Effort {
    fn adaptive(self) -> Adaptive {
        match self {
            Effort::Quick => Adaptive { budget_s: 0.4, ..Adaptive::default() },
            Effort::Final => {
                Adaptive { tolerance: 0.005, budget_s: 3.0, blocks: 40, ..Adaptive::default() }
            }
        }
    }

    /// The protocol in words, as a study keeps it.
    pub fn describe(self) -> String {
        Protocol::Adaptive(self.adaptive()).describe()
    }
}

/// Measures or looks up latencies of networks.
pub trait Meter: Send {
    /// The latency of a network; `None` if the runtime refuses it or the table has no value.
    ///
    /// # Errors
    /// Problems that the next network would have too, such as a device that does not answer.
    fn measure(
        &mut self,
        arch: &Architecture,
        effort: Effort,
    ) -> Result<Option<Latency>, EvaluateError>;

    /// Relative standard deviation between measurements of different times that their standard
    /// errors do not show; 0 where values are looked up.
    fn repeatability(&self) -> f64 {
        0.0
    }

    /// Latency of the reference network by which the machine's drift is taken out, milliseconds.
    fn baseline_ms(&self) -> Option<f64> {
        None
    }

    /// Makes the usual state of the machine so far the baseline, since the moment in which that was
    /// measured may have been unusual. Returns the factor for latencies measured so far.
    fn settle(&mut self) -> f64 {
        1.0
    }
}
