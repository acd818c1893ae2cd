//! NAS-Bench-201: a cell of four nodes, one of five operations on each of its six edges.
//!
//! Codes are operations by edge, edges in the order of the text: 0→1, 0→2, 1→2, 0→3, 1→3, 2→3.
//! Texts are the official `|nor_conv_3x3~0|+|none~0|…|`, or six digits (`340123`, codes of [`OPS`]). A
//! list of six numbers is refused: LatBench means these codes by it, NASLib other ones in another order.
//!
//! The official index (0..15,624, `meta_archs` of NAS-Bench-201 and NATS-Bench) is a shuffle of the
//! lexicographic order by Python's generator with seed 88; it is computed here, not stored.

use std::{collections::HashMap, sync::LazyLock};

use crate::definition::{Classes, Definition, FewCells, Order, Text};
use crate::family::{CellSkeleton, CellSpace};
use crate::{Architecture, SpaceError, independent, literal::Literal, mt19937::Mt19937};

/// The name on the command line.
pub const NAME: &str = "nasbench201";
/// 5 operations on 6 edges.
pub const SIZE: usize = 15_625;
/// The operations, by code.
pub const OPS: [&str; 5] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"];
/// (from, to) of each edge, in text order.
pub const EDGES: [(u8, u8); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];
const CHOICES: [u8; 6] = [OPS.len() as u8; 6];
/// Code of the operation that passes nothing.
pub const NONE: u8 = 0;
/// Code of the identity.
pub const SKIP: u8 = 1;

pub(crate) fn definition() -> Definition {
    let skeleton = CellSkeleton { resolution: 32, classes: 10, channels: 16, stages: 3, cells: 5 };
    Definition {
        text: Some(Text { parse, print }),
        order: Some(Order { at, index_of }),
        classes: Some(Classes { count: CLASSES, canonical }),
        flops_and_params: Some(flops_and_params),
        // With one cell a stage, the layers around the cells learn the digits by themselves, whatever
        // the cells are (docs/benchmarks.md, "The main job").
        few_cells: FewCells { searched: 3, ..FewCells::default() },
        known_program: true,
        uniform_layers: true,
        ..Definition::of_cell(NAME, CellSpace::complete(4, &OPS, skeleton))
    }
}

/// `ORDER.0[index]` is the lexicographic rank of the official index, `ORDER.1` the inverse.
static ORDER: LazyLock<(Vec<u16>, Vec<u16>)> = LazyLock::new(|| {
    let mut ranks: Vec<u16> = (0..SIZE as u16).collect();
    Mt19937::from_python_seed(88).shuffle(&mut ranks);
    let mut inverse = vec![0; SIZE];
    for (index, &rank) in ranks.iter().enumerate() {
        inverse[rank as usize] = index as u16;
    }
    (ranks, inverse)
});

fn at(index: u128) -> Architecture {
    independent::at(&CHOICES, ORDER.0[index as usize].into())
}

fn index_of(arch: &Architecture) -> u128 {
    ORDER.1[independent::index_of(&CHOICES, arch.codes()) as usize].into()
}

fn print(arch: &Architecture) -> String {
    let mut text = String::with_capacity(96);
    for (&(from, to), &code) in EDGES.iter().zip(arch.codes()) {
        if from == 0 {
            text.push_str(if to == 1 { "|" } else { "+|" });
        }
        text.push_str(OPS[usize::from(code)]);
        text.push('~');
        text.push((b'0' + from) as char);
        text.push('|');
    }
    text
}

fn parse(text: &str) -> Result<Architecture, SpaceError> {
    let text = text.trim();
    let fail = |why: String| SpaceError::text(NAME, text, why);
    if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
        let codes: Vec<u8> = text.bytes().map(|b| b - b'0').collect();
        if let Some(i) = codes.iter().position(|&c| c >= 5) {
            return Err(fail(format!("digit {} is {}, expected 0 to 4", i + 1, codes[i])));
        }
        return Ok(Architecture::new(codes));
    }
    if let Some(why) = numbers(text) {
        return Err(fail(why));
    }
    let example = "expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with operations as nor_conv_3x3, or six \
                   digits as 340123";
    let nodes: Vec<&str> = text.split('+').collect();
    if !text.contains('|') {
        return Err(fail(example.into()));
    }
    if nodes.len() != 3 {
        return Err(fail(format!("{} nodes between '+', {example}", nodes.len())));
    }
    let mut codes = Vec::with_capacity(6);
    for (to, node) in nodes.iter().enumerate().map(|(i, n)| (i + 1, n)) {
        let edges: Vec<&str> = node
            .strip_prefix('|')
            .and_then(|n| n.strip_suffix('|'))
            .ok_or_else(|| fail(format!("node {to} is not enclosed in '|', {example}")))?
            .split('|')
            .collect();
        if edges.len() != to {
            return Err(fail(format!("node {to} has {} edges, expected {to}", edges.len())));
        }
        for (from, edge) in edges.iter().enumerate() {
            let Some((op, source)) = edge.split_once('~') else {
                return Err(fail(format!("edge {from}→{to} '{edge}' lacks '~{from}'")));
            };
            if source != from.to_string() {
                return Err(fail(format!(
                    "edge '{edge}' at place {from} of node {to}: expected '~{from}'"
                )));
            }
            let code = OPS.iter().position(|&o| o == op).ok_or_else(|| {
                fail(format!(
                    "edge {from}→{to} has operation '{op}', expected one of {}",
                    OPS.join(", ")
                ))
            })?;
            codes.push(code as u8);
        }
    }
    Ok(Architecture::new(codes))
}

