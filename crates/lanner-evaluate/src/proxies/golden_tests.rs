//! Compares each proxy with PyTorch in `f64`: `benches/peers/proxies_torch.py golden`.

use lanner_network::{Nasbench201, Network, Op, Skeleton, View};
use lanner_nn::{Executor, Mode, Params, Wants};
use lanner_space::Space;

use super::*;

/// Number k of stream s, generated as by the script: a multiple of 1/1024 within ±0.5.
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

/// ProxyWeights of a stream times `scale(inputs of an output)`; batch norms are the identity.
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

/// ProxyWeights as large as PyTorch's default ones.
fn uniform_weights(network: &Network) -> Params<f32> {
    weights(network, 11, |inputs| 2f64.powf(-(inputs.log2() / 2.0).round_ties_even()))
}

fn golden_batch(network: &Network, count: u16, stream: u64) -> Batch {
    let labels = (0..count).map(|i| (i * i + 3 * i) % 10).collect();
    let images = images(stream, usize::from(count) * network.input().len());
    Batch { images, labels, classes: 10 }
}

/// Largest relative error against f64. Errors come from many roundings and small differences of large
/// terms; for `jacov` from 1/(v + 10⁻⁵) of small eigenvalues; for FBNet's `epe_nas` from logarithms of
/// correlations near 0 (PyTorch's own value in f32 is off by 1.6e-3).
fn tolerance(proxy: Proxy, space: &str) -> f64 {
    match proxy {
        Proxy::EpeNas if space == "fbnet" => 5e-3,
        Proxy::Synflow | Proxy::Params | Proxy::L2Norm | Proxy::Nwot => 1e-6,
        // A state of a number near 0 may differ.
        Proxy::Swap | Proxy::SwapCell | Proxy::SwapLayers => 2e-3,
        Proxy::Zen => 1e-4,
        // Halves of a gradient that are nearly equal weigh most.
        Proxy::Zico => 3e-2,
        // Small differences of the two weigh most.
        Proxy::Lswag | Proxy::LswagGradients => 5e-3,
        // Grasp is a difference; a test in f64 compares it more closely.
        Proxy::Grasp => 5e-3,
        _ => 1e-3,
    }
}

