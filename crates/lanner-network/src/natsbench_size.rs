//! The size space of NATS-Bench (Dong et al., TPAMI 2021), as in the authors' `InferTinyCellNet.py`.
//!
//! A stem of 3×3 convolution and batch norm; a cell; a residual block of stride 2; a cell; another
//! such block; a cell; then batch norm, ReLU, global average pooling and a linear layer. All cells are
//! the best one of NAS-Bench-201 on CIFAR-100. The five choices are the widths of the cells and blocks;
//! the stem has the first. A skip connection of a cell that changes the width is a 1×1 convolution with
//! batch norm.

use lanner_space::nasbench201::SKIP;
use lanner_space::natsbench_size::WIDTHS;

use crate::{
    Builder, Conv, NetworkError, Op, Skeleton,
    blocks::{batch_norm, cell_of_edges, classifier, conv_bn, relu_conv_bn},
    nasbench201::reduction,
};

/// `|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|`
const CELL: [u8; 6] = [3, 3, 3, SKIP, 3, 3];

pub fn build(s: &Skeleton, net: &mut Builder, codes: &[u8]) -> Result<(), NetworkError> {
    let widest = WIDTHS[WIDTHS.len() - 1];
    let width = |code: u8| (WIDTHS[usize::from(code)] * s.channels / widest).max(1);
    net.block("stem", "stem");
    let mut channels = width(codes[0]);
    let mut x = conv_bn(net, "stem", Conv::same(channels, 3), 0)?;
    for (i, &code) in codes.iter().enumerate() {
        let out = width(code);
        x = match i {
            1 | 3 => reduction(net, &format!("reduce{}", i / 2 + 1), x, out)?,
            _ => cell(net, &format!("cell{}", i / 2 + 1), x, channels, out)?,
        };
        channels = out;
    }
    net.block("head", "head");
    x = batch_norm(net, "head.bn", x)?;
    x = net.add("head.relu", Op::Relu, &[x])?;
    classifier(net, s.classes, x)?;
    Ok(())
}

fn cell(
    net: &mut Builder,
    place: &str,
    x: usize,
    channels: usize,
    out: usize,
) -> Result<usize, NetworkError> {
    net.block(place, "cell");
    let output =
        cell_of_edges(net, place, x, (&CELL, &[true; 6]), |net, edge, from, code, x| match code {
            SKIP if from > 0 || channels == out => Ok(x),
            SKIP => conv_bn(net, edge, Conv::same(out, 1), x),
            _ => relu_conv_bn(net, edge, Conv::same(out, 3), x),
        })?;
    Ok(output.unwrap_or(x))
}
