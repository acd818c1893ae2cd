//! The `default` strategy: Bayesian optimisation with a Gaussian process on graph features.

use lanner_nn::Rng;
use lanner_predict::accuracy::{AccuracyViews, gp_options};
use lanner_predict::gp::{Component, Gp};
use lanner_predict::linalg::Mat;
use lanner_predict::{Pool, PredictError};
use rand::RngExt;

use crate::history::{History, Strategy, open_rows};

/// Evaluations before the first model, spread over the space.
const START: usize = 10;
/// Of this many random candidates, the start takes the one farthest from all before.
const CANDIDATES: usize = 8;
/// Evaluations a model.
const ROUND: usize = 4;
/// Scale of the exploration factors k of a round: the acquisition is mean + k · deviation.
const EXPLORATION: f64 = 0.6;
/// Distance below the best at which the target's logarithm flattens, in units of what the best is
/// above the median of the start.
const SOFTENING: f64 = 0.1;
/// Steps of the search for hyper-parameters a round, each from where the last round ended.
const ITERATIONS: usize = 15;

/// Bayesian optimisation: after ten networks that are spread over the space, rounds of four that
/// maximise mean + k · standard deviation of a Gaussian process, with k from 0.08 to 1.25.
///
/// The process is the plain one of [`lanner_predict::accuracy::GraphGp`], but its target is
/// −log(best − accuracy + κ): it resolves the crowd below the optimum, where the search is decided,
/// and does not care how bad bad networks are. The factors k are the quantiles of an exponential
/// distribution, so that a round has mostly exploitation and one bold guess, and no round proposes
/// four times the same.
pub struct DefaultSearch {
    rng: Rng,
    model: Option<Model>,
}

/// What is computed once a pool, and the hyper-parameters of the last round.
struct Model {
    components: Vec<Component>,
    features: Mat,
    hyper: Option<Vec<f64>>,
}

impl DefaultSearch {
    /// A search over one pool; the seed decides the start.
    pub fn new(seed: u64) -> Self {
        DefaultSearch {
            rng: lanner_nn::rng(seed, "default search"),
            model: None,
        }
    }
}

impl Strategy for DefaultSearch {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let mut open = open_rows(pool, history, allowed);
        if open.is_empty() || n == 0 {
            return Vec::new();
        }
        let model = self.model.get_or_insert_with(|| Model::new(pool));
        if history.asked() >= START {
            if let Ok(rows) = model.round(history, &open, ROUND.min(n)) {
                return rows;
            }
            // Nearly every evaluation failed: there is nothing to model, go on as at the start.
        }
        let missing = START.saturating_sub(history.asked()).max(1);
        model.spread(pool, history, &mut open, missing.min(n), &mut self.rng)
    }
}

impl Model {
    fn new(pool: &Pool) -> Model {
        let views = AccuracyViews::new(pool);
        Model {
            components: views.plain_components(),
            features: views.features().clone(),
            hyper: None,
        }
    }

    /// Up to `n` rows of `open`, each the farthest of a few random ones from all taken.
    fn spread(
        &self,
        pool: &Pool,
        history: &History,
        open: &mut Vec<usize>,
        n: usize,
        rng: &mut Rng,
    ) -> Vec<usize> {
        let mut taken: Vec<usize> = (0..pool.len()).filter(|&r| history.is_taken(r)).collect();
        let mut chosen = Vec::new();
        while chosen.len() < n && !open.is_empty() {
            let tries = if taken.is_empty() { 1 } else { CANDIDATES };
            let mut best: Option<(f64, usize)> = None;
            for _ in 0..tries {
                let at = rng.random_range(0..open.len());
                let nearest = (taken.iter())
                    .map(|&r| self.distance(r, open[at]))
                    .fold(f64::INFINITY, f64::min);
                if best.is_none_or(|b| nearest > b.0) {
                    best = Some((nearest, at));
                }
            }
            let Some((_, at)) = best else { break };
            let row = open.swap_remove(at);
            taken.push(row);
            chosen.push(row);
        }
        chosen
    }

    fn distance(&self, a: usize, b: usize) -> f64 {
        (self.features.row(a).iter().zip(self.features.row(b)))
            .map(|(a, b)| (a - b) * (a - b))
            .sum()
    }

    /// The next `n` of `open` by the process; an error if there are too few trials for one.
    fn round(
        &mut self,
        history: &History,
        open: &[usize],
        n: usize,
    ) -> Result<Vec<usize>, PredictError> {
        let targets = targets(&history.values());
        let options = gp_options(ITERATIONS);
        let rows = history.rows();
        let gp = Gp::fit(&self.components, &rows, &targets, &options, self.hyper.as_deref())?;
        let p = gp.predict(&self.components, open, true);
        // The deviation of the network's own value, not of one noisy measurement of it.
        let noise = gp.noise_variance();
        self.hyper = Some(gp.hyper);
        let sd: Vec<f64> = p.sd.iter().map(|sd| (sd * sd - noise).max(0.0).sqrt()).collect();
        let mut chosen: Vec<usize> = Vec::new();
        for i in 0..n.min(open.len()) {
            let k = -EXPLORATION * (1.0 - (i as f64 + 0.5) / n as f64).ln();
            let best = (0..open.len())
                .filter(|j| !chosen.contains(j))
                .max_by(|&a, &b| (p.mean[a] + k * sd[a]).total_cmp(&(p.mean[b] + k * sd[b])));
            chosen.extend(best);
        }
        Ok(chosen.into_iter().map(|j| open[j]).collect())
    }
}

/// −log(best − value + κ).
fn targets(values: &[f64]) -> Vec<f64> {
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut start = values[..values.len().min(START)].to_vec();
    start.sort_by(f64::total_cmp);
    let median = start.get(start.len() / 2).copied().unwrap_or(best);
    let worst = start.first().copied().unwrap_or(best);
    // More than half may share the best value (chance level); all may, and then any κ will do.
    let scale = [best - median, best - worst].into_iter().find(|s| *s > 0.0).unwrap_or(1.0);
    values
        .iter()
        .map(|v| -(best - v + SOFTENING * scale).ln())
        .collect()
}
