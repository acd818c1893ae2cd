//! The `default` strategy: Bayesian optimisation with Gaussian processes on graph features and
//! variance shares.

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
/// maximise mean + k · standard deviation of three Gaussian processes, with k from 0.08 to 1.25.
///
/// The processes are those of [`AccuracyViews::diverse_components`]: one alone is now and then sure
/// of the wrong region, and where they disagree is worth a look, so their disagreement counts as
/// deviation. Their target is −log(best − accuracy + κ): it resolves the crowd below the optimum,
/// where the search is decided, and does not care how bad bad networks are. The factors k are the quantiles of an exponential
/// distribution, so that a round has mostly exploitation and one bold guess, and no round proposes
/// four times the same.
pub struct DefaultSearch {
    rng: Rng,
    model: Option<Model>,
}

/// What is computed once a pool, and each process's hyper-parameters of the last round.
struct Model {
    members: Vec<Member>,
    features: Mat,
}

struct Member {
    components: Vec<Component>,
    hyper: Option<Vec<f64>>,
}

impl DefaultSearch {
    /// A search over one pool; the seed decides the start.
    pub fn new(seed: u64) -> Self {
        DefaultSearch { rng: lanner_nn::rng(seed, "default search"), model: None }
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
        if history.asked() >= START
            && let Ok(rows) = model.round(history, &open, ROUND.min(n))
        {
            return rows;
        }
        // The start, or nearly every evaluation failed and there is nothing to model yet.
        let missing = START.saturating_sub(history.asked()).max(1);
        model.spread(pool, history, &mut open, missing.min(n), &mut self.rng)
    }
}

