//! The command as users call it.

use std::path::Path;

use crate::common::{fails, lanner, ok, rows};
use lanner::space::Space;
use serde_json::Value;

/// Made-up values that depend on the live operations: 300 networks.
fn toy_table(dir: &Path) -> String {
    let space = Space::NasBench201;
    let mut csv = String::from("arch,score,toy_ms\n");
    for i in 0..300 {
        let arch = space.at(i * 52).unwrap();
        let live = arch.codes().iter().zip(space.live(&arch)).filter(|x| x.1);
        let cost: f64 = live.map(|(&c, _)| [0.0, 0.1, 1.0, 3.0, 0.5][usize::from(c)]).sum();
        csv += &format!("{},{},{}\n", space.print(&arch), 90.0 + cost.ln_1p(), 2.0 + cost);
    }
    let path = dir.join("toy.csv");
    std::fs::write(&path, csv).unwrap();
    path.display().to_string()
}

#[test]
fn help_and_version_of_every_command() {
    for command in [
        "search", "fit", "adapt", "rank", "import", "measure", "network", "proxies", "report",
        "study", "table", "train", "space", "watch",
    ] {
        assert!(ok(&[command, "--help"]).contains("Usage: lanner"), "{command}");
    }
    assert!(ok(&["--version"]).starts_with("lanner "));
    assert!(ok(&["--help"]).contains("Examples:"));
}

#[test]
fn space_info_prints_the_known_facts() {
    let json = ok(&["space", "info", "nasbench201", "--json"]);
    let value = |fact: &str| {
        let row = rows(&json).into_iter().find(|r| r["fact"] == fact).expect("fact");
        row["value"].as_str().unwrap().to_string()
    };
    assert_eq!(value("architectures"), "15625");
    assert_eq!(value("classes as published"), "6466");
    let (code, message) = fails(&["space", "info", "darts2"]);
    assert_eq!(code, 2);
    assert!(message.contains("nasbench201"), "{message}");
}

#[test]
fn every_space_is_listed_sampled_and_checked() {
    for row in rows(&ok(&["space", "list", "--json"])) {
        let name = row["space"].as_str().unwrap();
        let space = Space::by_name(name).unwrap();
        let size = row["architectures"].as_str().map(str::to_owned);
        let size = size.unwrap_or_else(|| row["architectures"].to_string());
        match space.is_counted() {
            true => assert_eq!(size, space.size().to_string()),
            false => assert_eq!(size, "uncounted"),
        }
        let sample = ok(&["space", "sample", "--space", name, "-n", "20", "--seed", "3"]);
        assert_eq!(sample, ok(&["space", "sample", name, "-n", "20", "--seed", "3"]));
        let texts: std::collections::HashSet<&str> = sample.lines().collect();
        assert_eq!(texts.len(), 20);
        assert!(texts.iter().all(|text| space.parse(text).is_ok()));
        let first = sample.lines().next().unwrap();
        let checked = ok(&["space", "check", name, first, "--json"]);
        let facts = &serde_json::from_str::<Value>(&checked).unwrap()[0];
        assert_eq!(facts["arch"].as_str().unwrap(), first);
        assert!(ok(&["space", "check", name, "--sample", "5"]).contains("drawn"));
    }
    let (code, message) = fails(&["space", "check", "fbnet", "123"]);
    assert_eq!(code, 2);
    assert!(message.contains("expected 22 codes, got 3"), "{message}");
    let (code, message) =
        fails(&["fit", "absent.csv", "--metric", "a", "--space", "nowhere.toml", "--out", "x"]);
    assert_eq!(code, 2);
    assert!(message.contains("nowhere.toml: "), "{message}");
}

