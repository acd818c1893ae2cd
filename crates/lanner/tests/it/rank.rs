//! `lanner fit` and `lanner rank` on spaces that are not NAS-Bench-201.

use std::collections::HashSet;

use crate::common::{fails, ok, rows};
use lanner::space::{Space, View};

/// A table of random architectures, whose score is the number of nodes and labels that are left.
fn table(space: &Space, name: &str, count: usize, dir: &std::path::Path) -> String {
    let texts = ok(&["space", "sample", name, "-n", &count.to_string(), "--seed", "5"]);
    let mut csv = String::from("arch,score,own_ms\n");
    for text in texts.lines() {
        let graph = space.graph(&space.parse(text).unwrap(), View::Pruned);
        let sum: f64 = graph.labels.iter().map(|&l| 0.2 + f64::from(l % 4)).sum();
        csv += &format!("\"{text}\",{},{}\n", 50.0 + sum.sqrt(), 1.0 + sum);
    }
    let path = dir.join("table.csv");
    std::fs::write(&path, csv).unwrap();
    path.display().to_string()
}

#[test]
fn darts_is_drawn_and_ranked_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(&Space::Darts, "darts", 30, dir.path());
    let model = dir.path().join("darts.lanner").display().to_string();
    let fit = ["fit", &table, "--metric", "score", "--space", "darts", "--out", &model];
    ok(&[&fit[..], &["--predictor", "binary", "--folds", "0"]].concat());
    // The count is larger than a block of 2,048, and not a multiple of it.
    let rank = |threads: &str, more: &[&str]| {
        let args = ["rank", &model, "--sample", "5000", "--threads", threads];
        ok(&[&args[..], &["--json"], more].concat())
    };
    let all = dir.path().join("all.csv").display().to_string();
    let one = rank("1", &["--top", "50", "--out", &all]);
    assert_eq!(one, rank("2", &["--top", "50"]));
    assert_ne!(one, rank("2", &["--top", "50", "--seed", "1"]));
    let best = rows(&one);
    assert_eq!((best.len(), best[0]["of"].as_u64()), (50, Some(5000)));
    let score = |row: &serde_json::Value| row["score"].as_f64().unwrap();
    assert!(best.windows(2).all(|w| score(&w[0]) >= score(&w[1])));

    // The best of the table of all, which holds each once.
    let (written, _) = lanner::data::Table::read(&all, &Space::Darts).unwrap();
    let distinct: HashSet<_> = written.archs.iter().map(|a| Space::Darts.canonical(a)).collect();
    assert_eq!(distinct.len(), 5000);
    let mut scores = written.column("score").unwrap().to_vec();
    scores.sort_by(|a, b| b.total_cmp(a));
    assert!((score(&best[49]) - scores[49]).abs() < 1e-12);
    let listed = ["rank", &model, "--space", "darts", "--archs", &all, "--top", "50", "--json"];
    assert_eq!(rows(&ok(&listed))[0]["arch"], best[0]["arch"]);

    let (code, message) = fails(&["rank", &model, "--space", "darts"]);
    assert_eq!((code, message.contains("--sample")), (2, true), "{message}");
    let (code, message) = fails(&["rank", &model, "--space", "nasbench101"]);
    let told = message.contains("is for the space 'darts', and --space is 'nasbench101'");
    assert_eq!((code, told), (2, true), "{message}");
    let (code, _) = fails(&["rank", &model, "--space", "darts", "--sample", "0"]);
    assert_eq!(code, 2);
}

#[test]
fn a_space_from_a_file_is_fitted_and_ranked_until_the_file_changes() {
    let dir = tempfile::tempdir().unwrap();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/");
    let toml = std::fs::read_to_string(format!("{examples}microcontroller.toml")).unwrap();
    let name = dir.path().join("own.toml").display().to_string();
    std::fs::write(&name, &toml).unwrap();
    let space = Space::by_name(&name).unwrap();
    let table = table(&space, &name, 60, dir.path());
    let model = dir.path().join("own.lanner").display().to_string();
    let fit = ["fit", &table, "--space", &name, "--out", &model, "--json", "--metric"];
    let fitted = rows(&ok(&[&fit[..], &["own_ms"]].concat()));
    assert!(fitted[0]["spearman"].as_f64().unwrap() > 0.8, "{}", fitted[0]);
    let rank = ["rank", &model, "--space", &name, "--sample", "300", "--top", "3", "--json"];
    let best = rows(&ok(&rank));
    // The predictor has its space in it, also where the file is gone.
    std::fs::rename(&name, format!("{name}.away")).unwrap();
    let own = ["rank", &model, "--sample", "300", "--top", "3", "--json"];
    assert_eq!(rows(&ok(&own)), best);
    std::fs::rename(format!("{name}.away"), &name).unwrap();
    assert!(best.iter().all(|r| space.parse(r["arch"].as_str().unwrap()).is_ok()));
    assert!(best[0]["own_ms"].as_f64() <= best[2]["own_ms"].as_f64());

    let (code, message) = fails(&[&fit[..], &["own_ms", "--predictor", "layer-wise"]].concat());
    assert_eq!((code, message.contains("there are: default, gcn")), (2, true), "{message}");
    // Another kernel, the same name.
    let changed = toml.replacen("kernel = [3, 5]", "kernel = [3, 7]", 1);
    assert_ne!(changed, toml);
    std::fs::write(&name, changed).unwrap();
    let (_, message) = fails(&rank);
    assert!(message.contains("is for the space 'microcontroller "), "{message}");
    assert_eq!(rows(&ok(&own)), best);
}

