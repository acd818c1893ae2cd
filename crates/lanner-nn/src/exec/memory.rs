//! Counts the memory that an executor needs, before it is allocated.

use lanner_network::Network;

use super::activation_states::ActivationStates;
use super::executor::{ExecOptions, Kernel};
use super::plan::Plan;
use super::workers::PARTS;

/// Sizes of all that an executor allocates, in numbers; `scratch` is that of one worker.
pub struct MemoryNeeds {
    pub slots: u128,
    /// States of activations and max pools, in bytes.
    pub states: u128,
    pub packed: usize,
    pub weights: usize,
    pub bias: usize,
    pub partial: usize,
    pub scratch: usize,
}

impl MemoryNeeds {
    pub fn of(
        network: &Network,
        plan: &Plan,
        kernels: &[Kernel],
        batch: usize,
        options: &ExecOptions,
    ) -> Self {
        let slots = plan.slots.iter().map(|&len| len as u128 * batch as u128).sum();
        let layers = 0..network.layers.len();
        let states: usize =
            layers.map(|i| ActivationStates::bytes(network, plan, i, options)).sum();
        let largest = network.layers.iter().map(|l| l.shape.len()).max().unwrap_or(0);
        let mut needs = MemoryNeeds {
            slots,
            states: states as u128 * batch as u128,
            packed: 0,
            weights: 0,
            bias: 0,
            partial: 0,
            scratch: 4 * largest,
        };
        for kernel in kernels {
            let Kernel::Conv(kernel) = kernel else { continue };
            let bias = kernel.bias_len().max(kernel.input_bias_len());
            needs.packed = needs.packed.max(kernel.packed_len());
            needs.bias = needs.bias.max(bias);
            if options.training {
                let parts = PARTS.min(batch);
                needs.partial = needs.partial.max(parts * (kernel.packed_len() + bias));
            }
            needs.weights = needs.weights.max(kernel.weights_len());
            let images = 3 * kernel.images() * largest;
            needs.scratch = needs.scratch.max(kernel.scratch_len() + images);
        }
        needs
    }

    /// Bytes in all, for numbers of `size` bytes.
    pub fn bytes(&self, size: usize, threads: usize) -> u128 {
        let rest =
            self.packed + self.weights + self.bias + self.partial + self.scratch * threads.max(1);
        (self.slots + rest as u128) * size as u128 + self.states
    }
}
