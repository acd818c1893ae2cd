//! Normal scores, and the way back to a metric's own unit with intervals.

use rayon::prelude::*;

use crate::Forecast;
use crate::metrics::{mean_and_error, quantile, ranks};

/// Content of the intervals.
const LEVEL: f64 = 0.90;
/// Least rise of values with scores. Of a few networks, each is predicted from a mean that lacks its own
/// value, so that a good ranking may seem to be worth nothing, or less: values of a flat line would
/// rank no network before another.
const LEAST_SLOPE: f64 = 0.1;

/// The map between values and the normal scores of their ranks in a sample.
#[derive(Debug, Clone)]
pub(crate) struct NormalScores {
    /// Distinct values of the sample, ascending, and their scores.
    knots: Vec<(f64, f64)>,
}

impl NormalScores {
    pub(crate) fn new(sample: &[f64]) -> NormalScores {
        let n = sample.len() as f64;
        let mut knots: Vec<(f64, f64)> = (sample.iter().zip(ranks(sample)))
            .map(|(&v, rank)| (v, probit((rank + 0.5) / n)))
            .collect();
        knots.sort_by(|a, b| a.0.total_cmp(&b.0));
        knots.dedup_by(|a, b| a.0 == b.0);
        NormalScores { knots }
    }

    /// The score of a value: that of its rank, or between those of its neighbours.
    pub(crate) fn score(&self, value: f64) -> f64 {
        interpolate(&self.knots, value, |k| *k)
    }

    /// Converts as [`NormalScores::score`] does, but beyond the sample's extremes the slope of the
    /// outermost tenth goes on.
    pub(super) fn score_beyond(&self, value: f64) -> f64 {
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        let per_value =
            |a: (f64, f64), b: (f64, f64)| if b.0 > a.0 { (b.1 - a.1) / (b.0 - a.0) } else { 0.0 };
        let beyond = if value > last.0 {
            (value - last.0) * per_value(self.knots[self.knots.len() - 1 - self.tenth()], last)
        } else if value < first.0 {
            (value - first.0) * per_value(first, self.knots[self.tenth()])
        } else {
            0.0
        };
        beyond + self.score(value)
    }

    /// The value of a score; beyond the sample's extremes the ends' slope goes on.
    pub(super) fn value(&self, score: f64) -> f64 {
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        let beyond = if score > last.1 {
            // The slope of the outermost tenth: that of the last two alone would be noise.
            let inner = self.knots[self.knots.len() - 1 - self.tenth()];
            (score - last.1) * slope(inner, last)
        } else if score < first.1 {
            (score - first.1) * slope(first, self.knots[self.tenth()])
        } else {
            0.0
        };
        beyond + interpolate(&self.knots, score, |k| (k.1, k.0))
    }

    fn tenth(&self) -> usize {
        self.knots.len().div_ceil(10).min(self.knots.len() - 1)
    }
}

/// Value per score between two knots.
fn slope(a: (f64, f64), b: (f64, f64)) -> f64 {
    if b.1 > a.1 { (b.0 - a.0) / (b.1 - a.1) } else { 0.0 }
}

/// y at `x` on the line through knots, `at` giving (x, y) of each, ascending in both; constant
/// beyond them.
fn interpolate(knots: &[(f64, f64)], x: f64, at: impl Fn(&(f64, f64)) -> (f64, f64)) -> f64 {
    let after = knots.partition_point(|k| at(k).0 < x);
    if after == 0 {
        return at(&knots[0]).1;
    }
    if after == knots.len() {
        return at(&knots[after - 1]).1;
    }
    let ((x0, y0), (x1, y1)) = (at(&knots[after - 1]), at(&knots[after]));
    y0 + (x - x0) / (x1 - x0) * (y1 - y0)
}

/// Converts scores to values with intervals, as learned from predictions of held-out training rows.
#[derive(Debug, Clone)]
pub(crate) struct Calibration {
    target: NormalScores,
    /// Target = offset + slope · score.
    offset: f64,
    slope: f64,
    /// Quantiles of the target's residuals.
    quantiles: (f64, f64),
}

impl Calibration {
    /// Learns from held-out scores and the true targets, both on the scale of normal scores.
    pub(crate) fn new(target: NormalScores, scores: &[f64], t: &[f64]) -> Calibration {
        let ((ms, _), (mt, _)) = (mean_and_error(scores), mean_and_error(t));
        let (mut ss, mut st) = (0.0, 0.0);
        for (s, t) in scores.iter().zip(t) {
            ss += (s - ms) * (s - ms);
            st += (s - ms) * (t - mt);
        }
        let slope = if ss > 1e-12 { (st / ss).max(LEAST_SLOPE) } else { LEAST_SLOPE };
        let offset = mt - slope * ms;
        let mut residuals: Vec<f64> =
            (scores.iter().zip(t)).map(|(s, t)| t - offset - slope * s).collect();
        residuals.sort_by(f64::total_cmp);
        let n = residuals.len();
        // The quantile of n draws that a further one stays inside with that probability.
        let tail = ((1.0 - LEVEL) / 2.0 * (n as f64 + 1.0) - 1.0) / (n as f64 - 1.0);
        let quantiles = if tail >= 0.0 {
            (quantile(&residuals, tail), quantile(&residuals, 1.0 - tail))
        } else {
            // Not even the extremes of so few go far enough: as if they were normal. A line was fitted.
            let freedom = n.saturating_sub(3).max(1);
            let squares: f64 = residuals.iter().map(|r| r * r).sum();
            let deviation = (squares / freedom as f64 * (1.0 + 1.0 / n as f64)).sqrt();
            let half = student_quantile_95(freedom) * deviation;
            (-half, half)
        };
        Calibration { target, offset, slope, quantiles }
    }

    pub(crate) fn forecast(&self, scores: &[f64]) -> Forecast {
        let at = |shift: f64| -> Vec<f64> {
            scores
                .par_iter()
                .map(|s| self.target.value(self.offset + self.slope * s + shift))
                .collect()
        };
        Forecast { mean: at(0.0), low: at(self.quantiles.0), high: at(self.quantiles.1) }
    }
}

/// The 95 % quantile of Student's t distribution (Cornish-Fisher expansion about the normal one;
/// Abramowitz & Stegun 26.7.5), right to .01 from 3 degrees of freedom on.
pub(super) fn student_quantile_95(freedom: usize) -> f64 {
    match freedom {
        0 | 1 => 6.314,
        2 => 2.920,
        _ => {
            let (z, v) = (1.644_853_6f64, freedom as f64);
            let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
            z + (z3 + z) / (4.0 * v)
                + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
                + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v.powi(3))
        }
    }
}

/// Quantile function of the standard normal distribution, to 1e-9 relative (Acklam's rational
/// approximation).
pub(super) fn probit(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    } else if p <= 1.0 - 0.02425 {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    } else {
        -probit(1.0 - p)
    }
}
