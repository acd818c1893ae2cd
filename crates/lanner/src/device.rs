//! Options of the device on which networks are measured, the same for `measure` and `search`.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use lanner_evaluate::measure::{Device, RuntimeName};
use lanner_network::Precision;

use crate::output::usage;
use lanner::say;

#[derive(clap::Args)]
pub struct DeviceArgs {
    /// The runtime that runs the networks: ort (ONNX Runtime), rten (pure Rust) or command [default: ort
    /// where its library is found, else rten]
    #[arg(long, value_parser = [PossibleValue::new("ort").alias("onnxruntime"), "rten".into(), "command".into()])]
    runtime: Option<String>,
    /// For --runtime command: the command line, in which {onnx}, {batch}, {threads} and {runs} are
    /// filled in
    #[arg(long, value_name = "LINE")]
    command: Option<String>,
    /// How often a failed call of the command is repeated before measuring stops
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    /// ONNX Runtime's library [default: $ORT_DYLIB_PATH, else the one in Python's onnxruntime package,
    /// else the system's]
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// Precision of convolutions and linear layers: f32, or int8 (quantised dynamically)
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    /// Number of images in one run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Run on these processors only, such as 0 or 2,3 (Linux)
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    /// Name of the device for the record [default: this machine's processor]
    #[arg(long)]
    device: Option<String>,
    /// Measure without a reference network: twice as fast, but not corrected for drift of the machine
    #[arg(long)]
    pub no_reference: bool,
}

impl DeviceArgs {
    /// Makes the device for files of the user, which have a precision of their own.
    pub fn for_files(
        &self,
        threads: usize,
        timeout: u64,
        dims: &[(String, u64)],
    ) -> anyhow::Result<Device> {
        if self.precision != Precision::F32 {
            return Err(usage(format!(
                "--precision {}: files are measured as they are; quantise them with \
                 onnxruntime.quantization first",
                self.precision
            )));
        }
        let device = self.device(threads, timeout, true)?;
        if device.runtime == RuntimeName::Command && !dims.is_empty() {
            return Err(usage("--dim: the command itself decides about open dimensions"));
        }
        Ok(Device { dims: dims.to_vec(), ..device })
    }

    /// Makes the device; tells on standard error where it is not the usual runtime. `is_measured`
    /// says whether networks are measured on it at all.
    pub fn device(
        &self,
        threads: usize,
        timeout: u64,
        is_measured: bool,
    ) -> anyhow::Result<Device> {
        let mut library = self.ort_library.clone();
        let runtime = match (&self.runtime, &self.command) {
            (Some(name), _) => name.parse().map_err(|e| usage(format!("{e}")))?,
            (None, Some(_)) => RuntimeName::Command,
            (None, None) if !is_measured => RuntimeName::Rten,
            (None, None) => {
                let (usual, note) = Device::usual(library.as_deref());
                if let Some(note) = note {
                    say!("lanner: {note}");
                }
                library = usual.library;
                usual.runtime
            }
        };
        match (runtime, &self.command) {
            (RuntimeName::Command, None) => {
                let why = "--runtime command: expected --command 'LINE' as well, with {onnx} in it";
                return Err(usage(why));
            }
            (RuntimeName::Rten | RuntimeName::Ort, Some(line)) => {
                return Err(usage(format!("--command {line}: it is for --runtime command only")));
            }
            _ => {}
        }
        Ok(Device {
            runtime,
            name: self.device.clone(),
            command: self.command.clone(),
            folder: None,
            timeout,
            retries: self.retries,
            library: library.filter(|_| runtime == RuntimeName::Ort),
            threads,
            precision: self.precision,
            batch: self.batch,
            dims: Vec::new(),
            cores: self.cores.clone(),
            reference: !self.no_reference,
        })
    }
}
