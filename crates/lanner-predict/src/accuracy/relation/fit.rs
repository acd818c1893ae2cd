//! Training of networks on pairs.

use std::sync::Mutex;

use lanner_nn::{EarlyStop, Matrix, cosine, rng, subseed};
use lanner_space::Space;
use rand::seq::SliceRandom;

use super::margins::Margins;
use super::recipe::{NetworkRecipe, Objective, Pairs, sigmoid};
use crate::PredictError;
use crate::encode::graph::{Encoding, Graphs};
use crate::general::gcn::{Epoch, Progress, Samples, on_members};
use crate::regress::gcn::{Gcn, Shape, Shared, Trainer};

/// Early stop does not look at the epochs up to this one (0-based).
const QUIET: usize = 20;

/// An ensemble of networks, each with a head of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Networks {
    pub encoding: Encoding,
    /// Decides what the heads' outputs mean.
    pub objective: Objective,
    /// All of one shape.
    pub members: Vec<Gcn>,
}

/// Trains networks; the samples have been checked. See [`super::fit`].
pub(super) fn fit(
    space: &Space,
    train: Samples,
    recipe: &NetworkRecipe,
    start: Option<&Networks>,
    seed: u64,
    threads: usize,
    progress: Progress,
) -> Result<Networks, PredictError> {
    let graphs = Graphs::encode(space, train.architectures, recipe.encoding);
    let shape = Shape {
        vocabulary: graphs.vocabulary,
        widths: recipe.widths.clone(),
        outputs: recipe.objective.outputs(),
        biases: recipe.objective.biases(),
    };
    if let Some(start) = start {
        let fits = start.encoding == recipe.encoding
            && start.objective == recipe.objective
            && start.members.len() == recipe.members
            && start.members.iter().all(|g| g.shape == shape);
        if !fits {
            return Err(PredictError::Transfer {
                expected: format!("{} {:?}", recipe.encoding.name(), recipe.widths),
                got: format!(
                    "{} {:?}",
                    start.encoding.name(),
                    start.members.first().map(|g| &g.shape.widths)
                ),
            });
        }
    }
    let task = Task {
        shared: recipe.early_stop.map(|_| Shared::new(&graphs, recipe.widths.len())),
        graphs: &graphs,
        wanted: Wanted::new(recipe, train.targets),
        recipe,
        progress: Mutex::new(progress),
    };
    let members = on_members(recipe.members, threads, |m, threads| {
        let seed = subseed(seed, &format!("relation member {m}"));
        let gcn = match start {
            Some(start) => start.members[m].clone(),
            // The authors' linear layer reads two embeddings.
            None => Gcn::new(shape.clone(), 2 * shape.embedding(), &mut rng(seed, "relation init")),
        };
        task.member(m, gcn, seed, threads)
    });
    Ok(Networks { encoding: recipe.encoding, objective: recipe.objective, members })
}

/// The wanted probability of every ordered pair.
struct Wanted {
    n: usize,
    probabilities: Vec<f32>,
    objective: Objective,
}

impl Wanted {
    fn new(recipe: &NetworkRecipe, targets: &[f64]) -> Wanted {
        let worth = recipe.worth.of(targets);
        let pairs = worth.iter().flat_map(|&a| worth.iter().map(move |&b| (a, b)));
        Wanted {
            n: worth.len(),
            probabilities: pairs.map(|(a, b)| recipe.objective.wanted(a, b)).collect(),
            objective: recipe.objective,
        }
    }

    /// The loss of pairs of a batch's models (places in the batch, which holds these models), and
    /// its gradient with respect to outputs and biases. Cross-entropy, which differs from the KL
    /// divergence by the entropy of the wanted probability, a constant.
    fn loss(
        &self,
        batch: &[usize],
        pairs: impl Iterator<Item = (usize, usize)>,
        outputs: &Matrix,
        biases: &[f32],
        d_outputs: &mut Matrix,
        d_biases: &mut [f32],
    ) -> f64 {
        let margins = self.objective.margins(outputs, biases);
        let columns = self.objective.outputs();
        let softmax = self.objective == Objective::Softmax;
        let mut sum = 0.0;
        for (i, j) in pairs {
            let margin = margins.margin(i, j);
            let wanted = self.probabilities[batch[i] * self.n + batch[j]];
            sum += cross_entropy(margin, wanted);
            let d = sigmoid(margin) - wanted;
            let (at_i, at_j) = (i * columns, j * columns + columns / 2);
            d_outputs.data[at_i] += d;
            d_outputs.data[at_j] += d;
            d_biases[0] += d;
            if softmax {
                d_outputs.data[at_i + 1] -= d;
                d_outputs.data[at_j + 1] -= d;
                d_biases[1] -= d;
            }
        }
        sum
    }

