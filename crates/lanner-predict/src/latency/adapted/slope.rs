//! What costs more takes longer: a device on which networks of higher simulated cost were faster, on
//! average over the pool, is not believed in.
//!
//! With five measurements, one of them noisy, a process can turn a dimension of cost upside down. The
//! slope is a linear functional of the process, so its posterior under a candidate is normal, and
//! that it is positive is a truncation, which has a closed form.

use crate::regress::linalg::Mat;

/// The slope's covariances in units of each group's amplitude.
pub(super) struct Slope {
    /// Covariances with the measurements, groups × n.
    pub known: Mat,
    /// Variance of the slope.
    pub own: Vec<f64>,
}

/// A posterior slope s with mean zσ, known to be positive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truncated {
    /// ln Φ(z): what the knowledge adds to the evidence.
    pub evidence: f64,
    /// E[s | s > 0] − E[s] in units of σ: φ(z) / Φ(z).
    pub shift: f64,
    /// The share of the variance that goes: shift · (shift + z).
    pub explained: f64,
}

impl Truncated {
    pub fn new(z: f64) -> Truncated {
        // Beyond, nothing of a candidate is left anyway.
        let z = z.max(-30.0);
        if z > 8.0 {
            // Known without being told, to the last digit of an f64.
            return Truncated { evidence: 0.0, shift: 0.0, explained: 0.0 };
        }
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if z > -2.5 {
            // Φ(z) = ½ + φ(z) (z + z³/3 + z⁵/(3·5) + …)
            let (mut term, mut sum, mut odd) = (z, z, 1.0);
            while term.abs() > 1e-17 * sum.abs() {
                odd += 2.0;
                term *= z * z / odd;
                sum += term;
            }
            let below = (0.5 + density * sum).min(1.0);
            let shift = density / below;
            return Truncated { evidence: below.ln(), shift, explained: shift * (shift + z) };
        }
        // Mills' ratio as a continued fraction: Φ(z) = φ(z) / (t + 1/(t + 2/(t + 3/…))), t = −z.
        let t = -z;
        let shift = (1..60).rev().fold(t, |rest, k| t + f64::from(k) / rest);
        let evidence = density.ln() - shift.ln();
        Truncated { evidence, shift, explained: shift * (shift + z) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against sums over a fine grid.
    #[test]
    fn moments_of_what_is_left_of_a_normal_distribution() {
        for z in [-8.0, -2.6, -2.4, -0.5, 0.0, 1.0, 3.0, 7.0, 9.0] {
            let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
            for i in 0..400_000 {
                let s: f64 = (f64::from(i) + 0.5) * 5e-5;
                let weight = (-0.5 * (s - z).powi(2)).exp() * 5e-5;
                mass += weight;
                first += weight * s;
                second += weight * s * s;
            }
            let (mean, norm) = (first / mass, (2.0 * std::f64::consts::PI).sqrt());
            let ours = Truncated::new(z);
            assert!((ours.evidence - (mass / norm).ln()).abs() < 1e-6, "{z} {ours:?}");
            assert!((z + ours.shift - mean).abs() < 1e-6, "{z} {ours:?} {mean}");
            let variance = second / mass - mean * mean;
            assert!((1.0 - ours.explained - variance).abs() < 1e-6, "{z} {ours:?} {variance}");
        }
    }
}
