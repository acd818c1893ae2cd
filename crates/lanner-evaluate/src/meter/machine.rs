//! Latencies measured on a device.

use lanner_network::Skeleton;
use lanner_space::Architecture;

use super::{Effort, Latency, Meter};
use crate::EvaluateError;
use crate::measure::{self, Device, LatencyCampaign, Protocol, Reference, Runtime, median};

/// Measures on a [`Device`], between runs of a reference network.
pub struct MachineMeter {
    device: Device,
    campaign: LatencyCampaign,
    runtime: &'static (dyn Runtime + Send + Sync),
    reference: Option<Reference<'static>>,
    /// Slowdown of the reference relative to its baseline, at each measurement.
    drifts: Vec<f64>,
}

impl MachineMeter {
    /// `baseline_ms` is the reference network's latency in an earlier part of the study.
    ///
    /// # Errors
    /// The device cannot be used, or the reference network cannot be built or measured.
    pub fn new(
        device: &Device,
        skeleton: Skeleton,
        baseline_ms: Option<f64>,
    ) -> Result<MachineMeter, EvaluateError> {
        let space = skeleton.space.clone();
        let campaign = LatencyCampaign {
            reference: match device.reference {
                true => Some(measure::reference(&space)?),
                false => None,
            },
            protocol: Protocol::Adaptive(Effort::Quick.adaptive(device)),
            baseline_ms: None,
            seed: 0,
            skeleton,
            space,
            onnx: device.onnx(),
        };
        let device = device.clone();
        let (runtime, reference) = device.bound(|| {
            // One for the life of the process: sessions borrow it.
            let runtime: &'static (dyn Runtime + Send + Sync) = Box::leak(device.runtime()?);
            let reference = match &campaign.reference {
                Some(arch) => {
                    let session = runtime.load(&campaign.model(arch)?)?;
                    Some(Reference::new(session, baseline_ms)?)
                }
                None => None,
            };
            Ok::<_, EvaluateError>((runtime, reference))
        })??;
        Ok(MachineMeter { device, campaign, runtime, reference, drifts: Vec::new() })
    }
}

impl Meter for MachineMeter {
    fn measure(
        &mut self,
        arch: &Architecture,
        effort: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        let model = self.campaign.model(arch)?;
        let protocol = Protocol::Adaptive(effort.adaptive(&self.device));
        let reference = self.reference.as_mut();
        let measured = self.device.bound(|| {
            let mut session = self.runtime.load(&model)?;
            protocol.measure(&mut *session, reference)
        })?;
        let m = match measured {
            Err(EvaluateError::Refused { .. }) => return Ok(None),
            other => other?,
        };
        self.drifts.extend(Some(m.drift).filter(|drift| drift.is_finite()));
        // The baseline may be of a faster moment than most: a network that is returned has the
        // latency of the machine's usual state.
        let usual = match effort {
            Effort::Quick => 1.0,
            Effort::Final => median(&self.drifts).max(1.0),
        };
        Ok(Some(Latency { ms: usual * m.latency_ms, se: usual * m.error_ms }))
    }

    fn baseline_ms(&self) -> Option<f64> {
        self.reference.as_ref().map(|reference| reference.baseline_ms)
    }

    fn settle(&mut self) -> f64 {
        let usual = median(&self.drifts);
        self.drifts.clear();
        match &mut self.reference {
            Some(reference) if usual.is_finite() => {
                reference.rebase(usual);
                usual
            }
            _ => 1.0,
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        let onnx = [
            ("precision", self.device.precision.to_string()),
            ("batch", self.device.batch.to_string()),
        ];
        let runtime = [("runtime", self.runtime.describe())];
        let all = self.device.facts().into_iter().chain(runtime).chain(onnx);
        all.map(|(name, value)| (name.to_string(), value)).collect()
    }
}
