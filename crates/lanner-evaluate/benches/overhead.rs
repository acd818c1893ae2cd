//! Measures the overhead of `measure`: its latencies against those of rten called directly, in turns.
//! `cargo bench -p lanner-evaluate --bench overhead`

use std::{sync::Arc, time::Instant};

use lanner_evaluate::measure::{Rten, Runtime, median};
use lanner_network::{Init, Nasbench201, OnnxOptions, View, Weights, onnx};
use lanner_space::Space;
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::{NdTensor, prelude::*};

const TURNS: usize = 60;

fn main() {
    println!(
        "network                          direct ms   measured ms   ratio (median of {TURNS} turns)"
    );
    for (name, arch) in [("all 3×3", "333333"), ("all 1×1", "222222"), ("mixed", "302143")] {
        let space = Space::NasBench201;
        let arch = space.parse(arch).expect("an architecture");
        let network = Nasbench201::default().build(&arch, View::Pruned).expect("a network");
        let weights = Weights::init(&network, Init::default());
        let (network, weights) = weights.fold(&network).expect("batch norms fold");
        let bytes = onnx::encode(&network, &weights, OnnxOptions::default()).expect("a model");

        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let model: Model = options.load(bytes.clone()).expect("rten loads it");
        let image = NdTensor::<f32, 4>::zeros([1, 3, 32, 32]);
        let mut alone = RunOptions::default();
        alone.thread_pool = Some(Arc::new(ThreadPool::with_num_threads(1)));
        let runtime = Rten::new(1);
        let mut session = runtime.load(&bytes).expect("rten loads it");

        let (mut direct, mut measured, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let runs = 20;
            let start = Instant::now();
            for _ in 0..runs {
                model.run_one(image.view().into(), Some(alone.clone())).expect("it runs");
            }
            let own = 1e3 * start.elapsed().as_secs_f64() / runs as f64;
            let mut samples = Vec::new();
            session.time(runs, &mut samples).expect("it runs");
            let tool = samples.iter().sum::<f64>() / runs as f64;
            direct.push(own);
            measured.push(tool);
            ratios.push(tool / own);
        }
        let [own, tool, ratio] = [&direct, &measured, &ratios].map(|v| median(v));
        println!("{name:30} {own:11.4} {tool:13.4} {ratio:8.4}");
    }
}
