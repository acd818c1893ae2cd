use lanner_data::images::Augmentation;

use crate::EvaluateError;

/// How a network is trained. [`Recipe::default`] is for small budgets.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Passes over the training images.
    pub epochs: usize,
    /// The most images of a step. Each epoch is cut into steps of equal size, to within one image.
    pub batch: usize,
    /// The highest learning rate; it falls by a cosine to nothing.
    pub learning_rate: f32,
    /// Epochs over which the learning rate rises first.
    pub warm_up: f32,
    /// Nesterov's momentum.
    pub momentum: f32,
    /// Of kernels and matrices; not of batch norms and biases, which do not make a network complex.
    pub weight_decay: f32,
    /// The share of a label that goes to all classes alike.
    pub label_smoothing: f32,
    /// `None`: by the images. Colour images are flipped, and cropped after padding by an eighth of their
    /// size, as is usual for CIFAR; grey ones are left as they are, since drawings and digits have a
    /// direction.
    pub augmentation: Option<Augmentation>,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
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

impl Recipe {
    /// Whether each value is in its range.
    pub fn check(&self) -> Result<(), EvaluateError> {
        let wrong = |name, value: String, expected: &str| {
            Err(EvaluateError::Value { name, value, expected: expected.into() })
        };
        let &Recipe { learning_rate, warm_up, momentum, weight_decay, label_smoothing, .. } = self;
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
