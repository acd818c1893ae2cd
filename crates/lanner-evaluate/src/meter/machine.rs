//! Latencies measured on this machine's processor.

use lanner_network::{OnnxOptions, Skeleton};
use lanner_space::Architecture;

use super::{Effort, Latency, Meter};
use crate::EvaluateError;
use crate::measure::{self, LatencyCampaign, Protocol, Reference, Rten, Runtime, median};

/// Measures with rten on one thread, between runs of a reference network.
pub struct MachineMeter {
    campaign: LatencyCampaign,
    runtime: &'static Rten,
    reference: Reference<'static>,
    /// Slowdown of the reference relative to its baseline, at each measurement.
    drifts: Vec<f64>,
}

impl MachineMeter {
    /// `baseline_ms` is the reference network's latency in an earlier part of the study.
    ///
    /// # Errors
    /// The reference network cannot be built or measured.
    pub fn new(
        skeleton: Skeleton,
        baseline_ms: Option<f64>,
    ) -> Result<MachineMeter, EvaluateError> {
        let space = skeleton.space.clone();
        let arch = measure::reference(&space)?;
        let onnx = OnnxOptions { explicit_padding: true, ..OnnxOptions::default() };
        let campaign = LatencyCampaign {
            reference: Some(arch.clone()),
            protocol: Protocol::Adaptive(Effort::Quick.adaptive()),
            baseline_ms: None,
            seed: 0,
            skeleton,
            space,
            onnx,
        };
        // One for the life of the process: sessions borrow it.
        let runtime: &'static Rten = Box::leak(Box::new(Rten::new(1)));
        let session = runtime.load(&campaign.model(&arch)?)?;
        let reference = Reference::new(session, baseline_ms)?;
        Ok(MachineMeter { campaign, runtime, reference, drifts: Vec::new() })
    }
}

impl Meter for MachineMeter {
    fn measure(
        &mut self,
        arch: &Architecture,
        effort: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        let model = self.campaign.model(arch)?;
        let mut session = match self.runtime.load(&model) {
            Err(EvaluateError::Refused { .. }) => return Ok(None),
            other => other?,
        };
        let protocol = Protocol::Adaptive(effort.adaptive());
        let m = protocol.measure(&mut *session, Some(&mut self.reference))?;
        self.drifts.push(m.drift);
        // The baseline may be of a faster moment than most: a network that is returned has the
        // latency of the machine's usual state.
        let usual = match effort {
            Effort::Quick => 1.0,
            Effort::Final => median(&self.drifts).max(1.0),
        };
        Ok(Some(Latency { ms: usual * m.latency_ms, se: usual * m.error_ms }))
    }

    fn baseline_ms(&self) -> Option<f64> {
        Some(self.reference.baseline_ms)
    }

    fn settle(&mut self) -> f64 {
        let usual = median(&self.drifts);
        self.drifts.clear();
        if !usual.is_finite() {
            return 1.0;
        }
        self.reference.rebase(usual);
        usual
    }
}
