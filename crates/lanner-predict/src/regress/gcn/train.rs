//! Training steps: forward, loss, backward, AdamW, without allocation.

use lanner_nn::{AdamW, Dropout, Matrix, Pattern, matmul, norm, sparse, subseed};

use super::{Gcn, Graphs, Shape, head_forward};

/// Number of graphs from which on a batch is split in two shards.
const SPLIT: usize = 8;

/// Takes training steps of one [`Gcn`] over one set of graphs.
pub struct Trainer<'g> {
    graphs: &'g Graphs,
    dropout: f32,
    seed: u64,
    threads: usize,
    steps: u64,
    adam: AdamW,
    head_adam: AdamW,
    shards: [Shard; 2],
    outputs: Matrix,
    d_outputs: Matrix,
    d_biases: Vec<f32>,
}

impl<'g> Trainer<'g> {
    /// A fresh optimiser. `seed` decides the dropout masks; `dropout` is the ratio after each layer.
    pub fn new(
        shape: &Shape,
        graphs: &'g Graphs,
        dropout: f32,
        weight_decay: f32,
        seed: u64,
        threads: usize,
    ) -> Self {
        Trainer {
            graphs,
            dropout,
            seed: subseed(seed, "gcn dropout"),
            threads: threads.max(1),
            steps: 0,
            adam: AdamW::new(shape.parameters(), weight_decay),
            head_adam: AdamW::new(shape.parameters() - shape.head().start, 0.0),
            shards: [Shard::new(shape), Shard::new(shape)],
            outputs: Matrix::default(),
            d_outputs: Matrix::default(),
            d_biases: vec![0.0; shape.biases],
        }
    }

    /// One step on the graphs of these indices. `loss` gets the head's outputs (batch × outputs,
    /// row i for `batch[i]`) and biases, writes the gradients of both (which it finds zeroed), and
    /// returns the loss, which is passed on.
    ///
    /// # Panics
    /// When the batch is empty.
    pub fn step(
        &mut self,
        gcn: &mut Gcn,
        batch: &[usize],
        lr: f32,
        loss: impl FnMut(&Matrix, &[f32], &mut Matrix, &mut [f32]) -> f64,
    ) -> f64 {
        let value = self.gradients(gcn, batch, loss, false);
        let [one, two] = &self.shards;
        if batch.len() < SPLIT {
            self.adam.step(&mut gcn.parameters, &one.grads, lr, self.threads);
        } else {
            self.adam.step_sum(&mut gcn.parameters, &[&one.grads, &two.grads], lr, self.threads);
        }
        value
    }

    /// Makes a step in which only the head moves, without weight decay: the warm-up of a
    /// transferred network.
    pub fn step_head(
        &mut self,
        gcn: &mut Gcn,
        batch: &[usize],
        lr: f32,
        loss: impl FnMut(&Matrix, &[f32], &mut Matrix, &mut [f32]) -> f64,
    ) -> f64 {
        let value = self.gradients(gcn, batch, loss, true);
        let head = gcn.shape.head().start..;
        let [one, two] = &self.shards;
        let (one, two) = (&one.grads[head.clone()], &two.grads[head.clone()]);
        let parts = [one, two];
        let used = if batch.len() < SPLIT { &parts[..1] } else { &parts[..] };
        self.head_adam.step_sum(&mut gcn.parameters[head], used, lr, 1);
        value
    }

