//! Meters: the latency of networks, measured on a device or looked up in a table.

mod machine;
mod model;
mod script;
mod table;

use lanner_space::Architecture;
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::measure::{Adaptive, Device, Protocol, RuntimeName};
pub use machine::MachineMeter;
pub use model::ModelMeter;
pub use script::ScriptMeter;
pub use table::TableMeter;

/// A latency and its standard error, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub ms: f64,
    pub se: f64,
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
    fn adaptive(self, device: &Device) -> Adaptive {
        let usual = device.adaptive();
        // A call of a command costs more than the runs in it.
        let is_command = device.runtime == RuntimeName::Command;
        match self {
            Effort::Quick if is_command => Adaptive { budget_s: 2.0, ..usual },
            Effort::Quick => Adaptive { budget_s: 0.4, ..usual },
            Effort::Final if is_command => Adaptive { tolerance: 0.005, blocks: 6, ..usual },
            Effort::Final => Adaptive { tolerance: 0.005, budget_s: 3.0, blocks: 40, ..usual },
        }
    }

    /// The protocol in words, as a study keeps it.
    pub fn describe(self, device: &Device) -> String {
        Protocol::Adaptive(self.adaptive(device)).describe()
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

    /// Latency of the reference network by which the machine's drift is taken out, milliseconds.
    fn baseline_ms(&self) -> Option<f64> {
        None
    }

    /// Facts about the device for the record, by name: processor, runtime, threads.
    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Makes the usual state of the machine so far the baseline, since the moment in which that was
    /// measured may have been unusual. Returns the factor for latencies measured so far.
    fn settle(&mut self) -> f64 {
        1.0
    }
}
