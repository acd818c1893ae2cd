//! TransNAS-Bench-101 (Duan et al., CVPR 2021), the cell-level space: a cell of four nodes, one of
//! four operations on each of its six edges, in a fixed network. See [`crate::transbench101_macro`]
//! for the other one.
//!
//! Codes are operations by edge, edges in the order 0→1, 0→2, 1→2, 0→3, 1→3, 2→3. Texts are the
//! official `64-41414-1_02_333` (first channels, the network's modules, the edges into each node), six
//! digits (`102333`), or a tuple of the codes.

use crate::definition::{Definition, FanOut, Text};
use crate::family::{CellSkeleton, CellSpace};
use crate::{Architecture, SpaceError, independent};

/// The name on the command line.
pub const NAME: &str = "transbench101-micro";
/// The operations, by code: those of NAS-Bench-201 without pooling, under its names.
pub const OPS: [&str; 4] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"];
const CHOICES: [u8; 6] = [OPS.len() as u8; 6];
/// First channels and modules of the network, the same for all cells.
const PREFIX: &str = "64-41414-";

pub(crate) fn definition() -> Definition {
    // These are sizes only: the modules of the network are not the stages of a file's skeleton.
    let skeleton = CellSkeleton { resolution: 256, classes: 75, channels: 64, stages: 5, cells: 2 };
    Definition {
        text: Some(Text { parse, print }),
        // The weights of NASLib.
        proxy_weights: Some(FanOut { linear: None }),
        // It has the edges and codes of NAS-Bench-201, without the pooling.
        known_program: true,
        ..Definition::of_cell(NAME, CellSpace::complete(4, &OPS, skeleton))
    }
}

fn print(arch: &Architecture) -> String {
    let codes = independent::digits(arch.codes());
    format!("{PREFIX}{}_{}_{}", &codes[..1], &codes[1..3], &codes[3..])
}

fn parse(text: &str) -> Result<Architecture, SpaceError> {
    let text = text.trim();
    let Some(cell) = text.strip_prefix(PREFIX) else {
        return match text.contains('-') {
            true => Err(SpaceError::text(
                NAME,
                text,
                format!("expected {PREFIX}0_00_000 or six digits"),
            )),
            false => independent::parse(NAME, text, &CHOICES),
        };
    };
    let lengths: Vec<usize> = cell.split('_').map(str::len).collect();
    if lengths != [1, 2, 3] {
        let why = format!("expected 1, 2 and 3 digits with '_' between after {PREFIX}");
        return Err(SpaceError::text(NAME, text, why));
    }
    independent::parse(NAME, &cell.replace('_', ""), &CHOICES)
}
