//! Evaluation by training the network here.

use std::ops::ControlFlow;

use lanner_network::{OnnxOptions, Skeleton, View, onnx};

use super::{Answer, Evaluator, ImageInput, Place, Request};
use crate::{
    EvaluateError,
    train::{TrainData, TrainOptions, TrainRecipe, train_watched},
};

/// Metrics that a training returns.
pub const TRAINED: [&str; 6] =
    ["val_accuracy", "test_accuracy", "val_loss", "test_loss", "train_loss", "seconds"];

/// Trains each network on one thread.
pub struct TrainEvaluator {
    pub data: TrainData,
    /// Name of the data set.
    pub dataset: String,
    pub recipe: TrainRecipe,
    pub skeleton: Skeleton,
    /// Memory limit of one training, bytes.
    pub memory_limit: Option<u64>,
}

impl Evaluator for TrainEvaluator {
    /// Trains, and writes the trained network to [`Request::out`].
    fn evaluate(&self, request: &Request) -> Result<Answer, EvaluateError> {
        let network = self.skeleton.build(request.arch, View::Pruned)?;
        let options =
            TrainOptions { seed: request.seed, threads: 1, memory_limit: self.memory_limit };
        let go_on = || match (request.stop)() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let trained =
            train_watched(&network, &self.data, &self.recipe, &options, go_on, |_| go_on());
        let trained = match trained {
            Err(e @ EvaluateError::Diverged { .. }) => return Ok(Answer::Failed(e.to_string())),
            other => other?,
        };
        if trained.epochs < self.recipe.epochs {
            return Ok(Answer::Stopped);
        }
        let (network, weights) = trained.weights.fold(&network)?;
        let model = onnx::encode(&network, &weights, OnnxOptions::default())?;
        lanner_data::write_file(request.out, &model)?;
        let values = [
            trained.validation.accuracy,
            trained.test.accuracy,
            trained.validation.loss,
            trained.test.loss,
            trained.train_loss,
            trained.seconds,
        ];
        Ok(Answer::Metrics(TRAINED.map(String::from).into_iter().zip(values).collect()))
    }

    fn may_tell(&self, metric: &str) -> bool {
        TRAINED.contains(&metric)
    }

    fn place(&self) -> Place {
        Place::Here
    }

    fn images(&self) -> Option<ImageInput> {
        Some(ImageInput {
            dataset: self.dataset.clone(),
            statistics: self.data.statistics().clone(),
            classes: self.data.classes().to_vec(),
        })
    }
}
