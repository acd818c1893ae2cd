//! Regression of one number a graph.

use std::ops::ControlFlow;
use std::sync::Mutex;

use lanner_nn::{EarlyStop, Matrix, Plateau, cosine, rng, subseed};
use lanner_space::{Architecture, Space};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::recipe::{GcnRecipe, Scale, Schedule, TargetScaling};
use crate::PredictError;
use crate::encode::graph::{Encoding, Graphs};
use crate::regress::gcn::{Gcn, Shape, Shared, Trainer};

/// Plateau and early stop do not look at the epochs up to this one (0-based).
const QUIET: usize = 20;

/// Architectures and the value of each.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    pub architectures: &'a [Architecture],
    pub targets: &'a [f64],
}

/// Progress after an epoch, for a callback.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Number of the network in the ensemble, from 0.
    pub member: usize,
    pub members: usize,
    /// Number of the epoch, from 0.
    pub epoch: usize,
    pub epochs: usize,
    /// Mean over the training samples, in the scaled target's unit.
    pub train_loss: f64,
    /// Mean over the validation samples.
    pub validation_loss: Option<f64>,
    pub learning_rate: f32,
}

/// Called after each epoch; `Break` ends the training with what has been learnt so far.
pub type Progress<'a> = &'a mut (dyn FnMut(Epoch) -> ControlFlow<()> + Send);

/// An ensemble of trained networks that predict one number.
#[derive(Debug, Clone, PartialEq)]
pub struct GcnPredictor {
    /// The name of the recipe that it was trained by.
    pub recipe: String,
    pub encoding: Encoding,
    pub scale: Scale,
    /// All of one shape, with one output and one bias.
    pub members: Vec<Gcn>,
}

/// Trains a predictor by a recipe.
///
/// Fits an ensemble of networks to targets. With `start`, every member begins as the first network
/// of that predictor, its head drawn anew and warmed up alone for 50 epochs (the transfer of
/// BRP-NAS, for example from latency to accuracy); its encoding and widths must be the recipe's.
///
/// # Errors
/// Fewer than two samples, lengths that differ, targets that are not finite (or not positive where
/// the recipe takes their logarithm), a `start` of another shape.
#[allow(clippy::too_many_arguments)]
pub fn fit(
    space: &Space,
    train: Samples,
    validation: Option<Samples>,
    recipe: &GcnRecipe,
    start: Option<&GcnPredictor>,
    seed: u64,
    threads: usize,
    progress: Progress,
) -> Result<GcnPredictor, PredictError> {
    let good = |t: f64| t.is_finite() && (recipe.target != TargetScaling::LogStandard || t > 0.0);
    train.check("a GCN", 2, good)?;
    if let Some(v) = validation {
        v.check("the validation of a GCN", 1, good)?;
    }
    let scale = Scale::of(recipe.target, train.targets);
    let scaled =
        |s: Samples| -> Vec<f32> { s.targets.iter().map(|&t| scale.apply(t) as f32).collect() };
    let graphs = Graphs::encode(space, train.architectures, recipe.encoding);
    let depth = recipe.widths.len();
    let judge = validation.or(recipe.keep_best.then_some(train)).map(|v| Judge {
        shared: Shared::new(&Graphs::encode(space, v.architectures, recipe.encoding), depth),
        targets: scaled(v),
    });
    let shape = Shape {
        vocabulary: graphs.vocabulary,
        widths: recipe.widths.clone(),
        outputs: 1,
        biases: 1,
    };
    let first = match start {
        Some(p) => Some(transferred(p, recipe, &shape)?),
        None => None,
    };
    let task = Task {
        graphs: &graphs,
        targets: scaled(train),
        judge,
        judge_is_validation: validation.is_some(),
        recipe,
        shape,
        first,
        progress: Mutex::new(progress),
    };
    let members = on_members(recipe.members, threads, |m, threads| {
        task.member(m, subseed(seed, &format!("gcn member {m}")), threads)
    });
    Ok(GcnPredictor { recipe: recipe.name.into(), encoding: recipe.encoding, scale, members })
}

