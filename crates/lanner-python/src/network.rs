//! Networks of architectures in the published spaces and those of files.

use lanner::evaluate::memory_limit;
use lanner::evaluate::proxies::{Batch, Proxy, ProxyOptions, ProxyWeights, compute_of};
use lanner::network::{
    Cost, Diagram, Init, Network as Inner, OnnxOptions, Precision, Skeleton, TensorNetwork, View,
    Weights, json, onnx,
};
use lanner::space::{Architecture, Space as InnerSpace};
use pyo3::prelude::*;

use crate::error::{InputError, OrException};
use crate::space::Space;

/// A network with its shapes.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Network {
    space: InnerSpace,
    arch: Architecture,
    view: View,
    network: Built,
}

/// A network of layers, or of operations over tensors.
enum Built {
    Layers(Inner),
    Tensors(Box<TensorNetwork>),
}

#[pymethods]
impl Network {
    /// Builds a network; sizes that are `None` are those of the publication.
    #[new]
    #[pyo3(signature = (space, arch, channels, cells, resolution, classes, pruned))]
    fn new(
        space: &Space,
        arch: &str,
        channels: Option<usize>,
        cells: Option<usize>,
        resolution: Option<usize>,
        classes: Option<usize>,
        pruned: bool,
    ) -> PyResult<Network> {
        let skeleton = skeleton(&space.0, channels, cells, resolution, classes)?;
        let arch = space.parse(arch)?;
        let view = if pruned { View::Pruned } else { View::Raw };
        let network = match skeleton.is_transformer() {
            true => Built::Tensors(Box::new(skeleton.tensors(&arch).or_exception()?)),
            false => Built::Layers(skeleton.build(&arch, view).or_exception()?),
        };
        Ok(Network { space: space.0.clone(), arch, view, network })
    }

    /// Whether it has operations over tensors, not layers.
    #[getter]
    fn is_transformer(&self) -> bool {
        matches!(self.network, Built::Tensors(_))
    }

    /// Layers and costs as JSON.
    fn json(&self) -> String {
        match &self.network {
            Built::Layers(network) => json(network, &Cost::of(network)).to_string(),
            Built::Tensors(network) => {
                let graph = network.graph();
                let mut about = graph.json();
                // One input, without the batch.
                let first = graph.inputs.first().map(|&t| &graph.tensors[t].dims[1..]);
                about["input"] = serde_json::json!(first.unwrap_or_default());
                about.to_string()
            }
        }
    }

    /// Draws cell and network.
    fn svg(&self) -> PyResult<String> {
        let drawings = match &self.network {
            Built::Layers(network) => vec![
                Diagram::cell(&self.space, &self.arch, self.view).or_exception()?,
                Diagram::blocks(network, &Cost::of(network)),
            ],
            Built::Tensors(network) => vec![network.graph().diagram()],
        };
        Ok(Diagram::svg(&self.space.print(&self.arch), &drawings))
    }

    /// Encodes an ONNX model with He weights of a seed.
    fn onnx(
        &self,
        py: Python,
        seed: u64,
        fold: bool,
        int8: bool,
        batch: Option<u32>,
    ) -> PyResult<Vec<u8>> {
        let network = match &self.network {
            Built::Layers(network) => network,
            Built::Tensors(_) if fold || int8 => {
                return Err(InputError::new_err(format!(
                    "networks of {} are transformers: {} is for convolutions (quantise the model with \
                     onnxruntime.quantization)",
                    self.space,
                    if int8 { "int8" } else { "fold" }
                )));
            }
            Built::Tensors(network) => {
                return py.detach(|| network.encode(Init { seed }, batch)).or_exception();
            }
        };
        let encoded = py.detach(|| {
            onnx::fits(network)?;
            let weights = Weights::init(network, Init { seed });
            let precision = if int8 { Precision::Int8 } else { Precision::F32 };
            let options = OnnxOptions { precision, batch, ..OnnxOptions::default() };
            match fold || int8 {
                true => {
                    let (network, weights) = weights.fold(network)?;
                    onnx::encode(&network, &weights, options)
                }
                false => onnx::encode(network, &weights, options),
            }
        });
        encoded.or_exception()
    }

    /// Computes proxies of the network with the weights of `onnx` and of one batch: images as 32-bit floats
    /// one after the other, channels first, and their classes. `None` where one does not exist.
    fn proxies(
        &self,
        py: Python,
        seed: u64,
        images: Vec<f32>,
        labels: Vec<u16>,
        names: Vec<String>,
    ) -> PyResult<Vec<(&'static str, Option<f64>)>> {
        let proxies: Result<Vec<Proxy>, _> = names.iter().map(|name| name.parse()).collect();
        let proxies = proxies.or_exception()?;
        let Built::Layers(network) = &self.network else {
            let why = "proxies of transformers are computed by lanner.torch.proxies";
            return Err(InputError::new_err(why));
        };
        let batch = Batch { images, labels, classes: network.output().len() };
        let scores = py.detach(|| {
            let weights = Weights::init(network, Init { seed });
            let options = ProxyOptions {
                seed,
                weights: ProxyWeights::of(&self.space),
                memory_limit: memory_limit(None),
                ..ProxyOptions::default()
            };
            compute_of(network, &weights, &batch, &proxies, &options)
        });
        let scores = scores.or_exception()?;
        Ok(scores.into_iter().map(|(proxy, score)| (proxy.name(), score.ok())).collect())
    }
}

/// Returns the published sizes, and others where they are given.
pub fn skeleton(
    space: &InnerSpace,
    channels: Option<usize>,
    cells: Option<usize>,
    resolution: Option<usize>,
    classes: Option<usize>,
) -> PyResult<Skeleton> {
    let published = Skeleton::of(space).or_exception()?;
    Ok(Skeleton {
        channels: channels.unwrap_or(published.channels),
        cells: cells.unwrap_or(published.cells),
        resolution: resolution.unwrap_or(published.resolution),
        classes: classes.unwrap_or(published.classes),
        ..published
    })
}

/// Counts the costs of an ONNX model, as JSON.
#[pyfunction]
pub fn onnx_cost(py: Python, model: &[u8]) -> PyResult<String> {
    let cost = py.detach(|| onnx::count(model)).or_exception()?;
    Ok(serde_json::json!({
        "flops": cost.flops, "macs": cost.macs, "params": cost.params,
        "weight_bytes": cost.weight_bytes, "memory_bytes": cost.peak_bytes,
        "nodes": cost.nodes, "uncounted": cost.uncounted,
    })
    .to_string())
}
