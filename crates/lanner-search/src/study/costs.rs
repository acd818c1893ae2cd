//! Costs that a program counts on the user's own networks, as features of predictors: known of the networks that
//! were built, predicted of all others.

use lanner_network::Skeleton;
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
    match Skeleton::is_known(space) {
        false => COUNTED.into_iter().filter(gives).collect(),
        true => Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_exact_where_they_are_known_and_predicted_elsewhere() {
        let text = r#"{"name": "mine", "parameter": [
            {"name": "depth", "integer": [1, 6]}, {"name": "width", "choice": [8, 16, 32, 64]},
            {"name": "lr", "float": [0.0001, 0.1], "log": true, "network": false}]}"#;
        let space = Space::of_parameters(&serde_json::from_str(text).unwrap()).unwrap();
        let mut rng = lanner_nn::rng(1, "costs");
        let archs: Vec<_> = (0..200).map(|_| space.sample(&mut rng)).collect();
        let pool = Pool::new(space.clone(), archs);
        let cost = |row: usize| {
            let text = space.print(&pool.archs[row]);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let [depth, width] = ["depth", "width"].map(|name| value[name].as_f64().unwrap());
            9.0 * depth * width * width + 10.0 * width
        };
        let known: Known = (0..20).map(|row| (pool.archs[row].clone(), cost(row))).collect();
        let few = known[..FEWEST - 1].to_vec();
        let costs = of_pool(&pool, &[known, few]);
        let error = |row: usize| (costs[0][row] - cost(row).ln()).abs();
        assert!((0..20).all(|row| error(row) < 1e-12));
        let mut errors: Vec<f64> = (20..200).map(error).collect();
        errors.sort_by(f64::total_cmp);
        assert!(errors[90] < 0.1 && errors[171] < 0.5, "{} {}", errors[90], errors[171]);
        assert!(costs[1].iter().all(|cost| *cost == 0.0));
    }
}
