//! Thurstone's model of comparisons with Gaussian processes for the worth.

use std::sync::Arc;

use lanner_nn::rng;
use lanner_space::{Architecture, Space};

use super::margins::Margins;
use crate::accuracy::features::component;
use crate::accuracy::gp_options;
use crate::accuracy::scores::NormalScores;
use crate::encode::cells::CellFeatures;
use crate::general::gcn::Samples;
use crate::regress::gp::{Component, Gp, Kernel};
use crate::regress::linalg::Mat;
use crate::{Pool, PredictError};

/// Random architectures of the space by which features are standardised.
const REFERENCE: usize = 1000;
/// Most steps of the search for hyper-parameters.
const ITERATIONS: usize = 40;
/// The least and the greatest log-odds for a difference of one in worth.
const SLOPES: (f64, f64) = (1e-2, 1e2);

/// Thurstone's law of comparative judgement (1927): every architecture has a worth, training adds
/// normal noise to it, and of two the one with more wins.
///
/// The worth is a smooth function of what the cell looks like, the mean of two Matérn processes, one
/// on graph properties and counts, one on variance shares and sizes (see [`crate::encode::cells`]).
/// When all pairs of the trained models have been compared, the comparisons are their order and
/// nothing else; the expected worth of the k-th of n is its normal score Φ⁻¹((k − ½) / n). So
/// fitting all pairs is a regression of normal scores, in closed form but for three hyper-parameters
/// a process. The log-odds of a pair are the difference in worth times a slope, the one under which
/// the comparisons are most likely when both models' worth is predicted without them.
#[derive(Debug, Clone, PartialEq)]
pub struct Thurstone {
    /// Architectures that it was fitted to.
    pub architectures: Vec<Architecture>,
    /// The normal score of each.
    pub worth: Vec<f64>,
    /// Logarithms of each process's hyper-parameters, see [`Gp::hyper`].
    pub hyper: Vec<Vec<f64>>,
    /// Log-odds for a difference of one in worth.
    pub slope: f64,
    features: ProcessFeatures,
}

/// Features of some architectures, one matrix a process.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessFeatures {
    /// One matrix a process, a row an architecture; standardised over random ones of the space.
    by_process: Vec<Mat>,
    rows: usize,
}

impl ProcessFeatures {
    /// Computes the features of `archs`, which do not depend on other architectures.
    pub fn new<'a>(
        space: &Space,
        architectures: impl IntoIterator<Item = &'a Architecture>,
    ) -> ProcessFeatures {
        let mut rng = rng(0, "relation reference");
        let mut all: Vec<Architecture> = (0..REFERENCE).map(|_| space.sample(&mut rng)).collect();
        all.extend(architectures.into_iter().cloned());
        let reference: Vec<usize> = (0..REFERENCE).collect();
        let asked: Vec<usize> = (REFERENCE..all.len()).collect();
        let f = CellFeatures::new(&Pool::new(space.clone(), all));
        let graph = f.graph.beside(&f.counts).beside(&f.choices).beside(&f.cost);
        let shares =
            [&f.lossless_shares, &f.size, &f.live_counts, &f.share_moments, &f.places, &f.cost]
                .into_iter()
                .fold(f.shares.clone(), |sum, group| sum.beside(group));
        // A pool of one kind of operation has nothing to tell.
        let by_process = ([graph, shares].iter().filter(|x| x.cols > 0))
            .map(|x| x.standardised_by(&reference).select(&asked))
            .collect();
        ProcessFeatures { by_process, rows: asked.len() }
    }

    /// The number of architectures.
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The covariance of each process over these architectures, and others after them.
    fn components(&self, others: Option<&ProcessFeatures>) -> impl Iterator<Item = [Component; 1]> {
        self.by_process.iter().enumerate().map(move |(k, x)| {
            let mut x = x.clone();
            if let Some(others) = others {
                x.rows += others.rows;
                x.data.extend_from_slice(&others.by_process[k].data);
            }
            [component(Kernel::Matern52, &Arc::new(x))]
        })
    }
}

