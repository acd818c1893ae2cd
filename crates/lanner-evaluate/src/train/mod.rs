//! Trains a candidate: what tells how good a network is, where there is no training script yet.
//!
//! ```
//! use std::ops::ControlFlow;
//! use lanner_data::images;
//! use lanner_evaluate::train::{Data, Options, Recipe, train};
//! use lanner_network::{Nasbench201, OnnxOptions, View, onnx};
//! use lanner_space::Space;
//!
//! let arch = Space::NasBench201.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")?;
//! let small = Nasbench201 { channels: 4, cells: 1, resolution: 8, classes: 10 };
//! let network = small.build(&arch, View::Pruned)?;
//! let data = Data::new(images::by_name("digits")?, 0.2, 7)?;
//! let recipe = Recipe { epochs: 2, ..Recipe::default() };
//! let trained = train(&network, &data, &recipe, &Options::default(), |epoch| {
//!     println!("{:.1} % after {} of {}", epoch.validation.accuracy, epoch.epoch, epoch.epochs);
//!     ControlFlow::Continue(())
//! })?;
//! assert!(trained.test.accuracy > 30.0);
//! // What a runtime gets.
//! let (network, weights) = trained.weights.fold(&network)?;
//! let bytes = onnx::encode(&network, &weights, OnnxOptions::default())?;
//! # assert!(bytes.len() > 1000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The recipe.** SGD with Nesterov's momentum, a cosine schedule after a short warm-up, label
//! smoothing, weight decay, and for colour images flips and crops: [`Recipe`] has the values. A network
//! is worth most after the epoch with the best validation accuracy (of equal ones, the lowest loss), and
//! those are the weights that [`Trained`] has.
//!
//! **Batch norms.** After each epoch their statistics are taken anew, from 512 of its images.
//! PyTorch's running statistics lag behind the weights, which after a single epoch hides most of what
//! a network has learned.
//!
//! **Three parts.** [`Data`] keeps some of the training images for validation. The best epoch is chosen
//! by them, and so should networks be; test images are looked at once, at the end.
//!
//! **The same again.** Weights, the order of images and augmentation depend on the seed alone, and
//! results on nothing else, to the bit: not on the number of threads, nor on what else runs. Different
//! processors may differ in the last bits.
//!
//! **Failures.** A loss that is not finite ends a training with [`EvaluateError::Diverged`]. A network
//! that needs more memory than allowed is refused before anything runs.
//!
//! [`Table`] trains many networks into a file. How well small budgets tell which network is better at
//! full size is in `docs/training.md`.

mod data;
mod loss;
mod recipe;
mod table;
mod trainer;

use std::{ops::ControlFlow, time::Instant};

pub use data::{Data, Part};
use lanner_data::images::Draw;
use lanner_network::{Init, Network, Weights};
use lanner_nn::{Params, rng, subseed, warm_cosine};
use rand::seq::SliceRandom;
pub use recipe::Recipe;
pub use table::{Outcome, Table};
use trainer::Trainer;

use crate::EvaluateError;

/// Training images that the statistics of batch norms are taken from after an epoch, in batches.
const STATISTICS: usize = 512;

/// How a training runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Of the weights, of the order of images and of augmentation.
    pub seed: u64,
    /// Up to so many threads; 0 is taken as 1. Results do not depend on it.
    pub threads: usize,
    /// The most bytes for activations, parameters and the gradients of both; a network that needs more
    /// is an error.
    pub memory_limit: Option<u64>,
}

/// What a network is worth on some images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Images that it puts into their class, %.
    pub accuracy: f64,
    /// The mean of −log p(label), without smoothing.
    pub loss: f64,
}

/// The state after an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Of how many.
    pub epochs: usize,
    /// The mean loss of this epoch's steps, smoothing and augmentation included.
    pub train_loss: f64,
    pub validation: Quality,
    /// Since the training began.
    pub seconds: f64,
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Of the best epoch, running statistics of batch norms among them.
    pub weights: Weights,
    /// Of the best epoch; a little too good, since that is what it was chosen by.
    pub validation: Quality,
    /// Of the same weights.
    pub test: Quality,
    /// [`Epoch::train_loss`] of the last epoch.
    pub train_loss: f64,
    pub best_epoch: usize,
    /// Fewer than the recipe's where the caller stopped it.
    pub epochs: usize,
    pub seconds: f64,
}

