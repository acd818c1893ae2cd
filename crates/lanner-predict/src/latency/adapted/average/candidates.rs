//! Hyper-parameters that are tried.

use rand::RngExt;

use super::super::group::Shown;

/// Number of candidates for few measurements.
const CANDIDATES: usize = 1500;
/// Logarithms of amplitudes and of the noise are normal with this standard deviation.
const SPREAD: f64 = 2.0;
/// Medians of the amplitude of every group and of the noise's variance.
const AMPLITUDE: f64 = 0.3;
const NOISE: f64 = 0.05;
/// Amplitude, as a fraction, of a group that a candidate does not believe in.
const HIDDEN: f64 = 1e-4;

/// Amplitudes of the groups, then the noise.
pub(in super::super) type Candidate = Vec<f64>;

/// The candidates for groups of these kinds and a number of measurements: the same on every call.
///
/// A device runs dead operations or skips them, and is like the sources or not: candidates that believe
/// in all groups at once bend to the wrong ones when ten measurements cannot tell them apart. So two
/// in five know only what the text says, two only what is live, and half of all no sources.
pub(in super::super) fn candidates(groups: &[Shown], measured: usize) -> Vec<Candidate> {
    let mut rng = lanner_nn::rng(0, "hyper-parameters of few-shot predictors");
    let mut normal = move || {
        let (u, v): (f64, f64) =
            (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    // A factorisation costs the cube of the measurements, which also need fewer candidates when
    // they are many.
    let count = if measured <= 50 { CANDIDATES } else { (CANDIDATES * 50 / measured).max(100) };
    let draw = |median: f64, z: f64| median * (SPREAD * z).exp();
    (0..count)
        .map(|i| {
            let hides = |group| match group {
                Shown::Text => i % 5 < 2,
                Shown::Live => (2..4).contains(&(i % 5)),
                Shown::Both => false,
                Shown::Sources => i / 5 % 2 == 0,
            };
            let mut candidate: Candidate = (groups.iter())
                .map(|&group| {
                    let amplitude = draw(AMPLITUDE, normal());
                    if hides(group) { HIDDEN * amplitude } else { amplitude }
                })
                .collect();
            candidate.push(draw(NOISE, normal()));
            candidate
        })
        .collect()
}
