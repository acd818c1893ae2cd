//! Counts the costs of any ONNX model, such as one that PyTorch exported: convolutions, matrix products,
//! parameters and memory, from the shapes that stand in the file.
//!
//! The conventions are those of [`Cost`](crate::Cost), for the input that the model was exported with: a
//! batch of several counts as several. Operators that only move or combine values count nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use prost::Message;

use super::messages::{DATA_FLOAT, Node, Type, ValueInfo};
use crate::NetworkError;

/// Costs of an ONNX model for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxCost {
    /// Operations as [`Cost::flops`](crate::Cost::flops) counts them. `None` if the model has operators
    /// whose work is not known.
    pub flops: Option<u64>,
    /// Multiply-accumulates of convolutions and matrix products, biases included; `None` as for FLOPs.
    pub macs: Option<u64>,
    /// Number of weights, without the running statistics of batch norms.
    pub params: u64,
    /// Size of all stored weights in bytes.
    pub weight_bytes: u64,
    /// Peak memory of activations with the nodes in the order of the file, in bytes.
    pub peak_bytes: u64,
    /// Operators whose work is not known, in order of the alphabet.
    pub uncounted: Vec<String>,
    /// Number of nodes.
    pub nodes: usize,
}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(string, tag = "1")]
    name: String,
}

/// `GraphProto` without the numbers of its weights.
#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Weights>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "13")]
    value_info: Vec<ValueInfo>,
}

/// `TensorProto` without its numbers.
#[derive(Clone, PartialEq, Message)]
struct Weights {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
}

/// Shape and element type of a tensor.
struct Tensor {
    dims: Vec<u64>,
    kind: i32,
}

impl Tensor {
    fn len(&self) -> u64 {
        self.dims.iter().fold(1, |all, &n| all.saturating_mul(n))
    }

    fn bytes(&self) -> u64 {
        self.len().saturating_mul(element_bytes(self.kind))
    }
}

/// Bytes of an element of a `TensorProto.DataType`; numbers of less than a byte count as one.
fn element_bytes(kind: i32) -> u64 {
    match kind {
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 | 14 => 8,
        15 => 16,
        DATA_FLOAT | 6 | 12 => 4,
        _ => 1,
    }
}

/// Whether numbers of this type are weights: floats, and small integers of quantised models.
fn is_weight(kind: i32) -> bool {
    matches!(kind, DATA_FLOAT | 2 | 3 | 10 | 11 | 16..=22)
}

/// Counts the costs of an encoded model.
///
/// # Errors
/// The bytes are no ONNX model, or a shape that is needed does not stand in the file.
pub fn count(model: &[u8]) -> Result<OnnxCost, NetworkError> {
    let wrong = |value: String, expected: &str| NetworkError::Value {
        name: "ONNX model",
        value,
        expected: expected.into(),
    };
    let model = Model::decode(model)
        .map_err(|e| wrong(format!("not readable ({e})"), "an encoded ModelProto"))?;
    let functions: HashSet<String> = model.functions.into_iter().map(|f| f.name).collect();
    let graph = model.graph.ok_or_else(|| wrong("without a graph".into(), "a ModelProto"))?;
    Counter::new(&graph).count(&graph, &functions)
}

struct Counter<'a> {
    tensors: HashMap<&'a str, Tensor>,
    stored: HashSet<&'a str>,
}

impl<'a> Counter<'a> {
    fn new(graph: &'a Graph) -> Counter<'a> {
        let mut tensors = HashMap::new();
        for value in graph.input.iter().chain(&graph.value_info).chain(&graph.output) {
            if let Some(tensor) = value.r#type.as_ref().and_then(fixed) {
                tensors.insert(value.name.as_str(), tensor);
            }
        }
        let mut stored = HashSet::new();
        for weights in &graph.initializer {
            let dims = weights.dims.iter().map(|&n| n.max(0) as u64).collect();
            tensors.insert(weights.name.as_str(), Tensor { dims, kind: weights.data_type });
            stored.insert(weights.name.as_str());
        }
        Counter { tensors, stored }
    }

