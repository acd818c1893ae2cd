//! Latencies of any ONNX models on this machine's processor.

use lanner_network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};
use lanner_space::Space;

use super::{Effort, Latency};
use crate::EvaluateError;
use crate::measure::{Device, Protocol, Reference, Runtime, median, reference};

/// Measures models between runs of a reference network, by the protocol of searches.
pub struct ModelMeter {
    runtime: &'static (dyn Runtime + Send + Sync),
    reference: Reference<'static>,
    /// Slowdown of the reference relative to its baseline, at each measurement.
    drifts: Vec<f64>,
}

impl ModelMeter {
    /// Makes a meter on a runtime. Its reference is a network of NAS-Bench-201.
    ///
    /// # Errors
    /// The reference network cannot be measured.
    pub fn new(runtime: Box<dyn Runtime + Send + Sync>) -> Result<ModelMeter, EvaluateError> {
        // One for the life of the process: sessions borrow it.
        let runtime: &'static (dyn Runtime + Send + Sync) = Box::leak(runtime);
        let space = Space::NasBench201;
        let network = Skeleton::of(&space)?.build(&reference(&space)?, View::Pruned)?;
        let (network, weights) = Weights::init(&network, Init::default()).fold(&network)?;
        let model = onnx::encode(&network, &weights, OnnxOptions::default())?;
        let reference = Reference::new(runtime.load(&model)?, None)?;
        Ok(ModelMeter { runtime, reference, drifts: Vec::new() })
    }

    /// Name and version of the runtime.
    pub fn describe(&self) -> String {
        self.runtime.describe()
    }

    /// Measures a model with one input.
    ///
    /// # Errors
    /// [`EvaluateError::Refused`] if the runtime cannot run the model.
    pub fn measure(&mut self, model: &[u8], effort: Effort) -> Result<Latency, EvaluateError> {
        let mut session = self.runtime.load(model)?;
        let protocol = Protocol::Adaptive(effort.adaptive(&Device::default()));
        let m = protocol.measure(&mut *session, Some(&mut self.reference))?;
        self.drifts.push(m.drift);
        // As in MachineMeter: a network that is returned has the latency of the machine's usual state.
        let usual = match effort {
            Effort::Quick => 1.0,
            Effort::Final => median(&self.drifts).max(1.0),
        };
        Ok(Latency { ms: usual * m.latency_ms, se: usual * m.error_ms })
    }
}
