//! The record that strategies choose by, and the trait that they have.

use std::collections::HashSet;

use lanner_predict::{Pool, PredictError};

/// One evaluated architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Its number in the pool.
    pub row: usize,
    /// What came back; more is better.
    pub value: f64,
}

/// Everything that was evaluated, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub trials: Vec<Trial>,
    /// Rows that were asked for, with or without success.
    taken: HashSet<usize>,
    /// Rows whose values are awaited, taken too.
    pub pending: Vec<usize>,
    /// How many were asked for that are not in the pool or not among these trials.
    pub elsewhere: usize,
    /// With two objectives the second value of each trial; more is better.
    pub second: Vec<f64>,
    /// The number of rounds that were asked for before.
    pub round: u32,
}

impl History {
    /// The best trial so far, the earliest of equals.
    pub fn best(&self) -> Option<Trial> {
        self.trials.iter().copied().reduce(|a, b| if b.value > a.value { b } else { a })
    }

    /// Whether a row was asked for before.
    pub fn is_taken(&self, row: usize) -> bool {
        self.taken.contains(&row)
    }

    /// How many rows were asked for, failures included.
    pub fn asked(&self) -> usize {
        self.taken.len() + self.elsewhere
    }

    /// Notes a row that is being evaluated.
    pub fn wait_for(&mut self, row: usize) {
        if self.taken.insert(row) {
            self.pending.push(row);
        }
    }

    /// Notes a row and what came back, if anything did.
    pub fn tell(&mut self, row: usize, value: Option<f64>) {
        self.taken.insert(row);
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.trials.push(Trial { row, value });
        }
    }

    /// Notes a row and the values of two objectives.
    pub fn tell_both(&mut self, row: usize, values: [f64; 2]) {
        let before = self.trials.len();
        self.tell(row, Some(values[0]));
        self.second.extend((self.trials.len() > before).then_some(values[1]));
    }

    pub fn rows(&self) -> Vec<usize> {
        self.trials.iter().map(|t| t.row).collect()
    }

    pub fn values(&self) -> Vec<f64> {
        self.trials.iter().map(|t| t.value).collect()
    }
}

/// Decides what to evaluate next.
pub trait Strategy {
    /// Up to `n` rows that are neither taken nor forbidden by `allowed` (one flag a row); fewer
    /// than `n` is a choice to look at results sooner, none means that nothing is left.
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize>;

    /// The trial that the strategy would deploy: under a noisy signal not always the one with the
    /// best value.
    fn recommend(&mut self, pool: &Pool, history: &History) -> Option<Trial> {
        let _ = pool;
        history.best()
    }

    /// What was known of the rows before the search: of each origin (an earlier search, a table) one
    /// value a row, NaN where there is none. More is better, but neither scale nor effort need be those
    /// of this search. Called before the first [`Strategy::ask`] over a pool; strategies that have no
    /// use for it keep this default.
    fn warm_start(&mut self, pool: &Pool, earlier: &[Vec<f64>]) {
        let _ = (pool, earlier);
    }

    /// Median and standard deviation of the value of each row that the last [`Strategy::ask`] gave, as
    /// believed then; nothing of strategies that have no such belief.
    fn beliefs(&self) -> &[(f64, f64)] {
        &[]
    }

    /// What it remembers from one [`Strategy::ask`] to the next and could not work out again.
    fn save(&self, pool: &Pool) -> Vec<u8>;

    /// Makes a new strategy, of the same arguments, go on bit for bit as the one that was saved.
    fn restore(&mut self, pool: &Pool, state: &[u8]) -> Result<(), PredictError>;
}

/// Rows that may still be asked for.
pub(crate) fn open_rows(pool: &Pool, history: &History, allowed: Option<&[bool]>) -> Vec<usize> {
    (0..pool.len()).filter(|&r| !history.is_taken(r) && allowed.is_none_or(|a| a[r])).collect()
}

/// Asks and evaluates until `budget` architectures were asked for or none is left.
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