#[test]
fn a_predictor_of_operations_ranks_another_space() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(&Space::NasBench201, "nasbench201", 40, dir.path());
    let model = dir.path().join("operations.lanner").display().to_string();
    let fit = ["fit", &table, "--metric", "own_ms", "--out", &model];
    ok(&[&fit[..], &["--predictor", "operations"]].concat());
    let rank = |more: &[&str]| rows(&ok(&[&["rank", &model, "--json"], more].concat()));
    // A saved predictor is the predictor, also in another space and from a file.
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/microcontroller.toml");
    for space in ["fbnet", "nas-bench-macro", example] {
        let best = rank(&["--space", space, "--sample", "40", "--top", "40"]);
        assert_eq!(best, rank(&["--space", space, "--sample", "40", "--top", "40"]));
        let own = |row: &serde_json::Value| row["own_ms"].as_f64().unwrap();
        assert!(best.windows(2).all(|w| own(&w[0]) <= own(&w[1])), "{space}");
        assert!(own(&best[0]) > 0.0 && own(&best[39]) > own(&best[0]), "{space}");
        assert!(best.iter().all(|row| row["measured"] == false), "{space}");
        let space = Space::by_name(space).unwrap();
        assert!(best.iter().all(|row| space.parse(row["arch"].as_str().unwrap()).is_ok()));
    }
    // The check compares all rows of a table except those that the predictor was fitted to.
    let others = ok(&["space", "sample", "nasbench201", "-n", "30", "--seed", "8"]);
    let truth = std::fs::read_to_string(&table).unwrap();
    let fitted_to = truth.lines().nth(1).unwrap();
    let mut mine = format!("arch,own_ms\n{},{}\n", fitted_to.split(',').next().unwrap(), 1e6);
    let all = rows(&ok(&["rank", &model, "--top", "15625", "--json"]));
    for text in others.lines() {
        let row = all.iter().find(|row| row["arch"] == text).unwrap();
        mine += &format!("{text},{}\n", row["own_ms"].as_f64().unwrap() * 1.07);
    }
    let file = dir.path().join("mine.csv").display().to_string();
    std::fs::write(&file, mine).unwrap();
    let check = &rank(&["--archs", &file, "--check"])[0];
    assert!(check["checked"].as_u64().unwrap() >= 28, "{check}");
    assert!(check["spearman"].as_f64().unwrap() > 0.9999, "{check}");
    assert_eq!((&check["within_5"], &check["within_10"]), (&0.0.into(), &100.0.into()));
    let (code, message) = fails(&["rank", &model, "--check"]);
    assert_eq!((code, message.contains("--archs")), (2, true), "{message}");
    std::fs::write(&file, others).unwrap();
    let (_, message) = fails(&["rank", &model, "--archs", &file, "--check"]);
    assert!(message.contains("mine.csv"), "{message}");
    // Accuracies are no sums over operations.
    let accuracy = ["fit", &table, "--metric", "score", "--predictor", "operations"];
    let (code, message) = fails(&accuracy);
    assert_eq!((code, message.contains("there are: default")), (2, true), "{message}");
    // A file that was cut is told.
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() - 9]).unwrap();
    let (_, message) = fails(&["rank", &model, "--space", "fbnet", "--sample", "5"]);
    assert!(message.contains("operations.lanner"), "{message}");
}

