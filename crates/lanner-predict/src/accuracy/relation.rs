//! The binary relation predictor: which of two architectures is better?
//!
//! Every relation here answers with a sum of a number of the first and a number of the second:
//!
//! > margin(i, j) = s_a(i) + s_b(j) + c,  P(i better than j) = σ(margin(i, j))
//!
//! **Networks** (recipe `brp-nas`; Dudziak et al., NeurIPS 2020) embed both with one GCN and read the
//! answer off the two embeddings side by side by a linear layer. A linear layer of a concatenation
//! splits, hence the sum (with two outputs and a softmax s_a is the difference of the two outputs'
//! parts, and so on), and N embeddings serve all N(N−1) pairs, in training too:
//! [`NetworkRecipe::networks`] embeds every model once a step and takes the loss of every pair from
//! these numbers; `brp-nas` makes 64 pairs a batch, as the authors.
//!
//! **Thurstone's model** (recipe `default`, see [`Thurstone`]) gives every model a worth and lets the
//! better one of two win. It is antisymmetric and transitive by construction.
//!
//! **From a relation to a ranking.** The relation that networks learn is neither antisymmetric nor
//! transitive by construction, and what a sort makes of it depends on the algorithm and the order of
//! its input. [`Relation::scores`] instead gives the *symmetrised score* s_a(i) − s_b(i): up to a
//! constant it is the mean over all opponents j of margin(i, j) − margin(j, i), and the sign of the
//! difference of two scores is the sign of the symmetrised margin of the two. It is a total order
//! (but for ties), independent of the input's order, and costs two dot products a model.
//! [`copeland`] counts instead how many opponents a model beats, for comparison.

mod fit;
mod recipe;
mod store;
mod thurstone;

use lanner_space::{Architecture, Space};

use crate::PredictError;
use crate::encode::graph::{Encoding, Graphs};
use crate::general::gcn::{Progress, Samples};
use crate::regress::gcn::{Gcn, Shared};

pub use recipe::{NetworkRecipe, Objective, Pairs, Recipe, Worth};
pub use thurstone::{Features, Thurstone};

/// A trained relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// The name of the recipe that it was trained by.
    pub recipe: String,
    pub model: Model,
}

/// What a relation has learnt.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    Thurstone(Thurstone),
    Networks(Networks),
}

/// An ensemble of networks, each with a head of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Networks {
    pub encoding: Encoding,
    /// Decides what the heads' outputs mean.
    pub objective: Objective,
    /// All of one shape.
    pub members: Vec<Gcn>,
}

/// Architectures encoded for one kind of relation, see [`Relation::prepare`].
#[derive(Debug, Clone)]
pub enum Prepared {
    Features(Features),
    Graphs(Shared),
}

/// Trains a relation on models of known target, higher is better.
///
/// With `start` the weights of networks are carried over, as between the iterations of iterative
/// data selection; optimiser and schedule are fresh. Thurstone's model has one best fit, which does
/// not depend on a start, on the seed or on the number of threads, and reports no progress.
///
/// # Errors
/// Fewer than two samples, lengths that differ, targets that are not finite, a `start` of another
/// kind or shape.
pub fn fit(
    space: &Space,
    train: Samples,
    recipe: &Recipe,
    start: Option<&Relation>,
    seed: u64,
    threads: usize,
    progress: Progress,
) -> Result<Relation, PredictError> {
    train.check("a binary relation", 2, |t| t.is_finite())?;
    let model = match (recipe, start.map(|s| &s.model)) {
        (Recipe::Thurstone, None | Some(Model::Thurstone(_))) => {
            Model::Thurstone(Thurstone::fit(space, train)?)
        }
        (Recipe::Networks(recipe), None) => {
            Model::Networks(fit::fit(space, train, recipe, None, seed, threads, progress)?)
        }
        (Recipe::Networks(recipe), Some(Model::Networks(start))) => {
            Model::Networks(fit::fit(space, train, recipe, Some(start), seed, threads, progress)?)
        }
        _ => {
            return Err(PredictError::Model {
                why: format!(
                    "cannot go on from a relation of recipe '{}' with recipe '{}'",
                    start.map_or("", |s| s.recipe.as_str()),
                    recipe.name()
                ),
            });
        }
    };
    Ok(Relation { recipe: recipe.name().into(), model })
}

/// Which is how much better: margin(i, j) = `first[i]` + `second[j]` + `constant`.
#[derive(Debug, Clone, PartialEq)]
pub struct Margins {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub constant: f32,
}

