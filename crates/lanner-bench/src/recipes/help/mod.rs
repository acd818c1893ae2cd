//! The recipe `help` for a new device (Lee et al., "HELP: Hardware-Adaptive Efficient Latency
//! Prediction for NAS via Meta-Learning", NeurIPS 2021).
//!
//! A device is described by its latencies of ten fixed *reference* architectures. The network has an
//! encoder of the architecture (four graph layers on the cell as its text says; for a space without
//! cells two linear layers on its one-hot choices), a perceptron 10 → 100 → 100 for the references,
//! and a head 200, 200 → 1 on both. Two steps of gradient descent on the few measurements adapt its
//! weights to a device. The weights before these steps are *meta-learned*, together with a rate for
//! every weight (Meta-SGD, Li et al. 2017). An episode takes up to eight sources, runs the two steps
//! on each with 10 architectures beside the references, and descends the squared error on 200 others:
//! through the steps, so that second derivatives count. 2,000 episodes of Adam at 1e-4, rates from
//! 1e-3, 900 architectures.
//!
//! Products with Hessians are exact: a direction of the weights is carried through the backward pass.
//!
//! Differences from the authors' code: latencies are scaled to [0, 1] by the measured ones (references
//! and samples, on sources too), not by 720 latencies of the device; the steps use the references as
//! well, which are measured anyway; no validation devices choose the episode to stop at; slow and fast
//! outliers are not removed. Their network that scales weights of the head by the references is left
//! out. Its divergence from the prior, with weight .1 for each of 1,203 numbers, exceeds squared
//! errors of a few hundredths, and its factor is .01: it has no reason to leave the prior, which is
//! noise.

mod network;
#[cfg(test)]
mod tests;

use lanner_nn::{AdamW, Pattern};
use lanner_space::Space;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::recipes::pre_training::{Form, check, common_rows};
use lanner_predict::general::gcn::{Scale, TargetScaling};
use lanner_predict::{Pool, PredictError};
use network::{Batch, Network, Of};

/// Numbers of the encoder's layers, for graphs and for one-hot choices, and the width of all.
const GRAPH_LAYERS: usize = 4;
const CHOICE_LAYERS: usize = 2;
const WIDTH: usize = 100;
/// Number of architectures to learn from; devices of an episode; samples and questions of each.
const ROWS: usize = 900;
const TASKS: usize = 8;
const SAMPLES: usize = 10;
const QUESTIONS: usize = 200;
/// Number of steps on a device, and the initial rate of each weight.
const STEPS: usize = 2;
const INNER_RATE: f32 = 1e-3;
const RATE: f32 = 1e-4;
/// Rows predicted at once.
const BLOCK: usize = 512;

/// The reference architectures that the authors published: for NAS-Bench-201 in its official order,
/// for FBNet in the order of the table.
pub const REFERENCES: [(Space, [usize; 10]); 2] = [
    (Space::NasBench201, [11982, 431, 55, 9, 14451, 8636, 9881, 13479, 6196, 1462]),
    (Space::Fbnet, [3328, 3790, 3313, 890, 3052, 2538, 1640, 2514, 457, 2100]),
];

/// A network that is meta-learned on the sources.
pub struct PreTrained {
    inputs: Form,
    references: Vec<usize>,
    network: Network,
    weights: Vec<f32>,
    /// Rate of each weight.
    rates: Vec<f32>,
}

impl Form {
    fn is_graphs(&self) -> bool {
        matches!(self, Form::Graphs(_))
    }

    /// Returns the number of architectures in the pool.
    fn len(&self) -> usize {
        match self {
            Form::Graphs(graphs) => graphs.len(),
            Form::Choices(choices) => choices.rows,
        }
    }

    fn features(&self) -> usize {
        match self {
            Form::Graphs(graphs) => graphs.vocabulary,
            Form::Choices(choices) => choices.cols,
        }
    }

    /// Makes a batch of these rows of the pool.
    fn batch(&self, rows: &[usize]) -> Batch {
        let graphs = match self {
            Form::Graphs(graphs) => graphs,
            Form::Choices(choices) => {
                let features = rows.iter().flat_map(|&r| choices.row(r)).copied().collect();
                return Batch { features, aggregates: None, rows: (0..rows.len()).collect() };
            }
        };
        let (mut features, mut places) = (Vec::new(), Vec::new());
        let mut aggregates = Pattern::new();
        for &row in rows {
            let nodes = graphs.nodes(row);
            let base = features.len() / graphs.vocabulary;
            // The global node comes first.
            places.push(base);
            for node in nodes.clone() {
                let moved = |&n: &u32| (base + n as usize) as u32;
                aggregates.push(graphs.aggregates.row(node).iter().map(moved));
                let hot = |l| f32::from(u8::from(graphs.labels[node] == Some(l)));
                features.extend((0..graphs.vocabulary as u32).map(hot));
            }
        }
        Batch { features, aggregates: Some(aggregates), rows: places }
    }
}

