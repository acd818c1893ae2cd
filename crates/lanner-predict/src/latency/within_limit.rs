//! How probable it is that a network meets a limit, from few measurements: a small Gaussian process.

use crate::encode::cells::{CellFeatures, standardised};
use crate::encode::costs::AnalyticCosts;
use crate::encode::counts::one_hot;
use crate::regress::gp::{Component, Gp, GpOptions, HyperPrior, Kernel};
use crate::{Pool, PredictError};

/// How the process is fitted.
const OPTIONS: GpOptions =
    GpOptions { noise: HyperPrior::new(0.05, 1.0), iterations: 40, hyper_rows: 150, student: None };

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

/// Log-latency over a pool: linear in counts of all and of live operations, in one-hots and in times on
/// simulated devices, plus a smooth term on graph features and sums over the network's layers.
pub struct LatencyProcess {
    components: Vec<Component>,
    /// Hyper-parameters of the last fit.
    hyper: Option<Vec<f64>>,
}

impl LatencyProcess {
    /// The process over a pool, before any measurement.
    pub fn new(pool: &Pool) -> LatencyProcess {
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
                    amplitude: HyperPrior::new(0.37, 1.5),
                    length: HyperPrior::new(1.17, 0.7),
                })
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

    #[test]
    fn the_normal_distribution() {
        assert!((normal_below(1.959964) - 0.975).abs() < 1e-6);
        assert!((normal_below(-3.0) - 0.0013499).abs() < 1e-6);
        let z: Vec<f64> = (-50..50).map(|i| f64::from(i) / 10.0).collect();
        let p: Vec<f64> = z.iter().map(|&z| normal_below(z)).collect();
        assert_eq!(spearman(&z, &p), 1.0);
    }
}
