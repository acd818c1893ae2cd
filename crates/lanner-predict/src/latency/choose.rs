use super::LatencyFeatures;
use crate::select::informative::most_informative;

/// `n` of the pool's `rows` (or all of them, if they are fewer) to measure on a device of which nothing is
/// known, the most informative first. Any beginning of the result is a choice of that size.
pub fn choose(features: &LatencyFeatures, rows: &[usize], n: usize, seed: u64) -> Vec<usize> {
    most_informative(&features.prior_components(rows), rows, n, seed)
}
