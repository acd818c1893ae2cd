//! The evidence of candidates, several at a time.
//!
//! With ten or twenty measurements a factorisation is a few hundred dependent steps of one number each.
//! Eight candidates take the same steps on other numbers, so they are taken together, each in a lane of its
//! own.

use std::array::from_fn;

use rayon::prelude::*;

use super::super::slope::{Slope, Truncated};
use super::candidates::Candidate;
use crate::regress::lanes::{LANES, Lanes, add, dot};
use crate::regress::linalg::Mat;

/// Keeps covariances well conditioned.
pub(super) const FLOOR: f64 = 1e-6;
/// Products from which a candidate's evidence follows: L is the factor of their covariance, 1 a
/// vector of ones, y the measurements and k their covariances with the slope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Products {
    pub half_log_det: f64,
    /// Products of L⁻¹1 with itself and with L⁻¹y, and of L⁻¹y with itself.
    pub ones: f64,
    pub mixed: f64,
    pub values: f64,
    /// Products of L⁻¹k with itself, with L⁻¹1 and with L⁻¹y.
    pub slope: f64,
    pub slope_ones: f64,
    pub slope_values: f64,
    /// The slope's own variance.
    pub own: f64,
}

/// Mean, square and evidence, derived from the products for n measurements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    /// The common mean.
    pub mean: f64,
    /// (y − mean)ᵀ K⁻¹ (y − mean).
    pub square: f64,
    pub evidence: f64,
    /// Derivative of the slope's mean by the common mean, its variance in units of the scale, and
    /// its truncation.
    pub slope: Option<(f64, f64, Truncated)>,
}

impl Products {
    pub fn summary(&self, n: usize) -> Summary {
        let mean = self.mixed / self.ones;
        let square = (self.values - self.mixed * mean).max(1e-300);
        let mut evidence =
            -self.half_log_det - 0.5 * self.ones.ln() - 0.5 * (n - 1) as f64 * square.ln();
        // The slope of a constant is zero.
        let rest = -self.slope_ones;
        let variance = self.own - self.slope + rest * rest / self.ones;
        let scale = square / (n - 1) as f64;
        let slope = (variance > 1e-9 * self.own).then(|| {
            let at = self.slope_values + mean * rest;
            (rest, variance, Truncated::new(at / (scale * variance).sqrt()))
        });
        evidence += slope.map_or(0.0, |s| s.2.evidence);
        Summary { mean, square, evidence, slope }
    }
}

/// Evidence of each candidate; −∞ where its covariance is not positive definite.
pub(super) fn evidences(
    kernels: &[Mat],
    slope: &Slope,
    y: &[f64],
    candidates: &[Candidate],
    noise: &[f64],
) -> Vec<f64> {
    (candidates.par_chunks(LANES))
        .flat_map_iter(|some| evidences_of(kernels, slope, y, some, noise))
        .collect()
}

fn evidences_of(
    kernels: &[Mat],
    slope: &Slope,
    y: &[f64],
    some: &[Candidate],
    noise: &[f64],
) -> Vec<f64> {
    let n = y.len();
    // The last candidate fills the lanes that are left.
    let each =
        |of: &dyn Fn(&Candidate) -> f64| -> Lanes { from_fn(|l| of(&some[l.min(some.len() - 1)])) };
    // Lower halves, row after row.
    let at = |i: usize| i * (i + 1) / 2;
    let mut k = vec![[0.0; LANES]; at(n)];
    let (mut v, mut own) = (vec![[0.0; LANES]; n], [0.0; LANES]);
    for (g, kernel) in kernels.iter().enumerate() {
        let amplitude = each(&|c| c[g]);
        for i in 0..n {
            for (k, &base) in k[at(i)..].iter_mut().zip(&kernel.row(i)[..=i]) {
                add(k, &amplitude, base);
            }
            add(&mut v[i], &amplitude, slope.known[(g, i)]);
        }
        add(&mut own, &amplitude, slope.own[g]);
    }
    let common = each(&|c| c[kernels.len()]);
    for i in 0..n {
        add(&mut k[at(i) + i], &common, noise[i]);
        add(&mut k[at(i) + i], &[1.0; LANES], FLOOR);
    }
    let mut determinant = [0.0; LANES];
    let mut definite = [true; LANES];
    for i in 0..n {
        let (above, here) = k.split_at_mut(at(i));
        for j in 0..i {
            let row = &above[at(j)..=at(j) + j];
            let sum = dot(&here[..j], row);
            here[j] = from_fn(|l| (here[j][l] - sum[l]) / row[j][l]);
        }
        let sum = dot(&here[..i], &here[..i]);
        for l in 0..LANES {
            let rest = here[i][l] - sum[l];
            definite[l] &= rest > 0.0 && rest.is_finite();
            here[i][l] = if definite[l] { rest.sqrt() } else { 1.0 };
            determinant[l] += here[i][l].ln();
        }
    }
    let solve = |b: &mut [Lanes]| {
        for i in 0..n {
            let row = &k[at(i)..=at(i) + i];
            let sum = dot(&row[..i], &b[..i]);
            b[i] = from_fn(|l| (b[i][l] - sum[l]) / row[i][l]);
        }
    };
    let mut ones = vec![[1.0; LANES]; n];
    let mut values: Vec<Lanes> = y.iter().map(|&y| [y; LANES]).collect();
    solve(&mut ones);
    solve(&mut values);
    solve(&mut v);
    let pairs = [
        dot(&ones, &ones),
        dot(&ones, &values),
        dot(&values, &values),
        dot(&v, &v),
        dot(&v, &ones),
        dot(&v, &values),
    ];
    let evidence = |l: usize| {
        let [ones, mixed, values, slope, slope_ones, slope_values] = pairs.map(|p| p[l]);
        let (half_log_det, own) = (determinant[l], own[l]);
        let products =
            Products { half_log_det, ones, mixed, values, slope, slope_ones, slope_values, own };
        let evidence = products.summary(n).evidence;
        if definite[l] && evidence.is_finite() { evidence } else { f64::NEG_INFINITY }
    };
    (0..some.len()).map(evidence).collect()
}
