//! One network in training: its steps and its quality so far.

use lanner_network::{Cost, Network};
use lanner_nn::{ExecError, ExecOptions, Executor, Float, Mode, Params, Sgd, Wants};

use super::{DataPart, Quality, TrainData, TrainRecipe, loss};
use crate::EvaluateError;

/// Number of copies of the parameters: themselves, those of the best epoch, gradients, velocities, and
/// those that are returned.
const COPIES: u64 = 5;

/// Checks that steps of `batch` images stay within a limit of memory, in bytes.
pub fn fits(
    network: &Network,
    batch: usize,
    limit: u64,
    threads: usize,
) -> Result<(), EvaluateError> {
    let nothing =
        ExecOptions { threads, training: true, memory_limit: Some(0), ..ExecOptions::default() };
    // With a limit of 0, the error says how much memory is needed.
    match Executor::<f32>::new(network, batch, nothing) {
        Err(ExecError::Memory { network: name, batch, needed, .. }) => {
            let copies = Cost::of(network).params.saturating_mul(4 * COPIES);
            let needed = needed.saturating_add(copies);
            match needed <= limit {
                true => Ok(()),
                false => Err(ExecError::Memory { network: name, batch, needed, limit }.into()),
            }
        }
        other => Ok(other.map(drop)?),
    }
}

/// A network in training, in `f32`. Tests use `f64`, since tiny differences grow when they put a
/// number on the other side of a ReLU.
pub struct Trainer<T> {
    executor: Executor<T>,
    pub params: Params<T>,
    sgd: Sgd<T>,
    label_smoothing: f32,
    /// Largest number of images of a step.
    batch: usize,
    gradients: Vec<T>,
    d_output: Vec<T>,
}

impl<T: Float> Trainer<T> {
    pub fn new(
        network: &Network,
        params: Params<T>,
        batch: usize,
        recipe: &TrainRecipe,
        threads: usize,
    ) -> Result<Trainer<T>, EvaluateError> {
        let run = ExecOptions { threads, training: true, ..ExecOptions::default() };
        let executor = Executor::new(network, batch, run)?;
        let norm_or_none = |p: &&lanner_nn::LayerPlace| p.mean.is_empty() && !p.weight.is_empty();
        let kernels = params.layout.layers.iter().filter(norm_or_none);
        let decayed = kernels.map(|p| p.weight.clone()).collect();
        let len = params.values.len();
        Ok(Trainer {
            executor,
            params,
            sgd: Sgd::new(len, recipe.momentum, recipe.weight_decay, decayed),
            label_smoothing: recipe.label_smoothing,
            batch,
            gradients: vec![T::ZERO; len],
            d_output: Vec::new(),
        })
    }

    /// Takes one step; returns the loss before it. Running statistics do not change.
    pub fn step(&mut self, images: &[T], labels: &[u16], lr: f32) -> Result<f64, EvaluateError> {
        let logits = self.executor.forward(&self.params, images, Mode::Batch, &())?;
        let loss = loss::cross_entropy(logits, labels, self.label_smoothing, &mut self.d_output);
        let (params, gradients) = (&self.params, &mut self.gradients);
        self.executor.backward(params, &self.d_output, Wants::PARAMS, gradients, &())?;
        self.sgd.step(&mut self.params.values, &self.gradients, lr);
        Ok(loss)
    }

    /// Computes the running statistics anew with the present weights, as means over `batches` batches.
    /// Statistics that follow the steps slowly belong to old weights; after a few dozen steps, a
    /// network without skip connections may then look no better than chance (Wu and Johnson,
    /// "Rethinking Batch in BatchNorm", 2021, §3).
    pub fn precise_statistics(
        &mut self,
        batches: usize,
        mut images: impl FnMut(usize) -> Result<Vec<T>, EvaluateError>,
    ) -> Result<(), EvaluateError> {
        if self.params.layout.layers.iter().all(|place| place.mean.is_empty()) {
            return Ok(()); // no batch norms
        }
        for i in 0..batches {
            self.executor.forward(&self.params, &images(i)?, Mode::Batch, &())?;
            self.executor.update_running(&mut self.params, 1.0 / (i + 1) as f64)?;
        }
        Ok(())
    }

    /// Computes outputs with running statistics, as a runtime would.
    pub fn outputs(&mut self, images: &[T]) -> Result<&[T], EvaluateError> {
        Ok(self.executor.forward(&self.params, images, Mode::Running, &())?)
    }
}

impl Trainer<f32> {
    /// Quality of the network on a part of the data.
    pub fn quality(&mut self, data: &TrainData, part: DataPart) -> Result<Quality, EvaluateError> {
        let channels = self.executor.network().input().channels;
        let count = data.len(part);
        let (mut loss, mut hits) = (0.0, 0);
        for start in (0..count).step_by(self.batch) {
            let size = self.batch.min(count - start);
            let (images, labels) = data.batch(part, start, size, channels)?;
            let (more_loss, more_hits) = loss::hits(self.outputs(&images)?, &labels);
            loss += more_loss;
            hits += more_hits;
        }
        let count = count as f64;
        Ok(Quality { accuracy: 100.0 * hits as f64 / count, loss: loss / count })
    }
}