impl Model {
    fn new(pool: &Pool) -> Model {
        let views = AccuracyViews::new(pool);
        Model {
            members: (views.diverse_components().into_iter())
                .map(|components| Member { components, hyper: None })
                .collect(),
            features: views.features().clone(),
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

    /// The next `n` of `open` by the processes; an error if there are too few trials for one.
    fn round(
        &mut self,
        history: &History,
        open: &[usize],
        n: usize,
    ) -> Result<Vec<usize>, PredictError> {
        let targets = targets(&history.values());
        let rows = history.rows();
        // Sums over members of their means, squared means and variances.
        let mut sums = vec![[0.0; 3]; open.len()];
        for member in &mut self.members {
            let options = gp_options(ITERATIONS);
            let gp =
                Gp::fit(&member.components, &rows, &targets, &options, member.hyper.as_deref())?;
            let p = gp.predict(&member.components, open, true);
            // Of the network's own value, not of one noisy measurement of it.
            let noise = gp.noise() * variance(&targets);
            for (sums, (mean, sd)) in sums.iter_mut().zip(p.mean.iter().zip(&p.sd)) {
                sums[0] += mean;
                sums[1] += mean * mean;
                sums[2] += (sd * sd - noise).max(0.0);
            }
            member.hyper = Some(gp.hyper);
        }
        let count = self.members.len() as f64;
        let beliefs: Vec<(f64, f64)> = (sums.iter())
            .map(|[mean, squares, variances]| {
                let mean = mean / count;
                let disagreement = (squares / count - mean * mean).max(0.0);
                (mean, (disagreement + variances / count).sqrt())
            })
            .collect();
        let mut chosen: Vec<usize> = Vec::new();
        for i in 0..n.min(open.len()) {
            let k = -EXPLORATION * (1.0 - (i as f64 + 0.5) / n as f64).ln();
            let hope = |j: usize| beliefs[j].0 + k * beliefs[j].1;
            let best = (0..open.len())
                .filter(|j| !chosen.contains(j))
                .max_by(|&a, &b| hope(a).total_cmp(&hope(b)));
            chosen.extend(best);
        }
        Ok(chosen.into_iter().map(|j| open[j]).collect())
    }
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n
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
    values.iter().map(|v| -(best - v + SOFTENING * scale).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RandomSearch, run};
    use lanner_space::Space;

    /// An objective with one optimum class: deep 3×3 chains with shortcuts, no pooling.
    fn value(pool: &Pool, row: usize) -> f64 {
        let live = pool.space.live(&pool.archs[row]);
        let codes = pool.archs[row].codes();
        let ops = [0.0, 0.6, 1.0, 2.0, -1.0];
        let places = [1.0, 0.7, 1.1, 0.9, 0.8, 1.2];
        let sum: f64 =
            (0..6).filter(|&e| live[e]).map(|e| ops[usize::from(codes[e])] * places[e]).sum();
        let chain = codes[0] == 3 && codes[2] == 3 && codes[5] == 3;
        sum - if codes[3] == 1 { 0.0 } else { 2.0 } + if chain { 1.0 } else { 0.0 }
    }

    #[test]
    fn finds_the_optimum_where_random_search_does_not() {
        let pool = Pool::whole(Space::NasBench201);
        let best = (0..pool.len()).map(|r| value(&pool, r)).fold(f64::NEG_INFINITY, f64::max);
        for seed in 0..2 {
            let search = |strategy: &mut dyn Strategy| {
                let history = run(strategy, &pool, None, 60, |r| Some(value(&pool, r)));
                assert_eq!(history.asked(), 60);
                history.best().unwrap().value
            };
            assert_eq!(search(&mut DefaultSearch::new(seed)), best);
            assert!(search(&mut RandomSearch::new(seed)) < best);
        }
    }

    #[test]
    fn goes_on_through_failures_equal_values_masks_and_small_pools() {
        let space = Space::NasBench201;
        let pool = Pool::new(space.clone(), space.iter().take(60).collect());
        let allowed: Vec<bool> = (0..60).map(|r| r % 2 == 0).collect();
        // Everything that is allowed gets asked for, and nothing else or twice.
        let outcomes: [fn(usize) -> Option<f64>; 4] = [
            |_| None,
            |_| Some(10.0),
            |r| (r % 6 == 0).then_some(r as f64),
            |r| Some(if r % 10 == 0 { r as f64 } else { f64::NAN }),
        ];
        for outcome in outcomes {
            let mut asked = Vec::new();
            let history = run(&mut DefaultSearch::new(3), &pool, Some(&allowed), 100, |r| {
                asked.push(r);
                outcome(r)
            });
            asked.sort_unstable();
            assert_eq!(asked, (0..60).step_by(2).collect::<Vec<_>>());
            assert_eq!(history.asked(), 30);
        }
        let nothing = run(&mut DefaultSearch::new(3), &pool, Some(&[false; 60]), 5, |_| Some(1.0));
        assert!(nothing.trials.is_empty());
    }

    #[test]
    fn the_unit_of_the_metric_does_not_matter() {
        let pool = Pool::whole(Space::NasBench201);
        let rows = |scale: f64| {
            let mut search = DefaultSearch::new(5);
            run(&mut search, &pool, None, 22, |r| Some(scale * value(&pool, r))).rows()
        };
        // A power of two changes no digit.
        assert_eq!(rows(1.0), rows(1.0 / 1024.0));
    }

    #[test]
    fn published_accuracies_of_cifar_100() {
        let Some(directory) = lanner_data::published::data_dir() else {
            println!("skipped: no published data");
            return;
        };
        let path = directory.join("nasbench201/accuracy.csv");
        let (table, _) = lanner_data::Table::read(path, &Space::NasBench201).unwrap();
        let accuracy = table.column("c100_test_200").unwrap();
        let pool = Pool::new(Space::NasBench201, table.archs.clone());
        let best = accuracy.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for seed in 0..2 {
            let history =
                run(&mut DefaultSearch::new(seed), &pool, None, 150, |r| Some(accuracy[r]));
            assert_eq!(history.best().unwrap().value, best);
        }
    }
}
