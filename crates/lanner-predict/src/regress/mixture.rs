//! A device as a mixture of simulated ones.

use crate::regress::linalg::Mat;

/// Penalty that draws weights to zero, as a share of the rows' squared errors.
const RIDGE: f64 = 1e-3;
const ROUNDS: usize = 500;

/// The squared error, and a weight of each simulated device and of a constant, all in units of the
/// latencies: non-negative least squares of relative errors, by coordinate descent.
pub(crate) fn weights(times: &Mat, latencies: &[f64]) -> (f64, Vec<f64>) {
    weighted(times, latencies, |_| 1.0)
}

/// The same with rows that count for more or less.
pub(crate) fn weighted(
    times: &Mat,
    latencies: &[f64],
    importance: impl Fn(usize) -> f64,
) -> (f64, Vec<f64>) {
    let (n, d) = (latencies.len(), times.cols + 1);
    let mean = |of: &dyn Fn(usize) -> f64| (0..n).map(of).sum::<f64>() / n as f64;
    let units: Vec<f64> = (0..d)
        .map(|j| if j + 1 < d { mean(&|i| times[(i, j)]) } else { 1.0 })
        .map(|unit| if unit > 0.0 { unit } else { 1.0 })
        .collect();
    let scale = mean(&|i| latencies[i]);
    // Squares of errors are weighted, and so the roots of the rows.
    let root: Vec<f64> = (0..n).map(|i| importance(i).sqrt()).collect();
    let x = Mat::from_fn(n, d, |i, j| {
        let time = if j + 1 < d { times[(i, j)] } else { 1.0 };
        root[i] * time / units[j] * scale / latencies[i]
    });
    let mut gram = x.gram();
    (0..d).for_each(|j| gram[(j, j)] += RIDGE * n as f64);
    let towards: Vec<f64> = (0..d).map(|j| (0..n).map(|i| root[i] * x[(i, j)]).sum()).collect();
    let mut weights = vec![1.0 / d as f64; d];
    for _ in 0..ROUNDS {
        for j in 0..d {
            let others: f64 = gram.row(j).iter().zip(&weights).map(|(g, w)| g * w).sum::<f64>()
                - gram[(j, j)] * weights[j];
            weights[j] = ((towards[j] - others) / gram[(j, j)]).max(0.0);
        }
    }
    let error = |i: usize| {
        let fit: f64 = x.row(i).iter().zip(&weights).map(|(x, w)| x * w).sum();
        (root[i] - fit).powi(2)
    };
    let loss = (0..n).map(error).sum();
    (loss, weights.iter().zip(&units).map(|(w, unit)| w * scale / unit).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Times of three simulated devices.
    pub(crate) fn times(n: usize, seed: f64) -> Mat {
        Mat::from_fn(n, 3, |i, j| {
            1.0 + ((i as f64 + seed) * [0.7, 1.3, 2.9][j]).sin().abs() * [1e6, 2e5, 5e7][j]
        })
    }

    /// A row that counts thrice is that row three times.
    #[test]
    fn important_rows_count_as_several() {
        let t = times(12, 0.0);
        let latencies: Vec<f64> = (0..12).map(|r| 3.0 + 1e-6 * t[(r, 0)] + r as f64).collect();
        let (loss, found) = weighted(&t, &latencies, |i| if i < 4 { 3.0 } else { 1.0 });
        let rows: Vec<usize> = (0..4).chain(0..4).chain(0..12).collect();
        let thrice: Vec<f64> = rows.iter().map(|&r| latencies[r]).collect();
        let (same, _) = weights(&t.select(&rows), &thrice);
        // But for the penalty, which grows with the number of rows.
        assert!((loss / same - 1.0).abs() < 0.05, "{loss} {same} {found:?}");
    }

    #[test]
    fn weights_are_the_best_of_all_that_are_not_negative() {
        let t = times(40, 0.0);
        let rows: Vec<usize> = (0..40).collect();
        // Falls with the second device's times.
        let latencies: Vec<f64> =
            rows.iter().map(|&r| 3.0 - 5e-6 * t[(r, 1)] + 1e-6 * t[(r, 0)]).collect();
        let (loss, found) = weights(&t, &latencies);
        assert!(found.iter().all(|w| *w >= 0.0) && found[1] == 0.0, "{found:?}");
        let loss_of = |w: &[f64]| -> f64 {
            let fit = |r: usize| (0..3).map(|j| w[j] * t[(r, j)]).sum::<f64>() + w[3];
            rows.iter().map(|&r| (1.0 - fit(r) / latencies[r]).powi(2)).sum()
        };
        assert!((loss - loss_of(&found)).abs() < 1e-9);
        for j in 0..4 {
            for step in [0.9, 1.1] {
                let mut other = found.clone();
                other[j] = other[j].max(1e-9) * step;
                // But for what the penalty is worth.
                assert!(loss_of(&other) > loss - 0.02, "{j} {step}");
            }
        }
    }
}
