//! Removes the machine's drift from a latency, by readings of the reference network.
//!
//! A machine that is slower for minutes (clock frequency, neighbours) slows the reference and the
//! network alike, so that their quotient is free of it. A stall of milliseconds (another program gets
//! the processor, a container has used up its share) hits either a reading or a block, and their
//! quotient is wrong by as much. So a reading counts only as far as the others confirm it.

use super::statistics::{median, median_error};

/// Largest relative standard error of the median of all readings by which blocks are corrected.
const STEADY: f64 = 0.1;
/// Largest difference of the readings before and after a block that agree, relative to the median.
const APART: f64 = 0.2;

/// A latency that is corrected for drift.
#[derive(Debug, Clone, Copy)]
pub(super) struct Corrected {
    pub latency_ms: f64,
    pub error_ms: f64,
    /// Divisor of the latency, the median over blocks.
    pub drift: f64,
    pub steady: bool,
}

/// Corrects the medians of blocks. `readings` say how much slower than at first the reference was,
/// before the first block and after each. If they contradict each other, all blocks are divided by
/// the `usual` drift.
pub(super) fn correct(medians_ms: &[f64], readings: &[f64], usual: f64) -> Corrected {
    let middle = median(readings);
    // Two readings cannot contradict each other: they are taken as they are.
    let steady = readings.len() < 3 || median_error(readings) <= STEADY * middle;
    let agree = |pair: &[f64]| (pair[1] - pair[0]).abs() <= APART * middle;
    let drift = |pair: &[f64]| match steady {
        true if agree(pair) => (pair[0] + pair[1]) / 2.0,
        true => median(&[pair[0], pair[1], middle]),
        false => usual,
    };
    let drifts: Vec<f64> = readings.windows(2).map(drift).collect();
    // Blocks that are corrected by the median share its error, which their scatter does not show.
    let shared = match readings.windows(2).all(agree) {
        true => 0.0,
        false => noise(readings).unwrap_or(0.0) / middle,
    };
    let latencies: Vec<f64> = medians_ms.iter().zip(&drifts).map(|(ms, d)| ms / d).collect();
    let latency_ms = median(&latencies);
    Corrected {
        latency_ms,
        error_ms: median_error(&latencies).hypot(shared * latency_ms),
        drift: median(&drifts),
        steady,
    }
}

/// Standard error of the median of readings, as if they were independent. It is estimated from the
/// steps between readings, so that a steady slowdown does not count as noise.
fn noise(readings: &[f64]) -> Option<f64> {
    let steps: Vec<f64> = readings.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    // Half of all differences of two normal values are within 0.954 standard deviations.
    let sigma = median(&steps) / 0.954;
    (steps.len() > 1).then(|| (std::f64::consts::FRAC_PI_2 / readings.len() as f64).sqrt() * sigma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_slows_both_is_taken_out() {
        let readings: Vec<f64> = (0..=40).map(|i| 1.0 + 0.02 * f64::from(i)).collect();
        let medians: Vec<f64> = readings.windows(2).map(|w| 3.0 * (w[0] + w[1]) / 2.0).collect();
        let c = correct(&medians, &readings, 1.0);
        assert!(c.steady && (c.latency_ms / 3.0 - 1.0).abs() < 0.01, "{c:?}");
        assert!((c.drift - 1.4).abs() < 0.03, "{c:?}");
        assert!(c.error_ms < 0.03, "{c:?}");
    }

    /// Two stalls are next to four of five blocks; divided by the mean of their readings, 1.2 ms would
    /// become .06 ms.
    #[test]
    fn stalls_of_the_reference_do_not_count() {
        let c = correct(&[1.2; 5], &[1.0, 40.0, 1.0, 40.0, 1.0, 1.0], 1.0);
        assert!((c.latency_ms - 1.2).abs() < 1e-9, "{c:?}");
        // With stalls in most readings, the usual drift counts, here 1.5.
        let c = correct(&[1.8; 5], &[40.0, 3.0, 80.0, 1.5, 25.0, 60.0], 1.5);
        assert!(!c.steady && (c.latency_ms - 1.2).abs() < 1e-9 && c.drift == 1.5, "{c:?}");
        // Blocks that agree do not make the latency certain.
        assert!(c.error_ms > 0.1 * c.latency_ms, "{c:?}");
    }

    proptest! {
        #[test]
        fn no_minority_of_looks_can_spoil_a_latency(
            stalls in proptest::collection::vec((0.99f64..1.01, 1.0f64..200.0, any::<bool>()), 6..60),
        ) {
            let most = (stalls.len() - 1) / 2;
            let mut hit = 0;
            let readings: Vec<f64> = stalls.iter().map(|&(look, longer, is_hit)| {
                hit += usize::from(is_hit);
                if is_hit && hit <= most { look * longer } else { look }
            }).collect();
            let c = correct(&vec![2.0; readings.len() - 1], &readings, 1.0);
            prop_assert!((c.latency_ms / 2.0 - 1.0).abs() < 0.02, "{c:?} {readings:?}");
        }
    }
}
