//! Layer-wise predictor: measures each distinct layer alone; a network is the sum of its layers.
//!
//! This is the classic baseline (for example ProxylessNAS, Cai et al. 2019). It ignores fusion,
//! branches that run side by side, and caches that a whole network fills; and it counts the runtime's
//! fixed cost once for each layer.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::ControlFlow,
};

use lanner_network::{Builder, Init, Layer, Network, Op, Shape, Weights, onnx};
use lanner_space::{Architecture, View};

use super::{LatencyCampaign, LatencyRow, Reference, Runtime, campaign::unix_time};
use crate::EvaluateError;

/// Latency of one layer alone.
#[derive(Debug, Clone)]
pub struct LayerLatency {
    /// Operation, described by [`Op::describe`].
    pub op: String,
    /// Shape of each input; the largest if they differ.
    pub input: Shape,
    pub output: Shape,
    /// Number of inputs.
    pub inputs: usize,
    pub latency_ms: f64,
    pub error_ms: f64,
    pub runs: usize,
}

/// Layers that were measured alone, and networks as their sums.
#[derive(Debug, Clone)]
pub struct LayerWise {
    pub layers: Vec<LayerLatency>,
    /// A row for each network, with `runs` 0 since it was never run.
    pub rows: Vec<LatencyRow>,
}

/// Key of layers that take the same time: all that the time depends on.
fn key(op: &Op, inputs: usize, input: Shape) -> String {
    format!("{op:?} {inputs} {input:?}")
}

/// Largest shape of a layer's inputs, which stands for all of them.
fn input_of(network: &Network, layer: &Layer) -> Shape {
    let largest = network.input_shapes(layer).into_iter().max_by_key(Shape::len);
    largest.unwrap_or(layer.shape)
}

impl LatencyCampaign {
    /// Measures the distinct layers of these networks, and sums them up. `on_progress(done, all)` is
    /// called before each layer; returns `None` if it stopped the measurement.
    pub fn layerwise(
        &self,
        runtime: &dyn Runtime,
        archs: &[Architecture],
        mut on_progress: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<LayerWise>, EvaluateError> {
        let mut kinds: Vec<(Op, usize, Shape)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut networks = Vec::with_capacity(archs.len());
        for arch in archs {
            let network = self.skeleton.build(arch, View::Pruned)?;
            let folded = Weights::init(&network, Init::default()).fold(&network)?.0;
            let mut parts = Vec::new();
            for layer in folded.layers.iter().filter(|l| l.op != Op::Input) {
                let shape = input_of(&folded, layer);
                let count = layer.inputs.len();
                let kind = match known.entry(key(&layer.op, count, shape)) {
                    Entry::Occupied(e) => *e.get(),
                    Entry::Vacant(e) => {
                        kinds.push((layer.op, count, shape));
                        *e.insert(kinds.len() - 1)
                    }
                };
                parts.push(kind);
            }
            networks.push(parts);
        }
        let mut reference = match &self.reference {
            Some(arch) => Some(Reference::new(runtime.load(&self.model(arch)?)?, None)?),
            None => None,
        };
        let mut layers = Vec::new();
        for (done, (op, inputs, input)) in kinds.iter().enumerate() {
            if on_progress(done, kinds.len()).is_break() {
                return Ok(None);
            }
            layers.push(self.layer(runtime, *op, *inputs, *input, reference.as_mut())?);
        }
        let _ = on_progress(kinds.len(), kinds.len());
        let rows = archs.iter().zip(&networks).map(|(arch, parts)| LatencyRow {
            arch: arch.clone(),
            latency_ms: Some(parts.iter().map(|&k| layers[k].latency_ms).sum()),
            error_ms: parts.iter().map(|&k| layers[k].error_ms.powi(2)).sum::<f64>().sqrt(),
            runs: 0,
            drift: f64::NAN,
            unix_time: unix_time(),
            note: format!("sum of {} layers", parts.len()),
        });
        let rows = rows.collect();
        Ok(Some(LayerWise { layers, rows }))
    }

    fn layer(
        &self,
        runtime: &dyn Runtime,
        op: Op,
        inputs: usize,
        input: Shape,
        reference: Option<&mut Reference>,
    ) -> Result<LayerLatency, EvaluateError> {
        let mut net = Builder::new("layer", input)?;
        net.add("layer", op, &vec![0; inputs])?;
        let network = net.finish();
        let weights = Weights::init(&network, Init::default());
        let model = onnx::encode(&network, &weights, self.onnx)?;
        let mut session = runtime.load(&model)?;
        let measured = self.protocol.measure(&mut *session, reference)?;
        Ok(LayerLatency {
            op: op.describe(),
            input,
            output: network.output(),
            inputs,
            latency_ms: measured.latency_ms,
            error_ms: measured.error_ms,
            runs: measured.runs,
        })
    }
}
