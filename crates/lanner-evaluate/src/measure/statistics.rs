//! Robust statistics of latencies, which are positive and skewed, with outliers upwards.

/// Quantile `q` (0 to 1) of the values, interpolated linearly; NaN without values.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// Median of the values; NaN without values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Mean of the values between the quartiles, both included (LatBench; Dudziak et al. 2020); NaN
/// without values.
pub fn interquartile_mean(values: &[f64]) -> f64 {
    let (low, high) = (quantile(values, 0.25), quantile(values, 0.75));
    let inside: Vec<f64> = values.iter().copied().filter(|v| (low..=high).contains(v)).collect();
    match inside.is_empty() {
        // Neither of two values lies between their quartiles.
        true => median(values),
        false => inside.iter().sum::<f64>() / inside.len() as f64,
    }
}

/// Standard error of the median of independent values: √(π/2)·σ/√n. σ is from the quartiles, which a
/// few outliers do not move. NaN for fewer than three values.
pub fn median_error(values: &[f64]) -> f64 {
    if values.len() < 3 {
        return f64::NAN;
    }
    // The quartiles of a normal distribution are 1.349 standard deviations apart.
    let sigma = (quantile(values, 0.75) - quantile(values, 0.25)) / 1.349;
    (std::f64::consts::FRAC_PI_2 / values.len() as f64).sqrt() * sigma
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.percentile([1, 3, 2, 10], [0, 25, 50, 75, 100])
        let values = [1.0, 3.0, 2.0, 10.0];
        for (q, value) in [(0.0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.75, 4.75), (1.0, 10.0)] {
            assert_eq!(quantile(&values, q), value);
        }
        assert!(median(&[]).is_nan());
        // The quartiles of nine values are the third and the seventh.
        let values: Vec<f64> = (1..=8).map(f64::from).chain([1000.0]).collect();
        assert_eq!(interquartile_mean(&values), 5.0);
    }

    /// Compares the stated error with the spread of medians of many samples.
    #[test]
    fn the_stated_error_is_the_true_one() {
        use rand::RngExt;
        let mut rng = lanner_nn::rng(3, "test");
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let draws: Vec<Vec<f64>> = (0..2000).map(|_| (0..40).map(|_| normal()).collect()).collect();
        let medians: Vec<f64> = draws.iter().map(|d| median(d)).collect();
        let spread = (medians.iter().map(|m| m * m).sum::<f64>() / 2000.0).sqrt();
        let stated = draws.iter().map(|d| median_error(d)).sum::<f64>() / 2000.0;
        assert!((stated / spread - 1.0).abs() < 0.1, "{stated} {spread}");
    }

    proptest! {
        #[test]
        fn all_lie_within_the_values(values in proptest::collection::vec(1e-3f64..1e3, 1..50)) {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(0.0, f64::max);
            for x in [median(&values), interquartile_mean(&values), quantile(&values, 0.9)] {
                prop_assert!(low - 1e-12 <= x && x <= high + 1e-9, "{x}");
            }
        }
    }
}
