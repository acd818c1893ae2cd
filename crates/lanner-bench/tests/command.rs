//! The command as its users call it.

use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanner-bench")).args(args).output().expect("the binary runs")
}

/// Standard output of a call that must succeed.
fn ok(args: &[&str]) -> String {
    let out = bench(args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Exit code and message of a call that must fail.
fn fails(args: &[&str]) -> (i32, String) {
    let out = bench(args);
    assert!(!out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!message.contains("panicked"), "{message}");
    (out.status.code().expect("no signal"), message)
}

fn rows(json: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(json).expect("valid JSON");
    value["rows"].as_array().expect("rows").clone()
}

#[test]
fn every_comparison_has_help_and_names_a_missing_folder() {
    for command in
        ["latency", "few-shot", "cross-space", "ranking", "cross-task", "search", "constrained"]
    {
        assert!(ok(&[command, "--help"]).contains("Usage: lanner-bench"), "{command}");
    }
    assert!(ok(&["--version"]).starts_with("lanner-bench "));
    let (code, message) = fails(&["latency", "--data", "no-such-folder"]);
    assert!(code == 2 && message.contains("no-such-folder"), "{message}");
}

/// The published tables, where they are beside the checkout.
fn data() -> Option<String> {
    Some(lanner_testing::published("")?.display().to_string())
}

#[test]
fn benches_beat_the_baselines_on_published_tables() {
    let Some(dir) = data() else { return };
    let bench = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--data", &dir, "--json"]);
        rows(&ok(&all))
    };
    let of = |rows: &[Value], key: &str, name: &str, column: &str| -> f64 {
        let row = rows.iter().find(|r| r[key] == name).expect("row");
        row[column].as_f64().expect("number")
    };
    let latency = bench(&[
        "latency",
        "--device",
        "desktop-gpu-gtx-1080ti-fp32",
        "--train",
        "200",
        "--seeds",
        "1",
        "--predictor",
        "default,ridge-pairs",
    ]);
    let within = |name: &str| of(&latency, "predictor", name, "within_10");
    assert!(within("default") > within("ridge-pairs") + 10.0, "{latency:?}");
    let ranking =
        bench(&["ranking", "--train", "78", "--seeds", "2", "--predictor", "default,ridge-onehot"]);
    assert!(of(&ranking, "predictor", "default", "kendall") > 0.78, "{ranking:?}");
    let few =
        bench(&["few-shot", "--set", "F3", "--seeds", "2", "--method", "default,ridge-counts"]);
    let spearman = |name: &str| of(&few, "method", name, "spearman");
    assert!(
        spearman("default") > 0.93 && spearman("default") > spearman("ridge-counts"),
        "{few:?}"
    );
    // Two of its three devices are noisy phones.
    let noisy =
        ["few-shot", "--set", "F4", "--samples", "10", "--seeds", "2", "--method", "default"];
    let with = of(&bench(&noisy), "method", "default", "spearman");
    let without =
        of(&bench(&[&noisy[..], &["--noiseless"]].concat()), "method", "default", "spearman");
    assert!(without > with + 0.02, "{with} {without}");
    let search = bench(&[
        "search",
        "--metric",
        "c10_test_200",
        "--seeds",
        "2",
        "--budget",
        "60",
        "--strategy",
        "default,random",
    ]);
    let best = |name: &str| of(&search, "strategy", name, "best_60");
    assert!(best("default") > best("random"), "{search:?}");
    let constrained = bench(&["constrained", "--device", "fpga", "--seeds", "2"]);
    let ours: Vec<&Value> = constrained.iter().filter(|r| r["strategy"] == "default").collect();
    assert_eq!(ours.len(), 3);
    assert!(ours.iter().all(|r| r["violations"] == 0.0), "{constrained:?}");
}

#[test]
fn recipes_that_are_pre_trained_refuse_to_go_without_sources() {
    let base = ["few-shot", "--method"];
    for (more, part) in [
        (["multi-predict", "--sources", "none"], "leave out --sources"),
        (["nasflat", "--set", "N-even"], "take a set that has some"),
        (["magic", "--set", "ND"], "there are: default, multi-predict, nasflat"),
    ] {
        let (code, message) = fails(&[&base[..], &more].concat());
        assert!(code == 2 && message.contains(part), "{message}");
    }
}

#[test]
fn accuracy_is_carried_over_from_another_task() {
    let Some(dir) = data() else { return };
    let base = ["cross-task", "--data", &dir, "--set", "micro-scene,micro-object"];
    let more = ["--method", "default,no-transfer", "--samples", "10", "--seeds", "2"];
    let csv = ok(&[&base[..], &more, &["--csv"]].concat());
    let mut of = std::collections::BTreeMap::new();
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [_, target, method, spearman, _] = cells[..] else { panic!("{line}") };
        of.insert((target, method), spearman.parse::<f64>().unwrap());
    }
    assert_eq!(of.len(), 4, "{csv}");
    for target in ["micro-scene", "micro-object"] {
        assert!(of[&(target, "default")] > of[&(target, "no-transfer")], "{csv}");
    }
    // The same numbers in the table.
    let table = rows(&ok(&[&base[..], &more, &["--json"]].concat()));
    let pair = table.iter().find(|r| r["target"] == "micro-scene").unwrap();
    assert_eq!(pair["default"].as_f64(), Some(of[&("micro-scene", "default")]));
    let (code, message) = fails(&["cross-task", "--data", &dir, "--set", "nope"]);
    assert!(code == 2 && message.contains("nasbench201-cifar100"), "{message}");
}

#[test]
fn latency_is_carried_over_from_another_space() {
    let Some(dir) = data() else { return };
    let base = ["cross-space", "--data", &dir, "--to", "fbnet"];
    for (more, part) in [
        (["--to", "mars"], "there are: fbnet, nasbench201"),
        (["--measured", "65"], "as in 65+20"),
        (["--measured", "65+2"], "at least 3"),
        (["--device", "toaster"], "no device 'toaster' in both spaces; there are: 1080ti_1"),
        (["--method", "magic"], "no method 'magic'"),
    ] {
        let (code, message) = fails(&[&base[..4], &more].concat());
        assert!(code == 2 && message.contains(part), "{message}");
    }
    let more = ["--device", "titanx_1", "--measured", "40+4", "--seeds", "2"];
    let method = ["--method", "transfer,no-transfer,references,simulated", "--json"];
    let table = rows(&ok(&[&base[..], &more, &method].concat()));
    assert_eq!(table.len(), 2, "a device and the mean");
    let of = |name: &str| table[0][name].as_f64().unwrap();
    assert!((of("transfer") - of("no-transfer") - of("gain")).abs() < 1e-9);
    assert!(of("gain") > 0.0 && of("references") > 0.8 && of("simulated") > 0.4, "{table:?}");
    assert_eq!(table[1]["device"], "mean of 1");
}
