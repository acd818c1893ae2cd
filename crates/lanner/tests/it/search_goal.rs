//! `lanner search`: directions of metrics, several objectives, and what a resumed study refuses.

use crate::common::{fails, lanner, ok, rows, text};
use lanner_space::Space;
use serde_json::Value;

/// A table of 120 networks whose columns all are the number of 3×3 convolutions, plus one.
fn table(dir: &tempfile::TempDir, columns: &[&str]) -> String {
    let space = Space::NasBench201;
    let mut csv = format!("arch,{}\n", columns.join(","));
    for arch in (0..120).map(|i| space.at(i * 130).unwrap()) {
        let value = 1 + arch.codes().iter().filter(|&&code| code == 3).count();
        let cells = vec![value.to_string(); columns.len()].join(",");
        csv += &format!("{},{cells}\n", space.print(&arch));
    }
    let file = dir.path().join(format!("{}.csv", columns.join("-").replace(['(', ')'], "")));
    std::fs::write(&file, csv).unwrap();
    file.display().to_string()
}

#[test]
fn directions_are_known_or_given_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let best = |name: &str, more: &[&str]| -> (f64, String) {
        let evaluate = format!("table:{}", table(&dir, &[name]));
        let args =
            ["search", "--evaluate", &evaluate, "--metric", name, "--budget", "120", "--json"];
        let out = lanner(&[&args[..], more].concat());
        let said = text(&out.stderr);
        assert!(out.status.success(), "{said}");
        (rows(&text(&out.stdout))[0][name].as_f64().unwrap(), said)
    };
    for name in ["lat_ms", "latency(ms)", "val_loss", "energy_mJ", "params_M"] {
        let (value, said) = best(name, &[]);
        assert!(value == 1.0 && said.contains(&format!("{name} as small as possible")), "{said}");
    }
    let (value, said) = best("top1", &[]);
    assert!(value > 4.0 && said.contains("top1 as large as possible"), "{said}");
    // A direction that is given counts more than a known one.
    assert!(best("lat_ms", &["--maximise"]).0 > 4.0);
    assert_eq!(best("top1", &["--minimize", "top1"]).0, 1.0);
    assert_eq!(best("x", &["--minimise"]).0, 1.0);

    let evaluate = format!("table:{}", table(&dir, &["x", "a_ms"]));
    let refused = |more: &[&str], says: &str| {
        let out = dir.path().join("none").display().to_string();
        let args = ["search", "--evaluate", &evaluate, "--out", &out];
        let (code, message) = fails(&[&args[..], more].concat());
        assert!(code == 2 && message.contains(says), "{more:?}: {message}");
        assert!(!dir.path().join("none").exists());
    };
    refused(&["--metric", "x"], "--maximise x or --minimise x");
    refused(&["--metric", "a_ms", "--pareto", "x"], "--maximise x or --minimise x");
    refused(&["--metric", "x", "--minimise", "y"], "--minimise y: no objective; there are: x");
    refused(&["--metric", "x", "--minimise", "--maximise"], "give one of them");
    refused(&["--metric", "a_ms", "--limit", "latency_ms>=3"], "largest value only");
    let five = ["--pareto", "params", "--pareto", "flops", "--pareto", "macs", "--pareto", "x"];
    refused(&[&["--metric", "a_ms", "--maximise", "x"], &five[..]].concat(), "5 objectives");

    let file = table(&dir, &["result", "my_latency"]);
    let fit = |metric: &str, more: &[&str]| {
        let model = dir.path().join("m.lanner").display().to_string();
        let args = ["fit", &file, "--metric", metric, "--folds", "0", "--out", &model];
        ok(&[&args[..], more].concat());
        rows(&ok(&["rank", &model, "--archs", &file, "--top", "1", "--json"]))[0][metric].clone()
    };
    let (code, message) = fails(&["fit", &file, "--metric", "result"]);
    assert!(code == 2 && message.contains("--target"), "{message}");
    assert!(fit("my_latency", &[]).as_f64().unwrap() < 2.0);
    assert!(fit("result", &["--as", "error"]).as_f64().unwrap() < 2.0);
    assert!(fit("result", &["--as", "accuracy"]).as_f64().unwrap() > 3.0);
    let described: Value =
        serde_json::from_str(&ok(&["table", "describe", &file, "--json"])).unwrap();
    assert_eq!(described["columns"][0]["better"], Value::Null);
    assert_eq!(described["columns"][1]["better"], "less");
}

