use lanner_space::Space;

use super::*;
use crate::recipes::pre_training::made_up::{cells, device};
use lanner_predict::metrics::spearman;

fn short(inputs: &Inputs, sources: &[&[f64]], seed: u64, threads: usize) -> PreTrained {
    let plan = Plan { rows: 300, epochs: 30 };
    let mut told = 0;
    let done = PreTrained::by(plan, inputs, sources, seed, threads, || told += 1).unwrap();
    assert_eq!(told, 30);
    done
}

#[test]
fn gradients_of_the_interaction_are_those_of_differences() {
    let mut network = Interaction::new(4, 3, 5);
    let mut rows: Vec<f32> = (0..8).map(|i| ((i * 5) % 7) as f32 / 3.0 - 1.0).collect();
    // The loss is a weighted sum of the six outputs.
    let slopes = [1.0f32, -0.5, 2.0, 0.3, 0.0, -1.2];
    let loss = |network: &Interaction, rows: &[f32]| -> f64 {
        network.forward(rows).iter().zip(&slopes).map(|(o, s)| f64::from(o * s)).sum()
    };
    let mut gradient = vec![f32::NAN; network.weights.len()];
    let mut d_rows = vec![f32::NAN; 8];
    network.gradients(&rows, |i, d, _| slopes[i * 3 + d], &mut gradient, &mut d_rows);
    let near = |direct: f64, ours: f32| {
        let ours = f64::from(ours);
        assert!((direct - ours).abs() < 2e-3 + 0.03 * ours.abs(), "{direct} {ours}");
    };
    let step = 1e-2f32;
    let weights = network.weights.len();
    // Some weights of each kind: by network, by device, biases, the output's, embeddings.
    for at in
        (0..weights).step_by(1501).chain([12_100, 13_010, 14_000]).chain(weights - 24..weights)
    {
        let kept = network.weights[at];
        network.weights[at] = kept + step;
        let up = loss(&network, &rows);
        network.weights[at] = kept - step;
        let down = loss(&network, &rows);
        network.weights[at] = kept;
        near((up - down) / f64::from(2.0 * step), gradient[at]);
    }
    for i in 0..8 {
        let kept = rows[i];
        rows[i] = kept + step;
        let up = loss(&network, &rows);
        rows[i] = kept - step;
        let down = loss(&network, &rows);
        rows[i] = kept;
        near((up - down) / f64::from(2.0 * step), d_rows[i]);
    }
}

/// A small step along the encoder's gradient of the loss of all pairs lowers the loss.
#[test]
fn the_encoder_learns_through_the_interaction() {
    let pool = cells();
    let inputs = Inputs::new(&pool, &[]);
    let Form::Graphs(graphs) = &inputs.form else { panic!("cells are graphs") };
    let shape = Shape {
        vocabulary: graphs.vocabulary,
        widths: vec![24; 2],
        outputs: ENCODING,
        biases: ENCODING,
    };
    let rows: Vec<usize> = (0..10).collect();
    let gcn = Gcn::new(shape, 24, &mut lanner_nn::rng(3, "test"));
    let interaction = Interaction::new(ENCODING + PROXIES.len(), 2, 3);
    // The targets are far from all outputs, so that the loss is linear.
    let joint = |inputs| Joint {
        inputs,
        targets: (0..20).map(|i| if i % 3 == 0 { 9.0 } else { -9.0 }).collect(),
        optimiser: AdamW::new(0, 0.0),
        gradient: vec![0.0; interaction.weights.len()],
        interaction: interaction.clone(),
    };
    let loss = |gcn: &Gcn| -> f64 {
        let outputs = Shared::new(graphs, 2).outputs(gcn, 1);
        let encodings = outputs.data.chunks_exact(ENCODING).flat_map(|o| plus(o, gcn.biases()));
        let joint = joint(&inputs);
        let networks = joint.networks(encodings);
        let out = interaction.forward(&networks.data[..10 * networks.cols]);
        let each = out.iter().zip(&joint.targets).map(|(o, t)| f64::from((o - t).abs()));
        each.sum::<f64>() / 20.0
    };
    let mut trainer = Trainer::new(&gcn.shape, graphs, 0.0, 0.0, 0, 1);
    let mut joint = joint(&inputs);
    let (_, gradient) = trainer.summed_gradients(&gcn, &rows, |outputs, biases, d, d_biases| {
        let encodings: Vec<f32> =
            outputs.data.chunks_exact(ENCODING).flat_map(|o| plus(o, biases)).collect();
        joint.gradients(&rows, &rows, &encodings, &mut d.data);
        for d in d.data.chunks_exact(ENCODING) {
            d_biases.iter_mut().zip(d).for_each(|(b, d)| *b += d);
        }
        0.0
    });
    let norm = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
    assert!(norm > 1e-3, "{norm}");
    let moved = |step: f64| {
        let mut gcn = gcn.clone();
        let along = gcn.parameters.iter_mut().zip(&gradient);
        along.for_each(|(p, g)| *p += (step / norm) as f32 * g);
        loss(&gcn)
    };
    let direct = (moved(2e-2) - moved(-2e-2)) / 4e-2;
    assert!((direct - norm).abs() < 0.05 * norm, "{direct} {norm}");
}

