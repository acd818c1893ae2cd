//! Searching the trade-offs of two objectives with strategies that know one.

use lanner_predict::{Pool, PredictError};

use super::front::{promising, scalarised};
use super::history::{History, Strategy};
use crate::constrained::LatencyProcess;

/// Trials asked for by one weighting of the objectives.
const WEIGHTING: usize = 2;
/// Trials before the first processes, trials of a round then, and the mean of the standard deviations
/// by which hope goes beyond belief: those of [`DefaultSearch`](super::DefaultSearch).
const START: usize = 10;
const BATCH: usize = 4;
const EXPLORATION: f64 = 0.6;

/// Gives another strategy one number for both values, by random weights in each round (ParEGO). If
/// `widens`, it asks instead for what promises most to widen the front, as soon as there are trials to
/// learn both objectives from.
pub(super) struct TwoObjectives {
    one: Box<dyn Strategy + Send>,
    signs: [f64; 2],
    widens: bool,
    seed: u64,
    process: Option<LatencyProcess>,
}

impl TwoObjectives {
    pub fn new(
        one: Box<dyn Strategy + Send>,
        signs: [f64; 2],
        widens: bool,
        seed: u64,
    ) -> TwoObjectives {
        TwoObjectives { one, signs, widens, seed, process: None }
    }

    /// Rows that promise most to widen the front; none if nothing promises anything.
    fn widening(
        &mut self,
        pool: &Pool,
        history: &History,
        known: &[(usize, [f64; 2])],
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let is_open = |r: &usize| allowed.is_none_or(|a| a[*r]) && !history.is_taken(*r);
        let rows: Vec<usize> = (0..pool.len()).filter(is_open).collect();
        let asked = [&rows[..], &history.pending].concat();
        let process = self.process.get_or_insert_with(|| LatencyProcess::new(pool));
        let believed = [0, 1].map(|j| {
            // In the metric's own sign, by which latencies are positive and so seen as logarithms.
            let sign = self.signs[j];
            let values: Vec<(usize, f64)> = known.iter().map(|(r, v)| (*r, sign * v[j])).collect();
            let beliefs = process.beliefs(&values, f64::INFINITY, &asked)?;
            let signed = beliefs.iter().map(|b| (sign * b.median, b.sd));
            Ok::<_, PredictError>(signed.collect::<Vec<_>>())
        });
        let [Ok(first), Ok(second)] = believed else { return Vec::new() };
        let beliefs: Vec<[(f64, f64); 2]> =
            first.into_iter().zip(second).map(|(a, b)| [a, b]).collect();
        let (of_rows, of_pending) = beliefs.split_at(rows.len());
        let mut points: Vec<[f64; 2]> = known.iter().map(|k| k.1).collect();
        points.extend(of_pending.iter().map(|b| b.map(|b| b.0)));
        promising(&rows, of_rows, &points, EXPLORATION, n.min(BATCH))
    }
}

impl Strategy for TwoObjectives {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let both: Vec<(usize, [f64; 2])> = (history.trials.iter().zip(&history.second))
            .map(|(t, second)| (t.row, [t.value, *second]))
            .collect();
        if self.widens && both.len() >= START {
            let rows = self.widening(pool, history, &both, allowed, n);
            if !rows.is_empty() {
                return rows;
            }
        }
        let mut weighted = history.clone();
        let values = scalarised(&both, self.seed, history.round);
        weighted.trials.iter_mut().zip(values).for_each(|(t, value)| t.value = value);
        self.one.ask(pool, &weighted, allowed, n.min(WEIGHTING))
    }

    fn warm_start(&mut self, pool: &Pool, earlier: &[Vec<f64>]) {
        self.one.warm_start(pool, earlier);
    }

    fn save(&self, pool: &Pool) -> Vec<u8> {
        self.one.save(pool)
    }

    fn restore(&mut self, pool: &Pool, state: &[u8]) -> Result<(), PredictError> {
        self.one.restore(pool, state)
    }
}
