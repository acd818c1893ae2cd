//! TransNAS-Bench-101 (Duan et al., CVPR 2021), the macro-level space: four to six modules of two
//! residual blocks, each of which may double the channels, halve the resolution, or both.
//!
//! Codes are modules, 0 to 3 for the official types 1 to 4 of [`OPS`]. Of all chains those with one
//! to three doublings and one to four halvings are in the space: the published 3,256.
//! Texts: the official `64-1234-basic`, the digits alone, or NASLib's tuple, which is filled up
//! with zeros to six. The order is by length, then lexicographic.

use std::sync::LazyLock;

use crate::{Architecture, CellGraph, SpaceError, independent, literal::Literal};

/// The name on the command line.
pub const NAME: &str = "transbench101-macro";
/// What a module does, by code.
pub const OPS: [&str; 4] = ["normal", "double_channels", "halve_resolution", "double_and_halve"];
pub(crate) const LABELS: [&str; 6] =
    ["normal", "double_channels", "halve_resolution", "double_and_halve", "input", "output"];
/// The most modules.
pub const MODULES: usize = 6;
pub(crate) const POSITIONS: [u8; MODULES] = [OPS.len() as u8; MODULES];

/// Whether modules of that code double the channels.
pub fn doubles(code: u8) -> bool {
    matches!(code, 1 | 3)
}

/// Whether modules of that code halve the resolution.
pub fn halves(code: u8) -> bool {
    matches!(code, 2 | 3)
}

static ALL: LazyLock<Vec<Architecture>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for modules in 4..=MODULES {
        let choices = &POSITIONS[..modules];
        let chains = (0..independent::size(choices)).map(|i| independent::at(choices, i));
        all.extend(chains.filter(|arch| check(arch.codes()).is_ok()));
    }
    all
});

pub(crate) fn size() -> u128 {
    ALL.len() as u128
}

pub(crate) fn at(index: usize) -> Architecture {
    ALL[index].clone()
}

pub(crate) fn index_of(arch: &Architecture) -> Option<u128> {
    let key = |a: &Architecture| (a.codes().len(), a.clone());
    ALL.binary_search_by_key(&key(arch), key).ok().map(|i| i as u128)
}

pub(crate) fn check(codes: &[u8]) -> Result<(), String> {
    if !(4..=MODULES).contains(&codes.len()) {
        return Err(format!("{} modules, expected 4 to {MODULES}", codes.len()));
    }
    independent::check(&POSITIONS[..codes.len()], codes)?;
    let doublings = codes.iter().filter(|&&c| doubles(c)).count();
    let halvings = codes.iter().filter(|&&c| halves(c)).count();
    match (doublings, halvings) {
        (1..=3, 1..=4) => Ok(()),
        (1..=3, _) => Err(format!("the resolution is halved {halvings} times, expected 1 to 4")),
        _ => Err(format!("the channels are doubled {doublings} times, expected 1 to 3")),
    }
}

pub(crate) fn print(arch: &Architecture) -> String {
    let types: Vec<u8> = arch.codes().iter().map(|c| c + 1).collect();
    format!("64-{}-basic", independent::digits(&types))
}

pub(crate) fn parse(text: &str) -> Result<Architecture, SpaceError> {
    let text = text.trim();
    let fail = |why| SpaceError::text(NAME, text, why);
    let types: Vec<u8> = if Literal::opens(text) {
        let codes = Literal::parse(text).map_err(fail)?.codes();
        let mut codes = codes.ok_or_else(|| fail("expected a list of module types".into()))?;
        let end = codes.iter().rposition(|&c| c != 0).map_or(0, |last| last + 1);
        codes.truncate(end);
        codes
    } else {
        let inner = text.strip_prefix("64-").and_then(|t| t.strip_suffix("-basic"));
        let digit = |b: u8| b.is_ascii_digit().then(|| b - b'0');
        let codes: Option<Vec<u8>> = inner.unwrap_or(text).bytes().map(digit).collect();
        codes.ok_or_else(|| fail("expected 64-1234-basic or the digits alone".into()))?
    };
    if let Some(i) = types.iter().position(|t| !(1..=4).contains(t)) {
        return Err(fail(format!("module {} is of type {}, expected 1 to 4", i + 1, types[i])));
    }
    let codes: Vec<u8> = types.iter().map(|t| t - 1).collect();
    check(&codes).map_err(fail)?;
    Ok(Architecture::new(codes))
}

/// All with one module of another type, one module more, or one less.
pub(crate) fn neighbours(arch: &Architecture) -> Vec<Architecture> {
    let codes = arch.codes();
    let mut all = independent::neighbours(&POSITIONS[..codes.len()], codes);
    for i in 0..codes.len() {
        let mut shorter = codes.to_vec();
        shorter.remove(i);
        all.push(Architecture::new(shorter));
    }
    for i in 0..=codes.len() {
        for code in 0..OPS.len() as u8 {
            let mut longer = codes.to_vec();
            longer.insert(i, code);
            all.push(Architecture::new(longer));
        }
    }
    all.retain(|a| check(a.codes()).is_ok());
    all.sort_unstable();
    all.dedup();
    all
}

pub(crate) fn graph(arch: &Architecture) -> CellGraph {
    let ends = OPS.len() as u8;
    CellGraph::chain([&[ends], arch.codes(), &[ends + 1]].concat())
}
