//! Named sets of hyper-parameters for regression with a GCN.

use crate::encode::graph::Encoding;

/// Everything that [`super::fit`] decides by.
#[derive(Debug, Clone, PartialEq)]
pub struct GcnRecipe {
    /// The name in model files and on the command line.
    pub name: &'static str,
    pub encoding: Encoding,
    /// The width of each layer.
    pub widths: Vec<usize>,
    /// Dropped after each layer.
    pub dropout: f32,
    pub target: TargetScaling,
    pub loss: Loss,
    /// Graphs a step.
    pub batch: usize,
    /// The most epochs.
    pub epochs: usize,
    pub learning_rate: f32,
    pub weight_decay: f32,
    pub schedule: Schedule,
    /// Stop after this many epochs without a better validation loss (only after epoch 20).
    pub early_stop: Option<usize>,
    /// Keep the weights of the epoch with the best validation loss; else those of the last epoch.
    /// Without a validation set the training set in evaluation mode serves, as in the authors' code.
    pub keep_best: bool,
    /// Networks trained from different seeds; the prediction is their mean.
    pub members: usize,
}

/// Conversion of targets to numbers of order one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetScaling {
    /// Linear to [0, 1] over the training targets, as the authors' `normalize.py`.
    MinMax,
    /// Mean 0 and deviation 1.
    Standard,
    /// The logarithm, to mean 0 and deviation 1: errors count relative to the value.
    LogStandard,
}

/// Summed over a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// |p − t|
    L1,
    /// √(1 + (p − t)²·100) / 10: quadratic below about 0.1, absolute above.
    SmoothL1,
    /// (p − t)²
    Squared,
}

/// The learning rate of each epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Cosine to zero over all epochs.
    Cosine,
    /// Halved when the validation loss has not fallen by `threshold` (a ratio) for `patience`
    /// epochs; only after epoch 20.
    Plateau { patience: usize, threshold: f64 },
}

impl GcnRecipe {
    /// BRP-NAS, latency: 4 × 600, L1, batch 1, halved on plateau.
    pub fn brp_nas_latency() -> GcnRecipe {
        GcnRecipe {
            name: "brp-nas",
            encoding: Encoding::BrpNas,
            widths: vec![600; 4],
            dropout: 0.002,
            target: TargetScaling::MinMax,
            loss: Loss::L1,
            batch: 1,
            epochs: 250,
            learning_rate: 4e-4,
            weight_decay: 5e-4,
            schedule: Schedule::Plateau { patience: 10, threshold: 0.01 },
            early_stop: Some(35),
            keep_best: true,
            members: 1,
        }
    }

    /// BRP-NAS, accuracy from single models: 4 × 600, L1, batch 64, cosine. (The authors' code stops
    /// early here too.)
    pub fn brp_nas_accuracy() -> GcnRecipe {
        GcnRecipe {
            dropout: 0.2,
            batch: 64,
            learning_rate: 3.5e-4,
            schedule: Schedule::Cosine,
            ..GcnRecipe::brp_nas_latency()
        }
    }

    /// A narrow, fast ensemble on raw and pruned cell.
    pub fn default_latency() -> GcnRecipe {
        GcnRecipe {
            name: "default",
            encoding: Encoding::Both,
            widths: vec![128; 4],
            dropout: 0.0,
            target: TargetScaling::LogStandard,
            loss: Loss::SmoothL1,
            batch: 32,
            epochs: 150,
            learning_rate: 2e-3,
            weight_decay: 1e-2,
            schedule: Schedule::Cosine,
            early_stop: None,
            keep_best: false,
            members: 4,
        }
    }

    /// Recipe for accuracies. It differs from [`GcnRecipe::default_latency`]: no logarithm, fewer
    /// and wider layers, more regularisation.
    pub fn default_accuracy() -> GcnRecipe {
        GcnRecipe {
            widths: vec![256; 2],
            dropout: 0.1,
            target: TargetScaling::Standard,
            ..GcnRecipe::default_latency()
        }
    }
}

impl Loss {
    /// The loss of one prediction and its derivative.
    pub(crate) fn at(self, residual: f32) -> (f32, f32) {
        match self {
            Loss::L1 => (residual.abs(), if residual == 0.0 { 0.0 } else { residual.signum() }),
            Loss::SmoothL1 => {
                let root = (1.0 + residual * residual * 100.0).sqrt();
                (root / 10.0, residual * 10.0 / root)
            }
            Loss::Squared => (residual * residual, 2.0 * residual),
        }
    }
}

/// A target transform with the constants found on the training targets.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scale {
    pub log: bool,
    pub shift: f64,
    /// Factor, which is not zero.
    pub factor: f64,
}

impl Scale {
    /// The constants for these targets. For [`TargetScaling::LogStandard`] they must be positive.
    pub fn of(target: TargetScaling, values: &[f64]) -> Scale {
        let log = target == TargetScaling::LogStandard;
        let values = values.iter().map(|&v| if log { v.ln() } else { v });
        let n = values.len().max(1) as f64;
        let (shift, factor) = match target {
            TargetScaling::MinMax => {
                let low = values.clone().fold(f64::INFINITY, f64::min);
                (low, values.fold(f64::NEG_INFINITY, f64::max) - low)
            }
            TargetScaling::Standard | TargetScaling::LogStandard => {
                let mean = values.clone().sum::<f64>() / n;
                (mean, (values.map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
            }
        };
        // Targets that are all equal: any factor does.
        let factor = if factor > 0.0 { factor } else { 1.0 };
        Scale { log, shift, factor }
    }

    /// Converts a value from the target's unit to the number that the network learns.
    pub fn apply(&self, value: f64) -> f64 {
        ((if self.log { value.ln() } else { value }) - self.shift) / self.factor
    }

    /// Back to the target's unit.
    pub fn invert(&self, value: f64) -> f64 {
        let value = value * self.factor + self.shift;
        if self.log { value.exp() } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_invert_and_bring_targets_to_order_one() {
        let values = [3.0, 4.0, 10.0, 7.5];
        for target in [TargetScaling::MinMax, TargetScaling::Standard, TargetScaling::LogStandard] {
            let scale = Scale::of(target, &values);
            let scaled: Vec<f64> = values.iter().map(|&v| scale.apply(v)).collect();
            assert!(values.iter().zip(&scaled).all(|(v, s)| (scale.invert(*s) - v).abs() < 1e-12));
            assert!(scaled.iter().all(|s| s.abs() < 2.0));
        }
        assert_eq!(Scale::of(TargetScaling::MinMax, &values).apply(10.0), 1.0);
        let same = Scale::of(TargetScaling::Standard, &[5.0; 3]);
        assert_eq!(same.invert(same.apply(5.0)), 5.0);
    }

    #[test]
    fn derivatives_of_losses() {
        for loss in [Loss::L1, Loss::SmoothL1, Loss::Squared] {
            for r in [-1.3f32, -0.05, 0.02, 0.7] {
                let numeric = (loss.at(r + 1e-3).0 - loss.at(r - 1e-3).0) / 2e-3;
                assert!((numeric - loss.at(r).1).abs() < 1e-2, "{loss:?} at {r}");
            }
        }
    }
}
