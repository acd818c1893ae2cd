//! Networks over tensors of any rank that have weights, and can be encoded.

use prost::Message;

use crate::onnx::messages::{self, Dimension, TensorShape};
use crate::onnx::{self, Table, graph_of};
use crate::weights::{stream, uniform};
use crate::{Init, Network, NetworkError, TensorGraph, Weights};

/// A network over tensors of any rank, such as a transformer: operations with shapes and costs, and an ONNX
/// model of it. The executor of lanner-nn trains a [`Network`] only; [`TensorNetwork::of`] makes one of these
/// of any such.
///
/// ```
/// use lanner_network::{Init, Skeleton};
/// use lanner_space::Space;
/// let space = Space::AutoFormerTiny;
/// let arch = space.at(0)?;
/// let network = Skeleton::of(&space)?.tensors(&arch)?;
/// assert_eq!(network.graph().tensors[network.graph().outputs[0]].dims, [1, 1000]);
/// assert!(network.graph().cost().unknown.is_empty());
/// let bytes = network.encode(Init { seed: 1 }, Some(1))?;
/// assert!(bytes.len() as u64 > network.graph().weight_bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TensorNetwork {
    /// The model; its weights have no numbers.
    model: messages::Model,
    /// How to draw each weight.
    draws: Vec<Draw>,
    tables: Vec<Table>,
    graph: TensorGraph,
}

/// Initial numbers of a weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Draw {
    Zeros,
    Ones,
    /// He et al. 2015: uniform within ±√(6 / inputs).
    He {
        inputs: usize,
    },
    /// Uniform within this bound.
    Within(f32),
}

impl TensorNetwork {
    pub(crate) fn new(
        mut model: messages::Model,
        draws: Vec<Draw>,
        tables: Vec<Table>,
    ) -> Result<TensorNetwork, NetworkError> {
        let graph = graph_of(&model)?;
        // A model must state the shapes of its outputs.
        let outputs = model.graph.get_or_insert_default().output.iter_mut();
        for (of, &t) in outputs.zip(&graph.outputs) {
            let Some(tensor) = of.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()) else {
                continue;
            };
            let number = |&n: &u64| Dimension { dim_value: Some(n as i64), dim_param: None };
            let dim = graph.tensors[t].dims.iter().map(number).collect();
            tensor.shape = Some(TensorShape { dim });
        }
        Ok(TensorNetwork { model, draws, tables, graph })
    }

    /// Makes the graph of a network of layers, for one image: the same that its ONNX file has.
    ///
    /// # Errors
    /// None for a network of a [`Builder`](crate::Builder).
    pub fn of(network: &Network) -> Result<TensorGraph, NetworkError> {
        graph_of(&onnx::without_numbers(network))
    }

    /// Operations, shapes and costs for one input.
    pub fn graph(&self) -> &TensorGraph {
        &self.graph
    }

    pub(crate) fn into_graph(self) -> TensorGraph {
        self.graph
    }

    /// Encodes an ONNX model (opset 17) with weights of a seed; `batch` of `None` leaves that dimension open.
    ///
    /// # Errors
    /// The weights do not fit in an ONNX file, or the batch is 0.
    pub fn encode(&self, init: Init, batch: Option<u32>) -> Result<Vec<u8>, NetworkError> {
        onnx::fits_bytes(self.graph.weight_bytes)?;
        if batch == Some(0) {
            let (value, expected) = ("0".into(), "1 or more".into());
            return Err(NetworkError::Value { name: "batch", value, expected });
        }
        let mut model = self.model.clone();
        let graph = model.graph.get_or_insert_default();
        let values = graph.input.iter_mut().chain(&mut graph.output);
        for tensor in values.filter_map(|v| v.r#type.as_mut()) {
            let shape = tensor.tensor_type.as_mut().and_then(|t| t.shape.as_mut());
            if let Some(first) = shape.and_then(|s| s.dim.first_mut()) {
                first.dim_value = batch.map(i64::from);
                first.dim_param = batch.is_none().then(|| "batch".into());
            }
        }
        for (tensor, draw) in graph.initializer.iter_mut().zip(&self.draws) {
            let n: usize = tensor.dims.iter().map(|&d| d as usize).product();
            let bound = match *draw {
                Draw::Zeros => {
                    tensor.raw_data = vec![0; 4 * n];
                    continue;
                }
                Draw::Ones => {
                    tensor.raw_data = 1f32.to_le_bytes().repeat(n);
                    continue;
                }
                Draw::He { inputs } => (6.0 / inputs.max(1) as f32).sqrt(),
                Draw::Within(bound) => bound,
            };
            let values = uniform(n, bound, stream(init.seed, &tensor.name));
            tensor.raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        }
        self.tables.iter().for_each(|table| table.fill(&mut graph.node));
        Ok(model.encode_to_vec())
    }
}

impl std::fmt::Debug for TensorNetwork {
    /// Prints name and size: a model has megabytes of constants.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TensorGraph { name, nodes, params, .. } = &self.graph;
        write!(f, "TensorNetwork({name}, {} operations, {params} weights)", nodes.len())
    }
}

impl Weights {
    /// Stands for weights where only their sizes matter.
    pub(crate) fn none(network: &Network) -> Weights {
        Weights { layers: vec![Default::default(); network.layers.len()] }
    }
}
