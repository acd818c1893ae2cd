//! Gaussian-process regression with a sum of covariance functions, one or more for each group of
//! features, all hyper-parameters by marginal likelihood (Rasmussen & Williams 2006, ch. 2 and 5).
//!
//! A [`Component`] holds the features of *all* architectures that will ever be asked for (the pool,
//! p × d); training sets and questions are row numbers of it. Targets are standardised inside.

mod inducing;
mod kernel;
mod lbfgs;
mod prior;

use std::sync::Arc;

use rayon::prelude::*;

use crate::PredictError;
use crate::regress::linalg::{Cholesky, Mat};
pub use inducing::EXACT_ROWS;
use inducing::Inducing;
pub use kernel::Kernel;
pub(crate) use kernel::{base_scale, base_values, own_base};
pub(crate) use prior::PriorCovariance;

/// Most rounds of re-weighting for Student-t noise, and the mean change of the weights that ends
/// them.
const STUDENT_ROUNDS: usize = 8;
const SETTLED: f64 = 0.01;

/// A normal distribution of the logarithm of a hyper-parameter; its mean is the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HyperPrior {
    /// The hyper-parameter's median.
    pub median: f64,
    /// Standard deviation of its natural logarithm.
    pub spread: f64,
}

impl HyperPrior {
    /// A prior around `median` whose logarithm has standard deviation `spread`.
    pub const fn new(median: f64, spread: f64) -> Self {
        HyperPrior { median, spread }
    }
}

/// One term of the covariance.
#[derive(Debug, Clone)]
pub struct Component {
    pub kernel: Kernel,
    /// Features of the pool, p × d, which several terms may share.
    pub x: Arc<Mat>,
    /// Variance that the term explains, in units of the target's variance.
    pub amplitude: HyperPrior,
    /// Length scale ℓ, see [`Kernel`]; not used by linear and polynomial terms.
    pub length: HyperPrior,
}

/// Options of [`Gp::fit`].
#[derive(Debug, Clone, Copy)]
pub struct GpOptions {
    /// Variance of the white noise, in units of the target's variance.
    pub noise: HyperPrior,
    /// Most steps of the search for hyper-parameters; 0 keeps the start.
    pub iterations: usize,
    /// Hyper-parameters are fitted to at most this many of the rows (the first ones).
    pub hyper_rows: usize,
    /// Degrees of freedom of Student-t noise, fitted by expectation maximisation until the weights
    /// settle: outliers get one below 1 and then hardly bend the mean. `None` is normal noise.
    pub student: Option<f64>,
}

impl Default for GpOptions {
    fn default() -> Self {
        GpOptions {
            noise: HyperPrior::new(0.05, 2.0),
            iterations: 60,
            hyper_rows: 600,
            student: None,
        }
    }
}

/// A fitted process.
pub struct Gp {
    /// Logarithms: amplitude of every component, length of every component, noise.
    pub hyper: Vec<f64>,
    /// Precision of each training row's noise in units of the common one (all 1 for normal noise).
    pub precisions: Vec<f64>,
    /// The rows whose covariance with a question decides the answer: those trained on, or of more
    /// than [`EXACT_ROWS`] the inducing ones.
    rows: Vec<usize>,
    scales: Vec<f64>,
    /// Factor of the covariance of `rows`, which has the noise in exact processes.
    factor: Cholesky,
    weights: Vec<f64>,
    inducing: Option<Inducing>,
    /// Standardised targets of all training rows.
    target: Vec<f64>,
    mean: f64,
    deviation: f64,
}

/// Means and standard deviations, one of each a question.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    pub mean: Vec<f64>,
    /// Standard deviation of a new measurement, noise included.
    pub sd: Vec<f64>,
}

