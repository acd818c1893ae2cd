//! A device as a mixture of simulated ones, which mean the same in every space.
//!
//! What a device pays for arithmetic, memory and the start of a layer is learned where it was
//! measured: non-negative weights of the simulated devices whose sum comes nearest to its latencies,
//! relative to them. The same weights give its latencies elsewhere. This carries over what no other
//! device is like; what the simulation leaves out, other devices carry ([`Bridge`](super::Bridge)).

use crate::regress::linalg::Mat;
use crate::regress::mixture::weights;

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
}
