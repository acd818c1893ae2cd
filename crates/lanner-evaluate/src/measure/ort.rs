//! Runs networks by ONNX Runtime, in this process, from a shared library that is found at run time.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ::ort::{
    environment::Environment,
    logging::LogLevel,
    session::{IoBinding, Session as OrtSession, builder::GraphOptimizationLevel},
    value::{Outlet, Tensor, TensorElementType, ValueType},
};

use super::{
    Runtime, Session, library,
    runtime::{Stopwatch, input},
};
use crate::EvaluateError;

/// ONNX Runtime on the CPU with its defaults: all graph optimisations, its own arena of memory,
/// operators one after the other, and threads that spin while they wait.
///
/// A run does the work of Python's `InferenceSession.run` without the conversion of arrays: the input
/// tensor is made and bound once, and outputs are released outside of the timed interval.
pub struct Ort {
    version: String,
    environment: Environment,
    threads: usize,
}

/// The library and environment of this process, which cannot be unloaded or changed.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    path: PathBuf,
    version: String,
    environment: Environment,
}

/// Largest number of threads; more are a typing error.
const MOST_THREADS: usize = 1024;

impl Ort {
    /// Loads the runtime, with `threads` threads within an operator.
    ///
    /// The library is `library`, else the one that `ORT_DYLIB_PATH` names, else that of the
    /// `onnxruntime` package of the active Python. A process keeps the first library that it loads.
    pub fn new(library: Option<&Path>, threads: usize) -> Result<Ort, EvaluateError> {
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(EvaluateError::Value {
                name: "number of threads",
                value: threads.to_string(),
                expected: format!("1 to {MOST_THREADS}"),
            });
        }
        let path = library::find(library).map_err(unusable)?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match &mut *loaded {
            Some(loaded) if loaded.path != path => {
                return Err(unusable(format!(
                    "{} is loaded already, a process cannot change to {}",
                    loaded.path.display(),
                    path.display()
                )));
            }
            Some(loaded) => loaded,
            none => none.insert(Loaded::new(path)?),
        };
        Ok(Ort {
            version: loaded.version.clone(),
            environment: loaded.environment.clone(),
            threads,
        })
    }

    fn session(&self, onnx: &[u8]) -> ::ort::Result<OrtSession> {
        OrtSession::builder(&self.environment)?
            .with_intra_threads(self.threads)?
            .with_inter_threads(1)?
            .with_parallel_execution(false)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .commit_from_memory(onnx)
    }
}

impl Loaded {
    fn new(path: PathBuf) -> Result<Loaded, EvaluateError> {
        let version = library::version(&path).map_err(unusable)?;
        let why = |why: &dyn std::fmt::Display| unusable(format!("{}: {why}", path.display()));
        let environment = ::ort::init_from(&path)
            .map_err(|e| why(&e))?
            .with_name("lanner")
            .with_telemetry(false)
            .build()
            .map_err(|e| why(&e))?;
        // Errors come back as values; the other output is about devices that are not used.
        environment.set_log_level(LogLevel::Fatal);
        Ok(Loaded { path, version, environment })
    }
}

fn unusable(why: String) -> EvaluateError {
    EvaluateError::Runtime { runtime: "onnxruntime".into(), why }
}

impl Runtime for Ort {
    fn describe(&self) -> String {
        format!("onnxruntime {}", self.version)
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let refused = |why: String| EvaluateError::Refused { runtime: self.describe(), why };
        let failed = |e: ::ort::Error| refused(e.message().to_string());
        let session = self.session(onnx).map_err(failed)?;
        let [only] = session.inputs() else {
            let why = format!("the model has {} inputs, expected 1", session.inputs().len());
            return Err(refused(why));
        };
        let shape = fixed_floats(only).map_err(refused)?;
        let values = input(shape.iter().product());
        let tensor = Tensor::from_array((shape, values)).map_err(failed)?;
        let mut binding = session.create_binding().map_err(failed)?;
        binding.bind_input(only.name(), &tensor).map_err(failed)?;
        let place = session.allocator().memory_info();
        for output in session.outputs() {
            binding.bind_output_to_device(output.name(), place).map_err(failed)?;
        }
        Ok(Box::new(BoundModel { runtime: self, session, binding }))
    }
}

/// Dimensions of an input, which must be fixed and of 32-bit floats.
fn fixed_floats(input: &Outlet) -> Result<Vec<usize>, String> {
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = input.dtype() else {
        let kind = input.dtype();
        return Err(format!("input '{}' is {kind}, expected 32-bit floats", input.name()));
    };
    let positive = |&n: &i64| usize::try_from(n).ok().filter(|&n| n > 0);
    shape.iter().map(positive).collect::<Option<_>>().ok_or_else(|| {
        format!("input '{}' has dimensions {:?}, expected fixed ones", input.name(), &shape[..])
    })
}

/// A loaded network, with input and output bound.
struct BoundModel<'a> {
    runtime: &'a Ort,
    session: OrtSession,
    binding: IoBinding,
}

impl Session for BoundModel<'_> {
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError> {
        // `timed` does not fit: outputs borrow the session, and are dropped outside of the timed
        // interval.
        for _ in 0..runs {
            let watch = Stopwatch::start(self.runtime.threads == 1);
            let outputs = self.session.run_binding(&self.binding);
            let ms = watch.ms();
            outputs.map_err(|e| EvaluateError::Refused {
                runtime: self.runtime.describe(),
                why: e.message().to_string(),
            })?;
            samples.push(ms);
        }
        Ok(())
    }
}