impl Thurstone {
    /// Fits all pairs of the samples, which have been checked.
    pub(super) fn fit(space: &Space, train: Samples) -> Result<Thurstone, PredictError> {
        let scores = NormalScores::new(train.targets);
        let worth: Vec<f64> = train.targets.iter().map(|&t| scores.score(t)).collect();
        let features = ProcessFeatures::new(space, train.architectures);
        let rows: Vec<usize> = (0..worth.len()).collect();
        let mut held_out = vec![0.0; worth.len()];
        let mut hyper = Vec::new();
        for components in features.components(None) {
            let gp = Gp::fit(&components, &rows, &worth, &gp_options(ITERATIONS), None)?;
            let share = 1.0 / features.by_process.len() as f64;
            for (sum, mean) in held_out.iter_mut().zip(gp.leave_one_out().mean) {
                *sum += share * mean;
            }
            hyper.push(gp.hyper);
        }
        Ok(Thurstone {
            architectures: train.architectures.to_vec(),
            slope: likeliest_slope(&held_out, &worth),
            worth,
            hyper,
            features,
        })
    }

    /// A fitted model again.
    pub(super) fn restore(
        space: &Space,
        architectures: Vec<Architecture>,
        worth: Vec<f64>,
        hyper: Vec<Vec<f64>>,
        slope: f64,
    ) -> Result<Thurstone, PredictError> {
        let features = ProcessFeatures::new(space, &architectures);
        let model = Thurstone { architectures, worth, hyper, slope, features };
        let good = |v: &f64| v.is_finite();
        if model.hyper.len() != model.features.by_process.len()
            || !model.hyper.iter().flatten().chain(&model.worth).all(good)
            || !(SLOPES.0..=SLOPES.1).contains(&slope)
        {
            return Err(PredictError::Model { why: "a relation with impossible numbers".into() });
        }
        // Fails now rather than when asked.
        model.processes(None).collect::<Result<Vec<_>, _>>()?;
        Ok(model)
    }

    /// Each process, and its covariance over the trained architectures and those asked for.
    fn processes(
        &self,
        asked: Option<&ProcessFeatures>,
    ) -> impl Iterator<Item = Result<([Component; 1], Gp), PredictError>> {
        let n = self.worth.len();
        let rows: Vec<usize> = (0..n).collect();
        self.features.components(asked).zip(&self.hyper).map(move |(components, hyper)| {
            let (hyper, precisions) = (hyper.clone(), vec![1.0; n]);
            let gp = Gp::restore(&components, &rows, &self.worth, hyper, precisions)?;
            Ok((components, gp))
        })
    }

    /// The expected worth of each.
    pub fn worth_of(&self, asked: &ProcessFeatures) -> Vec<f64> {
        let n = self.worth.len();
        let rows: Vec<usize> = (n..n + asked.len()).collect();
        let mut worth = vec![0.0; asked.len()];
        for process in self.processes(Some(asked)) {
            let (components, gp) = process.expect("a covariance that could be factored before");
            let share = 1.0 / self.hyper.len() as f64;
            for (sum, mean) in worth.iter_mut().zip(gp.predict(&components, &rows, false).mean) {
                *sum += share * mean;
            }
        }
        worth
    }

    /// margin(i, j) = slope · (worth i − worth j).
    pub(super) fn margins(&self, asked: &ProcessFeatures) -> Margins {
        let worth = self.worth_of(asked);
        let first: Vec<f32> = worth.iter().map(|w| (self.slope * w) as f32).collect();
        Margins { second: first.iter().map(|s| -s).collect(), first, constant: 0.0 }
    }
}

