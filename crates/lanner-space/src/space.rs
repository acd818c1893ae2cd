use rand::{Rng, RngExt};

use crate::{Architecture, CellGraph, SpaceError, View, nasbench201};

/// A search space. See the crate's documentation for the tour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Space {
    /// NAS-Bench-201 (Dong & Yang, ICLR 2020), the topology space of NATS-Bench.
    NasBench201,
}

impl Space {
    /// The names that [`Space::by_name`] knows.
    pub const NAMES: [&'static str; 1] = [nasbench201::NAME];

    /// The space of that name.
    pub fn by_name(name: &str) -> Result<Space, SpaceError> {
        match name {
            nasbench201::NAME => Ok(Space::NasBench201),
            _ => Err(SpaceError::UnknownSpace { name: name.into(), known: Self::NAMES.join(", ") }),
        }
    }

    /// The name, as on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Space::NasBench201 => nasbench201::NAME,
        }
    }

    /// How many architectures the space has.
    pub fn size(&self) -> u128 {
        match self {
            Space::NasBench201 => nasbench201::SIZE as u128,
        }
    }

    /// The number of choices at each position of an architecture's codes.
    pub fn choices(&self) -> Vec<u8> {
        match self {
            Space::NasBench201 => vec![nasbench201::OPS.len() as u8; nasbench201::EDGES.len()],
        }
    }

    /// Tells whether the codes belong to the space, and if not, which one is wrong.
    pub fn check(&self, arch: &Architecture) -> Result<(), SpaceError> {
        let (codes, choices) = (arch.codes(), self.choices());
        let why = if codes.len() != choices.len() {
            format!("expected {} codes, got {}", choices.len(), codes.len())
        } else if let Some(i) = (0..codes.len()).find(|&i| codes[i] >= choices[i]) {
            format!("code {} at position {i} is not below {}", codes[i], choices[i])
        } else {
            return Ok(());
        };
        Err(SpaceError::Codes { space: self.name(), codes: codes.to_vec(), why })
    }

    /// Reads an architecture from its community's text form (and the short forms that the space's
    /// module documents).
    pub fn parse(&self, text: &str) -> Result<Architecture, SpaceError> {
        match self {
            Space::NasBench201 => nasbench201::parse(text),
        }
    }

    /// The text form. `parse(print(a)) == a` for every architecture of the space.
    ///
    /// # Panics
    /// When the codes are not of this space (see [`Space::check`]).
    pub fn print(&self, arch: &Architecture) -> String {
        match self {
            Space::NasBench201 => nasbench201::print(arch),
        }
    }

    /// The architecture of an index: the published order where there is one.
    pub fn at(&self, index: u128) -> Result<Architecture, SpaceError> {
        if index >= self.size() {
            return Err(SpaceError::Index { space: self.name(), size: self.size(), index });
        }
        match self {
            Space::NasBench201 => Ok(nasbench201::at(index as usize)),
        }
    }

    /// The index of an architecture: the inverse of [`Space::at`].
    ///
    /// # Panics
    /// When the codes are not of this space (see [`Space::check`]).
    pub fn index_of(&self, arch: &Architecture) -> u128 {
        match self {
            Space::NasBench201 => nasbench201::index_of(arch) as u128,
        }
    }

    /// Every architecture once, in index order. A space of 10^18 points never ends.
    pub fn iter(&self) -> impl Iterator<Item = Architecture> + '_ {
        (0..self.size()).map(|i| self.at(i).expect("index below size"))
    }

    /// An architecture drawn uniformly.
    pub fn sample(&self, rng: &mut impl Rng) -> Architecture {
        match self {
            Space::NasBench201 => Architecture::new(
                self.choices().iter().map(|&n| rng.random_range(0..n)).collect::<Vec<_>>(),
            ),
        }
    }

    /// The architecture with exactly one choice changed, uniformly among all such neighbours.
    pub fn mutate(&self, arch: &Architecture, rng: &mut impl Rng) -> Architecture {
        match self {
            Space::NasBench201 => {
                let choices = self.choices();
                let mut codes = arch.codes().to_vec();
                let i = rng.random_range(0..codes.len());
                let step = rng.random_range(1..choices[i]);
                codes[i] = (codes[i] + step) % choices[i];
                Architecture::new(codes)
            }
        }
    }

    /// All architectures that differ in exactly one choice.
    pub fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        match self {
            Space::NasBench201 => {
                let mut all = Vec::new();
                for (i, &n) in self.choices().iter().enumerate() {
                    for code in (0..n).filter(|&c| c != arch.codes()[i]) {
                        let mut codes = arch.codes().to_vec();
                        codes[i] = code;
                        all.push(Architecture::new(codes));
                    }
                }
                all
            }
        }
    }

    /// A text that two architectures share exactly if the space's authors count them as one.
    pub fn canonical(&self, arch: &Architecture) -> String {
        match self {
            Space::NasBench201 => nasbench201::canonical(arch),
        }
    }

    /// Which choices take part in what the network computes, one answer a code. Identities do.
    pub fn live(&self, arch: &Architecture) -> Vec<bool> {
        match self {
            Space::NasBench201 => nasbench201::live(arch),
        }
    }

    /// FLOPs and parameters in millions, of the published CIFAR-10 network.
    ///
    /// The tables' convention: multiply-accumulates of convolutions, 2 a value of batch norm, 1 of
    /// ReLU, k² of pooling; dead operations count too (lanner-network derives it layer by layer).
    pub fn flops_and_params(&self, arch: &Architecture) -> (f64, f64) {
        match self {
            Space::NasBench201 => nasbench201::flops_and_params(arch),
        }
    }

    /// What the node labels of this space's graphs stand for, by code.
    pub fn labels(&self) -> &'static [&'static str] {
        match self {
            Space::NasBench201 => &nasbench201::LABELS,
        }
    }

    /// The most nodes that a graph of this space has.
    pub fn max_nodes(&self) -> usize {
        match self {
            Space::NasBench201 => nasbench201::NODES,
        }
    }

    /// The cell as a labelled acyclic graph with operations as nodes.
    pub fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        let raw = match self {
            Space::NasBench201 => nasbench201::raw_graph(arch),
        };
        match view {
            View::Raw => raw,
            View::Pruned => raw.pruned(nasbench201::NONE, nasbench201::SKIP),
        }
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