#[test]
fn a_space_from_a_file_is_checked_and_its_networks_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["microcontroller.toml", "cell.toml"] {
        let file = folder.join(name).display().to_string();
        let facts: Value = serde_json::from_str(&ok(&["space", "check", &file, "--json"])).unwrap();
        assert_eq!(facts["drawn"], 200);
        let params = facts["params"].as_array().unwrap();
        assert!(params[0].as_u64().unwrap() < params[1].as_u64().unwrap());
        // The example's limits are neither empty nor idle.
        let within = facts["within all limits"].as_u64().unwrap();
        assert!((1..=200).contains(&within), "{within}");
        let arch = facts["an architecture"].as_str().unwrap();
        assert!(ok(&["network", arch, "--space", &file]).contains("parameters (million)"));
    }
    let dir = tempfile::tempdir().unwrap();
    // Limits that no network keeps: the one that is the reason is named.
    let text = std::fs::read_to_string(folder.join("microcontroller.toml")).unwrap();
    let tight = dir.path().join("tight.toml").display().to_string();
    std::fs::write(&tight, text.replace("params = 250_000", "params = 100")).unwrap();
    let out = lanner(&["space", "check", &tight, "--sample", "20"]);
    let message = crate::common::text(&out.stderr);
    assert!(out.status.success() && message.contains("params <= 100, the least is "), "{message}");
    assert!(!message.contains("flops <="), "{message}");
    let broken = dir.path().join("broken.toml");
    std::fs::write(&broken, "name = \"a\"\nkind = \"cell\"\nnodes = 1\n").unwrap();
    let (code, message) = fails(&["space", "check", &broken.display().to_string()]);
    assert_eq!(code, 2);
    assert!(
        message.contains("broken.toml: line 1: 'operations' is missing")
            || message.contains("'skeleton' is missing"),
        "{message}"
    );
}

