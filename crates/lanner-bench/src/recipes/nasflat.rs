//! The recipe `nasflat` for a new device (Akhauri & Abdelfattah, "On Latency Predictors for Neural
//! Architecture Search", MLSys 2024).
//!
//! The device is part of the graph: every pair of architecture and device is a graph of its own, in
//! which each node sees the embeddings of its operation and of the device. Graph layers 3 × 128, then
//! a perceptron [graph; 13 proxies] → 200, 200, 200 → 1, give a score that only ranks: the loss is a
//! hinge of margin 0.1 over pairs of architectures on one device. Pre-trained on 900 architectures on
//! all sources (150 epochs from 1e-3 along a cosine, 128 graphs a step). For a new device, all weights
//! are trained for 30 epochs on its samples; its embedding begins as that of the source whose ranking
//! of them is most similar. Every new device begins from the pre-trained weights.
//!
//! Differences from the authors' network: layers are those of [`gcn`](lanner_predict::regress::gcn),
//! with layer norm. The device is a node that all others see; theirs averages graph flow and
//! attention, gated by both embeddings, which a pass of their own refines before. The layer of an
//! operation tells it apart in a space without cells. There is no dropout. The pairs of a batch are
//! all those of one device, not a random part of all.

use std::sync::OnceLock;

use lanner_nn::{AdamW, Matrix, cosine};
use lanner_space::View;

use crate::recipes::SUITE_ZERO as PROXIES;
use crate::recipes::mlp::Mlp;
use crate::recipes::peers::nearest;
use crate::recipes::pre_training::{check, common_rows, epochs, plus, proxies_of};
use lanner_predict::encode::graph::Graphs;
use lanner_predict::regress::gcn::{Gcn, Shape, Shared, Trainer};
use lanner_predict::{Pool, PredictError};

const LAYERS: usize = 3;
const WIDTH: usize = 128;
/// Width of the graph's encoding, an input of the perceptron.
const ENCODING: usize = 48;
const HEAD: [usize; 3] = [200; 3];
const MARGIN: f32 = 0.1;
const WEIGHT_DECAY: f32 = 1e-5;
const RATE: f32 = 1e-3;
const ADAPTING: usize = 30;
/// Number of architectures to pre-train on, and of graphs in a step.
const ROWS: usize = 900;
const BATCH: usize = 128;

/// A network that is pre-trained on the sources.
pub struct PreTrained {
    pool: Pool,
    /// Normalised proxies, p × 13.
    proxies: Vec<f32>,
    network: Network,
    /// The pool's graphs on each source, made when first needed.
    whole: Vec<OnceLock<Shared>>,
}

#[derive(Clone)]
struct Network {
    gcn: Gcn,
    head: Mlp,
}

impl PreTrained {
    /// Number of pre-training epochs, and of calls of `progress`.
    pub const EPOCHS: usize = 150;

    /// Trains on architectures, drawn by the seed, that every source has measured (sources have one
    /// value a row of the pool, NaN where none was measured). `proxies` are columns over the pool as
    /// for [`Inputs`](super::multi_predict::devices::Inputs). The number of threads does not change a
    /// bit.
    pub fn new(
        pool: &Pool,
        proxies: &[(String, Vec<f64>)],
        sources: &[&[f64]],
        seed: u64,
        threads: usize,
        progress: impl FnMut(),
    ) -> Result<PreTrained, PredictError> {
        let plan = (ROWS, Self::EPOCHS);
        PreTrained::by(plan, pool, proxies, sources, seed, threads, progress)
    }

    fn by(
        (most, count): (usize, usize),
        pool: &Pool,
        proxies: &[(String, Vec<f64>)],
        sources: &[&[f64]],
        seed: u64,
        threads: usize,
        progress: impl FnMut(),
    ) -> Result<PreTrained, PredictError> {
        let rows = common_rows((pool.len(), most), sources, "nasflat", seed)?;
        let devices = sources.len();
        let proxies = proxies_of(pool, proxies);
        let pairs: Vec<(usize, usize)> =
            rows.iter().flat_map(|&row| (0..devices).map(move |d| (row, d))).collect();
        let graphs = graphs(pool, devices, &pairs);
        let mut network = Network::new(graphs.vocabulary, seed);
        let mut training = Training::new(&network, &graphs, seed, threads);
        let batch = (BATCH / devices).max(2);
        epochs((rows.len(), batch), (count, RATE), seed, progress, |batch, rate| {
            let of: Vec<usize> =
                batch.iter().flat_map(|&i| i * devices..(i + 1) * devices).collect();
            let seen: Vec<f32> =
                of.iter().flat_map(|&p| proxies_at(&proxies, pairs[p].0)).copied().collect();
            let slower = |a: usize, b: usize| {
                let ((row, device), (other, on)) = (pairs[of[a]], pairs[of[b]]);
                (device == on).then(|| sources[device][row] - sources[device][other])
            };
            training.step(&mut network, &of, &seen, rate, slower);
        });
        let whole = (0..devices).map(|_| OnceLock::new()).collect();
        Ok(PreTrained { pool: pool.clone(), proxies, network, whole })
    }

