//! Inference with exact sharing of equal node states.
//!
//! Without dropout a node's state after a layer is a function of the states, a layer before, of the
//! nodes that it aggregates. So two nodes whose aggregated states are equal as multisets have equal
//! states, in whatever graph they are, and are computed once. In the last layer only global nodes
//! are wanted. Over all of NAS-Bench-201 and four layers this leaves 22,900 of 437,500 rows.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use lanner_nn::{Dropout, Matrix, Pattern, matmul, norm, sparse};
use rayon::prelude::*;

use super::{Gcn, Graphs};

/// Graphs whose states are looked for together; bounds the memory of a pass.
const PART: usize = 1 << 15;
/// Rows of a product that one thread takes at a time.
const BLOCK: usize = 256;

/// Distinct node states of a set of graphs, layer by layer. It depends on the graphs alone: make it
/// once and use it for every set of weights.
#[derive(Debug, Clone)]
pub struct Shared {
    depth: usize,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// Terms that each distinct state of a layer sums: labels in the first layer, distinct states
    /// of the layer before in the others.
    layers: Vec<Pattern>,
    /// The distinct state of the last layer that is each graph's embedding.
    of_graph: Vec<u32>,
}

impl Shared {
    /// Finds the distinct states for a network of `depth` layers.
    pub fn new(graphs: &Graphs, depth: usize) -> Shared {
        let starts: Vec<usize> = (0..graphs.len()).step_by(PART).collect();
        Shared {
            depth,
            parts: starts
                .into_par_iter()
                .map(|from| Part::new(graphs, from..graphs.len().min(from + PART), depth))
                .collect(),
        }
    }

    /// The number of graphs.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|p| p.of_graph.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of rows that all layers together compute.
    pub fn states(&self) -> usize {
        self.parts.iter().flat_map(|p| &p.layers).map(Pattern::rows).sum()
    }

    /// The embeddings of all graphs, in order: graphs × width of the last layer.
    ///
    /// # Panics
    /// When the network has not the depth that this was made for.
    pub fn embed(&self, gcn: &Gcn, threads: usize) -> Matrix {
        assert_eq!(self.depth, gcn.shape.widths.len(), "layers of the network");
        let width = gcn.shape.embedding();
        let mut out = Matrix::zeros(0, width);
        out.data.reserve(self.len() * width);
        for part in &self.parts {
            let states = part.states(gcn, threads);
            for &s in &part.of_graph {
                out.data.extend_from_slice(states.row(s as usize));
            }
            out.rows += part.of_graph.len();
        }
        out
    }

    /// The head's outputs of all graphs, without biases: graphs × outputs. Cheaper than
    /// [`Shared::embed`], since the head too is applied to distinct states only.
    pub fn outputs(&self, gcn: &Gcn, threads: usize) -> Matrix {
        assert_eq!(self.depth, gcn.shape.widths.len(), "layers of the network");
        let mut out = Matrix::zeros(0, gcn.shape.outputs);
        for part in &self.parts {
            let states = gcn.outputs(&part.states(gcn, threads), threads);
            for &s in &part.of_graph {
                out.data.extend_from_slice(states.row(s as usize));
            }
            out.rows += part.of_graph.len();
        }
        out
    }
}

impl Part {
    fn new(graphs: &Graphs, range: std::ops::Range<usize>, depth: usize) -> Part {
        let nodes = graphs.nodes(range.start).start..graphs.nodes(range.end - 1).end;
        let mut layers = Vec::with_capacity(depth);
        // The state of every node after the layer before: at first its label.
        let mut state: Vec<u32> =
            graphs.labels[nodes.clone()].iter().map(|l| l.unwrap_or(u32::MAX)).collect();
        let mut of_graph = Vec::new();
        let mut key: Vec<u32> = Vec::new();
        for l in 0..depth {
            let mut known: HashMap<Box<[u32]>, u32, BuildHasherDefault<Fx>> = HashMap::default();
            let mut pattern = Pattern::new();
            let mut next = vec![0; if l + 1 == depth { 0 } else { state.len() }];
            for g in range.clone() {
                let own = graphs.nodes(g);
                let base = own.start - nodes.start;
                let wanted = if l + 1 == depth { own.start..own.start + 1 } else { own.clone() };
                for v in wanted {
                    key.clear();
                    key.extend(
                        graphs
                            .aggregates
                            .row(v)
                            .iter()
                            .map(|&u| state[base + u as usize])
                            .filter(|&s| s != u32::MAX), // padding has no label to sum
                    );
                    key.sort_unstable();
                    let id = match known.get(key.as_slice()) {
                        Some(&id) => id,
                        None => {
                            let id = pattern.rows() as u32;
                            pattern.push(key.iter().copied());
                            known.insert(key.as_slice().into(), id);
                            id
                        }
                    };
                    if l + 1 == depth {
                        of_graph.push(id);
                    } else {
                        next[v - nodes.start] = id;
                    }
                }
            }
            state = next;
            layers.push(pattern);
        }
        Part { layers, of_graph }
    }