    /// Leaves the gradients of the loss in the shards.
    fn gradients(
        &mut self,
        gcn: &Gcn,
        batch: &[usize],
        mut loss: impl FnMut(&Matrix, &[f32], &mut Matrix, &mut [f32]) -> f64,
        head_only: bool,
    ) -> f64 {
        assert!(!batch.is_empty(), "a batch without graphs");
        let outputs = gcn.shape.outputs;
        for m in [&mut self.outputs, &mut self.d_outputs] {
            (m.rows, m.cols) = (batch.len(), outputs);
            m.data.resize(batch.len() * outputs, 0.0);
        }
        self.d_outputs.data.fill(0.0);
        self.d_biases.fill(0.0);
        let half = if batch.len() < SPLIT { batch.len() } else { batch.len().div_ceil(2) };
        let (left, right) = batch.split_at(half);
        let pass = Pass {
            gcn,
            graphs: self.graphs,
            dropout: Dropout {
                ratio: self.dropout,
                key: self.seed.wrapping_add(self.steps.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            },
            threads: if right.is_empty() { self.threads } else { self.threads.div_ceil(2) },
        };
        self.steps += 1;
        let apart = self.threads > 1 && !right.is_empty();
        let [one, two] = &mut self.shards;
        let (out_one, out_two) = self.outputs.data.split_at_mut(half * outputs);
        let rows: usize = left.iter().map(|&g| self.graphs.nodes(g).len()).sum();
        both(
            apart,
            || one.forward(pass, left, [0, 0], out_one),
            || two.forward(pass, right, [rows, half], out_two),
        );
        let value = loss(&self.outputs, gcn.biases(), &mut self.d_outputs, &mut self.d_biases);
        let (d_one, d_two) = self.d_outputs.data.split_at(half * outputs);
        both(
            apart,
            || one.backward(pass, d_one, head_only),
            || two.backward(pass, d_two, head_only),
        );
        one.grads[gcn.shape.head_biases()].copy_from_slice(&self.d_biases);
        two.grads[gcn.shape.head_biases()].fill(0.0);
        value
    }

    /// Loss of a batch and its gradient by all parameters, without a step: for checks of derivatives.
    pub fn summed_gradients(
        &mut self,
        gcn: &Gcn,
        batch: &[usize],
        loss: impl FnMut(&Matrix, &[f32], &mut Matrix, &mut [f32]) -> f64,
    ) -> (f64, Vec<f32>) {
        let value = self.gradients(gcn, batch, loss, false);
        let [one, two] = &self.shards;
        if batch.len() < SPLIT {
            return (value, one.grads.clone());
        }
        (value, one.grads.iter().zip(&two.grads).map(|(a, b)| a + b).collect())
    }
}

/// Runs both, on two threads if `apart`.
fn both(apart: bool, one: impl FnOnce() + Send, two: impl FnOnce() + Send) {
    if apart {
        rayon::join(one, two);
    } else {
        one();
        two();
    }
}

/// Data that the shards of one step share.
#[derive(Clone, Copy)]
struct Pass<'a> {
    gcn: &'a Gcn,
    graphs: &'a Graphs,
    dropout: Dropout,
    threads: usize,
}

impl Pass<'_> {
    /// The masks after layer `l`.
    fn dropout(&self, l: usize) -> Dropout {
        Dropout { key: self.dropout.key ^ ((l as u64 + 1) << 56), ..self.dropout }
    }
}

/// A part of a batch: its graphs as patterns over its rows, and every buffer of a pass over it.
struct Shard {
    /// Labels that each row aggregates: the first layer's AX.
    first: Pattern,
    /// Rows that each row aggregates.
    inner: Pattern,
    /// Rows that each graph's global node aggregates (for a single layer: labels).
    last: Pattern,
    layers: Vec<Layer>,
    /// First row in the batch, first graph in the batch.
    offsets: [usize; 2],
    /// The gradient with respect to the states or the product of the layer at hand.
    d: Vec<f32>,
    d_next: Vec<f32>,
    /// The gradient of every parameter, as [`Gcn::parameters`].
    grads: Vec<f32>,
}

/// The states of a layer. Rows: nodes of the shard, or its graphs in the last layer.
#[derive(Default)]
struct Layer {
    /// AX, rows × inputs (unused in the first layer).
    gathered: Vec<f32>,
    /// (AX)W + b, rows × width.
    z: Vec<f32>,
    stats: Vec<[f32; 2]>,
    /// The layer's output, rows × width.
    y: Vec<f32>,
}

impl Shard {
    fn new(shape: &Shape) -> Shard {
        Shard {
            first: Pattern::new(),
            inner: Pattern::new(),
            last: Pattern::new(),
            layers: shape.widths.iter().map(|_| Layer::default()).collect(),
            offsets: [0, 0],
            d: Vec::new(),
            d_next: Vec::new(),
            grads: vec![0.0; shape.parameters()],
        }
    }

    /// Lays out the graphs of a batch.
    fn lay_out(&mut self, graphs: &Graphs, batch: &[usize], single_layer: bool) {
        self.first.clear();
        self.inner.clear();
        self.last.clear();
        let mut base = 0u32;
        for &g in batch {
            let nodes = graphs.nodes(g);
            for v in nodes.clone() {
                let aggregated = graphs.aggregates.row(v);
                let labels =
                    aggregated.iter().filter_map(|&u| graphs.labels[nodes.start + u as usize]);
                if single_layer {
                    if v == nodes.start {
                        self.last.push(labels);
                    }
                    continue;
                }
                self.first.push(labels);
                self.inner.push(aggregated.iter().map(|u| base + u));
                if v == nodes.start {
                    self.last.push(aggregated.iter().map(|u| base + u));
                }
            }
            base += nodes.len() as u32;
        }
    }