/// Whether [`train`](fn@train) can begin at all: what it would refuse before the first step.
///
/// # Errors
/// When the data are not for this network, a value of the recipe is out of range, the batch is larger
/// than the training images are many, or more memory is needed than the limit.
pub fn fits(
    network: &Network,
    data: &Data,
    recipe: &Recipe,
    options: &Options,
) -> Result<(), EvaluateError> {
    recipe.check()?;
    data.check(network)?;
    let count = data.len(Part::Training);
    if recipe.batch > count {
        return Err(EvaluateError::Value {
            name: "batch",
            value: recipe.batch.to_string(),
            expected: format!("at most {count}, the training images"),
        });
    }
    match options.memory_limit {
        Some(limit) => trainer::fits(network, steps_of(count, recipe).1, limit, options.threads),
        None => Ok(()),
    }
}

/// Steps of an epoch, and the most images of one.
fn steps_of(count: usize, recipe: &Recipe) -> (usize, usize) {
    let steps = count.div_ceil(recipe.batch);
    (steps, count.div_ceil(steps))
}

/// Trains a network from fresh weights; `report` hears of each epoch, and may stop after it.
///
/// # Errors
/// As [`fits`], and [`EvaluateError::Diverged`] when the loss is not finite.
pub fn train(
    network: &Network,
    data: &Data,
    recipe: &Recipe,
    options: &Options,
    report: impl FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Trained, EvaluateError> {
    train_watched(network, data, recipe, options, || ControlFlow::Continue(()), report)
}

/// [`train`](fn@train) that also calls `each_step` before every step, which may wait there, or stop
/// the training: then the epoch under way does not count.
///
/// # Errors
/// As [`train`](fn@train).
pub fn train_watched(
    network: &Network,
    data: &Data,
    recipe: &Recipe,
    options: &Options,
    mut each_step: impl FnMut() -> ControlFlow<()>,
    mut report: impl FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Trained, EvaluateError> {
    fits(network, data, recipe, options)?;
    let start = Instant::now();
    let count = data.len(Part::Training);
    let (steps, size) = steps_of(count, recipe);
    let seed = subseed(options.seed, "training: weights");
    let params = Params::from_weights(network, &Weights::init(network, Init { seed }))?;
    let mut trainer = Trainer::new(network, params, size, recipe, options.threads)?;
    let augmentation = recipe.augmentation.unwrap_or(data.usual_augmentation());
    let warm_up = (f64::from(recipe.warm_up) * steps as f64) as usize;
    let batch = |order: &[usize], step, draw| {
        let part = &order[count * step / steps..count * (step + 1) / steps];
        data.augmented(part, network.input().channels, augmentation, draw)
    };
    let mut order = data.training().to_vec();
    let nothing = Quality { accuracy: f64::NEG_INFINITY, loss: f64::INFINITY };
    let mut best = (nothing, trainer.params.clone(), 0);
    let (mut epochs, mut train_loss) = (0, f64::NAN);
    'epochs: while epochs < recipe.epochs {
        order.shuffle(&mut rng(options.seed, &format!("training: order of epoch {epochs}")));
        let draw = Draw { seed: options.seed, epoch: epochs as u64 };
        let diverged =
            || EvaluateError::Diverged { network: network.name.clone(), epoch: epochs + 1 };
        let mut sum = 0.0;
        for step in 0..steps {
            if each_step().is_break() {
                break 'epochs;
            }
            let (images, labels) = batch(&order, step, draw)?;
            let (done, all) = (epochs * steps + step, recipe.epochs * steps);
            let lr = warm_cosine(recipe.learning_rate, done, all, warm_up);
            let loss = trainer.step(&images, &labels, lr)?;
            if !loss.is_finite() {
                return Err(diverged());
            }
            sum += loss * labels.len() as f64;
        }
        trainer.precise_statistics(steps.min(STATISTICS.div_ceil(size)), |step| {
            Ok(batch(&order, step, draw)?.0)
        })?;
        let validation = trainer.quality(data, Part::Validation)?;
        if !validation.loss.is_finite() {
            return Err(diverged());
        }
        epochs += 1;
        train_loss = sum / count as f64;
        let by_accuracy = validation.accuracy.total_cmp(&best.0.accuracy);
        if by_accuracy.then(best.0.loss.total_cmp(&validation.loss)).is_gt() {
            best = (validation, trainer.params.clone(), epochs);
        }
        let seconds = start.elapsed().as_secs_f64();
        let epoch = Epoch { epoch: epochs, epochs: recipe.epochs, train_loss, validation, seconds };
        if report(&epoch).is_break() {
            break;
        }
    }
    let (validation, params, best_epoch) = best;
    trainer.params = params;
    Ok(Trained {
        validation,
        test: trainer.quality(data, Part::Test)?,
        weights: trainer.params.to_weights(),
        train_loss,
        best_epoch,
        epochs,
        seconds: start.elapsed().as_secs_f64(),
    })
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
