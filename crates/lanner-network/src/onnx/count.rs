//! Costs of any ONNX model, such as one that PyTorch exported, in short.

use super::{ReadOptions, read};
use crate::NetworkError;

/// Costs of an ONNX model for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxCost {
    /// Operations as [`Cost::flops`](crate::Cost::flops) counts them. `None` if the model has operators
    /// whose work is not known.
    pub flops: Option<u64>,
    /// Multiply-accumulates of convolutions and matrix products, biases included; `None` as for FLOPs.
    pub macs: Option<u64>,
    /// Number of weights, without the running statistics of batch norms.
    pub params: u64,
    /// Size of all stored weights in bytes.
    pub weight_bytes: u64,
    /// Peak memory of activations with the nodes in the order of the file, in bytes.
    pub peak_bytes: u64,
    /// Operators whose work is not known, in order of the alphabet.
    pub uncounted: Vec<String>,
    /// Number of operations; those that do not depend on the input are none.
    pub nodes: usize,
}

/// Counts the costs of an encoded model for the input that it was exported with; of an open batch, one.
/// Operators that only move or combine values count nothing.
///
/// # Errors
/// Those of [`read`].
pub fn count(model: &[u8]) -> Result<OnnxCost, NetworkError> {
    let graph = read(model, &ReadOptions::default())?;
    let cost = graph.cost();
    let known = cost.unknown.is_empty();
    Ok(OnnxCost {
        flops: known.then_some(cost.flops),
        macs: known.then_some(cost.macs),
        params: cost.params,
        weight_bytes: cost.weight_bytes,
        peak_bytes: cost.peak_bytes,
        uncounted: cost.unknown,
        nodes: graph.nodes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cost, Init, OnnxOptions, Skeleton, Weights, onnx};
    use lanner_space::{Space, View};
    use rand::SeedableRng;

    #[test]
    fn costs_are_those_of_the_network() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for space in Space::ALL.into_iter().filter(|space| space.parameters().is_none()) {
            let skeleton = Skeleton { classes: 10, ..Skeleton::of(&space).unwrap() };
            for _ in 0..3 {
                let arch = space.sample(&mut rng);
                let network = skeleton.build(&arch, View::Pruned).unwrap();
                let cost = Cost::of(&network);
                let weights = Weights::init(&network, Init { seed: 1 });
                let bytes = onnx::encode(&network, &weights, OnnxOptions::default()).unwrap();
                let counted = count(&bytes).unwrap();
                let text = space.print(&arch);
                assert_eq!(counted.flops, Some(cost.flops), "{space} {text}");
                assert_eq!(counted.macs, Some(cost.macs), "{space} {text}");
                assert_eq!(counted.params, cost.params, "{space} {text}");
                // Longer sums are chains of nodes, which hold less at a time.
                if network.layers.iter().all(|l| l.inputs.len() <= 2) {
                    assert_eq!(counted.peak_bytes, cost.peak_bytes, "{space} {text}");
                }
                assert!(counted.weight_bytes >= 4 * cost.params);
            }
        }
    }
}
