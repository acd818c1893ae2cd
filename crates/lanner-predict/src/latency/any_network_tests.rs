use lanner_network::onnx::{ReadOptions, probe, read};

use super::*;

/// Probes on a made-up device, whose times no sum of ours has: products cost less where there are many
/// channels, and a norm costs as its values' power.
fn samples(numbers: std::ops::Range<u64>) -> Vec<Sample> {
    let network = |number| {
        let graph = read(&probe(number), &ReadOptions::default()).unwrap();
        let time = |node: &lanner_network::TensorNode| {
            let values: u64 = node.outputs.iter().map(|&t| graph.tensors[t].values()).sum();
            let wide = (node.outputs.first()).map_or(1, |&t| graph.tensors[t].dims[1]) as f64;
            2e-3 + node.products as f64 * 1e-8 * (1.0 + 16.0 / wide)
                + 3e-7 * (values as f64).powf(1.05)
        };
        let latency = 0.05 + graph.nodes.iter().map(time).sum::<f64>();
        Sample { network: Counted::of(&graph), latency, own: false }
    };
    numbers.map(network).collect()
}

#[test]
fn a_device_is_learnt_from_small_networks() {
    let (known, asked) = (samples(0..150), samples(1000..1040));
    let fitted = AnyLatency::fit(&known, "board_ms").unwrap();
    let networks: Vec<Counted> = asked.iter().map(|s| s.network.clone()).collect();
    let Forecast { mean, low, high } = fitted.predict(&networks);
    let truth: Vec<f64> = asked.iter().map(|s| s.latency).collect();
    let mape = mean.iter().zip(&truth).map(|(p, t)| (p / t - 1.0).abs()).sum::<f64>() / 40.0;
    assert!(mape < 0.15, "{mape}");
    let covered = (0..40).filter(|&i| (low[i]..=high[i]).contains(&truth[i])).count();
    assert!((30..=40).contains(&covered), "{covered}");
    // The same again, and from a file.
    assert_eq!(AnyLatency::fit(&known, "board_ms").unwrap(), fitted);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.lanner");
    fitted.save(&path).unwrap();
    let again = AnyLatency::load(&path).unwrap();
    assert_eq!(again, fitted);
    assert_eq!((again.metric(), again.measured()), ("board_ms", 150));
}

#[test]
fn bad_measurements_are_refused() {
    let mut few = samples(0..19);
    let why = AnyLatency::fit(&few, "x_ms").unwrap_err().to_string();
    assert!(why.contains("20") && why.contains("19"), "{why}");
    few.extend(samples(19..22));
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        few[7].latency = wrong;
        assert!(AnyLatency::fit(&few, "x_ms").is_err(), "{wrong}");
    }
}