/// Tells how to write the architecture that an index or a list of codes may mean, if the text is one.
fn numbers(text: &str) -> Option<String> {
    if let Some(index) = text.parse::<usize>().ok().filter(|i| text.len() < 6 && *i < SIZE) {
        let arch = print(&at(index as u128));
        return Some(format!(
            "five digits or fewer are the index of {arch} where a table's column is called index; expected \
             that text, or six digits"
        ));
    }
    let codes = Literal::parse(text).ok()?.codes().filter(|c| c.len() == 6)?;
    if codes.iter().any(|&c| c >= 5) {
        return Some(format!("{codes:?} has more than the operations 0 to 4"));
    }
    // naslib/search_spaces/nasbench201/conversions.py has identity, zero, 3×3, 1×1, pooling, on edges
    // ordered by their start.
    const OPERATIONS: [u8; 5] = [SKIP, NONE, 3, 2, 4];
    let naslib: Vec<u8> =
        [0, 1, 3, 2, 4, 5].iter().map(|&edge| OPERATIONS[usize::from(codes[edge])]).collect();
    let (here, naslib) = (independent::digits(&codes), independent::digits(&naslib));
    Some(format!(
        "a list of six numbers does not say whose codes they are; expected six digits: {naslib} if they are \
         NASLib's, {here} if they are LatBench's or ours"
    ))
}

/// Returns multiply-accumulates and parameters in millions at 16 channels, 3 × 5 cells and 32 × 32
/// pixels.
///
/// Both are affine in the counts of operations; the coefficients reproduce the published values of all
/// networks exactly (see the tests).
fn flops_and_params(arch: &Architecture) -> (f64, f64) {
    let count = |op: u8| arch.codes().iter().filter(|&&c| c == op).count() as f64;
    let (one, three, pool) = (count(2), count(3), count(4));
    (
        7.943872 + 4.36224 * one + 35.81952 * three + 1.29024 * pool,
        0.073306 + 0.028 * one + 0.24304 * three,
    )
}

/// Number of classes with equal [`unique_string`].
const CLASSES: u128 = 6_466;

/// For each lexicographic rank, the first rank with the same [`unique_string`].
static FIRSTS: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let mut firsts = HashMap::new();
    (0..SIZE as u16)
        .map(|rank| {
            let arch = independent::at(&CHOICES, rank.into());
            *firsts.entry(unique_string(&arch)).or_insert(rank)
        })
        .collect()
});

/// Returns the lexicographically first architecture of the class that the authors count as one.
fn canonical(arch: &Architecture) -> Architecture {
    let rank = independent::index_of(&CHOICES, arch.codes());
    independent::at(&CHOICES, FIRSTS[rank as usize].into())
}

/// Returns the authors' unique string: the output as an expression of the input, with sorted terms in
/// sums, transparent skips, and `#` for a term that is `none` or reads a single `#`. There are 6,466
/// different strings.
///
/// It keeps the number of dead terms of a sum, and so separates cells that compute the same:
/// [`CellGraph::canonical`] of the pruned graphs leaves 5,425.
fn unique_string(arch: &Architecture) -> String {
    let mut nodes = vec![String::from("0")];
    for to in 1..4u8 {
        let mut terms: Vec<String> = EDGES
            .iter()
            .zip(arch.codes())
            .filter(|(edge, _)| edge.1 == to)
            .map(|(&(from, _), &code)| {
                let input = &nodes[usize::from(from)];
                match code {
                    _ if code == NONE || input == "#" => String::from("#"),
                    SKIP => input.clone(),
                    _ => format!("({input})@{}", OPS[usize::from(code)]),
                }
            })
            .collect();
        terms.sort_unstable();
        nodes.push(terms.join("+"));
    }
    nodes.pop().expect("four nodes")
}
