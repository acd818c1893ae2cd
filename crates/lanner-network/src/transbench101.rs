//! TransNAS-Bench-101 (Duan et al., CVPR 2021), micro and macro, as in the authors' code
//! (`net_macro.py`, `cell_micro.py`).
//!
//! The network has a stem of two 3×3 convolutions of stride 2; modules of two cells each, the first of
//! which may halve the resolution and double the channels; global average pooling and a linear layer.
//! Micro cells are like those of NAS-Bench-201 without pooling, in five modules of which the first,
//! third and fifth halve and double. The cells of macro networks are residual blocks of two 3×3
//! convolutions.
//!
//! The head is that of the tasks with one label or vector for each image: classification of objects
//! and scenes, room layout (9 numbers). The other tasks put another head on the same encoder: the
//! puzzle runs it on nine tiles of an image and classifies their concatenated means; segmentation,
//! autoencoding and surface normals have decoders of transposed convolutions. The costs of those heads
//! depend only on the encoder's output shape.

use crate::{
    Builder, Conv, NetworkError, Op, Skeleton,
    blocks::{cell_of_edges, classifier, conv_bn, factorized_reduce, relu_conv_bn, zeros},
};

/// Changes of shape by the first cell of a module.
#[derive(Debug, Clone, Copy)]
struct Module {
    double: bool,
    halve: bool,
}

impl Module {
    const PLAIN: Module = Module { double: false, halve: false };
    const BOTH: Module = Module { double: true, halve: true };
    /// Modules of the micro networks, which the authors call `41414`.
    const MICRO: [Module; 5] =
        [Module::BOTH, Module::PLAIN, Module::BOTH, Module::PLAIN, Module::BOTH];

    /// The module of a code, 0 to 3 for the authors' types 1 to 4.
    fn of(code: u8) -> Module {
        Module { double: code % 2 == 1, halve: code >= 2 }
    }

    fn stride(self) -> usize {
        1 + usize::from(self.halve)
    }
}

fn stem(s: &Skeleton, net: &mut Builder) -> Result<usize, NetworkError> {
    net.block("stem", "stem");
    let conv = |out| Conv { stride: 2, ..Conv::same(out, 3) };
    let x = conv_bn(net, "stem.a", conv(s.channels / 2), 0)?;
    relu_conv_bn(net, "stem.b", conv(s.channels), x)
}

pub fn build_macro(s: &Skeleton, net: &mut Builder, codes: &[u8]) -> Result<(), NetworkError> {
    let mut x = stem(s, net)?;
    for (m, &code) in codes.iter().enumerate() {
        for n in 1..=s.cells {
            let module = if n == 1 { Module::of(code) } else { Module::PLAIN };
            x = residual(net, &format!("module{}.block{n}", m + 1), module, x)?;
        }
    }
    net.block("head", "head");
    classifier(net, s.classes, x)?;
    Ok(())
}

/// Adds two convolutions and a shortcut.
fn residual(
    net: &mut Builder,
    place: &str,
    module: Module,
    x: usize,
) -> Result<usize, NetworkError> {
    net.block(place, if module.halve { "reduce" } else { "cell" });
    let channels = net.shape(x).map_or(0, |s| s.channels) << usize::from(module.double);
    let first = Conv { stride: module.stride(), ..Conv::same(channels, 3) };
    let a = relu_conv_bn(net, &format!("{place}.a"), first, x)?;
    let b = relu_conv_bn(net, &format!("{place}.b"), Conv::same(channels, 3), a)?;
    let shortcut = match module.halve || module.double {
        true => {
            let conv = Conv { stride: module.stride(), ..Conv::same(channels, 1) };
            conv_bn(net, &format!("{place}.shortcut"), conv, x)?
        }
        false => x,
    };
    net.add(format!("{place}.add"), Op::Add, &[shortcut, b])
}

pub fn build_micro(
    s: &Skeleton,
    net: &mut Builder,
    codes: &[u8],
    live: &[bool],
) -> Result<(), NetworkError> {
    let mut x = stem(s, net)?;
    for (m, module) in Module::MICRO.into_iter().enumerate() {
        for n in 1..=s.cells {
            let module = if n == 1 { module } else { Module::PLAIN };
            x = cell(net, &format!("module{}.cell{n}", m + 1), module, codes, live, x)?;
        }
    }
    net.block("head", "head");
    classifier(net, s.classes, x)?;
    Ok(())
}

/// Adds a cell whose operations on its input have the module's stride and channels.
fn cell(
    net: &mut Builder,
    place: &str,
    module: Module,
    codes: &[u8],
    live: &[bool],
    x: usize,
) -> Result<usize, NetworkError> {
    net.block(place, if module.halve { "reduce" } else { "cell" });
    let channels = net.shape(x).map_or(0, |s| s.channels) << usize::from(module.double);
    let operation = |net: &mut Builder, edge: &str, from: usize, code: u8, source: usize| {
        let module = if from == 0 { module } else { Module::PLAIN };
        let conv = |kernel| Conv { stride: module.stride(), ..Conv::same(channels, kernel) };
        match code {
            0 => zeros(net, edge, module.halve, module.double, source),
            1 if module.halve || module.double => factorized_reduce(net, edge, channels, source),
            1 => Ok(source),
            2 => relu_conv_bn(net, edge, conv(1), source),
            _ => relu_conv_bn(net, edge, conv(3), source),
        }
    };
    match cell_of_edges(net, place, x, (codes, live), operation)? {
        Some(output) => Ok(output),
        None => zeros(net, place, module.halve, module.double, x),
    }
}
