//! Chains of layers with one operation each.

use std::sync::OnceLock;

use super::Family;
use crate::{Architecture, CellGraph, SpaceError, View, independent};

/// A chain of layers, each with one of at most ten operations. Texts have one digit a layer.
///
/// Operations stay in the graph even where they pass their input on: the cost and the effect of a
/// layer depend on its place.
#[derive(Debug)]
pub struct Layers {
    operations: &'static [&'static str],
    rule: Option<Rule>,
    positions: Vec<u8>,
}

/// Condition on chains, for spaces in which not all chains are architectures.
#[derive(Debug)]
struct Rule {
    /// Least number of layers.
    least: usize,
    /// Says why codes are not an architecture.
    check: fn(&[u8]) -> Result<(), String>,
    /// All architectures, by length, then lexicographically.
    all: OnceLock<Vec<Architecture>>,
}

impl Layers {
    /// Makes a space of all chains with this many layers.
    pub fn new(operations: &'static [&'static str], layers: usize) -> Layers {
        Layers { operations, rule: None, positions: vec![operations.len() as u8; layers] }
    }

    /// Keeps the chains of `least` to all layers that `check` accepts; they must be few enough to be
    /// listed.
    pub fn limited(self, least: usize, check: fn(&[u8]) -> Result<(), String>) -> Layers {
        Layers { rule: Some(Rule { least, check, all: OnceLock::new() }), ..self }
    }

    fn all(&self) -> Option<&[Architecture]> {
        let rule = self.rule.as_ref()?;
        let list = || {
            let mut all = Vec::new();
            for layers in rule.least..=self.positions.len() {
                let choices = &self.positions[..layers];
                let chains = (0..independent::size(choices)).map(|i| independent::at(choices, i));
                all.extend(chains.filter(|arch| (rule.check)(arch.codes()).is_ok()));
            }
            all
        };
        Some(rule.all.get_or_init(list))
    }
}

impl Family for Layers {
    fn positions(&self) -> &[u8] {
        &self.positions
    }

    fn labels(&self) -> Vec<&str> {
        self.operations.iter().copied().chain(["input", "output"]).collect()
    }

    fn graph(&self, arch: &Architecture, _: View) -> CellGraph {
        let ends = self.operations.len() as u8;
        CellGraph::chain([&[ends], arch.codes(), &[ends + 1]].concat())
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        independent::parse(space, text, &self.positions)
    }

    fn print(&self, arch: &Architecture) -> String {
        independent::digits(arch.codes())
    }

    fn choices(&self) -> Option<&[u8]> {
        self.rule.is_none().then_some(&self.positions)
    }

    fn size(&self) -> Option<u128> {
        match self.all() {
            Some(all) => Some(all.len() as u128),
            None => independent::checked_size(&self.positions),
        }
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        match &self.rule {
            Some(rule) => (rule.check)(codes),
            None => independent::check(&self.positions, codes),
        }
    }

    fn at(&self, index: u128) -> Architecture {
        match self.all() {
            Some(all) => all[index as usize].clone(),
            None => independent::at(&self.positions, index),
        }
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        let Some(all) = self.all() else {
            return Some(independent::index_of(&self.positions, arch.codes()));
        };
        let key = |a: &Architecture| (a.codes().len(), a.clone());
        all.binary_search_by_key(&key(arch), key).ok().map(|i| i as u128)
    }

    /// Returns the chains with another operation in one layer or, where lengths differ, with one layer
    /// more or less.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let codes = arch.codes();
        let Some(rule) = &self.rule else {
            return independent::neighbours(&self.positions, codes);
        };
        let mut all = independent::neighbours(&self.positions[..codes.len()], codes);
        for i in 0..codes.len() {
            let mut shorter = codes.to_vec();
            shorter.remove(i);
            all.push(Architecture::new(shorter));
        }
        for i in 0..=codes.len() {
            for code in 0..self.operations.len() as u8 {
                let mut longer = codes.to_vec();
                longer.insert(i, code);
                all.push(Architecture::new(longer));
            }
        }
        all.retain(|a| (rule.check)(a.codes()).is_ok());
        all.sort_unstable();
        all.dedup();
        all
    }
}
