//! Architectures of a space of parameters as vectors: numbers as numbers, choices without an order as
//! categories, repeats by position, counts and means, and what does not exist as absent. Of transformers, also what
//! their networks cost.

use std::collections::HashMap;
use std::ops::Range;

use lanner_space::family::TransformerBlock as Block;
use lanner_space::family::parameters::{Domain, Held, Node};
use lanner_space::{Architecture, Space};
use rayon::prelude::*;

use crate::regress::linalg::{Mat, Standardiser};

/// Items of a repeat that have columns of their own; those after them are in counts and means.
const PLACES: usize = 16;

/// The parameters that are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    All,
    /// The parameters on which the network depends, for latencies.
    OfNetwork,
}

/// The features of architectures, one matrix (p × d) a group.
#[derive(Debug, Clone)]
pub struct ParameterFeatures {
    /// Each parameter in its place, scaled so that it has variance 1 if its values are equally frequent:
    /// a number by where it lies in its range, a category as a one-hot, and whether it exists. What does
    /// not exist is zero.
    pub places: Mat,
    /// Totals of parameters in repeats and of choices between the same values: how often there is each value, or
    /// the mean and the number of numbers.
    pub totals: Mat,
    /// Of transformers: parameters outside repeats, totals, and logarithms of what the network costs, scaled to
    /// mean 0 and variance 1 over the space. No columns in other spaces.
    pub summary: Mat,
}

/// Makes the features of any architectures of a space. Columns depend on the space alone.
#[derive(Debug, Clone)]
pub struct ParameterEncoder {
    space: Space,
    slots: Vec<Slot>,
    /// Columns of `places` of each parameter.
    columns: Vec<Range<usize>>,
    places: usize,
    totals: usize,
    /// The scale of the sizes, in spaces of transformers.
    sizes: Option<Standardiser>,
}

/// Number of architectures that tell the scale of sizes.
const SCALED_BY: usize = 256;

/// Logarithms of multiply-accumulates, weights, values moved, of the parts of attentions and of linear layers in
/// these, and of the sums over blocks of what they grow with.
fn sizes(blocks: &[Block]) -> [f64; SIZES] {
    let sum = |of: &dyn Fn(&Block) -> f64| blocks.iter().map(of).sum::<f64>();
    let attention = |b: &Block| if let Block::Attention { .. } = b { b.macs() } else { 0.0 };
    let weights = |b: &Block| if let Block::Embedding { .. } = b { 0.0 } else { b.params() };
    let heads = |b: &Block| if let Block::Attention { heads, .. } = b { *heads } else { 0.0 };
    let hidden = |b: &Block| if let Block::Activation { width, .. } = b { *width } else { 0.0 };
    let norms = |b: &Block| if let Block::Norm { width, .. } = b { *width } else { 0.0 };
    let all = [
        sum(&Block::macs),
        sum(&Block::params),
        sum(&weights),
        sum(&Block::values),
        sum(&attention),
        blocks.len() as f64,
        sum(&heads),
        sum(&hidden),
        sum(&norms),
    ];
    all.map(|v| v.max(1.0).ln())
}

const SIZES: usize = 9;

/// The columns of a parameter.
#[derive(Debug, Clone)]
enum Slot {
    Unseen,
    Value {
        place: Option<usize>,
        total: Option<usize>,
        /// Whether a column says that the parameter exists.
        may_lack: bool,
    },
    Repeat {
        places: Vec<Vec<Slot>>,
        /// Columns of items after the places.
        others: Vec<Slot>,
    },
}

/// Number of columns for the value.
fn width(node: &Node) -> usize {
    match node.count() {
        Some(count) if !node.is_ordered() => count as usize,
        _ => 1,
    }
}

impl ParameterEncoder {
    /// Makes an encoder; `None` of a space of another family.
    pub fn new(space: &Space, seen: Seen) -> Option<ParameterEncoder> {
        let nodes = space.parameters()?.nodes();
        let mut encoder = ParameterEncoder {
            space: space.clone(),
            slots: Vec::new(),
            columns: Vec::new(),
            places: 0,
            totals: 0,
            sizes: None,
        };
        if space.stages().is_some() {
            let mut rng = lanner_nn::rng(0, "sizes of a space");
            let archs: Vec<Architecture> = (0..SCALED_BY).map(|_| space.sample(&mut rng)).collect();
            let all: Vec<usize> = (0..archs.len()).collect();
            encoder.sizes = Some(Standardiser::of(&encoder.plain_sizes(&archs), &all));
        }
        encoder.slots = encoder.slots(nodes, seen, &mut Vec::new(), true, &mut HashMap::new());
        Some(encoder)
    }