#[test]
fn architectures_and_spaces_that_cannot_be_are_told() {
    let spec = |matrix: &str, ops: &str| format!("{{\"matrix\": {matrix}, \"ops\": [{ops}]}}");
    let chain = r#""input", "conv3x3-bn-relu", "output""#;
    let row = |n: usize| format!("[{}]", vec!["0"; n].join(", "));
    let eight = format!("[{}]", vec![row(8); 8].join(", "));
    let many = format!("\"input\", {} \"output\"", "\"maxpool3x3\", ".repeat(6));
    for (space, text, part) in [
        // A cycle, a loop, too many vertices, an operation that nobody knows.
        ("nasbench101", spec("[[0, 1, 0], [0, 0, 1], [1, 0, 0]]", chain), "an edge backwards, 2→0"),
        ("nasbench101", spec("[[0, 1, 0], [0, 1, 1], [0, 0, 0]]", chain), "a loop, 1→1"),
        ("nasbench101", spec(&eight, &many), "8 vertices, expected 2 to 7"),
        (
            "nasbench101",
            spec("[[0, 1, 0], [0, 0, 1], [0, 0, 0]]", r#""input", "conv9", "output""#),
            "conv9",
        ),
        ("nasbench201", "|conv9~0|+|none~0|none~1|+|none~0|none~1|none~2|".into(), "conv9"),
        ("nasbench201", "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|".into(), "none~1"),
        (
            "darts",
            "[[(0, 9), (1, 0), (0, 0), (1, 0), (0, 0), (1, 0), (0, 0), (1, 0)], []]".into(),
            "operation '9'",
        ),
        (
            "darts",
            "[[(7, 0), (1, 0), (0, 0), (1, 0), (0, 0), (1, 0), (0, 0), (1, 0)], []]".into(),
            "reads 7",
        ),
        ("fbnet", "9".repeat(22), "not below 9"),
    ] {
        let (_, message) = fails(&["space", "check", space, &text]);
        assert!(message.contains(part), "{message}");
        let (_, message) = fails(&["network", &text, "--space", space]);
        assert!(message.contains(part), "{message}");
    }

    let dir = tempfile::tempdir().unwrap();
    let cell =
        "name = \"x\"\nkind = \"cell\"\nnodes = 3\noperations = [\"none\", \"nor_conv_3x3\"]\n";
    let skeleton = "[skeleton]\nresolution = 8\nclasses = 2\nchannels = 4\nstages = 1\ncells = 1\n";
    let edge = |from: &str, to: &str| format!("[[edge]]\nfrom = {from}\nto = {to}\n");
    let (first, second) = (edge("0", "1"), edge("1", "2"));
    let stage = "[[stage]]\ndepth = 9\nwidth = 8\nstride = 1\nblock = [\"mb\", \"sep\"]\nkernel = [3, 5, 7]\nexpansion = [1, 2, 3, 4, 6]\n";
    let small = "[skeleton]\nresolution = 8\nclasses = 2\nstem = 4\nhead = 0\n";
    for (text, part) in [
        (format!("{cell}{first}{}{skeleton}", edge("1", "7")), "there is no node 7"),
        (format!("{cell}{first}{}{skeleton}", edge("2", "1")), "edge 2"),
        (
            format!("{cell}{first}{second}{}", skeleton.replace("channels = 4", "channels = 0")),
            "channels",
        ),
        (
            format!(
                "{cell}{first}{second}{}",
                skeleton.replace("resolution = 8", "resolution = 0")
            ),
            "resolution",
        ),
        (cell.replace("nodes = 3", "nodes = 0") + skeleton, "line 3"),
        (
            cell.replace("[\"none\", \"nor_conv_3x3\"]", "[]") + &first + &second + skeleton,
            "operations",
        ),
        (cell.replace("nor_conv_3x3", "conv9") + &first + &second + skeleton, "conv9"),
        (format!("name = \"x\"\nkind = \"chain\"\n{}{small}", stage.repeat(6)), "more than 2^128"),
        (format!("name = \"x\"\nkind = \"chain\"\n{small}"), "stage"),
        (
            format!(
                "name = \"x\"\nkind = \"chain\"\n{}{small}",
                stage.replace("depth = 9", "depth = 99999999999999999999")
            ),
            "line",
        ),
    ] {
        let file = dir.path().join("bad.toml").display().to_string();
        std::fs::write(&file, &text).unwrap();
        for args in [
            vec!["space", "check", &file],
            vec!["fit", "none.csv", "--metric", "a", "--space", &file],
        ] {
            let (_, message) = fails(&args);
            assert!(message.contains(part), "{text}\n{message}");
        }
    }
}

/// The space is too large to list: ten networks are chosen, and a few measured latencies predict
/// candidates that no table has.
#[test]
fn a_device_is_adapted_to_in_a_space_too_large_to_list() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (chosen, target, candidates, model) =
        (file("chosen.csv"), file("ten.csv"), file("candidates.txt"), file("mine.lanner"));
    let tiny = ["--channels", "8", "--resolution", "32", "--budget", "0.01", "--no-reference"];
    ok(&[&["measure", "--space", "fbnet", "--choose", "3", "--out", &chosen], &tiny[..]].concat());
    // A made-up device, which no other program disturbs.
    let space = Space::Fbnet;
    let ms = |arch: &lanner::space::Architecture| -> f64 {
        let block = |&code: &u8| [1.0, 0.7, 2.0, 4.0, 1.2, 0.9, 2.5, 5.0, 0.0][usize::from(code)];
        2.0 + arch.codes().iter().map(block).sum::<f64>()
    };
    let (three, _) = lanner::data::Table::read(&chosen, &space).unwrap();
    let mut rng = lanner::nn::rng(3, "test");
    let more: Vec<_> = (0..9).map(|_| space.sample(&mut rng)).collect();
    let lines = three.archs.iter().chain(&more).map(|a| format!("{},{}\n", space.print(a), ms(a)));
    std::fs::write(&target, format!("arch,own_ms\n{}", lines.collect::<String>())).unwrap();
    let others: Vec<_> = (0..40).map(|_| space.sample(&mut rng)).collect();
    let texts: Vec<String> = others.iter().map(|a| space.print(a)).collect();
    std::fs::write(&candidates, texts.join("\n")).unwrap();

    let adapt = ["adapt", "--space", "fbnet", "--target", &target, "--out", &model, "--json"];
    let row = &rows(&ok(&[&adapt[..], &["--sample", "500"]].concat()))[0];
    assert_eq!(row["architectures"].as_u64(), Some(512), "{row}");
    let rank = ["rank", &model, "--space", "fbnet", "--archs", &candidates, "--json"];
    // Candidates that it never saw are predicted as if it had been made for them.
    let unseen = rows(&ok(&[&rank[..], &["--top", "40"]].concat()));
    ok(&[&adapt[..], &["--sample", "500", "--archs", &candidates]].concat());
    let ranked = rows(&ok(&[&rank[..], &["--top", "40"]].concat()));
    assert_eq!(ranked.len(), 40);
    let best: Vec<f64> =
        ranked.iter().map(|r| ms(&space.parse(r["arch"].as_str().unwrap()).unwrap())).collect();
    let halves = (best[..20].iter().sum::<f64>(), best[20..].iter().sum::<f64>());
    assert!(halves.0 < halves.1, "{halves:?}");
    for row in &ranked {
        let other = unseen.iter().find(|r| r["arch"] == row["arch"]).unwrap();
        let (ours, theirs) = (other["own_ms"].as_f64().unwrap(), row["own_ms"].as_f64().unwrap());
        assert!((ours / theirs - 1.0).abs() < 0.02, "{row} {other}");
    }
    let sampled = rows(&ok(&["rank", &model, "--sample", "300", "--top", "3", "--json"]));
    assert_eq!((sampled.len(), sampled[0]["of"].as_u64()), (3, Some(300)));

    let all = rows(&ok(&["rank", &model, "--archs", &candidates, "--top", "40", "--json"]));
    assert_eq!(all, ranked);
    let (_, message) = fails(&["rank", &file("none.lanner")]);
    assert_eq!(message.matches("No such file").count(), 1, "{message}");
}

/// A straight line through latencies goes below zero for some networks: they are ranked all the same.
#[test]
fn predictions_below_zero_are_no_latencies() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (table, model, out) = (file("t.csv"), file("t.lanner"), file("all.csv"));
    let space = Space::NasBench201;
    // Steep among the costly ones, of which alone it knows.
    let known = space.iter().filter(|a| a.codes().iter().filter(|&&c| c == 3).count() >= 3);
    let line = |a: lanner::space::Architecture| {
        let convolutions = a.codes().iter().filter(|&&c| c == 3).count() as f64;
        format!("{},{}\n", space.print(&a), convolutions - 2.9)
    };
    let lines: String = known.step_by(7).map(line).collect();
    std::fs::write(&table, format!("arch,own_ms\n{lines}")).unwrap();
    ok(&["fit", &table, "--metric", "own_ms", "--predictor", "ridge-onehot", "--out", &model]);
    ok(&["rank", &model, "--out", &out]);
    let (all, _) = lanner::data::Table::read(&out, &space).unwrap();
    let latencies = all.column("own_ms").unwrap();
    let least = latencies.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(latencies.len() == 15_625 && least > 0.0 && least < 1e-3, "{least}");
}
