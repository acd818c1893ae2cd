//! Searches the trade-offs between several objectives with a strategy that knows one.

use lanner_predict::{Pool, PredictError};

use super::front::{promising, scalarised};
use super::history::{History, Strategy};
use crate::constrained::LatencyProcess;

/// Number of trials asked for with the same weights of the objectives.
const WEIGHTING: usize = 2;
/// Trials before the first model, trials in a round after it, and the mean factor of the standard
/// deviation in the acquisition, as in [`DefaultSearch`](super::DefaultSearch).
const START: usize = 10;
const BATCH: usize = 4;
const EXPLORATION: f64 = 0.6;
/// Number of rows whose mutations become candidates, each time.
const PARENTS: usize = 16;

/// Gives another strategy one number for all values, with random weights in each round (ParEGO).
/// With `widens`, it asks instead for the rows that promise most to widen the front, as soon as
/// there are enough trials to learn the objectives.
pub(super) struct SeveralObjectives {
    one: Box<dyn Strategy + Send>,
    signs: Vec<f64>,
    widens: bool,
    seed: u64,
    process: Option<LatencyProcess>,
}

impl SeveralObjectives {
    pub fn new(
        one: Box<dyn Strategy + Send>,
        signs: Vec<f64>,
        widens: bool,
        seed: u64,
    ) -> SeveralObjectives {
        SeveralObjectives { one, signs, widens, seed, process: None }
    }

    /// Returns the rows that promise most to widen the front; none if no row promises anything.
    fn widening(
        &mut self,
        pool: &Pool,
        history: &History,
        known: &[(usize, Vec<f64>)],
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let is_open = |r: &usize| allowed.is_none_or(|a| a[*r]) && !history.is_taken(*r);
        let rows: Vec<usize> = (0..pool.len()).filter(is_open).collect();
        let asked = [&rows[..], &history.pending].concat();
        let process = self.process.get_or_insert_with(|| LatencyProcess::of_metric(pool));
        // Metrics with a natural zero, such as latencies, are compared as logarithms, as they are believed.
        let are_logs: Vec<bool> = (self.signs.iter().enumerate())
            .map(|(j, sign)| known.iter().all(|k| sign * k.1[j] > 0.0))
            .collect();
        let scaled = |j: usize, v: f64| match are_logs[j] {
            true => self.signs[j] * (self.signs[j] * v).ln(),
            false => v,
        };
        let believed = self.signs.iter().enumerate().map(|(j, &sign)| {
            let values: Vec<(usize, f64)> = known.iter().map(|(r, v)| (*r, sign * v[j])).collect();
            let beliefs = process.beliefs(&values, f64::INFINITY, &asked)?;
            let signed = beliefs.iter().map(|b| {
                let sd = if are_logs[j] { b.sd / b.median } else { b.sd };
                (scaled(j, sign * b.median), sd)
            });
            Ok::<_, PredictError>(signed.collect::<Vec<_>>())
        });
        let believed: Result<Vec<_>, _> = believed.collect();
        let Ok(believed) = believed else { return Vec::new() };
        let beliefs: Vec<Vec<(f64, f64)>> =
            (0..asked.len()).map(|i| believed.iter().map(|of| of[i]).collect()).collect();
        let (of_rows, of_pending) = beliefs.split_at(rows.len());
        let values = |v: &[f64]| v.iter().enumerate().map(|(j, &v)| scaled(j, v)).collect();
        let mut points: Vec<Vec<f64>> = known.iter().map(|k| values(&k.1)).collect();
        points.extend(of_pending.iter().map(|b| b.iter().map(|b| b.0).collect()));
        promising(&rows, of_rows, &points, EXPLORATION, n)
    }
}

/// Returns the rows that were evaluated, each with its values.
fn known(history: &History) -> Vec<(usize, Vec<f64>)> {
    (history.trials.iter().zip(&history.objectives))
        .map(|(t, values)| (t.row, values.clone()))
        .collect()
}

impl Strategy for SeveralObjectives {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let known = known(history);
        if self.widens && known.len() >= START {
            let rows = self.widening(pool, history, &known, allowed, n.min(BATCH));
            if !rows.is_empty() {
                return rows;
            }
        }
        let mut weighted = history.clone();
        let values = scalarised(&known, self.seed, history.round);
        weighted.trials.iter_mut().zip(values).for_each(|(t, value)| t.value = value);
        self.one.ask(pool, &weighted, allowed, n.min(WEIGHTING))
    }

    fn parents(&mut self, pool: &Pool, history: &History, allowed: Option<&[bool]>) -> Vec<usize> {
        let known = known(history);
        match self.widens && known.len() >= START {
            true => self.widening(pool, history, &known, allowed, PARENTS),
            false => Vec::new(),
        }
    }

    fn warm_start(&mut self, pool: &Pool, values: &[Vec<f64>]) {
        self.one.warm_start(pool, values);
    }

    fn prior(&mut self, pool: &Pool, scores: &[f64]) {
        self.one.prior(pool, scores);
    }

    fn costs(&mut self, costs: &[Vec<f64>]) {
        self.one.costs(costs);
    }

    fn save(&self, pool: &Pool) -> Vec<u8> {
        self.one.save(pool)
    }

    fn restore(&mut self, pool: &Pool, state: &[u8]) -> Result<(), PredictError> {
        self.one.restore(pool, state)
    }
}
