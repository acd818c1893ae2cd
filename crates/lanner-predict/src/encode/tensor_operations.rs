//! What the operations of any network look like to a device: sums that a kernel's time grows with, and
//! sizes by which kernels are alike.

use lanner_network::{TensorGraph, TensorNode, TensorOp};

/// Classes of operations whose kernels differ. What fuses with the operation before is a class of its
/// own, so that measurements tell what it costs.
pub(crate) const CLASSES: [&str; 30] = [
    "pointwise",
    "pointwise_odd",
    "conv",
    "conv_odd",
    "grouped",
    "grouped_odd",
    "depthwise",
    "depthwise_odd",
    "transposed",
    "linear",
    "mat_mul",
    "attention",
    "recurrent",
    "pool",
    "reduce",
    "norm",
    "softmax",
    "activation",
    "activation_behind_product",
    "activation_behind",
    "function",
    "function_behind_product",
    "function_behind",
    "arithmetic",
    "arithmetic_behind_product",
    "arithmetic_behind",
    "transpose",
    "move",
    "gather",
    "unknown",
];
/// Sums of an operation: number, products, products that padding to vectors adds, special, groups,
/// weights, weights beyond two sizes of caches, values read and written, those beyond a cache. Of a recurrent layer the
/// third and fourth are values of its states and its steps.
const SUMS: usize = 10;
/// Places of the number of operations, of products and of values moved among them.
pub(crate) const NUMBER: usize = 0;
pub(crate) const PRODUCTS: usize = 1;
pub(crate) const MOVED: usize = 7;
/// Sizes of an operation, most of them logarithms.
pub(crate) const SIZES: usize = 15;
/// Number of sums of a network.
pub(crate) const ALL_SUMS: usize = CLASSES.len() * SUMS;
pub(crate) const CLASS_COUNT: usize = CLASSES.len();

/// Values (4 bytes each) of caches of two sizes, about 1 and 8 MB.
const CACHES: [f64; 2] = [0.25e6, 2e6];
/// Values of a vector register or a block of channels.
const LANES: u64 = 16;

/// An operation as a device sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    pub class: usize,
    /// In millions, but for the numbers of operations and groups.
    pub sums: [f64; SUMS],
    pub sizes: [f64; SIZES],
}

/// Lists the operations of a network; views are none, since they move nothing.
pub(crate) fn operations(graph: &TensorGraph) -> Vec<Operation> {
    let (readers, makers) = (graph.readers(), graph.makers());
    let seen = graph.nodes.iter().filter(|n| n.kind != TensorOp::View);
    seen.map(|node| {
        let mut read: Vec<usize> =
            node.inputs.iter().copied().filter(|&t| !graph.tensors[t].constant).collect();
        let first = read.first().copied();
        read.sort_unstable();
        read.dedup();
        let alone = first.is_some_and(|t| readers[t].len() == 1 && makers[t].is_some());
        let before = first.and_then(|t| makers[t]).map(|i| graph.nodes[i].kind);
        let is_product = |k| matches!(k, TensorOp::Conv | TensorOp::Linear | TensorOp::MatMul);
        operation(graph, node, &read, alone, before.is_some_and(is_product))
    })
    .collect()
}

