//! Measures the milliseconds to build a network, draw its weights, and encode its ONNX model: the mean
//! over architectures spread over the space, and the largest network alone.
//!
//! `cargo bench -p lanner-network`

use std::time::Instant;

use lanner_network::{Init, Nasbench201, OnnxOptions, View, Weights, onnx};
use lanner_space::{Architecture, Space};

fn main() {
    let spread: Vec<Architecture> = Space::NasBench201.iter().step_by(61).collect();
    let largest = vec![Architecture::new([3; 6]); 100];
    for (what, archs) in [("spread", spread), ("largest", largest)] {
        let mut seconds = [0.0; 3];
        let mut worst = 0.0f64;
        for arch in &archs {
            let start = Instant::now();
            let net = Nasbench201::default().build(arch, View::Pruned).expect("a valid option");
            let built = start.elapsed().as_secs_f64();
            let weights = Weights::init(&net, Init { seed: 0 });
            let drawn = start.elapsed().as_secs_f64();
            let bytes = onnx::encode(&net, &weights, OnnxOptions::default()).expect("it fits");
            let encoded = start.elapsed().as_secs_f64();
            std::hint::black_box(bytes);
            for (sum, s) in seconds.iter_mut().zip([built, drawn - built, encoded - drawn]) {
                *sum += s;
            }
            worst = worst.max(encoded);
        }
        let [build, draw, encode] = seconds.map(|s| 1e3 * s / archs.len() as f64);
        println!(
            "{what}: {} networks, build {build:.3} + weights {draw:.3} + encode {encode:.3} = {:.3} \
             ms, slowest {:.3} ms",
            archs.len(),
            build + draw + encode,
            1e3 * worst
        );
    }
}
