//! Families of spaces: kinds of architectures, each shared by several spaces.
//!
//! | family | an architecture is | spaces |
//! |---|---|---|
//! | [`CellSpace`] | an operation on each edge of a cell | nasbench201, transbench101-micro, cells of files |
//! | [`LabelledDag`] | a graph with an operation on each vertex | nasbench101 |
//! | [`CellPair`] | a normal and a reduction cell, nodes with two inputs each | darts |
//! | [`Layers`] | an operation a layer, in a chain | fbnet, nas-bench-macro, transbench101-macro |
//! | [`ChainSpace`] | stages with a width, a depth and layers | chains of files |
//! | [`ElasticStages`] | stages with a depth, layers with a kernel and an expansion | mobilenetv3 |
//! | [`StageSpace`] | widths, depths, and heads and MLPs of a transformer's layers | hw-gpt, autoformer, hat, pit; stages of files |
//! | [`ParameterSpace`] | values of declared parameters | parameters of files and programs |

mod cell;
mod chain;
pub(crate) mod dag;
pub(crate) mod dag_text;
mod elastic;
mod layers;
mod pair;
pub mod parameters;
mod stages;

use std::fmt::Debug;

pub use cell::{CellSkeleton, CellSpace, Edge};
pub use chain::{Block, ChainActivation, ChainSkeleton, ChainSpace, Layer, Skip, Stage, Up};
pub use dag::LabelledDag;
pub use elastic::ElasticStages;
pub use layers::Layers;
pub use pair::CellPair;
pub use parameters::ParameterSpace;
pub use stages::{
    Activation, Block as TransformerBlock, ChosenLayer, ChosenStage, Inner, Patches,
    Stage as TransformerStage, StageSpace, Stages, Stem, Width,
};

use rand::Rng;

use crate::{Architecture, CellGraph, SpaceError, View, independent};

/// The answers of a family for one of its members. The default ones are for spaces with an independent
/// choice at every position.
pub trait Family: Debug + Send + Sync {
    /// Returns the number of values at each position of [`Family::aligned`].
    fn positions(&self) -> &[u8];

    /// Returns the meaning of the graphs' labels, by code.
    fn labels(&self) -> Vec<&str>;

    /// Returns the architecture as a labelled graph.
    fn graph(&self, arch: &Architecture, view: View) -> CellGraph;

    /// Reads a text; errors name the `space`.
    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError>;

    /// Prints the text that [`Family::parse`] reads.
    fn print(&self, arch: &Architecture) -> String;

    /// Returns the numbers of choices if every combination of them is an architecture, else `None`.
    fn choices(&self) -> Option<&[u8]> {
        Some(self.positions())
    }

    /// Returns the number of architectures; `None` from 2^128.
    fn size(&self) -> Option<u128> {
        independent::checked_size(self.positions())
    }

    /// Tells whether [`Family::size`] is the number of architectures; else there are infinitely many, or
    /// too many to number.
    fn is_counted(&self) -> bool {
        true
    }

    /// Returns the number of different architectures that [`Family::canonical`] leaves.
    fn distinct(&self) -> Option<u128> {
        self.size()
    }

    /// Says why codes are not those of an architecture.
    fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(self.positions(), codes)
    }

    /// Checks as [`Family::check`], but accepts codes in another order than the stored one.
    fn check_unordered(&self, codes: &[u8]) -> Result<(), String> {
        self.check(codes)
    }

    /// Returns the architecture with an index below the size.
    fn at(&self, index: u128) -> Architecture {
        independent::at(self.positions(), index)
    }

    /// Returns the index of an architecture, if it is counted.
    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        Some(independent::index_of(self.positions(), arch.codes()))
    }

    /// Returns how many numbers [`Family::candidate`] takes.
    fn candidates(&self) -> Option<u128> {
        self.size()
    }

    /// Returns the architecture of a number, or `None` for some numbers; each architecture that can be
    /// drawn has one number.
    fn candidate(&self, number: u128) -> Option<Architecture> {
        Some(self.at(number))
    }

    /// Draws an architecture, if not uniformly from all candidates.
    fn drawn(&self, _rng: &mut dyn Rng) -> Option<Architecture> {
        None
    }

    /// Draws an architecture one step away, if not uniformly from [`Family::neighbours`].
    fn mutated(&self, _arch: &Architecture, _rng: &mut dyn Rng) -> Option<Architecture> {
        None
    }

    /// Returns the architectures one step away.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        independent::neighbours(self.positions(), arch.codes())
    }

    /// Returns the one of all equal architectures that stands for them.
    fn canonical(&self, arch: &Architecture) -> Architecture {
        arch.clone()
    }

    /// Returns the choices at positions that mean the same for all architectures.
    fn aligned(&self, arch: &Architecture) -> Vec<Option<u8>> {
        let mut values: Vec<Option<u8>> = arch.codes().iter().map(|&c| Some(c)).collect();
        values.resize(self.positions().len(), None);
        values
    }

    /// Tells which of the aligned choices take part in the network's computation.
    fn live(&self, arch: &Architecture) -> Vec<bool> {
        self.aligned(arch).iter().map(Option::is_some).collect()
    }

    /// Returns the largest number of codes of an architecture.
    fn max_codes(&self) -> usize {
        self.positions().len()
    }

    /// Returns the largest number of nodes of a graph.
    fn max_nodes(&self) -> usize {
        self.positions().len() + 2
    }

    /// Returns height and width of the image, where the architecture chooses them.
    fn resolution(&self, _arch: &Architecture) -> Option<usize> {
        None
    }

    /// Returns the cell, if operations are on its edges.
    fn cell(&self) -> Option<&CellSpace> {
        None
    }

    /// Returns the stages, if they have widths, depths and layers.
    fn chain(&self) -> Option<&ChainSpace> {
        None
    }

    /// Returns the parameters, if architectures are their values.
    fn parameters(&self) -> Option<&ParameterSpace> {
        None
    }

    /// Returns the transformers, if architectures are such; they have [`Family::parameters`], too.
    fn stages(&self) -> Option<&StageSpace> {
        None
    }
}