#[test]
fn a_new_device_is_ranked_and_the_same_seed_gives_the_same() {
    let pool = cells();
    let inputs = Inputs::new(&pool, &[]);
    let phone = device(&pool, [0., 0.1, 1., 3., 0.5]);
    let server = device(&pool, [0., 0.3, 0.4, 0.6, 1.5]);
    let mine = device(&pool, [0., 0.1, 0.7, 1.8, 0.9]);
    let sources = [phone.as_slice(), &server];
    let pre = short(&inputs, &sources, 1, 1);
    let known: Vec<usize> = (0..pool.len()).step_by(34).collect();
    let rest: Vec<usize> = (0..pool.len()).filter(|r| r % 34 != 0).collect();
    let values: Vec<f64> = known.iter().map(|&r| mine[r]).collect();
    let truth: Vec<f64> = rest.iter().map(|&r| mine[r]).collect();
    let adapted = pre.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest);
    assert!(spearman(&adapted, &truth) > 0.8, "{}", spearman(&adapted, &truth));
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(adapted.iter().all(|v| *v > least - 10.0), "in the samples' unit");
    // An adaptation leaves no trace, and the number of threads does not matter.
    assert_eq!(adapted, pre.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest));
    let again = short(&inputs, &sources, 1, 2);
    assert_eq!(adapted, again.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest));
    let other = short(&inputs, &sources, 2, 1);
    assert_ne!(adapted, other.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest));
}

#[test]
fn a_space_without_cells_learns_too() {
    let mut rng = lanner_nn::rng(0, "test");
    let archs = (0..300).map(|_| Space::Fbnet.sample(&mut rng)).collect();
    let pool = Pool::new(Space::Fbnet, archs);
    let cost = |weight: fn(usize) -> f64| -> Vec<f64> {
        let of = |arch: &lanner_space::Architecture| {
            arch.codes().iter().map(|&c| weight(usize::from(c))).sum::<f64>() + 1.0
        };
        pool.archs.iter().map(of).collect()
    };
    let (first, second) = (cost(|c| (8 - c) as f64), cost(|c| ((c * 3) % 8) as f64));
    let mine = cost(|c| (8 - c) as f64 + ((c * 3) % 8) as f64);
    let flops = ("flops".to_string(), first.clone());
    let inputs = Inputs::new(&pool, &[flops]);
    let sources = [first.as_slice(), &second];
    let pre = short(&inputs, &sources, 1, 1);
    let (known, rest): (Vec<usize>, Vec<usize>) = (0..300).partition(|r| r % 15 == 0);
    let values: Vec<f64> = known.iter().map(|&r| mine[r]).collect();
    let truth: Vec<f64> = rest.iter().map(|&r| mine[r]).collect();
    let quality =
        spearman(&pre.adapt(&sources, (&known, &values), 0).unwrap().predict(&rest), &truth);
    assert!(quality > 0.6, "{quality}");
}

#[test]
fn what_cannot_be_learned_from_is_refused() {
    let pool = cells();
    let inputs = Inputs::new(&pool, &[]);
    let none = PreTrained::new(&inputs, &[], 0, 1, || {});
    assert!(matches!(none, Err(PredictError::TooFew { got: 0, .. })));
    let (short_one, unknown) = (vec![1.0; 3], vec![f64::NAN; pool.len()]);
    assert!(PreTrained::new(&inputs, &[&short_one], 0, 1, || {}).is_err());
    assert!(PreTrained::new(&inputs, &[&unknown], 0, 1, || {}).is_err());
    let phone = device(&pool, [0., 0.1, 1., 3., 0.5]);
    let plan = Plan { rows: 40, epochs: 1 };
    let pre = PreTrained::by(plan, &inputs, &[&phone], 0, 1, || {}).unwrap();
    for bad in [&[1.0, -2.0][..], &[f64::NAN, 1.0], &[1.0]] {
        assert!(pre.adapt(&[&phone], (&[0, 1], bad), 0).is_err());
    }
    // Equal latencies: there is nothing to rank by, but nothing breaks.
    let same = pre.adapt(&[&phone], (&[0, 1, 2], &[2.0; 3]), 0).unwrap();
    assert!(same.predict(&[5, 6]).iter().all(|v| v.is_finite()));
}