#[test]
fn ten_measurements_and_another_device_make_a_predictor() {
    let dir = tempfile::tempdir().unwrap();
    let sources = toy_table(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let space = Space::NasBench201;
    let write = |name: &str, rows: usize, cost: &dyn Fn(f64) -> f64| {
        let mut csv = String::from("arch,mine_ms\n");
        for i in 0..rows {
            let arch = space.at(i as u128 * 1300 + 5).unwrap();
            let live = arch.codes().iter().zip(space.live(&arch)).filter(|x| x.1);
            let sum = live.map(|(&c, _)| [0.0, 0.1, 0.8, 2.0, 1.0][usize::from(c)]).sum();
            csv += &format!("{},{}\n", space.print(&arch), cost(sum));
        }
        std::fs::write(file(name), csv).unwrap();
        file(name)
    };
    let target = write("mine.csv", 12, &|sum| 2.0 + sum);
    let model = file("mine.lanner");
    let adapt = |target: &str| {
        ok(&["adapt", "--sources", &sources, "--target", target, "--out", &model, "--json"])
    };
    let row = &rows(&adapt(&target))[0];
    assert_eq!((row["measured"].as_u64(), row["sources"].as_u64()), (Some(12), Some(1)));
    assert!(row["spearman"].as_f64().unwrap() > 0.85, "{row}");
    let top = rows(&ok(&["rank", &model, "--top", "2", "--json"]));
    // The fastest network costs 2 ms, and the interval says how well that is known.
    let (low, high) = (top[0]["low_90"].as_f64().unwrap(), top[0]["high_90"].as_f64().unwrap());
    assert!(low < high && (low..high).contains(&2.0) && high < 4.0, "{}", top[0]);
    // A source on which all networks take the same time tells nothing, and the file can be read.
    let mut coarse = String::from("arch,coarse_ms\n");
    (0..30).for_each(|i| coarse += &format!("{},5\n", space.print(&space.at(i).unwrap())));
    std::fs::write(file("coarse.csv"), coarse).unwrap();
    for (sources, count) in [(&[&sources[..]][..], 1), (&[], 0)] {
        let coarse = file("coarse.csv");
        let tables = [&["adapt", "--sources", &coarse], sources].concat();
        let args = [&tables[..], &["--target", &target, "--out", &model, "--json"]].concat();
        let output = crate::common::lanner(&args);
        let note = crate::common::text(&output.stderr);
        assert!(note.contains("coarse_ms") && note.contains("left out"), "{note}");
        let row = &rows(&crate::common::text(&output.stdout))[0];
        assert_eq!(row["sources"].as_u64(), Some(count), "{row}");
        assert_eq!(rows(&ok(&["rank", &model, "--top", "3", "--json"])).len(), 3);
    }
    let refused = |target: &str, says: &str| {
        let (_, message) = fails(&["adapt", "--sources", &sources, "--target", target]);
        assert!(message.contains(says), "{message}");
    };
    refused(&write("two.csv", 2, &|sum| 2.0 + sum), "at least 3");
    refused(&write("same.csv", 8, &|_| 7.0), "tell nothing");
    let mixed = |sum: f64| if sum > 3.0 { 1e-300 } else { 2.0 + sum };
    refused(&write("mixed.csv", 12, &mixed), "not of one unit");
    refused(&write("negative.csv", 8, &|_| -7.0), "more than 0 milliseconds");
    let (_, message) = fails(&["adapt", "--sources", &target, "--target", &target]);
    assert!(message.contains("at least 20"), "{message}");
    let (_, message) = fails(&["adapt", "--space", "fbnet", "--target", &target]);
    assert!(message.contains("mine.csv") && message.contains("fbnet"), "{message}");
    // No source is needed; the built-in table has five columns.
    for (more, count) in [(&[][..], 0), (&["--sources", "built-in"], 5)] {
        let row = &rows(&ok(&[&["adapt", "--target", &target, "--json"], more].concat()))[0];
        assert_eq!(row["sources"].as_u64(), Some(count), "{row}");
        assert!(row["spearman"].as_f64().unwrap() > 0.6, "{row}");
    }
    let fbnet = ["adapt", "--space", "fbnet", "--sources", "built-in", "--target", &target];
    assert!(fails(&fbnet).1.contains("fbnet"));
    // Sources need not know a single network of the target's.
    let text = std::fs::read_to_string(&sources).unwrap();
    let (header, rest) = text.split_once('\n').unwrap();
    let known = std::fs::read_to_string(&target).unwrap();
    let others = rest.lines().filter(|l| !known.contains(l.split(',').next().unwrap()));
    let apart = file("apart.csv");
    std::fs::write(&apart, [header].into_iter().chain(others).collect::<Vec<_>>().join("\n"))
        .unwrap();
    let row = &rows(&ok(&["adapt", "--sources", &apart, "--target", &target, "--json"]))[0];
    assert!(row["spearman"].as_f64().unwrap() > 0.85, "{row}");
}

#[test]
fn a_table_is_fitted_and_the_whole_space_ranked() {
    let dir = tempfile::tempdir().unwrap();
    let table = toy_table(dir.path());
    let model = dir.path().join("toy.lanner").display().to_string();
    let fitted = ok(&["fit", &table, "--metric", "toy_ms", "--out", &model, "--json"]);
    let row = &rows(&fitted)[0];
    assert!(row["spearman"].as_f64().unwrap() > 0.98, "{row}");
    assert!(row["within_10"].as_f64().unwrap() > 90.0, "{row}");
    let all = dir.path().join("all.csv").display().to_string();
    let top = rows(&ok(&["rank", &model, "--top", "3", "--out", &all, "--json"]));
    assert_eq!(top.len(), 3);
    // The fastest network costs 2 ms and little else does.
    assert!((top[0]["toy_ms"].as_f64().unwrap() - 2.0).abs() < 0.2, "{}", top[0]);
    let described: Value =
        serde_json::from_str(&ok(&["table", "describe", &all, "--json"])).unwrap();
    assert!(described.to_string().contains("15625"), "{described}");
    // Ranking again gives the same bytes: a saved predictor is the predictor.
    assert_eq!(ok(&["rank", &model, "--json"]), ok(&["rank", &model, "--json"]));
    for metric in ["score", "toy_ms"] {
        let (code, message) =
            fails(&["fit", &table, "--metric", metric, "--predictor", "nonsense"]);
        assert_eq!((code, message.contains("ridge-counts")), (2, true));
    }
}

#[test]
fn a_search_over_a_table_finds_its_best_and_repeats_itself() {
    let dir = tempfile::tempdir().unwrap();
    let table = format!("table:{}", toy_table(dir.path()));
    let search = |seed: &str, extra: &[&str]| {
        let args = ["search", "--evaluate", &table, "--metric", "score", "--budget", "40"];
        let mut answer = rows(&ok(&[&args[..], &["--seed", seed, "--json"], extra].concat()));
        answer.iter_mut().for_each(|row| {
            row.as_object_mut().unwrap().remove("seconds");
        });
        answer
    };
    let first = search("1", &[]);
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap();
    // Six live 3×3 convolutions cost 18; the table's best is close to it, and better than by chance.
    let best = number(&first[0], "score");
    assert!(best > 92.5 && best >= number(&first[1], "score"), "{first:?}");
    assert!(best > number(&first[2], "score"), "{first:?}");
    assert_eq!(number(&first[0], "evaluations"), 40.0);
    assert_eq!(first, search("1", &[]));

    let limited = search(
        "1",
        &["--limit", "latency_ms<=7", "--latency-table", &format!("{}:toy_ms", &table[6..])],
    );
    assert!(number(&limited[0], "latency_ms") <= 7.0, "{limited:?}");
    assert!(number(&limited[0], "evaluations") <= 40.0);
    for strategy in ["random", "regularized-evolution", "weak-predictors", "brp-nas"] {
        let best = &search("3", &["--strategy", strategy])[0];
        assert_eq!(number(best, "evaluations"), 40.0, "{strategy}");
        assert!(number(best, "score") > 85.0, "{strategy}: {best}");
    }
    // Nothing is written where no folder is named.
    assert!(!std::path::Path::new("lanner-study").exists());
}

#[test]
fn rows_of_one_data_set_are_imported() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (from, to) = (file("both.csv"), file("one.csv"));
    std::fs::write(&from, "arch,task,acc\n000000,a,1\n000000,b,2\n000001,b,3\n").unwrap();
    let (code, message) = fails(&["import", "csv", &from, "--out", &to]);
    assert!(code == 1 && message.contains("--rows task=b"), "{message}");
    ok(&["import", "csv", &from, "--rows", "task=b", "--out", &to]);
    let (table, _) = lanner::data::Table::read(&to, &Space::NasBench201).unwrap();
    assert_eq!(table.column("acc").unwrap(), [2.0, 3.0]);
    for (rows, part) in [("task", "COLUMN=TEXT"), ("set=b", "'set'"), ("task=c", "'c'")] {
        let (_, message) =
            fails(&["import", "csv", &from, "--rows", rows, "--out", &file("x.csv")]);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn bad_input_says_what_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let fit =
        |table: &str, metric: &str| fails(&["fit", table, "--metric", metric, "--as", "accuracy"]);
    let (code, message) = fit(
        &file("edge.csv", "arch,y\n012340,1\n|bad~0|+|none~0|none~1|+|none~0|none~1|none~2|,2\n"),
        "y",
    );
    assert_eq!(code, 1);
    for part in ["line 3", "edge 0→1", "'bad'", "nor_conv_3x3"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let (_, message) = fit(&file("twice.csv", "arch,y\n012340,1\n012341,2\n012340,3\n"), "y");
    assert!(message.contains('2') && message.contains('4'), "both lines: {message}");
    let (_, message) = fit(&file("negative.csv", "arch,y_ms\n012340,1\n012341,-2\n"), "y_ms");
    assert!(message.contains("-2") && message.contains("line 3"), "{message}");
    let (_, message) = fit(&file("nan.csv", "arch,y\n012340,1\n012341,nan\n"), "y");
    assert!(message.contains("line 3"), "{message}");
    let (_, message) = fit(&file("few.csv", "arch,y\n012340,1\n012341,2\n"), "y");
    assert!(message.contains("2 networks"), "{message}");
    let same: String = (0..12).map(|i| format!("{:06},7.5\n", 10 * (i / 5) + i % 5)).collect();
    let (_, message) = fit(&file("same.csv", &format!("arch,y\n{same}")), "y");
    assert!(message.contains("column 'y': all 12 values are 7.5"), "{message}");
    let (_, message) = fit(&file("other.csv", "ops,y\n0000000000000000000000,1\n"), "y");
    assert!(message.contains("nasbench201"), "{message}");
    let (code, _) = fit(&file("fine.csv", "arch,y\n012340,1\n"), "z");
    assert_eq!(code, 2);
    let (_, message) = fails(&["rank", &file("model.lanner", "not a model")]);
    assert!(message.contains("model.lanner"), "{message}");
    assert_eq!(fails(&["search", "--evaluate", "nothing", "--metric", "y"]).0, 2);
    assert_eq!(fails(&["nonsense"]).0, 2);
}

#[test]
fn a_network_has_its_published_cost_and_becomes_onnx() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let arch = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|";
    // flops_M_c10 and params_M_c10 of NAS-Bench-201's index 0.
    let summary = ok(&["network", arch]);
    for part in ["17.958592", "0.129306"] {
        assert!(summary.contains(part), "{summary}");
    }
    let (onnx, svg) = (file("a.onnx"), file("a.svg"));
    ok(&["network", arch, "--onnx", &onnx]);
    ok(&["network", arch, "--svg", &svg]);
    let bytes = std::fs::read(&onnx).unwrap();
    assert!(bytes.len() > 4 * 100_000, "129,306 weights");
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    let (code, message) = fails(&["network", "|nonsense|"]);
    assert!(code > 0 && message.contains("nasbench201"), "{message}");
}

#[test]
fn sizes_of_dimensions_that_are_not_there_are_refused() {
    use lanner::network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};
    let dir = tempfile::tempdir().unwrap();
    let space = Space::NasBench201;
    let net = Skeleton::of(&space).unwrap();
    let net = net.build(&space.parse("302143").unwrap(), View::Pruned).unwrap();
    let weights = Weights::init(&net, Init::default());
    let file = |name: &str, batch| {
        let path = dir.path().join(name).display().to_string();
        let options = OnnxOptions { batch, ..OnnxOptions::default() };
        std::fs::write(&path, onnx::encode(&net, &weights, options).unwrap()).unwrap();
        path
    };
    let (open, fixed) = (file("open.onnx", None), file("fixed.onnx", Some(1)));
    assert!(ok(&["network", &open, "--dim", "batch=4"]).contains("4×10"));
    let (code, message) = fails(&["network", &open, "--dim", "bacht=4"]);
    assert!(code == 2 && message.contains("open dimension 'bacht'"), "{message}");
    assert!(fails(&["network", &fixed, "--dim", "batch=4"]).1.contains("'batch'"));
}

#[test]
fn a_table_without_numbers_says_how_numbers_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv").display().to_string();
    std::fs::write(&path, "ops,latency_ms\n302143,\"7,3\"\n333333,\"9,1\"\n").unwrap();
    let (code, message) = fails(&["adapt", "--target", &path]);
    assert!(code == 2 && message.contains("decimal point"), "{message}");
}

#[test]
fn a_reader_that_has_enough_ends_a_search_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = "arch,accuracy\n".to_string();
    for i in 0..20 {
        table += &format!("{},{i}\n", Space::NasBench201.print(&Space::NasBench201.at(i).unwrap()));
    }
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("t.csv"), table).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let evaluate = format!("table:{}", path("t.csv"));
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(["search", "--evaluate", &evaluate, "--metric", "accuracy", "--budget", "3"])
        .args(["--out", &path("s")])
        .stdout(writer)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&command.stderr);
    assert!(command.status.success() && !message.contains("panicked"), "{message}");
}
