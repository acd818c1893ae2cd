//! What a cell of operations on edges looks like to an accuracy predictor: counts, properties of
//! its graph, and how much of the output came through which operations.
//!
//! Two families beside the plain counts:
//!
//! - **Graph properties** (GRAF: Kadlecová et al., "Surprisingly Strong Performance Prediction with
//!   Neural Graph Features", ICML 2024): for each subset of the operations, the shortest and longest
//!   path from input to output that uses only them, how many there are, and by how many of these
//!   operations the output is entered and the input left.
//! - **Variance shares.** A node adds up its inputs. At initialisation, a convolution with batch
//!   normalisation passes variance 1 whatever comes in, an identity passes what comes in, average
//!   pooling a part of it. So each path has a share of the output's variance, and the distribution of
//!   (convolutions on the path, depth, first and last operation) over these shares tells what the
//!   network computes rather than what it contains.

use std::collections::HashMap;

use lanner_space::{Space, nasbench201};

use crate::Pool;
use crate::features;
use crate::linalg::Mat;

/// What part of the variance average pooling passes: not tuned; 1 (no loss) is the other view.
const POOLING: f64 = 0.35;
/// Keeps logarithms of variances finite when nothing reaches the output.
const FLOOR: f64 = 0.1;

/// What an edge does. The number is the code of the operation in NAS-Bench-201; the cells of
/// TransNAS-Bench-101 use the first four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    None,
    Skip,
    Conv1,
    Conv3,
    Pool,
}

impl Op {
    const ALL: [Op; 5] = [Op::None, Op::Skip, Op::Conv1, Op::Conv3, Op::Pool];

    fn of(code: u8) -> Op {
        Op::ALL.get(usize::from(code)).copied().unwrap_or(Op::None)
    }

    fn is_conv(self) -> bool {
        matches!(self, Op::Conv1 | Op::Conv3)
    }
}

/// The features of every architecture of a pool, one matrix (p × d) a group, in natural units.
#[derive(Debug, Clone)]
pub struct CellFeatures {
    /// How many edges have each operation (5 columns).
    pub counts: Mat,
    /// The same of live edges, those on a path from input to output (4 columns, without none).
    pub live_counts: Mat,
    /// One-hot operation of each edge, dead edges as none.
    pub live_one_hot: Mat,
    /// Graph properties for the 15 subsets of operations, and for the paths of a cell the most and
    /// fewest 3×3 convolutions, convolutions, 1×1 convolutions, poolings and identities (85 columns).
    pub graph: Mat,
    /// Moments over variance shares: log variance, mean 1×1, 3×3 and poolings, standard deviation
    /// of convolutions, share of the pure identity, dead (7 columns).
    pub share_moments: Mat,
    /// Distributions over variance shares.
    pub shares: Mat,
    /// The same with pooling that loses nothing.
    pub lossless_shares: Mat,
    /// Log of the gain of the backward pass; numbers of live edges, convolutions, 3×3, nodes,
    /// edges out of the input and into the output, paths (8 columns).
    pub size: Mat,
}

impl CellFeatures {
    /// Features of all architectures of `pool`. Of a space whose architectures are not cells of
    /// operations on edges there are only counts and one-hots; the other groups have no columns.
    pub fn new(pool: &Pool) -> CellFeatures {
        let live_one_hot = features::live_one_hot(&pool.space, &pool.archs);
        let edges = match pool.space {
            Space::NasBench201 => &nasbench201::EDGES,
            _ => {
                let counts = features::op_counts(&pool.space, &pool.archs);
                let none = Mat::zeros(pool.len(), 0);
                return CellFeatures {
                    counts,
                    live_one_hot,
                    live_counts: none.clone(),
                    graph: none.clone(),
                    share_moments: none.clone(),
                    shares: none.clone(),
                    lossless_shares: none.clone(),
                    size: none,
                };
            }
        };
        let topology = Topology::new(edges);
        let mut groups: [Vec<f64>; 7] = Default::default();
        for arch in &pool.archs {
            let cell = Cell::new(&topology, arch.codes());
            let shares = cell.variance_shares(POOLING);
            let lossless = cell.variance_shares(1.0);
            let of_all = [true; MAX_EDGES];
            groups[0].extend(Op::ALL.map(|op| cell.count(op, &of_all)));
            groups[1].extend(Op::ALL[1..].iter().map(|&op| cell.count(op, &cell.live)));
            cell.graph(&mut groups[2]);
            groups[3].extend(moments(shares.as_ref()));
            distributions(shares.as_ref(), topology.nodes, &mut groups[4]);
            distributions(lossless.as_ref(), topology.nodes, &mut groups[5]);
            groups[6].extend(cell.size());
        }
        let rows = pool.len();
        let [counts, live_counts, graph, share_moments, shares, lossless_shares, size] =
            groups.map(|data| Mat { rows, cols: data.len() / rows.max(1), data });
        CellFeatures {
            counts,
            live_counts,
            live_one_hot,
            graph,
            share_moments,
            shares,
            lossless_shares,
            size,
        }
    }
}

