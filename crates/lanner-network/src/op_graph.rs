use serde::{Deserialize, Serialize};

use crate::{Cost, Network, Op};

/// A network as a graph of operations: one encoding for all spaces, so that a predictor of one space
/// can be applied to another.
///
/// A batch norm or activation belongs to the node of the convolution, linear layer or batch norm
/// before it, if it is the only reader of that; else to the convolution behind it, if that is its only
/// reader; else it is a node of its own. The costs of a node include all of its layers.
///
/// ```
/// use lanner_network::{Cost, OpGraph, OpNode, Skeleton, View};
/// use lanner_space::Space;
/// let space = Space::NasBench201;
/// let net = Skeleton::of(&space)?.build(&space.parse("333333")?, View::Pruned)?;
/// let graph = OpGraph::of(&net);
/// assert_eq!(graph.nodes.iter().map(|n| n.flops).sum::<u64>(), Cost::of(&net).flops);
/// assert_eq!(graph.nodes[1].features().len(), OpNode::FEATURES);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpGraph {
    /// Nodes in topological order, the input first.
    pub nodes: Vec<OpNode>,
    /// Arcs (from, to), sorted by target; an arc is listed as often as the target reads it.
    pub arcs: Vec<(usize, usize)>,
}

/// A node of an [`OpGraph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpNode {
    pub kind: OpKind,
    /// Side of the window in pixels, for a convolution or pooling; the image's side for a global
    /// pooling; else 1.
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub groups: usize,
    /// Number of channels of the first input; 0 for the input node.
    pub in_channels: usize,
    pub out_channels: usize,
    /// Height of the output, in pixels.
    pub resolution: usize,
    /// FLOPs as in [`Cost::flops`].
    pub flops: u64,
    /// Parameters as in [`Cost::params`].
    pub params: u64,
}

/// Kind of an [`OpNode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    Input,
    Conv,
    Linear,
    MaxPool,
    AvgPool,
    GlobalPool,
    Add,
    Mul,
    Concat,
    /// A batch norm without a convolution.
    Norm,
    /// An activation without a convolution.
    Activation,
    Zero,
    /// Moves values only: channel shuffle, slice, shift, upsampling.
    Move,
}

impl OpKind {
    /// All kinds, in the order of the one-hot part of [`OpNode::features`].
    pub const ALL: [OpKind; 13] = [
        OpKind::Input,
        OpKind::Conv,
        OpKind::Linear,
        OpKind::MaxPool,
        OpKind::AvgPool,
        OpKind::GlobalPool,
        OpKind::Add,
        OpKind::Mul,
        OpKind::Concat,
        OpKind::Norm,
        OpKind::Activation,
        OpKind::Zero,
        OpKind::Move,
    ];

    fn of(op: &Op) -> OpKind {
        match op {
            Op::Input => OpKind::Input,
            Op::Conv(_) | Op::UpConv { .. } => OpKind::Conv,
            Op::Linear { .. } => OpKind::Linear,
            Op::MaxPool(_) => OpKind::MaxPool,
            Op::AvgPool { .. } => OpKind::AvgPool,
            Op::GlobalAvgPool => OpKind::GlobalPool,
            Op::Add => OpKind::Add,
            Op::Mul => OpKind::Mul,
            Op::Concat => OpKind::Concat,
            Op::BatchNorm { .. } => OpKind::Norm,
            Op::Relu | Op::Relu6 | Op::HardSwish | Op::Sigmoid | Op::HardSigmoid => {
                OpKind::Activation
            }
            Op::Zero => OpKind::Zero,
            Op::ChannelShuffle { .. } | Op::Slice { .. } | Op::Shift | Op::Upsample { .. } => {
                OpKind::Move
            }
        }
    }

    /// Whether norms and activations behind a node of this kind belong to it.
    fn absorbs(self) -> bool {
        matches!(self, OpKind::Conv | OpKind::Linear | OpKind::Norm)
    }
}

