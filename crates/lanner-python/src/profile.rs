//! Profiles of devices, which predict the latency of any network.

use std::path::{Path, PathBuf};

use lanner::network::onnx::{self, ReadOptions};
use lanner::predict::PredictError;
use lanner::predict::latency::any_network::{self, AnyLatency, Counted, Origin, Sample};
use pyo3::prelude::*;

use crate::error::{InputError, IntoException, OrException};

/// Prediction of a model: median, lower and upper bound of the 90 % interval, and reasons to doubt it.
type Predicted = (f64, f64, f64, Vec<String>);

/// A device's latency of any network.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Profile(AnyLatency);

#[pymethods]
impl Profile {
    /// Fits latencies of probes, and of models of the kind that will be predicted.
    #[staticmethod]
    fn fit(py: Python, probes: Vec<(u64, f64)>, own: Vec<(Vec<u8>, f64)>) -> PyResult<Profile> {
        py.detach(|| {
            let mut samples = Vec::with_capacity(probes.len() + own.len());
            for (number, latency) in probes {
                let network = counted(&onnx::probe(number), &ReadOptions::default())?;
                samples.push(Sample { network, latency, origin: Origin::Probe });
            }
            for (model, latency) in own {
                let network = counted(&model, &ReadOptions::default())?;
                samples.push(Sample { network, latency, origin: Origin::Own });
            }
            AnyLatency::fit(&samples, "latency_ms").map(Profile).or_exception()
        })
    }

    #[staticmethod]
    fn load(py: Python, path: PathBuf) -> PyResult<Profile> {
        let loaded = py.detach(|| AnyLatency::load(&path));
        loaded.map(Profile).map_err(|error| match error {
            wrong @ PredictError::ModelFile { .. } => InputError::new_err(format!(
                "{wrong}; lanner.profile and lanner profile write profiles, lanner.Predictor.load reads \
                 predictors"
            )),
            other => other.exception(),
        })
    }

    /// Reads the content of a profile's file.
    #[staticmethod]
    fn of_bytes(content: &[u8]) -> PyResult<Profile> {
        AnyLatency::from_bytes(content, Path::new("in a pickle")).map(Profile).or_exception()
    }

    /// The content of its file.
    fn to_bytes(&self) -> PyResult<Vec<u8>> {
        self.0.to_file().and_then(|file| file.to_bytes()).or_exception()
    }

    fn save(&self, py: Python, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.save(&path)).or_exception()
    }

    /// Predicts a model; `batch` and `dims` are the sizes of dimensions that it leaves open.
    fn predict(
        &self,
        py: Python,
        model: &[u8],
        batch: Option<u64>,
        dims: Vec<(String, u64)>,
    ) -> PyResult<Predicted> {
        let predicted = py.detach(|| {
            let options = ReadOptions { batch, dims };
            let graph = onnx::read(model, &options)?;
            for (i, (name, size)) in options.dims.iter().enumerate() {
                if !onnx::has_dim(&graph, model, &options, i) {
                    return Err(lanner::network::NetworkError::Value {
                        name: "dims",
                        value: format!("{{{name:?}: {size}}}"),
                        expected: format!(
                            "a name that the model has: no input has an open dimension '{name}'"
                        ),
                    });
                }
            }
            let counted = Counted::of(&graph);
            let mut doubts = Vec::new();
            let (unknown, new) = (graph.cost().unknown, self.0.unmeasured(&counted));
            if !unknown.is_empty() {
                doubts.push(format!("{} is not known and counts as a copy", unknown.join(", ")));
            }
            if !new.is_empty() {
                doubts.push(format!(
                    "too low: no measured network has {}; give own= some such networks",
                    new.join(", ")
                ));
            }
            let forecast = self.0.predict(&[counted]);
            Ok((forecast.mean[0], forecast.low[0], forecast.high[0], doubts))
        });
        predicted.map_err(|error: lanner::network::NetworkError| error.exception())
    }

    #[getter]
    fn metric(&self) -> &str {
        self.0.metric()
    }

    /// Number of measured networks.
    #[getter]
    fn measured(&self) -> usize {
        self.0.measured()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

fn counted(model: &[u8], options: &ReadOptions) -> PyResult<Counted> {
    Ok(Counted::of(&onnx::read(model, options).or_exception()?))
}

/// Encodes the probe of that number as an ONNX model.
#[pyfunction]
pub fn probe(number: u64) -> Vec<u8> {
    onnx::probe(number)
}

/// Returns the numbers of the probes to measure, those that tell most first.
#[pyfunction]
pub fn probes(py: Python, count: u64) -> PyResult<Vec<u64>> {
    py.detach(|| any_network::probes(count)).or_exception()
}