#[test]
fn four_objectives_give_a_front_with_its_volume() {
    let dir = tempfile::tempdir().unwrap();
    let evaluate = format!("table:{}", table(&dir, &["accuracy", "top5"]));
    let out = dir.path().join("study").display().to_string();
    let base = ["search", "--evaluate", &evaluate, "--metric", "accuracy", "--out", &out, "--json"];
    let more = ["--pareto", "params", "--pareto", "memory_bytes", "--pareto", "top5"];
    let limit = ["--limit", "top5>=2", "--budget", "24"];
    let answer: Value = serde_json::from_str(&ok(&[&base[..], &more, &limit].concat())).unwrap();
    let front = answer["front"].as_array().unwrap();
    let names = ["accuracy", "top5", "params", "memory_bytes"];
    let signed = |point: &Value| -> Vec<f64> {
        let sign = [1.0, 1.0, -1.0, -1.0];
        names.iter().zip(sign).map(|(n, s)| s * point[n].as_f64().unwrap()).collect()
    };
    let points: Vec<Vec<f64>> = front.iter().map(signed).collect();
    for (i, p) in points.iter().enumerate() {
        assert!(p[1] >= 2.0, "{answer}");
        let beats = |q: &Vec<f64>| q.iter().zip(p).all(|(a, b)| a >= b);
        assert!(points.iter().enumerate().all(|(j, q)| i == j || !beats(q)), "{answer}");
    }
    let volume = answer["hypervolume"].as_f64().unwrap();
    let worst = signed(&answer["reference"]);
    // No more than the box around the front.
    let side = |j: usize| points.iter().map(|p| p[j]).fold(f64::MIN, f64::max) - worst[j];
    let around: f64 = (0..4).map(side).product();
    assert!(volume > 0.0 && volume <= around * (1.0 + 1e-9), "{volume} of {around}");
    let page = std::fs::read_to_string(dir.path().join("study/report.html")).unwrap();
    assert!(page.contains("(hypervolume)"));
}

#[test]
fn a_resumed_study_refuses_other_options_and_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = table(&dir, &["accuracy"]);
    let (evaluate, out) = (format!("table:{file}"), dir.path().join("study").display().to_string());
    let base = ["search", "--evaluate", &evaluate, "--metric", "accuracy", "--out", &out];
    ok(&[&base[..], &["--budget", "5"]].concat());
    // The same options again, and those that may change.
    ok(&[&base[..], &["--resume", "--budget", "7", "--parallel", "2", "--time", "5"]].concat());
    let resume = ["search", "--resume", "--out", &out];
    for (more, says) in [
        (["--metric", "other"], "--metric other: the study was begun with accuracy"),
        (["--strategy", "random"], "--strategy random: the study was begun without it"),
        (["--limit", "params<=1"], "--limit params<=1"),
        (["--seed", "3"], "--seed 3"),
    ] {
        let (code, message) = fails(&[&resume[..], &more].concat());
        assert!(code == 2 && message.contains(says), "{message}");
    }
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, before.replace(",1\n", ",101\n")).unwrap();
    let (_, message) = fails(&[&resume[..], &["--budget", "9"]].concat());
    assert!(message.contains(&file) && message.contains("content has changed"), "{message}");
    // From any folder, the same table is meant.
    std::fs::write(&file, before).unwrap();
    ok(&[&resume[..], &["--budget", "9"]].concat());
    let shown: Value = serde_json::from_str(&ok(&["study", "show", &out, "--json"])).unwrap();
    assert_eq!(shown["counts"]["done"], 9);
}