/// A device with its scaled latencies.
struct Task {
    device: Vec<f32>,
    samples: Batch,
    targets: Vec<f32>,
}

/// Length of the learning, and its largest number of architectures.
#[derive(Clone, Copy)]
struct Plan {
    rows: usize,
    episodes: usize,
}

impl PreTrained {
    /// Number of episodes, and of calls of `progress`.
    pub const EPISODES: usize = 2000;

    /// Learns from architectures, drawn by the seed, that every source has measured (sources have one
    /// value a row of the pool, NaN where none was measured). `references` are rows of the pool at
    /// which all sources are known. The number of threads does not change a bit.
    pub fn new(
        pool: &Pool,
        references: &[usize],
        sources: &[&[f64]],
        seed: u64,
        progress: impl FnMut(),
    ) -> Result<PreTrained, PredictError> {
        let plan = Plan { rows: ROWS, episodes: Self::EPISODES };
        PreTrained::by(plan, pool, references, sources, seed, progress)
    }

    fn by(
        plan: Plan,
        pool: &Pool,
        references: &[usize],
        sources: &[&[f64]],
        seed: u64,
        mut progress: impl FnMut(),
    ) -> Result<PreTrained, PredictError> {
        let mut rows = common_rows((pool.len(), plan.rows), sources, "help", seed)?;
        for (s, source) in sources.iter().enumerate() {
            if let Some(row) =
                references.iter().find(|r| !source.get(**r).is_some_and(|v| *v > 0.0))
            {
                let why = format!("help needs all references: source {} lacks row {row}", s + 1);
                return Err(PredictError::Model { why });
            }
        }
        let inputs = Form::new(pool);
        let layers = if inputs.is_graphs() { GRAPH_LAYERS } else { CHOICE_LAYERS };
        let network = Network::new(inputs.features(), layers, references.len(), WIDTH);
        let weights = network.weights(inputs.is_graphs(), seed);
        let rates = vec![INNER_RATE; weights.len()];
        let references = references.to_vec();
        let mut learned = PreTrained { inputs, references, network, weights, rates };
        let size = learned.weights.len();
        let mut optimisers = [AdamW::new(size, 0.0), AdamW::new(size, 0.0)];
        let mut rng = lanner_nn::rng(seed, "episodes of HELP");
        let mut devices: Vec<usize> = (0..sources.len()).collect();
        for _ in 0..plan.episodes {
            devices.shuffle(&mut rng);
            let tasks: Vec<(usize, Vec<usize>)> = (devices.iter().take(TASKS))
                .map(|&d| {
                    let wanted = (SAMPLES + QUESTIONS).min(rows.len());
                    (d, rows.partial_shuffle(&mut rng, wanted).0.to_vec())
                })
                .collect();
            let gradients: Vec<[Vec<f32>; 2]> = (tasks.par_iter())
                .map(|(device, rows)| learned.episode(sources[*device], rows))
                .collect();
            let PreTrained { weights, rates, .. } = &mut learned;
            let each = 1.0 / gradients.len() as f32;
            for (which, params) in [weights, rates].into_iter().enumerate() {
                let mut mean = vec![0.0; size];
                for gradient in &gradients {
                    mean.iter_mut().zip(&gradient[which]).for_each(|(m, g)| *m += each * g);
                }
                optimisers[which].step(params, &mean, RATE, 1);
            }
            progress();
        }
        Ok(learned)
    }

    /// Computes the gradients, by weights and by rates, of a device's error on the rows after its
    /// samples.
    fn episode(&self, source: &[f64], rows: &[usize]) -> [Vec<f32>; 2] {
        let (samples, questions) = rows.split_at(SAMPLES.min(rows.len() / 2));
        let latencies: Vec<f64> = samples.iter().map(|&r| source[r]).collect();
        let known: Vec<f64> = self.references.iter().map(|&r| source[r]).collect();
        let (task, scale) = self.task(&known, samples, &latencies);
        let targets: Vec<f32> = questions.iter().map(|&r| scale.apply(source[r]) as f32).collect();
        self.meta_gradients(&task, &self.inputs.batch(questions), &targets)
    }