    /// Returns the network for a new device, from its latencies of `rows`. `sources` are those of the
    /// pre-training; they must be known at all these rows.
    pub fn adapt(
        &self,
        sources: &[&[f64]],
        (rows, latencies): (&[usize], &[f64]),
        seed: u64,
    ) -> Result<OnDevice<'_>, PredictError> {
        check(rows, latencies, "nasflat")?;
        let device = nearest(sources, rows, latencies)?;
        let pairs: Vec<(usize, usize)> = rows.iter().map(|&row| (row, device)).collect();
        let graphs = graphs(&self.pool, self.whole.len(), &pairs);
        let seen: Vec<f32> =
            rows.iter().flat_map(|&row| proxies_at(&self.proxies, row)).copied().collect();
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut network = self.network.clone();
        let mut training = Training::new(&network, &graphs, seed, 1);
        for epoch in 0..ADAPTING {
            let slower = |a: usize, b: usize| Some(latencies[a] - latencies[b]);
            training.step(&mut network, &all, &seen, cosine(RATE, epoch, ADAPTING), slower);
        }
        Ok(OnDevice { pre_trained: self, network, device })
    }

    fn whole(&self, device: usize) -> &Shared {
        self.whole[device].get_or_init(|| {
            let pairs: Vec<(usize, usize)> =
                (0..self.pool.len()).map(|row| (row, device)).collect();
            Shared::new(&graphs(&self.pool, self.whole.len(), &pairs), LAYERS)
        })
    }
}

fn proxies_at(proxies: &[f32], row: usize) -> &[f32] {
    &proxies[row * PROXIES.len()..][..PROXIES.len()]
}

/// The network adapted to one device.
pub struct OnDevice<'a> {
    pre_trained: &'a PreTrained,
    network: Network,
    device: usize,
}

impl OnDevice<'_> {
    /// Scores rows of the pool, without a unit: the greater, the slower.
    pub fn predict(&self, rows: &[usize]) -> Vec<f64> {
        let Network { gcn, head } = &self.network;
        let outputs = self.pre_trained.whole(self.device).outputs(gcn, 1);
        let networks: Vec<f32> = (rows.iter())
            .flat_map(|&r| {
                let proxies = proxies_at(&self.pre_trained.proxies, r).iter().copied();
                plus(outputs.row(r), gcn.biases()).chain(proxies)
            })
            .collect();
        let mut states = Vec::new();
        head.forward(&networks, rows.len(), &mut states);
        states.pop().unwrap_or_default().into_iter().map(f64::from).collect()
    }
}

impl Network {
    fn new(vocabulary: usize, seed: u64) -> Network {
        let shape =
            Shape { vocabulary, widths: vec![WIDTH; LAYERS], outputs: ENCODING, biases: ENCODING };
        let gcn = Gcn::new(shape, WIDTH, &mut lanner_nn::rng(seed, "graph layers of NASFLAT"));
        let mut widths = vec![ENCODING + PROXIES.len()];
        widths.extend(HEAD);
        widths.push(1);
        Network { gcn, head: Mlp::of_widths(widths, seed) }
    }
}

/// A training of a network over one set of graphs.
struct Training<'g> {
    trainer: Trainer<'g>,
    optimiser: AdamW,
    gradient: Vec<f32>,
    states: Vec<Vec<f32>>,
}

