//! DARTS (Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019), the space of
//! NAS-Bench-301 too: a normal and a reduction cell, see [`CellPair`] for codes and texts.
//!
//! **What is counted.** The published ≈10^18: seven operations, the two inputs of a node different;
//! [`crate::Space::size`], indices and samples are of these. Tables also hold cells with the
//! operation `none` or with one input twice (random genotypes that were trained): such
//! architectures parse, print and have graphs, but no index.

use crate::definition::{Definition, FewCells, Sizes};
use crate::family::CellPair;

/// The name on the command line.
pub const NAME: &str = "darts";
/// The operations, by code. The last is not in the space, but in tables.
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
/// Code of the identity; on an edge from an input of the reduction cell a factorised reduction.
pub const SKIP: u8 = 2;
/// Code of the operation that passes nothing.
pub const NONE: u8 = 7;

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 36, cells: 20, resolution: 32, classes: 10 };
    Definition {
        // Reductions are at a third and two thirds: five have a cell of each kind and place.
        few_cells: FewCells { trained: 5, searched: 5, costed: 6 },
        ..Definition::new(NAME, CellPair::new(&OPS), sizes)
    }
}
