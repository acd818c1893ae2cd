//! Limits that a network's cost decides: nothing is measured for them, and they always hold.

use std::collections::HashSet;

use lanner_network::{Counter, Counts, Skeleton, View};
use lanner_nn::Rng;
use lanner_space::{Architecture, Space};
use rand::RngExt;
use rayon::prelude::*;

use super::SearchError;
use crate::strategy::draw;
use crate::{Bound, Job, Limit};

/// Metrics that are computed from the network (pruned, batch 1) instead of measured, so that limits
/// on them are exact. `memory_bytes` is the peak of 32-bit activations.
pub const ANALYTIC: [&str; 4] = ["params", "flops", "macs", "memory_bytes"];

/// Largest number of draws, as a multiple of those that are wanted.
pub(super) const PATIENCE: usize = 10;
/// Number of networks that are mutated to have others within the limits.
const PARENTS: usize = 20;
/// Number of generations in sequence without a better network after which the limits are thought impossible.
const STALLED: usize = 8;

/// Reads a metric from a cost.
type Part = fn(&Counts) -> u64;

/// Returns the function that reads a metric of [`ANALYTIC`] from a network's cost; `None` for other
/// metrics, and in a space of parameters, whose networks are not known here.
pub fn analytic(space: &Space, metric: &str) -> Option<Part> {
    Some(match metric {
        _ if !Skeleton::is_known(space) => return None,
        "params" => |c| c.params,
        "flops" => |c| c.flops,
        "macs" => |c| c.macs,
        "memory_bytes" => |c| c.peak_bytes,
        _ => return None,
    })
}

/// Limits that a network's cost decides.
pub(super) struct Exact {
    counter: Counter,
    pub limits: Vec<(Part, Limit)>,
}

impl Exact {
    pub fn of(job: &Job, space: &Space) -> Result<Exact, SearchError> {
        let mut limits: Vec<_> = (job.limits.iter())
            .filter_map(|l| Some((analytic(space, &l.metric)?, l.clone())))
            .collect();
        let own = space.limits().named().into_iter();
        let own = own.map(|(metric, most)| Limit::at_most(metric, most as f64));
        limits.extend(own.filter_map(|l| Some((analytic(space, &l.metric)?, l))));
        Ok(Exact { counter: Counter::new(job.skeleton(space)?), limits })
    }

    /// Tells whether the limits hold; a network that cannot be built does not hold them.
    pub fn hold(&self, arch: &Architecture) -> bool {
        self.limits.is_empty() || self.excess(arch) == 0.0
    }

    pub fn filter(&self, archs: Vec<Architecture>) -> Vec<Architecture> {
        if self.limits.is_empty() {
            return archs;
        }
        let hold: Vec<bool> = archs.par_iter().map(|a| self.hold(a)).collect();
        archs.into_iter().zip(hold).filter(|x| x.1).map(|x| x.0).collect()
    }

    /// Returns how far a network is over its limits: the logarithm of the largest ratio of a cost and its
    /// limit, 0 if all hold, and infinity if it cannot be built.
    fn excess(&self, arch: &Architecture) -> f64 {
        let Ok(cost) = self.counter.counts(arch, View::Pruned) else { return f64::INFINITY };
        let over = |(of, limit): &(Part, Limit)| {
            let value = of(&cost) as f64;
            let ratio = match limit.bound {
                _ if limit.holds(value) => return 0.0,
                Bound::AtMost(most) => value.max(1.0) / most.max(1.0),
                Bound::AtLeast(least) => least.max(1.0) / value.max(1.0),
            };
            // A limit that is missed by less than rounding is missed.
            ratio.ln().max(f64::MIN_POSITIVE)
        };
        self.limits.iter().map(over).fold(0.0, f64::max)
    }

