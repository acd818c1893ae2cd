use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cost::taps;
use crate::{Layer, Network, NetworkError, Op};

/// Weights of a network, one entry for each layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    pub layers: Vec<LayerWeights>,
}

/// Weights of one layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum LayerWeights {
    /// A layer without weights.
    #[default]
    None,
    /// A convolution or a linear layer.
    Affine {
        /// Kernel (output channels × input channels of a group × height × width; of a transposed convolution
        /// input channels first) or matrix (outputs × inputs).
        weight: Vec<f32>,
        /// Bias, one number an output channel; empty if the layer has none.
        bias: Vec<f32>,
    },
    /// A batch norm; one number a channel each.
    Norm { scale: Vec<f32>, shift: Vec<f32>, mean: Vec<f32>, variance: Vec<f32> },
}

/// Initialisation of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Init {
    pub seed: u64,
}

impl Weights {
    /// Draws weights by He initialisation (He et al. 2015): kernels and matrices uniform within
    /// ±√(6 / inputs of an output), which has variance 2 / inputs; biases 0; batch norms the identity.
    ///
    /// The weights of a layer depend only on the seed, the layer's name and its size, so that two
    /// networks agree on a layer that they share. They are drawn from ChaCha with 8 rounds, at 16 bits
    /// each: enough for initial weights, and twice as fast as 32.
    pub fn init(network: &Network, init: Init) -> Weights {
        let layers = network.layers.iter().map(|l| initial(network, l, init.seed)).collect();
        Weights { layers }
    }

    /// Checks that the numbers of weights are those of the network's layers.
    pub fn check(&self, network: &Network) -> Result<(), NetworkError> {
        if self.layers.len() != network.layers.len() {
            return Err(NetworkError::Value {
                name: "number of layers with weights",
                value: self.layers.len().to_string(),
                expected: network.layers.len().to_string(),
            });
        }
        for (layer, weights) in network.layers.iter().zip(&self.layers) {
            let expected = sizes(network, layer);
            let found = match weights {
                LayerWeights::None => vec![],
                LayerWeights::Affine { weight, bias } => vec![weight.len(), bias.len()],
                LayerWeights::Norm { scale, shift, mean, variance } => {
                    vec![scale.len(), shift.len(), mean.len(), variance.len()]
                }
            };
            if found != expected {
                return Err(NetworkError::Weights {
                    layer: layer.name.clone(),
                    found: found.iter().sum(),
                    expected: expected.iter().sum(),
                });
            }
        }
        Ok(())
    }
}

/// Lengths of the vectors of a layer's weights.
fn sizes(network: &Network, layer: &Layer) -> Vec<usize> {
    let (inputs, outputs) = (network.in_channels(layer), layer.shape.channels);
    match layer.op {
        Op::Conv(c) => {
            vec![c.kernel_shape(inputs).iter().product(), if c.bias { outputs } else { 0 }]
        }
        Op::UpConv { flat, .. } => vec![inputs * outputs * taps(flat), 0],
        Op::Linear { bias, .. } => vec![inputs * outputs, if bias { outputs } else { 0 }],
        Op::BatchNorm { .. } => vec![outputs; 4],
        _ => vec![],
    }
}

fn initial(network: &Network, layer: &Layer, seed: u64) -> LayerWeights {
    match sizes(network, layer)[..] {
        [weight, bias] => {
            let fan_in = match layer.op {
                Op::UpConv { .. } => network.in_channels(layer),
                _ => weight / layer.shape.channels,
            };
            let bound = (6.0 / fan_in as f32).sqrt();
            let weight = uniform(weight, bound, stream(seed, &layer.name));
            LayerWeights::Affine { weight, bias: vec![0.0; bias] }
        }
        [channels, ..] => LayerWeights::Norm {
            scale: vec![1.0; channels],
            shift: vec![0.0; channels],
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
        },
        [] => LayerWeights::None,
    }
}

/// Generator of a layer's weights: FNV-1a of the name, mixed with the seed by ChaCha's key schedule.
pub(crate) fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&hash.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Draws `n` numbers within ±bound, exclusive: centres of 65,536 equal steps.
pub(crate) fn uniform(n: usize, bound: f32, mut rng: ChaCha8Rng) -> Vec<f32> {
    let scale = bound / 32768.0;
    let mut values = Vec::with_capacity(n);
    let mut bytes = [0u8; 4096];
    while values.len() < n {
        let take = (n - values.len()).min(bytes.len() / 2);
        rng.fill_bytes(&mut bytes[..2 * take]);
        values.extend(
            bytes[..2 * take]
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&pair| (f32::from(i16::from_le_bytes(pair)) + 0.5) * scale),
        );
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_variance_of_he() {
        let values = uniform(1_000_001, 0.5, stream(3, "a"));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        let square =
            values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-3, "{mean}");
        assert!((square - 0.25 / 3.0).abs() < 1e-3, "{square}");
        assert!(values.iter().all(|v| v.abs() < 0.5));
    }

    #[test]
    fn names_and_seeds_give_other_streams() {
        let draw = |seed, name| uniform(8, 1.0, stream(seed, name));
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }
}
