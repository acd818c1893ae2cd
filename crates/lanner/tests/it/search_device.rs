//! `lanner search` on other devices: behind a command, and measured by a program of the user's own.

use crate::common::{fails, ok};
use lanner_search::study::{State, Study};
use lanner_space::Space;
use serde_json::Value;

/// A search of tiny networks of which a command tells the number of 3×3 convolutions.
fn search(out: &str, more: &[&str]) -> Value {
    serde_json::from_str(&ok(&[&base(out)[..], more].concat())).unwrap()
}

const COUNT: &str = "command:sh -c 'echo \"{\\\"acc\\\": $(echo \"$1\" | grep -o nor_conv_3x3 | wc -l)}\"' sh {arch}";

fn base(out: &str) -> Vec<&str> {
    let sizes = ["--channels", "4", "--cells", "1", "--resolution", "8", "--budget", "8"];
    let base = ["search", "--evaluate", COUNT, "--metric", "acc", "--out", out, "--json"];
    [&base[..], &sizes].concat()
}

fn convolutions(arch: &str) -> usize {
    arch.matches("nor_conv_3x3").count()
}

#[test]
fn a_program_measures_several_metrics_before_the_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study").display().to_string();
    // Energy in joules, limited in millijoules; a network's memory is an objective.
    let script = "n=$(echo \"$1\" | grep -o nor_conv_3x3 | wc -l); test -s \"$2\" || exit 3; \
                  echo \"{\\\"latency_us\\\": $((1000 + 1000 * n)), \\\"energy_J\\\": 0.00$n, \
                  \\\"memory_MB\\\": $((1 + n))}\"";
    let measure = format!("command:sh -c '{script}' sh {{arch}} {{onnx}}");
    let limits = ["--limit", "energy_mJ<=3", "--limit", "latency_ms<=5"];
    let more = ["--measure", &measure, "--pareto", "memory_MB", "--latency-samples", "6"];
    let answer = search(&out, &[&more[..], &limits].concat());
    let front = answer["front"].as_array().unwrap();
    assert!(!front.is_empty(), "{answer}");
    for point in front {
        let n = convolutions(point["arch"].as_str().unwrap());
        assert_eq!(point["memory_MB"].as_f64(), Some(1.0 + n as f64));
        assert_eq!(point["latency_ms"].as_f64(), Some(1.0 + n as f64));
    }
    let study = Study::open(&out).unwrap();
    for trial in study.trials().unwrap() {
        let n = convolutions(&Space::NasBench201.print(&trial.arch));
        assert_eq!(trial.state == State::Done, n <= 3, "{trial:?}");
    }
    let device = study.device().unwrap();
    assert!(device.iter().any(|(name, value)| name == "runtime" && value.contains("sh -c")));
    let about: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("study/best.json")).unwrap())
            .unwrap();
    assert!(about["device"]["runtime"].as_str().unwrap().contains("sh -c"), "{about}");

    let none = dir.path().join("none").display().to_string();
    for (more, says) in [
        (vec!["--measure", "sh {arch}"], "expected command:LINE"),
        (vec!["--measure", "command:/nonexistent {arch}"], "/nonexistent"),
        (vec!["--measure", "command:sh -c 'exit 4' {arch}", "--retries", "0"], "exit code 4"),
        (
            vec![
                "--measure",
                "command:sh -c 'echo {\\\"watts\\\": 1}' {arch}",
                "--limit",
                "params<=9e9",
            ],
            "no --limit or --pareto names what it prints: watts",
        ),
    ] {
        let (_, message) = fails(&[&base(&none)[..], &more].concat());
        assert!(message.contains(says), "{message}");
        assert!(!dir.path().join("none").exists(), "{more:?}");
    }
}

