//! Decides once for a network which tensors are stored, in which buffer, and for how long.
//!
//! **Views.** A batch norm or an activation is not stored where its readers can apply it to what they
//! read: then the layer is a *view* of a stored one, its base. In ReLU-Conv-BN, only the
//! convolution's output is ever written to memory.
//!
//! **Gradients** are accumulated in a buffer of the layer, with three exceptions. If a sum is the only
//! reader of a layer, the layer's gradient is that of the sum. The only reader of an activation
//! passes its gradient through the activation to the layer before. If a batch norm is the only
//! reader of a convolution, the convolution's gradient is computed from the batch norm's whenever
//! it is read.
//!
//! **Times.** Layer i of n runs forward at time i and backward at time 2n − i. Each stored tensor
//! is needed for an interval of times, and tensors whose intervals do not overlap share a buffer.

use lanner_network::{Network, Op};

use super::elementwise::Act;
use super::executor::ExecOptions;

/// Source of a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The stored layer; the layer itself if it is stored.
    pub base: usize,
    /// A batch norm that is applied to the base.
    pub norm: Option<usize>,
    /// An activation that is applied after it.
    pub act: Option<Act>,
}

/// Place of a layer's gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grad {
    /// Nowhere: the output does not depend on the layer.
    None,
    /// In a buffer of its own.
    Own,
    /// In the buffer of a later layer, a sum.
    Alias(usize),
    /// Not stored: the only reader multiplies it by the activation's slope and adds it to the
    /// gradient of the layer before.
    Pass,
    /// Not stored: computed from the gradient of a later layer, a batch norm.
    Behind(usize),
}

/// Plan of one layer.
#[derive(Debug, Clone)]
pub struct LayerPlan {
    pub view: View,
    pub grad: Grad,
    /// Numbers of the buffers of the output and of the gradient, if those are stored.
    pub value_slot: Option<usize>,
    pub grad_slot: Option<usize>,
    /// Whether a batch norm reads the layer.
    pub stats: bool,
    /// For an activation: the first layer that applies the same function to the same input, and so
    /// has the same states.
    pub states: Option<usize>,
    /// Whether an observer sees the layer.
    pub observed: bool,
}

/// Plan of a network.
#[derive(Debug, Clone)]
pub struct Plan {
    pub layers: Vec<LayerPlan>,
    /// Length of each buffer, for one image.
    pub slots: Vec<usize>,
}

impl Plan {
    pub fn of(network: &Network, options: &ExecOptions) -> Plan {
        let &ExecOptions { training, repeat_backward, ref observed, ref cuts, .. } = options;
        let n = network.layers.len();
        let mut readers = vec![Vec::new(); n];
        for (r, layer) in network.layers.iter().enumerate() {
            layer.inputs.iter().for_each(|&i| readers[i].push(r));
        }
        let views = views(network, &readers);
        let grads = if training { gradients(network, &readers, cuts) } else { vec![Grad::None; n] };
        let mut layers: Vec<LayerPlan> = views
            .iter()
            .zip(&grads)
            .map(|(&view, &grad)| LayerPlan {
                view,
                grad,
                value_slot: None,
                grad_slot: None,
                stats: false,
                states: None,
                observed: false,
            })
            .collect();
        observed.iter().for_each(|&i| layers[i].observed = true);
        for (i, layer) in network.layers.iter().enumerate() {
            if let Op::BatchNorm { .. } = layer.op {
                layers[layer.inputs[0]].stats = true;
            }
            if Act::of(&layer.op).is_some() {
                let same = |&r: &usize| network.layers[r].op == layer.op;
                layers[i].states = readers[layer.inputs[0]].iter().copied().find(same);
            }
        }
        let spans = spans(network, &layers, training, repeat_backward);
        let slots = assign(network, &spans, &mut layers);
        Plan { layers, slots }
    }

    /// The layer whose buffer holds this layer's gradient, or that it is computed from.
    pub fn gradient_root(&self, layer: usize) -> Option<usize> {
        root(&self.layers, layer)
    }
}

fn root(layers: &[LayerPlan], layer: usize) -> Option<usize> {
    match layers[layer].grad {
        Grad::Own => Some(layer),
        Grad::Alias(other) | Grad::Behind(other) => root(layers, other),
        Grad::None | Grad::Pass => None,
    }
}

/// Makes batch norms and activations views, unless a reader needs them stored.
fn views(network: &Network, readers: &[Vec<usize>]) -> Vec<View> {
    let n = network.layers.len();
    let mut views: Vec<View> = Vec::with_capacity(n);
    for (i, layer) in network.layers.iter().enumerate() {
        let act = Act::of(&layer.op);
        let norm = matches!(layer.op, Op::BatchNorm { .. });
        let applied = |&r: &usize| match network.layers[r].op {
            Op::Linear { .. } | Op::BatchNorm { .. } => false,
            ref op => !(act.is_some() && Act::of(op).is_some()),
        };
        let stored = View { base: i, norm: None, act: None };
        let is_view = (norm || act.is_some()) && i + 1 < n && readers[i].iter().all(applied);
        views.push(match is_view {
            false => stored,
            true if norm => View { norm: Some(i), ..views[layer.inputs[0]] },
            true => View { act, ..views[layer.inputs[0]] },
        });
    }
    views
}

