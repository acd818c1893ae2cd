//! Latencies of ONNX models, for the process that measures beside the search.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use lanner::evaluate::EvaluateError;
use lanner::evaluate::measure::{Ort, Rten, Runtime};
use lanner::evaluate::meter::{Effort, ModelMeter};
use pyo3::prelude::*;

use crate::error::{InputError, OrException};

/// A runtime with a reference network.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Timer(Mutex<ModelMeter>);

#[pymethods]
impl Timer {
    /// Loads `rten` or `onnxruntime`; `library` is the latter's shared library or its folder.
    #[new]
    fn new(py: Python, runtime: &str, threads: usize, library: Option<PathBuf>) -> PyResult<Timer> {
        let meter = py.detach(|| {
            let runtime: Box<dyn Runtime + Send + Sync> = match runtime {
                "onnxruntime" => Box::new(Ort::new(library.as_deref(), threads)?),
                "rten" => Box::new(Rten::new(threads)),
                _ => return Ok(None),
            };
            ModelMeter::new(runtime).map(Some)
        });
        match meter.or_exception()? {
            Some(meter) => Ok(Timer(Mutex::new(meter))),
            None => {
                let why = format!("runtime '{runtime}' is not known, expected onnxruntime or rten");
                Err(InputError::new_err(why))
            }
        }
    }

    /// Name and version of the runtime.
    fn describe(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).describe()
    }

    /// Measures a model: milliseconds and standard error; `None` if the runtime refuses it. `effort` is
    /// for a network that is about to be returned.
    fn measure(&self, py: Python, model: &[u8], effort: bool) -> PyResult<Option<(f64, f64)>> {
        let effort = if effort { Effort::Final } else { Effort::Quick };
        let latency = py.detach(|| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).measure(model, effort)
        });
        match latency {
            Ok(latency) => Ok(Some((latency.ms, latency.se))),
            Err(EvaluateError::Refused { .. }) => Ok(None),
            Err(error) => Err(error).or_exception(),
        }
    }
}
