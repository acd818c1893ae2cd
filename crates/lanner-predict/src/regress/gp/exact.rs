//! Processes of as many rows as the covariance of all can be factored for.

use rayon::prelude::*;

use super::component::{Component, GpOptions, HyperPrior};
use super::kernel::{Kernel, base_scale, base_values};
use super::lbfgs;
use super::process::{Gp, noise_of, standardised};
use crate::PredictError;
use crate::regress::linalg::{Cholesky, Mat};

/// Most rounds of re-weighting for Student-t noise, and the mean change of the weights that ends
/// them.
pub(super) const STUDENT_ROUNDS: usize = 8;
pub(super) const SETTLED: f64 = 0.01;

/// [`Gp::fit`] for few enough rows.
pub(super) fn fit(
    components: &[Component],
    rows: &[usize],
    y: &[f64],
    options: &GpOptions,
    start: Option<&[f64]>,
) -> Result<Gp, PredictError> {
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

/// [`Gp::restore`] for few enough rows.
pub(super) fn restore(
    components: &[Component],
    rows: &[usize],
    y: &[f64],
    hyper: Vec<f64>,
    precisions: Vec<f64>,
) -> Result<Gp, PredictError> {
    let (target, mean, deviation) = standardised(y)?;
    let (scales, bases) = training_bases(components, rows);
    let kernels: Vec<Kernel> = components.iter().map(|c| c.kernel).collect();
    let factor = factored(&hyper, &kernels, &bases, &precisions)?;
    let weights = factor.solve(&target);
    let rows = rows.to_vec();
    let inducing = None;
    Ok(Gp { hyper, precisions, rows, scales, factor, weights, inducing, target, mean, deviation })
}

fn factored(
    hyper: &[f64],
    kernels: &[Kernel],
    bases: &[Mat],
    precisions: &[f64],
) -> Result<Cholesky, PredictError> {
    Cholesky::new(covariance(hyper, kernels, bases, precisions)).ok_or_else(singular)
}

pub(super) fn singular() -> PredictError {
    PredictError::Singular { what: "Gaussian process covariance".into() }
}

pub(super) fn training_bases(components: &[Component], rows: &[usize]) -> (Vec<f64>, Vec<Mat>) {
    let scales: Vec<f64> =
        components.iter().map(|c| base_scale(c.kernel, &c.x.select(rows))).collect();
    let bases = bases_with(components, rows, &scales);
    (scales, bases)
}

pub(super) fn bases_with(components: &[Component], rows: &[usize], scales: &[f64]) -> Vec<Mat> {
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
pub(super) fn update_precisions(
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
pub(super) fn covariance(
    hyper: &[f64],
    kernels: &[Kernel],
    bases: &[Mat],
    precisions: &[f64],
) -> Mat {
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
pub(super) fn objective(
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
