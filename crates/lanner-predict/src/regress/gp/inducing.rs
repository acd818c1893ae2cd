//! Gaussian processes of more rows than the covariance of all can be factored for.
//!
//! Hyper-parameters are those of the exact process of [`EXACT_ROWS`] random rows. Given them, these rows
//! are *inducing*: all rows bear on predictions, but through their covariance with the inducing
//! ones alone, and what that leaves of a row's variance counts as noise of its own. That is FITC
//! (Snelson & Ghahramani 2006; Quiñonero-Candela & Rasmussen 2005). With m inducing rows of n it
//! takes n m² multiplications a round of re-weighting and 8 n m bytes.

use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::component::{Component, GpOptions};
use super::exact::{
    self, SETTLED, STUDENT_ROUNDS, covariance, singular, training_bases, update_precisions,
};
use super::kernel::Kernel;
use super::process::{Gp, Inducing, noise_of, standardised};
use crate::PredictError;
use crate::regress::linalg::{Cholesky, Mat, plus_weighted_squares};

/// Most rows of an exact process; of more, this many are inducing.
pub const EXACT_ROWS: usize = 2000;
/// Variance added to the inducing rows' own so that their covariance can be factored.
const JITTER: f64 = 1e-8;
/// Rows that are computed together.
const BLOCK: usize = 512;

/// The inducing rows' places among `n` rows, in random order.
pub(super) fn places(n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    all.shuffle(&mut lanner_nn::rng(0, "inducing rows"));
    all.truncate(EXACT_ROWS);
    all
}

/// [`Gp::fit`] for more than [`EXACT_ROWS`] rows.
pub(super) fn fit(
    components: &[Component],
    rows: &[usize],
    y: &[f64],
    options: &GpOptions,
    start: Option<&[f64]>,
) -> Result<Gp, PredictError> {
    // Before the subset is taken, so that a wrong target is named by its own row.
    standardised(y)?;
    let places = places(rows.len());
    let (some, of_some): (Vec<usize>, Vec<f64>) = places.iter().map(|&p| (rows[p], y[p])).unzip();
    let exact = exact::fit(components, &some, &of_some, options, start)?;
    let mut precisions = vec![1.0; rows.len()];
    places.iter().zip(&exact.precisions).for_each(|(&p, w)| precisions[p] = *w);
    let hyper = exact.hyper.clone();
    drop(exact);
    conditioned(components, (rows, y), &places, hyper, precisions, options.student)
}

/// The process of all rows given hyper-parameters, those at `places` inducing. With Student-t noise the
/// precisions are fitted, from those given; without they stay.
pub(super) fn conditioned(
    components: &[Component],
    (rows, y): (&[usize], &[f64]),
    places: &[usize],
    hyper: Vec<f64>,
    mut precisions: Vec<f64>,
    student: Option<f64>,
) -> Result<Gp, PredictError> {
    let (target, mean, deviation) = standardised(y)?;
    let inducing: Vec<usize> = places.iter().map(|&p| rows[p]).collect();
    let kernels: Vec<Kernel> = components.iter().map(|c| c.kernel).collect();
    let (scales, bases) = training_bases(components, &inducing);
    let mut own = covariance(&hyper, &kernels, &bases, &vec![f64::INFINITY; inducing.len()]);
    drop(bases);
    for i in 0..own.rows {
        own[(i, i)] *= 1.0 + JITTER;
    }
    let factor = Cholesky::new(own).ok_or_else(singular)?;
    let mut gp = Gp {
        hyper,
        precisions: Vec::new(),
        rows: inducing,
        scales,
        factor,
        weights: Vec::new(),
        inducing: None,
        target,
        mean,
        deviation,
    };
    let trained: Vec<Mat> = components.iter().map(|c| c.x.select(&gp.rows)).collect();
    let (whitened, left): (Vec<Mat>, Vec<Vec<f64>>) = rows
        .par_chunks(BLOCK)
        .map(|block| {
            let asked: Vec<Mat> = components.iter().map(|c| c.x.select(block)).collect();
            let (mut cross, mut left) = gp.covariances(&kernels, &trained, &asked, 0.0);
            gp.factor.solve_lower(&mut cross);
            cross.add_squares(&mut left, -1.0);
            left.iter_mut().for_each(|v| *v = v.max(0.0));
            (cross, left)
        })
        .unzip();
    let left = left.concat();
    let noise = noise_of(&gp.hyper);
    let mut rounds = if student.is_some() { STUDENT_ROUNDS } else { 0 };
    loop {
        let noises: Vec<f64> = left.iter().zip(&precisions).map(|(v, w)| v + noise / w).collect();
        let (inducing, weights) = solved(&whitened, &noises, &gp.target)?;
        if let (Some(freedom), true) = (student, rounds > 0) {
            let before = precisions.clone();
            let (dual, diagonal) = (&inducing.dual, &inducing.diagonal);
            update_precisions(&mut precisions, freedom, &gp.hyper, diagonal, dual);
            let change = before.iter().zip(&precisions).map(|(a, b)| (a - b).abs());
            rounds -= 1;
            if change.sum::<f64>() < SETTLED * before.len() as f64 {
                rounds = 0;
            }
            continue;
        }
        gp.weights = gp.factor.solve_upper(weights);
        gp.inducing = Some(inducing);
        gp.precisions = precisions;
        return Ok(gp);
    }
}

/// Solves for the whitened covariances by blocks of training rows and all rows' noise: also B⁻¹ V
/// Λ⁻¹ y, where [`Inducing::inner`] is the factor of B.
fn solved(
    whitened: &[Mat],
    noises: &[f64],
    target: &[f64],
) -> Result<(Inducing, Vec<f64>), PredictError> {
    let inverse: Vec<f64> = noises.iter().map(|v| v.recip()).collect();
    let inner = Cholesky::new(plus_weighted_squares(whitened, &inverse)).ok_or_else(singular)?;
    let mut sums = vec![0.0; inner.rows()];
    for ((v, inverse), y) in whitened.iter().zip(inverse.chunks(BLOCK)).zip(target.chunks(BLOCK)) {
        let weighted: Vec<f64> = y.iter().zip(inverse).map(|(y, w)| y * w).collect();
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += v.row(i).iter().zip(&weighted).map(|(v, y)| v * y).sum::<f64>();
        }
    }
    let weights = inner.solve(&sums);
    let (dual, diagonal): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (whitened.par_iter())
        .zip(inverse.par_chunks(BLOCK))
        .zip(target.par_chunks(BLOCK))
        .map(|((v, inverse), target)| {
            let mut residuals = target.to_vec();
            for (i, a) in weights.iter().enumerate() {
                residuals.iter_mut().zip(v.row(i)).for_each(|(r, v)| *r -= a * v);
            }
            let mut v = v.clone();
            inner.solve_lower(&mut v);
            let mut known = vec![0.0; v.cols];
            v.add_squares(&mut known, 1.0);
            let dual = residuals.iter().zip(inverse).map(|(r, w)| r * w).collect();
            let diagonal = known.iter().zip(inverse).map(|(u, w)| w - u * w * w).collect();
            (dual, diagonal)
        })
        .unzip();
    Ok((Inducing { inner, dual: dual.concat(), diagonal: diagonal.concat() }, weights))
}
