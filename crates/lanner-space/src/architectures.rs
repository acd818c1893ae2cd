//! Methods for the architectures of a space: texts, indices, samples, neighbours, graphs.

use std::collections::HashSet;

use rand::{Rng, RngExt};

use crate::family::{CellSpace, ChainSpace, ParameterSpace, StageSpace};
use crate::permutation::Permutation;
use crate::{Architecture, CellGraph, Space, SpaceError, View, independent};

const CHECKED: &str = "checked when the space was defined";
/// Number of draws without a new architecture after which [`Space::shuffled`] ends.
const DRAWN_AGAIN: usize = 10_000;

impl Space {
    /// Returns the number of architectures with an index; the largest number where
    /// [`Space::is_counted`] says that they are too many to have one.
    pub fn size(&self) -> u128 {
        self.family().size().expect(CHECKED)
    }

    /// Tells whether architectures are counted and have an index. Those of a space with parameters of any
    /// real number are not.
    pub fn is_counted(&self) -> bool {
        self.family().is_counted()
    }

    /// Returns the number of different architectures that [`Space::canonical`] leaves.
    pub fn distinct(&self) -> u128 {
        match self.definition().classes {
            Some(classes) => classes.count,
            None => self.family().distinct().expect(CHECKED),
        }
    }

    /// Returns the number of values at each position of [`Space::aligned`].
    pub fn positions(&self) -> &[u8] {
        self.family().positions()
    }

    /// Returns the choices of an architecture at positions that mean the same for all architectures,
    /// as encodings need them; `None` where an architecture has nothing to choose.
    ///
    /// These are the codes, unless those have different lengths.
    pub fn aligned(&self, arch: &Architecture) -> Vec<Option<u8>> {
        self.family().aligned(arch)
    }

    /// Returns the number of choices at each position of the codes if every combination is an
    /// architecture; `None` if the choices depend on each other.
    pub fn choices(&self) -> Option<&[u8]> {
        self.family().choices()
    }

    /// Returns the largest number of codes of an architecture.
    pub fn max_codes(&self) -> usize {
        self.family().max_codes()
    }

    /// Checks that the codes belong to the space; an error tells which one is wrong.
    pub fn check(&self, arch: &Architecture) -> Result<(), SpaceError> {
        self.family().check(arch.codes()).map_err(|why| self.wrong(arch, why))
    }

    /// Checks as [`Space::check`], but accepts codes in another order than the stored one: vertices of
    /// NAS-Bench-101 with other numbers, whose networks differ in the channels of the vertices.
    pub fn check_unordered(&self, arch: &Architecture) -> Result<(), SpaceError> {
        self.family().check_unordered(arch.codes()).map_err(|why| self.wrong(arch, why))
    }

    fn wrong(&self, arch: &Architecture, why: String) -> SpaceError {
        SpaceError::Codes { space: self.name().into(), codes: arch.codes().to_vec(), why }
    }

    /// Reads an architecture from its community's text form (and the short forms that the space's
    /// module documents).
    pub fn parse(&self, text: &str) -> Result<Architecture, SpaceError> {
        match self.definition().text {
            Some(own) => (own.parse)(text),
            None => self.family().parse(self.name(), text),
        }
    }

    /// Prints the text form. `parse(print(a)) == a` for every architecture of the space.
    ///
    /// # Panics
    /// When the codes are not of this space (see [`Space::check`]).
    pub fn print(&self, arch: &Architecture) -> String {
        match self.definition().text {
            Some(own) => (own.print)(arch),
            None => self.family().print(arch),
        }
    }

    /// Returns the architecture with an index, in the published order if there is one, else in the
    /// order that the space's module documents.
    pub fn at(&self, index: u128) -> Result<Architecture, SpaceError> {
        if !self.is_counted() {
            return Err(SpaceError::Uncounted { space: self.name().into() });
        }
        if index >= self.size() {
            return Err(SpaceError::Index {
                space: self.name().into(),
                last: (self.size() - 1).to_string(),
                index: index.to_string(),
            });
        }
        Ok(match self.definition().order {
            Some(order) => (order.at)(index),
            None => self.family().at(index),
        })
    }

    /// Returns the index of an architecture, the inverse of [`Space::at`]. `None` for one that a table
    /// may hold but the space does not count.
    ///
    /// # Panics
    /// When the codes are not of this space (see [`Space::check`]).
    pub fn index_of(&self, arch: &Architecture) -> Option<u128> {
        match self.definition().order {
            Some(order) => Some((order.index_of)(arch)),
            None => self.family().index_of(arch),
        }
    }

    /// Tells whether indices are a published order, which files of others mean by an index.
    pub fn has_published_order(&self) -> bool {
        self.definition().order.is_some()
    }

