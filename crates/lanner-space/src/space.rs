use std::sync::Arc;

use rand::{Rng, RngExt};

use crate::permutation::Permutation;
use crate::user::{Kind, UserSpace};
use crate::{
    Architecture, CellGraph, SpaceError, View, darts, fbnet, independent, mobilenetv3,
    nasbench_macro, nasbench101, nasbench201, transbench101, transbench101_macro,
};

/// A search space. See the crate's documentation for the tour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Space {
    /// NAS-Bench-101 (Ying et al., ICML 2019).
    NasBench101,
    /// NAS-Bench-201 (Dong & Yang, ICLR 2020), the topology space of NATS-Bench.
    NasBench201,
    /// DARTS (Liu et al., ICLR 2019), also that of NAS-Bench-301.
    Darts,
    /// FBNet (Wu et al., CVPR 2019).
    Fbnet,
    /// TransNAS-Bench-101 (Duan et al., CVPR 2021), cells.
    TransBench101Micro,
    /// TransNAS-Bench-101, chains of modules.
    TransBench101Macro,
    /// MobileNetV3 of Once-for-All (Cai et al., ICLR 2020).
    MobileNetV3,
    /// NAS-Bench-Macro (Su et al., CVPR 2021).
    NasBenchMacro,
    /// One that a user defines in a file, see [`crate::user`].
    User(Arc<UserSpace>),
}

impl Space {
    /// The spaces that have a name, in the order of [`Space::NAMES`].
    pub const ALL: [Space; 8] = [
        Space::NasBench101,
        Space::NasBench201,
        Space::Darts,
        Space::Fbnet,
        Space::TransBench101Micro,
        Space::TransBench101Macro,
        Space::MobileNetV3,
        Space::NasBenchMacro,
    ];

    /// The names that [`Space::by_name`] knows.
    pub const NAMES: [&'static str; 8] = [
        nasbench101::NAME,
        nasbench201::NAME,
        darts::NAME,
        fbnet::NAME,
        transbench101::NAME,
        transbench101_macro::NAME,
        mobilenetv3::NAME,
        nasbench_macro::NAME,
    ];

    /// The space of that name, or of a file `….toml` (see [`crate::user`]).
    pub fn by_name(name: &str) -> Result<Space, SpaceError> {
        if name.ends_with(".toml") {
            return Ok(Space::User(Arc::new(UserSpace::read(name)?)));
        }
        match Self::NAMES.iter().position(|&n| n == name) {
            Some(i) => Ok(Self::ALL[i].clone()),
            None => {
                Err(SpaceError::UnknownSpace { name: name.into(), known: Self::NAMES.join(", ") })
            }
        }
    }

    /// The name, as on the command line.
    pub fn name(&self) -> &str {
        match self {
            Space::NasBench101 => nasbench101::NAME,
            Space::NasBench201 => nasbench201::NAME,
            Space::Darts => darts::NAME,
            Space::Fbnet => fbnet::NAME,
            Space::TransBench101Micro => transbench101::NAME,
            Space::TransBench101Macro => transbench101_macro::NAME,
            Space::MobileNetV3 => mobilenetv3::NAME,
            Space::NasBenchMacro => nasbench_macro::NAME,
            Space::User(user) => &user.name,
        }
    }

    /// What tables and models are known by: the name, and of a user's space a fingerprint of what its
    /// file says, without names, comments and limits, so that a changed file is told from the one before.
    pub fn identity(&self) -> String {
        match self {
            Space::User(user) => format!("{} {:016x}", user.name, user.fingerprint()),
            _ => self.name().into(),
        }
    }

    /// How many architectures the space has, which are those that have an index.
    pub fn size(&self) -> u128 {
        match self {
            Space::NasBench101 => nasbench101::SIZE as u128,
            Space::Darts => darts::SIZE,
            Space::TransBench101Macro => transbench101_macro::size(),
            Space::MobileNetV3 => mobilenetv3::SIZE,
            Space::User(user) => user.size,
            _ => independent::size(self.positions()),
        }
    }

    /// How many different ones [`Space::canonical`] leaves.
    pub fn distinct(&self) -> u128 {
        match self {
            Space::NasBench201 => nasbench201::CLASSES,
            Space::Darts => darts::distinct(),
            _ => self.size(),
        }
    }