impl OpNode {
    /// Length of [`OpNode::features`].
    pub const FEATURES: usize = OpKind::ALL.len() + 9;

    /// Features of the node: the kind one-hot, then logarithms to base 2 of kernel, stride, dilation,
    /// groups, input and output channels, resolution, FLOPs and parameters; of 1 more for those that
    /// can be 0.
    pub fn features(&self) -> [f32; OpNode::FEATURES] {
        let mut features = [0.0; OpNode::FEATURES];
        for (feature, kind) in features.iter_mut().zip(OpKind::ALL) {
            *feature = f32::from(u8::from(kind == self.kind));
        }
        let numbers = [
            self.kernel as u64,
            self.stride as u64,
            self.dilation as u64,
            self.groups as u64,
            self.in_channels as u64 + 1,
            self.out_channels as u64,
            self.resolution as u64,
            self.flops + 1,
            self.params + 1,
        ];
        for (feature, number) in features[OpKind::ALL.len()..].iter_mut().zip(numbers) {
            *feature = (number as f64).log2() as f32;
        }
        features
    }
}

impl OpGraph {
    /// Makes the graph of a network.
    pub fn of(network: &Network) -> OpGraph {
        let cost = Cost::of(network);
        let readers = network.readers();
        let n = network.layers.len();
        let kinds: Vec<OpKind> = network.layers.iter().map(|l| OpKind::of(&l.op)).collect();
        let can_join = |i: usize| matches!(kinds[i], OpKind::Norm | OpKind::Activation);
        // The layer whose node each layer belongs to, at first its own.
        let mut owner: Vec<usize> = (0..n).collect();
        for i in (0..n).filter(|&i| can_join(i)) {
            let before = network.layers[i].inputs[0];
            if readers[before] == 1 && kinds[owner[before]].absorbs() {
                owner[i] = owner[before];
            }
        }
        // The remaining ones whose only reader is a convolution belong to that.
        for (i, layer) in network.layers.iter().enumerate().rev() {
            for &before in &layer.inputs {
                let alone = can_join(before) && owner[before] == before && readers[before] == 1;
                if alone && kinds[owner[i]] == OpKind::Conv {
                    owner[before] = owner[i];
                }
            }
        }
        for i in 0..n {
            // A norm that had taken in activations may itself belong to a convolution now.
            owner[i] = owner[owner[i]];
        }
        let mut number = vec![0; n];
        let mut nodes: Vec<OpNode> = Vec::new();
        for (i, layer) in network.layers.iter().enumerate().filter(|&(i, _)| owner[i] == i) {
            let (kernel, stride, dilation, groups) = match layer.op {
                Op::Conv(c) => (c.kernel, c.stride, c.dilation, c.groups),
                Op::UpConv { .. } => (2, 2, 1, 1),
                Op::MaxPool(p) | Op::AvgPool { pool: p, .. } => (p.kernel, p.stride, 1, 1),
                Op::GlobalAvgPool => (network.layers[layer.inputs[0]].shape.height, 1, 1, 1),
                _ => (1, 1, 1, 1),
            };
            number[i] = nodes.len();
            nodes.push(OpNode {
                kind: kinds[i],
                kernel,
                stride,
                dilation,
                groups,
                in_channels: network.in_channels(layer),
                out_channels: layer.shape.channels,
                resolution: layer.shape.height,
                flops: 0,
                params: 0,
            });
        }
        let mut arcs = Vec::new();
        for (i, layer) in network.layers.iter().enumerate() {
            let to = number[owner[i]];
            nodes[to].flops += cost.layers[i].flops;
            nodes[to].params += cost.layers[i].params;
            let froms = layer.inputs.iter().map(|&input| number[owner[input]]);
            arcs.extend(froms.filter(|&from| from != to).map(|from| (from, to)));
        }
        arcs.sort_by_key(|&(from, to)| (to, from));
        OpGraph { nodes, arcs }
    }
}