/// Groups side by side, each column with mean 0 and variance 1 over the pool, constant ones left
/// out.
pub fn standardised(groups: &[&Mat]) -> Mat {
    let Some((first, rest)) = groups.split_first() else {
        return Mat::zeros(0, 0);
    };
    let all: Vec<usize> = (0..first.rows).collect();
    rest.iter().fold((*first).clone(), |sum, group| sum.beside(group)).standardised_by(&all)
}

/// Edge sets are bit masks and flags of this many edges at most.
const MAX_EDGES: usize = 16;

/// Where the edges of a space's cells are: node 0 is the input, the last node the output, and
/// every edge goes to a node of a higher number.
struct Topology {
    edges: Vec<(usize, usize)>,
    nodes: usize,
    /// Every path from input to output, as edge numbers.
    paths: Vec<Vec<usize>>,
}

impl Topology {
    fn new(edges: &[(u8, u8)]) -> Topology {
        assert!(edges.len() <= MAX_EDGES, "cells of at most 16 edges");
        let edges: Vec<(usize, usize)> =
            (edges.iter().map(|&(a, b)| (usize::from(a), usize::from(b)))).collect();
        let nodes = edges.iter().map(|e| e.1 + 1).max().unwrap_or(1);
        let mut paths = Vec::new();
        let mut open: Vec<(usize, Vec<usize>)> = vec![(0, Vec::new())];
        while let Some((node, path)) = open.pop() {
            if node + 1 == nodes {
                paths.push(path);
                continue;
            }
            for (e, edge) in edges.iter().enumerate().filter(|(_, edge)| edge.0 == node) {
                let longer = path.iter().copied().chain([e]).collect();
                open.push((edge.1, longer));
            }
        }
        Topology { edges, nodes, paths }
    }
}

/// One cell: the operation of each edge.
struct Cell<'a> {
    topology: &'a Topology,
    ops: Vec<Op>,
    /// Edges on a path without none.
    live: [bool; MAX_EDGES],
}

impl Cell<'_> {
    fn new<'a>(topology: &'a Topology, codes: &[u8]) -> Cell<'a> {
        let ops: Vec<Op> = codes.iter().map(|&c| Op::of(c)).collect();
        let mut live = [false; MAX_EDGES];
        for path in &topology.paths {
            if path.iter().all(|&e| ops[e] != Op::None) {
                path.iter().for_each(|&e| live[e] = true);
            }
        }
        Cell { topology, ops, live }
    }

    fn count(&self, op: Op, of: &[bool]) -> f64 {
        (self.ops.iter().zip(of)).filter(|&(&o, &counts)| o == op && counts).count() as f64
    }

    fn graph(&self, out: &mut Vec<f64>) {
        let topology = self.topology;
        for set in SUBSETS {
            let inside = |e: usize| set & (1 << self.ops[e] as u8) != 0;
            let lengths = topology
                .paths
                .iter()
                .filter(|path| path.iter().all(|&e| inside(e)))
                .map(|path| path.len());
            let (mut shortest, mut longest, mut count) = (topology.nodes + 1, 0, 0);
            for length in lengths {
                shortest = shortest.min(length);
                longest = longest.max(length);
                count += 1;
            }
            let ends = |at: fn(&(usize, usize), usize) -> bool| {
                (topology.edges.iter().enumerate())
                    .filter(|(e, edge)| at(edge, topology.nodes) && inside(*e))
                    .count()
            };
            let entering = ends(|edge, nodes| edge.1 + 1 == nodes);
            let leaving = ends(|edge, _| edge.0 == 0);
            out.extend([shortest, longest, count, entering, leaving].map(|v| v as f64));
        }
        let kinds: [fn(Op) -> bool; 5] = [
            |op| op == Op::Conv3,
            Op::is_conv,
            |op| op == Op::Conv1,
            |op| op == Op::Pool,
            |op| op == Op::Skip,
        ];
        for kind in kinds {
            let counts =
                self.paths().map(|path| path.iter().filter(|&&e| kind(self.ops[e])).count() as f64);
            let (mut most, mut fewest) = (-1.0f64, f64::INFINITY);
            for count in counts {
                most = most.max(count);
                fewest = fewest.min(count);
            }
            out.extend([most, if most < 0.0 { -1.0 } else { fewest }]);
        }
    }

    /// Paths without none.
    fn paths(&self) -> impl Iterator<Item = &Vec<usize>> {
        (self.topology.paths.iter()).filter(|path| path.iter().all(|&e| self.ops[e] != Op::None))
    }

    fn size(&self) -> [f64; 8] {
        let Topology { edges, nodes, .. } = self.topology;
        // The gradient's variance at the input, when each convolution passes it on unchanged.
        let mut gain = vec![0.0; *nodes];
        gain[nodes - 1] = 1.0;
        for node in (0..nodes - 1).rev() {
            gain[node] = (edges.iter().zip(&self.ops))
                .filter(|&(edge, &op)| edge.0 == node && op != Op::None)
                .map(|(edge, &op)| gain[edge.1] * if op == Op::Pool { POOLING } else { 1.0 })
                .sum();
        }
        let live = || (0..edges.len()).filter(|&e| self.live[e]);
        let number = |of: &dyn Fn(usize) -> bool| live().filter(|&e| of(e)).count() as f64;
        let reached = (1..*nodes).filter(|&node| live().any(|e| edges[e].1 == node));
        [
            (gain[0] + FLOOR).ln(),
            number(&|_| true),
            number(&|e| self.ops[e].is_conv()),
            number(&|e| self.ops[e] == Op::Conv3),
            reached.count() as f64,
            number(&|e| edges[e].0 == 0),
            number(&|e| edges[e].1 + 1 == *nodes),
            self.paths().count() as f64,
        ]
    }

    /// The output's variance and its shares by what the signal went through; `None` if no signal
    /// reaches the output.
    fn variance_shares(&self, pooling: f64) -> Option<Shares> {
        let Topology { edges, nodes, .. } = self.topology;
        let mut states: Vec<Option<Shares>> = vec![None; *nodes];
        states[0] = Some(Shares { variance: 1.0, of: vec![(Past::default(), 1.0)] });
        for node in 1..*nodes {
            let mut variance = 0.0;
            let mut of: HashMap<Past, f64> = HashMap::new();
            for (&(from, _), &op) in
                (edges.iter().zip(&self.ops)).filter(|&(e, &op)| e.1 == node && op != Op::None)
            {
                let Some(source) = &states[from] else {
                    continue;
                };
                let passes = match op {
                    Op::Conv1 | Op::Conv3 => 1.0,
                    Op::Pool => pooling * source.variance,
                    _ => source.variance,
                };
                variance += passes;
                for (past, share) in &source.of {
                    *of.entry(past.through(op)).or_default() += passes * share;
                }
            }
            if variance > 0.0 {
                let mut of: Vec<(Past, f64)> =
                    of.into_iter().map(|(p, v)| (p, v / variance)).collect();
                // Sums in one order, whatever the hash says.
                of.sort_unstable_by_key(|(past, _)| *past);
                states[node] = Some(Shares { variance, of });
            }
        }
        states.pop().flatten()
    }
}