#[test]
fn values_are_those_of_pytorch() {
    let text = include_str!("../../tests/data/proxies_golden.json");
    let golden: serde_json::Value = serde_json::from_str(text).unwrap();
    let skeleton = Nasbench201 { channels: 6, cells: 1, resolution: 16, classes: 10 };
    let options = ProxyOptions::default();
    let mut wrong = Vec::new();
    for entry in golden.as_array().unwrap() {
        let name = entry["arch"].as_str().unwrap();
        let network = match &entry["other"] {
            serde_json::Value::Null => {
                let arch = Space::NasBench201.parse(name).unwrap();
                skeleton.build(&arch, View::Raw).unwrap()
            }
            other => network_of(other),
        };
        let batch = golden_batch(&network, 12, 15);
        let params = uniform_weights(&network);
        if let Some(expected) = entry["proxies"]["grasp"].as_f64() {
            let found = grasp_in_f64(&network, &params, &batch);
            let error = (found - expected).abs();
            assert!(error <= 1e-6 * expected.abs(), "{name}: grasp {found} for {expected}");
        }
        let wanted: Vec<Proxy> =
            Proxy::ALL.into_iter().filter(|p| !drawn(p) && *p != Proxy::Flops).collect();
        let blocks = features::block_outputs(&network);
        let draw = |layer: usize, numbers: &mut [f32]| {
            let stream = 40 + blocks.iter().position(|&b| b == layer).unwrap() as u64;
            let sign = |k| if number(stream, k) > 0.0 { 1.0 } else { -1.0 };
            numbers.iter_mut().enumerate().for_each(|(k, x)| *x = sign(k));
        };
        let mut scores = compute_drawn(&network, params, &batch, &wanted, &options, draw).unwrap();
        let mut params = weights(&network, 14, |_| 2.0);
        let last = params.layout.layers.last().unwrap().bias.clone();
        params.values[last].fill(0.0);
        let mut moved = batch.images.clone();
        moved.iter_mut().zip(images(13, batch.images.len())).for_each(|(a, b)| *a += 0.01 * b);
        let zen = separate::zen_of(&network, params, [&batch.images, &moved], &options).unwrap();
        scores.push((Proxy::Zen, zen));
        let (cell, first) = patterns::first_cell(&network).unwrap();
        let params = uniform_weights(&cell);
        let swap = patterns::swap_cell_of(&cell, first, params, &batch, &options).unwrap();
        scores.push((Proxy::SwapCell, swap));
        // Networks of TransNAS-Bench-101 end in a batch norm without a ReLU: the sum of outputs over
        // the batch is constant, so that J is 0 up to rounding and cannot be compared.
        let constant = name.starts_with("64-");
        let of_j = |p: Proxy| matches!(p, Proxy::Jacov | Proxy::EpeNas);
        for (proxy, score) in scores.into_iter().filter(|s| !(constant && of_j(s.0))) {
            let expected = entry["proxies"][proxy.name()].as_f64();
            match (score, expected) {
                (Ok(found), Some(expected)) => {
                    let error = (found - expected).abs() / expected.abs().max(1e-3);
                    println!("{name} {proxy}: {found} for {expected}, error {error:.1e}");
                    if error.is_nan()
                        || error
                            >= tolerance(
                                proxy,
                                entry["other"]["space"].as_str().unwrap_or("nasbench201"),
                            )
                    {
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

/// Whether a proxy draws weights of its own.
fn drawn(proxy: &Proxy) -> bool {
    matches!(proxy, Proxy::Zen | Proxy::SwapCell)
}

/// Builds a network of another space from its description by `proxy_networks`.
fn network_of(other: &serde_json::Value) -> Network {
    let space = Space::by_name(other["space"].as_str().unwrap()).unwrap();
    let [channels, cells, resolution] =
        [0, 1, 2].map(|i| other["sizes"][i].as_u64().unwrap() as usize);
    let published = Skeleton::of(&space).unwrap();
    let skeleton = Skeleton { channels, cells, resolution, classes: 10, ..published };
    skeleton.build(&space.parse(other["arch"].as_str().unwrap()).unwrap(), View::Raw).unwrap()
}

/// Computes GraSP in `f64`, with a step so small that only errors of the method remain.
fn grasp_in_f64(network: &Network, params: &Params<f32>, batch: &Batch) -> f64 {
    let mut wide = Params::<f64>::zeros(network);
    wide.values = params.values.iter().map(|&w| f64::from(w)).collect();
    let images: Vec<f64> = batch.images.iter().map(|&x| f64::from(x)).collect();
    let run = lanner_nn::ExecOptions {
        training: true,
        hold_states: true,
        ..ProxyOptions::default().executor()
    };
    let mut executor = Executor::new(network, batch.len(), run).unwrap();
    let outputs = executor.forward(&wide, &images, Mode::Batch, &()).unwrap();
    let d_outputs = loss::gradient(outputs, &batch.labels);
    let mut gradient = vec![0.0; wide.values.len()];
    executor.backward(&wide, &d_outputs, Wants::PARAMS, &mut gradient, &()).unwrap();
    let score =
        grasp::grasp(&wide, &images, &batch.labels, &gradient, &mut executor, 1e-5).unwrap();
    score.unwrap()
}

/// Compares networks of full size: see `benches/peers/proxies_torch.py grasp`.
#[test]
#[ignore = "needs $LANNER_GRASP"]
fn grasp_is_that_of_pytorch_at_full_size() {
    let path = std::env::var("LANNER_GRASP").expect("LANNER_GRASP names the script's output");
    let text = std::fs::read_to_string(path).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    for entry in golden.as_array().unwrap() {
        let name = entry["arch"].as_str().unwrap();
        let arch = Space::NasBench201.parse(name).unwrap();
        let network = Nasbench201::default().build(&arch, View::Raw).unwrap();
        let batch = golden_batch(&network, 64, 12);
        let params = uniform_weights(&network);
        let [exact, single] = [0, 1].map(|k| entry["grasp"][k].as_f64().unwrap());
        let wide = grasp_in_f64(&network, &params, &batch);
        let wanted = [Proxy::Grasp];
        let scores =
            compute_with(&network, params, &batch, &wanted, &ProxyOptions::default()).unwrap();
        let error = |x: f64| ((x - exact) / exact).abs();
        let found = scores[0].1.unwrap();
        println!(
            "{name}: {exact:.6}, relative error {:.1e} in f32, {:.1e} in f64; PyTorch in f32 {:.1e}",
            error(found),
            error(wide),
            error(single)
        );
        assert!(error(wide) < 1e-5 && error(found) < 0.05);
    }
}
