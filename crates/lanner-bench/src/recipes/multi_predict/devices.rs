//! The recipe `multi-predict` for a new device, in a space in which other devices were measured
//! (Akhauri & Abdelfattah, "Multi-Predict", AutoML-Conf 2023).
//!
//! One network serves all devices. An encoder of the architecture (GCN 4 × 200 → 30 on the cell as its
//! text says; for a space without cells a perceptron 100, 100 → 30 on its one-hot choices), 13
//! zero-cost proxies and a learned embedding of eight numbers a device are the inputs of a perceptron
//! [encoding; proxies; device] → 1000 → 1. It is *pre-trained* on the sources: L1 loss, AdamW, 250
//! epochs from 4e-4 along a cosine, on 900 architectures (4,000 for a space without cells). For a new
//! device, the embedding begins as that of the source whose ranking of the measured architectures is
//! most similar. The embedding and the perceptron are trained for 50 epochs from 1e-3 along a cosine,
//! with two batches an epoch. The encoder stays fixed: encodings are computed once for the whole pool.
//!
//! Differences from the authors' code: latencies are scaled to [0, 1] by the training samples, not by
//! the whole table; every new device begins from the pre-trained weights, not from the weights of the
//! device before; layers of the GCN have the layer norm of BRP-NAS, and the output has no sigmoid. A
//! batch has 128 pairs of architecture and source as theirs, but not random pairs: all sources of a
//! few architectures, each of which is encoded once.

mod interaction;
#[cfg(test)]
mod tests;

use lanner_nn::{AdamW, Matrix, cosine};
use rand::seq::SliceRandom;

use crate::recipes::SUITE_ZERO as PROXIES;
use crate::recipes::mlp::{Mlp, WEIGHT_DECAY};
use crate::recipes::multi_predict::{FINE_TUNING, PRE_TRAINING};
use crate::recipes::peers::nearest;
use crate::recipes::pre_training::{Form, check, common_rows, epochs, plus, proxies_of};
use interaction::Interaction;
use lanner_predict::encode::graph::Graphs;
use lanner_predict::general::gcn::{Scale, TargetScaling};
use lanner_predict::regress::gcn::{Gcn, Shape, Shared, Trainer};
use lanner_predict::{Pool, PredictError};

const ENCODING: usize = 30;
/// Number and width of the GCN's layers.
const GRAPH_LAYERS: usize = 4;
const GRAPH_WIDTH: usize = 200;
/// Number and width of the perceptron's hidden layers.
const CHOICE_LAYERS: usize = 2;
const CHOICE_WIDTH: usize = 100;
/// Pairs of architecture and source in a step.
const BATCH: usize = 128;
/// Rows predicted at once.
const BLOCK: usize = 512;

/// Inputs of the network for a pool's architectures.
pub struct Inputs {
    form: Form,
    /// Normalised, p × 13.
    proxies: Vec<f32>,
}

impl Inputs {
    /// Encodes a pool. `proxies` are columns over the pool with the names of NAS-Bench-Suite-Zero; a
    /// missing proxy or value becomes 0 after normalisation.
    pub fn new(pool: &Pool, proxies: &[(String, Vec<f64>)]) -> Inputs {
        Inputs { form: Form::new(pool), proxies: proxies_of(pool, proxies) }
    }

    fn len(&self) -> usize {
        self.proxies.len() / PROXIES.len()
    }

    fn proxies(&self, row: usize) -> &[f32] {
        &self.proxies[row * PROXIES.len()..][..PROXIES.len()]
    }

    /// Number of architectures to pre-train on.
    fn wanted(&self) -> usize {
        match self.form {
            Form::Graphs(_) => 900,
            Form::Choices(_) => 4000,
        }
    }
}

/// A network that is pre-trained on the sources.
pub struct PreTrained {
    /// [encoding; proxies] of the whole pool.
    networks: Matrix,
    interaction: Interaction,
}

impl PreTrained {
    /// Number of pre-training epochs, and of calls of `progress`.
    pub const EPOCHS: usize = PRE_TRAINING.epochs;

    /// Trains on architectures, drawn by the seed, that every source has measured (sources have one
    /// value a row of the pool, NaN where none was measured). The number of threads does not change a
    /// bit.
    pub fn new(
        inputs: &Inputs,
        sources: &[&[f64]],
        seed: u64,
        threads: usize,
        progress: impl FnMut(),
    ) -> Result<PreTrained, PredictError> {
        let plan = Plan { rows: inputs.wanted(), epochs: Self::EPOCHS };
        PreTrained::by(plan, inputs, sources, seed, threads, progress)
    }