    fn count(&self, graph: &Graph, functions: &HashSet<String>) -> Result<OnnxCost, NetworkError> {
        let (mut flops, mut macs) = (0u64, 0u64);
        let mut uncounted = BTreeSet::new();
        let mut statistics = HashSet::new();
        for node in &graph.node {
            if functions.contains(&node.op_type) || is_unknown(&node.op_type) {
                uncounted.insert(node.op_type.clone());
                continue;
            }
            if node.op_type == "BatchNormalization" {
                statistics.extend(node.input.iter().skip(3).map(String::as_str));
            }
            let [f, m] = self.work(node)?;
            flops = flops.saturating_add(f);
            macs = macs.saturating_add(m);
        }
        let weights = graph.initializer.iter().filter(|w| is_weight(w.data_type));
        let (mut params, mut weight_bytes) = (0u64, 0u64);
        for tensor in weights.filter_map(|w| Some((w, self.tensors.get(w.name.as_str())?))) {
            let (weights, tensor) = tensor;
            weight_bytes = weight_bytes.saturating_add(tensor.bytes());
            // A number alone is a constant of the program, such as the ε of a norm.
            let is_constant = tensor.dims.is_empty();
            if !is_constant && !statistics.contains(weights.name.as_str()) {
                params = params.saturating_add(tensor.len());
            }
        }
        let known = uncounted.is_empty();
        Ok(OnnxCost {
            flops: known.then_some(flops),
            macs: known.then_some(macs),
            params,
            weight_bytes,
            peak_bytes: self.peak(graph)?,
            uncounted: uncounted.into_iter().collect(),
            nodes: graph.node.len(),
        })
    }

