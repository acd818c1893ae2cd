//! The GCN against PyTorch: outputs and a few AdamW steps, from `benches/peers/make_gcn_golden.py`.

use lanner_nn::Matrix;
use lanner_predict::encode::graph::{Encoding, Graphs};
use lanner_predict::regress::gcn::{Gcn, Shape, Shared, Trainer};
use lanner_space::Space;

#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<String>,
    widths: Vec<usize>,
    targets: Vec<f32>,
    lr: f32,
    weight_decay: f32,
    parameters: Vec<f32>,
    outputs: Vec<f64>,
    losses: Vec<f64>,
    trained_outputs: Vec<f64>,
}

#[test]
fn outputs_and_training_steps_are_those_of_pytorch() {
    let golden: Golden =
        serde_json::from_str(include_str!("../data/gcn_golden.json")).expect("the fixture");
    let space = Space::NasBench201;
    let architectures: Vec<_> =
        golden.texts.iter().map(|t| space.parse(t).expect("a good text")).collect();
    let graphs = Graphs::encode(&space, &architectures, Encoding::BrpNas);
    let shape = Shape {
        vocabulary: graphs.vocabulary,
        widths: golden.widths.clone(),
        outputs: 1,
        biases: 1,
    };
    assert_eq!(shape.parameters(), golden.parameters.len());
    let mut gcn = Gcn { shape, parameters: golden.parameters };
    let shared = Shared::new(&graphs, golden.widths.len());
    let assert_outputs = |gcn: &Gcn, want: &[f64]| {
        for (got, want) in shared.outputs(gcn, 1).data.iter().zip(want) {
            let got = f64::from(got + gcn.biases()[0]);
            assert!((got - want).abs() < 2e-5, "{got} for {want}");
        }
    };
    assert_outputs(&gcn, &golden.outputs);
    let mut trainer = Trainer::new(&gcn.shape, &graphs, 0.0, golden.weight_decay, 1, 1);
    for want in &golden.losses {
        let got = trainer.step(
            &mut gcn,
            &[0, 1, 2, 3],
            golden.lr,
            |o: &Matrix, b: &[f32], d: &mut Matrix, db: &mut [f32]| {
                let mut sum = 0.0;
                for (i, o) in o.data.iter().enumerate() {
                    let residual = o + b[0] - golden.targets[i];
                    d.data[i] = 2.0 * residual;
                    db[0] += 2.0 * residual;
                    sum += f64::from(residual * residual);
                }
                sum
            },
        );
        assert!((got - want).abs() < 1e-4 * (1.0 + want), "{got} for {want}");
    }
    assert_outputs(&gcn, &golden.trained_outputs);
}