    /// The number of values at each position of [`Space::aligned`].
    pub fn positions(&self) -> &[u8] {
        match self {
            Space::NasBench101 => &nasbench101::POSITIONS,
            Space::NasBench201 => &nasbench201::CHOICES,
            Space::Darts => &darts::POSITIONS,
            Space::Fbnet => &fbnet::CHOICES,
            Space::TransBench101Micro => &transbench101::CHOICES,
            Space::TransBench101Macro => &transbench101_macro::POSITIONS,
            Space::MobileNetV3 => &mobilenetv3::POSITIONS,
            Space::NasBenchMacro => &nasbench_macro::CHOICES,
            Space::User(user) => &user.positions,
        }
    }

    /// The choices of an architecture at positions that mean the same for all architectures, as
    /// encodings need them; `None` where an architecture has nothing to choose.
    ///
    /// These are the codes, except where those are of different lengths.
    pub fn aligned(&self, arch: &Architecture) -> Vec<Option<u8>> {
        if let Space::NasBench101 = self {
            return nasbench101::aligned(arch);
        }
        let mut values: Vec<Option<u8>> = arch.codes().iter().map(|&c| Some(c)).collect();
        values.resize(self.positions().len(), None);
        values
    }

    /// The number of choices at each position of the codes, where every combination is an
    /// architecture; `None` where the choices depend on each other.
    pub fn choices(&self) -> Option<&[u8]> {
        match self {
            Space::NasBench101 | Space::Darts | Space::TransBench101Macro | Space::MobileNetV3 => {
                None
            }
            Space::User(user) if matches!(user.kind, Kind::Chain(_)) => None,
            _ => Some(self.positions()),
        }
    }

    /// The most codes that an architecture has.
    pub fn max_codes(&self) -> usize {
        match self {
            Space::NasBench101 => nasbench101::MAX_CODES,
            _ => self.positions().len(),
        }
    }

    /// Tells whether the codes belong to the space, and if not, which one is wrong.
    pub fn check(&self, arch: &Architecture) -> Result<(), SpaceError> {
        let codes = arch.codes();
        let found = match self {
            Space::NasBench101 => nasbench101::check(codes),
            Space::Darts => darts::check(codes),
            Space::TransBench101Macro => transbench101_macro::check(codes),
            Space::MobileNetV3 => mobilenetv3::check(codes),
            Space::User(user) => user.check(codes),
            _ => independent::check(self.positions(), codes),
        };
        found.map_err(|why| SpaceError::Codes {
            space: self.name().into(),
            codes: codes.to_vec(),
            why,
        })
    }

    /// Reads an architecture from its community's text form (and the short forms that the space's
    /// module documents).
    pub fn parse(&self, text: &str) -> Result<Architecture, SpaceError> {
        match self {
            Space::NasBench101 => nasbench101::parse(text),
            Space::NasBench201 => nasbench201::parse(text),
            Space::Darts => darts::parse(text),
            Space::Fbnet => fbnet::parse(text),
            Space::TransBench101Micro => transbench101::parse(text),
            Space::TransBench101Macro => transbench101_macro::parse(text),
            Space::MobileNetV3 => mobilenetv3::parse(text),
            Space::NasBenchMacro => independent::parse(self.name(), text, self.positions()),
            Space::User(user) => user.parse(text),
        }
    }

    /// The text form. `parse(print(a)) == a` for every architecture of the space.
    ///
    /// # Panics
    /// When the codes are not of this space (see [`Space::check`]).
    pub fn print(&self, arch: &Architecture) -> String {
        match self {
            Space::NasBench101 => nasbench101::print(arch),
            Space::NasBench201 => nasbench201::print(arch),
            Space::Darts => darts::print(arch),
            Space::TransBench101Micro => transbench101::print(arch),
            Space::TransBench101Macro => transbench101_macro::print(arch),
            Space::MobileNetV3 => mobilenetv3::print(arch),
            Space::Fbnet | Space::NasBenchMacro => independent::digits(arch.codes()),
            Space::User(user) => user.print(arch),
        }
    }

    /// The architecture of an index: the published order where there is one, else the one that the
    /// space's module documents.
    pub fn at(&self, index: u128) -> Result<Architecture, SpaceError> {
        if index >= self.size() {
            return Err(SpaceError::Index {
                space: self.name().into(),
                last: (self.size() - 1).to_string(),
                index: index.to_string(),
            });
        }
        Ok(match self {
            Space::NasBench101 => nasbench101::at(index as usize),
            Space::NasBench201 => nasbench201::at(index as usize),
            Space::Darts => darts::at(index),
            Space::MobileNetV3 => mobilenetv3::at(index),
            Space::User(user) => user.at(index),
            Space::TransBench101Macro => transbench101_macro::at(index as usize),
            _ => independent::at(self.positions(), index),
        })
    }

