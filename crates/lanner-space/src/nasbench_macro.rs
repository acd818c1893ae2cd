//! NAS-Bench-Macro (Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR
//! 2021): a chain of eight layers, one of three blocks each, all 6,561 trained on CIFAR-10.
//!
//! Codes are blocks by layer. A text has eight digits (codes of [`OPS`]), as in the published table.

use crate::definition::{Definition, Sizes};
use crate::family::Layers;

/// The name on the command line.
pub const NAME: &str = "nas-bench-macro";
/// The number of layers to choose.
pub const LAYERS: usize = 8;
/// The blocks, by code: the identity, and inverted bottlenecks of expansion 3 with kernel 3, and of 6
/// with 5.
pub const OPS: [&str; 3] = ["identity", "mb3_k3", "mb6_k5"];

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 32, cells: 0, resolution: 32, classes: 10 };
    Definition::new(NAME, Layers::new(&OPS, LAYERS), sizes)
}
