//! NAS-Bench-Macro (Su et al., CVPR 2021), as in the authors' `model.py`.
//!
//! The network has a stem of 3×3 convolution, batch norm and ReLU; eight blocks in three stages, each
//! of which begins with stride 2 and twice the channels; a 1×1 convolution to 1280 channels, global
//! average pooling and a linear layer. A block is an inverted residual, or an identity: nothing, or
//! a 1×1 convolution and batch norm if shapes change.

use crate::{
    Builder, Conv, NetworkError, Op, Skeleton,
    blocks::{InvertedResidual, classifier, conv_bn, conv_bn_act},
};

/// Number of blocks of each stage.
const STAGES: [usize; 3] = [2, 3, 3];
/// Number of channels of the last convolution.
const FEATURES: usize = 1280;

pub fn build(s: &Skeleton, net: &mut Builder, codes: &[u8]) -> Result<(), NetworkError> {
    net.block("stem", "stem");
    let mut x = conv_bn_act(net, "stem", Conv::same(s.channels, 3), Op::Relu, 0)?;
    let mut channels = s.channels;
    let mut codes = codes.iter().enumerate();
    for blocks in STAGES {
        for (n, (i, &code)) in codes.by_ref().take(blocks).enumerate() {
            let place = format!("block{}", i + 1);
            net.block(&place, "block");
            let (out, stride) = if n == 0 { (2 * channels, 2) } else { (channels, 1) };
            let block = |hidden, kernel| InvertedResidual::plain(hidden, out, kernel, stride);
            x = match code {
                0 if n > 0 => x,
                0 => conv_bn(net, &place, Conv { stride, ..Conv::same(out, 1) }, x)?,
                1 => block(3 * channels, 3).add(net, &place, x)?,
                _ => block(6 * channels, 5).add(net, &place, x)?,
            };
            channels = out;
        }
    }
    net.block("head", "head");
    x = conv_bn_act(net, "head", Conv::same(FEATURES, 1), Op::Relu, x)?;
    classifier(net, s.classes, x)?;
    Ok(())
}
