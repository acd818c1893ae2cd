//! The network of HELP and its loss, with two derivatives: gradients, and the change of gradients
//! along a direction of the weights.

use std::ops::Range;

use lanner_nn::Pattern;
use lanner_nn::matmul;
use lanner_nn::sparse::{gather, scatter};

/// Numbers with their change along a direction of the weights: forward-mode differentiation, carried
/// through gradients, gives products with the Hessian. `slope` is empty where it is 0.
#[derive(Debug, Clone, Default)]
pub struct Dual {
    pub value: Vec<f32>,
    pub slope: Vec<f32>,
}

/// A [`Dual`] that is only read.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    pub value: &'a [f32],
    pub slope: &'a [f32],
}

impl<'a> Of<'a> {
    /// Makes numbers that do not change.
    pub fn fixed(value: &'a [f32]) -> Of<'a> {
        Of { value, slope: &[] }
    }

    fn part(self, range: Range<usize>) -> Of<'a> {
        let slope = if self.slope.is_empty() { self.slope } else { &self.slope[range.clone()] };
        Of { value: &self.value[range], slope }
    }
}

impl Dual {
    fn of(&self) -> Of<'_> {
        Of { value: &self.value, slope: &self.slope }
    }

    /// Applies a linear map to both numbers and slopes.
    fn map(&self, map: impl Fn(&[f32]) -> Vec<f32>) -> Dual {
        let slope = if self.slope.is_empty() { Vec::new() } else { map(&self.slope) };
        Dual { value: map(&self.value), slope }
    }

    /// Sets entries to zero where the output of a ReLU is 0.
    fn masked(mut self, by: &[f32]) -> Dual {
        for part in [&mut self.value, &mut self.slope] {
            part.iter_mut().zip(by).filter(|x| *x.1 <= 0.0).for_each(|(v, _)| *v = 0.0);
        }
        self
    }
}

type Product = fn(usize, usize, usize, &[f32], &[f32], &mut [f32], bool, usize);

/// Multiplies matrices; the slope of the product is da·b + a·db.
fn product(product: Product, [m, k, n]: [usize; 3], a: Of, b: Of) -> Dual {
    let mut out = Dual { value: vec![0.0; m * n], slope: Vec::new() };
    product(m, k, n, a.value, b.value, &mut out.value, false, 1);
    if !a.slope.is_empty() || !b.slope.is_empty() {
        out.slope.resize(m * n, 0.0);
        if !a.slope.is_empty() {
            product(m, k, n, a.slope, b.value, &mut out.slope, true, 1);
        }
        if !b.slope.is_empty() {
            product(m, k, n, a.value, b.slope, &mut out.slope, true, 1);
        }
    }
    out
}

/// Sums all rows.
fn sum_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    rows.chunks_exact(width).for_each(|r| sum.iter_mut().zip(r).for_each(|(s, v)| *s += v));
    sum
}

/// Inputs of the network for architectures: rows of features, for nodes where `aggregates` says which
/// nodes each one sums, and the rows that stand for an architecture.
#[derive(Debug, Clone)]
pub struct Batch {
    pub features: Vec<f32>,
    pub aggregates: Option<Pattern>,
    pub rows: Vec<usize>,
}

/// A layer's place among the weights (outputs × inputs, then biases), and its numbers of inputs and
/// outputs.
#[derive(Debug, Clone, Copy)]
struct Layer {
    at: usize,
    inputs: usize,
    outputs: usize,
}

impl Layer {
    fn kernel(self) -> Range<usize> {
        self.at..self.at + self.inputs * self.outputs
    }

    fn biases(self) -> Range<usize> {
        let at = self.kernel().end;
        at..at + self.outputs
    }
}

/// An encoder of architectures (graph layers, or linear ones where there are no graphs), an encoder of
/// the device beside it, and a perceptron on both; ReLU after every layer except the last.
#[derive(Debug, Clone)]
pub struct Network {
    encoder: Vec<Layer>,
    device: Vec<Layer>,
    head: Vec<Layer>,
    width: usize,
}

/// Outputs of all layers.
struct States {
    encoder: Vec<Dual>,
    device: Vec<Dual>,
    /// Input of the head, then the outputs of its layers.
    head: Vec<Dual>,
}

