//! Compares whole networks with PyTorch: outputs and all gradients (each by its norm and its
//! product with fixed numbers), from `benches/peers/executor_torch.py golden`.

use crate::networks::{golden, number};
use lanner_network::Op;
use lanner_nn::{ExecOptions, Executor, Float, Mode, Params, Wants};

fn check<T: Float>(tolerance: f64) {
    let text = include_str!("../data/executor_golden.json");
    let expected: serde_json::Value = serde_json::from_str(text).unwrap();
    for (name, network, batch) in golden() {
        let named = |e: &&serde_json::Value| e["name"] == name;
        let expected = expected.as_array().unwrap().iter().find(named).unwrap();
        // Rounding errors grow with every batch norm, the more so over few pixels.
        let norms = network.layers.iter().filter(|l| matches!(l.op, Op::BatchNorm { .. })).count();
        let tolerance = if norms > 30 { 30.0 * tolerance } else { tolerance };
        let numbers =
            |stream, n: usize| -> Vec<T> { (0..n).map(|k| T::of(number(stream, k))).collect() };
        let options = ExecOptions { threads: 2, training: true, ..ExecOptions::default() };
        let mut executor = Executor::<T>::new(&network, batch, options).unwrap();
        let mut params = Params::zeros(&network);
        params.values = numbers(1, params.values.len());
        let images = numbers(2, batch * network.input().len());
        let output = executor.forward(&params, &images, Mode::Batch, &()).unwrap().to_vec();
        let list = |v: &serde_json::Value| -> Vec<f64> {
            v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
        };
        let want = list(&expected["output"]);
        assert_eq!(output.len(), want.len());
        let largest = want.iter().fold(0.0f64, |a, x| a.max(x.abs()));
        for (o, w) in output.iter().zip(&want) {
            assert!((o.to_f64() - w).abs() <= tolerance * largest, "{name}: output {o} for {w}");
        }
        let r = numbers(3, output.len());
        let mut gradients = vec![T::ZERO; params.values.len()];
        let wants = Wants { params: true, input: true };
        executor.backward(&params, &r, wants, &mut gradients, &()).unwrap();
        let input = executor.input_gradient().unwrap();
        let tensors = params
            .layout
            .layers
            .iter()
            .zip(&network.layers)
            .flat_map(|(p, l)| [(&l.name, p.weight.clone()), (&l.name, p.bias.clone())])
            .filter(|(_, range)| !range.is_empty())
            .map(|(layer, range)| (layer.as_str(), &gradients[range]))
            .chain([("input", &input[..])]);
        let expected = expected["gradients"].as_array().unwrap();
        assert_eq!(tensors.clone().count(), expected.len());
        // A convolution's gradient before a batch norm is a small difference of large terms.
        let scale = expected.iter().map(|e| list(e)[0]).fold(0.0, f64::max);
        for ((layer, got), want) in tensors.zip(expected) {
            let want = list(want);
            let norm = got.iter().map(|g| g.to_f64().powi(2)).sum::<f64>().sqrt();
            let product: f64 = got.iter().enumerate().map(|(k, g)| g.to_f64() * number(4, k)).sum();
            let allowed = tolerance * (want[0] + 1e-3 * scale);
            assert!((norm - want[0]).abs() <= allowed, "{name}, {layer}: norm {norm} for {want:?}");
            assert!(
                (product - want[1]).abs() <= allowed,
                "{name}, {layer}: {product} for {want:?}"
            );
        }
    }
}

#[test]
fn f64_is_pytorch_to_rounding() {
    check::<f64>(1e-9);
}

#[test]
fn f32_is_pytorch_within_rounding() {
    check::<f32>(2e-3);
}
