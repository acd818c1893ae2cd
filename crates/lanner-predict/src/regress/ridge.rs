//! Ridge regression whose penalty is chosen by closed-form leave-one-out error.

use crate::PredictError;
use crate::regress::linalg::{Cholesky, Mat};

/// A fitted linear model on standardised features; the intercept is not penalised.
#[derive(Debug, Clone)]
pub struct Ridge {
    weights: Vec<f64>,
    intercept: f64,
    /// The chosen penalty, in units of the features' Gram matrix.
    pub lambda: f64,
    /// Leave-one-out residuals of the training rows, truth − prediction.
    pub residuals: Vec<f64>,
}

impl Ridge {
    /// Fits `y` (n) on the rows of `x` (n × d). Constant features are ignored.
    pub fn fit(x: &Mat, y: &[f64]) -> Result<Ridge, PredictError> {
        let (n, d) = (x.rows, x.cols);
        if n < 3 {
            return Err(PredictError::TooFew { what: "ridge".into(), needed: 3, got: n });
        }
        if let Some(i) = y.iter().position(|v| !v.is_finite()) {
            return Err(PredictError::Target { row: i, value: y[i] });
        }
        let (mut means, mut scales) = (vec![0.0; d], vec![0.0; d]);
        for j in 0..d {
            means[j] = (0..n).map(|i| x[(i, j)]).sum::<f64>() / n as f64;
            let variance = (0..n).map(|i| (x[(i, j)] - means[j]).powi(2)).sum::<f64>() / n as f64;
            scales[j] = if variance > 1e-18 { variance.sqrt().recip() } else { 0.0 };
        }
        let z = Mat::from_fn(n, d, |i, j| (x[(i, j)] - means[j]) * scales[j]);
        let mean = y.iter().sum::<f64>() / n as f64;
        let centred: Vec<f64> = y.iter().map(|y| y - mean).collect();
        let gram = z.gram();
        let transposed = Mat::from_fn(d, n, |j, i| z[(i, j)]);
        let towards: Vec<f64> = (0..d)
            .map(|j| transposed.row(j).iter().zip(&centred).map(|(z, y)| z * y).sum())
            .collect();

        // With ZᵀZ + λ = LLᵀ and V = L⁻¹Zᵀ, the leverage of row i is the squared norm of V's
        // column i (and 1/n for the intercept).
        let at = |lambda: f64| -> Option<(Vec<f64>, Vec<f64>)> {
            let mut penalised = gram.clone();
            (0..d).for_each(|j| penalised[(j, j)] += lambda);
            let factor = Cholesky::new(penalised)?;
            let weights = factor.solve(&towards);
            let mut v = transposed.clone();
            factor.solve_lower(&mut v);
            let mut leverage = vec![1.0 / n as f64; n];
            for k in 0..d {
                leverage.iter_mut().zip(v.row(k)).for_each(|(h, v)| *h += v * v);
            }
            let residuals = (0..n)
                .map(|i| {
                    let fit: f64 = z.row(i).iter().zip(&weights).map(|(z, w)| z * w).sum();
                    (centred[i] - fit) / (1.0 - leverage[i]).max(1e-9)
                })
                .collect();
            Some((weights, residuals))
        };
        let mut best: Option<(f64, f64, Vec<f64>, Vec<f64>)> = None;
        // Half-decades from 10⁻³ to 10⁵.
        for step in -6..=10 {
            let lambda = 10f64.powf(f64::from(step) / 2.0);
            let Some((weights, residuals)) = at(lambda) else {
                continue;
            };
            let loss: f64 = residuals.iter().map(|r| r * r).sum();
            if best.as_ref().is_none_or(|b| loss < b.0) {
                best = Some((loss, lambda, weights, residuals));
            }
        }
        let (_, lambda, mut weights, residuals) =
            best.ok_or_else(|| PredictError::Singular { what: "ridge design".into() })?;
        weights.iter_mut().zip(&scales).for_each(|(w, s)| *w *= s);
        let intercept = mean - weights.iter().zip(&means).map(|(w, m)| w * m).sum::<f64>();
        Ok(Ridge { weights, intercept, lambda, residuals })
    }

    /// Predictions for the rows of `x`.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        (0..x.rows)
            .map(|i| {
                self.intercept + x.row(i).iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f64>()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    /// Solves the penalised normal equations directly.
    fn plain(x: &Mat, y: &[f64], lambda: f64, rows: &[usize]) -> impl Fn(usize) -> f64 {
        let (n, d) = (rows.len(), x.cols);
        // Means and scales of all rows: leave-one-out of the ridge keeps the standardisation.
        let all = x.rows;
        let mean_of = |j: usize| (0..all).map(|i| x[(i, j)]).sum::<f64>() / all as f64;
        let means: Vec<f64> = (0..d).map(mean_of).collect();
        let scales: Vec<f64> = (0..d)
            .map(|j| {
                let v = (0..all).map(|i| (x[(i, j)] - means[j]).powi(2)).sum::<f64>() / all as f64;
                v.sqrt().recip()
            })
            .collect();
        let x = x.clone();
        let z = move |i: usize, j: usize| {
            if j == d { 1.0 } else { (x[(i, j)] - means[j]) * scales[j] }
        };
        let gram = Mat::from_fn(d + 1, d + 1, |a, b| {
            let dot: f64 = rows.iter().map(|&i| z(i, a) * z(i, b)).sum();
            dot + if a == b && a < d { lambda } else { 0.0 }
        });
        let right: Vec<f64> =
            (0..=d).map(|a| (0..n).map(|k| z(rows[k], a) * y[rows[k]]).sum()).collect();
        let w = Cholesky::new(gram).unwrap().solve(&right);
        move |i| (0..=d).map(|j| z(i, j) * w[j]).sum()
    }

    #[test]
    fn equals_the_normal_equations_and_refits_without_each_row() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let x = Mat::from_fn(25, 4, |_, _| rng.random_range(-1.0..1.0));
        let y: Vec<f64> =
            (0..25).map(|i| 3.0 + x[(i, 0)] - x[(i, 2)] + rng.random_range(-0.3..0.3)).collect();
        let ridge = Ridge::fit(&x, &y).unwrap();
        let all: Vec<usize> = (0..25).collect();
        let direct = plain(&x, &y, ridge.lambda, &all);
        for (i, p) in ridge.predict(&x).iter().enumerate() {
            assert!((p - direct(i)).abs() < 1e-8);
        }
        for out in 0..25 {
            let rest: Vec<usize> = all.iter().copied().filter(|&i| i != out).collect();
            let refit = plain(&x, &y, ridge.lambda, &rest);
            assert!((ridge.residuals[out] - (y[out] - refit(out))).abs() < 1e-8);
        }
    }

    #[test]
    fn constant_features_and_bad_targets() {
        let x = Mat::from_fn(5, 2, |i, j| if j == 0 { 7.0 } else { i as f64 });
        let ridge = Ridge::fit(&x, &[0.0, 1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((ridge.predict(&x)[4] - 4.0).abs() < 0.1);
        assert!(Ridge::fit(&x, &[0.0, 1.0, f64::INFINITY, 3.0, 4.0]).is_err());
    }
}
