//! Gaussian processes with many hyper-parameters at once, averaged by evidence.
//!
//! With ten or twenty measurements, no single set of hyper-parameters is known: the likelihood has
//! broad ridges and its maximum lies at an arbitrary end of one. So candidates are drawn from the
//! prior once and for all, and each weighs as much as it explains the measurements (importance
//! sampling of the posterior; Rasmussen & Williams, ch. 5.2). The overall scale and the mean are
//! integrated out in closed form, which leaves the ratios of amplitudes.

mod candidates;
mod evidence;

use std::array::from_fn;

use super::slope::{Slope, Truncated};
use crate::regress::lanes::{self, Lanes};
use crate::regress::linalg::Mat;
pub(super) use candidates::{Candidate, candidates};
use evidence::{FLOOR, Products, Summary, evidences};

/// Degrees of freedom of the noise's Student-t distribution, and rounds of re-weighting.
const FREEDOM: f64 = 1.0;
const ROUNDS: usize = 4;
/// Number of the best candidates over which variances are averaged.
const KEPT: usize = 16;

/// One candidate, fitted.
pub(super) struct Fitted {
    pub weight: f64,
    pub amplitudes: Candidate,
    /// The lower factor of the covariance of the measurements, n × n.
    factor: Mat,
    /// L⁻¹1, and the sum of its squares.
    ones: Vec<f64>,
    precision: f64,
    /// Mean of the posterior of the common mean.
    mean: f64,
    /// K⁻¹(y − mean).
    pub alpha: Vec<f64>,
    /// The variance in units of which amplitudes are.
    pub scale: f64,
    slope: Option<Posterior>,
}

/// The posterior of the slope under a candidate.
struct Posterior {
    /// Covariance of the slope with the measurements, L⁻¹k.
    v: Vec<f64>,
    rest: f64,
    /// Variance of the slope in units of the scale.
    variance: f64,
    truncated: Truncated,
    /// Shift of a value that covaries with the slope by one unit, since the slope is known to be
    /// positive.
    step: f64,
}

/// The posterior over the candidates.
#[derive(Default)]
pub(super) struct Average {
    /// The best candidates; their weights sum to one.
    pub best: Vec<Fitted>,
    /// Weights of the measurements for each group, groups × n, averaged over all candidates.
    pub alpha: Mat,
    /// The weight of the slope for each group.
    pub along: Vec<f64>,
    pub mean: f64,
    /// Logarithm of the evidence.
    pub evidence: f64,
}

impl Average {
    /// `kernels` are the groups' covariances of the measurements `y`, n × n each.
    pub fn fit(
        kernels: &[Mat],
        slope: &Slope,
        y: &[f64],
        candidates: &[Candidate],
    ) -> Option<Average> {
        let n = y.len();
        let mut noise = vec![1.0; n];
        for round in 0..ROUNDS {
            let evidences = evidences(kernels, slope, y, candidates, &noise);
            let most = evidences.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if !most.is_finite() {
                return None;
            }
            let total: f64 = evidences.iter().map(|e| (e - most).exp()).sum();
            let mut order: Vec<usize> = (0..candidates.len()).collect();
            order.sort_by(|&a, &b| evidences[b].total_cmp(&evidences[a]).then(a.cmp(&b)));
            let weight = |c: usize| (evidences[c] - most).exp() / total;
            if round + 1 < ROUNDS {
                order.retain(|&c| evidences[c] > most - 9.0);
                order.truncate(200);
                let solved: Vec<(f64, &Candidate)> =
                    order.iter().map(|&c| (weight(c), &candidates[c])).collect();
                noise = reweighted(kernels, slope, y, &solved, &noise, round == 0);
                continue;
            }
            let mut alpha = Mat::zeros(kernels.len(), n);
            let mut along = vec![0.0; kernels.len()];
            let mut mean = 0.0;
            let mut best = Vec::new();
            for &c in order.iter().filter(|&&c| weight(c) > 1e-6) {
                let Some(solved) = Solved::new(kernels, slope, y, &candidates[c], &noise) else {
                    continue;
                };
                let fitted = solved.into_fitted(weight(c), &candidates[c], n);
                mean += fitted.weight * fitted.mean;
                for (g, along) in along.iter_mut().enumerate() {
                    let share = fitted.weight * fitted.amplitudes[g];
                    *along += share * fitted.slope.as_ref().map_or(0.0, |s| s.step);
                    alpha
                        .row_mut(g)
                        .iter_mut()
                        .zip(&fitted.alpha)
                        .for_each(|(s, a)| *s += share * a);
                }
                if best.len() < KEPT {
                    best.push(fitted);
                }
            }
            let kept: f64 = best.iter().map(|f| f.weight).sum();
            best.iter_mut().for_each(|f| f.weight /= kept);
            let evidence = most + total.ln();
            return Some(Average { best, alpha, along, mean, evidence });
        }
        None
    }
}

