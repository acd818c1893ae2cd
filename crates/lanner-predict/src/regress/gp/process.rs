//! A fitted process and its predictions.

use rayon::prelude::*;

use super::component::Component;
use super::kernel::{Kernel, base_values, own_base};
use crate::PredictError;
use crate::regress::linalg::{Cholesky, Mat};

/// A fitted process.
pub struct Gp {
    /// Logarithms: amplitude of every component, length of every component, noise.
    pub hyper: Vec<f64>,
    /// Precision of each training row's noise in units of the common one (all 1 for normal noise).
    pub precisions: Vec<f64>,
    /// The rows whose covariance with a question decides the answer: those trained on, or of more
    /// than [`EXACT_ROWS`](super::EXACT_ROWS) the inducing ones.
    pub(super) rows: Vec<usize>,
    pub(super) scales: Vec<f64>,
    /// Factor of the covariance of `rows`, which has the noise in exact processes.
    pub(super) factor: Cholesky,
    pub(super) weights: Vec<f64>,
    pub(super) inducing: Option<Inducing>,
    /// Standardised targets of all training rows.
    pub(super) target: Vec<f64>,
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// Means and standard deviations, one of each a question.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    pub mean: Vec<f64>,
    /// Standard deviation of a new measurement, noise included.
    pub sd: Vec<f64>,
}

/// State of a process of inducing rows beside its weights.
pub(super) struct Inducing {
    /// The factor of I + V Λ⁻¹ Vᵀ: V are the covariances of inducing with training rows, whitened,
    /// Λ the noise of each training row.
    pub inner: Cholesky,
    /// C⁻¹ y and the diagonal of C⁻¹, C the covariance of the training targets.
    pub dual: Vec<f64>,
    pub diagonal: Vec<f64>,
}

impl Gp {
    /// Variance of the noise in units of the target's variance.
    pub fn noise(&self) -> f64 {
        noise_of(&self.hyper)
    }

    /// Predicts the targets at pool rows `rows`; `with_sd` costs n² a row more.
    pub fn predict(&self, components: &[Component], rows: &[usize], with_sd: bool) -> Predictions {
        let asked = |block: &[usize]| components.iter().map(|c| c.x.select(block)).collect();
        self.in_blocks(components, rows, with_sd, asked)
    }

    /// Predicts the targets of architectures outside the pool: `asked` are the terms of `components`,
    /// with their features.
    pub fn predict_others(
        &self,
        components: &[Component],
        asked: &[Component],
        with_sd: bool,
    ) -> Predictions {
        let rows: Vec<usize> = (0..asked.first().map_or(0, |c| c.x.rows)).collect();
        let select = |block: &[usize]| asked.iter().map(|c| c.x.select(block)).collect();
        self.in_blocks(components, &rows, with_sd, select)
    }

    fn in_blocks(
        &self,
        components: &[Component],
        rows: &[usize],
        with_sd: bool,
        asked: impl Fn(&[usize]) -> Vec<Mat> + Sync,
    ) -> Predictions {
        let trained: Vec<Mat> = components.iter().map(|c| c.x.select(&self.rows)).collect();
        let kernels: Vec<Kernel> = components.iter().map(|c| c.kernel).collect();
        let blocks: Vec<(Vec<f64>, Vec<f64>)> = rows
            .par_chunks(512)
            .map(|block| self.predict_block(&kernels, &trained, &asked(block), with_sd))
            .collect();
        let mut all = Predictions::default();
        for (mean, sd) in blocks {
            all.mean.extend(mean);
            all.sd.extend(sd);
        }
        all
    }

    /// Means and standard deviations at `asked`, see [`Gp::covariances`].
    fn predict_block(
        &self,
        kernels: &[Kernel],
        trained: &[Mat],
        asked: &[Mat],
        with_sd: bool,
    ) -> (Vec<f64>, Vec<f64>) {
        let (mut cross, mut own) = self.covariances(kernels, trained, asked, self.noise());
        let mut sums = vec![0.0; cross.cols];
        for (i, w) in self.weights.iter().enumerate() {
            sums.iter_mut().zip(cross.row(i)).for_each(|(s, k)| *s += w * k);
        }
        let mean = sums.iter().map(|s| self.mean + self.deviation * s).collect();
        if !with_sd {
            return (mean, Vec::new());
        }
        self.factor.solve_lower(&mut cross);
        cross.add_squares(&mut own, -1.0);
        if let Some(inducing) = &self.inducing {
            inducing.inner.solve_lower(&mut cross);
            cross.add_squares(&mut own, 1.0);
        }
        let sd = own.iter().map(|v| self.deviation * v.max(1e-12).sqrt()).collect();
        (mean, sd)
    }

    /// Covariances (n × m) of the rows that predictions go by with m others, and the variances of
    /// these plus `noise`, from features that are a matrix a term: `trained` n × d, `asked` m × d.
    pub(super) fn covariances(
        &self,
        kernels: &[Kernel],
        trained: &[Mat],
        asked: &[Mat],
        noise: f64,
    ) -> (Mat, Vec<f64>) {
        let count = kernels.len();
        let size = asked.first().map_or(0, |x| x.rows);
        let mut cross = Mat::zeros(self.rows.len(), size);
        let mut own = vec![noise; size];
        for (c, (&kernel, x)) in kernels.iter().zip(asked).enumerate() {
            let scale = self.scales[c];
            let amplitude = self.hyper[c].exp();
            let inv_l2 = (-2.0 * self.hyper[count + c]).exp();
            let base = base_values(kernel, &trained[c], x, scale);
            for (sum, base) in cross.data.iter_mut().zip(&base.data) {
                *sum += amplitude * kernel.value_and_slope(*base, inv_l2).0;
            }
            for (j, own) in own.iter_mut().enumerate() {
                let base = own_base(kernel, x.row(j), scale);
                *own += amplitude * kernel.value_and_slope(base, inv_l2).0;
            }
        }
        (cross, own)
    }

    /// Predicts each training row from all others, in closed form (Rasmussen & Williams, eq. 5.12;
    /// hyper-parameters stay). The standard deviation is that of a measurement with common noise,
    /// whatever the row's own.
    pub fn leave_one_out(&self) -> Predictions {
        let exact;
        let (dual, diagonal) = match &self.inducing {
            Some(inducing) => (&inducing.dual, &inducing.diagonal),
            None => {
                exact = self.factor.inverse().diagonal();
                (&self.weights, &exact)
            }
        };
        let mut out = Predictions::default();
        for (i, &precision) in diagonal.iter().enumerate() {
            let z = self.target[i] - dual[i] / precision;
            out.mean.push(self.mean + self.deviation * z);
            let of_mean = precision.recip() - self.noise() / self.precisions[i];
            out.sd.push(self.deviation * (of_mean.max(1e-9) + self.noise()).sqrt());
        }
        out
    }
}

/// The noise that the last parameter stands for. Simulated devices repeat themselves exactly; the
/// floor keeps their covariance well conditioned and their intervals from vanishing.
pub(super) fn noise_of(hyper: &[f64]) -> f64 {
    hyper[hyper.len() - 1].exp() + 1e-5
}

/// Targets with mean 0 and variance 1, and what they had before.
pub(super) fn standardised(y: &[f64]) -> Result<(Vec<f64>, f64, f64), PredictError> {
    if let Some(i) = y.iter().position(|v| !v.is_finite()) {
        return Err(PredictError::Target { row: i, value: y[i] });
    }
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let deviation = (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let deviation = if deviation > 1e-12 { deviation } else { 1.0 };
    Ok((y.iter().map(|v| (v - mean) / deviation).collect(), mean, deviation))
}
