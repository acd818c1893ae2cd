//! Measures models of any origin by rten.
#![cfg(feature = "rten")]

use std::ops::ControlFlow::{Break, Continue};

use lanner_evaluate::measure::{
    Adaptive, Device, Model, ModelSource, Protocol, RuntimeName, fingerprint, measure_models,
};
use lanner_network::onnx::probe;

#[test]
fn models_are_measured_once_and_the_rest_later() {
    let folder = tempfile::tempdir().unwrap();
    let (file, table) = (folder.path().join("a.onnx"), folder.path().join("t.csv"));
    std::fs::write(&file, probe(6)).unwrap();
    let bad = folder.path().join("bad.onnx");
    std::fs::write(&bad, b"no model").unwrap();
    let (file_path, bad_path) = (file.clone(), bad.clone());
    let model = |name: &str, source| Model { name: name.into(), source };
    let models = [
        model("a.onnx", ModelSource::File(file)),
        model("bad.onnx", ModelSource::File(bad)),
        model("probe-9", ModelSource::Probe(9)),
    ];
    let device = Device { runtime: RuntimeName::Rten, reference: false, ..Device::default() };
    let protocol = Protocol::Adaptive(Adaptive {
        budget_s: 0.01,
        blocks: 1,
        block_ms: 1.0,
        ..Adaptive::default()
    });
    let run = |most: usize| {
        let tell = |done| if done < most { Continue(()) } else { Break(()) };
        measure_models(&device, &protocol, &models, Some(&table), 60.0, tell).unwrap()
    };
    assert_eq!(run(2).len(), 2);
    let first = lanner_data::read_network_latencies(&table, "latency_ms").unwrap();
    // A model that the runtime refuses has a reason, and no latency.
    assert_eq!(first.len(), 1);
    let all = run(9);
    assert_eq!(
        all.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        ["a.onnx", "bad.onnx", "probe-9"]
    );
    assert!(all[1].latency_ms.is_none() && !all[1].note.is_empty());
    let both = lanner_data::read_network_latencies(&table, "latency_ms").unwrap();
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    assert!(both.iter().all(|row| row.latency_ms > 0.0));
    // Files that are others by now are measured again, and the rest is kept.
    std::fs::write(&file_path, probe(16)).unwrap();
    std::fs::write(&bad_path, probe(26)).unwrap();
    let again = run(9);
    assert_eq!(
        again.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        ["probe-9", "a.onnx", "bad.onnx"]
    );
    assert_eq!(again[0].latency_ms, all[2].latency_ms);
    let rows = lanner_data::read_network_latencies(&table, "latency_ms").unwrap();
    assert_eq!(
        rows.iter().map(|r| r.network.as_str()).collect::<Vec<_>>(),
        ["probe-9", "a.onnx", "bad.onnx"]
    );
    assert!(rows[1].fingerprint == Some(fingerprint(&file_path).unwrap()));
    let text = std::fs::read(&table).unwrap();
    assert_eq!(run(9).len(), 3);
    assert_eq!(std::fs::read(&table).unwrap(), text);
}
