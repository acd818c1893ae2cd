//! Initialisations for proxies. ProxyWeights depend on the seed, the layer's name and its size only.

use std::f64::consts::TAU;

use lanner_network::{Layer, Network, Op};
use lanner_nn::{Params, Rng};
use lanner_space::{FanOut, Space};
use rand::RngExt;

/// Initialisation of convolutions and linear layers; batch norms are the identity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum ProxyWeights {
    /// PyTorch's default: weights and biases uniform within ±1/√(inputs of an output).
    #[default]
    Pytorch,
    /// Kernels from N(0, 2/(outputs of all groups · pixels of the kernel)) (He et al. 2015, for the
    /// gradient), like `kaiming_normal_(mode="fan_out")`; biases 0. Linear layers have matrices from
    /// N(0, σ²) and biases 0, or without a σ PyTorch's default.
    FanOut { linear: Option<f32> },
}

impl ProxyWeights {
    /// The initialisation with which a space's published proxies were computed: NASLib's networks
    /// (Suite-Zero) and HW-NAS-Bench's FBNet. It was inferred from the published `l2_norm`.
    pub fn of(space: &Space) -> ProxyWeights {
        match space.proxy_weights() {
            Some(FanOut { linear }) => ProxyWeights::FanOut { linear },
            None => ProxyWeights::Pytorch,
        }
    }

    /// Describes the initialisation in words, for a table's header.
    pub fn describe(&self) -> String {
        match self {
            ProxyWeights::Pytorch => "PyTorch's default".into(),
            ProxyWeights::FanOut { linear: None } => "He's by outputs".into(),
            ProxyWeights::FanOut { linear: Some(sigma) } => {
                format!("He's by outputs and N(0, {sigma}²) in linear layers")
            }
        }
    }

    /// Draws the weights of a network.
    pub fn fill(&self, network: &Network, seed: u64) -> Params<f32> {
        fill(network, |layer, inputs, weight, bias| {
            let deviation = match (*self, &layer.op) {
                (ProxyWeights::FanOut { .. }, Op::Conv(conv)) => {
                    let fan_out = conv.out_channels * conv.kernel * conv.kernel;
                    Some((2.0 / fan_out as f32).sqrt())
                }
                (ProxyWeights::FanOut { linear }, _) => linear,
                (ProxyWeights::Pytorch, _) => None,
            };
            match deviation {
                Some(deviation) => {
                    fill_normal(weight, &mut generator(seed, "normal", &layer.name));
                    weight.iter_mut().for_each(|w| *w *= deviation);
                }
                None => {
                    let mut generator = generator(seed, "uniform", &layer.name);
                    let bound = 1.0 / (inputs as f32).sqrt();
                    lanner_nn::uniform(weight, bound, &mut generator);
                    lanner_nn::uniform(bias, bound, &mut generator);
                }
            }
        })
    }
}

/// Draws weights from N(0, 1); biases are 0 (Zen-NAS, Lin et al. 2021).
pub fn normal(network: &Network, seed: u64) -> Params<f32> {
    fill(network, |layer, _, weight, _| {
        fill_normal(weight, &mut generator(seed, "normal", &layer.name));
    })
}

fn generator(seed: u64, kind: &str, layer: &str) -> Rng {
    lanner_nn::rng(seed, &format!("proxies: {kind} weights of {layer}"))
}

/// Calls `f(layer, inputs of an output, weight, bias)` for layers with a kernel or a matrix.
fn fill(network: &Network, f: impl Fn(&Layer, usize, &mut [f32], &mut [f32])) -> Params<f32> {
    let mut params = Params::zeros(network);
    for (layer, place) in network.layers.iter().zip(&params.layout.layers) {
        let values = &mut params.values[place.weight.start..place.bias.end];
        let (weight, bias) = values.split_at_mut(place.weight.len());
        match layer.op {
            Op::BatchNorm { .. } => weight.fill(1.0),
            _ if weight.is_empty() => {}
            _ => f(layer, weight.len() / layer.shape.channels, weight, bias),
        }
    }
    params
}

/// Draws −1 and 1.
pub fn fill_signs(out: &mut [f32], seed: u64, layer: usize) {
    let mut generator = lanner_nn::rng(seed, &format!("proxies: signs behind {layer}"));
    for some in out.chunks_mut(64) {
        let bits = generator.random::<u64>();
        let sign = |k: usize| if bits >> k & 1 == 1 { 1.0 } else { -1.0 };
        some.iter_mut().enumerate().for_each(|(k, x)| *x = sign(k));
    }
}

/// Draws from N(0, 1), by Box and Muller's method.
pub fn fill_normal(out: &mut [f32], generator: &mut Rng) {
    for pair in out.chunks_mut(2) {
        // `u` is in (0, 1], so that the logarithm is finite.
        let u = 1.0 - generator.random::<f64>();
        let (sin, cos) = (TAU * generator.random::<f64>()).sin_cos();
        let radius = (-2.0 * u.ln()).sqrt();
        let both = [radius * cos, radius * sin];
        pair.iter_mut().zip(both).for_each(|(x, z)| *x = z as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_their_moments() {
        let mut x = vec![0.0; 100_001];
        fill_normal(&mut x, &mut lanner_nn::rng(1, "test"));
        let moment = |p: i32| x.iter().map(|&x| f64::from(x).powi(p)).sum::<f64>() / 1e5;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
    }
}
