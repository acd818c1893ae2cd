//! Which networks to measure first, before anything is known of the device.
//!
//! Greedy integrated variance reduction (Sacks et al. 1989; Seo et al. 2000, "ALC"): under the prior
//! covariance of the latency predictor, each choice is the network whose measurement takes the most
//! from the variance summed over the others. Unlike choosing where the variance is largest, this
//! does not run to the corners of the space, which tell little about its middle.

use lanner_nn::rng;
use rand::seq::SliceRandom;

use crate::gp::prior_covariance;
use crate::latency::LatencyViews;

/// Of a large pool so many are considered for measurement, at random; and as many others stand for
/// all when variance is summed.
const CANDIDATES: usize = 2500;
const TARGETS: usize = 1000;
/// Variance of a measurement in units of the latencies' own: what the device adds itself and what no
/// encoding explains. The median of the predictor's prior.
const NOISE: f64 = 0.02;

/// `n` of the pool's `rows` (or all of them, if they are fewer), the most informative first.
///
/// Any beginning of the result is a choice of that size. Time and memory are those of a matrix of
/// 1,000 × 2,500, so often as there are choices.
pub fn choose(views: &LatencyViews, rows: &[usize], n: usize, seed: u64) -> Vec<usize> {
    let mut generator = rng(seed, "choice of networks");
    let mut shuffled = rows.to_vec();
    shuffled.sort_unstable();
    shuffled.dedup();
    shuffled.shuffle(&mut generator);
    let candidates = &shuffled[..shuffled.len().min(CANDIDATES.max(n))];
    let targets = &shuffled[shuffled.len() - shuffled.len().min(TARGETS)..];
    let components = views.prior_components(rows);
    // Row j: covariance of candidate j with the targets, then with all candidates, given what is
    // chosen already.
    let both: Vec<usize> = targets.iter().chain(candidates).copied().collect();
    let mut covariance = prior_covariance(&components, candidates, &both);
    let own = |j: usize| targets.len() + j;
    let mut chosen = Vec::new();
    let mut free = vec![true; candidates.len()];
    for _ in 0..n.min(candidates.len()) {
        let gain = |j: usize| {
            let row = covariance.row(j);
            let explained: f64 = row[..targets.len()].iter().map(|c| c * c).sum();
            explained / (row[own(j)].max(0.0) + NOISE)
        };
        let best = (0..candidates.len())
            .filter(|&j| free[j])
            .map(|j| (gain(j), j))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, best)) = best else { break };
        free[best] = false;
        chosen.push(candidates[best]);
        let pivot = covariance.row(best).to_vec();
        let scale = 1.0 / (pivot[own(best)].max(0.0) + NOISE);
        for j in 0..candidates.len() {
            // Symmetric: the covariance of j with the choice stands in the choice's row.
            let factor = pivot[own(j)] * scale;
            covariance.row_mut(j).iter_mut().zip(&pivot).for_each(|(c, p)| *c -= factor * p);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;
    use lanner_space::Space;

    #[test]
    fn choices_are_distinct_grow_and_are_the_same_by_seed() {
        let pool = Pool::whole(Space::NasBench201);
        let views = LatencyViews::new(&pool);
        let rows: Vec<usize> = (0..pool.len()).step_by(13).collect();
        let ten = choose(&views, &rows, 10, 3);
        assert_eq!(ten.len(), 10);
        assert!(ten.iter().all(|r| rows.contains(r)));
        let mut sorted = ten.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 10);
        assert_eq!(choose(&views, &rows, 5, 3), ten[..5]);
        assert_ne!(choose(&views, &rows, 10, 4), ten);
        assert_eq!(choose(&views, &[5, 5, 9], 10, 0).len(), 2);
        assert!(choose(&views, &[], 10, 0).is_empty());
    }

    /// Against the definition: the variance that is left, from the inverse of the covariance.
    #[test]
    fn less_is_left_unknown_than_by_chance() {
        let pool = Pool::whole(Space::NasBench201);
        let views = LatencyViews::new(&pool);
        let rows: Vec<usize> = (0..pool.len()).step_by(40).collect();
        let components = views.prior_components(&rows);
        let left = |chosen: &[usize]| {
            let k = prior_covariance(&components, chosen, chosen);
            let cross = prior_covariance(&components, &rows, chosen);
            let own = prior_covariance(&components, &rows[..1], &rows[..1])[(0, 0)];
            let mut noisy = k.clone();
            (0..chosen.len()).for_each(|i| noisy[(i, i)] += NOISE);
            // Conjugate directions are not needed at this size: Gauss-Jordan elimination.
            let n = chosen.len();
            let mut inverse = crate::linalg::Mat::from_fn(n, n, |i, j| f64::from(i == j));
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
            own * rows.len() as f64 - explained
        };
        let chosen = left(&choose(&views, &rows, 15, 1));
        for seed in 0..5 {
            let mut random = rows.clone();
            random.shuffle(&mut rng(seed, "test"));
            assert!(chosen < 0.95 * left(&random[..15]), "{chosen} {}", left(&random[..15]));
        }
    }
}
