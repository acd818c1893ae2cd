//! `lanner search` with a table that has the latencies of few networks, and with networks to begin with.

use lanner_space::{Architecture, Space};

use crate::common::{fails, ok, rows, script};

/// Made-up latency: a 3×3 convolution costs a millisecond, other operations less.
fn latency(text: &str) -> f64 {
    let count = |what| text.matches(what).count() as f64;
    1.0 + count("conv_3x3") + 0.4 * count("conv_1x1") + 0.2 * count("pool")
}

/// A table of thirty networks; the last one has no value.
fn table() -> String {
    let mut table = "arch,toy_ms\n".to_string();
    for i in 0..30 {
        let text = Space::NasBench201.print(&Space::NasBench201.at(i * 509).unwrap());
        let value = if i == 29 { String::new() } else { format!("{:.3}", latency(&text)) };
        table += &format!("{text},{value}\n");
    }
    table
}

#[test]
fn thirty_latencies_teach_those_of_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("few.csv"), table()).unwrap();
    let command = script(dir.path(), "echo \"{\\\"val_accuracy\\\": ${#1}}\"\n");
    let base = ["search", "--evaluate", &command, "--budget", "10", "--json"];
    let column = format!("{}:toy_ms", path("few.csv"));
    for (limit, table) in [("toy_ms<=4", path("few.csv")), ("latency_ms<=4", column.clone())] {
        let args = ["--limit", limit, "--latency-table", &table, "--out", &path(limit)];
        let row = rows(&ok(&[&base[..], &args].concat())).remove(0);
        assert_eq!((row["evaluations"].as_u64(), row["failed"].as_u64()), (Some(10), Some(0)));
        let study = lanner_search::study::Study::open(path(limit)).unwrap();
        let done = study.trials().unwrap();
        let done = done.iter().filter(|t| t.metrics.contains_key("val_accuracy"));
        let over = done.filter(|t| latency(&Space::NasBench201.print(&t.arch)) > 4.0).count();
        assert!(over <= 1, "{over} of 10 are over the limit");
    }
    // As a second objective, it is predicted as well.
    let args = ["--pareto", "latency_ms", "--latency-table", &column, "--out", &path("front")];
    let row = rows(&ok(&[&base[..], &args].concat())).remove(0);
    assert_eq!((row["evaluations"].as_u64(), row["failed"].as_u64()), (Some(10), Some(0)), "{row}");
}

#[test]
fn rows_without_an_accuracy_are_no_candidates() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("half.csv");
    let mut half = "arch,accuracy\n".to_string();
    for i in 0..60 {
        let text = Space::NasBench201.print(&Space::NasBench201.at(i * 250).unwrap());
        let value = if i % 2 == 0 { String::new() } else { format!("{i}") };
        half += &format!("{text},{value}\n");
    }
    std::fs::write(&file, half).unwrap();
    let table = format!("table:{}", file.display());
    let args = ["search", "--evaluate", &table, "--metric", "accuracy", "--json"];
    let row = rows(&ok(&[&args[..], &["--budget", "40"]].concat())).remove(0);
    assert_eq!((row["evaluations"].as_u64(), row["failed"].as_u64()), (Some(30), Some(0)), "{row}");
    assert_eq!(row["accuracy"], 59.0);
    // Given networks come first, and one without a value is refused.
    let list = dir.path().join("first.txt");
    let write = |i: u128| {
        std::fs::write(&list, Space::NasBench201.print(&Space::NasBench201.at(i * 250).unwrap()))
    };
    write(59).unwrap();
    let first = ["--budget", "1", "--first", list.to_str().unwrap()];
    assert_eq!(rows(&ok(&[&args[..], &first].concat()))[0]["accuracy"], 59.0);
    write(58).unwrap();
    let (_, message) = fails(&[&args[..], &first].concat());
    assert!(message.contains("no value"), "{message}");
}

/// An operation takes another time on each edge, the same on both devices: thirty times that thirteen
/// latencies alone do not tell. As images a second, the same is known.
#[test]
fn other_devices_of_the_table_teach_a_latency_of_few_networks() {
    let space = Space::NasBench201;
    let time =
        |(edge, &code): (usize, &u8)| f64::from((7 * edge as u32 + 11 * u32::from(code)) % 13);
    let other = |arch: &Architecture| 4.0 + arch.codes().iter().enumerate().map(time).sum::<f64>();
    for (metric, limit) in
        [("toy_ms", "toy_ms<=120"), ("toy_images_per_s", "toy_images_per_s>=8.5")]
    {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let value = |arch: &Architecture| match metric {
            "toy_ms" => 3.0 * other(arch),
            _ => 1000.0 / (3.0 * other(arch)),
        };
        let mut table = format!("arch,other_ms,{metric}\n");
        for i in 0..space.size() {
            let arch = space.at(i).unwrap();
            let few = if i % 1300 == 7 { format!("{}", value(&arch)) } else { String::new() };
            table += &format!("{},{},{few}\n", space.print(&arch), other(&arch));
        }
        std::fs::write(path("t.csv"), table).unwrap();
        let command = script(dir.path(), "echo \"{\\\"val_accuracy\\\": ${#1}}\"\n");
        let (table, out) = (path("t.csv"), path("s"));
        let args = ["search", "--evaluate", &command, "--budget", "30", "--limit", limit];
        let more = ["--latency-table", &table, "--out", &out];
        let run = crate::common::lanner(&[&args[..], &more].concat());
        let message = crate::common::text(&run.stderr);
        assert!(run.status.success() && message.contains("1 other devices"), "{message}");
        let study = lanner_search::study::Study::open(out).unwrap();
        let trials = study.trials().unwrap();
        let mut errors: Vec<f64> = (trials.iter())
            .filter_map(|t| {
                let (median, _) = t.predicted.get(metric)?;
                Some((median / value(&t.arch) - 1.0).abs())
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        assert!(errors.len() >= 15 && errors[errors.len() / 2] < 0.05, "{metric}: {errors:?}");
        let limit: lanner_search::Limit = limit.parse().unwrap();
        let over = trials.iter().filter(|t| !limit.holds(value(&t.arch))).count();
        assert!(over <= 3, "{over} of {} are over the limit {limit}", trials.len());
    }
}