    /// Returns up to `n` different networks within the limits.
    ///
    /// They are the first of `random`, of which up to n · [`PATIENCE`] are looked at. Where so few hold
    /// the limits that these would not do, the nearest are mutated instead, round by round: a limit that one
    /// network in a million holds is reached so.
    pub fn draw(
        &self,
        space: &Space,
        mut random: impl Iterator<Item = Architecture>,
        n: usize,
        rng: &mut Rng,
    ) -> Vec<Architecture> {
        let mut seen = HashSet::new();
        let mut within: Vec<Architecture> = Vec::new();
        let mut over: Vec<(f64, Architecture)> = Vec::new();
        let (mut looked_at, mut stalled) = (0, 0);
        while looked_at < n * PATIENCE {
            let is_rare = looked_at >= 2 * n && within.len() * PATIENCE < looked_at;
            let mut drawn: Vec<Architecture> = match is_rare {
                false => random.by_ref().take(n).collect(),
                // Generations are small: each gets nearer by a choice or two.
                true => children(space, &within, &over, n.div_ceil(10), rng),
            };
            if drawn.is_empty() {
                break;
            }
            looked_at += drawn.len();
            drawn.retain(|a| seen.insert(a.clone()));
            if self.limits.is_empty() {
                within.extend(drawn);
            } else {
                let least = over.first().map(|o| o.0);
                let excess: Vec<f64> = drawn.par_iter().map(|a| self.excess(a)).collect();
                let before = within.len();
                for (arch, excess) in drawn.into_iter().zip(excess) {
                    match excess == 0.0 {
                        true => within.push(arch),
                        false => over.push((excess, arch)),
                    }
                }
                over.sort_by(|a, b| a.0.total_cmp(&b.0));
                over.truncate(PARENTS);
                let is_better = within.len() > before || over.first().map(|o| o.0) < least;
                stalled = if is_rare && !is_better { stalled + 1 } else { 0 };
            }
            if within.len() >= n || stalled == STALLED {
                break;
            }
        }
        within.truncate(n);
        within
    }
}

/// Returns mutations of networks within the limits and of those least over them.
fn children(
    space: &Space,
    within: &[Architecture],
    over: &[(f64, Architecture)],
    n: usize,
    rng: &mut Rng,
) -> Vec<Architecture> {
    let mut order: Vec<usize> = (0..within.len()).collect();
    let mut parents: Vec<&Architecture> =
        draw(&mut order, PARENTS, rng).into_iter().map(|i| &within[i]).collect();
    let nearest = over.iter().filter(|o| o.0.is_finite()).map(|o| &o.1);
    parents.extend(nearest.take(PARENTS.saturating_sub(within.len())));
    let mutated = |_| {
        let mut child = space.mutate(parents[rng.random_range(0..parents.len())], rng);
        while rng.random_bool(0.5) {
            child = space.mutate(&child, rng);
        }
        space.canonical(&child)
    };
    match parents.is_empty() {
        true => Vec::new(),
        false => (0..n).map(mutated).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(space: &Space, limit: Limit) -> Exact {
        let of = analytic(space, &limit.metric).unwrap();
        Exact { counter: Counter::new(Skeleton::of(space).unwrap()), limits: vec![(of, limit)] }
    }

    fn rng_of(name: &str) -> Rng {
        lanner_nn::rng(1, name)
    }

    #[test]
    fn a_limit_that_no_random_network_holds_is_reached() {
        let space = Space::MobileNetV3;
        let smallest = space.at(0).unwrap();
        let cost = Skeleton::of(&space).unwrap().counts(&smallest, View::Pruned).unwrap();
        let exact = exact(&space, Limit::at_most("flops", 1.3 * cost.flops as f64));
        let mut draws = rng_of("random");
        let random: Vec<_> = (0..500).map(|_| space.sample(&mut draws)).collect();
        assert!(random.iter().all(|a| !exact.hold(a)), "the limit is not rare");
        let random = std::iter::from_fn(|| Some(space.sample(&mut draws)));
        let within = exact.draw(&space, random, 500, &mut rng_of("draw"));
        assert!(within.len() >= 100, "{}", within.len());
        assert!(within.iter().all(|a| exact.hold(a)));
        assert_eq!(within.iter().collect::<HashSet<_>>().len(), within.len());
    }

    #[test]
    fn an_impossible_limit_has_no_networks_and_ends_early() {
        let space = Space::MobileNetV3;
        let exact = exact(&space, Limit::at_most("params", 1000.0));
        let (mut draws, mut looked_at) = (rng_of("random"), 0);
        let random = std::iter::from_fn(|| {
            looked_at += 1;
            Some(space.sample(&mut draws))
        });
        assert!(exact.draw(&space, random, 100, &mut rng_of("draw")).is_empty());
        assert!(looked_at <= 200, "{looked_at} random networks, of which the first 200 told");
    }
}
