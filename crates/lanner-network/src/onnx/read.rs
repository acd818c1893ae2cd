//! Reads ONNX models: infers all shapes from those of the inputs, computes what does not depend on the
//! inputs, and counts the costs of what remains.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::infer::{self, Call, Fact, Gap, MOST_VALUES, Sliding};
use super::microsoft;
use super::parse::{Dim, Graph, Model, Node, ValueInfo, is_standard, tensor_type};
use super::work::{self, Work};
use crate::{NetworkError, Tensor, TensorGraph, TensorNode, TensorOp};

/// Opsets whose operators are known.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=24;
/// Most numbers of constants that are kept in all.
const MOST_KEPT: usize = 4_000_000;

/// Options for reading a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Size of the batch where the model leaves the first dimension of an input open; 1 if `None`.
    pub batch: Option<u64>,
    /// Sizes of other open dimensions by name; an unnamed one is called `INPUT.AXIS`, such as `x.2`.
    pub dims: Vec<(String, u64)>,
}

impl ReadOptions {
    /// Returns the size of a dimension that an input leaves open, `symbol` being its name, or empty.
    ///
    /// # Errors
    /// It is not known; the text says how to give it.
    pub fn size(&self, input: &str, axis: usize, symbol: &str) -> Result<u64, String> {
        let unnamed = format!("{input}.{axis}");
        let name = if symbol.is_empty() { unnamed.as_str() } else { symbol };
        let given = self.dims.iter().rev().find(|(n, _)| n == name);
        given.map(|d| d.1).or((axis == 0).then(|| self.batch.unwrap_or(1))).ok_or_else(|| {
            format!(
                "dimension {axis} is open: give its size, as --dim {name}=224, or export with fixed sizes"
            )
        })
    }
}

/// Tells whether an input of the model has the open dimension `options.dims[i]`: whether another size changes
/// the shapes of `graph`, which was [read](read) with these options. If it cannot be read with another, this
/// is assumed.
pub fn has_dim(graph: &TensorGraph, bytes: &[u8], options: &ReadOptions, i: usize) -> bool {
    let mut other = options.clone();
    other.dims[i].1 = if options.dims[i].1 == 1 { 2 } else { 1 };
    let inputs = |graph: &TensorGraph| -> Vec<Vec<u64>> {
        graph.inputs.iter().map(|&t| graph.tensors[t].dims.clone()).collect()
    };
    read(bytes, &other).map_or(true, |other| inputs(graph) != inputs(&other))
}

/// Reads an encoded model. Numbers of weights are skipped, and external data is never opened.
///
/// ```
/// use lanner_network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};
/// use lanner_space::Space;
/// let space = Space::NasBench201;
/// let net = Skeleton::of(&space)?.build(&space.parse("302143")?, View::Pruned)?;
/// let weights = Weights::init(&net, Init::default());
/// let bytes = onnx::encode(&net, &weights, OnnxOptions { batch: None, ..Default::default() })?;
/// let graph = onnx::read(&bytes, &onnx::ReadOptions { batch: Some(8), ..Default::default() })?;
/// assert_eq!(graph.tensors[graph.outputs[0]].dims, [8, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`NetworkError::Onnx`] names the place in the model, such as a node, and the way out: the bytes are no
/// model, or one of an opset that is not known; it is cyclic; it has branches or loops; shapes do not fit;
/// or a shape is not fixed and cannot be inferred.
pub fn read(model: &[u8], options: &ReadOptions) -> Result<TensorGraph, NetworkError> {
    let file = |why: String| error("file", why);
    if model.is_empty() {
        return Err(file("it is empty".into()));
    }
    let Model { graph, opset, functions } = Model::parse(model)
        .map_err(|why| file(format!("{why}: it is damaged, truncated or no ONNX model")))?;
    let graph = graph.ok_or_else(|| file("it has no graph: is it an ONNX model?".into()))?;
    match opset {
        Some(opset) if OPSETS.contains(&opset) => {}
        Some(opset) => {
            return Err(file(format!(
                "opset {opset}, expected {} to {}: convert it with onnx.version_converter, or export \
                 it with another opset_version",
                OPSETS.start(),
                OPSETS.end()
            )));
        }
        None => return Err(file("it does not say its opset of ONNX's own operators".into())),
    }
    let functions = functions.into_iter().collect();
    let mut reader = Reader { functions, ..Reader::new(options) };
    reader.weights(&graph)?;
    reader.inputs(&graph)?;
    for number in order(&graph)? {
        reader.node(&graph, number)?;
    }
    reader.finish(&graph)
}

fn error(place: impl Into<String>, why: String) -> NetworkError {
    NetworkError::Onnx { place: place.into(), why }
}