    /// The distinct states of the last layer.
    fn states(&self, gcn: &Gcn, threads: usize) -> Matrix {
        let shape = &gcn.shape;
        let mut before = Matrix::default();
        for (l, pattern) in self.layers.iter().enumerate() {
            let (width, inputs) = (shape.widths[l], shape.inputs(l));
            let ranges = shape.layer(l);
            let weight = &gcn.parameters[ranges.weight];
            // A(XW) or (AX)W, whichever has fewer rows to multiply; X of the first layer is the identity.
            let sums_products = l == 0 || before.rows < pattern.rows();
            if l > 0 && sums_products {
                let mut product = Matrix::zeros(before.rows, width);
                in_blocks(width, threads, &mut product.data, |from, y, _| {
                    let rows = y.len() / width;
                    let x = &before.data[from * inputs..][..rows * inputs];
                    matmul::nn(rows, inputs, width, x, weight, y, false, 1);
                });
                before = product;
            }
            let mut after = Matrix::zeros(pattern.rows(), width);
            in_blocks(width, threads, &mut after.data, |from, y, scratch| {
                let rows = y.len() / width;
                scratch.z.resize(rows * width, 0.0);
                scratch.stats.resize(rows, [0.0; 2]);
                if sums_products {
                    let products = if l == 0 { weight } else { &before.data };
                    sparse::gather(pattern, from, width, products, &mut scratch.z);
                } else {
                    scratch.gathered.resize(rows * inputs, 0.0);
                    let gathered = &mut scratch.gathered;
                    sparse::gather(pattern, from, inputs, &before.data, gathered);
                    matmul::nn(rows, inputs, width, gathered, weight, &mut scratch.z, false, 1);
                }
                norm::forward(
                    &mut scratch.z,
                    &gcn.parameters[ranges.bias.clone()],
                    &gcn.parameters[ranges.gamma.clone()],
                    &gcn.parameters[ranges.beta.clone()],
                    Dropout::NONE,
                    0,
                    y,
                    &mut scratch.stats,
                );
            });
            before = after;
        }
        before
    }
}

/// Calls `f(first row, rows, scratch)` for blocks of the rows of `out`, of which each thread takes a
/// contiguous run.
fn in_blocks(
    width: usize,
    threads: usize,
    out: &mut [f32],
    f: impl Fn(usize, &mut [f32], &mut Scratch) + Sync,
) {
    let run = (out.len() / width).div_ceil(threads.max(1)).next_multiple_of(BLOCK);
    let on_thread = |(at, y): (usize, &mut [f32])| {
        let mut scratch = Scratch::default();
        for (b, y) in y.chunks_mut(BLOCK * width).enumerate() {
            f(at * run + b * BLOCK, y, &mut scratch);
        }
    };
    if threads <= 1 {
        on_thread((0, out));
    } else {
        out.par_chunks_mut(run * width).enumerate().for_each(on_thread);
    }
}

#[derive(Default)]
struct Scratch {
    gathered: Vec<f32>,
    z: Vec<f32>,
    stats: Vec<[f32; 2]>,
}

/// The hash of rustc and Firefox (FxHash): states are counted by the hundred thousand, and nobody
/// chooses them to collide.
#[derive(Default)]
struct Fx(u64);

impl Hasher for Fx {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26) // the table looks at the low bits, the best are high
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, x: u64) {
        self.0 = (self.0.rotate_left(5) ^ x).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
}