impl Network {
    /// Makes a network with `layers` encoding layers of one width, for `features` of a row and
    /// `references` of a device.
    pub fn new(features: usize, layers: usize, references: usize, width: usize) -> Network {
        let mut at = 0;
        let mut chain = |widths: &[usize]| -> Vec<Layer> {
            (widths.windows(2))
                .map(|pair| {
                    let layer = Layer { at, inputs: pair[0], outputs: pair[1] };
                    at = layer.biases().end;
                    layer
                })
                .collect()
        };
        let mut encoder = vec![width; layers + 1];
        encoder[0] = features;
        let (encoder, device) = (chain(&encoder), chain(&[references, width, width]));
        let head = chain(&[2 * width, 2 * width, 2 * width, 1]);
        Network { encoder, device, head, width }
    }

    /// Draws weights as PyTorch does for linear layers; kernels of graph layers are within ±.05.
    pub fn weights(&self, graphs: bool, seed: u64) -> Vec<f32> {
        let mut rng = lanner_nn::rng(seed, "weights of HELP");
        let end = self.head.last().map_or(0, |l| l.biases().end);
        let mut weights = vec![0.0; end];
        for (i, layer) in self.encoder.iter().chain(&self.device).chain(&self.head).enumerate() {
            let graph = graphs && i < self.encoder.len();
            let bound = (if graph { layer.outputs } else { layer.inputs } as f32).sqrt().recip();
            let kernel = if graph { 0.05 } else { bound };
            lanner_nn::uniform(&mut weights[layer.kernel()], kernel, &mut rng);
            lanner_nn::uniform(&mut weights[layer.biases()], bound, &mut rng);
        }
        weights
    }

    fn states(&self, weights: Of, batch: &Batch, device: &[f32]) -> States {
        let mut states = States { encoder: Vec::new(), device: Vec::new(), head: Vec::new() };
        for layer in &self.encoder {
            let x = states.encoder.last().map_or(Of::fixed(&batch.features), Dual::of);
            let out = forward(*layer, weights, x, batch.aggregates.as_ref(), true);
            states.encoder.push(out);
        }
        for layer in &self.device {
            let x = states.device.last().map_or(Of::fixed(device), Dual::of);
            states.device.push(forward(*layer, weights, x, None, true));
        }
        states.head.push(self.joined(&states, batch));
        for (l, layer) in self.head.iter().enumerate() {
            let last = l + 1 == self.head.len();
            let out = forward(*layer, weights, states.head[l].of(), None, !last);
            states.head.push(out);
        }
        states
    }

    /// Joins encoding and device for each architecture.
    fn joined(&self, states: &States, batch: &Batch) -> Dual {
        let w = self.width;
        let (Some(networks), Some(device)) = (states.encoder.last(), states.device.last()) else {
            return Dual::default();
        };
        let join = |networks: &[f32], device: &[f32]| -> Vec<f32> {
            (batch.rows.iter())
                .flat_map(|&r| networks[r * w..(r + 1) * w].iter().chain(device))
                .copied()
                .collect()
        };
        let slope = match networks.slope.is_empty() && device.slope.is_empty() {
            true => Vec::new(),
            false => join(&networks.slope, &device.slope),
        };
        Dual { value: join(&networks.value, &device.value), slope }
    }

    /// Predicts one number an architecture.
    pub fn predict(&self, weights: &[f32], batch: &Batch, device: &[f32]) -> Vec<f32> {
        self.states(Of::fixed(weights), batch, device).head.pop().unwrap_or_default().value
    }

