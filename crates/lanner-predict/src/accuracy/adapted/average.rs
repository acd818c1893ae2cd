//! Amplitudes of a sum of covariances, averaged by evidence.
//!
//! As for latencies ([`crate::latency::adapted`]): twenty targets do not tell one set of amplitudes, so
//! candidates are drawn from their prior, each weighs as much as it explains the targets, and the common
//! mean and scale are integrated out. Here every group has a prior of its own, and the targets are normal
//! scores, which have no outliers. A source's slope is not an amplitude but a positive number: better
//! there is better here until the targets say otherwise.

use rand::RngExt;

use crate::regress::linalg::{Cholesky, Mat};

/// Number of candidates drawn for a few dozen targets.
const CANDIDATES: usize = 1000;
/// The noise's variance: median and standard deviation of its logarithm.
const NOISE: (f64, f64) = (0.1, 1.5);
/// Keeps covariances well conditioned.
const FLOOR: f64 = 1e-6;
/// Candidates that weigh less are left out.
const NEGLIGIBLE: f64 = 1e-4;

/// Distribution that candidates are drawn from: the median of a positive number, and the standard
/// deviation of its logarithm.
pub(super) type LogNormal = (f64, f64);

/// Distribution of a source's slope: 0 but for a chance, by which it is positive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slope {
    pub chance: f64,
    pub positive: LogNormal,
}

/// The posterior: its mean is `mean` + Σ over groups of covariances with the targets · `weights`
/// + Σ over sources of scores · `slopes`.
pub(super) struct Average {
    /// Groups × n.
    pub weights: Mat,
    pub mean: f64,
    pub slopes: Vec<f64>,
    /// Prediction for each target by all others.
    pub left_out: Vec<f64>,
}

struct Candidate {
    /// One amplitude a group.
    amplitudes: Vec<f64>,
    noise: f64,
    slopes: Vec<f64>,
}

struct Solved {
    candidate: Candidate,
    factor: Cholesky,
    mean: f64,
    /// K⁻¹(y − mean).
    weights: Vec<f64>,
    evidence: f64,
}

impl Average {
    /// Averages over candidates. `kernels` are the covariances of the targets (n × n) under each
    /// group, with the prior of its amplitude; `sources` are scores of the targets (n) by each
    /// source, with the prior of its slope. `None` if no candidate's covariance is positive
    /// definite.
    pub fn fit(
        kernels: &[(Mat, LogNormal)],
        sources: &[(Vec<f64>, Slope)],
        y: &[f64],
    ) -> Option<Average> {
        let n = y.len();
        let candidates = candidates(
            &kernels.iter().map(|k| k.1).collect::<Vec<_>>(),
            &sources.iter().map(|s| s.1).collect::<Vec<_>>(),
            n,
        );
        let solved: Vec<Solved> =
            candidates.into_iter().filter_map(|c| solve(kernels, sources, y, c)).collect();
        let most = solved.iter().map(|s| s.evidence).fold(f64::NEG_INFINITY, f64::max);
        if !most.is_finite() {
            return None;
        }
        let kept: Vec<(f64, &Solved)> = (solved.iter())
            .map(|s| ((s.evidence - most).exp(), s))
            .filter(|s| s.0 > NEGLIGIBLE)
            .collect();
        let total: f64 = kept.iter().map(|s| s.0).sum();
        let mut average = Average {
            weights: Mat::zeros(kernels.len(), n),
            mean: 0.0,
            slopes: vec![0.0; sources.len()],
            left_out: vec![0.0; n],
        };
        for (share, one) in kept {
            let share = share / total;
            average.mean += share * one.mean;
            for (sum, slope) in average.slopes.iter_mut().zip(&one.candidate.slopes) {
                *sum += share * slope;
            }
            for (g, amplitude) in one.candidate.amplitudes.iter().enumerate() {
                let row = average.weights.row_mut(g);
                row.iter_mut().zip(&one.weights).for_each(|(w, o)| *w += share * amplitude * o);
            }
            // Rasmussen & Williams, eq. 5.12.
            let inverse = one.factor.inverse();
            for (i, out) in average.left_out.iter_mut().enumerate() {
                *out += share * (y[i] - one.weights[i] / inverse[(i, i)]);
            }
        }
        Some(average)
    }
}

fn solve(
    kernels: &[(Mat, LogNormal)],
    sources: &[(Vec<f64>, Slope)],
    y: &[f64],
    candidate: Candidate,
) -> Option<Solved> {
    let n = y.len();
    let mut k = Mat::zeros(n, n);
    for ((kernel, _), amplitude) in kernels.iter().zip(&candidate.amplitudes) {
        k.data.iter_mut().zip(&kernel.data).for_each(|(k, v)| *k += amplitude * v);
    }
    (0..n).for_each(|i| k[(i, i)] += candidate.noise + FLOOR);
    let mut y = y.to_vec();
    for ((scores, _), slope) in sources.iter().zip(&candidate.slopes) {
        y.iter_mut().zip(scores).for_each(|(y, s)| *y -= slope * s);
    }
    let factor = Cholesky::new(k)?;
    let (ones, of_y) = (factor.solve(&vec![1.0; n]), factor.solve(&y));
    let precision: f64 = ones.iter().sum();
    let mean = of_y.iter().sum::<f64>() / precision;
    let weights: Vec<f64> = of_y.iter().zip(&ones).map(|(a, o)| a - mean * o).collect();
    let square: f64 = weights.iter().zip(&y).map(|(w, y)| w * (y - mean)).sum();
    let evidence = -factor.half_log_det()
        - 0.5 * precision.ln()
        - 0.5 * (n - 1) as f64 * square.max(1e-300).ln();
    let finite = evidence.is_finite();
    finite.then_some(Solved { candidate, factor, mean, weights, evidence })
}