    /// Writes the head's outputs of the graphs of `batch` (batch × outputs) to `out`.
    fn forward(&mut self, pass: Pass, batch: &[usize], offsets: [usize; 2], out: &mut [f32]) {
        if batch.is_empty() {
            return;
        }
        let (gcn, shape) = (pass.gcn, &pass.gcn.shape);
        self.lay_out(pass.graphs, batch, shape.widths.len() == 1);
        self.offsets = offsets;
        let count = shape.widths.len();
        for l in 0..count {
            let is_last = l + 1 == count;
            let pattern = if is_last {
                &self.last
            } else if l == 0 {
                &self.first
            } else {
                &self.inner
            };
            let (rows, width, inputs) = (pattern.rows(), shape.widths[l], shape.inputs(l));
            let ranges = shape.layer(l);
            let weight = &gcn.parameters[ranges.weight];
            let (before, from) = self.layers.split_at_mut(l);
            let layer = &mut from[0];
            layer.z.resize(rows * width, 0.0);
            layer.y.resize(rows * width, 0.0);
            layer.stats.resize(rows, [0.0; 2]);
            if l == 0 {
                sparse::gather(pattern, 0, width, weight, &mut layer.z);
            } else {
                layer.gathered.resize(rows * inputs, 0.0);
                sparse::gather(pattern, 0, inputs, &before[l - 1].y, &mut layer.gathered);
                let gathered = &layer.gathered;
                matmul::nn(
                    rows,
                    inputs,
                    width,
                    gathered,
                    weight,
                    &mut layer.z,
                    false,
                    pass.threads,
                );
            }
            norm::forward(
                &mut layer.z,
                &gcn.parameters[ranges.bias],
                &gcn.parameters[ranges.gamma],
                &gcn.parameters[ranges.beta],
                pass.dropout(l),
                offsets[usize::from(is_last)],
                &mut layer.y,
                &mut layer.stats,
            );
        }
        head_forward(gcn, &self.layers[count - 1].y, out, pass.threads);
    }

    /// Fills `grads` from the gradient of the head's outputs (batch × outputs).
    fn backward(&mut self, pass: Pass, d_outputs: &[f32], head_only: bool) {
        let (gcn, shape) = (pass.gcn, &pass.gcn.shape);
        if d_outputs.is_empty() {
            return;
        }
        let (width, outputs) = (shape.embedding(), shape.outputs);
        let graphs = d_outputs.len() / outputs;
        let count = shape.widths.len();
        let embeddings = &self.layers[count - 1].y;
        let head = &gcn.parameters[shape.head()];
        let d_head = &mut self.grads[shape.head()];
        matmul::tn(outputs, graphs, width, d_outputs, embeddings, d_head, false, pass.threads);
        if head_only {
            return;
        }
        self.d.resize(graphs * width, 0.0);
        matmul::nn(graphs, outputs, width, d_outputs, head, &mut self.d, false, pass.threads);
        for l in (0..count).rev() {
            let pattern = if l + 1 == count {
                &self.last
            } else if l == 0 {
                &self.first
            } else {
                &self.inner
            };
            let (rows, width, inputs) = (pattern.rows(), shape.widths[l], shape.inputs(l));
            let ranges = shape.layer(l);
            let layer = &self.layers[l];
            let (d_weight, rest) =
                self.grads[ranges.weight.start..ranges.beta.end].split_at_mut(inputs * width);
            rest.fill(0.0);
            let (d_bias, rest) = rest.split_at_mut(width);
            let (d_gamma, d_beta) = rest.split_at_mut(width);
            let gamma = &gcn.parameters[ranges.gamma];
            let ratio = pass.dropout.ratio;
            norm::backward(
                &layer.z,
                &layer.y,
                &layer.stats,
                gamma,
                ratio,
                &mut self.d,
                d_bias,
                d_gamma,
                d_beta,
            );
            if l == 0 {
                d_weight.fill(0.0);
                sparse::scatter(pattern, width, &self.d, d_weight);
                break;
            }
            let threads = pass.threads;
            matmul::tn(inputs, rows, width, &layer.gathered, &self.d, d_weight, false, threads);
            let weight = &gcn.parameters[ranges.weight];
            self.d_next.resize(rows * inputs, 0.0);
            matmul::nt(rows, width, inputs, &self.d, weight, &mut self.d_next, false, threads);
            self.d.clear();
            self.d.resize(self.layers[l - 1].y.len(), 0.0);
            sparse::scatter(pattern, inputs, &self.d_next, &mut self.d);
        }
    }
}
