//! The layer-wise predictor: each distinct layer measured alone, a network as the sum of its layers.
//!
//! The classic baseline (for example ProxylessNAS, Cai et al. 2019). It knows nothing of fusion, of
//! branches that run side by side, of caches that a whole network fills; and it counts the runtime's
//! fixed cost once a layer.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::ControlFlow,
};

use lanner_network::{Builder, Init, Layer, Network, Op, Shape, Weights, onnx};
use lanner_space::{Architecture, View};

use super::{Campaign, LatencyRow, Reference, Runtime, campaign::unix_time};
use crate::EvaluateError;

/// What one layer takes alone.
#[derive(Debug, Clone)]
pub struct LayerLatency {
    /// As [`Op::describe`] has it.
    pub op: String,
    /// Of each input; the largest one where they differ.
    pub input: Shape,
    pub output: Shape,
    /// How many inputs of that shape.
    pub inputs: usize,
    pub latency_ms: f64,
    pub error_ms: f64,
    pub runs: usize,
}

/// Layers measured alone, and their sums.
#[derive(Debug, Clone)]
pub struct LayerWise {
    pub layers: Vec<LayerLatency>,
    /// A row a network, with `runs` 0: it was never run.
    pub rows: Vec<LatencyRow>,
}

/// Layers that take the same time: the text of all that matters.
fn key(op: &Op, inputs: usize, input: Shape) -> String {
    format!("{op:?} {inputs} {input:?}")
}

/// The shape that stands for all inputs of a layer: the largest.
fn input_of(network: &Network, layer: &Layer) -> Shape {
    let largest = network.input_shapes(layer).into_iter().max_by_key(Shape::len);
    largest.unwrap_or(layer.shape)
}

impl Campaign {
    /// Measures the distinct layers of these networks, and sums them up. `None` where `on_progress` (layers
    /// done, of how many) stopped it.
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
