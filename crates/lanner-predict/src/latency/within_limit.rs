//! Probability that a network meets a limit, from few measurements: a small Gaussian process.

use rayon::prelude::*;

use crate::encode::cells::{CellEncoder, CellFeatures, standardised};
use crate::encode::costs::AnalyticCosts;
use crate::encode::counts::{network_one_hot, one_hot};
use crate::regress::gp::{Component, Gp, GpOptions, HyperPrior, Kernel};
use crate::regress::linalg::Mat;
use crate::{Pool, PredictError};

/// Options of the process.
const OPTIONS: GpOptions =
    GpOptions { noise: HyperPrior::new(0.05, 1.0), iterations: 40, hyper_rows: 150, student: None };

/// Errors of expected latencies are a process from this many measurements on.
const FEWEST: usize = 5;
/// The standard deviation of a logarithm where a predictor does not tell it, and the least that is believed.
const USUAL_SD: f64 = 0.1;
const LEAST_SD: f64 = 0.01;
/// Width of a 90 % interval in standard deviations.
const INTERVAL: f64 = 2.0 * 1.645;
/// Least latency that is believed, in milliseconds.
const LEAST: f64 = 1e-6;

/// Belief in a network's metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Median of a new measurement.
    pub median: f64,
    /// Standard deviation of a new measurement, to first order.
    pub sd: f64,
    /// Probability that a measurement is within the limit.
    pub within: f64,
}

impl Belief {
    /// The belief in a value whose logarithm has this mean and standard deviation.
    fn of_log(mean: f64, sd: f64, limit: f64) -> Belief {
        let within = if limit <= 0.0 { 0.0 } else { normal_below((limit.ln() - mean) / sd) };
        Belief { median: mean.exp(), sd: mean.exp() * sd, within }
    }
}

/// The latency that a predictor expects of a network before it is measured: mean and standard deviation
/// of the logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    log: f64,
    sd: f64,
}

impl Expected {
    /// A median and, where it is known, a 90 % interval. A median that is no number expects nothing.
    pub fn new(median: f64, interval: Option<(f64, f64)>) -> Expected {
        let log = if median.is_nan() { f64::NAN } else { median.max(LEAST).ln() };
        let sd = interval.map_or(f64::NAN, |(low, high)| (high / low).ln() / INTERVAL);
        Expected { log, sd: if sd.is_finite() { sd.max(LEAST_SD) } else { USUAL_SD } }
    }

    /// Probability that a measurement is within the limit; one half where nothing is expected.
    pub fn within(&self, limit: f64) -> f64 {
        self.uncorrected(limit).within
    }

    /// The belief in the latency that is expected.
    pub fn uncorrected(&self, limit: f64) -> Belief {
        self.belief(0.0, self.sd, limit)
    }

    /// The belief in a latency that is `error` more, as a logarithm, than is expected.
    fn belief(&self, error: f64, sd: f64, limit: f64) -> Belief {
        let belief = Belief::of_log(self.log + error, sd, limit);
        if self.log.is_nan() { Belief { within: 0.5, ..belief } } else { belief }
    }
}

/// Log-latency over a pool: linear in counts of all and of live operations, in one-hots and in times on
/// simulated devices, plus a smooth term on graph features and sums over the network's layers.
pub struct LatencyProcess {
    components: Vec<Component>,
    /// Hyper-parameters of the last fit.
    hyper: Option<Vec<f64>>,
}

impl LatencyProcess {
    /// The process of a latency over a pool, before any measurement.
    pub fn new(pool: &Pool) -> LatencyProcess {
        if pool.space.parameters().is_none() {
            return LatencyProcess::of_metric(pool);
        }
        let f = CellEncoder::of_network(&pool.space).features(&pool.archs);
        LatencyProcess::of(pool, &f, network_one_hot(&pool.space, &pool.archs))
    }

    /// The same, and linear in costs of the networks: lists with one logarithm a row.
    pub fn with_costs(pool: &Pool, costs: &[Vec<f64>]) -> LatencyProcess {
        let mut process = LatencyProcess::new(pool);
        let x = Mat::from_fn(pool.len(), costs.len(), |row, cost| costs[cost][row]);
        process.components.push(component(Kernel::Linear, standardised(&[&x])));
        process
    }

    /// The process of any metric, on which also parameters have a bearing that do not change the network.
    pub fn of_metric(pool: &Pool) -> LatencyProcess {
        LatencyProcess::of(pool, &CellFeatures::new(pool), one_hot(&pool.space, &pool.archs))
    }

