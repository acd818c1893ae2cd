use lanner_nn::{Matrix, rng};
use lanner_space::{Architecture, CellGraph, Space};
use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::encode::graph::Encoding;
use crate::general::gcn::{GcnPredictor, Scale};

fn shape(vocabulary: usize, widths: &[usize], outputs: usize) -> Shape {
    Shape { vocabulary, widths: widths.into(), outputs, biases: 1 }
}

fn some(count: usize) -> Vec<Architecture> {
    Space::NasBench201.iter().step_by(331).take(count).collect()
}

/// The formula as the paper writes it, dense, graph by graph, in f64: embeddings, one a row.
fn slow(gcn: &Gcn, graphs: &Graphs) -> Vec<Vec<f64>> {
    let parameters: Vec<f64> = gcn.parameters.iter().map(|&p| p.into()).collect();
    slow_at(&gcn.shape, &parameters, graphs)
}

fn slow_at(shape: &Shape, parameters: &[f64], graphs: &Graphs) -> Vec<Vec<f64>> {
    (0..graphs.len())
        .map(|g| {
            let nodes = graphs.nodes(g);
            let mut x: Vec<Vec<f64>> = nodes
                .clone()
                .map(|v| {
                    let mut row = vec![0.0; shape.vocabulary];
                    if let Some(l) = graphs.labels[v] {
                        row[l as usize] = 1.0;
                    }
                    row
                })
                .collect();
            for (l, &width) in shape.widths.iter().enumerate() {
                let ranges = shape.layer(l);
                let p = |r: &std::ops::Range<usize>, i: usize| parameters[r.start + i];
                let product: Vec<Vec<f64>> = x
                    .iter()
                    .map(|row| {
                        (0..width)
                            .map(|o| {
                                let terms = row.iter().enumerate();
                                terms.map(|(i, x)| x * p(&ranges.weight, i * width + o)).sum()
                            })
                            .collect()
                    })
                    .collect();
                x = nodes
                    .clone()
                    .map(|v| {
                        let z: Vec<f64> = (0..width)
                            .map(|o| {
                                let next = graphs.aggregates.row(v).iter();
                                next.map(|&u| product[u as usize][o]).sum::<f64>()
                                    + p(&ranges.bias, o)
                            })
                            .collect();
                        let mean = z.iter().sum::<f64>() / width as f64;
                        let var = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / width as f64;
                        (0..width)
                            .map(|o| {
                                let unit = (z[o] - mean) / (var + 1e-5).sqrt();
                                (p(&ranges.gamma, o) * unit + p(&ranges.beta, o)).max(0.0)
                            })
                            .collect()
                    })
                    .collect();
            }
            x.swap_remove(0)
        })
        .collect()
}

fn assert_close(got: &Matrix, want: &[Vec<f64>], tolerance: f64) {
    assert_eq!(got.rows, want.len());
    for (r, want) in want.iter().enumerate() {
        for (g, w) in got.row(r).iter().zip(want) {
            assert!((f64::from(*g) - w).abs() < tolerance, "row {r}: {g} for {w}");
        }
    }
}

#[test]
fn shared_states_give_the_embeddings_of_the_formula() {
    let space = Space::NasBench201;
    for encoding in [Encoding::BrpNas, Encoding::Both] {
        let graphs = Graphs::encode(&space, &some(40), encoding);
        for widths in [&[24, 40, 32, 17][..], &[33], &[20, 8]] {
            let gcn = Gcn::new(shape(graphs.vocabulary, widths, 1), 17, &mut rng(1, "test"));
            let shared = Shared::new(&graphs, widths.len());
            let want = slow(&gcn, &graphs);
            assert_close(&shared.embed(&gcn, 1), &want, 1e-5);
            assert_eq!(shared.embed(&gcn, 1), shared.embed(&gcn, 2));
        }
    }
}