    /// The mean loss of all pairs.
    fn mean(&self, margins: &Margins) -> f64 {
        let pairs = all_pairs(self.n);
        let sum: f64 = pairs
            .map(|(i, j)| cross_entropy(margins.margin(i, j), self.probabilities[i * self.n + j]))
            .sum();
        sum / (self.n * (self.n - 1)) as f64
    }
}

/// −w·ln σ(m) − (1 − w)·ln(1 − σ(m)), without overflow.
fn cross_entropy(margin: f32, wanted: f32) -> f64 {
    f64::from(margin.max(0.0) - margin * wanted + (-margin.abs()).exp().ln_1p())
}

/// All ordered pairs of `n`.
fn all_pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (0..n).filter(move |&j| j != i).map(move |j| (i, j)))
}

struct Task<'a> {
    graphs: &'a Graphs,
    wanted: Wanted,
    /// Equal node states for the loss in evaluation mode, if the recipe looks at it.
    shared: Option<Shared>,
    recipe: &'a NetworkRecipe,
    progress: Mutex<Progress<'a>>,
}

impl Task<'_> {
    fn member(&self, member: usize, mut gcn: Gcn, seed: u64, threads: usize) -> Gcn {
        let recipe = self.recipe;
        let n = self.wanted.n;
        let (dropout, decay) = (recipe.dropout, recipe.weight_decay);
        let mut trainer = Trainer::new(&gcn.shape, self.graphs, dropout, decay, seed, threads);
        let mut shuffle = rng(seed, "relation order");
        let mut models: Vec<usize> = (0..n).collect();
        let mut pairs: Vec<(usize, usize)> = match recipe.pairs {
            Pairs::Batches(_) => all_pairs(n).collect(),
            Pairs::Among(_) => Vec::new(),
        };
        let mut stop = recipe.early_stop.map(EarlyStop::new);
        let mut best: Option<(f64, Vec<f32>)> = None;
        for epoch in 0..recipe.epochs {
            let lr = cosine(recipe.learning_rate, epoch, recipe.epochs);
            let (mut sum, mut count) = (0.0, 0);
            match recipe.pairs {
                Pairs::Batches(size) => {
                    pairs.shuffle(&mut shuffle);
                    for pairs in pairs.chunks(size.max(1)) {
                        sum += self.step_of_pairs(&mut trainer, &mut gcn, pairs, lr);
                        count += pairs.len();
                    }
                }
                Pairs::Among(size) => {
                    models.shuffle(&mut shuffle);
                    for batch in models.chunks(size.clamp(2, n)).filter(|b| b.len() > 1) {
                        sum += trainer.step(&mut gcn, batch, lr, |o, b, d, db| {
                            self.wanted.loss(batch, all_pairs(batch.len()), o, b, d, db)
                        });
                        count += batch.len() * (batch.len() - 1);
                    }
                }
            }
            let train_loss = sum / count.max(1) as f64;
            let judged = self.shared.as_ref().map(|shared| {
                let outputs = shared.outputs(&gcn, threads);
                self.wanted.mean(&recipe.objective.margins(&outputs, gcn.biases()))
            });
            if let Some(loss) = judged.filter(|&l| best.as_ref().is_none_or(|b| l < b.0)) {
                let (at, weights) = best.get_or_insert_with(|| (loss, gcn.parameters.clone()));
                *at = loss;
                weights.copy_from_slice(&gcn.parameters);
            }
            let told = Epoch {
                member,
                members: recipe.members,
                epoch,
                epochs: recipe.epochs,
                train_loss: judged.unwrap_or(train_loss),
                validation_loss: None,
                learning_rate: lr,
            };
            // A panic in another member's callback is that member's to report.
            let told = (*self.progress.lock().unwrap_or_else(|e| e.into_inner()))(told);
            let stopped = match (&mut stop, judged) {
                (Some(stop), Some(loss)) if epoch > QUIET => stop.observe(loss),
                _ => false,
            };
            if told.is_break() || stopped {
                break;
            }
        }
        if let Some((_, parameters)) = best {
            gcn.parameters = parameters;
        }
        gcn
    }

    /// A step on these pairs; each model among them is embedded once.
    fn step_of_pairs(
        &self,
        trainer: &mut Trainer,
        gcn: &mut Gcn,
        pairs: &[(usize, usize)],
        lr: f32,
    ) -> f64 {
        let mut place = vec![usize::MAX; self.wanted.n];
        let mut batch = Vec::new();
        for model in pairs.iter().flat_map(|p| [p.0, p.1]) {
            if place[model] == usize::MAX {
                place[model] = batch.len();
                batch.push(model);
            }
        }
        let places = || pairs.iter().map(|p| (place[p.0], place[p.1]));
        trainer.step(gcn, &batch, lr, |o, b, d, db| self.wanted.loss(&batch, places(), o, b, d, db))
    }
}
