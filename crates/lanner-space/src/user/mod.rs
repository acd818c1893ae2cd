//! Spaces that users define in a TOML file: a cell of operations on edges, or a chain of stages.
//!
//! ```toml
//! name = "my-cell"            # what tables and models call it
//! kind = "cell"
//! nodes = 4                   # node 0 is the input of the cell, the last one its output
//! operations = ["none", "skip_connect", "nor_conv_3x3", "sep_conv_5x5", "avg_pool_3x3"]
//!
//! [[edge]]                    # a node adds up the edges that end in it
//! from = 0
//! to = 1
//!
//! [[edge]]
//! from = [0, 1]               # which node it starts at is a choice, too
//! to = 2
//! operations = ["nor_conv_3x3", "sep_conv_5x5"]    # instead of all
//!
//! [[edge]]
//! from = [1, 2]
//! to = 3
//!
//! [skeleton]                  # that of NAS-Bench-201: stages of cells, halved and widened between
//! resolution = 32
//! classes = 10
//! channels = 16               # of the first stage
//! stages = 3
//! cells = 5                   # in each stage
//!
//! [limits]                    # optional: what the network of an architecture may cost
//! flops = 50_000_000
//! params = 500_000
//! memory_bytes = 262_144
//! ```
//!
//! ```toml
//! name = "my-chain"
//! kind = "chain"
//!
//! [[stage]]
//! depth = [1, 2, 3]           # a list is a choice, a number is none
//! width = [16, 24]            # channels of all its layers
//! stride = 2                  # of its first layer
//! block = ["mb", "sep"]       # of each layer: mb, sep, conv or identity
//! kernel = [3, 5]             # of mb, sep and conv
//! expansion = [3, 6]          # of mb
//!
//! [skeleton]
//! resolution = 96
//! classes = 2
//! stem = 8                    # channels of the 3×3 convolution of stride 2 at the beginning
//! head = 64                   # of the 1×1 convolution before pooling; 0 leaves it out
//! ```
//!
//! **Blocks.** `mb`: 1×1 convolution to expansion × channels, depthwise k×k, 1×1, a sum with the
//! input where shapes allow; `sep`: depthwise k×k and 1×1; `conv`: k×k; `identity`: nothing, or a 1×1
//! convolution where channels or resolution change. Each convolution with batch norm.
//!
//! **Texts.** A cell: operation and source of each edge in the file's order,
//! `nor_conv_3x3~0|sep_conv_5x5~1|none~2`. A chain: width and layers of each stage,
//! `w16:mb_k3_e6,sep_k5/w24:mb_k5_e3`.
//!
//! **Codes.** A cell: for each edge, source × number of operations + operation. A chain: for each
//! stage the width, the depth, and for each layer up to the greatest depth the number of its
//! [`Layer`] among the stage's; layers that are left out have code 0.

mod cell;
mod chain;
mod read;

use std::path::Path;

pub use cell::{CellSkeleton, CellSpace, Edge};
pub use chain::{Block, ChainSkeleton, ChainSpace, Layer, Stage};

use crate::{Architecture, CellGraph, SpaceError, View, independent};

/// The operations that an edge of a cell may have.
pub const OPERATIONS: [&str; 11] = [
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "nor_conv_5x5",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
];

/// A space as its file describes it, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserSpace {
    pub name: String,
    pub kind: Kind,
    pub limits: Limits,
    /// What follows from the above: values at each position, architectures, node labels.
    pub(crate) positions: Vec<u8>,
    pub(crate) size: u128,
    pub(crate) labels: Vec<String>,
    text: Text,
}

/// The file's text. Spaces that differ in nothing else are the same.
#[derive(Debug, Clone, Eq)]
struct Text(String);

impl PartialEq for Text {
    fn eq(&self, _: &Text) -> bool {
        true
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// What an architecture is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    Cell(CellSpace),
    Chain(ChainSpace),
}

/// What the network of an architecture may cost; nothing where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    pub flops: Option<u64>,
    pub params: Option<u64>,
    /// Of all tensors that are alive at a time, for one image of 32-bit floats.
    pub memory_bytes: Option<u64>,
}