/// A candidate's factor and what follows from it.
struct Solved {
    factor: Mat,
    ones: Vec<f64>,
    values: Vec<f64>,
    precision: f64,
    mean: f64,
    /// (y − mean)ᵀ K⁻¹ (y − mean).
    square: f64,
    slope: Option<Posterior>,
}

impl Solved {
    fn new(
        kernels: &[Mat],
        slope: &Slope,
        y: &[f64],
        candidate: &Candidate,
        noise: &[f64],
    ) -> Option<Solved> {
        let n = y.len();
        let mut k = Mat::zeros(n, n);
        for (kernel, &amplitude) in kernels.iter().zip(candidate) {
            for i in 0..n {
                let (to, from) = (&mut k.data[i * n..=i * n + i], &kernel.data[i * n..=i * n + i]);
                to.iter_mut().zip(from).for_each(|(to, from)| *to += amplitude * from);
            }
        }
        for i in 0..n {
            k[(i, i)] += candidate[kernels.len()] * noise[i] + FLOOR;
        }
        let half_log_det = factor(&mut k)?;
        let (mut ones, mut values) = (vec![1.0; n], y.to_vec());
        solve_lower(&k, &mut ones);
        solve_lower(&k, &mut values);
        let mut v = vec![0.0; n];
        let mut own = 0.0;
        for (g, &amplitude) in candidate[..kernels.len()].iter().enumerate() {
            v.iter_mut().zip(slope.known.row(g)).for_each(|(v, k)| *v += amplitude * k);
            own += amplitude * slope.own[g];
        }
        solve_lower(&k, &mut v);
        let products = Products {
            half_log_det,
            ones: dot(&ones, &ones),
            mixed: dot(&ones, &values),
            values: dot(&values, &values),
            slope: dot(&v, &v),
            slope_ones: dot(&v, &ones),
            slope_values: dot(&v, &values),
            own,
        };
        let Summary { mean, square, evidence, slope } = products.summary(n);
        let slope = slope.map(|(rest, variance, truncated)| {
            let scale = square / (n - 1) as f64;
            let step = truncated.shift * (scale / variance).sqrt();
            Posterior { v, rest, variance, truncated, step }
        });
        let precision = products.ones;
        (evidence.is_finite()).then_some(Solved {
            factor: k,
            ones,
            values,
            precision,
            mean,
            square,
            slope,
        })
    }

    fn alpha(&self) -> Vec<f64> {
        let mut alpha: Vec<f64> =
            self.values.iter().zip(&self.ones).map(|(v, o)| v - self.mean * o).collect();
        if let Some(Posterior { v, rest, step, .. }) = &self.slope {
            let about = rest / self.precision;
            for ((a, v), o) in alpha.iter_mut().zip(v).zip(&self.ones) {
                *a -= step * (v + about * o);
            }
        }
        let n = alpha.len();
        for i in (0..n).rev() {
            alpha[i] /= self.factor[(i, i)];
            let own = alpha[i];
            alpha[..i].iter_mut().zip(self.factor.row(i)).for_each(|(a, l)| *a -= l * own);
        }
        alpha
    }

    /// The diagonal of K⁻¹.
    fn inverse_diagonal(&self) -> Vec<f64> {
        let n = self.ones.len();
        let mut out = vec![0.0; n];
        for j in 0..n {
            // Column j of L⁻¹ begins at row j.
            let mut column = vec![0.0; n];
            column[j] = 1.0;
            solve_lower(&self.factor, &mut column);
            out[j] = column.iter().map(|c| c * c).sum();
        }
        out
    }

    fn into_fitted(self, weight: f64, amplitudes: &Candidate, n: usize) -> Fitted {
        let about = self.slope.as_ref().map_or(0.0, |s| s.step * s.rest / self.precision);
        Fitted {
            weight,
            amplitudes: amplitudes.clone(),
            alpha: self.alpha(),
            factor: self.factor,
            ones: self.ones,
            precision: self.precision,
            mean: self.mean + about,
            scale: self.square / (n - 1) as f64,
            slope: self.slope,
        }
    }
}

