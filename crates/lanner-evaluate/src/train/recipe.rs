use lanner_data::images::Augmentation;

use crate::EvaluateError;

/// Hyper-parameters of a training. [`TrainRecipe::default`] is for small budgets.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainRecipe {
    /// Number of passes over the training images.
    pub epochs: usize,
    /// Largest number of images of a step. The steps of an epoch have equal sizes, to within one
    /// image.
    pub batch: usize,
    /// Highest learning rate; it falls by a cosine to zero.
    pub learning_rate: f32,
    /// Number of epochs over which the learning rate rises first.
    pub warm_up: f32,
    /// Nesterov's momentum.
    pub momentum: f32,
    /// Weight decay of kernels and matrices; batch norms and biases have none, since they do not make
    /// a network complex.
    pub weight_decay: f32,
    /// Fraction of a label that is spread over all classes.
    pub label_smoothing: f32,
    /// Augmentation; `None` chooses it by the images. Colour images are then flipped, and cropped
    /// after padding by an eighth of their size, as is usual for CIFAR; grey ones are not augmented,
    /// since drawings and digits have a direction.
    pub augmentation: Option<Augmentation>,
}

impl Default for TrainRecipe {
    fn default() -> Self {
        TrainRecipe {
            epochs: 10,
            batch: 64,
            learning_rate: 0.2,
            warm_up: 1.0,
            momentum: 0.9,
            weight_decay: 5e-4,
            label_smoothing: 0.1,
            augmentation: None,
        }
    }
}

impl TrainRecipe {
    /// Checks that each value is in its range.
    pub fn check(&self) -> Result<(), EvaluateError> {
        let wrong = |name, value: String, expected: &str| {
            Err(EvaluateError::Value { name, value, expected: expected.into() })
        };
        let &TrainRecipe {
            learning_rate, warm_up, momentum, weight_decay, label_smoothing, ..
        } = self;
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return wrong(name, "0".into(), "1 or more");
            }
        }
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return wrong("learning rate", learning_rate.to_string(), "more than 0");
        }
        for (name, value) in [("warm-up", warm_up), ("weight decay", weight_decay)] {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(name, value.to_string(), "0 or more");
            }
        }
        for (name, value) in [("momentum", momentum), ("label smoothing", label_smoothing)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(name, value.to_string(), "0 or more and less than 1");
            }
        }
        Ok(())
    }
}
