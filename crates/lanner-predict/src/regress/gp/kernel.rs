//! Covariance functions and what they are computed from.

use crate::regress::linalg::Mat;

/// The shape of a covariance function of two feature vectors x, z.
///
/// Distances are measured in units of the component's length scale ℓ times the root mean squared
/// distance within the training set, so that ℓ = 1 is a sensible start for any features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// x·z, divided by the mean of x·x over the training set.
    Linear,
    /// (½ + ½ x·z / mean x·x)^degree: all products of up to `degree` features.
    Polynomial(i32),
    /// exp(−½ r²), r the scaled Euclidean distance.
    Rbf,
    /// Matérn with ν = 5/2.
    Matern52,
    /// exp(−r): Matérn with ν = 1/2.
    Exponential,
}

impl Kernel {
    /// True if the covariance is computed from squared distances and has a length scale.
    pub(crate) fn is_stationary(self) -> bool {
        !matches!(self, Kernel::Linear | Kernel::Polynomial(_))
    }

    /// Covariance, and its derivative by log ℓ, at a base value: the scaled inner product for
    /// linear and polynomial, the scaled squared distance for the others. `inv_l2` is ℓ⁻².
    #[inline]
    pub(crate) fn value_and_slope(self, base: f64, inv_l2: f64) -> (f64, f64) {
        match self {
            Kernel::Linear => (base, 0.0),
            Kernel::Polynomial(degree) => ((0.5 + 0.5 * base).powi(degree), 0.0),
            Kernel::Rbf => {
                let r2 = base * inv_l2;
                let k = (-0.5 * r2).exp();
                (k, k * r2)
            }
            Kernel::Matern52 => {
                let r2 = 5.0 * base * inv_l2;
                let r = r2.sqrt();
                let e = (-r).exp();
                ((1.0 + r + r2 / 3.0) * e, r2 * (1.0 + r) / 3.0 * e)
            }
            Kernel::Exponential => {
                let r = (base * inv_l2).sqrt();
                let k = (-r).exp();
                (k, k * r)
            }
        }
    }
}

/// The scale that makes base values of one group of features of order one: the mean of x·x, or
/// for stationary kernels the mean squared distance, over the training rows.
pub(crate) fn base_scale(kernel: Kernel, x: &Mat) -> f64 {
    let n = x.rows as f64;
    let (mut sums, mut squares) = (vec![0.0; x.cols], 0.0);
    for i in 0..x.rows {
        for (sum, v) in sums.iter_mut().zip(x.row(i)) {
            *sum += v;
            squares += v * v;
        }
    }
    let total = if kernel.is_stationary() {
        // Twice the variance is the mean squared distance of two draws.
        2.0 * (squares / n - sums.iter().map(|s| (s / n).powi(2)).sum::<f64>())
    } else {
        squares / n
    };
    if total > 1e-12 { total } else { 1.0 }
}

/// The base value of a row with itself.
pub(crate) fn own_base(kernel: Kernel, x: &[f64], scale: f64) -> f64 {
    if kernel.is_stationary() { 0.0 } else { x.iter().map(|v| v * v).sum::<f64>() / scale }
}

/// Base values between the rows of `x` (m × d) and of `z` (n × d): m × n.
pub(crate) fn base_values(kernel: Kernel, x: &Mat, z: &Mat, scale: f64) -> Mat {
    let mut base = x.times_transposed(z, 1.0 / scale);
    if kernel.is_stationary() {
        let norms = |m: &Mat| -> Vec<f64> {
            (0..m.rows).map(|i| m.row(i).iter().map(|v| v * v).sum::<f64>() / scale).collect()
        };
        let (nx, nz) = (norms(x), norms(z));
        for (i, nx) in nx.iter().enumerate() {
            // Rounding can push a zero distance below zero.
            base.row_mut(i)
                .iter_mut()
                .zip(&nz)
                .for_each(|(b, nz)| *b = (nx + nz - 2.0 * *b).max(0.0));
        }
    }
    base
}