    fn by(
        plan: Plan,
        inputs: &Inputs,
        sources: &[&[f64]],
        seed: u64,
        threads: usize,
        progress: impl FnMut(),
    ) -> Result<PreTrained, PredictError> {
        let wanted = (inputs.len(), plan.rows);
        let rows = common_rows(wanted, sources, "multi-predict", seed)?;
        let mut targets = vec![0.0; rows.len() * sources.len()];
        for (s, source) in sources.iter().enumerate() {
            let of: Vec<f64> = rows.iter().map(|&r| source[r]).collect();
            let scale = Scale::of(TargetScaling::MinMax, &of);
            let column = targets.iter_mut().skip(s).step_by(sources.len());
            column.zip(of).for_each(|(to, v)| *to = scale.apply(v) as f32);
        }
        let interaction = Interaction::new(ENCODING + PROXIES.len(), sources.len(), seed);
        let mut joint = Joint {
            inputs,
            targets,
            optimiser: AdamW::new(interaction.weights.len(), WEIGHT_DECAY),
            gradient: vec![0.0; interaction.weights.len()],
            interaction,
        };
        let networks = match &inputs.form {
            Form::Graphs(graphs) => {
                joint.train_graphs(graphs, &rows, plan, seed, threads, progress)
            }
            Form::Choices(choices) => joint.train_choices(choices, &rows, plan, seed, progress),
        };
        Ok(PreTrained { networks, interaction: joint.interaction })
    }

    /// Returns the network for a new device, from its latencies of `rows`. `sources` are those of the
    /// pre-training; they must be known at all these rows.
    pub fn adapt(
        &self,
        sources: &[&[f64]],
        (rows, latencies): (&[usize], &[f64]),
        seed: u64,
    ) -> Result<OnDevice<'_>, PredictError> {
        check(rows, latencies, "multi-predict")?;
        let scale = Scale::of(TargetScaling::MinMax, latencies);
        let mut interaction = self.interaction.of_device(nearest(sources, rows, latencies)?);
        let mut optimiser = AdamW::new(interaction.weights.len(), WEIGHT_DECAY);
        let mut gradient = vec![0.0; interaction.weights.len()];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let mut rng = lanner_nn::rng(seed, "batches of Multi-Predict");
        for epoch in 0..FINE_TUNING.epochs {
            let rate = cosine(FINE_TUNING.rate, epoch, FINE_TUNING.epochs);
            order.shuffle(&mut rng);
            for batch in order.chunks(rows.len().div_ceil(2)) {
                let networks: Vec<f32> =
                    batch.iter().flat_map(|&i| self.networks.row(rows[i])).copied().collect();
                let slope = |i: usize, _, out: f32| {
                    (out - scale.apply(latencies[batch[i]]) as f32).signum() / batch.len() as f32
                };
                interaction.gradients(&networks, slope, &mut gradient, &mut []);
                optimiser.step(&mut interaction.weights, &gradient, rate, 1);
            }
        }
        Ok(OnDevice { networks: &self.networks, interaction, scale })
    }
}

/// Length of the pre-training, and its largest number of architectures.
#[derive(Clone, Copy)]
struct Plan {
    rows: usize,
    epochs: usize,
}

/// The network adapted to one device.
pub struct OnDevice<'a> {
    networks: &'a Matrix,
    interaction: Interaction,
    scale: Scale,
}

impl OnDevice<'_> {
    /// Predicts latencies of rows of the pool, in the unit of the samples. Those of fast networks may
    /// be below 0, which the recipe does not prevent.
    pub fn predict(&self, rows: &[usize]) -> Vec<f64> {
        let block = |rows: &[usize]| -> Vec<f64> {
            let networks: Vec<f32> =
                rows.iter().flat_map(|&r| self.networks.row(r)).copied().collect();
            let out = self.interaction.forward(&networks);
            out.into_iter().map(|v| self.scale.invert(v.into())).collect()
        };
        rows.chunks(BLOCK).flat_map(block).collect()
    }
}

/// The state of the pre-training.
struct Joint<'a> {
    inputs: &'a Inputs,
    /// Scaled latencies, training rows × sources.
    targets: Vec<f32>,
    interaction: Interaction,
    optimiser: AdamW,
    gradient: Vec<f32>,
}

