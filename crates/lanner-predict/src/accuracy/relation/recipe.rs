//! Named sets of hyper-parameters for binary relations.

use lanner_nn::Matrix;

use super::margins::Margins;
use crate::encode::graph::Encoding;

/// Method by which [`super::fit`] learns a relation.
#[derive(Debug, Clone, PartialEq)]
pub enum RelationRecipe {
    /// Thurstone's model, see [`super::Thurstone`]. It has nothing to set.
    Thurstone,
    /// Graph networks trained on pairs.
    Networks(NetworkRecipe),
}

/// Everything that the training of networks on pairs decides by.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkRecipe {
    /// The name in model files and on the command line.
    pub name: &'static str,
    pub encoding: Encoding,
    /// The width of each layer.
    pub widths: Vec<usize>,
    /// Dropped after each layer.
    pub dropout: f32,
    pub objective: Objective,
    pub worth: Worth,
    pub pairs: Pairs,
    /// The most passes over all pairs or models.
    pub epochs: usize,
    /// Falls to zero by a cosine over the epochs.
    pub learning_rate: f32,
    pub weight_decay: f32,
    /// Stop after this many epochs without a better training loss (in evaluation mode; only after
    /// epoch 20), and keep the weights of the best epoch. None: the weights of the last epoch.
    pub early_stop: Option<usize>,
    /// Networks trained from different seeds.
    pub members: usize,
}

/// Target of a pair's prediction; u is the [`Worth`] of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Two outputs and a softmax; KL divergence to softmax([u_a, u_b]).
    Softmax,
    /// One output and a sigmoid; cross-entropy to (u_a − u_b + 1)/2 clipped to 0..1.
    OneWay,
    /// One output and a sigmoid; cross-entropy to 1 if u_a > u_b, else 0.
    OneWayHard,
}

/// Transformation of a target to the worth u that objectives compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Worth {
    /// Linear to [0, 1] over the training targets. The authors train on accuracies normalised so
    /// over the whole table, which nobody has in life.
    MinMax,
    /// The rank among the training targets, from 0 to this number; ties share their mean rank.
    Ranks(f64),
}

/// The pairs of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Every epoch has all N(N−1) ordered pairs, and a step this many of them.
    Batches(usize),
    /// Every epoch has all models once, and a step this many of them with every ordered pair among
    /// them.
    Among(usize),
}

impl RelationRecipe {
    /// The recipe of BRP-NAS: [`NetworkRecipe::brp_nas`].
    pub fn brp_nas() -> RelationRecipe {
        RelationRecipe::Networks(NetworkRecipe::brp_nas())
    }

    /// The best known: Thurstone's model, chosen by Kendall's τ on NAS-Bench-201's 12-epoch
    /// validation accuracies, not on the 200-epoch test accuracies.
    pub fn default_ranking() -> RelationRecipe {
        RelationRecipe::Thurstone
    }

    /// The name in model files and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            RelationRecipe::Thurstone => "default",
            RelationRecipe::Networks(recipe) => recipe.name,
        }
    }

    /// The recipe for iteration `iteration` (from 0) of `iterations` of iterative selection, see
    /// [`NetworkRecipe::at_iteration`]. Thurstone's model is the same in all.
    pub fn at_iteration(&self, iteration: usize, iterations: usize) -> RelationRecipe {
        match self {
            RelationRecipe::Thurstone => RelationRecipe::Thurstone,
            RelationRecipe::Networks(recipe) => {
                RelationRecipe::Networks(recipe.at_iteration(iteration, iterations))
            }
        }
    }
}

impl NetworkRecipe {
    /// BRP-NAS: 4 × 600, batches of 64 pairs, 250 epochs of all pairs. Its "oneway" variants differ in
    /// the `objective` only.
    pub fn brp_nas() -> NetworkRecipe {
        NetworkRecipe {
            name: "brp-nas",
            encoding: Encoding::BrpNas,
            widths: vec![600; 4],
            dropout: 0.2,
            objective: Objective::Softmax,
            worth: Worth::MinMax,
            pairs: Pairs::Batches(64),
            epochs: 250,
            learning_rate: 3.5e-4,
            weight_decay: 5e-4,
            early_stop: Some(35),
            members: 1,
        }
    }

    /// The best networks known: every model embedded once a step for all pairs among 25 models; ranks
    /// as worth; three layers of 256, two networks. As good as [`NetworkRecipe::brp_nas`] and over a
    /// hundred times as fast, but far from [`RelationRecipe::Thurstone`]. Chosen by Kendall's τ on NAS-Bench-201's 12-epoch validation accuracy,
    /// not on the 200-epoch test accuracy. (On TransNAS-Bench-101 micro, with 100 models, the
    /// encoding [`Encoding::Both`] with two layers is better.)
    pub fn networks() -> NetworkRecipe {
        NetworkRecipe {
            name: "networks",
            encoding: Encoding::BrpNas,
            widths: vec![256; 3],
            dropout: 0.1,
            objective: Objective::Softmax,
            worth: Worth::Ranks(8.0),
            pairs: Pairs::Among(25),
            epochs: 400,
            learning_rate: 1e-3,
            weight_decay: 1e-2,
            early_stop: None,
            members: 2,
        }
    }

