//! Search spaces of neural architectures.
//!
//! A [`Space`] is a set of architectures; an [`Architecture`] is one point of it, held as a short
//! string of small integer codes whose meaning is the space's own. Start from a name and a text:
//!
//! ```
//! use lanner_space::{Space, View};
//! let space = Space::by_name("nasbench201")?;
//! assert_eq!(space.size(), 15_625);
//! let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
//! let arch = space.parse(text)?;
//! assert_eq!(space.print(&arch), text);
//! // The cell as the runtime sees it: dead operations gone, skips bypassed.
//! let cell = space.graph(&arch, View::Pruned);
//! assert_eq!(cell.len(), 5); // input, two convolutions, one pooling, output
//! # Ok::<(), lanner_space::SpaceError>(())
//! ```
//!
//! **Equality.** [`Space::canonical`] gives the space's published notion of equality (6,466 classes
//! for NAS-Bench-201). [`CellGraph::canonical`] compares pruned graphs up to isomorphism, and is the
//! right key where only the computation counts (latency).
//!
//! **Large spaces.** [`Space::size`] is a `u128`; [`Space::index_of`] and [`Space::at`] number the
//! points without listing them, so that sampling and ranking can stream; [`Space::shuffled`] draws
//! without replacement. Every random choice takes the caller's generator: one seed gives one result.
//!
//! **Codes.** Most spaces are a fixed number of independent choices ([`Space::choices`]); in others
//! the codes depend on each other or differ in number. [`Space::aligned`] has the choices of any
//! architecture at fixed positions, for encodings. Methods return `None` where a space has no answer.
//!
//! **Your own.** A TOML file defines a cell, a chain or [`Parameters`], see [`user`]; [`Space::by_name`]
//! takes its path, and [`Space::of_parameters`] what a program declares.
//!
//! **Families.** A space is data, a [`Definition`]: a member of one of a few [families](family), with
//! the sizes of its network and what its authors publish beside it. Programs [define](Space::define)
//! their own in the same way; a published one is a file of this crate and a line in [`Space::ALL`].

#![forbid(unsafe_code)]

mod architecture;
mod architectures;
pub mod darts;
mod definition;
mod error;
pub mod family;
pub mod fbnet;
mod graph;
pub mod hat;
pub mod hw_gpt;
mod independent;
mod literal;
pub mod mobilenetv3;
mod mt19937;
pub mod nasbench101;
pub mod nasbench201;
pub mod nasbench_macro;
pub mod natsbench_size;
mod parameters;
mod permutation;
mod space;
pub mod text;
pub mod transbench101;
pub mod transbench101_macro;
pub mod user;
pub mod vision_transformers;

pub use architecture::Architecture;
pub use architectures::Shuffle;
pub use definition::{
    Classes, Costs, Definition, Details, FanOut, FewCells, Limits, Order, Sizes, Text,
};
pub use error::SpaceError;
pub use graph::{CellGraph, View};
pub use parameters::{Parameter, Parameters, Value, Values};
pub use space::Space;

/// Largest size of spaces that are encoded, compared and listed as a whole; a random sample stands for
/// a larger one. NAS-Bench-201 has 15,625 architectures, NAS-Bench-101 423,624.
pub const SMALL_SPACE: u128 = 20_000;