#[test]
fn all_of_nasbench201_shares_most_states_and_gives_what_each_gives_alone() {
    let space = Space::NasBench201;
    let all: Vec<_> = space.iter().collect();
    let graphs = Graphs::encode(&space, &all, Encoding::BrpNas);
    let gcn = Gcn::new(shape(graphs.vocabulary, &[64; 4], 1), 64, &mut rng(1, "test"));
    let shared = Shared::new(&graphs, 4);
    assert!(shared.states() * 15 < 15_625 * (3 * 9 + 1), "{} states", shared.states());
    let together = shared.embed(&gcn, 2);
    for i in (0..all.len()).step_by(211) {
        let one = Graphs::encode(&space, [&all[i]], Encoding::BrpNas);
        let alone = Shared::new(&one, 4).embed(&gcn, 1);
        let pairs = alone.data.iter().zip(together.row(i));
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-5), "network {i}");
    }
}

/// A random graph of up to eight nodes with four labels.
fn cells() -> impl Strategy<Value = CellGraph> {
    (2usize..8, any::<u64>()).prop_map(|(n, seed)| {
        let mut rng = rng(seed, "cell");
        let labels = (0..n).map(|_| rng.random_range(0..4)).collect();
        let mut arcs = Vec::new();
        for from in 0..n as u8 {
            for to in from + 1..n as u8 {
                (0..rng.random_range(0..3)).for_each(|_| arcs.push((from, to)));
            }
        }
        CellGraph::cell(labels, arcs)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn shared_states_equal_the_formula_on_random_graphs(
        cells in proptest::collection::vec(cells(), 1..12),
        padding in 0usize..3,
        once: bool,
    ) {
        let mut graphs = Graphs::new(5);
        cells.iter().for_each(|c| graphs.push(&[(c, &|l| u32::from(l))], padding, once));
        let gcn = Gcn::new(shape(5, &[12, 20, 9], 1), 9, &mut rng(3, "test"));
        assert_close(&Shared::new(&graphs, 3).embed(&gcn, 1), &slow(&gcn, &graphs), 2e-5);
    }
}

/// Σ of weighted squares of the outputs plus bias, a loss with a full gradient.
fn loss(outputs: &Matrix, bias: &[f32], d: &mut Matrix, d_bias: &mut [f32]) -> f64 {
    let mut sum = 0.0;
    for (i, (o, d)) in outputs.data.iter().zip(&mut d.data).enumerate() {
        let (weight, x) = ((i % 3) as f32 * 0.2 + 0.1, o + bias[0]);
        sum += f64::from(weight) * f64::from(x).powi(2);
        *d = 2.0 * weight * x;
        d_bias[0] += *d;
    }
    sum
}

#[test]
fn gradients_are_finite_differences_of_the_formula() {
    let space = Space::NasBench201;
    for encoding in [Encoding::BrpNas, Encoding::Both] {
        let graphs = Graphs::encode(&space, &some(12), encoding);
        for (widths, batch) in [(&[10, 14, 8][..], 12), (&[9], 5), (&[8, 11], 3)] {
            let shape = shape(graphs.vocabulary, widths, 2);
            let gcn = Gcn::new(shape.clone(), 8, &mut rng(5, "test"));
            let indices: Vec<usize> = (0..batch).collect();
            let mut trainer = Trainer::new(&shape, &graphs, 0.0, 0.0, 1, 1);
            let (value, grads) = trainer.summed_gradients(&gcn, &indices, loss);
            // The same loss in f64.
            let some = Graphs::encode(&space, &some(batch), encoding);
            let at = |p: &[f64]| -> f64 {
                let (head, bias) = (shape.head().start, shape.head_biases().start);
                let mut sum = 0.0;
                for (i, e) in slow_at(&shape, p, &some).iter().flat_map(|e| [e, e]).enumerate() {
                    let weights = &p[head + i % 2 * e.len()..][..e.len()];
                    let o: f64 = e.iter().zip(weights).map(|(e, w)| e * w).sum();
                    sum += f64::from((i % 3) as f32 * 0.2 + 0.1) * (o + p[bias]).powi(2);
                }
                sum
            };
            let mut p: Vec<f64> = gcn.parameters.iter().map(|&p| p.into()).collect();
            assert!((at(&p) - value).abs() < 1e-4 * (1.0 + value));
            for i in (0..p.len()).step_by(3) {
                let before = p[i];
                let mut moved = |h: f64| {
                    p[i] = before + h;
                    at(&p)
                };
                let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                p[i] = before;
                let error = (numeric - f64::from(grads[i])).abs();
                assert!(error < 1e-3 * (1.0 + numeric.abs()), "{i}: {} for {numeric}", grads[i]);
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit_of_the_training() {
    let space = Space::NasBench201;
    let graphs = Graphs::encode(&space, &some(30), Encoding::Both);
    let shape = shape(graphs.vocabulary, &[70, 40], 1);
    let train = |threads: usize| {
        let mut gcn = Gcn::new(shape.clone(), 40, &mut rng(5, "test"));
        let mut trainer = Trainer::new(&shape, &graphs, 0.2, 1e-3, 9, threads);
        for step in 0..6 {
            let batch: Vec<usize> = (0..30).filter(|i| i % 6 != step).collect();
            trainer.step(&mut gcn, &batch, 1e-2, loss);
        }
        trainer.step(&mut gcn, &[3, 1], 1e-2, loss);
        gcn.parameters
    };
    assert!(train(1) == train(2));
}

#[test]
fn only_the_head_moves_in_the_warm_up() {
    let graphs = Graphs::encode(&Space::NasBench201, &some(10), Encoding::Both);
    let shape = shape(graphs.vocabulary, &[12, 10], 1);
    let mut gcn = Gcn::new(shape.clone(), 10, &mut rng(5, "test"));
    let before = gcn.parameters.clone();
    let mut trainer = Trainer::new(&shape, &graphs, 0.0, 0.1, 9, 1);
    trainer.step_head(&mut gcn, &[0, 4, 5, 6, 7, 8, 9, 1, 2], 1e-2, loss);
    let head = shape.head().start;
    assert!(before[..head] == gcn.parameters[..head]);
    // Embeddings that are zero for every graph leave their weight; the bias always moves.
    assert!(before[head..].iter().zip(&gcn.parameters[head..]).filter(|(a, b)| a != b).count() > 2);
    assert!(before.last() != gcn.parameters.last());
}

/// Compares what `lanner rank` does with DARTS, block by block, with the formula on the whole
/// graphs.
#[test]
fn darts_in_blocks_is_the_formula() {
    let space = Space::Darts;
    let archs: Vec<Architecture> = space.shuffled(&mut rng(2, "test")).take(3000).collect();
    for encoding in [Encoding::BrpNas, Encoding::Both] {
        let vocabulary = encoding.vocabulary(&space);
        let members: Vec<Gcn> = (0..2)
            .map(|m| Gcn::new(shape(vocabulary, &[12, 9, 10], 1), 10, &mut rng(m, "test")))
            .collect();
        let scale = Scale { log: false, shift: 90.0, factor: 2.0 };
        let recipe = "test".into();
        let predictor = GcnPredictor { recipe, encoding, scale, members };
        let blocks = archs.chunks(700).map(|b| predictor.predict(&predictor.prepare(&space, b), 1));
        let got: Vec<f64> = blocks.flatten().collect();
        let graphs = Graphs::encode(&space, &archs, encoding);
        let mut want = vec![0.0; archs.len()];
        for gcn in &predictor.members {
            let head = &gcn.parameters[gcn.shape.head()];
            for (sum, embedding) in want.iter_mut().zip(slow(gcn, &graphs)) {
                let dot: f64 = embedding.iter().zip(head).map(|(e, h)| e * f64::from(*h)).sum();
                *sum += (dot + f64::from(gcn.biases()[0])) / 2.0;
            }
        }
        for (got, want) in got.iter().zip(&want) {
            assert!((got - scale.invert(*want)).abs() < 1e-4, "{got} for {want}");
        }
    }
}
