//! DARTS (Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019), the space of
//! NAS-Bench-301 too: a normal and a reduction cell, see [`CellPair`] for codes and texts.
//!
//! **Counted architectures.** [`crate::Space::size`], indices and samples cover the published ≈10^18:
//! seven operations, and two different inputs for each node. Tables also hold cells with the operation
//! `none`, or with one input twice (random genotypes that were trained): such architectures parse,
//! print and have graphs, but no index.

use crate::definition::{Definition, FewCells, Sizes};
use crate::family::CellPair;

/// The name on the command line.
pub const NAME: &str = "darts";
/// The operations, by code. The last one occurs in tables only, not in the space.
pub const OPS: [&str; 8] = [
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "none",
];
/// Code of the identity; on an edge from an input of the reduction cell, it is a factorised reduction.
pub const SKIP: u8 = 2;
/// Code of the operation that passes nothing.
pub const NONE: u8 = 7;

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 36, cells: 20, resolution: 32, classes: 10 };
    Definition {
        // Reduction cells are at a third and two thirds: five cells have one of each kind and place.
        few_cells: FewCells { trained: 5, searched: 5, costed: 6 },
        ..Definition::new(NAME, CellPair::new(&OPS), sizes)
    }
}