/// Every number has draws of its own: one more group or source leaves those of the others as they
/// were.
fn candidates(groups: &[LogNormal], slopes: &[Slope], n: usize) -> Vec<Candidate> {
    // A factorisation costs the cube of the targets, and many targets need fewer candidates.
    let count = if n <= 50 { CANDIDATES } else { (CANDIDATES * 50 / n).max(50) };
    let draws = |name: &str, number: usize, (median, spread): LogNormal| -> Vec<f64> {
        let mut rng = lanner_nn::rng(number as u64, name);
        (0..count)
            .map(|_| {
                let (u, v): (f64, f64) =
                    (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
                let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                median * (spread * normal).exp()
            })
            .collect()
    };
    let all = |name: &str, priors: &[LogNormal]| -> Vec<Vec<f64>> {
        priors.iter().enumerate().map(|(g, &prior)| draws(name, g + 1, prior)).collect()
    };
    let amplitudes = all("amplitudes across tasks", groups);
    let noise = draws("amplitudes across tasks", 0, NOISE);
    let positive: Vec<LogNormal> = slopes.iter().map(|s| s.positive).collect();
    let mut drawn = all("slopes across tasks", &positive);
    for (number, (column, prior)) in drawn.iter_mut().zip(slopes).enumerate() {
        let mut rng = lanner_nn::rng(number as u64, "useless sources");
        for slope in column.iter_mut() {
            if rng.random_range(0.0..1.0) >= prior.chance {
                *slope = 0.0;
            }
        }
    }
    let slopes = drawn;
    let of = |columns: &[Vec<f64>], c: usize| columns.iter().map(|column| column[c]).collect();
    (0..count)
        .map(|c| Candidate {
            amplitudes: of(&amplitudes, c),
            noise: noise[c],
            slopes: of(&slopes, c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One group and a prior of no width: a plain Gaussian process, solved here by elimination of
    /// nothing but the mean.
    #[test]
    fn a_sharp_prior_is_a_plain_process_and_refits_without_each() {
        let x: Vec<f64> = (0..9).map(|i| f64::from(i) * 0.4).collect();
        let y: Vec<f64> = x.iter().map(|x| (1.3 * x).sin()).collect();
        let k = Mat::from_fn(9, 9, |i, j| (-0.5 * (x[i] - x[j]).powi(2)).exp());
        let fit = |rows: &[usize]| {
            let k = Mat::from_fn(rows.len(), rows.len(), |i, j| k[(rows[i], rows[j])]);
            let y: Vec<f64> = rows.iter().map(|&r| y[r]).collect();
            let candidate = Candidate { amplitudes: vec![0.7], noise: 0.05, slopes: vec![] };
            solve(&[(k, (1.0, 0.0))], &[], &y, candidate).unwrap()
        };
        let all: Vec<usize> = (0..9).collect();
        let whole = fit(&all);
        let inverse = whole.factor.inverse();
        for out in 0..9 {
            let rest: Vec<usize> = all.iter().copied().filter(|&i| i != out).collect();
            // The mean is that of all: leave-one-out does not fit it again.
            let y_rest: Vec<f64> = rest.iter().map(|&r| y[r] - whole.mean).collect();
            let refit = fit(&rest);
            let weights = refit.factor.solve(&y_rest);
            let direct: f64 = whole.mean
                + rest.iter().zip(&weights).map(|(&r, w)| 0.7 * k[(out, r)] * w).sum::<f64>();
            let closed = y[out] - whole.weights[out] / inverse[(out, out)];
            assert!((direct - closed).abs() < 1e-6, "{out}: {direct} {closed}");
        }
    }

    #[test]
    fn evidence_prefers_the_group_that_explains() {
        let x: Vec<f64> = (0..20).map(|i| f64::from(i) / 10.0 - 1.0).collect();
        let noise: Vec<f64> = (0..20).map(|i| f64::from((i * 7) % 20) / 10.0 - 1.0).collect();
        let line = |v: &[f64]| Mat::from_fn(20, 20, |i, j| v[i] * v[j]);
        let prior = (0.3, 2.0);
        let fit = Average::fit(&[(line(&x), prior), (line(&noise), prior)], &[], &x).unwrap();
        let slope = |g: usize, v: &[f64]| -> f64 {
            fit.weights.row(g).iter().zip(v).map(|(w, v)| w * v).sum()
        };
        assert!(slope(0, &x) > 0.9 && slope(1, &noise).abs() < 0.1);
    }

    #[test]
    fn a_slope_follows_the_evidence_and_is_positive() {
        let x: Vec<f64> = (0..20).map(|i| f64::from(i) / 10.0 - 1.0).collect();
        let scores: Vec<f64> = (0..20).map(|i| f64::from((i * 7) % 20) / 10.0 - 1.0).collect();
        let line = Mat::from_fn(20, 20, |i, j| x[i] * x[j]);
        let slope = |sign: f64| {
            let y: Vec<f64> =
                x.iter().zip(&scores).map(|(x, s)| 0.5 * x + sign * 0.3 * s).collect();
            let prior = Slope { chance: 0.5, positive: (0.1, 1.0) };
            let sources = [(scores.clone(), prior)];
            Average::fit(&[(line.clone(), (0.3, 1.0))], &sources, &y).unwrap().slopes[0]
        };
        assert!((slope(1.0) - 0.3).abs() < 0.05, "{}", slope(1.0));
        assert!((0.0..0.05).contains(&slope(-1.0)), "{}", slope(-1.0));
    }
}