fn operation(
    graph: &TensorGraph,
    node: &TensorNode,
    read: &[usize],
    alone: bool,
    behind_product: bool,
) -> Operation {
    let dims = |t: Option<&usize>| t.map_or(&[][..], |&t| graph.tensors[t].dims.as_slice());
    let (input, output) = (dims(node.inputs.first()), dims(node.outputs.first()));
    let values = |tensors: &[usize]| -> f64 {
        tensors.iter().map(|&t| graph.tensors[t].values() as f64).sum()
    };
    let moved = values(read) + values(&node.outputs);
    let (products, weights) = (node.products as f64, node.weights as f64);
    let product = |dims: &[u64]| dims.iter().fold(1u64, |all, &n| all.saturating_mul(n)).max(1);
    let taps = product(&node.kernel);
    let groups = node.groups.max(1);
    let at = |dims: &[u64], i: usize| dims.get(i).copied().unwrap_or(1).max(1);
    let last = |dims: &[u64]| dims.last().copied().unwrap_or(1).max(1);
    // Channels read and made for each group, places of the output, groups.
    let [from, to, places, groups] = match node.kind {
        TensorOp::Conv => {
            let places = product(output.get(2..).unwrap_or_default()) * at(output, 0);
            [at(input, 1) / groups, at(output, 1) / groups, places, groups]
        }
        TensorOp::Linear | TensorOp::MatMul => {
            let batch = product(output.get(..output.len().saturating_sub(2)).unwrap_or_default());
            let rows = if output.len() > 1 { output[output.len() - 2] } else { 1 };
            [last(input), last(output), rows.max(1), batch]
        }
        // Steps follow each other.
        TensorOp::Recurrent => [last(input), last(output), product(output) / last(output), 1],
        _ => [at(input, 1), last(output), product(output) / last(output), 1],
    };
    let is_depthwise = groups > 1 && from == 1;
    let channels = if is_depthwise { groups } else { from };
    let odd = channels % LANES != 0 || (!is_depthwise && to % LANES != 0);
    let class = class_of(node, odd, is_depthwise, alone && read.len() == 1, behind_product);
    let beyond = |n: f64, cache: f64| (n - cache).max(0.0) / 1e6;
    let padded = |n: u64| n.div_ceil(LANES).saturating_mul(LANES) as f64;
    let mut sums = [0.0; SUMS];
    sums[NUMBER] = 1.0;
    sums[PRODUCTS] = products / 1e6;
    sums[MOVED] = moved / 1e6;
    sums[8] = beyond(moved, CACHES[0]);
    sums[4] = groups as f64 / 100.0;
    match node.kind {
        TensorOp::Conv if !is_depthwise => {
            let all = padded(from) * padded(to) * (places * taps) as f64 * groups as f64;
            sums[2] = (all - products).max(0.0) / 1e6;
            sums[3] = (places * taps) as f64 * (from * groups) as f64 / 1e6;
        }
        TensorOp::Pool | TensorOp::Norm | TensorOp::Softmax => {
            sums[3] = node.flops as f64 / 1e6;
        }
        // Overhead and the states of each step.
        TensorOp::Recurrent => {
            sums[3] = places as f64 / 1e3;
            sums[2] = (places * to) as f64 / 1e6;
        }
        _ => {}
    }
    sums[5] = weights / 1e6;
    sums[6] = beyond(weights, CACHES[0]);
    sums[9] = beyond(weights, CACHES[1]);
    let log = |n: u64| (n.max(1) as f64).log2();
    let truth = |is: bool| f64::from(u8::from(is));
    let sizes = [
        log(from),
        log(to),
        log(groups),
        log(places),
        log(taps),
        log(product(&node.strides)),
        0.5 * (1.0 + weights).log2(),
        0.5 * (1.0 + moved).log2(),
        2.0 * truth(from % LANES != 0),
        2.0 * truth(to % LANES != 0),
        2.0 * truth(groups > 1),
        2.0 * truth(alone),
        node.kernel.len() as f64,
        2.0 * truth(behind_product),
        2.0 * truth(read.len() > 1),
    ];
    Operation { class, sums, sizes }
}

fn class_of(
    node: &TensorNode,
    odd: bool,
    is_depthwise: bool,
    fuses: bool,
    behind_product: bool,
) -> usize {
    let name = match (node.kind, node.op.as_str()) {
        (TensorOp::Conv, "ConvTranspose") => "transposed".into(),
        (TensorOp::Conv, _) => {
            let form = match (is_depthwise, node.groups > 1) {
                (true, _) => "depthwise",
                (false, true) => "grouped",
                _ if node.kernel.iter().all(|&k| k == 1) => "pointwise",
                _ => "conv",
            };
            if odd { format!("{form}_odd") } else { form.to_string() }
        }
        (TensorOp::Activation | TensorOp::Arithmetic, op) => {
            let op = op.rsplit('.').next().unwrap_or(op);
            let form = match node.kind {
                TensorOp::Arithmetic => "arithmetic",
                _ if matches!(
                    op,
                    "Erf"
                        | "Sigmoid"
                        | "Tanh"
                        | "Exp"
                        | "Softplus"
                        | "Gelu"
                        | "Swish"
                        | "FastGelu"
                        | "QuickGelu"
                        | "BiasGelu"
                ) =>
                {
                    "function"
                }
                _ => "activation",
            };
            match (fuses, behind_product) {
                (true, true) => format!("{form}_behind_product"),
                (true, false) => format!("{form}_behind"),
                _ => form.to_string(),
            }
        }
        (TensorOp::Move, "Transpose") => "transpose".into(),
        (TensorOp::Move, "Gather") => "gather".into(),
        (kind, _) => kind.name().to_string(),
    };
    CLASSES.iter().position(|c| *c == name).unwrap_or(CLASSES.len() - 1)
}

