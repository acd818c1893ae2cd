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
mod margins;
mod recipe;
mod store;
mod thurstone;

use lanner_space::{Architecture, Space};

use crate::PredictError;
use crate::encode::graph::Graphs;
use crate::general::gcn::{Progress, Samples};
use crate::regress::gcn::Shared;

pub use fit::Networks;
pub use margins::{Margins, copeland};
pub use recipe::{NetworkRecipe, Objective, Pairs, RelationRecipe, Worth};
pub use thurstone::{ProcessFeatures, Thurstone};

/// A trained relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// The name of the recipe that it was trained by.
    pub recipe: String,
    pub model: RelationModel,
}

/// The fitted model of a relation.
#[derive(Debug, Clone, PartialEq)]
pub enum RelationModel {
    Thurstone(Thurstone),
    Networks(Networks),
}

/// Architectures encoded for one kind of relation, see [`Relation::prepare`].
#[derive(Debug, Clone)]
pub enum Prepared {
    Features(ProcessFeatures),
    Graphs(Shared),
}

/// Trains a relation on models of known target, higher is better.
///
/// Fits a relation to targets. With `start` the weights of networks are carried over, as between
/// the iterations of iterative data selection; optimiser and schedule are fresh. Thurstone's model
/// has one best fit, which does not depend on a start, on the seed or on the number of threads, and
/// reports no progress.
///
/// # Errors
/// Fewer than two samples, lengths that differ, targets that are not finite, a `start` of another
/// kind or shape.
pub fn fit(
    space: &Space,
    train: Samples,
    recipe: &RelationRecipe,
    start: Option<&Relation>,
    seed: u64,
    threads: usize,
    progress: Progress,
) -> Result<Relation, PredictError> {
    train.check("a binary relation", 2, |t| t.is_finite())?;
    let model = match (recipe, start.map(|s| &s.model)) {
        (RelationRecipe::Thurstone, None | Some(RelationModel::Thurstone(_))) => {
            RelationModel::Thurstone(Thurstone::fit(space, train)?)
        }
        (RelationRecipe::Networks(recipe), None) => {
            RelationModel::Networks(fit::fit(space, train, recipe, None, seed, threads, progress)?)
        }
        (RelationRecipe::Networks(recipe), Some(RelationModel::Networks(start))) => {
            RelationModel::Networks(fit::fit(
                space,
                train,
                recipe,
                Some(start),
                seed,
                threads,
                progress,
            )?)
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

impl Relation {
    /// Encodes architectures for relations of this kind. Do it once for those that are scored often.
    pub fn prepare<'a>(
        &self,
        space: &Space,
        architectures: impl IntoIterator<Item = &'a Architecture>,
    ) -> Prepared {
        match &self.model {
            RelationModel::Thurstone(_) => {
                Prepared::Features(ProcessFeatures::new(space, architectures))
            }
            RelationModel::Networks(networks) => {
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
            (RelationModel::Thurstone(model), Prepared::Features(features)) => {
                vec![model.margins(features)]
            }
            (RelationModel::Networks(networks), Prepared::Graphs(shared)) => (networks
                .members
                .iter())
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
