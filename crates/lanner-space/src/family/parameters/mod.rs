//! Architectures that are values of declared parameters.
//!
//! **Codes.** Of each parameter that exists, in the declared order, the number of its value as few bytes
//! as its largest number needs, the highest byte first; of a float its bits, in an order that is that of the
//! numbers. So any value that a table may have is exact, and architectures are equal if their codes are.

mod node;
mod numbering;
mod point;
mod text;

use std::fmt;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

use super::Family;
use crate::literal::Literal;
use crate::parameters::Parameter;
use crate::{Architecture, CellGraph, SpaceError, View};
pub(crate) use node::Wrong;
pub use node::{Condition, Domain, Node, Ref};
use numbering::{Counter, Numbering};
pub use point::Held;
use point::{change, changed, decode, draw, encode, fill, middle, steps, visit, width};

/// A space of parameters.
pub struct ParameterSpace {
    nodes: Vec<Node>,
    /// `None` if architectures are not counted.
    numbering: Option<Numbering>,
}

impl fmt::Debug for ParameterSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParameterSpace").field(&self.nodes).finish()
    }
}

impl ParameterSpace {
    /// Checks declared parameters; an error names the one that is wrong.
    pub(crate) fn new(parameters: &[Parameter]) -> Result<ParameterSpace, Wrong> {
        let nodes = node::tree(parameters)?;
        let numbering = Counter::new().number(&mut vec![&nodes], &mut Vec::new());
        Ok(ParameterSpace { nodes, numbering })
    }

    /// Returns the parameters, in the declared order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns what an architecture has of each parameter.
    ///
    /// # Panics
    /// When the codes are not of this space.
    pub fn held(&self, arch: &Architecture) -> Vec<Held> {
        decode(&self.nodes, arch.codes()).expect("codes of this space")
    }

    /// Returns the longest beginning of some codes that is an architecture's.
    pub fn leading(&self, codes: &[u8]) -> Option<Architecture> {
        let mut length = 0;
        let filled = fill(&mut vec![&self.nodes], None, None, &mut |node, _| {
            let bytes = codes.get(length..length + width(node)).ok_or_else(String::new)?;
            length += width(node);
            let number = bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
            node.check(number).map(|()| number)
        });
        filled.ok().map(|_| Architecture::new(&codes[..length]))
    }

    /// Reads an architecture from its text's parts.
    pub(super) fn read(&self, literal: &Literal) -> Result<Architecture, String> {
        Ok(self.encoded(&text::read(&mut vec![&self.nodes], None, "", literal)?))
    }

    fn encoded(&self, held: &[Held]) -> Architecture {
        Architecture::new(encode(&self.nodes, held))
    }

    /// Makes the parameters exist that should after a change, and no others.
    fn mended(&self, held: &[Held], missing: &mut dyn FnMut(&Node) -> u64) -> Architecture {
        let mut pick = |node: &Node, old: Option<u64>| Ok(old.unwrap_or_else(|| missing(node)));
        let held = fill(&mut vec![&self.nodes], None, Some(held), &mut pick);
        self.encoded(&held.expect("every number is of its parameter"))
    }

    fn sample(&self, rng: &mut dyn Rng) -> Architecture {
        let mut pick = |node: &Node, _: Option<u64>| Ok(draw(node, rng));
        let held = fill(&mut vec![&self.nodes], None, None, &mut pick);
        self.encoded(&held.expect("every number is of its parameter"))
    }
}

impl Family for ParameterSpace {
    /// None: numbers of values may be beyond a byte. Encodings use [`ParameterSpace::held`].
    fn positions(&self) -> &[u8] {
        &[]
    }

    fn labels(&self) -> Vec<&str> {
        vec!["input", "output"]
    }

    /// Returns the graph of nothing: there is no network.
    fn graph(&self, _: &Architecture, _: View) -> CellGraph {
        CellGraph::chain(vec![0, 1])
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        let text = text.trim();
        let read = Literal::parse(text).and_then(|literal| self.read(&literal));
        read.map_err(|why| SpaceError::text(space, text, why))
    }

    fn print(&self, arch: &Architecture) -> String {
        let mut out = String::new();
        text::print(&self.nodes, &self.held(arch), &mut out);
        out
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        Some(self.numbering.as_ref().map_or(u128::MAX, |n| n.size))
    }

    fn is_counted(&self) -> bool {
        self.numbering.is_some()
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        decode(&self.nodes, codes).map(drop)
    }

    fn at(&self, index: u128) -> Architecture {
        match &self.numbering {
            Some(numbering) => self.encoded(&numbering.at(&self.nodes, index)),
            None => {
                let seed = (index as u64) ^ ((index >> 64) as u64).rotate_left(32);
                self.sample(&mut Xoshiro256PlusPlus::seed_from_u64(seed))
            }
        }
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        self.numbering.as_ref()?.index_of(&self.nodes, &self.held(arch))
    }

    fn drawn(&self, rng: &mut dyn Rng) -> Option<Architecture> {
        Some(self.sample(rng))
    }

    /// Changes one parameter: an ordered one as often to a near value as to any other. A repeat that gets
    /// longer or shorter keeps its first items; what begins to exist is drawn.
    fn mutated(&self, arch: &Architecture, rng: &mut dyn Rng) -> Option<Architecture> {
        let mut held = self.held(arch);
        let mut free = 0;
        visit(&self.nodes, &held, &mut |node, _| free += usize::from(node.is_free()));
        if free == 0 {
            return Some(arch.clone());
        }
        let (wanted, mut place) = (rng.random_range(0..free), 0);
        change(&self.nodes, &mut held, &mut |node, number| {
            if node.is_free() {
                if place == wanted {
                    *number = changed(node, *number, rng);
                }
                place += 1;
            }
        });
        Some(self.mended(&held, &mut |node| draw(node, rng)))
    }

    /// Returns the architectures with another value of one parameter: any other of few, else some near and
    /// some far ones. What begins to exist has the value in the middle.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let held = self.held(arch);
        let mut all = Vec::new();
        visit(&self.nodes, &held, &mut |node, number| all.push(steps(node, number)));
        let mut found = Vec::new();
        for (at, values) in all.into_iter().enumerate() {
            for value in values {
                let (mut held, mut place) = (held.clone(), 0);
                change(&self.nodes, &mut held, &mut |_, number| {
                    if place == at {
                        *number = value;
                    }
                    place += 1;
                });
                found.push(self.mended(&held, &mut |node| middle(node)));
            }
        }
        found
    }

    fn aligned(&self, _: &Architecture) -> Vec<Option<u8>> {
        Vec::new()
    }

    fn max_codes(&self) -> usize {
        fn most(nodes: &[Node]) -> usize {
            let of = |node: &Node| match &node.domain {
                Domain::Repeat { group, most: times, .. } => *times as usize * most(group),
                _ => width(node),
            };
            nodes.iter().map(of).sum()
        }
        most(&self.nodes)
    }

    fn parameters(&self) -> Option<&ParameterSpace> {
        Some(self)
    }
}