    fn of(pool: &Pool, f: &CellFeatures, texts: Mat) -> LatencyProcess {
        let costs = AnalyticCosts::of_pool(pool);
        let (text, live) = &*costs;
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
                .into_par_iter()
                .map(|(kernel, groups)| (kernel, standardised(&groups)))
                .filter(|(_, x)| x.cols > 0)
                .map(|(kernel, x)| component(kernel, x))
                .collect(),
            hyper: None,
        }
    }

    /// Beliefs in a metric of `rows` by measurements of it (row and value), whatever was fitted before. Values
    /// are modelled as logarithms if all are positive.
    pub fn beliefs(
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
        let belief = |(&mean, &sd): (&f64, &f64)| match logs {
            true => Belief::of_log(mean, sd, limit),
            false => Belief { median: mean, sd, within: normal_below((limit - mean) / sd) },
        };
        Ok(p.mean.iter().zip(&p.sd).map(belief).collect())
    }

    /// Beliefs in latencies of which a predictor expects something of each row of the pool. Measurements (row
    /// and value) teach how far the expectation is off: a few of them a common factor, more of them the
    /// process of its errors.
    pub fn corrected(
        &self,
        expected: &[Expected],
        known: &[(usize, f64)],
        limit: f64,
        rows: &[usize],
    ) -> Vec<Belief> {
        let error = |&(row, value): &(usize, f64)| (row, value.ln() - expected[row].log);
        let (at, errors): (Vec<usize>, Vec<f64>) =
            known.iter().map(error).filter(|(_, error)| error.is_finite()).unzip();
        let gp = match at.len() >= FEWEST {
            true => Gp::fit(&self.components, &at, &errors, &OPTIONS, None).ok(),
            false => None,
        };
        let Some(gp) = gp else {
            // As if one more measurement had been as expected.
            let error = errors.iter().sum::<f64>() / (errors.len() + 1) as f64;
            return rows
                .iter()
                .map(|&r| expected[r].belief(error, expected[r].sd, limit))
                .collect();
        };
        let p = gp.predict(&self.components, rows, true);
        let errors = p.mean.iter().zip(&p.sd);
        rows.iter().zip(errors).map(|(&r, (&e, &sd))| expected[r].belief(e, sd, limit)).collect()
    }

    /// Probability that a measurement of each row of the pool is at most `limit`, after a fit to every
    /// known latency (one a row) that is a positive number. Fits go on from the hyper-parameters of the last.
    pub fn probability_within(
        &mut self,
        known: &[Option<f64>],
        limit: f64,
    ) -> Result<Vec<f64>, PredictError> {
        let (rows, logs): (Vec<usize>, Vec<f64>) = (known.iter().enumerate())
            .filter_map(|(row, latency)| Some((row, latency.filter(|l| *l > 0.0)?.ln())))
            .filter(|(_, log)| log.is_finite())
            .unzip();
        let gp = Gp::fit(&self.components, &rows, &logs, &OPTIONS, self.hyper.as_deref())?;
        self.hyper = Some(gp.hyper.clone());
        let all: Vec<usize> = (0..self.components[0].x.rows).collect();
        if limit.is_nan() || limit <= 0.0 {
            return Ok(vec![0.0; all.len()]);
        }
        let p = gp.predict(&self.components, &all, true);
        let within = |(mean, sd): (&f64, &f64)| normal_below((limit.ln() - mean) / sd);
        Ok(p.mean.iter().zip(&p.sd).map(within).collect())
    }
}

fn component(kernel: Kernel, x: Mat) -> Component {
    Component {
        kernel,
        x: x.into(),
        amplitude: HyperPrior::new(0.37, 1.5),
        length: HyperPrior::new(1.17, 0.7),
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
    use crate::metrics::spearman;
    use lanner_network::{Cost, Skeleton, View};
    use lanner_space::Space;

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

    /// Without measurements the predictor decides; with them, how far it is off.
    #[test]
    fn expectations_are_corrected_by_measurements() {
        let space = Space::NasBench201;
        let pool = Pool::new(space.clone(), space.iter().step_by(70).collect());
        let n = pool.len();
        let truth: Vec<f64> = (pool.archs.iter())
            .map(|a| 1.0 + a.codes().iter().filter(|&&c| c == 3).count() as f64)
            .collect();
        // Twice too fast, and more so where there are poolings.
        let pools = |r: usize| pool.archs[r].codes().iter().filter(|&&c| c == 4).count() as f64;
        let expected: Vec<Expected> = (0..n)
            .map(|r| Expected::new(truth[r] / (2.0 + 0.3 * pools(r)), Some((1.0, 1.2))))
            .collect();
        let process = LatencyProcess::new(&pool);
        let rows: Vec<usize> = (30..n).collect();
        let mut errors = Vec::new();
        for measured in [0, 3, 30] {
            let known: Vec<(usize, f64)> = (0..measured).map(|r| (r, truth[r])).collect();
            let beliefs = process.corrected(&expected, &known, 2.9, &rows);
            assert_eq!(beliefs.len(), rows.len());
            let error = |(b, &r): (&Belief, &usize)| (b.median / truth[r]).ln().abs();
            errors.push(beliefs.iter().zip(&rows).map(error).sum::<f64>() / rows.len() as f64);
        }
        assert!(errors[1] < 0.7 * errors[0] && errors[2] < 0.3 * errors[1], "{errors:?}");
        assert!(Expected::new(2.0, Some((1.9, 2.1))).within(3.0) > 0.99);
        assert!(Expected::new(2.0, None).within(1.0) < 0.01);
        assert_eq!(Expected::new(f64::NAN, None).within(3.0), 0.5);
        // Where it is right, there is nothing to learn.
        let right: Vec<Expected> = truth.iter().map(|&t| Expected::new(t, None)).collect();
        let known: Vec<(usize, f64)> = (0..20).map(|r| (r, truth[r])).collect();
        let beliefs = process.corrected(&right, &known, 2.9, &rows);
        assert!(beliefs.iter().zip(&rows).all(|(b, &r)| (b.median / truth[r] - 1.0).abs() < 1e-6));
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