impl UserSpace {
    /// Reads a file; errors name the line and the field.
    pub fn read(path: impl AsRef<Path>) -> Result<UserSpace, SpaceError> {
        let path = path.as_ref();
        let fail = |why| SpaceError::File { path: path.into(), why };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        UserSpace::from_toml(&text).map_err(fail)
    }

    /// The space that a text describes, or the line and the field that are wrong.
    pub fn from_toml(text: &str) -> Result<UserSpace, String> {
        read::space(text)
    }

    /// The text that [`UserSpace::from_toml`] read.
    pub fn toml(&self) -> &str {
        &self.text.0
    }

    /// Of a name and checked parts, which this text says.
    fn new(name: String, kind: Kind, limits: Limits, text: &str) -> Result<UserSpace, String> {
        let (positions, size, labels) = match &kind {
            Kind::Cell(cell) => (cell.positions(), cell.size(), cell.labels()),
            Kind::Chain(chain) => (chain.positions(), chain.size(), chain.labels()),
        };
        let size = size.ok_or("the space has more than 2^128 architectures")?;
        if labels.len() > 250 {
            return Err(format!("{} kinds of layers and widths, at most 250", labels.len()));
        }
        let text = Text(text.into());
        Ok(UserSpace { name, kind, limits, positions, size, labels, text })
    }

    /// FNV-1a of the choices and the skeleton, as this version of the program spells them.
    pub(crate) fn fingerprint(&self) -> u64 {
        let text = format!("{:?}", self.kind);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    pub(crate) fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(&self.positions, codes)?;
        match &self.kind {
            Kind::Cell(_) => Ok(()),
            Kind::Chain(chain) => chain.check(codes),
        }
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Architecture, SpaceError> {
        let text = text.trim();
        let codes = match &self.kind {
            Kind::Cell(cell) => cell.parse(text),
            Kind::Chain(chain) => chain.parse(text),
        };
        codes.map(Architecture::new).map_err(|why| SpaceError::text(&self.name, text, why))
    }

    pub(crate) fn print(&self, arch: &Architecture) -> String {
        match &self.kind {
            Kind::Cell(cell) => cell.print(arch.codes()),
            Kind::Chain(chain) => chain.print(arch),
        }
    }

    pub(crate) fn at(&self, index: u128) -> Architecture {
        match &self.kind {
            Kind::Cell(_) => independent::at(&self.positions, index),
            Kind::Chain(chain) => chain.at(index),
        }
    }

    pub(crate) fn index_of(&self, arch: &Architecture) -> u128 {
        match &self.kind {
            Kind::Cell(_) => independent::index_of(&self.positions, arch.codes()),
            Kind::Chain(chain) => chain.index_of(arch.codes()),
        }
    }

    pub(crate) fn canonical(&self, arch: &Architecture) -> Architecture {
        match &self.kind {
            Kind::Cell(_) => arch.clone(),
            Kind::Chain(chain) => chain.canonical(arch.codes()),
        }
    }

    pub(crate) fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let all = independent::neighbours(&self.positions, arch.codes());
        // A change of a layer that is left out is undone by making it canonical.
        all.iter().map(|a| self.canonical(a)).filter(|a| a != arch).collect()
    }

    pub(crate) fn live(&self, arch: &Architecture) -> Vec<bool> {
        match &self.kind {
            Kind::Cell(cell) => cell.live(arch),
            Kind::Chain(chain) => chain.live(arch),
        }
    }

    pub(crate) fn max_nodes(&self) -> usize {
        2 + match &self.kind {
            Kind::Cell(cell) => cell.edges.len(),
            Kind::Chain(chain) => chain.stages.iter().map(|s| 1 + s.deepest()).sum(),
        }
    }

    pub(crate) fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        match (&self.kind, view) {
            (Kind::Cell(cell), View::Raw) => cell.graph(arch),
            (Kind::Cell(cell), View::Pruned) => {
                let (none, skip) = cell.none_and_skip();
                cell.graph(arch).pruned(none, skip)
            }
            (Kind::Chain(chain), _) => chain.graph(arch, &self.labels),
        }
    }
}
