//! Checks of the numbers that a command prints: a metric in two units, and latencies of no network.

use lanner_data::converted;

/// Latencies in milliseconds that a network can have: from a nanosecond to eleven days.
const LATENCIES_MS: std::ops::RangeInclusive<f64> = 1e-6..=1e9;
/// Relative difference of two values from which they contradict each other. Rounding makes smaller ones.
const APART: f64 = 0.05;

/// Tells whether a number of milliseconds may be a network's latency.
pub(crate) fn is_latency_ms(ms: f64) -> bool {
    LATENCIES_MS.contains(&ms)
}

/// Describes the range of [`is_latency_ms`].
pub(crate) fn latency_range() -> String {
    format!("{:e} to {:e} milliseconds", LATENCIES_MS.start(), LATENCIES_MS.end())
}

/// Finds a metric that stands in two units with different values, as `latency_ms` and `latency_us`, and
/// says so.
pub(crate) fn contradiction<'a>(
    metrics: impl Iterator<Item = (&'a str, f64)> + Clone,
) -> Option<String> {
    for (i, (name, value)) in metrics.clone().enumerate() {
        for (other, theirs) in metrics.clone().skip(i + 1) {
            let Some(same) = converted(theirs, other, name) else { continue };
            if (same - value).abs() > APART * same.abs().max(value.abs()) {
                return Some(format!(
                    "'{name}' {value:?} and '{other}' {theirs:?} contradict each other: print the right one"
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_metric_has_one_value_in_whatever_units() {
        let told = |metrics: &[(&'static str, f64)]| contradiction(metrics.iter().copied());
        for fine in [
            &[("latency_ms", 1.5), ("latency_us", 1500.0), ("latency_s", 0.0015)][..],
            &[("latency_ms", 1.49), ("latency_us", 1494.6)],
            &[("a_ms", 1.0), ("b_us", 7.0), ("a_mJ", 3.0)],
            &[],
        ] {
            assert_eq!(told(fine), None, "{fine:?}");
        }
        let apart = told(&[("acc", 1.0), ("latency_ms", 7.0), ("latency_us", 7.0)]).unwrap();
        assert!(apart.starts_with("'latency_ms' 7.0 and 'latency_us' 7.0 contradict"), "{apart}");
        assert!(told(&[("energy_J", 1.0), ("energy_mJ", 900.0)]).is_some());
    }

    #[test]
    fn no_network_takes_less_than_a_nanosecond_or_months() {
        assert!([1e-6, 0.3, 1e9].into_iter().all(is_latency_ms));
        assert!(
            ![0.0, -1.0, 1e-320, 1e300, f64::NAN, f64::INFINITY].into_iter().any(is_latency_ms)
        );
        assert_eq!(latency_range(), "1e-6 to 1e9 milliseconds");
    }
}