impl<'g> Training<'g> {
    fn new(network: &Network, graphs: &'g Graphs, seed: u64, threads: usize) -> Training<'g> {
        let weights = network.head.weights.len();
        Training {
            trainer: Trainer::new(&network.gcn.shape, graphs, 0.0, WEIGHT_DECAY, seed, threads),
            optimiser: AdamW::new(weights, WEIGHT_DECAY),
            gradient: vec![0.0; weights],
            states: Vec::new(),
        }
    }

    /// Takes one step on the graphs with these indices and their `proxies`. `slower(a, b)` tells by
    /// how much graph a of the batch is slower than b, `None` if they are not to be compared. Returns
    /// the loss.
    fn step(
        &mut self,
        network: &mut Network,
        batch: &[usize],
        proxies: &[f32],
        rate: f32,
        slower: impl Fn(usize, usize) -> Option<f64>,
    ) -> f64 {
        let Network { gcn, head } = network;
        let Training { trainer, optimiser, gradient, states } = self;
        let loss = trainer.step(gcn, batch, rate, |outputs, biases, d_outputs, d_biases| {
            joint_gradients(
                head,
                proxies,
                &slower,
                states,
                gradient,
                (outputs, biases),
                (d_outputs, d_biases),
            )
        });
        optimiser.step(&mut head.weights, gradient, rate, 1);
        loss
    }
}

/// Goes from the graphs' encodings through the head to the loss and back: computes the gradients of
/// the head's weights and of the encodings. Returns the loss.
fn joint_gradients(
    head: &Mlp,
    proxies: &[f32],
    slower: &impl Fn(usize, usize) -> Option<f64>,
    states: &mut Vec<Vec<f32>>,
    gradient: &mut [f32],
    (outputs, biases): (&Matrix, &[f32]),
    (d_outputs, d_biases): (&mut Matrix, &mut [f32]),
) -> f64 {
    let width = ENCODING + PROXIES.len();
    let networks: Vec<f32> = (outputs.data.chunks_exact(ENCODING))
        .zip(proxies.chunks_exact(PROXIES.len()))
        .flat_map(|(o, p)| plus(o, biases).chain(p.iter().copied()))
        .collect();
    head.forward(&networks, outputs.rows, states);
    let scores = states.last().map_or(&[][..], |s| s.as_slice());
    let (loss, d_scores) = hinge(scores, slower);
    let mut d_networks = vec![0.0; networks.len()];
    head.backward(&networks, states, d_scores, gradient, &mut d_networks);
    let rows = d_outputs.data.chunks_exact_mut(ENCODING).zip(d_networks.chunks_exact(width));
    for (d, all) in rows {
        d.copy_from_slice(&all[..ENCODING]);
        d_biases.iter_mut().zip(d).for_each(|(b, d)| *b += *d);
    }
    loss
}

/// Returns the mean over comparable pairs of max(0, margin − (score of the slower − score of the
/// faster)), and its gradient. Equally fast ones are not compared.
fn hinge(scores: &[f32], slower: &impl Fn(usize, usize) -> Option<f64>) -> (f64, Vec<f32>) {
    let mut d = vec![0.0; scores.len()];
    let (mut sum, mut pairs) = (0.0, 0);
    for a in 0..scores.len() {
        for b in a + 1..scores.len() {
            let Some(by) = slower(a, b).filter(|by| *by != 0.0) else { continue };
            pairs += 1;
            let sign = by.signum() as f32;
            let short = MARGIN - sign * (scores[a] - scores[b]);
            if short > 0.0 {
                sum += f64::from(short);
                d[a] -= sign;
                d[b] += sign;
            }
        }
    }
    let each = 1.0 / f64::from(pairs.max(1));
    d.iter_mut().for_each(|d| *d *= each as f32);
    (sum * each, d)
}

/// Makes a graph of each pair of a row and a device: the cell as its text says under the global node,
/// and a node for the device that every node aggregates.
fn graphs(pool: &Pool, devices: usize, pairs: &[(usize, usize)]) -> Graphs {
    let labels = pool.space.labels().len();
    // In a chain of layers, the position decides the cost of an operation.
    let positions = if pool.space.has_uniform_layers() { 1 } else { pool.space.max_nodes() };
    let operations = labels * positions;
    let mut graphs = Graphs::new(operations + devices + 1);
    for &(row, device) in pairs {
        let cell = pool.space.graph(&pool.archs[row], View::Raw);
        let label = |v: usize| (v % positions) * labels + usize::from(cell.labels[v]);
        graphs.labels.push(Some((operations + devices) as u32));
        graphs.labels.push(Some((operations + device) as u32));
        graphs.aggregates.push(0..cell.len() as u32 + 2);
        graphs.aggregates.push([1]);
        for v in 0..cell.len() {
            graphs.labels.push(Some(label(v) as u32));
            let next = cell.successors(v).map(|u| u as u32 + 2);
            graphs.aggregates.push([1, v as u32 + 2].into_iter().chain(next));
        }
        graphs.starts.push(graphs.labels.len() as u32);
    }
    graphs
}

#[cfg(test)]
mod tests;
