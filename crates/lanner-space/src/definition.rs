//! Definitions of spaces as data.

use std::borrow::Cow;

use crate::family::{CellSpace, ChainSpace, Family};
use crate::{Architecture, SpaceError};

/// A space as data: its family with its sizes, and what its authors publish beside it.
///
/// ```
/// use lanner_space::family::{CellSkeleton, CellSpace};
/// use lanner_space::{Definition, Space};
///
/// let skeleton = CellSkeleton { resolution: 32, classes: 10, channels: 8, stages: 2, cells: 1 };
/// let cell = CellSpace::complete(3, &["none", "skip_connect", "nor_conv_3x3"], skeleton);
/// let space = Space::define(Definition::of_cell("doc-cell", cell))?;
/// assert_eq!(space.size(), 27);
/// assert_eq!(Space::by_name("doc-cell")?, space);
/// # Ok::<(), lanner_space::SpaceError>(())
/// ```
#[derive(Debug)]
pub struct Definition {
    pub name: Cow<'static, str>,
    pub family: Box<dyn Family>,
    /// Sizes of the published network.
    pub sizes: Sizes,
    pub few_cells: FewCells,
    /// The community's text form, unless it is the family's.
    pub text: Option<Text>,
    /// The published numbers of architectures, unless they are in the family's order.
    pub order: Option<Order>,
    /// The authors' notion of equality, unless it is the family's.
    pub classes: Option<Classes>,
    /// See [`crate::Space::flops_and_params`].
    pub flops_and_params: Option<Costs>,
    /// See [`crate::Space::relative_costs`].
    pub relative_costs: Option<Costs>,
    /// See [`crate::Space::details`].
    pub details: Option<Details>,
    /// See [`crate::Space::proxy_weights`].
    pub proxy_weights: Option<FanOut>,
    /// See [`crate::Space::repeats_rows`].
    pub repeats_rows: bool,
    /// See [`crate::Space::has_known_program`].
    pub known_program: bool,
    /// See [`crate::Space::has_uniform_layers`].
    pub uniform_layers: bool,
    pub limits: Limits,
}

/// Tells two costs of an architecture.
pub type Costs = fn(&Architecture) -> (f64, f64);
/// Tells facts about an architecture by name, for people.
pub type Details = fn(&Architecture) -> Vec<(&'static str, String)>;

/// A text form of architectures.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    pub parse: fn(&str) -> Result<Architecture, SpaceError>,
    pub print: fn(&Architecture) -> String,
}

/// A published numbering.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub at: fn(u128) -> Architecture,
    pub index_of: fn(&Architecture) -> u128,
}

/// Classes of architectures that count as the same.
#[derive(Debug, Clone, Copy)]
pub struct Classes {
    pub count: u128,
    pub canonical: fn(&Architecture) -> Architecture,
}

/// Sizes of a published network, see `lanner_network::Skeleton`; 0 where a space has no such size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub channels: usize,
    pub cells: usize,
    pub resolution: usize,
    pub classes: usize,
}

/// Sizes of networks that are smaller than the published one, as numbers of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FewCells {
    /// Smallest number with a cell of each kind.
    pub trained: usize,
    /// Smallest number whose accuracy depends on the cells rather than on the layers around them.
    pub searched: usize,
    /// Number that suffices for ratios of costs.
    pub costed: usize,
}

impl Default for FewCells {
    fn default() -> FewCells {
        FewCells { trained: 1, searched: 1, costed: 1 }
    }
}

/// Initial weights scaled by the fan-out (He et al. 2015), for `lanner_evaluate`'s proxies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FanOut {
    /// Standard deviation in linear layers; `None` for PyTorch's default.
    pub linear: Option<f32>,
}

/// Limits on the cost of an architecture's network; `None` stands for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    pub flops: Option<u64>,
    pub params: Option<u64>,
    /// Bytes of all tensors that are alive at the same time, for one image of 32-bit floats.
    pub memory_bytes: Option<u64>,
}

impl Limits {
    /// Returns the limited metrics, each with its largest value.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let all =
            [("params", self.params), ("flops", self.flops), ("memory_bytes", self.memory_bytes)];
        all.into_iter().filter_map(|(name, most)| Some((name, most?))).collect()
    }
}

impl Definition {
    /// Defines a space of a family, with nothing published except its network.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        family: impl Family + 'static,
        sizes: Sizes,
    ) -> Definition {
        Definition {
            name: name.into(),
            family: Box::new(family),
            sizes,
            few_cells: FewCells::default(),
            text: None,
            order: None,
            classes: None,
            flops_and_params: None,
            relative_costs: None,
            details: None,
            proxy_weights: None,
            repeats_rows: false,
            known_program: false,
            uniform_layers: false,
            limits: Limits::default(),
        }
    }

    /// Defines a space of cells with the network of their skeleton.
    pub fn of_cell(name: impl Into<Cow<'static, str>>, cell: CellSpace) -> Definition {
        let s = cell.skeleton;
        let sizes = Sizes {
            channels: s.channels.into(),
            cells: s.cells.into(),
            resolution: s.resolution.into(),
            classes: s.classes as usize,
        };
        Definition::new(name, cell, sizes)
    }

    /// Defines a space of chains with the network of their skeleton.
    pub fn of_chain(name: impl Into<Cow<'static, str>>, chain: ChainSpace) -> Definition {
        let s = chain.skeleton;
        let sizes = Sizes {
            channels: s.stem.into(),
            cells: 0,
            // 0 where it is chosen, or is no square.
            resolution: match chain.resolutions.is_empty() && s.width == 0 {
                true => s.resolution.into(),
                false => 0,
            },
            classes: s.classes as usize,
        };
        Definition::new(name, chain, sizes)
    }

    /// Says why the definition is not a space.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if self.name.is_empty() {
            return Err("a space needs a name".into());
        }
        if !self.name.chars().all(fits) {
            let name = &self.name;
            return Err(format!("'{name}' has other characters than a-z, 0-9, -, _ and ."));
        }
        match self.family.size() {
            None => return Err("the space has more than 2^128 architectures".into()),
            Some(0) => return Err("the space has no architecture".into()),
            Some(_) => {}
        }
        match self.family.labels().len() {
            ..=250 => Ok(()),
            n => Err(format!("{n} kinds of layers and widths, at most 250")),
        }
    }
}