impl Samples<'_> {
    /// Refuses what no predictor can learn from.
    pub(crate) fn check(
        &self,
        what: &str,
        needed: usize,
        good: impl Fn(f64) -> bool,
    ) -> Result<(), PredictError> {
        let got = self.architectures.len();
        if got != self.targets.len() {
            return Err(PredictError::Lengths { architectures: got, targets: self.targets.len() });
        }
        if got < needed {
            return Err(PredictError::TooFew { what: what.into(), needed, got });
        }
        match self.targets.iter().position(|&t| !good(t)) {
            Some(row) => Err(PredictError::Target { row, value: self.targets[row] }),
            None => Ok(()),
        }
    }
}

/// Trains the members of an ensemble by `train(member, threads)`: side by side where there are
/// threads for it, each on one.
pub(crate) fn on_members(
    members: usize,
    threads: usize,
    train: impl Fn(usize, usize) -> Gcn + Sync,
) -> Vec<Gcn> {
    if threads <= 1 || members <= 1 {
        return (0..members).map(|m| train(m, threads)).collect();
    }
    let numbers: Vec<usize> = (0..members).collect();
    let runs = numbers.par_chunks(members.div_ceil(threads));
    runs.flat_map_iter(|run| run.iter().map(|&m| train(m, 1))).collect()
}

fn transferred(
    start: &GcnPredictor,
    recipe: &GcnRecipe,
    shape: &Shape,
) -> Result<Gcn, PredictError> {
    match start.members.first() {
        Some(gcn) if start.encoding == recipe.encoding && gcn.shape == *shape => Ok(gcn.clone()),
        other => Err(PredictError::Transfer {
            expected: format!("{} {:?}", recipe.encoding.name(), shape.widths),
            got: format!(
                "{} {:?}",
                start.encoding.name(),
                other.map(|g| g.shape.widths.clone()).unwrap_or_default()
            ),
        }),
    }
}

/// Graphs and targets on which the loss of an epoch is measured.
struct Judge {
    shared: Shared,
    targets: Vec<f32>,
}

struct Task<'a> {
    graphs: &'a Graphs,
    targets: Vec<f32>,
    judge: Option<Judge>,
    judge_is_validation: bool,
    recipe: &'a GcnRecipe,
    shape: Shape,
    first: Option<Gcn>,
    progress: Mutex<Progress<'a>>,
}

impl Task<'_> {
    fn member(&self, member: usize, seed: u64, threads: usize) -> Gcn {
        let recipe = self.recipe;
        let mut init = rng(seed, "gcn init");
        let fan = self.shape.embedding();
        let mut gcn = match &self.first {
            None => Gcn::new(self.shape.clone(), fan, &mut init),
            Some(first) => {
                let mut gcn = first.clone();
                gcn.reset_head(fan, &mut init);
                gcn
            }
        };
        let (dropout, decay) = (recipe.dropout, recipe.weight_decay);
        let mut trainer = Trainer::new(&self.shape, self.graphs, dropout, decay, seed, threads);
        let mut order: Vec<usize> = (0..self.targets.len()).collect();
        let mut shuffle = rng(seed, "gcn order");
        if self.first.is_some() {
            for _ in 0..50 {
                order.shuffle(&mut shuffle);
                for batch in order.chunks(recipe.batch) {
                    trainer.step_head(&mut gcn, batch, recipe.learning_rate, self.loss(batch));
                }
            }
        }
        let mut plateau = match recipe.schedule {
            Schedule::Cosine => None,
            Schedule::Plateau { patience, threshold } => {
                Some(Plateau::new(recipe.learning_rate, 0.5, patience, threshold))
            }
        };
        let mut stop = recipe.early_stop.map(EarlyStop::new);
        let mut best: Option<(f64, Vec<f32>)> = None;
        for epoch in 0..recipe.epochs {
            let lr = match &plateau {
                Some(p) => p.lr,
                None => cosine(recipe.learning_rate, epoch, recipe.epochs),
            };
            order.shuffle(&mut shuffle);
            let mut sum = 0.0;
            for batch in order.chunks(recipe.batch) {
                sum += trainer.step(&mut gcn, batch, lr, self.loss(batch));
            }
            let train_loss = sum / self.targets.len() as f64;
            let judged = self.judge.as_ref().map(|j| j.loss(&gcn, recipe, threads));
            let decisive = judged.unwrap_or(train_loss);
            if recipe.keep_best && best.as_ref().is_none_or(|b| decisive < b.0) {
                match &mut best {
                    Some(b) => {
                        b.0 = decisive;
                        b.1.copy_from_slice(&gcn.parameters);
                    }
                    None => best = Some((decisive, gcn.parameters.clone())),
                }
            }
            let told = Epoch {
                member,
                members: recipe.members,
                epoch,
                epochs: recipe.epochs,
                train_loss,
                validation_loss: judged.filter(|_| self.judge_is_validation),
                learning_rate: lr,
            };
            // A panic in another member's callback is that member's to report.
            let mut progress = self.progress.lock().unwrap_or_else(|e| e.into_inner());
            if (*progress)(told).is_break() {
                break;
            }
            drop(progress);
            if epoch > QUIET {
                if let Some(p) = &mut plateau {
                    p.observe(decisive);
                }
                if stop.as_mut().is_some_and(|s| s.observe(decisive)) {
                    break;
                }
            }
        }
        if let Some((_, parameters)) = best {
            gcn.parameters = parameters;
        }
        gcn
    }

    /// The loss of a batch and its gradients, summed over the batch.
    fn loss<'b>(
        &'b self,
        batch: &'b [usize],
    ) -> impl FnMut(&Matrix, &[f32], &mut Matrix, &mut [f32]) -> f64 + 'b {
        move |outputs, biases, d_outputs, d_biases| {
            let mut sum = 0.0;
            for ((&o, d), &g) in outputs.data.iter().zip(&mut d_outputs.data).zip(batch) {
                let (loss, slope) = self.recipe.loss.at(o + biases[0] - self.targets[g]);
                sum += f64::from(loss);
                *d = slope;
                d_biases[0] += slope;
            }
            sum
        }
    }
}

