//! Searching under a latency limit with few measurements of the device.
//!
//! A small Gaussian process learns log-latency from the networks that were measured and tells for
//! all others how probable it is that they meet the limit. Prediction alone would sometimes be
//! wrong where it matters, next to the limit: [`best_within`] measures what it is about to return,
//! learns from a miss and goes on, so that what it returns did meet the limit when measured.

use lanner_predict::analytic::AnalyticCosts;
use lanner_predict::cell_features::{CellFeatures, standardised};
use lanner_predict::features::one_hot;
use lanner_predict::gp::{Component, Gp, Kernel, Options, Prior};
use lanner_predict::{Pool, PredictError};

use crate::baselines::draw;

/// Networks less likely than this to meet the limit are not measured, however accurate.
const WORTH_MEASURING: f64 = 0.1;
/// Most measurements after the samples.
const WALK: usize = 25;

/// What [`best_within`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The network's number in the pool.
    pub row: usize,
    /// As measured, within the limit.
    pub latency: f64,
    /// How often `measure` was called.
    pub measurements: usize,
}

/// The most accurate network of a pool whose measured latency is within `limit`.
///
/// `accuracy` has one value a row, measured or predicted; rows that are not finite are passed over.
/// First `samples` random rows are measured. Then, of those that meet the limit with a probability
/// of at least a tenth, always the most accurate is measured, until it meets the limit (or after 25
/// more measurements). Measurements that are not positive numbers count as failed. `None` if nothing
/// that was measured meets the limit.
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
    // What has no accuracy can teach latency as well as any other.
    let mut rows: Vec<usize> = (0..pool.len()).collect();
    for row in draw(&mut rows, samples, &mut rng) {
        look(row, &mut known);
    }
    let mut process = LatencyProcess::new(pool);
    for _ in 0..WALK {
        // Without a model (all samples failed or there were none) anything is worth a try.
        let probable = process
            .fit(&known)
            .map(|gp| process.probability_within(&gp, limit))
            .unwrap_or_else(|_| vec![1.0; pool.len()]);
        let next = (0..pool.len().min(accuracy.len()))
            .filter(|&r| accuracy[r].is_finite())
            .filter(|&r| match known[r] {
                Some(latency) => meets(latency, limit),
                None => probable[r] >= WORTH_MEASURING,
            })
            .max_by(|&a, &b| accuracy[a].total_cmp(&accuracy[b]));
        match next {
            Some(row) if known[row].is_none() => look(row, &mut known),
            // The best that may meet the limit does, or nothing may.
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

/// How the process is fitted.
const OPTIONS: Options =
    Options { noise: Prior::new(0.05, 1.0), iterations: 40, hyper_rows: 150, student: None };

/// What is believed of a network's metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    pub median: f64,
    /// Standard deviation of a new measurement, to first order.
    pub sd: f64,
    /// Probability that a measurement is within the limit.
    pub within: f64,
}

/// LatencyTable-latency over a pool: linear in counts of all and of live operations, in one-hots and in times on
/// simulated devices, plus a smooth term on graph features and sums over the network's layers.
pub(crate) struct LatencyProcess {
    components: Vec<Component>,
    /// Of the last fit.
    hyper: Option<Vec<f64>>,
}

impl LatencyProcess {
    pub(crate) fn new(pool: &Pool) -> LatencyProcess {
        let f = CellFeatures::new(pool);
        let texts = one_hot(&pool.space, &pool.archs);
        let (text, live) = AnalyticCosts::views(&pool.space, &pool.archs);
        let mut smooth = vec![&f.counts, &f.graph, &f.live_one_hot, &text.totals];
        smooth.extend(live.as_ref().map(|l| &l.totals));
        let mut components = vec![
            (Kernel::Linear, vec![&f.counts]),
            (Kernel::Linear, vec![&f.live_counts]),
            (Kernel::Linear, vec![&texts]),
            (Kernel::Rbf, smooth),
            (Kernel::Linear, vec![&text.times]),
        ];
        components.extend(live.as_ref().map(|l| (Kernel::Linear, vec![&l.times])));
        LatencyProcess {
            components: components
                .into_iter()
                .map(|(kernel, groups)| Component {
                    kernel,
                    x: standardised(&groups),
                    amplitude: Prior::new(0.37, 1.5),
                    length: Prior::new(1.17, 0.7),
                })
                .collect(),
            hyper: None,
        }
    }

    /// What measurements (row and value) of some metric say of `rows`, whatever was fitted before. As
    /// logarithms if all are positive.
    pub(crate) fn beliefs(
        &self,
        known: &[(usize, f64)],
        limit: f64,
        rows: &[usize],
    ) -> Result<Vec<Belief>, PredictError> {
        let logs = known.iter().all(|k| k.1 > 0.0);
        let of = |value: f64| if logs { value.ln() } else { value };
        let (at, values): (Vec<usize>, Vec<f64>) = known.iter().map(|k| (k.0, of(k.1))).unzip();
        let gp = Gp::fit(&self.components, &at, &values, &OPTIONS, None)?;
        let p = gp.predict(&self.components, rows, true);
        let belief = |(&mean, &sd): (&f64, &f64)| {
            let (median, slope) = if logs { (mean.exp(), mean.exp()) } else { (mean, 1.0) };
            let within = match logs && limit <= 0.0 {
                true => 0.0,
                false => normal_below((of(limit) - mean) / sd),
            };
            Belief { median, sd: slope * sd, within }
        };
        Ok(p.mean.iter().zip(&p.sd).map(belief).collect())
    }

    /// Fits every measurement that is a positive number.
    fn fit(&mut self, known: &[Option<f64>]) -> Result<Gp, PredictError> {
        let (rows, logs): (Vec<usize>, Vec<f64>) = (known.iter().enumerate())
            .filter_map(|(row, latency)| Some((row, latency.filter(|l| *l > 0.0)?.ln())))
            .filter(|(_, log)| log.is_finite())
            .unzip();
        let gp = Gp::fit(&self.components, &rows, &logs, &OPTIONS, self.hyper.as_deref())?;
        self.hyper = Some(gp.hyper.clone());
        Ok(gp)
    }

    /// Probability that a measurement of each row is at most `limit`.
    fn probability_within(&self, gp: &Gp, limit: f64) -> Vec<f64> {
        if limit.is_nan() || limit <= 0.0 {
            return vec![0.0; self.components[0].x.rows];
        }
        let rows: Vec<usize> = (0..self.components[0].x.rows).collect();
        let p = gp.predict(&self.components, &rows, true);
        (p.mean.iter().zip(&p.sd))
            .map(|(mean, sd)| normal_below((limit.ln() - mean) / sd))
            .collect()
    }
}

/// Φ(z), to 1e-7 (Abramowitz & Stegun 26.2.17).
fn normal_below(z: f64) -> f64 {
    const B: [f64; 5] = [1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530];
    let t = 1.0 / (1.0 + 0.2316419 * z.abs());
    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let above = density * t * B.iter().fold(0.0, |sum, b| sum * t + b);
    if z > 0.0 { 1.0 - above } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_network::{Cost, Skeleton, View};
    use lanner_predict::metrics::spearman;
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

    /// A device that pays for arithmetic and for each layer, in a chain whose choices stand in 56 places:
    /// fifteen measurements do not tell them apart, what the layers cost does.
    #[test]
    fn few_measurements_are_enough_in_large_spaces() {
        let space = Space::MobileNetV3;
        let mut rng = lanner_nn::rng(4, "constrained test");
        let archs: Vec<_> = (0..150).map(|_| space.sample(&mut rng)).collect();
        let skeleton = Skeleton::of(&space).unwrap();
        let latency: Vec<f64> = (archs.iter())
            .map(|arch| {
                let network = skeleton.build(arch, View::Pruned).unwrap();
                Cost::of(&network).macs as f64 / 1e7 + network.layers.len() as f64 / 20.0
            })
            .collect();
        let process = LatencyProcess::new(&Pool::new(space, archs));
        let known: Vec<(usize, f64)> = (0..15).map(|r| (r, latency[r])).collect();
        let rows: Vec<usize> = (15..150).collect();
        let beliefs = process.beliefs(&known, 50.0, &rows).unwrap();
        let medians: Vec<f64> = beliefs.iter().map(|b| b.median).collect();
        let rank = spearman(&medians, &latency[15..]);
        assert!(rank > 0.9, "{rank}");
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

    #[test]
    fn the_normal_distribution() {
        assert!((normal_below(1.959964) - 0.975).abs() < 1e-6);
        assert!((normal_below(-3.0) - 0.0013499).abs() < 1e-6);
        let z: Vec<f64> = (-50..50).map(|i| f64::from(i) / 10.0).collect();
        let p: Vec<f64> = z.iter().map(|&z| normal_below(z)).collect();
        assert_eq!(spearman(&z, &p), 1.0);
    }
}
