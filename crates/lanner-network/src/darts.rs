//! The evaluation network of DARTS (Liu et al., ICLR 2019), as in the authors' `model.py`, for
//! CIFAR; NAS-Bench-301's (Zela et al., ICLR 2022) is the same with fewer cells and channels.
//!
//! The network has a stem of 3×3 convolution and batch norm with three times the channels. Each cell
//! reads the two before it, through ReLU, 1×1 convolution and batch norm. At a third and two thirds of
//! the depth are reduction cells, where channels double and operations on the cell's inputs have
//! stride
//! 2. A skip of stride 2 is a factorised reduction; an input from before a reduction passes through
//! one. A separable convolution is a depthwise and a 1×1 convolution, twice. The output of a cell is
//! the concatenation of its four nodes. Drop-path and the auxiliary head, which are for training only,
//! are left out.
//!
//! NASLib, whose counts NAS-Bench-Suite-Zero publishes, keeps the batch norms of the search phase:
//! those within cells have no scale and shift, and there is one more behind each pooling
//! ([`Network::with_pooling_norms`](crate::Network::with_pooling_norms)).

use lanner_space::{View, darts::NONE};

use crate::{
    Builder, Conv, NetworkError, Op, Pool, Skeleton,
    blocks::{classifier, conv_bn, factorized_reduce, relu_conv_bn, sum, zeros},
};

const NODES: usize = 4;

pub fn build(
    s: &Skeleton,
    net: &mut Builder,
    codes: &[u8],
    view: View,
) -> Result<(), NetworkError> {
    let (normal, reduction) = codes.split_at(codes.len() / 2);
    net.block("stem", "stem");
    let stem = conv_bn(net, "stem", Conv::same(3 * s.channels, 3), 0)?;
    let mut channels = s.channels;
    // The two layers that a cell reads, and whether the later one comes from a reduction cell.
    let (mut before, mut last, mut reduced) = (stem, stem, false);
    for n in 0..s.cells {
        let reduce = n == s.cells / 3 || n == 2 * s.cells / 3;
        channels *= 1 + usize::from(reduce);
        let place = format!("cell{}", n + 1);
        net.block(&place, if reduce { "reduce" } else { "cell" });
        let a = match reduced {
            true => factorized_reduce(net, &format!("{place}.input0"), channels, before)?,
            false => {
                let conv = Conv::same(channels, 1);
                relu_conv_bn(net, &format!("{place}.input0"), conv, before)?
            }
        };
        let b = relu_conv_bn(net, &format!("{place}.input1"), Conv::same(channels, 1), last)?;
        let codes = if reduce { reduction } else { normal };
        (before, last) = (last, cell(net, &place, codes, view, reduce, channels, [a, b])?);
        reduced = reduce;
    }
    net.block("head", "head");
    classifier(net, s.classes, last)?;
    Ok(())
}

/// Adds a cell of four nodes, each the sum of two operations on earlier nodes or the inputs. A node
/// with `none` only, which some tables have, yields zeros.
fn cell(
    net: &mut Builder,
    place: &str,
    codes: &[u8],
    view: View,
    reduce: bool,
    channels: usize,
    inputs: [usize; 2],
) -> Result<usize, NetworkError> {
    let mut nodes = inputs.to_vec();
    for (n, edges) in codes.chunks_exact(4).take(NODES).enumerate() {
        let mut terms = Vec::with_capacity(2);
        for (which, edge) in ["a", "b"].into_iter().zip(edges.chunks_exact(2)) {
            if edge[1] == NONE && view == View::Pruned {
                continue;
            }
            let stride = if reduce && edge[0] < 2 { 2 } else { 1 };
            let x = nodes[usize::from(edge[0])];
            let place = format!("{place}.node{}{which}", n + 1);
            terms.push(operation(net, &place, edge[1], stride, channels, x)?);
        }
        let place = format!("{place}.node{}", n + 1);
        nodes.push(match terms.is_empty() {
            true => zeros(net, &place, reduce, false, inputs[0])?,
            false => sum(net, place, &terms)?,
        });
    }
    net.add(format!("{place}.concat"), Op::Concat, &nodes[2..])
}

fn operation(
    net: &mut Builder,
    place: &str,
    code: u8,
    stride: usize,
    channels: usize,
    x: usize,
) -> Result<usize, NetworkError> {
    let pool = Pool { kernel: 3, stride, padding: 1 };
    let depthwise =
        |kernel, stride| Conv { stride, groups: channels, ..Conv::same(channels, kernel) };
    let dilated = |kernel| Conv { dilation: 2, padding: kernel - 1, ..depthwise(kernel, stride) };
    let mut separable = |kernel| {
        let first = relu_depthwise_bn(net, &format!("{place}.1"), depthwise(kernel, stride), x)?;
        relu_depthwise_bn(net, &format!("{place}.2"), depthwise(kernel, 1), first)
    };
    match code {
        0 => net.add(format!("{place}.pool"), Op::MaxPool(pool), &[x]),
        1 => {
            let pool = Op::AvgPool { pool, count_include_pad: false };
            net.add(format!("{place}.pool"), pool, &[x])
        }
        2 if stride == 1 => Ok(x),
        2 => factorized_reduce(net, place, channels, x),
        3 => separable(3),
        4 => separable(5),
        5 => relu_depthwise_bn(net, place, dilated(3), x),
        6 => relu_depthwise_bn(net, place, dilated(5), x),
        _ => zeros(net, place, stride == 2, false, x),
    }
}

/// Adds ReLU, depthwise convolution, 1×1 convolution and batch norm.
fn relu_depthwise_bn(
    net: &mut Builder,
    place: &str,
    depthwise: Conv,
    x: usize,
) -> Result<usize, NetworkError> {
    let relu = net.add(format!("{place}.relu"), Op::Relu, &[x])?;
    let x = net.add(format!("{place}.depthwise"), Op::Conv(depthwise), &[relu])?;
    conv_bn(net, place, Conv::same(depthwise.out_channels, 1), x)
}