impl Judge {
    fn loss(&self, gcn: &Gcn, recipe: &GcnRecipe, threads: usize) -> f64 {
        let outputs = self.shared.outputs(gcn, threads);
        let bias = gcn.biases()[0];
        let each = outputs.data.iter().zip(&self.targets);
        let sum: f64 = each.map(|(o, t)| f64::from(recipe.loss.at(o + bias - t).0)).sum();
        sum / self.targets.len() as f64
    }
}

impl GcnPredictor {
    /// Encodes architectures for this predictor. Do it once for those that are predicted often.
    pub fn prepare<'a>(
        &self,
        space: &Space,
        architectures: impl IntoIterator<Item = &'a Architecture>,
    ) -> Shared {
        let depth = self.members.first().map_or(1, |g| g.shape.widths.len());
        Shared::new(&Graphs::encode(space, architectures, self.encoding), depth)
    }

    /// The prediction for each architecture, in the target's unit: the members' mean (taken before
    /// a logarithm is undone).
    pub fn predict(&self, prepared: &Shared, threads: usize) -> Vec<f64> {
        let members = self.members(prepared, threads);
        let count = members.len().max(1) as f64;
        (0..prepared.len())
            .map(|i| self.scale.invert(members.iter().map(|m| m[i]).sum::<f64>() / count))
            .collect()
    }

    /// Each member's prediction of each architecture in the scaled unit (see [`Scale`]), in which
    /// their spread is a measure of uncertainty.
    pub fn members(&self, prepared: &Shared, threads: usize) -> Vec<Vec<f64>> {
        self.members
            .iter()
            .map(|gcn| {
                let bias = gcn.biases()[0];
                let outputs = prepared.outputs(gcn, threads);
                outputs.data.iter().map(|o| f64::from(o + bias)).collect()
            })
            .collect()
    }

    /// The embeddings of each architecture, all members' side by side:
    /// architectures × (members · width).
    pub fn embed(&self, prepared: &Shared, threads: usize) -> Matrix {
        let each: Vec<Matrix> = self.members.iter().map(|g| prepared.embed(g, threads)).collect();
        let mut out = Matrix::zeros(0, each.iter().map(|m| m.cols).sum());
        for i in 0..prepared.len() {
            each.iter().for_each(|m| out.data.extend_from_slice(m.row(i)));
            out.rows += 1;
        }
        out
    }
}
