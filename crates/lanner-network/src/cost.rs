//! Counts the costs of a network, by layer and in total.
//!
//! **Conventions.** [`Cost::flops`] follows the tables published for NAS-Bench-201 by
//! NAS-Bench-Suite-Zero and its successors, which count with TensorWatch's `torchstat`
//! (`compute_flops.py`):
//!
//! - convolutions and linear layers: their multiply-accumulates; a convolution's bias counts one more
//!   for each output value, a linear layer's bias nothing
//! - batch norms: 2 for each value; ReLU: 1
//! - pooling: the area of the window for each output value; global pooling: (height + 1) · (width + 1)
//!   for each channel, one row and column too many, as in that program
//! - all else, such as sums and zeros: nothing
//!
//! Here, activations that it does not know count like ReLU, and products like sums.
//!
//! Counts above 2⁶⁴ − 1, which only a hostile file of a space can ask for, stay there: a limit refuses
//! them as it should.
//!
//! [`Cost::macs`] follows NAS-Bench-201's own tables (`flop_benchmark.py`): convolutions and linear
//! layers with their biases, nothing else.

use crate::{Layer, Network, Op, Pool, memory};

/// Cost of one layer for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerCost {
    /// Operations as the published tables count them; see the module.
    pub flops: u64,
    /// Multiply-accumulates of convolutions and linear layers.
    pub macs: u64,
    /// Number of parameters: kernels, biases, scale and shift of batch norms.
    pub params: u64,
    /// Size of the output as 32-bit floats, in bytes.
    pub output_bytes: u64,
}

/// Cost of a network for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Cost of each layer.
    pub layers: Vec<LayerCost>,
    /// Operations as the published tables count them; see the module.
    pub flops: u64,
    /// Multiply-accumulates of convolutions and linear layers, biases included.
    pub macs: u64,
    /// Number of parameters.
    pub params: u64,
    /// Size of all outputs together without the image, which training keeps, in bytes.
    pub activation_bytes: u64,
    /// Peak memory with the layers in their own order, in bytes; see
    /// [`peak_memory`](crate::peak_memory).
    pub peak_bytes: u64,
    /// Number of layers on the longest path, without the input.
    pub depth: usize,
    /// Layers on the path with the most FLOPs, in order.
    pub critical_path: Vec<usize>,
    /// FLOPs on that path: fewer than [`Cost::flops`] where layers could run side by side.
    pub critical_flops: u64,
}

impl LayerCost {
    /// Counts the cost of a layer of this network.
    pub fn of(network: &Network, layer: &Layer) -> LayerCost {
        let values = layer.shape.len() as u64;
        let inputs = network.in_channels(layer) as u64;
        let channels = layer.shape.channels as u64;
        let (flops, macs, params) = match layer.op {
            Op::Conv(c) => {
                let kernel = product(&c.kernel_shape(inputs as usize)[1..]);
                let taps = kernel.saturating_add(u64::from(c.bias));
                let macs = taps.saturating_mul(values);
                (macs, macs, taps.saturating_mul(channels))
            }
            // Each output value has one tap in each input channel.
            Op::UpConv { flat, .. } => {
                let macs = inputs.saturating_mul(values);
                (macs, macs, product(&[inputs as usize, layer.shape.channels, taps(flat)]))
            }
            Op::Linear { bias, .. } => {
                let macs = inputs.saturating_mul(channels);
                let bias = u64::from(bias) * channels;
                (macs, macs.saturating_add(bias), macs.saturating_add(bias))
            }
            Op::BatchNorm { .. } => (values.saturating_mul(2), 0, 2 * channels),
            Op::Relu | Op::Relu6 | Op::HardSwish | Op::Sigmoid | Op::HardSigmoid => (values, 0, 0),
            // A window of one pixel computes nothing.
            Op::MaxPool(Pool { kernel: 1, .. }) => (0, 0, 0),
            Op::MaxPool(p) | Op::AvgPool { pool: p, .. } => {
                (product(&[p.kernel, p.kernel]).saturating_mul(values), 0, 0)
            }
            Op::GlobalAvgPool => {
                let image = network.layers[layer.inputs[0]].shape;
                let window = product(&[image.height + 1, image.width + 1]);
                (channels.saturating_mul(window), 0, 0)
            }
            Op::Input | Op::Add | Op::Mul | Op::Concat | Op::Zero => (0, 0, 0),
            Op::ChannelShuffle { .. } | Op::Slice { .. } | Op::Shift => (0, 0, 0),
            Op::Upsample { .. } => (0, 0, 0),
        };
        LayerCost { flops, macs, params, output_bytes: layer.shape.bytes() }
    }
}

/// Number of taps of a transposed convolution of kernel 2.
pub(crate) fn taps(flat: bool) -> usize {
    if flat { 2 } else { 4 }
}

fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |all: u64, &n| all.saturating_mul(n as u64))
}

impl Cost {
    /// Counts the costs of a network.
    pub fn of(network: &Network) -> Cost {
        let layers: Vec<LayerCost> =
            network.layers.iter().map(|l| LayerCost::of(network, l)).collect();
        let total = |part: fn(&LayerCost) -> u64| {
            layers.iter().map(part).fold(0, |sum: u64, n| sum.saturating_add(n))
        };
        let (critical_path, critical_flops) = critical_path(network, &layers);
        Cost {
            flops: total(|l| l.flops),
            macs: total(|l| l.macs),
            params: total(|l| l.params),
            activation_bytes: total(|l| l.output_bytes).saturating_sub(layers[0].output_bytes),
            peak_bytes: memory::own_order_peak(network),
            depth: depth(network),
            critical_path,
            critical_flops,
            layers,
        }
    }
}

fn depth(network: &Network) -> usize {
    let mut depth = vec![0; network.layers.len()];
    for (i, layer) in network.layers.iter().enumerate().skip(1) {
        depth[i] = 1 + layer.inputs.iter().map(|&j| depth[j]).max().unwrap_or(0);
    }
    depth[depth.len() - 1]
}

fn critical_path(network: &Network, costs: &[LayerCost]) -> (Vec<usize>, u64) {
    let mut flops = vec![0; costs.len()];
    let mut before = vec![0; costs.len()];
    for (i, layer) in network.layers.iter().enumerate() {
        before[i] = layer.inputs.iter().copied().max_by_key(|&j| flops[j]).unwrap_or(i);
        let earlier: u64 = if before[i] == i { 0 } else { flops[before[i]] };
        flops[i] = costs[i].flops.saturating_add(earlier);
    }
    let mut at = costs.len() - 1;
    let total = flops[at];
    let mut path = vec![at];
    while before[at] != at {
        at = before[at];
        path.push(at);
    }
    path.reverse();
    (path, total)
}