    /// FLOPs and multiply-accumulates of a node.
    fn work(&self, node: &Node) -> Result<[u64; 2], NetworkError> {
        let values = |of: &Counter| Ok::<u64, NetworkError>(of.output(node)?.len());
        Ok(match node.op_type.as_str() {
            "Conv" | "ConvInteger" | "QLinearConv" => {
                let weights = if node.op_type == "QLinearConv" { 3 } else { 1 };
                let bias = has_input(node, if node.op_type == "QLinearConv" { 8 } else { 2 })
                    && node.op_type != "ConvInteger";
                let kernel: u64 = self.input(node, weights)?.dims.iter().skip(1).product();
                both((kernel + u64::from(bias)).saturating_mul(values(self)?))
            }
            "ConvTranspose" => {
                let kernel: u64 = self.input(node, 1)?.dims.iter().skip(1).product();
                let bias = if has_input(node, 2) { values(self)? } else { 0 };
                both(kernel.saturating_mul(self.input(node, 0)?.len()).saturating_add(bias))
            }
            "Gemm" => {
                let inner = self.input(node, 1)?.dims.get(usize::from(flag(node, "transB")));
                let products = inner.copied().unwrap_or(1).saturating_mul(values(self)?);
                let bias = if has_input(node, 2) { values(self)? } else { 0 };
                [products, products.saturating_add(bias)]
            }
            "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
                let right = if node.op_type == "QLinearMatMul" { 3 } else { 1 };
                let inner = self.input(node, right)?.dims.iter().rev().take(2).next_back();
                let inner = inner.copied().unwrap_or(1);
                both(inner.saturating_mul(values(self)?))
            }
            "BatchNormalization"
            | "LayerNormalization"
            | "InstanceNormalization"
            | "GroupNormalization"
            | "RMSNormalization" => [2 * values(self)?, 0],
            "Relu" | "LeakyRelu" | "PRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "Mish" | "Clip"
            | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Swish" | "Tanh" | "Erf" | "Softplus"
            | "Softsign" | "Softmax" | "LogSoftmax" | "Exp" | "Log" | "Sqrt" => [values(self)?, 0],
            "MaxPool" | "AveragePool" | "LpPool" => {
                let kernel = node.attribute.iter().find(|a| a.name == "kernel_shape");
                let area: u64 = kernel.map_or(1, |k| k.ints.iter().map(|&n| n as u64).product());
                // A window of one pixel computes nothing.
                [if area > 1 { area.saturating_mul(values(self)?) } else { 0 }, 0]
            }
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let dims = &self.input(node, 0)?.dims;
                let area: u64 = dims.iter().skip(2).map(|&n| n + 1).product();
                [area.saturating_mul(dims.iter().take(2).product()), 0]
            }
            _ => [0, 0],
        })
    }

    fn input(&self, node: &Node, number: usize) -> Result<&Tensor, NetworkError> {
        self.tensor(node, node.input.get(number).map_or("", String::as_str))
    }

    fn output(&self, node: &Node) -> Result<&Tensor, NetworkError> {
        self.tensor(node, node.output.first().map_or("", String::as_str))
    }

    fn tensor(&self, node: &Node, name: &str) -> Result<&Tensor, NetworkError> {
        self.tensors.get(name).ok_or_else(|| NetworkError::Value {
            name: "ONNX model",
            value: format!(
                "without the shape of '{name}', at node '{}' ({})",
                node.name, node.op_type
            ),
            expected: "fixed shapes in value_info: export with fixed sizes, or run \
                       onnx.shape_inference.infer_shapes on the model"
                .into(),
        })
    }

    /// Peak memory: a tensor is held from the node that makes it to the last one that reads it.
    fn peak(&self, graph: &Graph) -> Result<u64, NetworkError> {
        let mut last: HashMap<&str, usize> = HashMap::new();
        for (i, node) in graph.node.iter().enumerate() {
            last.extend(node.input.iter().map(|name| (name.as_str(), i)));
        }
        last.extend(graph.output.iter().map(|v| (v.name.as_str(), usize::MAX)));
        // Shapes of tensors that only some operators need may be missing.
        let bytes = |name: &str| match self.stored.contains(name) {
            true => 0,
            false => self.tensors.get(name).map_or(0, Tensor::bytes),
        };
        let mut now: u64 = graph.input.iter().map(|v| bytes(&v.name)).sum();
        let mut most = now;
        for (i, node) in graph.node.iter().enumerate() {
            now += node.output.iter().map(|name| bytes(name)).sum::<u64>();
            most = most.max(now);
            let read: BTreeSet<&str> = node.input.iter().map(String::as_str).collect();
            let ended = read.iter().filter(|name| last.get(**name) == Some(&i));
            now = now.saturating_sub(ended.map(|name| bytes(name)).sum());
            let unread = node.output.iter().filter(|name| !last.contains_key(name.as_str()));
            now = now.saturating_sub(unread.map(|name| bytes(name)).sum());
        }
        Ok(most)
    }
}

fn both(n: u64) -> [u64; 2] {
    [n, n]
}

/// Whether a node has an input of that number; an empty name stands for none.
fn has_input(node: &Node, number: usize) -> bool {
    node.input.get(number).is_some_and(|name| !name.is_empty())
}

fn flag(node: &Node, name: &str) -> bool {
    node.attribute.iter().any(|a| a.name == name && a.i.unwrap_or(0) != 0)
}

/// Whether an operator does work that is not counted here.
fn is_unknown(operator: &str) -> bool {
    matches!(
        operator,
        "Attention"
            | "MultiHeadAttention"
            | "Einsum"
            | "LSTM"
            | "GRU"
            | "RNN"
            | "If"
            | "Loop"
            | "Scan"
            | "DeformConv"
            | "DFT"
            | "STFT"
    )
}

