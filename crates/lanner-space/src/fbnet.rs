//! FBNet (Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
//! Architecture Search", CVPR 2019; as tabulated by HW-NAS-Bench and HELP): a chain of 22 layers,
//! one of nine blocks each.
//!
//! Codes are blocks by layer. Texts are 22 digits (codes of [`OPS`]), or the 22 names with commas or
//! spaces between them.

use crate::definition::{Definition, FanOut, Sizes, Text};
use crate::family::Layers;
use crate::{Architecture, SpaceError, independent};

/// The name on the command line.
pub const NAME: &str = "fbnet";
/// The number of layers to choose.
pub const LAYERS: usize = 22;
/// The blocks, by code: kernel, expansion of the inverted bottleneck, groups of its 1×1
/// convolutions. `skip` is the identity, or a 1×1 convolution where channels or resolution change.
pub const OPS: [&str; 9] =
    ["k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip"];
const CHOICES: [u8; LAYERS] = [OPS.len() as u8; LAYERS];

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 1984, cells: 0, resolution: 224, classes: 1000 };
    Definition {
        text: Some(Text { parse, print: |arch| independent::digits(arch.codes()) }),
        // The weights of HW-NAS-Bench.
        proxy_weights: Some(FanOut { linear: Some(0.001) }),
        ..Definition::new(NAME, Layers::new(&OPS, LAYERS), sizes)
    }
}

fn parse(text: &str) -> Result<Architecture, SpaceError> {
    if !text.contains('k') && !text.contains("skip") {
        return independent::parse(NAME, text, &CHOICES);
    }
    let fail = |why| SpaceError::text(NAME, text, why);
    let names = text.split([',', ' ']).filter(|name| !name.is_empty());
    let code = |(i, name): (usize, &str)| {
        let code = OPS.iter().position(|&op| op == name).ok_or_else(|| {
            fail(format!("layer {} is '{name}', expected one of {}", i + 1, OPS.join(", ")))
        })?;
        Ok(code as u8)
    };
    let codes = names.enumerate().map(code).collect::<Result<Vec<u8>, SpaceError>>()?;
    independent::check(&CHOICES, &codes).map_err(fail)?;
    Ok(Architecture::new(codes))
}