impl Gp {
    /// Fits targets `y` at pool rows `rows`. `start` continues from the `hyper` of an earlier fit
    /// with the same components.
    ///
    /// Up to 2,000 rows the process is exact; of more, 2,000 random ones stand between the others and
    /// the predictions, so that time and memory grow as the number of rows.
    pub fn fit(
        components: &[Component],
        rows: &[usize],
        y: &[f64],
        options: &GpOptions,
        start: Option<&[f64]>,
    ) -> Result<Gp, PredictError> {
        if rows.len() != y.len() || rows.len() < 2 {
            return Err(PredictError::TooFew {
                what: "Gaussian process".into(),
                needed: 2,
                got: rows.len().min(y.len()),
            });
        }
        if rows.len() > EXACT_ROWS {
            return inducing::fit(components, rows, y, options, start);
        }
        let (target, mean, deviation) = standardised(y)?;
        let some = rows.len().min(options.hyper_rows.max(2));
        let (scales, bases) = training_bases(components, &rows[..some]);
        let prior: Vec<HyperPrior> = (components.iter().map(|c| c.amplitude))
            .chain(components.iter().map(|c| c.length))
            .chain([options.noise])
            .collect();
        let start = match start {
            Some(s) if s.len() == prior.len() => s.to_vec(),
            _ => prior.iter().map(|p| p.median.ln()).collect(),
        };
        let kernels: Vec<Kernel> = components.iter().map(|c| c.kernel).collect();
        let mut hyper = start;
        let mut precisions = vec![1.0; target.len()];
        let all_bases = (some < rows.len()).then(|| bases_with(components, rows, &scales));
        let mut rounds = if options.student.is_some() { STUDENT_ROUNDS } else { 0 };
        let mut iterations = options.iterations;
        let (factor, weights) = loop {
            if iterations > 0 {
                hyper = lbfgs::minimise(hyper, iterations, |theta| {
                    objective(theta, &prior, &kernels, &bases, &target[..some], &precisions)
                });
            }
            let bases = all_bases.as_ref().unwrap_or(&bases);
            let factor = factored(&hyper, &kernels, bases, &precisions)?;
            let weights = factor.solve(&target);
            match options.student {
                Some(freedom) if rounds > 0 => {
                    let before = precisions.clone();
                    let inverse = factor.inverse().diagonal();
                    if rounds == STUDENT_ROUNDS {
                        spot_outliers(&mut precisions, freedom, &mut hyper, &inverse, &weights);
                    } else {
                        update_precisions(&mut precisions, freedom, &hyper, &inverse, &weights);
                    }
                    let change = before.iter().zip(&precisions).map(|(a, b)| (a - b).abs());
                    if change.sum::<f64>() < SETTLED * before.len() as f64 {
                        rounds = 1;
                    }
                }
                _ => break (factor, weights),
            }
            rounds -= 1;
            iterations = options.iterations / 3;
        };
        Ok(Gp {
            hyper,
            precisions,
            rows: rows.to_vec(),
            scales,
            factor,
            weights,
            inducing: None,
            target,
            mean,
            deviation,
        })
    }

