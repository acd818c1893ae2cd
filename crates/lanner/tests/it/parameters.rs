//! Commands in a space of parameters.

use std::path::Path;

use crate::common::{fails, ok, rows};

const SPACE: &str = "../../examples/parameters.toml";

/// Prints metrics of the architecture that it is given.
const TRAIN: &str = r#"
import json, math, sys
a = json.loads(sys.argv[1])
work = sum(b["kernel"] * b["expand"] for b in a["block"])
accuracy = 80 + math.log(work) + (a["act"] == "relu") - (math.log10(a["lr"]) + 2) ** 2
print(json.dumps({"val_accuracy": accuracy, "latency_ms": a["width"] / 32 * work, "params": 9 * work}))
"#;

fn python() -> bool {
    let is_there = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !is_there {
        lanner_testing::skip("no python3");
    }
    is_there
}

#[test]
fn a_command_is_searched_within_limits_and_resumed() {
    if !python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("train.py"), TRAIN).unwrap();
    let (study, table) = (path("study"), path("trials.csv"));
    let evaluate = format!("command:python3 {} {{arch}}", path("train.py"));
    let search = |more: &[&str]| {
        let common = ["search", "--space", SPACE, "--evaluate", &evaluate, "--seed", "1", "--json"];
        [&common[..], more].concat().iter().map(|s| s.to_string()).collect::<Vec<_>>()
    };
    let run = |args: Vec<String>| ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    run(search(&[
        "--budget",
        "14",
        "--limit",
        "latency_ms<=100",
        "--limit",
        "params<=400",
        "--out",
        &study,
    ]));
    let best = std::fs::read_to_string(Path::new(&study).join("best.json")).unwrap();
    let best: serde_json::Value = serde_json::from_str(&best).unwrap();
    assert!(best["metrics"]["latency_ms"].as_f64().unwrap() <= 100.0);
    assert!(best["metrics"]["params"].as_f64().unwrap() <= 400.0);
    ok(&["search", "--resume", "--out", &study, "--budget", "16"]);
    ok(&["study", "export", &study, "--out", &table]);
    // The trials are a table of the space, which predictors learn.
    let model = path("accuracy.lanner");
    ok(&["fit", &table, "--space", SPACE, "--metric", "val_accuracy", "--out", &model]);
    let ranked = ok(&["rank", &model, "--sample", "300", "--top", "5", "--json"]);
    assert_eq!(rows(&ranked).len(), 5);
    let (code, why) = fails(&["rank", &model]);
    assert!(code == 2 && why.contains("uncounted architectures"), "{why}");
    let source = format!("{study}:val_accuracy");
    run(search(&["--budget", "12", "--warm-start", &source, "--out", &path("second")]));
    // The same seed gives the same trials.
    let trials = |folder: &str| {
        run(search(&["--budget", "12", "--out", folder]));
        ok(&["study", "export", folder, "--out", &table]);
        let text = std::fs::read_to_string(&table).unwrap();
        text.lines().map(|l| l.split("}\",").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(trials(&path("third")), trials(&path("fourth")));
}

#[test]
fn what_needs_a_network_says_the_way_out() {
    let arch = r#"{"depth":2,"width":32,"act":"gelu","lr":0.01,"block":[{"kernel":3,"expand":2},{"kernel":3,"expand":2}]}"#;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    for args in [
        &["network", arch, "--space", SPACE][..],
        &["train", "--space", SPACE, "--sample", "1", "--out", &out],
        &["measure", "--space", SPACE, "--sample", "2", "--out", &out],
        &["proxies", "--space", SPACE, "--sample", "2", "--out", &out],
        &["search", "--space", SPACE, "--evaluate", "train", "--out", &out],
        &[
            "search",
            "--space",
            SPACE,
            "--evaluate",
            "proxies",
            "--metric",
            "synflow",
            "--out",
            &out,
        ],
    ] {
        let (_, why) = fails(args);
        assert!(why.contains("has no network of Lanner's own"), "{args:?}: {why}");
        assert!(!Path::new(&out).exists());
    }
    let (_, why) =
        fails(&["search", "--space", SPACE, "--evaluate", "command:true", "--cells", "3"]);
    assert!(why.contains("--cells 3: my-resnets is a space of parameters"), "{why}");
    assert!(
        ok(&["space", "info", SPACE])
            .contains("lr: a number from 0.0001 to 0.1, not of the network")
    );
    assert!(ok(&["space", "check", SPACE, arch]).contains(arch));
    ok(&["space", "check", SPACE]);
}
