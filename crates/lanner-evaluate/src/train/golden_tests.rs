//! Compares whole trainings with PyTorch, in `f64`: `benches/peers/train_torch.py golden`.

use lanner_network::{Nasbench201, Op, View};
use lanner_space::Space;

use super::*;

const STEPS: usize = 16;
const BATCH: usize = 12;

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

fn images(stream: u64, count: usize) -> Vec<f64> {
    (0..count).map(|k| number(stream, k) * 4.0).collect()
}

fn labels(more: usize) -> Vec<u16> {
    (0..BATCH).map(|i| ((i * i + 3 * i + more) % 10) as u16).collect()
}

#[test]
fn a_training_is_that_of_pytorch() {
    let text = include_str!("../../tests/data/train_golden.json");
    let golden: serde_json::Value = serde_json::from_str(text).unwrap();
    let skeleton = Nasbench201 { channels: 6, cells: 1, resolution: 16, classes: 10 };
    let recipe = TrainRecipe {
        learning_rate: 0.1,
        momentum: 0.9,
        weight_decay: 0.01,
        label_smoothing: 0.1,
        ..TrainRecipe::default()
    };
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let near = |found: f64, expected: f64, most: f64, what: &str| {
        println!("{what}: {found} for {expected}, error {:.1e}", (found - expected).abs());
        assert!((found - expected).abs() < most, "{what}: {found} for {expected}");
    };
    for entry in golden.as_array().unwrap() {
        let name = entry["arch"].as_str().unwrap();
        let arch = Space::NasBench201.parse(name).unwrap();
        let network = skeleton.build(&arch, View::Raw).unwrap();
        let mut params = Params::<f64>::zeros(&network);
        for (layer, place) in network.layers.iter().zip(&params.layout.layers) {
            if let Op::BatchNorm { .. } = layer.op {
                params.values[place.weight.clone()].fill(1.0);
                continue;
            }
            let inputs = place.weight.len() as f64 / layer.shape.channels as f64;
            let scale = 2f64.powf(-(inputs.log2() / 2.0).round());
            for k in place.weight.start..place.bias.end {
                params.values[k] = number(11, k) * scale;
            }
        }
        let mut trainer = Trainer::new(&network, params, BATCH, &recipe, 1).unwrap();
        let size = BATCH * network.input().len();
        for (step, expected) in numbers(&entry["losses"]).into_iter().enumerate() {
            let lr = warm_cosine(recipe.learning_rate, step, STEPS, 2);
            let images = images(20 + step as u64 % 2, size);
            let loss = trainer.step(&images, &labels(step % 2), lr).unwrap();
            near(loss, expected, 1e-6, &format!("{name}, loss of step {step}"));
        }
        trainer.precise_statistics(2, |i| Ok(images(20 + i as u64, size))).unwrap();
        let outputs = trainer.outputs(&images(20, size)).unwrap().to_vec();
        for (found, expected) in outputs.iter().zip(numbers(&entry["outputs"])) {
            near(*found, expected, 1e-6, name);
        }
        let (loss, hits) = loss::hits(&outputs, &labels(0));
        near(loss / BATCH as f64, entry["loss"].as_f64().unwrap(), 1e-6, name);
        assert_eq!(hits as u64, entry["hits"].as_u64().unwrap(), "{name}");
    }
}