impl Joint<'_> {
    /// Computes the gradients of a batch's L1 loss: returns those of the interaction's weights, and
    /// writes those of the encodings to `d` (batch × ENCODING). `batch` holds positions among the
    /// training rows.
    fn gradients(&mut self, rows: &[usize], batch: &[usize], encodings: &[f32], d: &mut [f32]) {
        let width = ENCODING + PROXIES.len();
        let mut networks = Vec::with_capacity(batch.len() * width);
        for (&i, encoding) in batch.iter().zip(encodings.chunks_exact(ENCODING)) {
            networks.extend_from_slice(encoding);
            networks.extend_from_slice(self.inputs.proxies(rows[i]));
        }
        let devices = self.interaction.devices;
        let each = ((batch.len() * devices) as f32).recip();
        let slope = |i: usize, device: usize, out: f32| {
            each * (out - self.targets[batch[i] * devices + device]).signum()
        };
        let mut d_networks = vec![0.0; networks.len()];
        self.interaction.gradients(&networks, slope, &mut self.gradient, &mut d_networks);
        for (d, all) in d.chunks_exact_mut(ENCODING).zip(d_networks.chunks_exact(width)) {
            d.copy_from_slice(&all[..ENCODING]);
        }
    }

    /// Number of architectures in a step.
    fn batch(&self) -> usize {
        (BATCH / self.interaction.devices).max(1)
    }

    fn step(&mut self, rate: f32) {
        self.optimiser.step(&mut self.interaction.weights, &self.gradient, rate, 1);
    }

    /// Joins encodings and proxies of the whole pool.
    fn networks(&self, encodings: impl Iterator<Item = f32>) -> Matrix {
        let (mut encodings, rows) = (encodings, self.inputs.len());
        let mut data = Vec::with_capacity(rows * (ENCODING + PROXIES.len()));
        for row in 0..rows {
            data.extend(encodings.by_ref().take(ENCODING));
            data.extend_from_slice(self.inputs.proxies(row));
        }
        Matrix::from_rows(rows, ENCODING + PROXIES.len(), data)
    }

    fn train_graphs(
        &mut self,
        graphs: &Graphs,
        rows: &[usize],
        plan: Plan,
        seed: u64,
        threads: usize,
        progress: impl FnMut(),
    ) -> Matrix {
        let shape = Shape {
            vocabulary: graphs.vocabulary,
            widths: vec![GRAPH_WIDTH; GRAPH_LAYERS],
            outputs: ENCODING,
            biases: ENCODING,
        };
        let mut rng = lanner_nn::rng(seed, "encoder of Multi-Predict");
        let mut gcn = Gcn::new(shape, GRAPH_WIDTH, &mut rng);
        let mut trainer = Trainer::new(&gcn.shape, graphs, 0.0, WEIGHT_DECAY, seed, threads);
        let batch = self.batch();
        epochs(
            (rows.len(), batch),
            (plan.epochs, PRE_TRAINING.rate),
            seed,
            progress,
            |batch, rate| {
                let of: Vec<usize> = batch.iter().map(|&i| rows[i]).collect();
                trainer.step(&mut gcn, &of, rate, |outputs, biases, d_outputs, d_biases| {
                    let encodings: Vec<f32> = (outputs.data.chunks_exact(ENCODING))
                        .flat_map(|o| plus(o, biases))
                        .collect();
                    self.gradients(rows, batch, &encodings, &mut d_outputs.data);
                    for d in d_outputs.data.chunks_exact(ENCODING) {
                        d_biases.iter_mut().zip(d).for_each(|(b, d)| *b += d);
                    }
                    0.0
                });
                self.step(rate);
            },
        );
        let outputs = Shared::new(graphs, GRAPH_LAYERS).outputs(&gcn, threads);
        self.networks(outputs.data.chunks_exact(ENCODING).flat_map(|o| plus(o, gcn.biases())))
    }

    fn train_choices(
        &mut self,
        choices: &Matrix,
        rows: &[usize],
        plan: Plan,
        seed: u64,
        progress: impl FnMut(),
    ) -> Matrix {
        let mut widths = vec![CHOICE_WIDTH; CHOICE_LAYERS + 2];
        (widths[0], widths[CHOICE_LAYERS + 1]) = (choices.cols, ENCODING);
        let mut encoder = Mlp::of_widths(widths, seed);
        let mut optimiser = AdamW::new(encoder.weights.len(), WEIGHT_DECAY);
        let mut gradient = vec![0.0; encoder.weights.len()];
        let mut states = Vec::new();
        let batch = self.batch();
        epochs(
            (rows.len(), batch),
            (plan.epochs, PRE_TRAINING.rate),
            seed,
            progress,
            |batch, rate| {
                let input: Vec<f32> =
                    batch.iter().flat_map(|&i| choices.row(rows[i])).copied().collect();
                encoder.forward(&input, batch.len(), &mut states);
                let mut d = vec![0.0; batch.len() * ENCODING];
                self.gradients(rows, batch, &states[CHOICE_LAYERS], &mut d);
                encoder.backward(&input, &states, d, &mut gradient, &mut []);
                optimiser.step(&mut encoder.weights, &gradient, rate, 1);
                self.step(rate);
            },
        );
        encoder.forward(&choices.data, choices.rows, &mut states);
        self.networks(states.pop().unwrap_or_default().into_iter())
    }
}
