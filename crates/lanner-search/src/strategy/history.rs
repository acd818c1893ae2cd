//! The record of trials that strategies choose by, and the trait [`Strategy`].

use std::collections::HashSet;

use lanner_predict::{Pool, PredictError};

/// One evaluated architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The architecture's row in the pool.
    pub row: usize,
    /// Result; larger is better.
    pub value: f64,
}

/// All trials, in the order of their results.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub trials: Vec<Trial>,
    /// Rows that were asked for, evaluated successfully or not.
    taken: HashSet<usize>,
    /// Number of rows in `taken` that were over a limit, and so not evaluated.
    over: usize,
    /// Rows that are being evaluated; `taken` has them too.
    pub pending: Vec<usize>,
    /// Number of architectures that were asked for but are not in the pool, or not among these trials.
    pub elsewhere: usize,
    /// All values of each trial in a search with several objectives; larger is better.
    pub objectives: Vec<Vec<f64>>,
    /// Number of rounds that were asked for before.
    pub round: u32,
}

impl History {
    /// Returns the best trial so far, the earliest of equals.
    pub fn best(&self) -> Option<Trial> {
        self.trials.iter().copied().reduce(|a, b| if b.value > a.value { b } else { a })
    }

    /// Tells whether a row was asked for before.
    pub fn is_taken(&self, row: usize) -> bool {
        self.taken.contains(&row)
    }

    /// Returns the number of rows that were asked for, failures included, those over a limit not.
    pub fn asked(&self) -> usize {
        self.taken.len() - self.over + self.elsewhere
    }

    /// Notes a row that is over a limit: it is not evaluated, and not asked for again.
    pub fn exclude(&mut self, row: usize) {
        self.over += usize::from(self.taken.insert(row));
    }

    /// Notes a row that is being evaluated.
    pub fn wait_for(&mut self, row: usize) {
        if self.taken.insert(row) {
            self.pending.push(row);
        }
    }

    /// Notes a row and its result; `None` if the evaluation failed.
    pub fn tell(&mut self, row: usize, value: Option<f64>) {
        self.taken.insert(row);
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.trials.push(Trial { row, value });
        }
    }

    /// Notes a row and the values of several objectives.
    pub fn tell_all(&mut self, row: usize, values: &[f64]) {
        let before = self.trials.len();
        self.tell(row, values.first().copied());
        self.objectives.extend((self.trials.len() > before).then(|| values.to_vec()));
    }

    pub fn rows(&self) -> Vec<usize> {
        self.trials.iter().map(|t| t.row).collect()
    }

    pub fn values(&self) -> Vec<f64> {
        self.trials.iter().map(|t| t.value).collect()
    }
}

/// A search strategy: decides which architectures to evaluate next.
pub trait Strategy {
    /// Chooses up to `n` rows that are neither taken nor forbidden by `allowed` (one flag a row). A
    /// strategy returns fewer than `n` to see results sooner, and none if nothing is left.
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize>;

    /// Returns rows that promise much, so that their mutations should be candidates as well: in spaces of which
    /// the pool is a small part. Called before [`Strategy::ask`], which then sees the mutations in another pool.
    fn parents(&mut self, pool: &Pool, history: &History, allowed: Option<&[bool]>) -> Vec<usize> {
        let _ = (pool, history, allowed);
        Vec::new()
    }

    /// Returns the trial that the strategy would deploy. If values are noisy, this is not always
    /// the one with the best value.
    fn recommend(&mut self, pool: &Pool, history: &History) -> Option<Trial> {
        let _ = pool;
        history.best()
    }

    /// Takes values that were known before the search: from each origin (an earlier search, a
    /// table) one value a row, NaN where there is none. Larger is better, but scale and effort may
    /// differ from this search's. Called before the first [`Strategy::ask`] over a pool; strategies
    /// without a use for them keep this default.
    fn warm_start(&mut self, pool: &Pool, values: &[Vec<f64>]) {
        let _ = (pool, values);
    }

    /// Takes an untrained score of each row, NaN where there is none, such as
    /// [`rank`](lanner_predict::accuracy::untrained::rank): larger is expected to be better. Called as
    /// [`Strategy::warm_start`]; strategies without a use for it keep this default.
    fn prior(&mut self, pool: &Pool, scores: &[f64]) {
        let _ = (pool, scores);
    }

    /// Takes costs of the networks, each a list with one logarithm a row, FLOPs first. Called before the first
    /// [`Strategy::ask`] over a pool, for networks whose costs are not known by their architecture; strategies
    /// without a use for them keep this default.
    fn costs(&mut self, costs: &[Vec<f64>]) {
        let _ = costs;
    }

    /// Returns the predicted median and standard deviation of the value of each row that the last
    /// [`Strategy::ask`] returned; empty for strategies that do not predict values.
    fn beliefs(&self) -> &[(f64, f64)] {
        &[]
    }

    /// Saves the state that the strategy remembers from one [`Strategy::ask`] to the next and could
    /// not compute again.
    fn save(&self, pool: &Pool) -> Vec<u8>;

    /// Restores a saved state into a new strategy with the same arguments, which then goes on bit
    /// for bit as the saved one.
    fn restore(&mut self, pool: &Pool, state: &[u8]) -> Result<(), PredictError>;
}

/// Returns the rows that may still be asked for.
pub(crate) fn open_rows(pool: &Pool, history: &History, allowed: Option<&[bool]>) -> Vec<usize> {
    (0..pool.len()).filter(|&r| !history.is_taken(r) && allowed.is_none_or(|a| a[r])).collect()
}

/// Asks and evaluates until `budget` architectures were asked for, or none is left.
pub fn simulate(
    strategy: &mut dyn Strategy,
    pool: &Pool,
    allowed: Option<&[bool]>,
    budget: usize,
    mut evaluate: impl FnMut(usize) -> Option<f64>,
) -> History {
    let mut history = History::default();
    while history.asked() < budget {
        let rows = strategy.ask(pool, &history, allowed, budget - history.asked());
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let value = evaluate(row);
            history.tell(row, value);
        }
    }
    history
}