    /// Computes the gradients, by weights and by rates, of the error after the steps.
    fn meta_gradients(&self, task: &Task, questions: &Batch, targets: &[f32]) -> [Vec<f32>; 2] {
        let PreTrained { network, rates, .. } = self;
        let Task { device, samples, targets: known } = task;
        let (path, gradients) = self.descend(task);
        let (last, before) = path.split_last().map_or((&[][..], &[][..]), |(l, b)| (&l[..], b));
        let mut towards = network.gradient(Of::fixed(last), questions, device, targets).value;
        let mut by_rates = vec![0.0; rates.len()];
        for (weights, gradient) in before.iter().zip(&gradients).rev() {
            let products = gradient.iter().zip(&towards).map(|(g, t)| g * t);
            by_rates.iter_mut().zip(products).for_each(|(b, p)| *b -= p);
            let slope: Vec<f32> = rates.iter().zip(&towards).map(|(r, t)| r * t).collect();
            let along = Of { value: weights, slope: &slope };
            let curved = network.gradient(along, samples, device, known).slope;
            towards.iter_mut().zip(curved).for_each(|(t, c)| *t -= c);
        }
        [towards, by_rates]
    }

    /// Returns the weights before, between and after the steps on a device, and their gradients.
    fn descend(&self, task: &Task) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let (mut path, mut gradients) = (vec![self.weights.clone()], Vec::new());
        for step in 0..STEPS {
            let (at, Task { device, samples, targets }) = (&path[step], task);
            let gradient = self.network.gradient(Of::fixed(at), samples, device, targets).value;
            let steps = self.rates.iter().zip(&gradient).map(|(r, g)| r * g);
            let next = at.iter().zip(steps).map(|(w, s)| w - s).collect();
            path.push(next);
            gradients.push(gradient);
        }
        (path, gradients)
    }

    /// Makes a device from its latencies of the references and of samples.
    fn task(&self, known: &[f64], samples: &[usize], latencies: &[f64]) -> (Task, Scale) {
        let all: Vec<f64> = known.iter().chain(latencies).copied().collect();
        let (scale, own) =
            (Scale::of(TargetScaling::MinMax, &all), Scale::of(TargetScaling::MinMax, known));
        let device = known.iter().map(|&v| own.apply(v) as f32).collect();
        let targets = all.iter().map(|&v| scale.apply(v) as f32).collect();
        let rows: Vec<usize> = self.references.iter().chain(samples).copied().collect();
        (Task { device, samples: self.inputs.batch(&rows), targets }, scale)
    }

    /// Returns the network for a new device, from its latencies of `rows`, which must include the
    /// references.
    pub fn adapt(&self, rows: &[usize], latencies: &[f64]) -> Result<OnDevice<'_>, PredictError> {
        check(rows, latencies, "help")?;
        let pool = self.inputs.len();
        if let Some(row) = rows.iter().find(|r| **r >= pool) {
            let why = format!("row {row} of a pool of {pool}: was it measured in another space?");
            return Err(PredictError::Model { why });
        }
        let at = |row: usize| rows.iter().position(|&r| r == row).map(|i| latencies[i]);
        let known: Option<Vec<f64>> = self.references.iter().map(|&r| at(r)).collect();
        let known = known.ok_or_else(|| PredictError::Model {
            why: "help needs the latencies of all references".into(),
        })?;
        let others = rows.iter().zip(latencies).filter(|x| !self.references.contains(x.0));
        let (samples, latencies): (Vec<usize>, Vec<f64>) = others.map(|(&r, &v)| (r, v)).unzip();
        let (task, scale) = self.task(&known, &samples, &latencies);
        let weights = self.descend(&task).0.pop().unwrap_or_default();
        Ok(OnDevice { learned: self, weights, device: task.device, scale })
    }
}

/// The network adapted to one device.
pub struct OnDevice<'a> {
    learned: &'a PreTrained,
    weights: Vec<f32>,
    device: Vec<f32>,
    scale: Scale,
}

impl OnDevice<'_> {
    /// Predicts latencies of rows of the pool, in the unit of the samples. Those of fast networks may
    /// be below 0, which the recipe does not prevent.
    pub fn predict(&self, rows: &[usize]) -> Vec<f64> {
        let PreTrained { inputs, network, .. } = self.learned;
        let block = |rows: &[usize]| -> Vec<f64> {
            let out = network.predict(&self.weights, &inputs.batch(rows), &self.device);
            out.into_iter().map(|v| self.scale.invert(v.into())).collect()
        };
        rows.chunks(BLOCK).flat_map(block).collect()
    }
}
