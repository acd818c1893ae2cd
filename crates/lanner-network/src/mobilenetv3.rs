//! The MobileNetV3 space of Once-for-All (Cai et al., ICLR 2020), as in the authors' `ofa_mbv3.py`:
//! MobileNetV3-Large (Howard et al. 2019) with five stages of two to four blocks, each with a choice
//! of kernel and expansion. Choices for blocks beyond a stage's depth change nothing.

use crate::{
    Builder, Conv, NetworkError, Op, Skeleton,
    blocks::{InvertedResidual, conv_bn_act},
};

/// For each stage: channels, stride, whether hard-swish replaces ReLU, squeeze-and-excitation.
const STAGES: [(usize, usize, bool, bool); 5] = [
    (24, 2, false, false),
    (40, 2, false, true),
    (80, 2, true, false),
    (112, 1, true, true),
    (160, 2, true, true),
];
/// Number of blocks of a stage that an architecture has choices for.
const BLOCKS: usize = 4;
/// Number of channels of stem and first block, of the last convolution, and of the layer behind it,
/// which [`Skeleton::channels`] replaces; the others scale with that.
const WIDTHS: [usize; 3] = [16, 960, 1280];

/// Rounds v · by / of to the nearest multiple of 8, but not below nine tenths (MobileNetV2's rule).
fn rounded(v: usize, by: usize, of: usize) -> usize {
    let near = ((v * by + 4 * of) / (8 * of) * 8).max(8);
    if 10 * near * of < 9 * v * by { near + 8 } else { near }
}

pub fn build(s: &Skeleton, net: &mut Builder, codes: &[u8]) -> Result<(), NetworkError> {
    let width = |channels| rounded(channels, s.channels, WIDTHS[2]);
    let (depths, choices) = codes[1..].split_at(STAGES.len());
    let (kernels, expansions) = choices.split_at(STAGES.len() * BLOCKS);
    net.block("stem", "stem");
    let stem = Conv { stride: 2, ..Conv::same(width(WIDTHS[0]), 3) };
    let mut x = conv_bn_act(net, "stem", stem, Op::HardSwish, 0)?;
    net.block("block0", "block");
    let mut channels = stem.out_channels;
    let first = InvertedResidual::plain(channels, channels, 3, 1);
    x = InvertedResidual { skip_expansion: true, ..first }.add(net, "block0", x)?;
    for (stage, &(out, stride, swish, squeeze)) in STAGES.iter().enumerate() {
        let out = width(out);
        for n in 0..2 + usize::from(depths[stage]) {
            let choice = BLOCKS * stage + n;
            let kernel = 3 + 2 * usize::from(kernels[choice]);
            let expansion = [3, 4, 6][usize::from(expansions[choice])];
            let hidden = rounded(expansion * channels, 1, 1);
            let stride = if n == 0 { stride } else { 1 };
            let block = InvertedResidual {
                act: if swish { Op::HardSwish } else { Op::Relu },
                squeeze: squeeze.then(|| rounded(hidden / 4, 1, 1)),
                ..InvertedResidual::plain(hidden, out, kernel, stride)
            };
            let place = format!("stage{}.block{}", stage + 1, n + 1);
            net.block(&place, "block");
            x = block.add(net, &place, x)?;
            channels = out;
        }
    }
    net.block("head", "head");
    x = conv_bn_act(net, "head", Conv::same(width(WIDTHS[1]), 1), Op::HardSwish, x)?;
    x = net.add("head.squeeze", Op::GlobalAvgPool, &[x])?;
    x = net.add("head.mix", Op::Conv(Conv::same(s.channels, 1)), &[x])?;
    x = net.add("head.mix.hard_swish", Op::HardSwish, &[x])?;
    net.add("head.linear", Op::Linear { out_features: s.classes, bias: true }, &[x])?;
    Ok(())
}