    /// Lays out the columns of a group. `known` has the columns of totals by the path of the parameter, which
    /// all items of a repeat share.
    fn slots(
        &mut self,
        nodes: &[Node],
        seen: Seen,
        path: &mut Vec<usize>,
        placed: bool,
        known: &mut HashMap<Vec<usize>, usize>,
    ) -> Vec<Slot> {
        let in_repeat = !path.is_empty();
        let slot = |(i, node): (usize, &Node)| {
            if seen == Seen::OfNetwork && !node.network {
                return Slot::Unseen;
            }
            if let Domain::Repeat { group, most, .. } = &node.domain {
                path.push(i);
                let most = (*most as usize).min(PLACES);
                let places =
                    (0..most).map(|_| self.slots(group, seen, path, placed, known)).collect();
                let others = self.slots(group, seen, path, false, known);
                path.pop();
                return Slot::Repeat { places, others };
            }
            if node.count() == Some(1) {
                return Slot::Unseen;
            }
            let may_lack = in_repeat || node.is_conditional();
            // Choices between the same values count together: the first one stands for all.
            let same = |other: &Node| other.domain == node.domain && other.count().is_some();
            let first = if in_repeat { i } else { nodes.iter().position(same).unwrap_or(i) };
            let alone = !in_repeat && nodes.iter().filter(|n| same(n)).count() < 2;
            let total = (!alone).then(|| {
                let key: Vec<usize> = path.iter().copied().chain([first]).collect();
                *known.entry(key).or_insert_with(|| {
                    let at = self.totals;
                    self.totals += width(node) + usize::from(node.is_ordered());
                    at
                })
            });
            let place = placed.then(|| {
                let at = self.places;
                self.places += width(node) + usize::from(may_lack);
                self.columns.push(at..self.places);
                at
            });
            Slot::Value { place, total, may_lack }
        };
        nodes.iter().enumerate().map(slot).collect()
    }

    /// Returns the columns of `places` of each parameter.
    pub fn columns(&self) -> &[Range<usize>] {
        &self.columns
    }

    /// Returns the features, a row an architecture.
    pub fn features(&self, archs: &[Architecture]) -> ParameterFeatures {
        let rows: Vec<(Vec<f64>, Vec<f64>)> = archs.par_iter().map(|a| self.row(a)).collect();
        let (places, totals): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let matrix =
            |data: Vec<Vec<f64>>, cols| Mat { rows: archs.len(), cols, data: data.concat() };
        let (places, totals) = (matrix(places, self.places), matrix(totals, self.totals));
        let mut summary = Mat::zeros(archs.len(), 0);
        if let Some(scale) = &self.sizes {
            for (node, slot) in
                self.space.parameters().map_or(&[][..], |s| s.nodes()).iter().zip(&self.slots)
            {
                if let Slot::Value { place: Some(at), .. } = slot {
                    summary = summary.beside(&places.columns(*at..at + width(node)));
                }
            }
            summary = summary.beside(&totals).beside(&scale.apply(&self.plain_sizes(archs)));
        }
        ParameterFeatures { places, totals, summary }
    }

    /// Sizes that are not scaled.
    fn plain_sizes(&self, archs: &[Architecture]) -> Mat {
        let row = |arch: &Architecture| match self.space.stages() {
            Some(stages) => sizes(&stages.blocks(arch)),
            None => [0.0; SIZES],
        };
        let rows: Vec<[f64; SIZES]> = archs.par_iter().map(row).collect();
        Mat { rows: rows.len(), cols: SIZES, data: rows.concat() }
    }

    fn row(&self, arch: &Architecture) -> (Vec<f64>, Vec<f64>) {
        let mut row = Row { places: vec![0.0; self.places], totals: vec![0.0; self.totals] };
        if let Some(space) = self.space.parameters() {
            row.add(space.nodes(), &self.slots, &space.held(arch));
            row.mean(space.nodes(), &self.slots, &mut Vec::new());
        }
        (row.places, row.totals)
    }
}

/// The features of one architecture.
struct Row {
    places: Vec<f64>,
    totals: Vec<f64>,
}

impl Row {
    fn add(&mut self, nodes: &[Node], slots: &[Slot], held: &[Held]) {
        for ((node, slot), held) in nodes.iter().zip(slots).zip(held) {
            match (slot, held) {
                (Slot::Value { place, total, may_lack }, Held::Number(number)) => {
                    let (category, value) = match node.is_ordered() {
                        // A uniform number between 0 and 1 has the variance 1/12.
                        true => (0, (node.unit(*number) - 0.5) * 12f64.sqrt()),
                        false => (*number as usize, 1.0),
                    };
                    if let Some(place) = place {
                        let k = width(node) as f64;
                        let scale = if k > 1.0 { (1.0 - 1.0 / k).sqrt().recip() } else { 1.0 };
                        self.places[place + category] = scale * value;
                        if *may_lack {
                            self.places[place + width(node)] = 1.0;
                        }
                    }
                    if let Some(total) = total {
                        self.totals[total + category] += value;
                        if node.is_ordered() {
                            self.totals[total + 1] += 1.0;
                        }
                    }
                }
                (Slot::Repeat { places, others }, Held::Items(items)) => {
                    let Domain::Repeat { group, .. } = &node.domain else { continue };
                    for (i, item) in items.iter().enumerate() {
                        self.add(group, places.get(i).unwrap_or(others), item);
                    }
                }
                _ => {}
            }
        }
    }

    /// Divides sums of numbers by how many there are.
    fn mean(&mut self, nodes: &[Node], slots: &[Slot], done: &mut Vec<usize>) {
        for (node, slot) in nodes.iter().zip(slots) {
            match (slot, &node.domain) {
                (Slot::Value { total: Some(total), .. }, _)
                    if node.is_ordered() && !done.contains(total) =>
                {
                    done.push(*total);
                    self.totals[*total] /= self.totals[total + 1].max(1.0);
                }
                (Slot::Repeat { others, .. }, Domain::Repeat { group, .. }) => {
                    self.mean(group, others, done);
                }
                _ => {}
            }
        }
    }
}
