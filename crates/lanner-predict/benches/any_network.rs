//! Measures the milliseconds from an ONNX file of the size of GPT-2 small (12 layers, 768 channels, 1,024 tokens) to
//! its predicted latency: reading the file, counting its operations, and predicting them; the median of 21
//! repetitions.
//!
//! `cargo bench -p lanner-predict --bench any_network [-- model.onnx …]`

use std::time::Instant;

use lanner_network::onnx::{ReadOptions, probe, read};
use lanner_network::{Init, Skeleton};
use lanner_predict::latency::any_network::{AnyLatency, Counted, Origin, Sample};
use lanner_space::Space;

const GPT2: &str = r#"
name = "gpt2-small"
kind = "transformer"
bias = [true, false]
[stem]
vocabulary = 50257
tokens = 1024
[[stage]]
depth = 12
embed_dim = 768
heads = 12
mlp_ratio = 4
causal = true
[skeleton]
"#;

const TIMES: usize = 21;

fn main() {
    // A made-up device: times do not depend on what it learnt, only on how many features there are.
    let sample = |number: u64| {
        let graph = read(&probe(number), &ReadOptions::default()).expect("a probe is readable");
        let latency = 0.05 + 1e-8 * graph.cost().macs as f64;
        Sample { network: Counted::of(&graph), latency, origin: Origin::Probe }
    };
    let samples: Vec<Sample> = (0..100).map(sample).collect();
    let predictor = AnyLatency::fit(&samples, "made_up_ms").expect("enough samples");

    let space = Space::from_toml(GPT2).expect("a space");
    let network =
        Skeleton::of(&space).expect("a skeleton").tensors(&space.at(0).expect("the first one"));
    let own = network.and_then(|n| n.encode(Init::default(), Some(1))).expect("it fits in a file");
    let mut models = vec![("gpt2-small".to_string(), own)];
    for file in std::env::args().skip(1).filter(|arg| !arg.starts_with("--")) {
        let bytes = std::fs::read(&file).expect("a file");
        models.push((file, bytes));
    }
    for (name, bytes) in &models {
        let graph = read(bytes, &ReadOptions::default()).expect("a readable model");
        let counted = [Counted::of(&graph)];
        let reading = median(&mut || drop(read(bytes, &ReadOptions::default())));
        let counting = median(&mut || drop(Counted::of(&graph)));
        let predicting = median(&mut || drop(predictor.predict(&counted)));
        println!(
            "{name}: {:.0} MB, {} operations; reading {reading:.2} ms, counting {counting:.2} ms, predicting \
             {predicting:.2} ms",
            bytes.len() as f64 / 1e6,
            graph.nodes.len()
        );
    }
}

/// Returns the median time in milliseconds.
fn median(work: &mut dyn FnMut()) -> f64 {
    let mut all: Vec<f64> = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            work();
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all[TIMES / 2]
}
