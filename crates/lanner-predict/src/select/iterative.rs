//! Iterative data selection (BRP-NAS, Dudziak et al., NeurIPS 2020): which models to train next, so
//! that a predictor becomes good at telling the best apart.
//!
//! The budget T is spent in I rounds of T/I models. Round 0 is uniformly random. In round i ≥ 1 all
//! M candidates are scored with the predictor of the round before; α·T/I are the best not yet taken,
//! the rest are random among the top M/2ⁱ. The caller trains them, carries the predictor's weights
//! over and fits again (see [`crate::accuracy::relation::RelationRecipe::at_iteration`]), with any predictor.

use lanner_nn::Rng;
use rand::seq::{IteratorRandom, SliceRandom};

/// The constants of a selection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// T: models to be trained in all.
    pub budget: usize,
    /// I: rounds. At least one.
    pub iterations: usize,
    /// α: the share of a round that is taken from the top; the rest explores.
    pub alpha: f64,
}

impl Selection {
    /// The published schedule: five rounds, half of each from the top.
    pub fn brp_nas(budget: usize) -> Selection {
        Selection { budget, iterations: 5, alpha: 0.5 }
    }

    /// Number of models that round `iteration` takes: T/I, the remainder spread over the first
    /// rounds.
    pub fn size(&self, iteration: usize) -> usize {
        let rounds = self.iterations.max(1);
        self.budget / rounds + usize::from(iteration < self.budget % rounds)
    }

    /// The candidates to train in round `iteration`, none of them taken already, best first and then
    /// the random ones. `scores` (higher is better; not looked at in round 0) and `taken` have one
    /// entry a candidate. Fewer than [`Selection::size`] when candidates run out: where too few of
    /// the top M/2ⁱ are left, the best of the others fill up.
    ///
    /// # Panics
    /// When `scores` (after round 0) and `taken` differ in length.
    pub fn next_batch(
        &self,
        scores: &[f64],
        taken: &[bool],
        iteration: usize,
        rng: &mut Rng,
    ) -> Vec<usize> {
        let wanted = self.size(iteration);
        if iteration == 0 {
            return (0..taken.len()).filter(|&i| !taken[i]).sample(rng, wanted);
        }
        assert_eq!(scores.len(), taken.len(), "scores and candidates");
        // In random order before the stable sort: ties are broken by chance, not by index.
        let mut order: Vec<usize> = (0..taken.len()).collect();
        order.shuffle(rng);
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let best = (self.alpha.clamp(0.0, 1.0) * wanted as f64).round() as usize;
        let mut chosen: Vec<usize> =
            order.iter().copied().filter(|&i| !taken[i]).take(best).collect();
        let is_free = |i: &usize, chosen: &[usize]| !taken[*i] && !chosen.contains(i);
        let top = taken.len() >> iteration.min(63);
        let pool: Vec<usize> =
            order[..top].iter().copied().filter(|i| is_free(i, &chosen)).collect();
        chosen.extend(pool.into_iter().sample(rng, wanted - chosen.len()));
        if chosen.len() < wanted {
            let rest: Vec<usize> = order.into_iter().filter(|i| is_free(i, &chosen)).collect();
            chosen.extend(rest.into_iter().take(wanted - chosen.len()));
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_nn::rng;
    use proptest::prelude::*;

    #[test]
    fn half_are_the_best_not_taken_and_half_from_the_top_part() {
        let selection = Selection::brp_nas(100);
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let mut taken = vec![false; 1000];
        taken[999] = true;
        taken[995] = true;
        let chosen = selection.next_batch(&scores, &taken, 2, &mut rng(1, "test"));
        assert_eq!(chosen.len(), 20);
        assert_eq!(chosen[..10], [998, 997, 996, 994, 993, 992, 991, 990, 989, 988]);
        assert!(chosen[10..].iter().all(|&i| (750..988).contains(&i)));
    }

    #[test]
    fn the_first_round_is_uniform() {
        let selection = Selection::brp_nas(50);
        let mut hits = vec![0; 40];
        for seed in 0..2000 {
            let chosen = selection.next_batch(&[], &[false; 40], 0, &mut rng(seed, "test"));
            chosen.iter().for_each(|&i| hits[i] += 1);
        }
        // Each is drawn with probability 1/4.
        assert!(hits.iter().all(|&h| (400..600).contains(&h)), "{hits:?}");
    }

    proptest! {
        #[test]
        fn rounds_spend_the_budget_on_distinct_candidates(
            budget in 0usize..60, iterations in 1usize..8, candidates in 0usize..80,
            alpha in 0.0f64..=1.0, seed: u64,
        ) {
            let selection = Selection { budget, iterations, alpha };
            let mut rng = rng(seed, "test");
            let scores: Vec<f64> = (0..candidates).map(|i| ((i * 7919) % 10) as f64).collect();
            let mut taken = vec![false; candidates];
            for i in 0..iterations {
                for c in selection.next_batch(&scores, &taken, i, &mut rng) {
                    prop_assert!(!taken[c]);
                    taken[c] = true;
                }
            }
            prop_assert_eq!(taken.iter().filter(|&&t| t).count(), budget.min(candidates));
        }
    }
}