    /// The share of epochs and pairs that BRP-NAS's iterative selection gives to iteration
    /// `iteration` (from 0) of `iterations`: they grow linearly, to the full recipe in the last.
    pub fn at_iteration(&self, iteration: usize, iterations: usize) -> NetworkRecipe {
        let grow = |full: usize| (full / iterations.max(1)).max(1) * (iteration + 1);
        NetworkRecipe {
            epochs: grow(self.epochs),
            pairs: match self.pairs {
                Pairs::Batches(n) => Pairs::Batches(grow(n)),
                Pairs::Among(n) => Pairs::Among(n),
            },
            ..self.clone()
        }
    }
}

impl Worth {
    /// The worth of each target.
    pub fn of(self, targets: &[f64]) -> Vec<f32> {
        match self {
            Worth::MinMax => {
                let low = targets.iter().copied().fold(f64::INFINITY, f64::min);
                let high = targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let width = if high > low { high - low } else { 1.0 };
                targets.iter().map(|t| ((t - low) / width) as f32).collect()
            }
            Worth::Ranks(top) => {
                let mut sorted = targets.to_vec();
                sorted.sort_by(f64::total_cmp);
                let last = (targets.len().max(2) - 1) as f64;
                let rank = |t: f64| {
                    let below = sorted.partition_point(|&s| s < t);
                    let up_to = sorted.partition_point(|&s| s <= t);
                    (below + up_to - 1) as f64 / 2.0
                };
                targets.iter().map(|&t| (rank(t) / last * top) as f32).collect()
            }
        }
    }
}

impl Objective {
    /// Rows of the head: the parts of each output that read the first and the second embedding.
    pub(crate) fn outputs(self) -> usize {
        2 * self.biases()
    }

    /// Outputs of the authors' linear layer.
    pub(crate) fn biases(self) -> usize {
        match self {
            Objective::Softmax => 2,
            Objective::OneWay | Objective::OneWayHard => 1,
        }
    }

    /// The wanted probability of the first being better.
    pub(crate) fn wanted(self, first: f32, second: f32) -> f32 {
        match self {
            Objective::Softmax => sigmoid(first - second),
            Objective::OneWay => ((first - second + 1.0) / 2.0).clamp(0.0, 1.0),
            Objective::OneWayHard => f32::from(first > second),
        }
    }

    /// Margins from the heads' outputs (n × [`Objective::outputs`]): with a softmax the columns are
    /// (first → output 0, first → output 1, second → output 0, second → output 1).
    pub(crate) fn margins(self, outputs: &Matrix, biases: &[f32]) -> Margins {
        let rows = || outputs.data.chunks_exact(self.outputs());
        match self {
            Objective::Softmax => Margins {
                first: rows().map(|r| r[0] - r[1]).collect(),
                second: rows().map(|r| r[2] - r[3]).collect(),
                constant: biases[0] - biases[1],
            },
            Objective::OneWay | Objective::OneWayHard => Margins {
                first: rows().map(|r| r[0]).collect(),
                second: rows().map(|r| r[1]).collect(),
                constant: biases[0],
            },
        }
    }
}

pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_of_targets() {
        assert_eq!(Worth::MinMax.of(&[3.0, 1.0, 2.0]), [1.0, 0.0, 0.5]);
        assert_eq!(Worth::MinMax.of(&[3.0, 3.0]), [0.0, 0.0]);
        assert_eq!(Worth::Ranks(6.0).of(&[30.0, -1.0, 2.0, 7.0]), [6.0, 0.0, 2.0, 4.0]);
        assert_eq!(Worth::Ranks(2.0).of(&[5.0, 5.0, 9.0]), [0.5, 0.5, 2.0]);
    }

    #[test]
    fn epochs_and_batch_grow_as_the_authors_do() {
        let at = |i| NetworkRecipe::brp_nas().at_iteration(i, 5);
        let sizes: Vec<_> = (0..5).map(|i| (at(i).epochs, at(i).pairs)).collect();
        let want = [(50, 12), (100, 24), (150, 36), (200, 48), (250, 60)];
        assert_eq!(sizes, want.map(|(e, b)| (e, Pairs::Batches(b))));
    }

    #[test]
    fn softmax_is_the_logistic_of_the_difference() {
        let (a, b) = (0.8f32, 0.3f32);
        let want = a.exp() / (a.exp() + b.exp());
        assert!((Objective::Softmax.wanted(a, b) - want).abs() < 1e-6);
        assert!((Objective::OneWay.wanted(a, b) - 0.75).abs() < 1e-6);
        assert_eq!(Objective::OneWayHard.wanted(b, a), 0.0);
    }
}
