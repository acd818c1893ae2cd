//! Strategies from the literature, as baselines for every other one.

use lanner_nn::Rng;
use lanner_predict::encode::counts;
use lanner_predict::regress::trees::{ExtraTrees, TreeOptions};
use lanner_predict::{Pool, PredictError};
use rand::RngExt;

use super::history::{History, Strategy, open_rows};
use super::state::{Reader, Writer};

/// Uniformly random search without repetition.
pub struct RandomSearch {
    rng: Rng,
}

impl RandomSearch {
    pub fn new(seed: u64) -> Self {
        RandomSearch { rng: lanner_nn::rng(seed, "random search") }
    }
}

impl Strategy for RandomSearch {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        draw(&mut open_rows(pool, history, allowed), n, &mut self.rng)
    }

    fn save(&self, _: &Pool) -> Vec<u8> {
        save_rng(&self.rng)
    }

    fn restore(&mut self, _: &Pool, state: &[u8]) -> Result<(), PredictError> {
        restore_rng(&mut self.rng, state)
    }
}

/// Saves the state of a strategy that has a generator only.
fn save_rng(rng: &Rng) -> Vec<u8> {
    let mut state = Writer::default();
    state.rng(rng);
    state.finish()
}

fn restore_rng(rng: &mut Rng, state: &[u8]) -> Result<(), PredictError> {
    let mut state = Reader(state);
    state.rng(rng)?;
    state.end()
}

/// Returns the first `n` rows of a random order.
pub(crate) fn draw(rows: &mut [usize], n: usize, rng: &mut Rng) -> Vec<usize> {
    let n = n.min(rows.len());
    for i in 0..n {
        let j = rng.random_range(i..rows.len());
        rows.swap(i, j);
    }
    rows[..n].to_vec()
}

/// Regularised (aging) evolution: the best of a random sample of the youngest architectures gets a
/// child by one mutation (Real et al., AAAI 2019).
pub struct Evolution {
    rng: Rng,
    /// Number of youngest architectures that are alive.
    population: usize,
    /// Number of architectures that compete to become the parent.
    sample: usize,
}

impl Evolution {
    /// Makes a search with population 20 and sample 10: small, since budgets here are about a
    /// hundred evaluations.
    pub fn new(seed: u64) -> Self {
        Evolution { rng: lanner_nn::rng(seed, "evolution"), population: 20, sample: 10 }
    }

    fn child(&mut self, pool: &Pool, history: &History, allowed: Option<&[bool]>) -> Option<usize> {
        let young = history.trials.len().saturating_sub(self.population);
        let population = &history.trials[young..];
        // A child that was evaluated before teaches nothing: try another one.
        for _ in 0..100 {
            let parent = (0..self.sample)
                .map(|_| population[self.rng.random_range(0..population.len())])
                .reduce(|a, b| if b.value > a.value { b } else { a })?;
            let arch = pool.space.mutate(&pool.archs[parent.row], &mut self.rng);
            match pool.row_of(&arch) {
                Some(r) if !history.is_taken(r) && allowed.is_none_or(|a| a[r]) => return Some(r),
                _ => {}
            }
        }
        None
    }
}

impl Strategy for Evolution {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        if history.asked() >= self.population
            && !history.trials.is_empty()
            && let Some(child) = self.child(pool, history, allowed)
        {
            return vec![child];
        }
        let first = self.population.saturating_sub(history.asked()).max(1);
        draw(&mut open_rows(pool, history, allowed), first.min(n), &mut self.rng)
    }

    fn save(&self, _: &Pool) -> Vec<u8> {
        save_rng(&self.rng)
    }

    fn restore(&mut self, _: &Pool, state: &[u8]) -> Result<(), PredictError> {
        restore_rng(&mut self.rng, state)
    }
}

/// A coarse-to-fine sequence of weak predictors (WeakNAS, Wu et al., NeurIPS 2021): each round fits
/// one to all results and evaluates some random rows of its highest-ranked.
pub struct WeakPredictors {
    rng: Rng,
    seed: u64,
    encoding: Option<lanner_predict::regress::linalg::Mat>,
}

/// Evaluations in a round, and in the random start.
const ROUND: usize = 10;
/// Number of highest-ranked rows from which a round draws.
const TOP: usize = 100;

impl WeakPredictors {
    pub fn new(seed: u64) -> Self {
        WeakPredictors { rng: lanner_nn::rng(seed, "weak predictors"), seed, encoding: None }
    }
}

impl Strategy for WeakPredictors {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let mut open = open_rows(pool, history, allowed);
        let round = ROUND.min(n);
        if history.asked() < 2 * ROUND {
            return draw(&mut open, round, &mut self.rng);
        }
        let x = self.encoding.get_or_insert_with(|| counts::one_hot(&pool.space, &pool.archs));
        let known = x.select(&history.rows());
        let options = TreeOptions { trees: 100, ..TreeOptions::default() };
        let Ok(trees) = ExtraTrees::fit(&known, &history.values(), &options, self.seed) else {
            return draw(&mut open, round, &mut self.rng);
        };
        let scores = trees.predict(&x.select(&open));
        let mut order: Vec<usize> = (0..open.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut top: Vec<usize> = order.iter().take(TOP).map(|&i| open[i]).collect();
        draw(&mut top, round, &mut self.rng)
    }

    fn save(&self, _: &Pool) -> Vec<u8> {
        save_rng(&self.rng)
    }

    fn restore(&mut self, _: &Pool, state: &[u8]) -> Result<(), PredictError> {
        restore_rng(&mut self.rng, state)
    }
}