#[test]
fn latencies_come_from_a_device_behind_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study").display().to_string();
    // The size of the file decides: more layers, more time.
    let line = "sh -c 'wc -c < \"$1\" | awk \"{ print \\$1 / 10000, \\$1 / 10000 }\"' sh {onnx}";
    let more = ["--command", line, "--device", "board", "--no-reference", "--latency-samples", "5"];
    let answer = search(&out, &[&more[..], &["--limit", "latency_ms<=1000"]].concat());
    assert!(answer["rows"][0]["latency_ms"].as_f64().unwrap() > 0.0, "{answer}");
    let device = Study::open(&out).unwrap().device().unwrap();
    let value = |name: &str| device.iter().find(|d| d.0 == name).map(|d| d.1.as_str());
    assert_eq!(value("device"), Some("board"));
    assert!(value("runtime").unwrap().starts_with("command sh -c"), "{device:?}");
    assert_eq!((value("threads"), value("batch")), (Some("1"), Some("1")));
    let shown = ok(&["study", "show", &out]);
    assert!(shown.contains("board"), "{shown}");

    let none = dir.path().join("none").display().to_string();
    for (more, says) in [
        (&["--runtime", "command"][..], "expected --command"),
        (&["--runtime", "rten", "--command", line], "for --runtime command only"),
        (
            &["--runtime", "ort", "--ort-library", "/nonexistent", "--limit", "latency_ms<=1"],
            "/nonexistent",
        ),
    ] {
        let (_, message) = fails(&[&base(&none)[..], more].concat());
        assert!(message.contains(says), "{message}");
        assert!(!dir.path().join("none").exists(), "{more:?}");
    }
}

/// A program trains transformers; Lanner measures them before, within limits of their latency and parameters.
#[test]
fn transformers_are_measured_before_a_program_trains_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let file = folder.join("transformer.toml").display().to_string();
    let space = Space::by_name(&file).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let count = "test -s \"$2\" || exit 3; echo \"{\\\"acc\\\": ${#1}}\"";
    let evaluate = format!("command:sh -c '{count}' sh {{arch}} {{onnx}}");
    let evaluate =
        ["search", "--space", &file, "--evaluate", &evaluate, "--metric", "acc", "--json"];
    let limits = ["--limit", "latency_ms<=1000", "--limit", "params<=300000"];
    for (runtime, name) in [("rten", "rten"), ("ort", "onnxruntime")] {
        let out = dir.path().join(runtime).display().to_string();
        let more = ["--runtime", runtime, "--latency-samples", "5", "--budget", "6", "--out", &out];
        let run = crate::common::lanner(&[&evaluate[..], &limits, &more].concat());
        let message = crate::common::text(&run.stderr);
        let missing = ["library was not found", "invalid value 'ort'"];
        if runtime == "ort" && missing.iter().any(|why| message.contains(why)) {
            lanner_testing::skip(message);
            continue;
        }
        assert!(run.status.success(), "{message}");
        let answer: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert!(answer["rows"][0]["latency_ms"].as_f64().unwrap() > 0.0, "{answer}");
        let study = Study::open(&out).unwrap();
        let done = study.trials().unwrap();
        assert_eq!(done.iter().filter(|t| t.state == State::Done).count(), 6);
        for trial in &done {
            let (_, params) = space.flops_and_params(&trial.arch).unwrap();
            assert!(params <= 0.3, "{params} million parameters");
            let known = study.measurements_of(&trial.arch).unwrap();
            assert!(known.iter().any(|m| m.metric == "latency_ms" && m.value > 0.0), "{known:?}");
        }
        let device = study.device().unwrap();
        let is_named = |(what, value): &(String, String)| what == "runtime" && value.contains(name);
        assert!(device.iter().any(is_named), "{device:?}");
        // The page of the study has costs of these networks.
        let page = dir.path().join("page.html").display().to_string();
        ok(&["report", &out, "--out", &page]);
        assert!(std::fs::read_to_string(&page).unwrap().contains("memory at the peak"));
    }
    let none = dir.path().join("none").display().to_string();
    for (more, says) in [
        (&["--limit", "latency_ms<=0.000001"][..], "within the limits"),
        (&["--evaluate", "train", "--metric", "val_accuracy"], "are transformers"),
        (&["--evaluate", "proxies", "--metric", "rank"], "are transformers"),
        (&["--cells", "3"], "every block of small-transformers is a choice"),
    ] {
        let mut args = evaluate.to_vec();
        if more[0] == "--evaluate" {
            args.drain(3..7);
        }
        let own = ["--runtime", "rten", "--latency-samples", "5", "--budget", "2", "--out", &none];
        let (_, message) = fails(&[&args[..], more, &own].concat());
        assert!(message.contains(says), "{message}\n  lacks {says}");
    }
}