    /// The index of an architecture: the inverse of [`Space::at`]. `None` for one that a table may
    /// hold but the space does not count.
    ///
    /// # Panics
    /// When the codes are not of this space (see [`Space::check`]).
    pub fn index_of(&self, arch: &Architecture) -> Option<u128> {
        match self {
            Space::NasBench101 => nasbench101::index_of(arch),
            Space::NasBench201 => Some(nasbench201::index_of(arch) as u128),
            Space::Darts => darts::index_of(arch),
            Space::MobileNetV3 => Some(mobilenetv3::index_of(arch)),
            Space::User(user) => Some(user.index_of(arch)),
            Space::TransBench101Macro => transbench101_macro::index_of(arch),
            _ => Some(independent::index_of(self.positions(), arch.codes())),
        }
    }

    /// Every architecture once, in index order. A space of 10^18 points never ends.
    pub fn iter(&self) -> impl Iterator<Item = Architecture> + '_ {
        (0..self.size()).map(|i| self.at(i).expect("index below size"))
    }

    /// All of them in index order, as long as they fit in memory (at most 10 million).
    pub fn list(&self) -> Result<Vec<Architecture>, SpaceError> {
        match self.size() {
            0..=10_000_000 => Ok(self.iter().collect()),
            size => Err(SpaceError::TooMany { space: self.name().into(), size: size.to_string() }),
        }
    }

    /// An architecture drawn uniformly: of NAS-Bench-201 among all with an index, of the others
    /// among the distinct ones.
    pub fn sample(&self, rng: &mut impl Rng) -> Architecture {
        if let Some(choices) = self.choices() {
            return independent::sample(choices, rng);
        }
        let candidates = self.candidates();
        loop {
            if let Some(arch) = self.candidate(rng.random_range(0..candidates)) {
                return arch;
            }
        }
    }

    /// Every architecture that [`Space::sample`] can draw once, in an order that the generator
    /// decides, without a list in memory: the first n are a uniform sample without replacement.
    pub fn shuffled<R: Rng>(&self, rng: &mut R) -> impl Iterator<Item = Architecture> + use<'_, R> {
        let shuffle = self.shuffle(rng);
        (0..shuffle.len()).filter_map(move |place| shuffle.at(place))
    }

    /// The order of [`Space::shuffled`], of which several threads can take parts.
    pub fn shuffle(&self, rng: &mut impl Rng) -> Shuffle<'_> {
        Shuffle { space: self, order: Permutation::new(self.candidates(), rng) }
    }

    /// How many numbers [`Space::candidate`] takes.
    fn candidates(&self) -> u128 {
        match self {
            Space::Darts => darts::candidates(),
            _ => self.size(),
        }
    }

    /// An architecture by a number, in some order, or nothing: each that can be drawn once.
    fn candidate(&self, number: u128) -> Option<Architecture> {
        match self {
            Space::Darts => darts::candidate(number),
            _ => self.at(number).ok(),
        }
    }

    /// Another architecture, one step away: uniformly among [`Space::neighbours`] or, where choices
    /// are independent, among the positions and then among what is left to choose there.
    pub fn mutate(&self, arch: &Architecture, rng: &mut impl Rng) -> Architecture {
        if let Some(choices) = self.choices() {
            return independent::mutate(choices, arch.codes(), rng);
        }
        let mut all = self.neighbours(arch);
        match all.len() {
            0 => arch.clone(),
            n => all.swap_remove(rng.random_range(0..n)),
        }
    }

    /// All architectures one step away: that differ in exactly one choice, or as the space's module
    /// says where choices depend on each other.
    pub fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        match self {
            Space::NasBench101 => nasbench101::neighbours(arch),
            Space::Darts => darts::neighbours(arch),
            Space::TransBench101Macro => transbench101_macro::neighbours(arch),
            Space::MobileNetV3 => mobilenetv3::neighbours(arch),
            Space::User(user) => user.neighbours(arch),
            _ => independent::neighbours(self.positions(), arch.codes()),
        }
    }

    /// One of all architectures that the space's authors count as the same, always the same one.
    /// Also of codes that [`Space::check`] refuses because they are not the way to store a cell.
    pub fn canonical(&self, arch: &Architecture) -> Architecture {
        match self {
            Space::NasBench101 => nasbench101::canonical(arch),
            Space::NasBench201 => nasbench201::canonical(arch),
            Space::Darts => darts::canonical(arch),
            Space::MobileNetV3 => mobilenetv3::canonical(arch),
            Space::User(user) => user.canonical(arch),
            _ => arch.clone(),
        }
    }

    /// Which choices take part in what the network computes, one answer a position of
    /// [`Space::aligned`]. Identities do.
    pub fn live(&self, arch: &Architecture) -> Vec<bool> {
        match self {
            Space::NasBench201 | Space::TransBench101Micro => nasbench201::live(arch),
            Space::Darts => darts::live(arch),
            Space::MobileNetV3 => mobilenetv3::live(arch),
            Space::User(user) => user.live(arch),
            _ => self.aligned(arch).iter().map(Option::is_some).collect(),
        }
    }

    /// FLOPs and parameters in millions of the published CIFAR-10 network, where a formula for all
    /// of the space is known: NAS-Bench-201. For the others, build the network and ask its cost.
    ///
    /// The tables' convention: multiply-accumulates of convolutions, 2 a value of batch norm, 1 of
    /// ReLU, k² of pooling; dead operations count too (lanner-network derives it layer by layer).
    pub fn flops_and_params(&self, arch: &Architecture) -> Option<(f64, f64)> {
        match self {
            Space::NasBench201 => Some(nasbench201::flops_and_params(arch)),
            _ => None,
        }
    }

    /// What the node labels of this space's graphs stand for, by code.
    pub fn labels(&self) -> Vec<&str> {
        let labels: &[&'static str] = match self {
            Space::NasBench101 => &nasbench101::LABELS,
            Space::NasBench201 => &nasbench201::LABELS,
            Space::Darts => &darts::LABELS,
            Space::Fbnet => &fbnet::LABELS,
            Space::TransBench101Micro => &transbench101::LABELS,
            Space::TransBench101Macro => &transbench101_macro::LABELS,
            Space::MobileNetV3 => &mobilenetv3::LABELS,
            Space::NasBenchMacro => &nasbench_macro::LABELS,
            Space::User(user) => return user.labels.iter().map(String::as_str).collect(),
        };
        labels.to_vec()
    }

    /// The most nodes that a graph of this space has.
    pub fn max_nodes(&self) -> usize {
        match self {
            Space::NasBench101 => nasbench101::MAX_VERTICES,
            Space::Darts => darts::MAX_NODES,
            Space::MobileNetV3 => mobilenetv3::LAYERS + 2,
            Space::User(user) => user.max_nodes(),
            _ => self.positions().len() + 2,
        }
    }

    /// The architecture as a labelled acyclic graph with operations as nodes.
    pub fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        let raw = match self {
            Space::NasBench101 => nasbench101::graph(arch),
            Space::NasBench201 => nasbench201::graph(arch),
            Space::Darts => darts::graph(arch),
            Space::Fbnet => fbnet::graph(arch),
            Space::TransBench101Micro => transbench101::graph(arch),
            Space::TransBench101Macro => transbench101_macro::graph(arch),
            Space::MobileNetV3 => mobilenetv3::graph(arch),
            Space::NasBenchMacro => nasbench_macro::graph(arch),
            Space::User(user) => return user.graph(arch, view),
        };
        match (self, view) {
            (Space::NasBench201 | Space::TransBench101Micro, View::Pruned) => {
                raw.pruned(nasbench201::NONE, nasbench201::SKIP)
            }
            (Space::Darts, View::Pruned) => raw.pruned(darts::NONE, darts::SKIP),
            // Chains have nothing dead, and nothing that could go without shifting the rest.
            _ => raw,
        }
    }
}

/// All architectures of a space in a random order, see [`Space::shuffle`].
#[derive(Debug, Clone)]
pub struct Shuffle<'a> {
    space: &'a Space,
    order: Permutation,
}

impl Shuffle<'_> {
    /// The number of places, of which some may be empty.
    pub fn len(&self) -> u128 {
        self.space.candidates()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What stands at a place below [`Shuffle::len`], if anything: each architecture once.
    pub fn at(&self, place: u128) -> Option<Architecture> {
        self.space.candidate(self.order.at(place))
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
