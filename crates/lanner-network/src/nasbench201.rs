use lanner_space::{Architecture, View};

use crate::{
    Builder, Conv, Network, NetworkError, Op, Pool, Skeleton,
    blocks::{batch_norm, cell_of_edges, classifier, relu_conv_bn},
};

/// Skeleton of NAS-Bench-201 (Dong & Yang, ICLR 2020); the default is the published one.
///
/// The network has a stem (3×3 convolution, batch norm), three stages of equal cells with residual
/// blocks between them that halve the resolution and double the channels, and at the end batch norm,
/// ReLU, global average pooling and a linear layer. Facts from the authors' code, AutoDL-Projects
/// (`cell_operations.py`, `tiny_network.py`): convolutions are ReLU-Conv-BN without bias; the
/// pooling of a cell has no batch norm and leaves padding out of its means; the shortcut of a residual
/// block is a 2×2 mean and a 1×1 convolution without batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nasbench201 {
    /// Number of channels of the first stage; the others have twice and four times as many.
    pub channels: usize,
    /// Number of cells in each of the three stages.
    pub cells: usize,
    /// Height and width of the image, in pixels: a multiple of 4.
    pub resolution: usize,
    /// Length of the output.
    pub classes: usize,
}

impl Default for Nasbench201 {
    /// The skeleton for CIFAR-10: 16 channels, 5 cells, 32 pixels, 10 classes.
    fn default() -> Self {
        Nasbench201 { channels: 16, cells: 5, resolution: 32, classes: 10 }
    }
}

impl Nasbench201 {
    /// The network of an architecture.
    ///
    /// A cell whose output no path reaches yields zeros. Its pruned form is one layer
    /// [`Op::Zero`], so that the network stays connected and keeps all parts of the skeleton.
    ///
    /// Both views compute the same as long as batch norms that read only zeros yield zeros, as fresh
    /// ones do. After training, a convolution behind a node that nothing reaches adds its batch norm's
    /// shift, a constant that the pruned view lacks.
    pub fn build(&self, arch: &Architecture, view: View) -> Result<Network, NetworkError> {
        Skeleton::from(*self).build(arch, view)
    }
}

pub(crate) fn build(
    s: &Skeleton,
    net: &mut Builder,
    codes: &[u8],
    live: &[bool],
) -> Result<(), NetworkError> {
    if !s.resolution.is_multiple_of(4) {
        return Err(NetworkError::Value {
            name: "resolution",
            value: s.resolution.to_string(),
            expected: "a multiple of 4, to be halved twice".into(),
        });
    }
    net.block("stem", "stem");
    let mut x = net.add("stem.conv", Op::Conv(Conv::same(s.channels, 3)), &[0])?;
    x = batch_norm(net, "stem.bn", x)?;
    for stage in 1..=3 {
        if stage > 1 {
            x = reduction(net, &format!("reduce{}", stage - 1), x, s.channels << (stage - 1))?;
        }
        for n in 1..=s.cells {
            x = cell(net, &format!("stage{stage}.cell{n}"), x, codes, live)?;
        }
    }
    net.block("head", "head");
    x = batch_norm(net, "head.bn", x)?;
    x = net.add("head.relu", Op::Relu, &[x])?;
    classifier(net, s.classes, x)?;
    Ok(())
}

/// Two convolutions, the first of stride 2, beside a shortcut.
pub(crate) fn reduction(
    net: &mut Builder,
    place: &str,
    x: usize,
    channels: usize,
) -> Result<usize, NetworkError> {
    net.block(place, "reduce");
    let first = Conv { stride: 2, ..Conv::same(channels, 3) };
    let a = relu_conv_bn(net, &format!("{place}.a"), first, x)?;
    let b = relu_conv_bn(net, &format!("{place}.b"), Conv::same(channels, 3), a)?;
    let pool = Pool { kernel: 2, stride: 2, padding: 0 };
    let pool = Op::AvgPool { pool, count_include_pad: true };
    let shortcut = net.add(format!("{place}.shortcut.pool"), pool, &[x])?;
    let conv = Op::Conv(Conv::same(channels, 1));
    let shortcut = net.add(format!("{place}.shortcut.conv"), conv, &[shortcut])?;
    net.add(format!("{place}.add"), Op::Add, &[shortcut, b])
}

/// Adds a cell, whose operations all keep the shape.
fn cell(
    net: &mut Builder,
    place: &str,
    x: usize,
    codes: &[u8],
    live: &[bool],
) -> Result<usize, NetworkError> {
    net.block(place, "cell");
    let channels = net.shape(x).map_or(0, |s| s.channels);
    let output =
        cell_of_edges(net, place, x, (codes, live), |net, edge, _, code, source| match code {
            0 => net.add(format!("{edge}.zero"), Op::Zero, &[source]),
            1 => Ok(source),
            2 => relu_conv_bn(net, edge, Conv::same(channels, 1), source),
            3 => relu_conv_bn(net, edge, Conv::same(channels, 3), source),
            _ => {
                let pool = Pool { kernel: 3, stride: 1, padding: 1 };
                let op = Op::AvgPool { pool, count_include_pad: false };
                net.add(format!("{edge}.pool"), op, &[source])
            }
        })?;
    match output {
        Some(output) => Ok(output),
        None => net.add(format!("{place}.zero"), Op::Zero, &[x]),
    }
}
