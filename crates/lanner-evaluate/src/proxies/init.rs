//! Weights as the proxies want them. Numbers depend on the seed, the layer's name and its size only.

use std::f64::consts::TAU;

use lanner_network::{Network, Op};
use lanner_nn::{Params, Rng};
use rand::RngExt;

/// What PyTorch gives convolutions and linear layers, and Suite-Zero therefore computes with: weights
/// and biases uniform within ±1/√(inputs of a value). Batch norms are the identity.
pub fn pytorch(network: &Network, seed: u64) -> Params<f32> {
    fill(network, |layer, inputs, weight, bias| {
        let mut generator = generator(seed, "uniform", layer);
        let bound = 1.0 / (inputs as f32).sqrt();
        lanner_nn::uniform(weight, bound, &mut generator);
        lanner_nn::uniform(bias, bound, &mut generator);
    })
}

/// Weights from N(0, 1), biases 0 (Zen-NAS, Lin et al. 2021).
pub fn normal(network: &Network, seed: u64) -> Params<f32> {
    fill(network, |layer, _, weight, _| {
        fill_normal(weight, &mut generator(seed, "normal", layer));
    })
}

fn generator(seed: u64, kind: &str, layer: &str) -> Rng {
    lanner_nn::rng(seed, &format!("proxies: {kind} weights of {layer}"))
}

/// Calls `f(name, inputs of a value, weight, bias)` for layers with a kernel or a matrix.
fn fill(network: &Network, f: impl Fn(&str, usize, &mut [f32], &mut [f32])) -> Params<f32> {
    let mut params = Params::zeros(network);
    for (layer, place) in network.layers.iter().zip(&params.layout.layers) {
        let values = &mut params.values[place.weight.start..place.bias.end];
        let (weight, bias) = values.split_at_mut(place.weight.len());
        match layer.op {
            Op::BatchNorm { .. } => weight.fill(1.0),
            _ if weight.is_empty() => {}
            _ => f(&layer.name, weight.len() / layer.shape.channels, weight, bias),
        }
    }
    params
}

/// Draws from N(0, 1), by Box and Muller's method.
pub fn fill_normal(out: &mut [f32], generator: &mut Rng) {
    for pair in out.chunks_mut(2) {
        // In (0, 1], so that the logarithm is finite.
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
