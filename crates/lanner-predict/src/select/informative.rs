//! Choice of the networks to measure first, before anything is known of the device.
//!
//! Greedy integrated variance reduction (Sacks et al. 1989; Seo et al. 2000, "ALC"): under the prior
//! covariance of the latency predictor, each choice is the network whose measurement takes the most
//! from the variance summed over the others. Unlike choosing where the variance is largest, this
//! does not run to the corners of the space, which tell little about its middle.

use lanner_nn::rng;
use lanner_space::{Architecture, SMALL_SPACE, Space};
use rand::seq::SliceRandom;

use crate::pool::all_or_some;
use crate::regress::gp::{Component, PriorCovariance};

/// Number of random networks of a large pool that are considered for measurement, and of those that
/// stand for all when variance is summed.
pub const CANDIDATES: usize = 2500;
const TARGETS: usize = 1000;
/// Variance of a measurement in units of the latencies' own: what the device adds itself and what no
/// encoding explains. The median of the predictor's prior.
const NOISE: f64 = 0.02;

/// Architectures to choose some to measure from, at least `least`: the whole space, or of a larger one
/// [`CANDIDATES`] at random.
pub fn candidates_to_measure(
    space: &Space,
    least: usize,
    generator: &mut impl rand::Rng,
) -> Vec<Architecture> {
    all_or_some(space, SMALL_SPACE, CANDIDATES.max(least), generator)
}

/// `n` of the `rows` (or all of them, if they are fewer), the most informative first, under a covariance in
/// units of the variance of what is measured.
///
/// Any beginning of the result is a choice of that size. Each choice costs a pass over a matrix of
/// 2,500 × 1,000.
pub fn most_informative(
    components: &[Component],
    rows: &[usize],
    n: usize,
    seed: u64,
) -> Vec<usize> {
    let mut generator = rng(seed, "choice of networks");
    let mut shuffled = rows.to_vec();
    shuffled.sort_unstable();
    shuffled.dedup();
    shuffled.shuffle(&mut generator);
    shuffled.truncate(CANDIDATES.max(n));
    let count = shuffled.len();
    let prior = PriorCovariance::new(components, &shuffled);
    // Given what is chosen already: covariances of each candidate with the targets, which are the
    // last of the candidates, and its own variance.
    let targets: Vec<usize> = (count.saturating_sub(TARGETS)..count).collect();
    let mut with_targets = prior.with(&targets);
    let mut own = prior.own();
    // A column for each choice, of what it has explained: rows of a Cholesky factor.
    let mut explained: Vec<Vec<f64>> = Vec::new();
    let mut chosen = Vec::new();
    let mut free = vec![true; count];
    for _ in 0..n.min(count) {
        let gain = |j: usize| {
            let squares: f64 = with_targets.row(j).iter().map(|c| c * c).sum();
            squares / (own[j].max(0.0) + NOISE)
        };
        let best = (0..count)
            .filter(|&j| free[j])
            .map(|j| (gain(j), j))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, best)) = best else { break };
        free[best] = false;
        chosen.push(shuffled[best]);
        let scale = 1.0 / (own[best].max(0.0) + NOISE).sqrt();
        let mut column = prior.with(&[best]).data;
        for before in &explained {
            let factor = before[best];
            column.iter_mut().zip(before).for_each(|(c, e)| *c -= factor * e);
        }
        column.iter_mut().for_each(|c| *c *= scale);
        let pivot: Vec<f64> = with_targets.row(best).iter().map(|c| c * scale).collect();
        for (j, &factor) in column.iter().enumerate() {
            own[j] -= factor * factor;
            with_targets.row_mut(j).iter_mut().zip(&pivot).for_each(|(c, p)| *c -= factor * p);
        }
        explained.push(column);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;
    use crate::latency::{LatencyFeatures, choose};

    #[test]
    fn choices_are_distinct_grow_and_are_the_same_by_seed() {
        let pool = Pool::whole(Space::NasBench201);
        let features = LatencyFeatures::new(&pool);
        let rows: Vec<usize> = (0..pool.len()).step_by(13).collect();
        let ten = choose(&features, &rows, 10, 3);
        assert_eq!(ten.len(), 10);
        assert!(ten.iter().all(|r| rows.contains(r)));
        let mut sorted = ten.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 10);
        assert_eq!(choose(&features, &rows, 5, 3), ten[..5]);
        assert_ne!(choose(&features, &rows, 10, 4), ten);
        assert_eq!(choose(&features, &[5, 5, 9], 10, 0).len(), 2);
        assert!(choose(&features, &[], 10, 0).is_empty());
    }

    /// Against the definition: the variance that is left, from the inverse of the covariance.
    #[test]
    fn less_is_left_unknown_than_by_chance() {
        let pool = Pool::whole(Space::NasBench201);
        let features = LatencyFeatures::new(&pool);
        let rows: Vec<usize> = (0..pool.len()).step_by(40).collect();
        let components = features.prior_components(&rows);
        let prior = PriorCovariance::new(&components, &rows);
        let own: f64 = prior.own().iter().sum();
        let left = |chosen: &[usize]| {
            let places: Vec<usize> =
                chosen.iter().map(|c| rows.iter().position(|r| r == c).unwrap()).collect();
            let cross = prior.with(&places);
            let mut noisy = cross.select(&places);
            (0..chosen.len()).for_each(|i| noisy[(i, i)] += NOISE);
            // Conjugate directions are not needed at this size: Gauss-Jordan elimination.
            let n = chosen.len();
            let mut inverse = crate::regress::linalg::Mat::from_fn(n, n, |i, j| f64::from(i == j));
            for c in 0..n {
                let pivot = noisy[(c, c)];
                for j in 0..n {
                    noisy[(c, j)] /= pivot;
                    inverse[(c, j)] /= pivot;
                }
                for i in (0..n).filter(|&i| i != c) {
                    let f = noisy[(i, c)];
                    for j in 0..n {
                        noisy[(i, j)] -= f * noisy[(c, j)];
                        inverse[(i, j)] -= f * inverse[(c, j)];
                    }
                }
            }
            let explained: f64 = (0..rows.len())
                .map(|r| {
                    (0..n)
                        .map(|i| {
                            (0..n)
                                .map(|j| cross[(r, i)] * inverse[(i, j)] * cross[(r, j)])
                                .sum::<f64>()
                        })
                        .sum::<f64>()
                })
                .sum();
            own - explained
        };
        let chosen = left(&choose(&features, &rows, 15, 1));
        for seed in 0..5 {
            let mut random = rows.clone();
            random.shuffle(&mut rng(seed, "test"));
            assert!(chosen < 0.95 * left(&random[..15]), "{chosen} {}", left(&random[..15]));
        }
    }

    /// Encodings of all of a space of millions fill the memory.
    #[test]
    fn large_spaces_are_chosen_from_in_part() {
        let mut generator = lanner_nn::rng(0, "test");
        for (space, count) in
            [(Space::NasBench201, 15_625), (Space::NasBench101, 2_500), (Space::Fbnet, 2_500)]
        {
            let archs = candidates_to_measure(&space, 10, &mut generator);
            let distinct: std::collections::HashSet<_> = archs.iter().collect();
            assert_eq!((archs.len(), distinct.len()), (count, count), "{space}");
        }
        assert_eq!(candidates_to_measure(&Space::Darts, 3_000, &mut generator).len(), 3_000);
    }
}