impl Margins {
    /// The log-odds of i being better than j.
    pub fn margin(&self, i: usize, j: usize) -> f32 {
        self.first[i] + self.second[j] + self.constant
    }

    /// The symmetrised scores: higher is better.
    pub fn scores(&self) -> Vec<f64> {
        let pairs = self.first.iter().zip(&self.second);
        pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    }
}

/// The number of opponents that each model beats (a draw counts half), by the symmetrised relation
/// of all members' margins averaged: O(n²) comparisons. Where every member agrees on the order, it
/// is the order of the scores.
pub fn copeland(margins: &[Margins]) -> Vec<f64> {
    let n = margins.first().map_or(0, |m| m.first.len());
    let beats = |i: usize, j: usize| {
        let votes: i32 =
            margins.iter().map(|m| m.margin(i, j).total_cmp(&m.margin(j, i)) as i32).sum();
        0.5 + 0.5 * f64::from(votes.signum())
    };
    (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| beats(i, j)).sum()).collect()
}

impl Relation {
    /// Encodes architectures for relations of this kind. Do it once for those that are scored often.
    pub fn prepare<'a>(
        &self,
        space: &Space,
        architectures: impl IntoIterator<Item = &'a Architecture>,
    ) -> Prepared {
        match &self.model {
            Model::Thurstone(_) => Prepared::Features(Features::new(space, architectures)),
            Model::Networks(networks) => {
                let depth = networks.members.first().map_or(1, |g| g.shape.widths.len());
                let graphs = Graphs::encode(space, architectures, networks.encoding);
                Prepared::Graphs(Shared::new(&graphs, depth))
            }
        }
    }

    /// Each member's margins between all prepared architectures.
    ///
    /// # Panics
    /// When they were prepared by a relation of another kind.
    pub fn margins(&self, prepared: &Prepared, threads: usize) -> Vec<Margins> {
        match (&self.model, prepared) {
            (Model::Thurstone(model), Prepared::Features(features)) => {
                vec![model.margins(features)]
            }
            (Model::Networks(networks), Prepared::Graphs(shared)) => (networks.members.iter())
                .map(|gcn| networks.objective.margins(&shared.outputs(gcn, threads), gcn.biases()))
                .collect(),
            _ => panic!("architectures prepared for another kind of relation"),
        }
    }

    /// The score of each prepared architecture, higher is better: the symmetrised score (see the
    /// [module](self)), each member's brought to mean 0 and deviation 1, averaged over members.
    pub fn scores(&self, prepared: &Prepared, threads: usize) -> Vec<f64> {
        let margins = self.margins(prepared, threads);
        let mut total = vec![0.0; margins.first().map_or(0, |m| m.first.len())];
        for scores in margins.iter().map(Margins::scores) {
            let n = scores.len().max(1) as f64;
            let mean = scores.iter().sum::<f64>() / n;
            let square = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n;
            let deviation = if square > 0.0 { square.sqrt() } else { 1.0 };
            for (t, s) in total.iter_mut().zip(scores) {
                *t += (s - mean) / deviation / margins.len() as f64;
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_orders_as_the_mean_margin_over_all_opponents() {
        let n = 7;
        let value = |k: usize, i: usize| ((i * 37 + k * 11) % 13) as f32 / 3.0;
        let margins = Margins {
            first: (0..n).map(|i| value(1, i)).collect(),
            second: (0..n).map(|i| -value(2, i)).collect(),
            constant: 0.7,
        };
        let scores = margins.scores();
        let mean = |i: usize| -> f64 {
            (0..n).map(|j| f64::from(margins.margin(i, j) - margins.margin(j, i))).sum::<f64>()
                / n as f64
        };
        for i in 0..n {
            for j in 0..n {
                let difference = mean(i) - mean(j);
                assert!((difference - (scores[i] - scores[j])).abs() < 1e-5);
                let symmetrised = margins.margin(i, j) - margins.margin(j, i);
                assert!((f64::from(symmetrised) - (scores[i] - scores[j])).abs() < 1e-5);
            }
        }
        let counts = copeland(std::slice::from_ref(&margins));
        let order = |v: &[f64]| {
            let mut o: Vec<usize> = (0..n).collect();
            o.sort_by(|&a, &b| v[a].total_cmp(&v[b]).then(a.cmp(&b)));
            o
        };
        assert_eq!(order(&counts), order(&scores));
    }
}
