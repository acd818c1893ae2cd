//! A device as a mixture of simulated ones, which mean the same in every space.
//!
//! What a device pays for arithmetic, memory and the start of a layer is learned where it was
//! measured: non-negative weights of the simulated devices whose sum comes nearest to its latencies,
//! relative to them. The same weights give its latencies elsewhere. This carries over what no other
//! device is like; what the simulation leaves out, other devices carry ([`Bridge`](super::Bridge)).

use crate::linalg::Mat;

/// Weights are drawn to zero by so much of the rows' squared errors.
const RIDGE: f64 = 1e-3;
const ROUNDS: usize = 500;

/// `times` are those of the source space's views (all that texts say and, where that differs, what is
/// live) for architectures with `latencies`, `elsewhere` the times of the target's views.
/// Log latencies over the target pool (p × 1, or p × 2 where the target has
/// two views and the source cannot tell which of them counts).
pub(super) fn carry(times: &[Mat], latencies: &[f64], elsewhere: &[Mat]) -> Mat {
    let fits: Vec<(f64, Vec<f64>)> = times.iter().map(|t| weights(t, latencies)).collect();
    let best = if fits.len() > 1 && fits[1].0 < fits[0].0 { 1 } else { 0 };
    let weights = &fits[best].1;
    let chosen: Vec<&Mat> = match elsewhere {
        [_, _] if times.len() == 2 => vec![&elsewhere[best]],
        all => all.iter().collect(),
    };
    let log = |row: &[f64]| {
        let sum: f64 = row.iter().zip(weights).map(|(t, w)| t * w).sum();
        (sum + weights[row.len()]).max(1e-300).ln()
    };
    Mat::from_fn(elsewhere[0].rows, chosen.len(), |i, view| log(chosen[view].row(i)))
}

/// The squared error, and a weight of each simulated device and of a constant, all in units of the
/// latencies: non-negative least squares of relative errors, by coordinate descent.
pub(crate) fn weights(times: &Mat, latencies: &[f64]) -> (f64, Vec<f64>) {
    let (n, d) = (latencies.len(), times.cols + 1);
    let mean = |of: &dyn Fn(usize) -> f64| (0..n).map(of).sum::<f64>() / n as f64;
    let units: Vec<f64> = (0..d)
        .map(|j| if j + 1 < d { mean(&|i| times[(i, j)]) } else { 1.0 })
        .map(|unit| if unit > 0.0 { unit } else { 1.0 })
        .collect();
    let scale = mean(&|i| latencies[i]);
    let x = Mat::from_fn(n, d, |i, j| {
        let time = if j + 1 < d { times[(i, j)] } else { 1.0 };
        time / units[j] * scale / latencies[i]
    });
    let mut gram = x.gram();
    (0..d).for_each(|j| gram[(j, j)] += RIDGE * n as f64);
    let towards: Vec<f64> = (0..d).map(|j| (0..n).map(|i| x[(i, j)]).sum()).collect();
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
        (1.0 - fit).powi(2)
    };
    let loss = (0..n).map(error).sum();
    (loss, weights.iter().zip(&units).map(|(w, unit)| w * scale / unit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of three simulated devices.
    fn times(n: usize, seed: f64) -> Mat {
        Mat::from_fn(n, 3, |i, j| {
            1.0 + ((i as f64 + seed) * [0.7, 1.3, 2.9][j]).sin().abs() * [1e6, 2e5, 5e7][j]
        })
    }

    #[test]
    fn a_mixture_of_simulated_devices_is_found_and_means_the_same_elsewhere() {
        let mine = |t: &Mat, i: usize| 2e-6 * t[(i, 0)] + 3e-8 * t[(i, 2)] + 0.5;
        let (from, to) = (times(60, 0.0), times(25, 0.3));
        let latencies: Vec<f64> = (0..60).map(|i| mine(&from, i)).collect();
        // The text's times have nothing to do with the latencies.
        let text = times(60, 17.0);
        let target = [times(25, 5.0), to.clone()];
        let carried = carry(&[text, from.clone()], &latencies, &target);
        assert_eq!((carried.rows, carried.cols), (25, 1));
        for i in 0..25 {
            let (ours, truth) = (carried[(i, 0)], mine(&to, i).ln());
            assert!((ours - truth).abs() < 0.05, "{i}: {ours} {truth}");
        }
        // A space without dead operations does not know which view counts elsewhere.
        let both = carry(&[from], &latencies, &[to.clone(), to]);
        assert_eq!(both.cols, 2);
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
