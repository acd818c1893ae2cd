//! Metrics measured by a user's command: several at a time, such as latency, energy and memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lanner_data::{MetricKind, TemporaryFolder, converted};
use lanner_network::Skeleton;
use lanner_space::Architecture;

use super::{Effort, Latency, Meter};
use crate::EvaluateError;
use crate::evaluator::Answer;
use crate::measure::{Device, command_output, deployed, median, median_error};
use crate::plausible::{is_latency_ms, latency_range};
use crate::script::{Call, Script};

/// Name of the latency that a [`Meter`] gives.
const LATENCY: &str = "latency_ms";
/// Number of calls for a network that is about to be returned.
const FINAL_CALLS: usize = 5;

type Metrics = BTreeMap<String, f64>;

/// Measures networks by a [`Script`], whose last line of output is a JSON object of metrics:
/// `{"latency_ms": 7.3, "energy_mJ": 12.5}`. A line `unsupported: REASON` says that the device cannot
/// run a network. `{onnx}` is the network as one would deploy it, with random weights.
pub struct ScriptMeter {
    script: Script,
    line: String,
    device: Device,
    skeleton: Skeleton,
    /// The last network and its metrics.
    last: Mutex<Option<(Architecture, Option<Metrics>)>>,
}

impl ScriptMeter {
    /// Parses the command line; time limit and retries, batch and precision are those of `device`.
    ///
    /// # Errors
    /// The line is wrong, or its program does not exist.
    pub fn new(line: &str, device: &Device, skeleton: Skeleton) -> Result<Self, EvaluateError> {
        let mut script = Script::new(line, Duration::from_secs(device.timeout))?;
        script.folder = device.folder.clone();
        script.check_program()?;
        let (line, device) = (line.to_string(), device.clone());
        Ok(ScriptMeter { script, line, device, skeleton, last: Mutex::new(None) })
    }

    /// Returns a metric of a network, converted to the unit of its name; `None` if the device cannot
    /// run the network, or the command prints no such metric. The metrics of the last network are
    /// kept, so that several can be asked for after one call.
    ///
    /// # Errors
    /// The command failed, again and again.
    pub fn value(&self, metric: &str, arch: &Architecture) -> Result<Option<f64>, EvaluateError> {
        let metrics = self.metrics(arch)?;
        Ok(metrics.and_then(|m| m.iter().find_map(|(name, v)| converted(*v, name, metric))))
    }

    /// Returns all metrics of a network, by one call unless it was the last one; `None` if the device
    /// cannot run it.
    ///
    /// # Errors
    /// As [`ScriptMeter::value`].
    pub fn metrics(&self, arch: &Architecture) -> Result<Option<Metrics>, EvaluateError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, metrics)) = last.as_ref().filter(|(known, _)| known == arch) {
            return Ok(metrics.clone());
        }
        let metrics = self.call(arch)?;
        *last = Some((arch.clone(), metrics.clone()));
        Ok(metrics)
    }

    fn call(&self, arch: &Architecture) -> Result<Option<Metrics>, EvaluateError> {
        let folder = TemporaryFolder::new()
            .map_err(|error| EvaluateError::io(std::env::temp_dir(), "make a folder in")(error))?;
        let onnx = folder.path().join("network.onnx");
        if self.script.wants_onnx() {
            lanner_data::write_file(&onnx, &deployed(&self.skeleton, arch, self.device.onnx())?)?;
        }
        let text = self.skeleton.space.print(arch);
        let out = Path::new("");
        let call = Call { arch: &text, onnx: &onnx, out, seed: 0, worker: 0, log: None };
        let mut left = self.device.retries;
        loop {
            let answer = self.device.bound(|| self.script.evaluate(call, &[], &|| false))??;
            let why = match answer {
                Answer::Metrics(metrics) => match negative_cost(&metrics) {
                    None => return Ok(Some(metrics)),
                    Some((name, value)) => {
                        format!("it printed {value:?} as {name}, expected 0 or more")
                    }
                },
                Answer::Stopped => "stopped".into(),
                Answer::Failed(why) => why,
            };
            if command_output::refusal(&why).is_some() {
                return Ok(None);
            }
            if left == 0 {
                let line = &self.line;
                return Err(EvaluateError::Device(format!("--measure command:{line}: {why}")));
            }
            left -= 1;
        }
    }

    fn latency(&self, arch: &Architecture, calls: usize) -> Result<Option<Latency>, EvaluateError> {
        let mut all = Vec::new();
        for number in 0..calls {
            let metrics = match number {
                0 if calls == 1 => self.metrics(arch)?,
                _ => self.call(arch)?,
            };
            let Some(metrics) = metrics else { return Ok(None) };
            let value = metrics.iter().find_map(|(name, v)| converted(*v, name, LATENCY));
            match value.filter(|v| is_latency_ms(*v)) {
                Some(ms) => all.push(ms),
                None => {
                    let printed: Vec<String> =
                        metrics.iter().map(|(name, value)| format!("{name} {value:?}")).collect();
                    return Err(EvaluateError::Device(format!(
                        "--measure command:{}: no {LATENCY} above 0 of {}, {} (it printed {})",
                        self.line,
                        self.skeleton.space.print(arch),
                        latency_range(),
                        printed.join(", ")
                    )));
                }
            }
        }
        let se = if all.len() > 1 { median_error(&all) } else { 0.0 };
        Ok(Some(Latency { ms: median(&all), se }))
    }
}

