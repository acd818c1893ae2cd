//! Costs that a program counts on the user's own networks, as features of predictors: known of the networks that
//! were built, predicted of all others.

use lanner_predict::Pool;
use lanner_space::Space;
use rusqlite::Connection;

use super::limits::{Known, latest};
use crate::Job;
use crate::constrained::LatencyProcess;

/// Costs that predictors see, where they are counted.
pub const COUNTED: [&str; 2] = ["flops", "params"];
/// Number of networks whose costs must be known before others are predicted.
const FEWEST: usize = 8;

/// Returns the counted costs among those that a function of the user gives: only networks of a space of
/// parameters are not known here.
pub fn counted(job: &Job, space: &Space) -> Vec<&'static str> {
    let gives = |metric: &&str| job.setup.as_ref().is_some_and(|setup| setup.measures(metric));
    match space.parameters() {
        Some(_) => COUNTED.into_iter().filter(gives).collect(),
        None => Vec::new(),
    }
}

/// Reads the costs that are known, one list for each of [`counted`].
pub(super) fn read(c: &Connection, job: &Job, space: &Space) -> rusqlite::Result<Vec<Known>> {
    counted(job, space).into_iter().map(|metric| latest(c, space, metric)).collect()
}

/// Returns the logarithm of each cost of the pool's networks, for each list of known ones. Zeros, as long as too few
/// are known.
pub(super) fn of_pool(pool: &Pool, known: &[Known]) -> Vec<Vec<f64>> {
    let none = || vec![0.0; pool.len()];
    if known.iter().all(|known| known.len() < FEWEST) {
        return known.iter().map(|_| none()).collect();
    }
    let process = LatencyProcess::new(pool);
    let rows: Vec<usize> = (0..pool.len()).collect();
    let of = |known: &Known| {
        let at: Vec<(usize, f64)> = (known.iter())
            .filter_map(|(arch, cost)| Some((pool.row_of(arch)?, *cost)))
            .filter(|(_, cost)| *cost > 0.0)
            .collect();
        if at.len() < FEWEST {
            return none();
        }
        let Ok(beliefs) = process.beliefs(&at, f64::INFINITY, &rows) else { return none() };
        let mut logs: Vec<f64> = beliefs.iter().map(|b| b.median.ln()).collect();
        at.iter().for_each(|&(row, cost)| logs[row] = cost.ln());
        if logs.iter().all(|log| log.is_finite()) { logs } else { none() }
    };
    known.iter().map(of).collect()
}
