//! `lanner study` as users call it.

#[allow(dead_code)] // every file of tests uses its part
mod common;

use std::path::Path;

use common::{fails, ok, rows};
use lanner_search::study::{Measurement, Objective, Outcome, Settings, Study};
use serde_json::{Value, json};

/// Six trials, one of them failed, and a measurement.
fn example(folder: &Path) -> Study {
    let settings = Settings {
        space: "nasbench201".into(),
        space_toml: None,
        skeleton: None,
        objectives: vec![Objective { metric: "accuracy".into(), maximise: true }],
        limits: vec![],
        strategy: "random".into(),
        seed: 3,
        budget: 6,
        driver: json!({ "data": "digits" }),
    };
    let mut study = Study::create(folder, &settings).unwrap();
    for trial in study.ask(6).unwrap() {
        let metrics = [("accuracy", 70.0 + trial.id as f64), ("latency_ms", 2.5)];
        let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
        let outcome = match trial.id {
            2 => Outcome::Failed { why: "out of \"memory\",\nit says".into() },
            _ => Outcome::Done { metrics },
        };
        study.tell(trial.id, outcome).unwrap();
    }
    let arch = study.trials().unwrap()[0].arch.clone();
    let measurement = Measurement {
        arch,
        metric: "latency_ms".into(),
        value: 2.25,
        se: Some(0.125),
        trial: Some(1),
        seed: 9,
        budget: "50 runs".into(),
        unix_time: 1.5,
    };
    study.measured(&measurement).unwrap();
    study
}

#[test]
fn studies_are_listed_shown_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let dir = |name: &str| folder.path().join(name).display().to_string();
    assert!(ok(&["study", "list", &dir("")]).contains("no study in"));
    let study = example(&folder.path().join("mine"));
    std::fs::write(folder.path().join("other.db"), "nothing").unwrap();
    let listed = rows(&ok(&["study", "list", &dir(""), "--json"]));
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["done"], &listed[0]["best"]), (&json!(5), &json!(76.0)));
    assert!(listed[1]["error"].as_str().unwrap().contains("no database"));

    let mine = dir("mine");
    let shown = ok(&["study", "show", &mine]);
    assert!(shown.contains("digits") && shown.contains(&study.best().unwrap().unwrap().arch));
    let all: Value = serde_json::from_str(&ok(&["study", "show", &mine, "--json"])).unwrap();
    assert_eq!(all["best"]["metrics"]["accuracy"], 76.0);
    assert_eq!(all["counts"]["failed"], 1);
    assert_eq!(all["settings"]["driver"]["data"], "digits");

    let trials = study.trials().unwrap();
    ok(&["study", "export", &mine, "--out", &dir("trials.csv")]);
    let mut reader = csv::Reader::from_path(dir("trials.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 6);
    for (line, trial) in lines.iter().zip(&trials) {
        assert_eq!(line[column("arch")], trial.arch);
        assert_eq!(line[column("seed")], trial.seed.to_string());
        assert_eq!(&line[column("note")], trial.note.as_deref().unwrap_or_default());
        let accuracy = trial.metrics.get("accuracy").map(f64::to_string).unwrap_or_default();
        assert_eq!(line[column("accuracy")], accuracy);
    }
    // It is a table for the other commands.
    assert!(ok(&["table", "describe", &dir("trials.csv")]).contains("accuracy"));
    ok(&["study", "export", &mine, "--out", &dir("trials.json")]);
    let text = std::fs::read(dir("trials.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), json!(trials));
    ok(&["study", "export", &mine, "--measurements", "--out", &dir("m.csv")]);
    let text = std::fs::read_to_string(dir("m.csv")).unwrap();
    assert!(text.ends_with(",latency_ms,2.25,0.125,1,9,50 runs,1.5\n"), "{text}");

    assert!(fails(&["study", "show", &dir("none")]).1.contains("none"));
    let (code, message) = fails(&["study", "export", &mine, "--out", &dir("x.txt")]);
    assert!(code == 2 && message.contains(".parquet"));
}
