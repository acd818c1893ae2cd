//! Costs of many architectures of one space.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lanner_space::family::{ChosenStage, StageSpace};
use lanner_space::{Architecture, View};

use crate::{Counts, NetworkError, Skeleton, TensorCost, TensorNetwork, transformer};

/// Largest number of kinds of layers that are kept.
const MOST_KNOWN: usize = 100_000;

/// Counts the costs of many networks of a skeleton, see [`Skeleton::counts`].
///
/// Layers of a transformer that are alike cost alike: each kind of layer is built once, alone in a network, and
/// the others are sums. Networks whose layers attend to another stage are built whole.
pub struct Counter {
    pub skeleton: Skeleton,
    /// Costs of networks with one layer or none, by [`key`].
    known: Mutex<HashMap<Vec<u64>, Counts>>,
}

impl Counter {
    pub fn new(skeleton: Skeleton) -> Counter {
        Counter { skeleton, known: Mutex::default() }
    }

    /// Counts the cost of an architecture's network for one input.
    ///
    /// # Errors
    /// Those of [`Skeleton::counts`].
    pub fn counts(&self, arch: &Architecture, view: View) -> Result<Counts, NetworkError> {
        let stages = transformer::stages(&self.skeleton.space);
        let alone = stages.filter(|s| s.shape().stages.iter().all(|s| s.attends_to.is_none()));
        let Some(space) = alone else { return self.skeleton.counts(arch, view) };
        self.skeleton.check()?;
        self.skeleton.space.check(arch)?;
        let (bias, chosen) = space.chosen(arch);
        let mut lone: Vec<ChosenStage> = chosen.clone();
        lone.iter_mut().for_each(|stage| stage.layers.clear());
        let base = self.built(space, bias, &lone)?;
        let mut all = base;
        for (stage, chosen) in chosen.iter().enumerate() {
            for layer in &chosen.layers {
                lone[stage].layers.push(*layer);
                let one = self.built(space, bias, &lone)?;
                lone[stage].layers.clear();
                let add = |sum: u64, of: fn(&Counts) -> u64| {
                    sum.saturating_add(of(&one).saturating_sub(of(&base)))
                };
                all = Counts {
                    flops: add(all.flops, |c| c.flops),
                    macs: add(all.macs, |c| c.macs),
                    params: add(all.params, |c| c.params),
                    peak_bytes: all.peak_bytes.max(one.peak_bytes),
                };
            }
        }
        Ok(all)
    }

    /// Counts the cost of a network, or finds it among those that were counted before.
    fn built(
        &self,
        space: &StageSpace,
        bias: bool,
        chosen: &[ChosenStage],
    ) -> Result<Counts, NetworkError> {
        let key = key(bias, chosen);
        if let Some(counts) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*counts);
        }
        let network = transformer::build(&self.skeleton, space, String::new(), bias, chosen)?;
        let counts = of(network);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST_KNOWN {
            known.clear();
        }
        known.insert(key, counts);
        Ok(counts)
    }
}

/// Counts the cost of a network of tensors.
pub(crate) fn of(network: TensorNetwork) -> Counts {
    let TensorCost { flops, macs, params, peak_bytes, .. } = network.into_graph().cost();
    Counts { flops, macs, params, peak_bytes }
}

/// Returns the bits of all choices, by which a network is found again.
fn key(bias: bool, chosen: &[ChosenStage]) -> Vec<u64> {
    let mut key = vec![u64::from(bias)];
    for stage in chosen {
        key.extend([stage.width.to_bits(), stage.layers.len() as u64]);
        for layer in &stage.layers {
            let hidden = layer.hidden.map_or(u64::MAX, f64::to_bits);
            let heads = [layer.heads, layer.cross_heads, layer.cross_layers].map(f64::to_bits);
            key.extend(heads);
            key.push(hidden);
        }
    }
    key
}