/// The 15 subsets of the four operations that pass something, as bits by code: ones, pairs, ….
const SUBSETS: [u8; 15] = [2, 4, 8, 16, 6, 10, 18, 12, 20, 24, 14, 22, 26, 28, 30];

/// What a signal went through, identities not counted; `first` and `last` are 0 for no operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Past {
    conv1: u8,
    conv3: u8,
    pool: u8,
    first: u8,
    last: u8,
}

impl Past {
    fn through(mut self, op: Op) -> Past {
        match op {
            Op::None | Op::Skip => return self,
            Op::Conv1 => self.conv1 += 1,
            Op::Conv3 => self.conv3 += 1,
            Op::Pool => self.pool += 1,
        }
        if self.first == 0 {
            self.first = op as u8;
        }
        self.last = op as u8;
        self
    }

    fn convs(&self) -> u8 {
        self.conv1 + self.conv3
    }

    fn depth(&self) -> u8 {
        self.convs() + self.pool
    }
}

#[derive(Debug, Clone)]
struct Shares {
    variance: f64,
    /// Sum to one.
    of: Vec<(Past, f64)>,
}

fn moments(shares: Option<&Shares>) -> [f64; 7] {
    let Some(shares) = shares else {
        return [FLOOR.ln(), -1.0, -1.0, -1.0, 0.0, -1.0, 1.0];
    };
    let mean = |f: &dyn Fn(&Past) -> f64| shares.of.iter().map(|(p, s)| s * f(p)).sum::<f64>();
    let convs = mean(&|p| f64::from(p.convs()));
    let squares = mean(&|p| f64::from(p.convs()).powi(2));
    [
        (shares.variance + FLOOR).ln(),
        mean(&|p| f64::from(p.conv1)),
        mean(&|p| f64::from(p.conv3)),
        mean(&|p| f64::from(p.pool)),
        (squares - convs * convs).max(0.0).sqrt(),
        mean(&|p| f64::from(p.depth() == 0)),
        0.0,
    ]
}

/// Shares by numbers of convolutions, of 3×3, of poolings and of all three (0 to nodes − 1 each),
/// by first and by last operation (5 each), and the log variance. All zero for a dead cell.
fn distributions(shares: Option<&Shares>, nodes: usize, out: &mut Vec<f64>) {
    let start = out.len();
    out.resize(start + 4 * nodes + 2 * Op::ALL.len() + 1, 0.0);
    let Some(shares) = shares else { return };
    let columns = &mut out[start..];
    let ends = 4 * nodes;
    for (past, share) in &shares.of {
        let numbers = [past.convs(), past.conv3, past.pool, past.depth()];
        for (block, number) in numbers.into_iter().enumerate() {
            columns[block * nodes + usize::from(number)] += share;
        }
        columns[ends + usize::from(past.first)] += share;
        columns[ends + Op::ALL.len() + usize::from(past.last)] += share;
    }
    columns[ends + 2 * Op::ALL.len()] = (shares.variance + FLOOR).ln();
}

#[cfg(test)]
mod tests;
