//! Trains candidates to see how good they are, for users without a training script.
//!
//! ```
//! use std::ops::ControlFlow;
//! use lanner_data::images;
//! use lanner_evaluate::train::{TrainData, TrainOptions, TrainRecipe, train};
//! use lanner_network::{Nasbench201, OnnxOptions, View, onnx};
//! use lanner_space::Space;
//!
//! let arch = Space::NasBench201.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")?;
//! let small = Nasbench201 { channels: 4, cells: 1, resolution: 8, classes: 10 };
//! let network = small.build(&arch, View::Pruned)?;
//! let data = TrainData::new(images::by_name("digits")?, 0.2, 7)?;
//! let recipe = TrainRecipe { epochs: 2, ..TrainRecipe::default() };
//! let trained = train(&network, &data, &recipe, &TrainOptions::default(), |epoch| {
//!     println!("{:.1} % after {} of {}", epoch.validation.accuracy, epoch.epoch, epoch.epochs);
//!     ControlFlow::Continue(())
//! })?;
//! assert!(trained.test.accuracy > 30.0);
//! // Fold batch norms for a runtime.
//! let (network, weights) = trained.weights.fold(&network)?;
//! let bytes = onnx::encode(&network, &weights, OnnxOptions::default())?;
//! # assert!(bytes.len() > 1000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The recipe.** SGD with Nesterov's momentum, a cosine schedule after a short warm-up, label
//! smoothing, weight decay, and for colour images flips and crops: [`TrainRecipe`] has the values.
//! [`Trained`] has the weights after the epoch with the best validation accuracy (among equal ones,
//! the lowest loss).
//!
//! **Batch norms.** After each epoch their statistics are taken anew, from 512 of its images.
//! PyTorch's running statistics lag behind the weights, which after a single epoch hides most of what
//! a network has learned.
//!
//! **Three parts.** [`TrainData`] keeps some of the training images for validation. Choose networks by the
//! validation images, as the best epoch is chosen; the test images are used once, at the end.
//!
//! **Determinism.** Weights, the order of images and augmentation depend on the seed alone. Results are
//! the same to the bit for any number of threads and whatever else runs. Processors may differ in the
//! last bits.
//!
//! **Failures.** A loss that is not finite ends a training with [`EvaluateError::Diverged`]. A network
//! that needs more memory than allowed is refused before anything runs.
//!
//! [`TrainCampaign`] trains many networks into a file. `docs/training.md` shows how well small budgets predict
//! which network is better at full size.

mod campaign;
mod data;
mod loss;
mod recipe;
mod trainer;

use std::{ops::ControlFlow, time::Instant};

pub use campaign::{TrainCampaign, TrainSummary};
pub use data::{DataPart, TrainData};
use lanner_data::images::EpochSeed;
use lanner_network::{Init, Network, Weights};
use lanner_nn::{Params, rng, subseed, warm_cosine};
use rand::seq::SliceRandom;
pub use recipe::TrainRecipe;
use trainer::Trainer;

use crate::EvaluateError;

/// Number of training images for the statistics of batch norms after an epoch, rounded up to batches.
const STATISTICS: usize = 512;

/// TrainOptions of a training, beside the recipe.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// Seed of the weights, the order of images and the augmentation.
    pub seed: u64,
    /// Largest number of threads; 0 is taken as 1. Results do not depend on it.
    pub threads: usize,
    /// Limit of the memory for activations, parameters and the gradients of both, in bytes; a network
    /// that needs more is an error.
    pub memory_limit: Option<u64>,
}

/// Quality of a network on some images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Images classified correctly, in percent.
    pub accuracy: f64,
    /// Mean of −log p(label), without smoothing.
    pub loss: f64,
}

