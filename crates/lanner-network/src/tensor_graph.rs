//! Networks over tensors of any rank: operations of any kind with their shapes and costs.

use serde::Serialize;

/// A network as operations over tensors, as an ONNX file has it; [`onnx::read`](crate::onnx::read) makes
/// it. What does not depend on the network's input, such as a computed size, is no operation but a
/// constant.
///
/// Sizes are those of one run, with the batch in the dimensions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorGraph {
    pub name: String,
    pub tensors: Vec<Tensor>,
    /// Operations in an order in which they can run.
    pub nodes: Vec<TensorNode>,
    /// Numbers of the tensors that the network reads.
    pub inputs: Vec<usize>,
    /// Numbers of the tensors that it yields.
    pub outputs: Vec<usize>,
    /// Number of weights, without running statistics of batch norms and constants of the program.
    pub params: u64,
    /// Size of all stored weights in bytes.
    pub weight_bytes: u64,
}

/// A tensor of a [`TensorGraph`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<u64>,
    /// Bytes of an element: 4 for 32-bit floats.
    pub element_bytes: u64,
    /// Whether it is stored or computed before the network runs.
    pub constant: bool,
}

impl Tensor {
    /// Number of values.
    pub fn values(&self) -> u64 {
        self.dims.iter().fold(1, |all, &n| all.saturating_mul(n))
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.values().saturating_mul(self.element_bytes)
    }
}

/// An operation of a [`TensorGraph`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorNode {
    pub name: String,
    /// The operator's name in ONNX, with its domain if that is not ONNX's own.
    pub op: String,
    pub kind: TensorOp,
    /// Tensors that it reads, those that are not given left out.
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    /// Window of a convolution or pooling; empty otherwise.
    pub kernel: Vec<u64>,
    /// Strides of a convolution or pooling; empty otherwise.
    pub strides: Vec<u64>,
    /// Groups of a convolution; 1 otherwise.
    pub groups: u64,
    /// Multiply-accumulates of a convolution, matrix product, attention or recurrent layer, without
    /// biases; 0 otherwise.
    pub products: u64,
    /// Operations as [`Cost::flops`](crate::Cost::flops) counts them.
    pub flops: u64,
    /// Multiply-accumulates with biases, as [`Cost::macs`](crate::Cost::macs) counts them.
    pub macs: u64,
    /// Values of the weights that it reads.
    pub weights: u64,
}

/// Kind of a [`TensorNode`]: operators that cost alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorOp {
    /// Convolution over any number of axes, and the transposed one.
    Conv,
    /// Product with stored weights.
    Linear,
    /// Product of two tensors that the network computes.
    MatMul,
    /// Scaled dot-product attention in one operator.
    Attention,
    /// Recurrent layer.
    Recurrent,
    /// Maximum or mean under a window, also under a window of the whole image.
    Pool,
    /// Sum, mean, maximum … over axes.
    Reduce,
    /// Batch, layer, group, instance or RMS norm.
    Norm,
    Softmax,
    /// Function of each value.
    Activation,
    /// Arithmetic between tensors, with broadcasting.
    Arithmetic,
    /// Other dimensions of the same values: nothing is moved.
    View,
    /// Copies values to other places: transpose, concatenation, slice, padding, gather, resize.
    Move,
    /// Not known to Lanner: counted as a copy of its inputs and outputs.
    Unknown,
}

impl TensorOp {
    pub const ALL: [TensorOp; 14] = [
        TensorOp::Conv,
        TensorOp::Linear,
        TensorOp::MatMul,
        TensorOp::Attention,
        TensorOp::Recurrent,
        TensorOp::Pool,
        TensorOp::Reduce,
        TensorOp::Norm,
        TensorOp::Softmax,
        TensorOp::Activation,
        TensorOp::Arithmetic,
        TensorOp::View,
        TensorOp::Move,
        TensorOp::Unknown,
    ];