impl Fitted {
    /// Mean and variance of a new measurement of each lane, from its covariances `cross` with the known
    /// ones, that with the slope and its own variance `own` under this candidate, noise not included.
    pub fn predict(&self, cross: &[Lanes], along: &Lanes, own: &Lanes) -> (Lanes, Lanes) {
        let mut v = cross.to_vec();
        for i in 0..v.len() {
            let row = self.factor.row(i);
            let sum = lanes::dot_with(&v[..i], row);
            v[i] = from_fn(|l| (v[i][l] - sum[l]) / row[i]);
        }
        let explained = lanes::dot(&v, &v);
        let covered = lanes::dot_with(&v, &self.ones);
        let mut mean = lanes::dot_with(cross, &self.alpha);
        let shared = self.slope.as_ref().map(|slope| lanes::dot_with(&v, &slope.v));
        let noise = self.amplitudes[self.amplitudes.len() - 1];
        let variance = from_fn(|l| {
            mean[l] += self.mean;
            // What is not known of the mean.
            let rest = 1.0 - covered[l];
            let mut variance = (own[l] - explained[l]).max(0.0) + rest * rest / self.precision;
            if let (Some(slope), Some(dot)) = (&self.slope, &shared) {
                mean[l] += slope.step * along[l];
                let shared = along[l] - dot[l] + slope.rest * rest / self.precision;
                variance -= shared * shared / slope.variance * slope.truncated.explained;
            }
            self.scale * (variance.max(0.0) + noise)
        });
        (mean, variance)
    }
}

/// Variances of the measurements' noise in units of the common one, by expectation maximisation
/// for Student-t noise under the average of the candidates. The first weights come from
/// leave-one-out residuals in units of their median: a process without weights may pass through
/// outliers, which then look like signal for ever.
fn reweighted(
    kernels: &[Mat],
    slope: &Slope,
    y: &[f64],
    candidates: &[(f64, &Candidate)],
    noise: &[f64],
    first: bool,
) -> Vec<f64> {
    let n = y.len();
    let mut squares = vec![0.0; n];
    let mut total = 0.0;
    for &(weight, candidate) in candidates {
        let Some(solved) = Solved::new(kernels, slope, y, candidate, noise) else { continue };
        let (alpha, inverse) = (solved.alpha(), solved.inverse_diagonal());
        total += weight;
        let common = candidate[kernels.len()];
        let scale = solved.square / (n - 1) as f64;
        for i in 0..n {
            squares[i] += weight
                * if first {
                    (alpha[i] / inverse[i]).powi(2)
                } else {
                    let own = common * noise[i];
                    let variance = (own - inverse[i] * own * own).max(0.0) * scale;
                    ((alpha[i] * own).powi(2) + variance) / (common * scale)
                };
        }
    }
    squares.iter_mut().for_each(|s| *s /= total);
    let unit = if first {
        let mut sorted = squares.clone();
        sorted.sort_by(f64::total_cmp);
        // The median of a squared standard normal variable is 0.455.
        let middle = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
        (middle / 0.455).max(1e-300)
    } else {
        1.0
    };
    squares.iter().map(|s| (FREEDOM + s / unit) / (FREEDOM + 1.0)).collect()
}

/// The lower Cholesky factor in place of the lower half; half the log determinant, or `None` if the
/// matrix is not positive definite. For a few dozen rows plain loops are the fastest.
fn factor(a: &mut Mat) -> Option<f64> {
    let n = a.rows;
    let mut half_log_det = 0.0;
    for i in 0..n {
        let (above, here) = a.data.split_at_mut(i * n);
        for j in 0..i {
            let row = &above[j * n..j * n + j];
            here[j] = (here[j] - dot(&here[..j], row)) / above[j * n + j];
        }
        let rest = here[i] - dot(&here[..i], &here[..i]);
        if !(rest > 0.0 && rest.is_finite()) {
            return None;
        }
        here[i] = rest.sqrt();
        half_log_det += here[i].ln();
    }
    Some(half_log_det)
}

/// L⁻¹ b in place of b.
fn solve_lower(l: &Mat, b: &mut [f64]) {
    for i in 0..b.len() {
        let row = l.row(i);
        b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
    }
}

/// Eight sums at a time, which fit in vector registers; a single one would be added up in order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests;