    /// The process of an earlier fit again, from the same rows and targets and its `hyper` and
    /// `precisions`: one factorisation instead of a search.
    pub fn restore(
        components: &[Component],
        rows: &[usize],
        y: &[f64],
        hyper: Vec<f64>,
        precisions: Vec<f64>,
    ) -> Result<Gp, PredictError> {
        let parameters = 2 * components.len() + 1;
        if hyper.len() != parameters || precisions.len() != rows.len() || y.len() != rows.len() {
            return Err(PredictError::TooFew {
                what: format!("a stored Gaussian process of {} rows, parameters,", rows.len()),
                needed: parameters,
                got: hyper.len(),
            });
        }
        if rows.len() > EXACT_ROWS {
            let places = inducing::places(rows.len());
            return inducing::conditioned(components, (rows, y), &places, hyper, precisions, None);
        }
        let (target, mean, deviation) = standardised(y)?;
        let (scales, bases) = training_bases(components, rows);
        let kernels: Vec<Kernel> = components.iter().map(|c| c.kernel).collect();
        let factor = factored(&hyper, &kernels, &bases, &precisions)?;
        let weights = factor.solve(&target);
        let rows = rows.to_vec();
        let inducing = None;
        Ok(Gp {
            hyper,
            precisions,
            rows,
            scales,
            factor,
            weights,
            inducing,
            target,
            mean,
            deviation,
        })
    }

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
    fn covariances(
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
fn noise_of(hyper: &[f64]) -> f64 {
    hyper[hyper.len() - 1].exp() + 1e-5
}

/// Targets with mean 0 and variance 1, and what they had before.
fn standardised(y: &[f64]) -> Result<(Vec<f64>, f64, f64), PredictError> {
    if let Some(i) = y.iter().position(|v| !v.is_finite()) {
        return Err(PredictError::Target { row: i, value: y[i] });
    }
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let deviation = (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let deviation = if deviation > 1e-12 { deviation } else { 1.0 };
    Ok((y.iter().map(|v| (v - mean) / deviation).collect(), mean, deviation))
}

fn factored(
    hyper: &[f64],
    kernels: &[Kernel],
    bases: &[Mat],
    precisions: &[f64],
) -> Result<Cholesky, PredictError> {
    Cholesky::new(covariance(hyper, kernels, bases, precisions)).ok_or_else(singular)
}

fn singular() -> PredictError {
    PredictError::Singular { what: "Gaussian process covariance".into() }
}

fn training_bases(components: &[Component], rows: &[usize]) -> (Vec<f64>, Vec<Mat>) {
    let scales: Vec<f64> =
        components.iter().map(|c| base_scale(c.kernel, &c.x.select(rows))).collect();
    let bases = bases_with(components, rows, &scales);
    (scales, bases)
}

fn bases_with(components: &[Component], rows: &[usize], scales: &[f64]) -> Vec<Mat> {
    components
        .iter()
        .zip(scales)
        .map(|(c, &scale)| {
            let x = c.x.select(rows);
            base_values(c.kernel, &x, &x, scale)
        })
        .collect()
}

/// The first weights: from leave-one-out residuals, in units of their median. A process without
/// weights may pass through outliers, which then look like signal to [`update_precisions`] for ever.
fn spot_outliers(
    precisions: &mut [f64],
    freedom: f64,
    hyper: &mut [f64],
    inverse: &[f64],
    weights: &[f64],
) {
    let squares: Vec<f64> = weights.iter().zip(inverse).map(|(w, v)| (w / v).powi(2)).collect();
    let mut sorted = squares.clone();
    sorted.sort_by(f64::total_cmp);
    // The median of a squared standard normal variable is 0.455.
    let scale = (sorted[sorted.len() / 2] / 0.455).max(1e-12);
    for (w, square) in precisions.iter_mut().zip(squares) {
        *w = (freedom + 1.0) / (freedom + square / scale);
    }
    let last = hyper.len() - 1;
    hyper[last] = hyper[last].max((0.5 * scale).ln());
}

/// The expected precision of each row's noise given its posterior residual: r² is the squared
/// posterior mean of the noise plus its posterior variance. `inverse` is the diagonal of the inverse
/// covariance of the targets, `weights` that covariance's inverse times them.
fn update_precisions(
    precisions: &mut [f64],
    freedom: f64,
    hyper: &[f64],
    inverse: &[f64],
    weights: &[f64],
) {
    let noise = noise_of(hyper);
    for (i, w) in precisions.iter_mut().enumerate() {
        let own = noise / *w;
        let mean = weights[i] * own;
        let variance = (own - inverse[i] * own * own).max(0.0);
        *w = (freedom + 1.0) / (freedom + (mean * mean + variance) / noise);
    }
}

/// The covariance of the training targets, noise included. Only its lower half is filled.
fn covariance(hyper: &[f64], kernels: &[Kernel], bases: &[Mat], precisions: &[f64]) -> Mat {
    let n = bases.first().map_or(0, |b| b.rows);
    let mut sum = Mat::zeros(n, n);
    let noise = noise_of(hyper);
    sum.data.par_chunks_mut(n.max(1)).enumerate().for_each(|(i, row)| {
        for (c, base) in bases.iter().enumerate() {
            let amplitude = hyper[c].exp();
            let inv_l2 = (-2.0 * hyper[kernels.len() + c]).exp();
            for (sum, base) in row[..=i].iter_mut().zip(base.row(i)) {
                *sum += amplitude * kernels[c].value_and_slope(*base, inv_l2).0;
            }
        }
        row[i] += noise / precisions[i];
    });
    sum
}

/// Negative log marginal likelihood plus negative log prior, and the gradient by the logarithms.
fn objective(
    theta: &[f64],
    prior: &[HyperPrior],
    kernels: &[Kernel],
    bases: &[Mat],
    y: &[f64],
    precisions: &[f64],
) -> (f64, Vec<f64>) {
    let n = y.len();
    let failed = || (f64::INFINITY, vec![0.0; theta.len()]);
    if theta.iter().any(|t| t.is_nan() || t.abs() > 40.0) {
        return failed();
    }
    let Some(factor) = Cholesky::new(covariance(theta, kernels, bases, precisions)) else {
        return failed();
    };
    let weights = factor.solve(y);
    let fit: f64 = y.iter().zip(&weights).map(|(y, w)| y * w).sum();
    let mut value = 0.5 * (n as f64 * std::f64::consts::TAU.ln() + fit) + factor.half_log_det();
    // W = K⁻¹ − K⁻¹y yᵀK⁻¹, half of it on the diagonal: then a sum over the lower half is half of
    // the sum over all.
    let mut w = factor.inverse();
    for i in 0..n {
        w.row_mut(i).iter_mut().zip(&weights).for_each(|(w, b)| *w -= weights[i] * b);
        w[(i, i)] *= 0.5;
    }
    let mut gradient = vec![0.0; theta.len()];
    // A row's share of each sum on its own, then added in order: the same for any thread count.
    let shares: Vec<Vec<(f64, f64)>> = (0..n)
        .into_par_iter()
        .map(|i| {
            (kernels.iter().zip(bases).enumerate())
                .map(|(c, (kernel, base))| {
                    let inv_l2 = (-2.0 * theta[kernels.len() + c]).exp();
                    w.row(i)[..=i].iter().zip(base.row(i)).fold((0.0, 0.0), |sums, (w, base)| {
                        let (k, slope) = kernel.value_and_slope(*base, inv_l2);
                        (sums.0 + w * k, sums.1 + w * slope)
                    })
                })
                .collect()
        })
        .collect();
    for row in &shares {
        for (c, (by_amplitude, by_length)) in row.iter().enumerate() {
            gradient[c] += theta[c].exp() * by_amplitude;
            gradient[kernels.len() + c] += theta[c].exp() * by_length;
        }
    }
    let half_trace: f64 = (0..n).map(|i| w[(i, i)] / precisions[i]).sum();
    gradient[theta.len() - 1] = theta[theta.len() - 1].exp() * half_trace;
    for (i, p) in prior.iter().enumerate() {
        let z = (theta[i] - p.median.ln()) / p.spread;
        value += 0.5 * z * z;
        gradient[i] += z / p.spread;
    }
    (value, gradient)
}

#[cfg(test)]
mod tests;
