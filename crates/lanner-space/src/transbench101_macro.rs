//! TransNAS-Bench-101 (Duan et al., CVPR 2021), the macro-level space: four to six modules of two
//! residual blocks, each of which may double the channels, halve the resolution, or both.
//!
//! Codes are modules, 0 to 3 for the official types 1 to 4 of [`OPS`]. The space has the chains with
//! one to three doublings and one to four halvings: the published 3,256. Texts are the official
//! `64-1234-basic`, the digits alone, or NASLib's tuple, which is filled up with zeros to six. The
//! order is by length, then lexicographic.

use crate::definition::{Definition, FanOut, Sizes, Text};
use crate::family::Layers;
use crate::{Architecture, SpaceError, independent, literal::Literal};

/// The name on the command line.
pub const NAME: &str = "transbench101-macro";
/// Effects of a module, by code.
pub const OPS: [&str; 4] = ["normal", "double_channels", "halve_resolution", "double_and_halve"];
/// Largest number of modules.
pub const MODULES: usize = 6;
/// Least number of modules.
const LEAST: usize = 4;
const POSITIONS: [u8; MODULES] = [OPS.len() as u8; MODULES];

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 64, cells: 2, resolution: 256, classes: 75 };
    Definition {
        text: Some(Text { parse, print }),
        relative_costs: Some(relative_costs),
        // The weights of NASLib.
        proxy_weights: Some(FanOut { linear: None }),
        ..Definition::new(NAME, Layers::new(&OPS, MODULES).limited(LEAST, check), sizes)
    }
}

/// Tells whether modules with a code double the channels.
fn doubles(code: u8) -> bool {
    matches!(code, 1 | 3)
}

/// Tells whether modules with a code halve the resolution.
fn halves(code: u8) -> bool {
    matches!(code, 2 | 3)
}

fn check(codes: &[u8]) -> Result<(), String> {
    if !(LEAST..=MODULES).contains(&codes.len()) {
        return Err(format!("{} modules, expected {LEAST} to {MODULES}", codes.len()));
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

fn print(arch: &Architecture) -> String {
    let types: Vec<u8> = arch.codes().iter().map(|c| c + 1).collect();
    format!("64-{}-basic", independent::digits(&types))
}

fn parse(text: &str) -> Result<Architecture, SpaceError> {
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

/// Returns multiply-accumulates and parameters in units of a 3×3 convolution with the first module's
/// channels at its resolution. A module has two residual blocks; the first one changes channels and
/// resolution, and then projects its shortcut.
fn relative_costs(arch: &Architecture) -> (f64, f64) {
    let (mut channels, mut pixels) = (1.0, 1.0);
    let (mut flops, mut params) = (0.0, 0.0);
    for &code in arch.codes() {
        let (wide, small) = (doubles(code), halves(code));
        let before = channels;
        channels *= if wide { 2.0 } else { 1.0 };
        pixels *= if small { 0.25 } else { 1.0 };
        let shortcut = if wide || small { before * channels / 9.0 } else { 0.0 };
        let weights = before * channels + 3.0 * channels * channels + shortcut;
        flops += weights * pixels;
        params += weights;
    }
    (flops, params)
}
