use super::*;
use crate::recipes::pre_training::made_up::{cells, device};
use lanner_predict::metrics::spearman;

#[test]
fn the_gradient_of_the_hinge_is_that_of_differences() {
    let latencies = [3.0, 1.0, 2.0, 2.0];
    let slower = |a: usize, b: usize| Some(latencies[a] - latencies[b]);
    let mut scores = [0.31f32, 0.25, 0.5, -0.4];
    let (_, d) = hinge(&scores, &slower);
    assert!(d.iter().any(|d| *d != 0.0));
    for i in 0..4 {
        let kept = scores[i];
        scores[i] = kept + 1e-3;
        let up = hinge(&scores, &slower).0;
        scores[i] = kept - 1e-3;
        let down = hinge(&scores, &slower).0;
        scores[i] = kept;
        assert!(((up - down) / 2e-3 - f64::from(d[i])).abs() < 1e-3, "{i}");
    }
    // Nothing is left to learn when pairs are in the right order by more than the margin.
    assert_eq!(hinge(&[9.0, 1.0, 2.0, 2.0], &slower).0, 0.0);
}

/// Along the gradient of all graph layers, the derivative of the loss is the gradient's square.
#[test]
fn the_gradient_reaches_the_graph_layers() {
    let pool = cells();
    let pairs: Vec<(usize, usize)> = (0..10).map(|i| (i * 7, i % 2)).collect();
    let graphs = graphs(&pool, 2, &pairs);
    let network = Network::new(graphs.vocabulary, 3);
    let proxies: Vec<f32> = (0..10 * PROXIES.len()).map(|i| (i % 5) as f32 / 5.0).collect();
    let slower = |a: usize, b: usize| Some((a as f64 * 7.0 % 10.0) - (b as f64 * 7.0 % 10.0));
    let batch: Vec<usize> = (0..10).collect();
    let gradients = |gcn: &Gcn| {
        let mut trainer = Trainer::new(&gcn.shape, &graphs, 0.0, 0.0, 0, 1);
        let mut of_head = vec![0.0; network.head.weights.len()];
        trainer.summed_gradients(gcn, &batch, |outputs, biases, d, d_biases| {
            let of_head = &mut of_head;
            let states = &mut Vec::new();
            let (from, to) = ((outputs, biases), (d, d_biases));
            joint_gradients(&network.head, &proxies, &slower, states, of_head, from, to)
        })
    };
    let (_, gradient) = gradients(&network.gcn);
    let norm = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
    assert!(norm > 1e-3, "{norm}");
    let moved = |step: f64| {
        let mut gcn = network.gcn.clone();
        let along = gcn.parameters.iter_mut().zip(&gradient);
        along.for_each(|(p, g)| *p += (step / norm) as f32 * g);
        gradients(&gcn).0
    };
    let direct = (moved(5e-3) - moved(-5e-3)) / 1e-2;
    assert!((direct - norm).abs() < 0.05 * norm, "{direct} {norm}");
}

#[test]
fn a_new_device_is_ranked_and_the_same_seed_gives_the_same() {
    let pool = cells();
    let phone = device(&pool, [0., 0.1, 1., 3., 0.5]);
    let server = device(&pool, [0., 0.3, 0.4, 0.6, 1.5]);
    let mine = device(&pool, [0., 0.1, 0.7, 1.8, 0.9]);
    let sources = [phone.as_slice(), &server];
    let short = |seed, threads| {
        PreTrained::by((120, 8), &pool, &[], &sources, seed, threads, || {}).unwrap()
    };
    let pre = short(1, 1);
    let (known, rest): (Vec<usize>, Vec<usize>) = (0..pool.len()).partition(|r| r % 34 == 0);
    let values: Vec<f64> = known.iter().map(|&r| mine[r]).collect();
    let truth: Vec<f64> = rest.iter().map(|&r| mine[r]).collect();
    let adapted = pre.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest);
    assert!(spearman(&adapted, &truth) > 0.7, "{}", spearman(&adapted, &truth));
    assert_eq!(adapted, pre.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest));
    let again = short(1, 2);
    assert_eq!(adapted, again.adapt(&sources, (&known, &values), 7).unwrap().predict(&rest));
    // With a device's embedding, the network's scores are those of the device.
    let on = |device| {
        let network = pre.network.clone();
        OnDevice { pre_trained: &pre, network, device }.predict(&rest)
    };
    let phones: Vec<f64> = rest.iter().map(|&r| phone[r]).collect();
    assert!(spearman(&on(0), &phones) > spearman(&on(1), &phones));
    assert!(pre.adapt(&sources, (&[0, 1], &[1.0, -1.0]), 0).is_err());
    assert!(PreTrained::new(&pool, &[], &[], 0, 1, || {}).is_err());
}
