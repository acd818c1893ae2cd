//! Parts that several published networks share. Each function takes the `place` that begins the names
//! of its layers and the layer `x` that it reads, and returns its last layer.

use lanner_space::nasbench201::EDGES;

use crate::{Builder, Conv, NetworkError, Op, Pool};

/// ε of batch norms: PyTorch's default, which all these networks use.
pub const EPSILON: f32 = 1e-5;

pub fn batch_norm(net: &mut Builder, name: &str, x: usize) -> Result<usize, NetworkError> {
    net.add(name, Op::BatchNorm { epsilon: EPSILON }, &[x])
}

pub fn conv_bn(
    net: &mut Builder,
    place: &str,
    conv: Conv,
    x: usize,
) -> Result<usize, NetworkError> {
    let conv = net.add(format!("{place}.conv"), Op::Conv(conv), &[x])?;
    batch_norm(net, &format!("{place}.bn"), conv)
}

pub fn relu_conv_bn(
    net: &mut Builder,
    place: &str,
    conv: Conv,
    x: usize,
) -> Result<usize, NetworkError> {
    let relu = net.add(format!("{place}.relu"), Op::Relu, &[x])?;
    conv_bn(net, place, conv, relu)
}

/// Adds a convolution, a batch norm and an activation.
pub fn conv_bn_act(
    net: &mut Builder,
    place: &str,
    conv: Conv,
    act: Op,
    x: usize,
) -> Result<usize, NetworkError> {
    let bn = conv_bn(net, place, conv, x)?;
    net.add(format!("{place}.{}", act.name()), act, &[bn])
}

/// Halves the resolution by two 1×1 convolutions of stride 2 side by side. The second one reads the
/// pixels diagonally between those of the first (Liu et al. 2019, DARTS).
pub fn factorized_reduce(
    net: &mut Builder,
    place: &str,
    channels: usize,
    x: usize,
) -> Result<usize, NetworkError> {
    let half = |out| Op::Conv(Conv { stride: 2, ..Conv::same(out, 1) });
    let relu = net.add(format!("{place}.relu"), Op::Relu, &[x])?;
    let a = net.add(format!("{place}.a.conv"), half(channels / 2), &[relu])?;
    let shift = net.add(format!("{place}.b.shift"), Op::Shift, &[relu])?;
    let b = net.add(format!("{place}.b.conv"), half(channels - channels / 2), &[shift])?;
    let both = net.add(format!("{place}.concat"), Op::Concat, &[a, b])?;
    batch_norm(net, &format!("{place}.bn"), both)
}

/// Adds zeros of the shape of layer `x`, or with half the resolution, or with twice the channels.
pub fn zeros(
    net: &mut Builder,
    place: &str,
    halve: bool,
    double: bool,
    x: usize,
) -> Result<usize, NetworkError> {
    let mut x = x;
    if halve {
        // A window of one pixel with stride 2 picks every second pixel.
        let pick = Op::MaxPool(Pool { kernel: 1, stride: 2, padding: 0 });
        x = net.add(format!("{place}.pick"), pick, &[x])?;
    }
    x = net.add(format!("{place}.zero"), Op::Zero, &[x])?;
    match double {
        true => net.add(format!("{place}.concat"), Op::Concat, &[x, x]),
        false => Ok(x),
    }
}

/// Adds global average pooling and a linear layer: `head.pool`, `head.linear`.
pub fn classifier(net: &mut Builder, classes: usize, x: usize) -> Result<usize, NetworkError> {
    let pool = net.add("head.pool", Op::GlobalAvgPool, &[x])?;
    net.add("head.linear", Op::Linear { out_features: classes, bias: true }, &[pool])
}

/// Adds the sum of the terms; a single term is returned as it is.
pub fn sum(net: &mut Builder, name: String, terms: &[usize]) -> Result<usize, NetworkError> {
    match terms {
        [one] => Ok(*one),
        _ => net.add(name, Op::Add, terms),
    }
}