/// Finds a metric that is spent, such as an energy, but negative.
fn negative_cost(metrics: &Metrics) -> Option<(&str, f64)> {
    let is_cost = |name: &str| MetricKind::of(name) == Some(MetricKind::Cost);
    let mut all = metrics.iter().map(|(name, value)| (name.as_str(), *value));
    all.find(|(name, value)| *value < 0.0 && is_cost(name))
}

impl Meter for Arc<ScriptMeter> {
    fn measure(
        &mut self,
        arch: &Architecture,
        effort: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        self.latency(arch, if effort == Effort::Final { FINAL_CALLS } else { 1 })
    }

    fn facts(&self) -> Vec<(String, String)> {
        let own = [("runtime".to_string(), format!("command {}", self.line))];
        own.into_iter()
            .chain(self.device.name.clone().map(|name| ("device".to_string(), name)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use lanner_space::Space;

    use super::*;

    fn meter(script: &str) -> Result<Arc<ScriptMeter>, EvaluateError> {
        let line = format!("sh -c {} sh {{arch}} {{onnx}}", shlex::try_quote(script).unwrap());
        let device = Device { retries: 0, ..Device::default() };
        let skeleton = Skeleton::of(&Space::NasBench201).unwrap();
        ScriptMeter::new(&line, &device, skeleton).map(Arc::new)
    }

    #[test]
    fn one_call_gives_all_metrics_in_the_units_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let calls = folder.path().join("calls");
        let script = format!(
            "test -s \"$2\" && echo x >> {}; echo '{{\"latency_us\": 1500, \"energy_J\": 0.002}}'",
            calls.display()
        );
        let (a, b) = (Space::NasBench201.at(7).unwrap(), Space::NasBench201.at(8).unwrap());
        let mut meter = meter(&script).unwrap();
        assert_eq!(meter.value("energy_mJ", &a).unwrap(), Some(2.0));
        assert_eq!(meter.value("memory_MB", &a).unwrap(), None);
        let latency = meter.measure(&a, Effort::Quick).unwrap().unwrap();
        assert_eq!((latency.ms, latency.se), (1.5, 0.0));
        let count = || std::fs::read_to_string(&calls).unwrap().lines().count();
        assert_eq!(count(), 1);
        meter.value("energy_J", &b).unwrap();
        assert_eq!(count(), 2);
        // A network that is about to be returned is measured anew.
        meter.measure(&b, Effort::Final).unwrap().unwrap();
        assert_eq!(count(), 2 + FINAL_CALLS);
    }

    #[test]
    fn what_cannot_be_measured_is_told() {
        let arch = Space::NasBench201.at(7).unwrap();
        let refused = meter("echo 'unsupported: no kernel'; exit 3").unwrap();
        assert_eq!(refused.metrics(&arch).unwrap(), None);
        for (script, says) in [
            ("echo no device >&2; exit 4", "no device"),
            ("echo '{\"energy_mJ\": 1}'", "no latency_ms above 0"),
            ("echo '{\"latency_ms\": 0}'", "no latency_ms above 0"),
            ("echo '{\"latency_ms\": 1, \"energy_mJ\": -2}'", "printed -2.0 as energy_mJ"),
            (
                "echo '{\"latency_ms\": 1e300}'",
                "1e-6 to 1e9 milliseconds (it printed latency_ms 1e300",
            ),
            ("echo '{\"latency_ms\": 1, \"latency_us\": 2}'", "contradict each other"),
        ] {
            let error = meter(script).unwrap().measure(&arch, Effort::Quick).unwrap_err();
            assert!(matches!(error, EvaluateError::Device(_)), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        let skeleton = Skeleton::of(&Space::NasBench201).unwrap();
        assert!(ScriptMeter::new("/nonexistent {arch}", &Device::default(), skeleton).is_err());
    }
}
