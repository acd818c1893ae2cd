//! Time of a GCN training step (BRP-NAS recipe: 4 × 600, dropout 0.2, AdamW, batch 64, f32) on one
//! and two threads, and of scoring all of NAS-Bench-201. Run beside `benches/peers/gcn_torch.py`:
//!
//! `cargo bench -p lanner-predict --bench gcn_step`

use std::time::Instant;

use lanner_nn::rng;
use lanner_predict::encode::graph::{Encoding, Graphs};
use lanner_predict::regress::gcn::{Gcn, Shape, Shared, Trainer};
use lanner_space::Space;

const BATCH: usize = 64;
const TRAIN: usize = 900;

fn main() {
    let space = Space::NasBench201;
    let architectures: Vec<_> = space.iter().take(TRAIN).collect();
    let graphs = Graphs::encode(&space, &architectures, Encoding::BrpNas);
    let shape =
        Shape { vocabulary: graphs.vocabulary, widths: vec![600; 4], outputs: 1, biases: 1 };
    for threads in [1, 2] {
        for batch in [BATCH, 1] {
            let mut gcn = Gcn::new(shape.clone(), 600, &mut rng(1, "bench"));
            let mut trainer = Trainer::new(&shape, &graphs, 0.2, 5e-4, 1, threads);
            let order: Vec<usize> = (0..TRAIN).collect();
            let mut times = Vec::new();
            let begin = Instant::now();
            while begin.elapsed().as_secs_f64() < 3.0 {
                for indices in order.chunks_exact(batch) {
                    let start = Instant::now();
                    trainer.step(&mut gcn, indices, 3.5e-4, |outputs, bias, d, d_bias| {
                        let mut loss = 0.0;
                        for (o, d) in outputs.data.iter().zip(&mut d.data) {
                            let residual = o + bias[0] - 0.5;
                            *d = residual.signum();
                            d_bias[0] += *d;
                            loss += f64::from(residual.abs());
                        }
                        loss
                    });
                    times.push(start.elapsed().as_secs_f64());
                }
            }
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            println!(
                "train  threads {threads}  batch {batch:2}  median {:.3} ms/step (best {:.3})  {:.0} graphs/s",
                median * 1e3,
                times[0] * 1e3,
                batch as f64 / median
            );
        }
    }
    let gcn = Gcn::new(shape, 600, &mut rng(1, "bench"));
    let all: Vec<_> = space.iter().collect();
    for threads in [1, 2] {
        let start = Instant::now();
        let graphs = Graphs::encode(&space, &all, Encoding::BrpNas);
        let encoded = start.elapsed().as_secs_f64();
        let shared = Shared::new(&graphs, 4);
        let planned = start.elapsed().as_secs_f64();
        let outputs = shared.outputs(&gcn, threads);
        let done = start.elapsed().as_secs_f64();
        println!(
            "score  threads {threads}  {} networks: {:.0} ms (encode {:.0}, find equal states {:.0}, compute {} states {:.0})",
            outputs.rows,
            done * 1e3,
            encoded * 1e3,
            (planned - encoded) * 1e3,
            shared.states(),
            (done - planned) * 1e3
        );
    }
}