fn gradients(network: &Network, readers: &[Vec<usize>], cuts: &[usize]) -> Vec<Grad> {
    let n = network.layers.len();
    // Layers by which the output has a derivative that is not zero everywhere.
    let mut live = vec![false; n];
    live[n - 1] = true;
    for i in (0..n).rev() {
        if live[i] && network.layers[i].op != Op::Zero {
            network.layers[i].inputs.iter().for_each(|&j| live[j] = true);
        }
    }
    (0..n)
        .map(|i| {
            let passing = |r: &&usize| live[**r] && network.layers[**r].op != Op::Zero;
            let mut passing = readers[i].iter().filter(passing);
            let only = passing.next().filter(|_| passing.next().is_none());
            let op = &network.layers[i].op;
            match only.map(|&r| (r, &network.layers[r].op)) {
                _ if !live[i] => Grad::None,
                _ if cuts.contains(&i) => Grad::Own,
                Some((r, Op::Add)) if i > 0 => Grad::Alias(r),
                Some((r, Op::BatchNorm { .. })) if matches!(op, Op::Conv(_)) => Grad::Behind(r),
                Some((_, reader)) if Act::of(op).is_some() && Act::of(reader).is_none() => {
                    match reader {
                        Op::Linear { .. } | Op::BatchNorm { .. } => Grad::Own,
                        _ => Grad::Pass,
                    }
                }
                _ => Grad::Own,
            }
        })
        .collect()
}

/// Interval of times in which a stored tensor is needed: a layer's output, or its gradient.
struct Span {
    layer: usize,
    gradient: bool,
    start: usize,
    end: usize,
}

fn spans(
    network: &Network,
    layers: &[LayerPlan],
    training: bool,
    repeat_backward: bool,
) -> Vec<Span> {
    let n = network.layers.len();
    let back = |i: usize| 2 * n - i;
    // Whatever a backward pass reads is kept to its end if another pass may follow.
    let until = |i: usize| back(if repeat_backward { 0 } else { i });
    let mut last_use: Vec<usize> = (0..n).collect();
    let mut keep = |layer: usize, time: usize| {
        let base = layers[layer].view.base;
        last_use[base] = last_use[base].max(time);
    };
    for (i, layer) in network.layers.iter().enumerate() {
        for &j in &layer.inputs {
            keep(j, i);
            let reads = matches!(
                layer.op,
                Op::Conv(_) | Op::Linear { .. } | Op::Mul | Op::BatchNorm { .. }
            ) || Act::of(&layer.op).is_some()
                || layers[j].view.act.is_some()
                || layers[j].grad == Grad::Pass;
            if training && reads && layers[i].grad != Grad::None {
                keep(j, until(i));
                if layers[j].grad == Grad::Pass {
                    keep(network.layers[j].inputs[0], until(i));
                }
            }
        }
        if layers[i].observed {
            keep(i, if training { until(i) } else { i });
        }
        if let Grad::Behind(_) = layers[i].grad {
            keep(i, until(i));
        }
    }
    // The caller may read the output until the next forward pass.
    keep(n - 1, back(0));

    let mut spans: Vec<Span> = (0..n)
        .filter(|&i| layers[i].view.base == i)
        .map(|i| Span { layer: i, gradient: false, start: i, end: last_use[i] })
        .collect();
    if !training {
        return spans;
    }
    let mut times = vec![None; n];
    let mut reach = |layer: Option<usize>, time: usize| {
        if let Some(i) = layer {
            let (start, end) = times[i].unwrap_or((time, time));
            times[i] = Some((time.min(start), time.max(end)));
        }
    };
    for (i, layer) in network.layers.iter().enumerate() {
        reach(root(layers, i), back(i));
        if layers[i].grad == Grad::None || layers[i].grad == Grad::Pass {
            // The reader of such an activation runs it backward.
            continue;
        }
        for &j in &layer.inputs {
            let mut to = j;
            while layers[to].grad == Grad::Pass {
                to = network.layers[to].inputs[0];
            }
            reach(root(layers, to), back(i));
        }
    }
    // The caller may read the gradient of the images at the end.
    reach(root(layers, 0), back(0));
    for (i, time) in times.into_iter().enumerate() {
        if let Some((start, end)) = time {
            spans.push(Span { layer: i, gradient: true, start, end });
        }
    }
    spans
}

/// Gives each tensor the smallest free buffer that holds it; if none does, the largest free one,
/// which grows; if none is free, a new one. Returns the lengths of the buffers.
fn assign(network: &Network, spans: &[Span], layers: &mut [LayerPlan]) -> Vec<usize> {
    let mut order: Vec<&Span> = spans.iter().collect();
    order.sort_by_key(|s| s.start);
    // For each buffer, its length and the last time at which it is in use.
    let mut slots: Vec<(usize, usize)> = Vec::new();
    for span in order {
        let size = network.layers[span.layer].shape.len();
        let free = || (0..slots.len()).filter(|&s| slots[s].1 < span.start);
        let slot = free()
            .filter(|&s| slots[s].0 >= size)
            .min_by_key(|&s| slots[s].0)
            .or_else(|| free().max_by_key(|&s| slots[s].0));
        let slot = slot.unwrap_or_else(|| {
            slots.push((0, 0));
            slots.len() - 1
        });
        slots[slot] = (slots[slot].0.max(size), span.end);
        let plan = &mut layers[span.layer];
        *(if span.gradient { &mut plan.grad_slot } else { &mut plan.value_slot }) = Some(slot);
    }
    slots.into_iter().map(|(size, _)| size).collect()
}