    /// Name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            TensorOp::Conv => "conv",
            TensorOp::Linear => "linear",
            TensorOp::MatMul => "mat_mul",
            TensorOp::Attention => "attention",
            TensorOp::Recurrent => "recurrent",
            TensorOp::Pool => "pool",
            TensorOp::Reduce => "reduce",
            TensorOp::Norm => "norm",
            TensorOp::Softmax => "softmax",
            TensorOp::Activation => "activation",
            TensorOp::Arithmetic => "arithmetic",
            TensorOp::View => "view",
            TensorOp::Move => "move",
            TensorOp::Unknown => "unknown",
        }
    }
}

/// Costs of a [`TensorGraph`] for one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorCost {
    /// Operations as [`Cost::flops`](crate::Cost::flops) counts them.
    pub flops: u64,
    /// Multiply-accumulates of products, biases included.
    pub macs: u64,
    /// Multiply-accumulates of products without biases: half of what PyTorch's `flop_counter` counts.
    pub products: u64,
    pub params: u64,
    pub weight_bytes: u64,
    /// Size of all tensors that operations yield, in bytes; views need none.
    pub activation_bytes: u64,
    /// Peak memory of activations with the nodes in their order, in bytes.
    pub peak_bytes: u64,
    /// Operations on the longest path.
    pub depth: usize,
    /// Share of the operations that are known to Lanner.
    pub understood: f64,
    /// Operators that are not, in order of the alphabet.
    pub unknown: Vec<String>,
}

impl TensorGraph {
    /// Counts the costs.
    pub fn cost(&self) -> TensorCost {
        let sum = |of: fn(&TensorNode) -> u64| {
            self.nodes.iter().map(of).fold(0u64, |all, n| all.saturating_add(n))
        };
        let is_unknown = |n: &&TensorNode| n.kind == TensorOp::Unknown;
        let mut unknown: Vec<String> =
            self.nodes.iter().filter(is_unknown).map(|n| n.op.clone()).collect();
        let strange = unknown.len() as f64 / self.nodes.len().max(1) as f64;
        unknown.sort_unstable();
        unknown.dedup();
        let computed = self.nodes.iter().filter(|n| n.kind != TensorOp::View);
        let bytes = computed.flat_map(|n| &n.outputs).map(|&t| self.tensors[t].bytes());
        TensorCost {
            flops: sum(|n| n.flops),
            macs: sum(|n| n.macs),
            products: sum(|n| n.products),
            params: self.params,
            weight_bytes: self.weight_bytes,
            activation_bytes: bytes.fold(0, u64::saturating_add),
            peak_bytes: self.peak_bytes(),
            depth: self.depth(),
            understood: 1.0 - strange,
            unknown,
        }
    }

    fn depth(&self) -> usize {
        let mut depth = vec![0; self.tensors.len()];
        for node in &self.nodes {
            let before = node.inputs.iter().map(|&t| depth[t]).max().unwrap_or(0);
            node.outputs.iter().for_each(|&t| depth[t] = before + 1);
        }
        depth.into_iter().max().unwrap_or(0)
    }

    /// A tensor is held from the node that makes it to the last one that reads it.
    fn peak_bytes(&self) -> u64 {
        let bytes = |t: usize| match self.tensors[t].constant {
            true => 0,
            false => self.tensors[t].bytes(),
        };
        let mut last = vec![None; self.tensors.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&t| last[t] = Some(i));
        }
        self.outputs.iter().for_each(|&t| last[t] = Some(usize::MAX));
        let mut now = self.inputs.iter().map(|&t| bytes(t)).fold(0u64, u64::saturating_add);
        let mut most = now;
        for (i, node) in self.nodes.iter().enumerate() {
            now = node.outputs.iter().fold(now, |all, &t| all.saturating_add(bytes(t)));
            most = most.max(now);
            let mut ended: Vec<usize> =
                node.inputs.iter().copied().filter(|&t| last[t] == Some(i)).collect();
            ended.sort_unstable();
            ended.dedup();
            ended.extend(node.outputs.iter().filter(|&&t| last[t].is_none()));
            now = ended.into_iter().fold(now, |all, t| all.saturating_sub(bytes(t)));
        }
        most
    }
}
