//! Compares a network in 32-bit floats with the same one in 8-bit integers, computed by rten.
#![cfg(feature = "rten")]

use lanner_network::{Init, Nasbench201, OnnxOptions, Precision, View, Weights, onnx};
use lanner_space::Space;
use rten::{Model, Value};

fn scores(text: &str, options: OnnxOptions) -> Vec<f32> {
    let arch = Space::NasBench201.parse(text).unwrap();
    let skeleton = Nasbench201 { cells: 2, ..Nasbench201::default() };
    let net = skeleton.build(&arch, View::Pruned).unwrap();
    let (net, weights) = Weights::init(&net, Init { seed: 5 }).fold(&net).unwrap();
    let model = Model::load(onnx::encode(&net, &weights, options).unwrap()).unwrap();
    let image = (0..3 * 32 * 32).map(|i| (1.3 * i as f32).sin() + (0.07 * i as f32).cos());
    let image = Value::from_shape(&[1, 3, 32, 32], image.collect::<Vec<f32>>()).unwrap();
    let output = model.run_one(image.into(), None).unwrap();
    let ([_, classes], scores) = output.into_shape_vec::<f32, 2>().unwrap();
    assert_eq!(classes, 10);
    scores
}

#[test]
fn integers_come_close_to_floats() {
    let integers = OnnxOptions {
        precision: Precision::Int8,
        explicit_padding: true,
        ..OnnxOptions::default()
    };
    // Cells of 3×3 convolutions, of 1×1 convolutions, of both, and cells that yield zeros.
    for text in ["333333", "222222", "302143", "300000"] {
        let floats = scores(text, OnnxOptions::default());
        let close = scores(text, integers);
        let size = |v: &mut dyn Iterator<Item = f32>| v.map(|x| x * x).sum::<f32>().sqrt();
        let error = size(&mut floats.iter().zip(&close).map(|(a, b)| a - b));
        let error = error / size(&mut floats.iter().copied()).max(1e-3);
        assert!(error < 0.08, "{text}: {error}");
    }
}
