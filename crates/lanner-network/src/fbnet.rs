//! FBNet's search space (Wu et al., CVPR 2019), as built by HW-NAS-Bench (Li et al., ICLR 2021), HELP
//! and NASFLAT.
//!
//! The network has a stem of stride 2, 22 blocks in seven stages, a 1×1 convolution, global average
//! pooling and a linear layer. A block is an inverted residual with ReLU, even behind an expansion of
//! 1, or a skip: nothing, or a 1×1 convolution with batch norm and ReLU if shapes change. Images of up
//! to 64 pixels keep their resolution in the stem and the second stage, as in HW-NAS-Bench for CIFAR,
//! where the last convolution has 1504 channels.

use crate::{
    Builder, Conv, NetworkError, Op, Skeleton,
    blocks::{InvertedResidual, classifier, conv_bn_act},
};

/// Number of blocks, channels and stride of each stage.
const STAGES: [(usize, usize, usize); 7] =
    [(1, 16, 1), (4, 24, 2), (4, 32, 2), (4, 64, 2), (4, 112, 1), (4, 184, 2), (1, 352, 1)];
/// Kernel, expansion and groups by code; the code after the last is the skip.
const BLOCKS: [(usize, usize, usize); 8] =
    [(3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1)];
/// Side of the largest image whose resolution is kept at first, in pixels.
const SMALL: usize = 64;

pub fn build(s: &Skeleton, net: &mut Builder, codes: &[u8]) -> Result<(), NetworkError> {
    let small = s.resolution <= SMALL;
    net.block("stem", "stem");
    let stem = Conv { stride: if small { 1 } else { 2 }, ..Conv::same(STAGES[0].1, 3) };
    let mut x = conv_bn_act(net, "stem", stem, Op::Relu, 0)?;
    let mut channels = STAGES[0].1;
    let mut codes = codes.iter().enumerate();
    for (stage, &(blocks, out, stride)) in STAGES.iter().enumerate() {
        for (n, (i, &code)) in codes.by_ref().take(blocks).enumerate() {
            let stride = match n {
                0 if !(small && stage == 1) => stride,
                _ => 1,
            };
            let place = format!("block{}", i + 1);
            net.block(&place, "block");
            x = match BLOCKS.get(usize::from(code)) {
                Some(&(kernel, expansion, groups)) => {
                    let hidden = expansion * channels;
                    let block = InvertedResidual::plain(hidden, out, kernel, stride);
                    InvertedResidual { groups, ..block }.add(net, &place, x)?
                }
                None if stride == 1 && out == channels => x,
                None => {
                    let conv = Conv { stride, ..Conv::same(out, 1) };
                    conv_bn_act(net, &place, conv, Op::Relu, x)?
                }
            };
            channels = out;
        }
    }
    net.block("head", "head");
    x = conv_bn_act(net, "head", Conv::same(s.channels, 1), Op::Relu, x)?;
    classifier(net, s.classes, x)?;
    Ok(())
}