/// Adds a cell with the edges of NAS-Bench-201: four nodes, each the sum of the operations on its live
/// edges from earlier nodes. `operation` adds that of an edge, given its name, the node it comes from,
/// its code and the layer to read. Returns `None` if nothing reaches the last node.
pub fn cell_of_edges(
    net: &mut Builder,
    place: &str,
    x: usize,
    (codes, live): (&[u8], &[bool]),
    mut operation: impl FnMut(&mut Builder, &str, usize, u8, usize) -> Result<usize, NetworkError>,
) -> Result<Option<usize>, NetworkError> {
    let mut terms: [Vec<usize>; 4] = Default::default();
    let mut nodes = [Some(x), None, None, None];
    for (e, (&(from, to), &code)) in EDGES.iter().zip(codes).enumerate() {
        // Edges are sorted by their target: when one reads a node, the node's terms are complete.
        let from = usize::from(from);
        if nodes[from].is_none() && !terms[from].is_empty() {
            nodes[from] = Some(sum(net, format!("{place}.node{from}"), &terms[from])?);
        }
        let (true, Some(source)) = (live[e], nodes[from]) else {
            continue;
        };
        let term = operation(net, &format!("{place}.{from}-{to}"), from, code, source)?;
        terms[usize::from(to)].push(term);
    }
    match terms[3].is_empty() {
        true => Ok(None),
        false => sum(net, format!("{place}.node3"), &terms[3]).map(Some),
    }
}

/// An inverted residual (Sandler et al. 2018, MobileNetV2): 1×1 convolution to more channels,
/// depthwise convolution, 1×1 convolution to fewer.
#[derive(Debug, Clone, Copy)]
pub struct InvertedResidual {
    /// Number of channels between the 1×1 convolutions.
    pub hidden: usize,
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Number of groups of the 1×1 convolutions; with more than one, channels are shuffled after the
    /// first convolution.
    pub groups: usize,
    pub act: Op,
    /// Whether to leave out the first convolution if it would not add channels.
    pub skip_expansion: bool,
    /// Number of channels between the two layers of squeeze-and-excitation (Hu et al. 2018), if the
    /// block has it.
    pub squeeze: Option<usize>,
    /// Whether convolutions are along the width only.
    pub flat: bool,
}

impl InvertedResidual {
    /// A block with one group, ReLU, all three convolutions and no squeeze-and-excitation.
    pub fn plain(hidden: usize, out: usize, kernel: usize, stride: usize) -> InvertedResidual {
        InvertedResidual {
            hidden,
            out,
            kernel,
            stride,
            groups: 1,
            act: Op::Relu,
            skip_expansion: false,
            squeeze: None,
            flat: false,
        }
    }

    /// Adds the block, with a shortcut if input and output have the same shape.
    pub fn add(&self, net: &mut Builder, place: &str, x: usize) -> Result<usize, NetworkError> {
        let &InvertedResidual { hidden, out, kernel, stride, groups, act, flat, .. } = self;
        let channels = net.shape(x).map_or(0, |s| s.channels);
        let mut y = x;
        if !(self.skip_expansion && hidden == channels) {
            let expand = Conv { groups, flat, ..Conv::same(hidden, 1) };
            y = conv_bn_act(net, &format!("{place}.expand"), expand, act, y)?;
        }
        if groups > 1 {
            y = net.add(format!("{place}.shuffle"), Op::ChannelShuffle { groups }, &[y])?;
        }
        let depthwise = Conv { stride, groups: hidden, flat, ..Conv::same(hidden, kernel) };
        y = conv_bn_act(net, &format!("{place}.depthwise"), depthwise, act, y)?;
        if let Some(squeezed) = self.squeeze {
            y = squeeze_excite(net, &format!("{place}.se"), squeezed, y)?;
        }
        let project = Conv { groups, flat, ..Conv::same(out, 1) };
        y = conv_bn(net, &format!("{place}.project"), project, y)?;
        match stride == 1 && out == channels {
            true => net.add(format!("{place}.add"), Op::Add, &[x, y]),
            false => Ok(y),
        }
    }
}

/// Adds squeeze-and-excitation as in MobileNetV3 (Howard et al. 2019), with a hard sigmoid as gate.
pub fn squeeze_excite(
    net: &mut Builder,
    place: &str,
    squeezed: usize,
    x: usize,
) -> Result<usize, NetworkError> {
    let channels = net.shape(x).map_or(0, |s| s.channels);
    let conv = |out| Op::Conv(Conv { bias: true, ..Conv::same(out, 1) });
    let mut y = net.add(format!("{place}.pool"), Op::GlobalAvgPool, &[x])?;
    y = net.add(format!("{place}.reduce"), conv(squeezed), &[y])?;
    y = net.add(format!("{place}.relu"), Op::Relu, &[y])?;
    y = net.add(format!("{place}.restore"), conv(channels), &[y])?;
    y = net.add(format!("{place}.gate"), Op::HardSigmoid, &[y])?;
    net.add(format!("{place}.scale"), Op::Mul, &[x, y])
}
