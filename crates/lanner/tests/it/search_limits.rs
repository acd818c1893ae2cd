//! `lanner search --limit`: limits that cannot be kept are refused at once, and those that are written
//! otherwise than expected say how.

use std::path::Path;

use lanner_search::study::{State, Study};
use lanner_space::Space;

use crate::common::{fails, ok, rows};

/// A table of fifty networks: the score rises with the latency, 1 to 50 ms.
fn table(folder: &Path) -> String {
    let mut csv = "arch,score,toy_ms\n".to_string();
    for i in 0..50 {
        let arch = Space::NasBench201.print(&Space::NasBench201.at(i * 301).unwrap());
        csv += &format!("{arch},{},{}\n", 2 * i, i + 1);
    }
    let path = folder.join("toy.csv");
    std::fs::write(&path, csv).unwrap();
    path.display().to_string()
}

#[test]
fn limits_that_no_network_of_the_table_keeps_are_refused_with_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let evaluate = format!("table:{}", table(dir.path()));
    let out = dir.path().join("study").display().to_string();
    let base = ["search", "--evaluate", &evaluate, "--metric", "score", "--out", &out];
    for (limits, parts) in [
        (
            &["toy_ms<=0.5"][..],
            &["toy_ms <= 0.5", "none of the 50 networks", "nearest has toy_ms 1:"][..],
        ),
        (&["toy_ms>=51"], &["nearest has toy_ms 50:"]),
        (&["score>=90", "toy_ms<=40"], &["score >= 90, toy_ms <= 40", "score 84, toy_ms 43:"]),
    ] {
        let limits: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
        let (code, message) = fails(&[&base[..], &limits].concat());
        assert_eq!(code, 2, "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
        assert!(!Path::new(&out).join("study.db").exists());
    }
    let both = ["--limit", "toy_ms<=5", "--limit", "toy_ms>=9"];
    assert!(fails(&[&base[..], &both].concat()).1.contains("no value keeps both"));
}

#[test]
fn both_bounds_of_a_metric_hold_and_their_values_are_counted_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let evaluate = format!("table:{}", table(dir.path()));
    let out = dir.path().join("study").display().to_string();
    let base = ["search", "--evaluate", &evaluate, "--metric", "score", "--out", &out];
    let limits = ["--limit", "toy_ms<=30", "--limit", "toy_ms>=20"];
    let found = rows(&ok(&[&base[..], &limits, &["--budget", "8", "--json"]].concat()));
    let ms = found[0]["toy_ms"].as_f64().unwrap();
    assert!((20.0..=30.0).contains(&ms) && found[0]["score"] == 2.0 * (ms - 1.0), "{:?}", found[0]);
    let study = Study::open(&out).unwrap();
    for trial in study.trials().unwrap().iter().filter(|t| t.state == State::Done) {
        let score = trial.metrics["score"];
        assert!((38.0..=58.0).contains(&score), "{score}");
    }
    // The same numbers stand in the answer, in the study and in the report; nothing was measured.
    let looked_up = study.measurements().unwrap().iter().filter(|m| m.metric == "toy_ms").count();
    assert_eq!((&found[0]["measurements"], &found[0]["looked_up"]), (&0.into(), &looked_up.into()));
    let shown = ok(&["study", "show", &out]);
    let fact = |name: &str| {
        let line = shown.lines().find(|l| l.starts_with(name)).expect(name);
        line.split_whitespace().last().unwrap().parse::<usize>().unwrap()
    };
    assert_eq!((fact("measurements"), fact("values looked up")), (0, looked_up));
    let report = std::fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(report.contains(&format!("{looked_up} values looked up")));
}

#[test]
fn a_limit_says_how_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let evaluate = format!("table:{}", table(dir.path()));
    let base = ["search", "--evaluate", &evaluate, "--metric", "score"];
    for (limit, part) in [
        ("toy_ms<=3,5", "expected a decimal point: 3.5"),
        ("toy_ms<=3.5 ms", "expected the number 3.5 alone"),
        ("toy_ms<=nan", "expected a finite number after toy_ms"),
        ("toy_ms<=inf", "'inf' is none"),
        ("toy_ms<=", "expected a finite number"),
        ("toy_ms<4", "NAME<=NUMBER or NAME>=NUMBER"),
        ("toy_us<=3500", "the metric is toy_ms here: --limit 'toy_ms<=3.5'"),
        ("toy_s>=0.0301", "--limit 'toy_ms>=30.1'"),
        ("toy_furlong<=3", "there are: latency_ms"),
    ] {
        let (code, message) = fails(&[&base[..], &["--limit", limit]].concat());
        assert!(code == 2 && message.contains(part), "{limit}: {message}");
    }
    let (code, message) = fails(&[&base[..], &["--budget", "-5"]].concat());
    assert!(
        code == 2 && message.contains("'-5' for '--budget") && !message.contains("tip"),
        "{message}"
    );
}