    /// Computes the gradient of the mean squared error by the weights and, if these have a slope, the
    /// gradient's slope: the product of the Hessian with that direction.
    pub fn gradient(&self, weights: Of, batch: &Batch, device: &[f32], targets: &[f32]) -> Dual {
        let states = self.states(weights, batch, device);
        let (w, n) = (self.width, targets.len());
        let mut gradient = Dual { value: vec![0.0; weights.value.len()], slope: Vec::new() };
        gradient.slope.resize(weights.slope.len(), 0.0);
        let out = states.head.last().cloned().unwrap_or_default();
        let each = 2.0 / n.max(1) as f32;
        let mut d = Dual { value: Vec::new(), slope: out.slope.iter().map(|s| each * s).collect() };
        d.value.extend(out.value.iter().zip(targets).map(|(o, t)| each * (o - t)));
        for (l, layer) in self.head.iter().enumerate().rev() {
            let x = states.head[l].of();
            let d_x = backward(*layer, weights, x, d, None, &mut gradient);
            // The joined input comes from ReLUs too; the encoders mask it below.
            d = if l > 0 { d_x.masked(x.value) } else { d_x };
        }
        let d_device = d.map(|d| sum_of_rows(d, 2 * w).split_off(w));
        let rows = states.encoder.last().map_or(0, |s| s.value.len()) / w;
        let d_networks = d.map(|d| {
            let mut out = vec![0.0; rows * w];
            for (&r, d) in batch.rows.iter().zip(d.chunks_exact(2 * w)) {
                out[r * w..(r + 1) * w].iter_mut().zip(d).for_each(|(o, d)| *o += d);
            }
            out
        });
        for (layers, states, input, pattern, mut d) in [
            (&self.encoder, &states.encoder, &batch.features[..], &batch.aggregates, d_networks),
            (&self.device, &states.device, device, &None, d_device),
        ] {
            for (l, layer) in layers.iter().enumerate().rev() {
                let x = if l == 0 { Of::fixed(input) } else { states[l - 1].of() };
                d = d.masked(&states[l].value);
                d = backward(*layer, weights, x, d, pattern.as_ref(), &mut gradient);
            }
        }
        gradient
    }
}

/// Computes the output of a layer; in a graph layer, each node's output is the sum over the nodes that
/// it aggregates.
fn forward(layer: Layer, weights: Of, x: Of, pattern: Option<&Pattern>, relu: bool) -> Dual {
    let Layer { inputs, outputs, .. } = layer;
    let rows = x.value.len() / inputs;
    let kernel = weights.part(layer.kernel());
    let mut out = product(matmul::nt, [rows, inputs, outputs], x, kernel);
    if let Some(pattern) = pattern {
        out = out.map(|x| {
            let mut sums = vec![0.0; x.len()];
            gather(pattern, 0, outputs, x, &mut sums);
            sums
        });
    }
    let biases = weights.part(layer.biases());
    for (out, biases) in [(&mut out.value, biases.value), (&mut out.slope, biases.slope)] {
        if !biases.is_empty() {
            out.chunks_exact_mut(outputs)
                .for_each(|row| row.iter_mut().zip(biases).for_each(|(o, b)| *o += b));
        }
    }
    if relu {
        out.slope.iter_mut().zip(&out.value).filter(|x| *x.1 <= 0.0).for_each(|(s, _)| *s = 0.0);
        out.value.iter_mut().filter(|v| **v <= 0.0).for_each(|v| *v = 0.0);
    }
    out
}

/// Takes the loss's gradient by a layer's output before its ReLU, adds the gradient by its weights,
/// and returns the gradient by its input.
fn backward(
    layer: Layer,
    weights: Of,
    x: Of,
    mut d: Dual,
    pattern: Option<&Pattern>,
    gradient: &mut Dual,
) -> Dual {
    let Layer { inputs, outputs, .. } = layer;
    let rows = x.value.len() / inputs;
    let add = |to: &mut Vec<f32>, at: Range<usize>, d: &[f32]| {
        if !d.is_empty() {
            to[at].iter_mut().zip(d).for_each(|(t, d)| *t += d);
        }
    };
    let biases = d.map(|d| sum_of_rows(d, outputs));
    if let Some(pattern) = pattern {
        d = d.map(|d| {
            let mut out = vec![0.0; d.len()];
            scatter(pattern, outputs, d, &mut out);
            out
        });
    }
    let kernel = product(matmul::tn, [outputs, rows, inputs], d.of(), x);
    for (at, d) in [(layer.kernel(), kernel), (layer.biases(), biases)] {
        add(&mut gradient.value, at.clone(), &d.value);
        add(&mut gradient.slope, at, &d.slope);
    }
    product(matmul::nn, [rows, outputs, inputs], d.of(), weights.part(layer.kernel()))
}
