//! Carries a device's latencies from one search space to another.
//!
//! Devices measured in both spaces, the *references*, are the bridge (Multi-Predict's encoding by
//! latencies on other hardware means the same in every space): devices that are alike in one space
//! should be alike in the other. The few-shot predictor fills in what was not measured of the device
//! in the source space; its likeness to each reference there, over the whole pool, tells the mixture
//! of references that it should be in the target space (a Gaussian process over devices).
//!
//! Costs of layers that the source space does not vary, such as poolings towards NAS-Bench-201, are told by
//! the references alone. So there are two more guesses, in which these cost more or less than that.

use super::carried::Carried;
use super::features::DeviceFeatures;
use super::few_shot::FewShot;
use super::prior::{Confidence, DevicePrior, Guess};
use super::simulated::Simulated;
use crate::PredictError;
use crate::metrics::pearson;
use crate::regress::linalg::{Cholesky, Mat};

/// Length by which the covariance of two devices falls exponentially with the distance of their
/// standardised functions, and variance of the noise that stands for differences between spaces.
const LENGTH: f64 = 1.0;
const NOISE: f64 = 0.1;
/// Approximate number of rows of the source pool on which devices are compared.
const COMPARED: usize = 2000;

/// The odds of the mixture of simulated devices, whatever the device. Chosen on the development devices
/// of `lanner-bench cross-space`, as the shares.
const SIMULATED: f64 = 3.0;
/// References in the space where a device was measured.
pub struct Bridge {
    source: DevicePrior,
    /// Rows of the source pool, and each reference's function at them.
    compared: Vec<usize>,
    references: Vec<Vec<f64>>,
    factor: Cholesky,
    /// Times of the simulated devices at the compared rows, by view.
    times: Vec<Mat>,
    /// The totals that do not vary in the source space.
    new_kinds: Vec<usize>,
}

fn too_few(needed: usize, got: usize) -> PredictError {
    let what = "transfer between spaces, whose devices measured in both,".into();
    PredictError::TooFew { what, needed, got }
}

impl Bridge {
    /// The features of the source space, and what [`DeviceFeatures::smooth`] made of the references there.
    pub fn new(source: &DeviceFeatures, from: &Mat) -> Result<Bridge, PredictError> {
        if from.cols < 2 {
            return Err(too_few(2, from.cols));
        }
        let compared: Vec<usize> =
            (0..from.rows).step_by(from.rows.div_ceil(COMPARED).max(1)).collect();
        let references: Vec<Vec<f64>> =
            (0..from.cols).map(|j| compared.iter().map(|&i| from[(i, j)]).collect()).collect();
        let k = Mat::from_fn(from.cols, from.cols, |i, j| {
            covariance(&references[i], &references[j]) + if i == j { NOISE } else { 0.0 }
        });
        let factor = Cholesky::new(k)
            .ok_or_else(|| PredictError::Singular { what: "likeness of references".into() })?;
        let times = source.costs.iter().map(|costs| costs.times.select(&compared)).collect();
        let varies = |totals: &Mat, j| (1..totals.rows).any(|i| totals[(i, j)] != totals[(0, j)]);
        let new_kinds = (0..source.costs[0].totals.cols)
            .filter(|&j| !source.costs.iter().any(|costs| varies(&costs.totals, j)))
            .collect();
        let source = source.with_sources(from);
        Ok(Bridge { source, compared, references, factor, times, new_kinds })
    }

    /// Carries over a device whose `latencies` were measured for `rows` of the source pool.
    pub fn carry(&self, rows: &[usize], latencies: &[f64]) -> Result<Carried, PredictError> {
        let model = FewShot::fit(&self.source, rows, latencies)?;
        let smooth = model.latencies(&self.source, &self.compared);
        let mine: Vec<f64> = smooth.iter().map(|v| v.ln()).collect();
        let alike: Vec<f64> = self.references.iter().map(|r| covariance(&mine, r)).collect();
        // The mean over devices, as a function, is not known beforehand (generalised least squares).
        let weights = self.factor.solve(&alike);
        let known: f64 = weights.iter().zip(&alike).map(|(w, k)| w * k).sum();
        let ones = self.factor.solve(&vec![1.0; alike.len()]);
        let rest = (1.0 - weights.iter().sum::<f64>()) / ones.iter().sum::<f64>();
        let mixture: Vec<f64> = weights.iter().zip(&ones).map(|(w, o)| w + rest * o).collect();
        let simulated = Simulated::fit(&self.times, &smooth);
        Ok(Carried { mixture, known, simulated, new_kinds: self.new_kinds.clone() })
    }
}

impl Carried {
    /// Guesses over the target pool, from its features and the same references' functions there: as a
    /// mixture of the references, first, and of simulated devices, last; between them, where there are new
    /// kinds of layers, as the first with these at other costs.
    pub fn guesses(
        &self,
        target: &DeviceFeatures,
        references: &Mat,
    ) -> Result<Vec<Guess>, PredictError> {
        let known = self.known;
        if references.cols != self.mixture.len() {
            return Err(too_few(self.mixture.len(), references.cols));
        }
        let scales = self.scales(&target.costs, references);
        let latencies = self.latencies(&target.costs, references, &scales);
        // The less the references know of the device, the more candidates believe in simulated ones.
        let last = (1.0 - known).powi(3);
        let others = latencies.len() - 2;
        // Half of the rest believes in the mixture of references as it is.
        let as_it_is = if others == 0 { 1.0 } else { 0.5 };
        let of_each = (1.0 - as_it_is) / others.max(1) as f64;
        // The noise keeps what is known below one.
        let odds = known / (1.0 - known);
        let belief = |place| match place {
            0 => Confidence { odds, share: (1.0 - last) * as_it_is, fades: false },
            _ if place > others => Confidence { odds: SIMULATED, share: last, fades: false },
            _ => Confidence { odds, share: (1.0 - last) * of_each, fades: true },
        };
        let guess = |(i, latencies)| Guess { latencies, belief: belief(i) };
        Ok(latencies.into_iter().enumerate().map(guess).collect())
    }
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let distance = (2.0 - 2.0 * pearson(a, b)).max(0.0).sqrt();
    (-distance / LENGTH).exp()
}
