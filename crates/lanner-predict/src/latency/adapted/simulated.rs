//! A device as a mixture of simulated ones, which mean the same in every space.
//!
//! What a device pays for arithmetic, memory and the start of a layer is learned where it was
//! measured: non-negative weights of the simulated devices whose sum comes nearest to its latencies,
//! relative to them. The same weights give its latencies elsewhere. This carries over what no other
//! device is like; what the simulation leaves out, other devices carry ([`Bridge`](super::Bridge)).

use serde::{Deserialize, Serialize};

use crate::regress::linalg::Mat;
use crate::regress::mixture::weights;

/// A mixture of simulated devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Simulated {
    /// A weight each, and a constant.
    weights: Vec<f64>,
    /// The view of the networks that fits, where the source space has two: all operations of the
    /// texts, or the live ones.
    view: Option<usize>,
}

impl Simulated {
    /// `times` are those of the source space's views for architectures with `latencies`.
    pub fn fit(times: &[Mat], latencies: &[f64]) -> Simulated {
        let mut fits: Vec<(f64, Vec<f64>)> = times.iter().map(|t| weights(t, latencies)).collect();
        let best = if fits.len() > 1 && fits[1].0 < fits[0].0 { 1 } else { 0 };
        Simulated { view: (fits.len() == 2).then_some(best), weights: fits.swap_remove(best).1 }
    }

    /// Log latencies for the times of the target space's views, p × 1, or p × 2 where there are two and
    /// the source cannot tell which of them counts.
    pub fn latencies(&self, times: &[&Mat]) -> Mat {
        let chosen: Vec<&Mat> = match (times, self.view) {
            ([_, _], Some(view)) => vec![times[view]],
            (all, _) => all.to_vec(),
        };
        let log = |row: &[f64]| {
            let sum: f64 = row.iter().zip(&self.weights).map(|(t, w)| t * w).sum();
            (sum + self.weights[row.len()]).max(1e-300).ln()
        };
        Mat::from_fn(times[0].rows, chosen.len(), |i, view| log(chosen[view].row(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regress::mixture::tests::times;

    #[test]
    fn a_mixture_of_simulated_devices_is_found_and_means_the_same_elsewhere() {
        let mine = |t: &Mat, i: usize| 2e-6 * t[(i, 0)] + 3e-8 * t[(i, 2)] + 0.5;
        let (from, to) = (times(60, 0.0), times(25, 0.3));
        let latencies: Vec<f64> = (0..60).map(|i| mine(&from, i)).collect();
        // The text's times have nothing to do with the latencies.
        let text = times(60, 17.0);
        let other = times(25, 5.0);
        let carried = Simulated::fit(&[text, from.clone()], &latencies).latencies(&[&other, &to]);
        assert_eq!((carried.rows, carried.cols), (25, 1));
        for i in 0..25 {
            let (ours, truth) = (carried[(i, 0)], mine(&to, i).ln());
            assert!((ours - truth).abs() < 0.05, "{i}: {ours} {truth}");
        }
        // A space without dead operations does not know which view counts elsewhere.
        let both = Simulated::fit(&[from], &latencies).latencies(&[&to, &to]);
        assert_eq!(both.cols, 2);
    }
}