/// Returns the shape of a tensor whose dimensions are all fixed.
fn fixed(of: &Type) -> Option<Tensor> {
    let tensor = of.tensor_type.as_ref()?;
    let dims = tensor.shape.as_ref()?.dim.iter();
    let dims = dims.map(|d| d.dim_value.and_then(|n| u64::try_from(n).ok()));
    Some(Tensor { dims: dims.collect::<Option<_>>()?, kind: tensor.elem_type })
}

#[cfg(test)]
mod tests {
    use super::super::messages::{Dimension, TensorShape, TensorType};
    use super::*;
    use crate::{Cost, Init, Network, OnnxOptions, Shape, Skeleton, Weights, onnx};
    use lanner_space::{Space, View};
    use rand::SeedableRng;

    /// Encodes a network, with the shapes of its layers as `value_info`.
    fn with_shapes(network: &Network) -> Vec<u8> {
        let weights = Weights::init(network, Init { seed: 1 });
        let bytes = onnx::encode(network, &weights, OnnxOptions::default()).unwrap();
        let mut model = Model::decode(&bytes[..]).unwrap();
        let info = |name: String, dims: &[usize]| {
            let dim =
                dims.iter().map(|&n| Dimension { dim_value: Some(n as i64), dim_param: None });
            let shape = Some(TensorShape { dim: dim.collect() });
            let tensor_type = Some(TensorType { elem_type: DATA_FLOAT, shape });
            ValueInfo { name, r#type: Some(Type { tensor_type }) }
        };
        let shapes = network.layers.iter().flat_map(|layer| {
            let Shape { channels, height, width } = layer.shape;
            let own = info(format!("{}:0", layer.name), &[1, channels, height, width]);
            // The product of a linear layer within the network, before it has four dimensions again.
            [own, info(format!("{}.scores:0", layer.name), &[1, channels])]
        });
        model.graph.as_mut().unwrap().value_info = shapes.collect();
        model.encode_to_vec()
    }

    #[test]
    fn costs_are_those_of_the_network() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for space in Space::ALL.into_iter().filter(|space| space.parameters().is_none()) {
            let skeleton = Skeleton { classes: 10, ..Skeleton::of(&space).unwrap() };
            for _ in 0..3 {
                let arch = space.sample(&mut rng);
                let network = skeleton.build(&arch, View::Pruned).unwrap();
                let cost = Cost::of(&network);
                let counted = count(&with_shapes(&network)).unwrap();
                let text = space.print(&arch);
                assert_eq!(counted.flops, Some(cost.flops), "{space} {text}");
                assert_eq!(counted.macs, Some(cost.macs), "{space} {text}");
                assert_eq!(counted.params, cost.params, "{space} {text}");
                // Longer sums are chains of nodes, which hold less at a time.
                if network.layers.iter().all(|l| l.inputs.len() <= 2) {
                    assert_eq!(counted.peak_bytes, cost.peak_bytes, "{space} {text}");
                }
                assert!(counted.weight_bytes >= 4 * cost.params);
            }
        }
    }

    #[test]
    fn what_cannot_be_counted_is_said() {
        let space = Space::NasBench201;
        let arch = space.parse("333333").unwrap();
        let network = Skeleton::of(&space).unwrap().build(&arch, View::Pruned).unwrap();
        let mut model = Model::decode(&with_shapes(&network)[..]).unwrap();
        let graph = model.graph.as_mut().unwrap();
        graph.node[3].op_type = "LSTM".into();
        let counted = count(&model.encode_to_vec()).unwrap();
        assert_eq!((counted.flops, counted.macs), (None, None));
        assert_eq!(counted.uncounted, ["LSTM"]);
        // Without shapes, nothing is guessed.
        model.graph.as_mut().unwrap().value_info.clear();
        let error = count(&model.encode_to_vec()).unwrap_err().to_string();
        assert!(error.contains("shape of 'stem") && error.contains("value_info"), "{error}");
        for rubbish in [&b"rubbish"[..], b"", &with_shapes(&network)[..2000]] {
            assert!(count(rubbish).is_err());
        }
    }
}
