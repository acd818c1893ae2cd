//! The size space of NATS-Bench (Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture
//! Topology and Size", TPAMI 2021): numbers of channels in five layers, 8 to 64, around one fixed cell.
//!
//! Codes are widths by layer (of [`WIDTHS`]). Texts are the official `8:16:32:64:8`. The official index
//! (0..32,767, `meta_archs`) is the lexicographic one.

use crate::definition::{Definition, Sizes, Text};
use crate::family::Layers;
use crate::{Architecture, SpaceError};

/// The name on the command line.
pub const NAME: &str = "natsbench-size";
/// The number of layers to choose.
pub const LAYERS: usize = 5;
/// Numbers of channels, by code.
pub const WIDTHS: [usize; 8] = [8, 16, 24, 32, 40, 48, 56, 64];
/// The layers in graphs, by code.
const LABELS: [&str; 8] = ["c8", "c16", "c24", "c32", "c40", "c48", "c56", "c64"];

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 64, cells: 0, resolution: 32, classes: 10 };
    let family = Layers::new(&LABELS, LAYERS);
    Definition { text: Some(Text { parse, print }), ..Definition::new(NAME, family, sizes) }
}

fn print(arch: &Architecture) -> String {
    let widths = arch.codes().iter().map(|&code| WIDTHS[usize::from(code)].to_string());
    widths.collect::<Vec<_>>().join(":")
}

fn parse(text: &str) -> Result<Architecture, SpaceError> {
    let text = text.trim();
    let fail = |why: String| SpaceError::text(NAME, text, why);
    let words: Vec<&str> = text.split(':').collect();
    if words.len() != LAYERS {
        return Err(fail(format!("{} widths, expected {LAYERS} as in 8:16:32:64:8", words.len())));
    }
    let code = |(i, word): (usize, &&str)| {
        let width = word.trim().parse().ok();
        let code = width.and_then(|width| WIDTHS.iter().position(|&w| w == width));
        code.map(|code| code as u8).ok_or_else(|| {
            fail(format!("the width of layer {} is '{word}', expected one of {WIDTHS:?}", i + 1))
        })
    };
    words.iter().enumerate().map(code).collect::<Result<Vec<u8>, _>>().map(Architecture::new)
}
