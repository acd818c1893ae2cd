//! Families of spaces: what an architecture is made of, whatever its space is called.
//!
//! | family | an architecture is | spaces |
//! |---|---|---|
//! | [`CellSpace`] | an operation on each edge of a cell | nasbench201, transbench101-micro, cells of files |
//! | [`LabelledDag`] | a graph with an operation on each vertex | nasbench101 |
//! | [`CellPair`] | a normal and a reduction cell, nodes with two inputs each | darts |
//! | [`Layers`] | an operation a layer, in a chain | fbnet, nas-bench-macro, transbench101-macro |
//! | [`ChainSpace`] | stages with a width, a depth and layers | chains of files |
//! | [`ElasticStages`] | stages with a depth, layers with a kernel and an expansion | mobilenetv3 |

mod cell;
mod chain;
pub(crate) mod dag;
pub(crate) mod dag_text;
mod elastic;
mod layers;
mod pair;

use std::fmt::Debug;

pub use cell::{CellSkeleton, CellSpace, Edge};
pub use chain::{Block, ChainSkeleton, ChainSpace, Layer, Stage};
pub use dag::LabelledDag;
pub use elastic::ElasticStages;
pub use layers::Layers;
pub use pair::CellPair;

use crate::{Architecture, CellGraph, SpaceError, View, independent};

/// The answers that a family gives for one of its members. The given ones are those of spaces with
/// an independent choice at every position.
pub trait Family: Debug + Send + Sync {
    /// The number of values at each position of [`Family::aligned`].
    fn positions(&self) -> &[u8];

    /// The meaning of the graphs' labels, by code.
    fn labels(&self) -> Vec<&str>;

    /// The architecture as a labelled graph.
    fn graph(&self, arch: &Architecture, view: View) -> CellGraph;

    /// Reads a text; errors name the `space`.
    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError>;

    /// The text that [`Family::parse`] reads.
    fn print(&self, arch: &Architecture) -> String;

    /// The positions where every combination of choices is an architecture, else `None`.
    fn choices(&self) -> Option<&[u8]> {
        Some(self.positions())
    }

    /// The number of architectures; `None` from 2^128.
    fn size(&self) -> Option<u128> {
        independent::checked_size(self.positions())
    }

    /// The number of different architectures that [`Family::canonical`] leaves.
    fn distinct(&self) -> Option<u128> {
        self.size()
    }

    /// Says why codes are not those of an architecture.
    fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(self.positions(), codes)
    }

    /// Like [`Family::check`], for codes that need not be in the order in which they are stored.
    fn check_unordered(&self, codes: &[u8]) -> Result<(), String> {
        self.check(codes)
    }

    /// The architecture of an index below the size.
    fn at(&self, index: u128) -> Architecture {
        independent::at(self.positions(), index)
    }

    /// The index of an architecture, if it is counted.
    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        Some(independent::index_of(self.positions(), arch.codes()))
    }

    /// Number of numbers that [`Family::candidate`] takes.
    fn candidates(&self) -> Option<u128> {
        self.size()
    }

    /// An architecture by a number, or nothing: each that can be drawn once.
    fn candidate(&self, number: u128) -> Option<Architecture> {
        Some(self.at(number))
    }

    /// Architectures one step away.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        independent::neighbours(self.positions(), arch.codes())
    }

    /// The one of all equal architectures that stands for them.
    fn canonical(&self, arch: &Architecture) -> Architecture {
        arch.clone()
    }

    /// The choices at positions that mean the same for all architectures.
    fn aligned(&self, arch: &Architecture) -> Vec<Option<u8>> {
        let mut values: Vec<Option<u8>> = arch.codes().iter().map(|&c| Some(c)).collect();
        values.resize(self.positions().len(), None);
        values
    }

    /// Tells which of the aligned choices take part in the network's computation.
    fn live(&self, arch: &Architecture) -> Vec<bool> {
        self.aligned(arch).iter().map(Option::is_some).collect()
    }

    /// The most codes of an architecture.
    fn max_codes(&self) -> usize {
        self.positions().len()
    }

    /// The most nodes of a graph.
    fn max_nodes(&self) -> usize {
        self.positions().len() + 2
    }

    /// Height and width of the image, where the architecture chooses them.
    fn resolution(&self, _arch: &Architecture) -> Option<usize> {
        None
    }

    /// The cell, where operations are on its edges.
    fn cell(&self) -> Option<&CellSpace> {
        None
    }

    /// The stages, where they have widths, depths and layers.
    fn chain(&self) -> Option<&ChainSpace> {
        None
    }
}
