//! Searching under a latency limit with few measurements of the device.
//!
//! A small Gaussian process learns log-latency from the networks that were measured, and gives for all
//! others the probability that they meet the limit. Predictions alone would sometimes be wrong where
//! it matters, near the limit. So [`best_within`] measures each network before it returns it, learns
//! from a miss, and goes on: the network that it returns did meet the limit when it was measured.

use lanner_predict::Pool;
pub use lanner_predict::latency::Belief;
pub(crate) use lanner_predict::latency::LatencyProcess;

use crate::strategy::draw;

/// Networks less likely than this to meet the limit are not measured, however accurate.
const WORTH_MEASURING: f64 = 0.1;
/// Largest number of measurements after the samples.
const WALK: usize = 25;

/// Result of [`best_within`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The network's row in the pool.
    pub row: usize,
    /// Measured latency, within the limit.
    pub latency: f64,
    /// Number of calls of `measure`.
    pub measurements: usize,
}

/// Finds the most accurate network of a pool whose measured latency is within `limit`.
///
/// `accuracy` has one value a row, measured or predicted; rows whose value is not finite are
/// skipped. First, `samples` random rows are measured. Then the most accurate row that meets the
/// limit with a probability of at least a tenth is measured, again and again, until one meets the
/// limit or 25 measurements are spent. Measurements that are not positive numbers count as failed.
/// `None` if no measured network meets the limit.
pub fn best_within(
    pool: &Pool,
    accuracy: &[f64],
    limit: f64,
    samples: usize,
    measure: &mut dyn FnMut(usize) -> f64,
    seed: u64,
) -> Option<Found> {
    let mut rng = lanner_nn::rng(seed, "latency samples");
    let mut known: Vec<Option<f64>> = vec![None; pool.len()];
    let mut measurements = 0;
    let mut look = |row: usize, known: &mut Vec<Option<f64>>| {
        measurements += 1;
        known[row] = Some(measure(row));
    };
    // Networks without an accuracy can teach latencies as well as any other.
    let mut rows: Vec<usize> = (0..pool.len()).collect();
    for row in draw(&mut rows, samples, &mut rng) {
        look(row, &mut known);
    }
    let mut process = LatencyProcess::new(pool);
    for _ in 0..WALK {
        // Without a model (all samples failed, or there were none) every network is worth a try.
        let probable =
            process.probability_within(&known, limit).unwrap_or_else(|_| vec![1.0; pool.len()]);
        let next = (0..pool.len().min(accuracy.len()))
            .filter(|&r| accuracy[r].is_finite())
            .filter(|&r| match known[r] {
                Some(latency) => meets(latency, limit),
                None => probable[r] >= WORTH_MEASURING,
            })
            .max_by(|&a, &b| accuracy[a].total_cmp(&accuracy[b]));
        match next {
            Some(row) if known[row].is_none() => look(row, &mut known),
            // The best network that may meet the limit does meet it, or no network may.
            _ => break,
        }
    }
    let row = (0..pool.len().min(accuracy.len()))
        .filter(|&r| accuracy[r].is_finite() && known[r].is_some_and(|l| meets(l, limit)))
        .max_by(|&a, &b| accuracy[a].total_cmp(&accuracy[b]))?;
    Some(Found { row, latency: known[row]?, measurements })
}

fn meets(latency: f64, limit: f64) -> bool {
    latency > 0.0 && latency <= limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_space::Space;

    /// Latency that grows with live operations, and one device quirk that no feature tells.
    fn example() -> (Pool, Vec<f64>, Vec<f64>) {
        let space = Space::NasBench201;
        let mut rng = lanner_nn::rng(2, "constrained test");
        let archs: Vec<_> = (0..400).map(|_| space.sample(&mut rng)).collect();
        let pool = Pool::new(space, archs);
        let cost = [0.0, 0.1, 1.0, 2.5, 0.8];
        let latency: Vec<f64> = (pool.archs.iter().enumerate())
            .map(|(i, arch)| {
                let live = pool.space.live(arch);
                let sum: f64 = (arch.codes().iter().zip(live))
                    .map(|(&c, l)| if l { cost[usize::from(c)] } else { 0.0 })
                    .sum();
                (2.0 + sum) * if i.is_multiple_of(9) { 1.3 } else { 1.0 }
            })
            .collect();
        let accuracy: Vec<f64> =
            latency.iter().enumerate().map(|(i, l)| 50.0 + l + (i % 7) as f64 * 0.3).collect();
        (pool, latency, accuracy)
    }

    #[test]
    fn returns_a_nearly_best_network_that_meets_the_limit() {
        let (pool, latency, accuracy) = example();
        let mut gaps = Vec::new();
        for limit in [4.0, 6.0, 9.0] {
            let best =
                (0..400).filter(|&r| latency[r] <= limit).map(|r| accuracy[r]).fold(0.0, f64::max);
            for seed in 0..3 {
                let mut calls = 0;
                let mut measure = |r: usize| {
                    calls += 1;
                    latency[r]
                };
                let found = best_within(&pool, &accuracy, limit, 20, &mut measure, seed).unwrap();
                assert!(found.latency <= limit && found.latency == latency[found.row]);
                assert_eq!(found.measurements, calls);
                assert!(calls <= 20 + WALK);
                gaps.push(best - accuracy[found.row]);
            }
        }
        // Accuracies range over more than ten points.
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!(mean < 0.7 && gaps.iter().all(|g| *g < 2.0), "{gaps:?}");
    }

    #[test]
    fn nothing_and_failures() {
        let (pool, latency, accuracy) = example();
        assert!(best_within(&pool, &accuracy, 0.5, 20, &mut |r| latency[r], 0).is_none());
        assert!(best_within(&pool, &accuracy, 5.0, 20, &mut |_| f64::NAN, 0).is_none());
        assert!(best_within(&pool, &[f64::NAN; 400], 5.0, 20, &mut |r| latency[r], 0).is_none());
        // Half of the measurements fail.
        let mut flaky = |r: usize| if r.is_multiple_of(2) { latency[r] } else { -1.0 };
        let found = best_within(&pool, &accuracy, 6.0, 20, &mut flaky, 0).unwrap();
        assert!(found.row.is_multiple_of(2) && found.latency <= 6.0);
        // Without samples it can only try from the top.
        assert!(best_within(&pool, &accuracy, 1e9, 0, &mut |r| latency[r], 0).is_some());
    }
}
