//! Devices: the runtime that networks are measured on, and how they run there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lanner_network::onnx::ReadOptions;
use lanner_network::{OnnxOptions, Precision};
use serde::{Deserialize, Serialize};

use super::{Adaptive, Command, CommandOptions, Runtime, machine};
use crate::EvaluateError;

/// Name of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeName {
    /// The runtime in pure Rust, in this process.
    Rten,
    /// ONNX Runtime, in this process, from a library that is found at run time.
    Ort,
    /// Any program that gets a model and prints latencies.
    Command,
}

impl RuntimeName {
    pub const ALL: [RuntimeName; 3] = [RuntimeName::Rten, RuntimeName::Ort, RuntimeName::Command];
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuntimeName::Rten => "rten",
            RuntimeName::Ort => "ort",
            RuntimeName::Command => "command",
        })
    }
}

impl FromStr for RuntimeName {
    type Err = EvaluateError;

    fn from_str(text: &str) -> Result<RuntimeName, EvaluateError> {
        // Tables' headers and Python call it by its full name.
        let short = if text == "onnxruntime" { "ort" } else { text };
        let found = RuntimeName::ALL.into_iter().find(|name| name.to_string() == short);
        found.ok_or_else(|| EvaluateError::Value {
            name: "runtime",
            value: format!("'{text}'"),
            expected: RuntimeName::ALL.map(|name| name.to_string()).join(", "),
        })
    }
}

/// The device on which networks are measured, and how they run there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    pub runtime: RuntimeName,
    /// Name for headers and reports; this machine's processor if `None`.
    pub name: Option<String>,
    /// Command line of [`RuntimeName::Command`], in the form of [`Command`].
    pub command: Option<String>,
    /// Folder in which commands run; this process's own if `None`.
    pub folder: Option<PathBuf>,
    /// Time limit for one call of the command, seconds.
    pub timeout: u64,
    /// Number of repetitions of a failed call of the command.
    pub retries: u32,
    /// ONNX Runtime's library; found by itself if `None`.
    pub library: Option<PathBuf>,
    /// Number of threads that run a network.
    pub threads: usize,
    #[serde(with = "as_text")]
    pub precision: Precision,
    /// Number of images in one run.
    pub batch: u32,
    /// Sizes of other dimensions that models of the user leave open, by name.
    pub dims: Vec<(String, u64)>,
    /// Processors to run on; any if empty.
    pub cores: Vec<usize>,
    /// Whether a reference network is measured beside the others, to correct for drift.
    pub reference: bool,
}

impl Default for Device {
    /// Rten on one thread of any processor, batch 1, 32-bit floats, with a reference.
    fn default() -> Device {
        Device {
            runtime: RuntimeName::Rten,
            name: None,
            command: None,
            folder: None,
            timeout: 300,
            retries: 2,
            library: None,
            threads: 1,
            precision: Precision::F32,
            batch: 1,
            dims: Vec::new(),
            cores: Vec::new(),
            reference: true,
        }
    }
}

impl Device {
    /// Makes this machine's usual device: ONNX Runtime if its library can be used, which most
    /// deployments run on, else rten, with a note for the user. The library that is found is kept, so
    /// that a later run finds it too.
    pub fn usual(library: Option<&Path>) -> (Device, Option<String>) {
        #[cfg(feature = "ort")]
        let why = match super::library::usable(library) {
            Ok(path) => {
                let (runtime, library) = (RuntimeName::Ort, Some(path));
                return (Device { runtime, library, ..Device::default() }, None);
            }
            Err(why) => why,
        };
        #[cfg(not(feature = "ort"))]
        let why = {
            let _ = library;
            "this lanner is built without it".to_string()
        };
        let note = format!(
            "latencies are those of rten, several times slower than what is usually deployed; ONNX \
             Runtime: {why}"
        );
        (Device::default(), Some(note))
    }

    /// Makes the runtime. Its threads run on the device's processors if the caller is bound to them
    /// ([`Device::bound`]).
    ///
    /// # Errors
    /// The runtime is not in this build or cannot be loaded, or the command line is wrong.
    pub fn runtime(&self) -> Result<Box<dyn Runtime + Send + Sync>, EvaluateError> {
        if self.command.is_some() != (self.runtime == RuntimeName::Command) {
            return Err(EvaluateError::Value {
                name: "runtime",
                value: self.runtime.to_string(),
                expected: match self.command {
                    Some(_) => "command, as a command line is given".into(),
                    None => "a command line as well, as --command './bench.sh {onnx}'".into(),
                },
            });
        }
        Ok(match self.runtime {
            #[cfg(feature = "rten")]
            RuntimeName::Rten => Box::new(super::Rten::new(self.threads).with_sizes(self.sizes())),
            #[cfg(feature = "ort")]
            RuntimeName::Ort => {
                let runtime = super::Ort::new(self.library.as_deref(), self.threads)?;
                Box::new(runtime.with_sizes(self.sizes()))
            }
            RuntimeName::Command => {
                let options = CommandOptions {
                    batch: self.batch,
                    threads: self.threads,
                    timeout: Duration::from_secs(self.timeout),
                    retries: self.retries,
                    ..CommandOptions::default()
                };
                let line = self.command.as_deref().unwrap_or_default();
                Box::new(Command::new(line, options)?.in_folder(self.folder.clone()))
            }
            #[allow(unreachable_patterns, reason = "depends on the features")]
            other => {
                return Err(EvaluateError::Runtime {
                    runtime: other.to_string(),
                    why: format!(
                        "this lanner is built without it: cargo install --path crates/lanner \
                         --features {other}"
                    ),
                });
            }
        })
    }

    /// Returns the sizes of dimensions that models of the user leave open.
    pub fn sizes(&self) -> ReadOptions {
        ReadOptions { batch: Some(self.batch.into()), dims: self.dims.clone() }
    }

    /// Returns the form of models for this device.
    pub fn onnx(&self) -> OnnxOptions {
        OnnxOptions {
            batch: Some(self.batch),
            precision: self.precision,
            explicit_padding: self.runtime == RuntimeName::Rten,
        }
    }

    /// Returns the protocol's usual settings on this device.
    pub fn adaptive(&self) -> Adaptive {
        match self.runtime {
            RuntimeName::Command => Adaptive::for_calls(),
            _ => Adaptive::default(),
        }
    }

    /// Returns facts for headers and reports that the runtime does not tell: device, threads and
    /// processors.
    pub fn facts(&self) -> [(&'static str, String); 3] {
        let cores = match self.cores.as_slice() {
            [] => "any".into(),
            cores => cores.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        };
        let device = self.name.clone().unwrap_or_else(|| match self.runtime {
            RuntimeName::Command => "behind the command".into(),
            _ => machine::cpu(),
        });
        [("device", device), ("threads", self.threads.to_string()), ("cores", cores)]
    }

    /// Runs `work` with this thread bound to the device's processors.
    ///
    /// # Errors
    /// A processor does not exist, or the system cannot bind threads.
    pub fn bound<T>(&self, work: impl FnOnce() -> T) -> Result<T, EvaluateError> {
        if self.cores.is_empty() {
            return Ok(work());
        }
        let wrong = |why: String| EvaluateError::Value {
            name: "cores",
            value: format!("{:?}", self.cores),
            expected: why,
        };
        let before = machine::cores();
        machine::pin(&self.cores).map_err(wrong)?;
        let result = work();
        machine::pin(&before).map_err(wrong)?;
        Ok(result)
    }
}

/// Stores a value as the text that it is printed as and read from.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(Error::custom)
    }
}
