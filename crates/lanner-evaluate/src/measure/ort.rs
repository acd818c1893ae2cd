//! Runs networks by ONNX Runtime, in this process, from a shared library that is found at run time.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ::ort::{
    environment::Environment,
    logging::LogLevel,
    session::{
        IoBinding, Session as OrtSession,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{Outlet, Tensor, TensorElementType, ValueType},
};

use lanner_network::onnx::ReadOptions;

use super::{
    Runtime, Session, library,
    runtime::{Stopwatch, input, sizes},
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
    open: ReadOptions,
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
            open: ReadOptions::default(),
        })
    }

    /// Tells the sizes of dimensions that models leave open.
    pub fn with_sizes(self, open: ReadOptions) -> Ort {
        Ort { open, ..self }
    }

    fn refused(&self, error: &::ort::Error) -> EvaluateError {
        EvaluateError::Refused { runtime: self.describe(), why: error.message().to_string() }
    }

    fn builder(&self) -> ::ort::Result<SessionBuilder> {
        Ok(OrtSession::builder(&self.environment)?
            .with_intra_threads(self.threads)?
            .with_inter_threads(1)?
            .with_parallel_execution(false)?
            .with_optimization_level(GraphOptimizationLevel::All)?)
    }

    fn bound(&self, session: OrtSession) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let refused = |why: String| EvaluateError::Refused { runtime: self.describe(), why };
        let failed = |e: ::ort::Error| refused(e.message().to_string());
        let mut binding = session.create_binding().map_err(failed)?;
        for of in session.inputs() {
            let (kind, shape) = shape(of, &self.open).map_err(refused)?;
            let len = shape.iter().product();
            let bound = match kind {
                TensorElementType::Int64 => Tensor::from_array((shape, vec![0i64; len]))
                    .and_then(|t| binding.bind_input(of.name(), &t)),
                TensorElementType::Int32 => Tensor::from_array((shape, vec![0i32; len]))
                    .and_then(|t| binding.bind_input(of.name(), &t)),
                TensorElementType::Bool => Tensor::from_array((shape, vec![true; len]))
                    .and_then(|t| binding.bind_input(of.name(), &t)),
                _ => Tensor::from_array((shape, input(len)))
                    .and_then(|t| binding.bind_input(of.name(), &t)),
            };
            bound.map_err(failed)?;
        }
        let place = session.allocator().memory_info();
        for output in session.outputs() {
            binding.bind_output_to_device(output.name(), place).map_err(failed)?;
        }
        Ok(Box::new(BoundModel { runtime: self, session, binding }))
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
        let session = self.builder().and_then(|mut b| b.commit_from_memory(onnx));
        self.bound(session.map_err(|e| self.refused(&e))?)
    }

    fn load_file(&self, path: &Path) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let session = self.builder().and_then(|mut b| b.commit_from_file(path));
        self.bound(session.map_err(|e| self.refused(&e))?)
    }
}

/// Type and dimensions of an input.
fn shape(input: &Outlet, open: &ReadOptions) -> Result<(TensorElementType, Vec<usize>), String> {
    let ValueType::Tensor { ty, shape, dimension_symbols } = input.dtype() else {
        return Err(format!("input '{}' is {}, expected a tensor", input.name(), input.dtype()));
    };
    use TensorElementType::{Bool, Float32, Int32, Int64};
    if !matches!(ty, Float32 | Int64 | Int32 | Bool) {
        let why = "expected 32-bit floats, integers or truths";
        return Err(format!("input '{}' is {}, {why}", input.name(), input.dtype()));
    }
    let symbols = dimension_symbols.iter().map(String::as_str).chain(std::iter::repeat(""));
    let dims = shape.iter().zip(symbols).map(|(&n, symbol)| usize::try_from(n).map_err(|_| symbol));
    Ok((*ty, sizes(input.name(), dims, open)?))
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