fn place(node: &Node, number: usize) -> String {
    let Node { name, op, .. } = node;
    match name.is_empty() {
        true => format!("node {number} ({op})"),
        false => format!("node '{name}' ({op})"),
    }
}

/// Nodes in an order in which they can run: that of the file where that is one.
fn order(graph: &Graph) -> Result<Vec<usize>, NetworkError> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if makers.insert(name, i).is_some() {
                return Err(error(place(node, i), format!("another node yields '{name}' too")));
            }
        }
    }
    let mut waits = vec![0usize; graph.nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        for &maker in node.inputs.iter().filter_map(|name| makers.get(name)) {
            waits[i] += 1;
            readers[maker].push(i);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..waits.len()).filter(|&i| waits[i] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(Reverse(i)) = ready.pop() {
        order.push(i);
        for &reader in &readers[i] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match waits.iter().position(|&n| n > 0) {
        Some(i) => {
            Err(error(place(&graph.nodes[i], i), "it is part of a cycle, or behind one".into()))
        }
        None => Ok(order),
    }
}

/// Knowledge gathered so far.
struct Reader<'a> {
    options: &'a ReadOptions,
    functions: HashSet<(&'a str, &'a str)>,
    /// Number of each tensor.
    numbers: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
    facts: Vec<Fact>,
    /// Sizes of named dimensions.
    sizes: HashMap<&'a str, u64>,
    inputs: Vec<usize>,
    nodes: Vec<TensorNode>,
    /// Means and variances of batch norms, first states of recurrent layers, and factors by which images are
    /// resized.
    no_weights: HashSet<&'a str>,
    /// Inputs of layers with weights.
    of_layers: HashSet<&'a str>,
    /// Number of weights where several share a byte.
    packed: HashMap<&'a str, u64>,
    /// Numbers of constants that are kept.
    kept: usize,
}

impl<'a> Reader<'a> {
    fn new(options: &'a ReadOptions) -> Reader<'a> {
        let sizes = options.dims.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        Reader {
            options,
            functions: HashSet::new(),
            numbers: HashMap::new(),
            names: Vec::new(),
            facts: Vec::new(),
            sizes,
            inputs: Vec::new(),
            nodes: Vec::new(),
            no_weights: HashSet::new(),
            of_layers: HashSet::new(),
            packed: HashMap::new(),
            kept: 0,
        }
    }

    fn add(&mut self, name: &'a str, mut fact: Fact) -> Result<usize, NetworkError> {
        let count = fact.values.as_ref().map_or(0, Vec::len);
        self.kept += count;
        if self.kept > MOST_KEPT {
            fact.values = None;
        }
        let number = self.facts.len();
        if self.numbers.insert(name, number).is_some() {
            return Err(error(format!("tensor '{name}'"), "it is there twice".into()));
        }
        self.names.push(name);
        self.facts.push(fact);
        Ok(number)
    }

    fn weights(&mut self, graph: &Graph<'a>) -> Result<(), NetworkError> {
        for tensor in &graph.weights {
            let wrong = |why| error(format!("weights '{}'", tensor.name), why);
            let dims = tensor.dims().map_err(wrong)?;
            let values = tensor.values(MOST_VALUES).map_err(wrong)?;
            self.add(tensor.name, Fact { values, constant: true, ..Fact::new(dims, tensor.kind) })?;
        }
        Ok(())
    }

    fn inputs(&mut self, graph: &Graph<'a>) -> Result<(), NetworkError> {
        let mut open_batch = false;
        let mut fixed_batch = None;
        // Older files list weights among the inputs.
        let stored: HashSet<&str> = graph.weights.iter().map(|w| w.name).collect();
        for ValueInfo { name, of } in graph.inputs.iter().filter(|v| !stored.contains(v.name)) {
            let wrong = |why: String| error(format!("input '{name}'"), why);
            let (kind, dims) = tensor_type(of).map_err(wrong)?;
            let Some(dims) = dims else {
                return Err(wrong("it has no shape: export with an example of the input".into()));
            };
            let mut sizes = Vec::with_capacity(dims.len());
            for (axis, dim) in dims.into_iter().enumerate() {
                sizes.push(match dim {
                    Dim::Fixed(n) if n > 0 && n < 1 << 40 => {
                        if axis == 0 {
                            fixed_batch = Some(n as u64);
                        }
                        n as u64
                    }
                    Dim::Fixed(n) => {
                        return Err(wrong(format!("dimension {axis} is {n}, expected 1 or more")));
                    }
                    Dim::Open(of) => {
                        let unnamed = format!("{name}.{axis}");
                        let shown = if of.is_empty() { unnamed.as_str() } else { of };
                        let known = self.sizes.get(shown).copied();
                        open_batch |= axis == 0 && known.is_none();
                        let n = match known {
                            Some(n) => n,
                            None => self.options.size(name, axis, of).map_err(wrong)?,
                        };
                        if n == 0 || n >= 1 << 40 {
                            return Err(wrong(format!(
                                "size {n} of '{shown}', expected 1 or more"
                            )));
                        }
                        if !of.is_empty() {
                            self.sizes.insert(of, n);
                        }
                        n
                    }
                });
            }
            let number = self.add(name, Fact::new(sizes, kind))?;
            self.inputs.push(number);
        }
        if let (Some(batch), Some(fixed), false) = (self.options.batch, fixed_batch, open_batch)
            && batch != fixed
        {
            return Err(error(
                "inputs",
                format!("the batch is fixed to {fixed}, not {batch}: export with an open batch"),
            ));
        }
        Ok(())
    }

    fn node(&mut self, graph: &Graph<'a>, number: usize) -> Result<(), NetworkError> {
        let node = &graph.nodes[number];
        let wrong = |why: String| error(place(node, number), why);
        if node.attributes.iter().any(|a| a.is_graph) {
            return Err(wrong(
                "it has a body of its own (a branch or loop), which depends on what the network \
                 computes: export without control flow, with fixed sizes"
                    .into(),
            ));
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            inputs.push(match self.numbers.get(name) {
                _ if name.is_empty() => None,
                Some(&number) => Some(number),
                None => return Err(wrong(format!("nothing yields its input '{name}'"))),
            });
        }
        let plain = match node.domain {
            microsoft::DOMAIN => microsoft::plain(node.op, inputs.len()),
            _ if node.op == "SimplifiedLayerNormalization" => microsoft::plain(node.op, 2),
            _ => None,
        };
        let is_own = self.functions.contains(&(node.domain, node.op));
        let strange = is_own || (!is_standard(node.domain) && plain.is_none());
        let used: Vec<Option<usize>> = match &plain {
            Some(plain) => plain.inputs.iter().map(|&i| inputs.get(i).copied().flatten()).collect(),
            None => inputs.clone(),
        };
        let facts: Vec<Option<&Fact>> = used.iter().map(|i| i.map(|i| &self.facts[i])).collect();
        let op = plain.map_or(node.op, |plain| plain.op);
        let call = Call { op, node, inputs: &facts };
        let inferred = match strange {
            true => Err(Gap::Open(match self.functions.is_empty() {
                true => format!("the operators of domain '{}' are not known", node.domain),
                false => "this is a function of the file: inline it with \
                          onnx.inliner.inline_local_functions"
                    .into(),
            })),
            false => infer::infer(&call),
        };
        let (facts, known) = match inferred {
            Ok(facts) => (facts, true),
            Err(Gap::Open(why)) => {
                let facts = stated(graph, node, &self.sizes, &why).map_err(wrong)?;
                // An operator that is known may have a shape that is not.
                (facts, !strange && why != infer::NOT_KNOWN)
            }
            Err(Gap::Wrong(why)) => return Err(wrong(why)),
        };
        let (kind, work) = match known {
            true => {
                let why = |gap| match gap {
                    Gap::Open(why) | Gap::Wrong(why) => wrong(why),
                };
                (work::kind(&call), work::work(&call, &facts).map_err(why)?)
            }
            false => (TensorOp::Unknown, Work::default()),
        };
        let sliding = match kind {
            TensorOp::Conv | TensorOp::Pool => Sliding::of(&call).unwrap_or_default(),
            _ => Sliding::default(),
        };
        let all = inputs.iter().flatten().map(|&i| &self.facts[i]);
        let weights = all.filter(|f| f.constant && is_weight(f.kind));
        let weights = weights.map(|f| f.len()).fold(0, u64::saturating_add);
        if matches!(kind, TensorOp::Conv | TensorOp::Linear | TensorOp::Recurrent | TensorOp::Norm)
        {
            self.of_layers.extend(&node.inputs);
        }
        match node.op {
            "BatchNormalization" => self.no_weights.extend(node.inputs.iter().skip(3)),
            "Resize" | "Upsample" => self.no_weights.extend(node.inputs.iter().skip(1)),
            "LSTM" | "GRU" | "RNN" => self.no_weights.extend(node.inputs.iter().skip(5).take(2)),
            "MatMulNBits" => {
                let size = |name| u64::try_from(node.int(name).unwrap_or(0)).unwrap_or(0);
                let count = size("K").saturating_mul(size("N"));
                self.packed.extend(node.inputs.get(1).map(|&name| (name, count)));
            }
            _ => {}
        }
        let constant = facts.iter().all(|f| f.constant);
        let mut outputs = Vec::with_capacity(node.outputs.len());
        let mut facts = facts.into_iter();
        for name in &node.outputs {
            let fact = facts.next();
            if name.is_empty() {
                continue;
            }
            let fact = match fact {
                Some(fact) => fact,
                None => stated_one(graph, name, &self.sizes).map_err(wrong)?.ok_or_else(|| {
                    wrong(format!("the shape of its output '{name}' is not known"))
                })?,
            };
            outputs.push(self.add(name, fact)?);
        }
        if !constant {
            let op = match is_standard(node.domain) {
                true => node.op.to_string(),
                false => format!("{}.{}", node.domain, node.op),
            };
            let Work { products, flops, macs } = work;
            self.nodes.push(TensorNode {
                name: node.name.to_string(),
                op,
                kind,
                inputs: inputs.into_iter().flatten().collect(),
                outputs,
                kernel: sliding.kernel,
                strides: sliding.strides,
                groups: sliding.groups.max(1),
                products,
                flops,
                macs,
                weights,
            });
        }
        Ok(())
    }

    fn finish(self, graph: &Graph<'a>) -> Result<TensorGraph, NetworkError> {
        let mut outputs = Vec::with_capacity(graph.outputs.len());
        for ValueInfo { name, .. } in &graph.outputs {
            let Some(&number) = self.numbers.get(name) else {
                return Err(error(format!("output '{name}'"), "nothing yields it".into()));
            };
            outputs.push(number);
        }
        let (mut params, mut weight_bytes) = (0u64, 0u64);
        // Some exporters write weights as nodes, as all do with constants of the program, such as angles.
        let of_nodes = graph.nodes.iter().filter(|n| n.op == "Constant" && is_standard(n.domain));
        let of_nodes = of_nodes.flat_map(|n| n.outputs.iter().copied());
        let stored = graph.weights.iter().map(|w| w.name);
        for name in stored.chain(of_nodes.filter(|name| self.of_layers.contains(name))) {
            let Some(known) = self.numbers.get(name).map(|&number| &self.facts[number]) else {
                continue;
            };
            if !is_weight(known.kind) {
                continue;
            }
            weight_bytes =
                weight_bytes.saturating_add(known.len().saturating_mul(element_bytes(known.kind)));
            // A number alone is a constant of the program, such as the ε of a norm.
            if !known.dims.is_empty() && !self.no_weights.contains(name) {
                let count = self.packed.get(name).copied().unwrap_or(known.len());
                params = params.saturating_add(count);
            }
        }
        let tensors = self.names.iter().zip(self.facts).map(|(name, fact)| Tensor {
            name: name.to_string(),
            element_bytes: element_bytes(fact.kind),
            constant: fact.constant,
            dims: fact.dims,
        });
        Ok(TensorGraph {
            name: graph.name.to_string(),
            tensors: tensors.collect(),
            nodes: self.nodes,
            inputs: self.inputs,
            outputs,
            params,
            weight_bytes,
        })
    }
}

/// Outputs of a node as the file states them.
fn stated(
    graph: &Graph,
    node: &Node,
    sizes: &HashMap<&str, u64>,
    why: &str,
) -> Result<Vec<Fact>, String> {
    let mut facts = Vec::with_capacity(node.outputs.len());
    for name in &node.outputs {
        if name.is_empty() {
            facts.push(Fact::default());
            continue;
        }
        facts.push(stated_one(graph, name, sizes)?.ok_or_else(|| {
            format!(
                "{why}, and its output '{name}' has no fixed shape in the file either: export with \
                 fixed sizes, or add shapes with onnx.shape_inference.infer_shapes"
            )
        })?);
    }
    Ok(facts)
}

/// Shape of a tensor as the file states it, `None` if it is not fixed.
fn stated_one(
    graph: &Graph,
    name: &str,
    sizes: &HashMap<&str, u64>,
) -> Result<Option<Fact>, String> {
    let output = || graph.outputs.iter().find(|v| v.name == name).map(|v| v.of);
    let Some(bytes) = graph.types.get(name).copied().or_else(output) else { return Ok(None) };
    let (kind, dims) = tensor_type(bytes)?;
    let fixed = |dim: Dim| match dim {
        Dim::Fixed(n) => u64::try_from(n).ok().filter(|&n| n < 1 << 40),
        Dim::Open(name) => sizes.get(name).copied(),
    };
    let dims: Option<Vec<u64>> = dims.and_then(|dims| dims.into_iter().map(fixed).collect());
    Ok(dims.map(|dims| Fact::new(dims, kind)))
}

/// Bytes of an element of a `TensorProto.DataType`; numbers of less than a byte count as one.
fn element_bytes(kind: i32) -> u64 {
    match kind {
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 | 14 => 8,
        15 => 16,
        1 | 6 | 12 => 4,
        _ => 1,
    }
}

/// Whether numbers of this type are weights: floats, and small integers of quantised models.
fn is_weight(kind: i32) -> bool {
    matches!(kind, 1..=3 | 10 | 11 | 16..=22)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