    /// Iterates over every architecture once, in index order. For a space of 10^18 points it never
    /// ends; one that is not [counted](Space::is_counted) has none to iterate over.
    pub fn iter(&self) -> impl Iterator<Item = Architecture> + '_ {
        (0..self.size()).map_while(|i| self.at(i).ok())
    }

    /// Lists every architecture in index order, if they fit in memory (at most 10 million).
    pub fn list(&self) -> Result<Vec<Architecture>, SpaceError> {
        match self.size() {
            _ if !self.is_counted() => Err(SpaceError::Uncounted { space: self.name().into() }),
            0..=10_000_000 => Ok(self.iter().collect()),
            size => Err(SpaceError::TooMany { space: self.name().into(), size: size.to_string() }),
        }
    }

    /// Draws an architecture uniformly: for NAS-Bench-201 among all with an index, for other spaces
    /// among the distinct ones, in a space of parameters the value of each one that exists.
    pub fn sample(&self, rng: &mut impl Rng) -> Architecture {
        if let Some(arch) = self.family().drawn(rng) {
            return arch;
        }
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

    /// Returns every architecture that [`Space::sample`] can draw, once, in an order that the
    /// generator decides, without a list in memory: the first n are a uniform sample without
    /// replacement. In a space that is not [counted](Space::is_counted), they are draws as those of
    /// [`Space::sample`], which are remembered so that none comes twice.
    pub fn shuffled<R: Rng>(&self, rng: &mut R) -> impl Iterator<Item = Architecture> + use<'_, R> {
        let shuffle = self.shuffle(rng);
        let counted = self.is_counted();
        let (mut seen, mut known) = (HashSet::new(), 0);
        (0..shuffle.len())
            .filter_map(move |place| shuffle.at(place))
            .map(move |arch| {
                let new = counted || seen.insert(arch.clone());
                known = if new { 0 } else { known + 1 };
                (new, known, arch)
            })
            // Conditions that are hardly ever met may leave few architectures that can be drawn.
            .take_while(|(_, known, _)| *known < DRAWN_AGAIN)
            .filter_map(|(new, _, arch)| new.then_some(arch))
    }

    /// Returns the order of [`Space::shuffled`], of which several threads can take parts.
    pub fn shuffle(&self, rng: &mut impl Rng) -> Shuffle<'_> {
        Shuffle { space: self, order: Permutation::new(self.candidates(), rng) }
    }

    /// Returns how many numbers [`Space::candidate`] takes.
    fn candidates(&self) -> u128 {
        self.family().candidates().expect(CHECKED)
    }

    /// Returns the architecture of a number, or `None` for some numbers; each architecture that can be
    /// drawn has one number.
    fn candidate(&self, number: u128) -> Option<Architecture> {
        match self.definition().order {
            Some(order) => Some((order.at)(number)),
            None => self.family().candidate(number),
        }
    }

    /// Returns another architecture, one step away: uniformly drawn among [`Space::neighbours`] or,
    /// where choices are independent, among the positions and then among the other choices there.
    pub fn mutate(&self, arch: &Architecture, rng: &mut impl Rng) -> Architecture {
        if let Some(arch) = self.family().mutated(arch, rng) {
            return arch;
        }
        if let Some(choices) = self.choices() {
            return independent::mutate(choices, arch.codes(), rng);
        }
        let mut all = self.neighbours(arch);
        match all.len() {
            0 => arch.clone(),
            n => all.swap_remove(rng.random_range(0..n)),
        }
    }

    /// Returns the architectures one step away: they differ in exactly one choice or, where choices
    /// depend on each other, in what the space's family says.
    pub fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        self.family().neighbours(arch)
    }

    /// Returns the one architecture that stands for all that the space's authors count as the same.
    /// Accepts also codes that [`Space::check`] refuses because a cell is stored otherwise.
    pub fn canonical(&self, arch: &Architecture) -> Architecture {
        match self.definition().classes {
            Some(classes) => (classes.canonical)(arch),
            None => self.family().canonical(arch),
        }
    }

    /// Tells which choices take part in the network's computation, one answer a position of
    /// [`Space::aligned`]. Identities do.
    pub fn live(&self, arch: &Architecture) -> Vec<bool> {
        self.family().live(arch)
    }

    /// Returns the meaning of the node labels of this space's graphs, by code.
    pub fn labels(&self) -> Vec<&str> {
        self.family().labels()
    }

    /// Returns the largest number of nodes of a graph of this space.
    pub fn max_nodes(&self) -> usize {
        self.family().max_nodes()
    }

    /// Returns the architecture as a labelled acyclic graph with operations as nodes.
    pub fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        self.family().graph(arch, view)
    }

    /// Returns the cell, if architectures have an operation on each edge of one. Only in these spaces
    /// can a text have operations that lead nowhere.
    pub fn cell(&self) -> Option<&CellSpace> {
        self.family().cell()
    }

    /// Returns the stages, if architectures have a width and a depth in each.
    pub fn chain(&self) -> Option<&ChainSpace> {
        self.family().chain()
    }

    /// Returns the parameters, if architectures are their values. Such a space has no network of its own.
    pub fn parameters(&self) -> Option<&ParameterSpace> {
        self.family().parameters()
    }

    /// Returns the stages of layers, in spaces of transformers.
    pub fn stages(&self) -> Option<&StageSpace> {
        self.family().stages()
    }
}

/// Random order of a space's architectures, see [`Space::shuffle`].
#[derive(Debug, Clone)]
pub struct Shuffle<'a> {
    space: &'a Space,
    order: Permutation,
}

impl Shuffle<'_> {
    /// Returns the number of places, some of which may be empty.
    pub fn len(&self) -> u128 {
        self.space.candidates()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the architecture at a place below [`Shuffle::len`], if there is one; each architecture
    /// has one place.
    pub fn at(&self, place: u128) -> Option<Architecture> {
        self.space.candidate(self.order.at(place))
    }
}