/// Numbers that a product is computed with.
pub(crate) const PRECISIONS: [&str; 3] =
    ["32-bit floats", "16-bit floats", "integers of 8 bits or less"];

/// Returns the share of a network's products in each of [`PRECISIONS`].
pub(crate) fn precisions(graph: &TensorGraph) -> [f64; PRECISIONS.len()] {
    let makers = graph.makers();
    let mut products = [0.0; PRECISIONS.len()];
    for node in graph.nodes.iter().filter(|node| node.products > 0) {
        // Runtimes compute with integers where both factors were integers a node before.
        let widened =
            |&t: &usize| makers[t].is_some_and(|i| graph.nodes[i].op.ends_with("DequantizeLinear"));
        let stored = |&t: &usize| makers[t].is_none() && graph.tensors[t].constant;
        let (first, rest) = node.inputs.split_at(node.inputs.len().min(1));
        let is_quantised = ["Integer", "QLinear", "Quantize", "QGemm", "QAttention", "NBits"];
        let bytes = node.outputs.first().map_or(4, |&t| graph.tensors[t].element_bytes);
        let precision = match bytes {
            _ if is_quantised.iter().any(|name| node.op.contains(name)) => 2,
            _ if first.iter().all(widened)
                && rest.iter().take(1).all(|t| widened(t) || stored(t)) =>
            {
                2
            }
            1 => 2,
            2 => 1,
            _ => 0,
        };
        products[precision] += node.products as f64;
    }
    let all: f64 = products.iter().sum();
    products.map(|p| p / all.max(1.0))
}

/// Adds up the operations' sums, each class by itself.
pub(crate) fn sums(operations: &[Operation]) -> Vec<f64> {
    let mut all = vec![0.0; ALL_SUMS];
    for o in operations {
        let place = &mut all[o.class * SUMS..(o.class + 1) * SUMS];
        place.iter_mut().zip(o.sums).for_each(|(a, s)| *a += s);
    }
    all
}

/// Time of an operation by weights of all sums.
pub(crate) fn time(operation: &Operation, weights: &[f64]) -> f64 {
    let of = weights_of(operation.class, weights);
    of.iter().zip(operation.sums).map(|(w, s)| w * s).sum()
}

/// Weights of a class among those of all sums.
pub(crate) fn weights_of(class: usize, weights: &[f64]) -> &[f64] {
    &weights[class * SUMS..(class + 1) * SUMS]
}

/// Distance of two networks by the shares of time that kinds of operations take, from 0 to √2 (Hellinger
/// but for a factor), of which [`share_roots`] are given.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

/// Roots of the shares of time of each kind of operation, which is its class without regard to fusion and
/// to odd widths.
pub(crate) fn share_roots(operations: &[Operation], weights: &[f64]) -> [f64; CLASS_COUNT] {
    let mut shares = [0.0; CLASS_COUNT];
    for o in operations {
        // Operations that take no time by the weights still tell one network from another.
        shares[kind_of(o.class)] += time(o, weights) + 1e-9;
    }
    let sum: f64 = shares.iter().sum();
    shares.map(|s| (s / sum.max(1e-300)).sqrt())
}

fn kind_of(class: usize) -> usize {
    let name = CLASSES[class];
    let stem = ["_odd", "_behind_product", "_behind"].iter().find_map(|end| name.strip_suffix(end));
    stem.and_then(|stem| CLASSES.iter().position(|c| *c == stem)).unwrap_or(class)
}
