//! Against PyTorch, in `f64`, each proxy on its own: `benches/peers/proxies_torch.py golden`.

use lanner_network::{Nasbench201, Network, Op, View};
use lanner_nn::Params;
use lanner_space::Space;

use super::*;

/// Number k of stream s, as the script makes it: a multiple of 1/1024 within ±0.5.
fn number(stream: u64, k: usize) -> f64 {
    let mut x = (k as u64).wrapping_mul(0x9e37_79b9).wrapping_add(stream.wrapping_mul(0x85eb_ca6b));
    x &= 0xffff_ffff;
    x ^= x >> 15;
    x = x.wrapping_mul(0x2c1b_3c6d) & 0xffff_ffff;
    x ^= x >> 12;
    x = x.wrapping_mul(0x297a_2d39) & 0xffff_ffff;
    x ^= x >> 15;
    (x % 1025) as f64 / 1024.0 - 0.5
}

/// Weights of a stream times `scale(inputs of a value)`; batch norms the identity.
fn weights(network: &Network, stream: u64, scale: impl Fn(f64) -> f64) -> Params<f32> {
    let mut params = Params::zeros(network);
    for (layer, place) in network.layers.iter().zip(&params.layout.layers) {
        if let Op::BatchNorm { .. } = layer.op {
            params.values[place.weight.clone()].fill(1.0);
            continue;
        }
        let scale = scale(place.weight.len() as f64 / layer.shape.channels as f64);
        for k in place.weight.start..place.bias.end {
            params.values[k] = (number(stream, k) * scale) as f32;
        }
    }
    params
}

fn images(stream: u64, count: usize) -> Vec<f32> {
    (0..count).map(|k| (number(stream, k) * 4.0) as f32).collect()
}

/// How far a value may be from that of f64: sums of many roundings, small differences of large terms,
/// and for `jacov` 1/(v + 10⁻⁵) of small eigenvalues.
fn tolerance(proxy: Proxy) -> f64 {
    match proxy {
        Proxy::Synflow | Proxy::Params | Proxy::L2Norm | Proxy::Nwot => 1e-6,
        Proxy::Zen => 1e-4,
        _ => 1e-3,
    }
}

#[test]
fn values_are_those_of_pytorch() {
    let text = include_str!("../../tests/data/proxies_golden.json");
    let golden: serde_json::Value = serde_json::from_str(text).unwrap();
    let skeleton = Nasbench201 { channels: 6, cells: 1, resolution: 16, classes: 10 };
    let options = Options::default();
    let mut wrong = Vec::new();
    for entry in golden.as_array().unwrap() {
        let name = entry["arch"].as_str().unwrap();
        let arch = Space::NasBench201.parse(name).unwrap();
        let network = skeleton.build(&arch, View::Raw).unwrap();
        let size = 12 * network.input().len();
        let labels = (0..12).map(|i: u16| (i * i + 3 * i) % 10).collect();
        let batch = Batch { images: images(12, size), labels, classes: 10 };
        let params = weights(&network, 11, |inputs| 2f64.powf(-(inputs.log2() / 2.0).round()));
        let wanted: Vec<Proxy> =
            Proxy::ALL.into_iter().filter(|p| !matches!(p, Proxy::Zen | Proxy::Flops)).collect();
        let mut scores = compute_with(&network, params, &batch, &wanted, &options).unwrap();
        let mut params = weights(&network, 14, |_| 2.0);
        let last = params.layout.layers.last().unwrap().bias.clone();
        params.values[last].fill(0.0);
        let mut moved = batch.images.clone();
        moved.iter_mut().zip(images(13, size)).for_each(|(a, b)| *a += 0.01 * b);
        let zen = alone::zen_of(&network, params, [&batch.images, &moved], &options).unwrap();
        scores.push((Proxy::Zen, zen));
        for (proxy, score) in scores {
            let expected = entry["proxies"][proxy.name()].as_f64();
            match (score, expected) {
                (Ok(found), Some(expected)) => {
                    let error = (found - expected).abs() / expected.abs().max(1e-3);
                    println!("{name} {proxy}: {found} for {expected}, error {error:.1e}");
                    if error.is_nan() || error >= tolerance(proxy) {
                        wrong.push(format!("{name}, {proxy}: {found} for {expected}"));
                    }
                }
                (found, expected) => {
                    assert!(found.is_err() && expected.is_none(), "{name}, {proxy}: {found:?}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