/// State after an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of epochs in all.
    pub epochs: usize,
    /// Mean loss of this epoch's steps, smoothing and augmentation included.
    pub train_loss: f64,
    pub validation: Quality,
    /// Time since the training began.
    pub seconds: f64,
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Weights of the best epoch, including the running statistics of batch norms.
    pub weights: Weights,
    /// Quality of the best epoch, slightly optimistic since the epoch was chosen by it.
    pub validation: Quality,
    /// Test quality of the same weights.
    pub test: Quality,
    /// [`Epoch::train_loss`] of the last epoch.
    pub train_loss: f64,
    pub best_epoch: usize,
    /// Number of epochs, fewer than the recipe's if the caller stopped the training.
    pub epochs: usize,
    pub seconds: f64,
}

/// Checks that [`train`](fn@train) can begin, without training.
///
/// # Errors
/// When the data do not fit the network, a value of the recipe is out of range, the batch is larger
/// than the number of training images, or more memory is needed than the limit.
pub fn fits(
    network: &Network,
    data: &TrainData,
    recipe: &TrainRecipe,
    options: &TrainOptions,
) -> Result<(), EvaluateError> {
    recipe.check()?;
    data.check(network)?;
    let count = data.len(DataPart::Training);
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

/// Number of steps of an epoch, and the largest number of images of a step.
fn steps_of(count: usize, recipe: &TrainRecipe) -> (usize, usize) {
    let steps = count.div_ceil(recipe.batch);
    (steps, count.div_ceil(steps))
}

/// Trains a network from fresh weights. `report` is called after each epoch, and may stop the
/// training.
///
/// # Errors
/// As for [`fits`], and [`EvaluateError::Diverged`] when the loss is not finite.
pub fn train(
    network: &Network,
    data: &TrainData,
    recipe: &TrainRecipe,
    options: &TrainOptions,
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
    data: &TrainData,
    recipe: &TrainRecipe,
    options: &TrainOptions,
    mut each_step: impl FnMut() -> ControlFlow<()>,
    mut report: impl FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Trained, EvaluateError> {
    fits(network, data, recipe, options)?;
    let start = Instant::now();
    let count = data.len(DataPart::Training);
    let (steps, size) = steps_of(count, recipe);
    let seed = subseed(options.seed, "training: weights");
    let params = Params::from_weights(network, &Weights::init(network, Init { seed }))?;
    let mut trainer = Trainer::new(network, params, size, recipe, options.threads)?;
    let augmentation = recipe.augmentation.unwrap_or(data.usual_augmentation());
    let warm_up = (f64::from(recipe.warm_up) * steps as f64) as usize;
    let batch = |order: &[usize], step, epoch_seed| {
        let part = &order[count * step / steps..count * (step + 1) / steps];
        data.augmented(part, network.input().channels, augmentation, epoch_seed)
    };
    let mut order = data.training().to_vec();
    let nothing = Quality { accuracy: f64::NEG_INFINITY, loss: f64::INFINITY };
    let mut best = (nothing, trainer.params.clone(), 0);
    let (mut epochs, mut train_loss) = (0, f64::NAN);
    'epochs: while epochs < recipe.epochs {
        order.shuffle(&mut rng(options.seed, &format!("training: order of epoch {epochs}")));
        let epoch_seed = EpochSeed { seed: options.seed, epoch: epochs as u64 };
        let diverged =
            || EvaluateError::Diverged { network: network.name.clone(), epoch: epochs + 1 };
        let mut sum = 0.0;
        for step in 0..steps {
            if each_step().is_break() {
                break 'epochs;
            }
            let (images, labels) = batch(&order, step, epoch_seed)?;
            let (done, all) = (epochs * steps + step, recipe.epochs * steps);
            let lr = warm_cosine(recipe.learning_rate, done, all, warm_up);
            let loss = trainer.step(&images, &labels, lr)?;
            if !loss.is_finite() {
                return Err(diverged());
            }
            sum += loss * labels.len() as f64;
        }
        trainer.precise_statistics(steps.min(STATISTICS.div_ceil(size)), |step| {
            Ok(batch(&order, step, epoch_seed)?.0)
        })?;
        let validation = trainer.quality(data, DataPart::Validation)?;
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
        test: trainer.quality(data, DataPart::Test)?,
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