/// The slope k within [`SLOPES`] that makes Π σ(k·(p_i − p_j)) over pairs with i truly better
/// largest. Its logarithm is concave in k, so that the zero of the derivative can be bisected.
fn likeliest_slope(predicted: &[f64], truth: &[f64]) -> f64 {
    let mut differences = Vec::new();
    for (p, t) in predicted.iter().zip(truth) {
        for (q, u) in predicted.iter().zip(truth) {
            if t > u {
                differences.push(p - q);
            }
        }
    }
    let rises = |k: f64| differences.iter().map(|d| d / (1.0 + (k * d).exp())).sum::<f64>() > 0.0;
    let (mut low, mut high) = SLOPES;
    for _ in 0..40 {
        let middle = (low * high).sqrt();
        if rises(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::spearman;

    /// Every `step`-th architecture from `from`, and a metric that counts live operations.
    fn made_up(from: usize, step: usize) -> (Vec<Architecture>, Vec<f64>) {
        let all: Vec<_> = Space::NasBench201.iter().skip(from).step_by(step).collect();
        let cost = [0.0, 0.3, 1.0, 2.0, 0.5];
        let value = |a: &Architecture| -> f64 {
            let live = a.codes().iter().zip(Space::NasBench201.live(a)).filter(|x| x.1);
            live.map(|(&c, _)| cost[usize::from(c)]).sum()
        };
        let targets = all.iter().map(value).collect();
        (all, targets)
    }

    fn fitted(targets: &[f64], architectures: &[Architecture]) -> Thurstone {
        Thurstone::fit(&Space::NasBench201, Samples { architectures, targets }).expect("a fit")
    }

    #[test]
    fn learns_an_order_and_nothing_but_the_order() {
        let (architectures, targets) = made_up(0, 197);
        let model = fitted(&targets, &architectures);
        let (others, truth) = made_up(31, 301);
        let asked = ProcessFeatures::new(&Space::NasBench201, &others);
        let worth = model.worth_of(&asked);
        let quality = spearman(&worth, &truth);
        assert!(quality > 0.7, "{quality}");
        // Powers keep the order, so that every comparison has the same outcome.
        let bent: Vec<f64> = targets.iter().map(|t| t.powi(3) + 7.0).collect();
        assert_eq!(fitted(&bent, &architectures), model);
        let turned: Vec<f64> = targets.iter().map(|t| -t).collect();
        assert!(spearman(&fitted(&turned, &architectures).worth_of(&asked), &truth) < -0.7);
    }

    #[test]
    fn an_answer_does_not_depend_on_what_else_is_asked() {
        let (architectures, targets) = made_up(0, 397);
        let model = fitted(&targets, &architectures);
        let (others, _) = made_up(31, 601);
        let all = model.worth_of(&ProcessFeatures::new(&Space::NasBench201, &others));
        let few = model.worth_of(&ProcessFeatures::new(&Space::NasBench201, &others[3..5]));
        assert!((all[3] - few[0]).abs() < 1e-9 && (all[4] - few[1]).abs() < 1e-9);
    }

    #[test]
    fn the_relation_is_antisymmetric_and_transitive() {
        let (architectures, targets) = made_up(0, 397);
        let model = fitted(&targets, &architectures);
        let (others, _) = made_up(31, 1201);
        let margins = model.margins(&ProcessFeatures::new(&Space::NasBench201, &others));
        let n = others.len();
        for i in 0..n {
            for j in 0..n {
                assert_eq!(margins.margin(i, j), -margins.margin(j, i));
                for k in 0..n {
                    let both = margins.margin(i, j) > 0.0 && margins.margin(j, k) > 0.0;
                    assert!(!both || margins.margin(i, k) > 0.0);
                }
            }
        }
    }

    #[test]
    fn the_slope_states_how_often_predictions_are_right() {
        // Across the two groups the one predicted to be better wins five of six comparisons.
        let (predicted, truth) = ([1.0, 1.0, 1.0, 0.0, 0.0], [5.0, 4.0, 1.0, 3.0, 0.0]);
        assert!((likeliest_slope(&predicted, &truth) - 5f64.ln()).abs() < 1e-6);
        // Always right and always wrong: the ends.
        let order = [1.0, 2.0, 3.0];
        assert!((likeliest_slope(&order, &order) - SLOPES.1).abs() < 1e-6);
        assert!((likeliest_slope(&order, &[3.0, 2.0, 1.0]) - SLOPES.0).abs() < 1e-6);
    }
}
