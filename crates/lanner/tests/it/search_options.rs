//! `lanner search`: the comparison beside its choice, two objectives, several limits, warm starts,
//! proxies, and the errors.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{fails, ok, rows};
use lanner_network::{Cost, Skeleton, View};
use lanner_search::study::{State, Study};
use lanner_space::{Architecture, Space};
use serde_json::Value;

/// 300 networks with a score and the latencies of two devices that dislike different operations.
struct Toy {
    dir: tempfile::TempDir,
    archs: Vec<Architecture>,
    values: BTreeMap<String, [f64; 3]>,
}

const COLUMNS: [&str; 3] = ["score", "one_ms", "two_ms"];

impl Toy {
    fn new() -> Toy {
        let space = Space::NasBench201;
        let archs: Vec<Architecture> = (0..300).map(|i| space.at(i * 52).unwrap()).collect();
        let mut csv = format!("arch,{}\n", COLUMNS.join(","));
        let mut values = BTreeMap::new();
        for arch in &archs {
            let live = space.live(arch);
            let sum = |costs: [f64; 5]| -> f64 {
                let codes = arch.codes().iter().zip(&live).filter(|x| *x.1);
                codes.map(|(&c, _)| costs[usize::from(c)]).sum()
            };
            let text = space.print(arch);
            let score = 90.0 + sum([0.0, 0.1, 1.0, 3.0, 0.5]).ln_1p();
            let row =
                [score, 2.0 + sum([0.0, 0.1, 1.0, 3.0, 0.4]), 1.0 + sum([0.0, 0.5, 0.8, 1.0, 2.0])];
            csv += &format!("{text},{},{},{}\n", row[0], row[1], row[2]);
            values.insert(text, row);
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("toy.csv"), csv).unwrap();
        Toy { dir, archs, values }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn search(&self, out: &str, more: &[&str]) -> Value {
        let (table, out) = (format!("table:{}", self.path("toy.csv")), self.path(out));
        let args = ["search", "--evaluate", &table, "--metric", "score", "--out", &out, "--json"];
        serde_json::from_str(&ok(&[&args, more].concat())).unwrap()
    }

    fn of(&self, arch: &Value) -> [f64; 3] {
        self.values[arch.as_str().unwrap()]
    }
}

fn flops(arch: &Architecture) -> u64 {
    let skeleton = Skeleton::of(&Space::NasBench201).unwrap();
    Cost::of(&skeleton.build(arch, View::Pruned).unwrap()).flops
}

#[test]
fn beside_the_choice_stand_those_by_size_and_by_chance() {
    let toy = Toy::new();
    let latency = format!("{}:one_ms", toy.path("toy.csv"));
    let limited = ["--limit", "latency_ms<=9", "--latency-table", &latency];
    for (name, more) in [("free", &[][..]), ("limited", &limited)] {
        let answer =
            toy.search(name, &[more, &["--budget", "20", "--strategy", "default"]].concat());
        let rows = answer["rows"].as_array().unwrap();
        let choices: Vec<&str> = rows.iter().map(|r| r["choice"].as_str().unwrap()).collect();
        assert_eq!(choices, ["the search", "most FLOPs", "random search"]);
        let within = |text: &String| name == "free" || toy.values[text][1] <= 9.0;
        // The largest of all within the limit, whatever the search evaluated.
        let space = Space::NasBench201;
        let most = toy.archs.iter().filter(|a| within(&space.print(a))).map(flops).max().unwrap();
        let largest = space.parse(rows[1]["best"].as_str().unwrap()).unwrap();
        assert_eq!(flops(&largest), most, "{name}");
        assert_eq!(rows[1]["score"].as_f64().unwrap(), toy.of(&rows[1]["best"])[0]);
        assert!(within(&rows[1]["best"].as_str().unwrap().to_string()));
        // The mean of the best of 20: the chance that all are among the k lowest, k by k.
        let mut all: Vec<f64> = toy.values.iter().filter(|v| within(v.0)).map(|v| v.1[0]).collect();
        all.sort_by(f64::total_cmp);
        let below = |k: usize| -> f64 {
            (0..20).map(|i| k.saturating_sub(i) as f64 / (all.len() - i) as f64).product()
        };
        let mean: f64 = (0..all.len()).map(|k| all[k] * (below(k + 1) - below(k))).sum();
        assert!((rows[2]["score"].as_f64().unwrap() - mean).abs() < 1e-9, "{name}");
        // Neither costs budget.
        assert_eq!(Study::open(toy.path(name)).unwrap().counts().unwrap().spent(), 20);
        assert_eq!(rows[0]["evaluations"], 20);
        // Going on with it asks for no evaluation again.
        let again = ok(&["search", "--resume", "--out", &toy.path(name), "--json"]);
        let again: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["rows"][1]["score"], rows[1]["score"]);
    }
    let text = ok(&["search", "--resume", "--out", &toy.path("free")]);
    assert!(text.contains("most FLOPs") && text.contains("random search"), "{text}");
    // A search without a named folder gives the same.
    let table = format!("table:{}", toy.path("toy.csv"));
    let args = ["search", "--evaluate", &table, "--metric", "score", "--budget", "20", "--json"];
    let unnamed = rows(&ok(&args));
    let free: Value = toy.search("again", &["--budget", "20"]);
    for row in 0..3 {
        assert_eq!(unnamed[row]["score"], free["rows"][row]["score"]);
    }
}

#[test]
fn two_objectives_give_a_front() {
    let toy = Toy::new();
    let latency = format!("{}:one_ms", toy.path("toy.csv"));
    let answer = toy.search(
        "front",
        &["--pareto", "latency_ms", "--latency-table", &latency, "--budget", "30"],
    );
    let front = answer["front"].as_array().unwrap();
    assert!(front.len() > 3, "{answer}");
    let points: Vec<[f64; 2]> = (front.iter())
        .map(|p| {
            let of = toy.of(&p["arch"]);
            assert_eq!(p["score"].as_f64(), Some(of[0]));
            assert_eq!(p["latency_ms"].as_f64(), Some(of[1]));
            [of[0], of[1]]
        })
        .collect();
    let study = Study::open(toy.path("front")).unwrap();
    let done: Vec<[f64; 3]> = study
        .trials()
        .unwrap()
        .iter()
        .map(|t| toy.values[&Space::NasBench201.print(&t.arch)])
        .collect();
    assert_eq!(done.len(), 30);
    for d in &done {
        assert!(points.iter().any(|p| p[0] >= d[0] && p[1] <= d[1]), "{d:?} is beaten by none");
    }
    // The area by strips between one latency and the next.
    let worst = [
        done.iter().map(|d| d[0]).fold(f64::MAX, f64::min),
        done.iter().map(|d| d[1]).fold(f64::MIN, f64::max),
    ];
    assert_eq!(answer["reference"]["score"].as_f64(), Some(worst[0]));
    assert_eq!(answer["reference"]["latency_ms"].as_f64(), Some(worst[1]));
    let mut by_latency = points.clone();
    by_latency.sort_by(|a, b| a[1].total_cmp(&b[1]));
    let ends = by_latency.iter().skip(1).map(|p| p[1]).chain([worst[1]]);
    let area: f64 =
        by_latency.iter().zip(ends).map(|(p, end)| (p[0] - worst[0]) * (end - p[1])).sum();
    assert!((answer["hypervolume"].as_f64().unwrap() - area).abs() < 1e-9);
    // The returned network is the front's best by the first objective.
    let best = points.iter().map(|p| p[0]).fold(f64::MIN, f64::max);
    assert_eq!(answer["rows"][0]["score"].as_f64(), Some(best));
    let shown: Value =
        serde_json::from_str(&ok(&["study", "show", &toy.path("front"), "--json"])).unwrap();
    let ids = |all: &Value, name: &str| -> Vec<i64> {
        all.as_array().unwrap().iter().map(|p| p[name].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&shown["front"], "id"), ids(&answer["front"], "trial"));
    let page = std::fs::read_to_string(Path::new(&toy.path("front")).join("report.html")).unwrap();
    assert!(page.contains("score against latency_ms"));
    let text = ok(&["search", "--resume", "--out", &toy.path("front")]);
    assert!(text.contains("hypervolume"), "{text}");

    // A metric that needs no measuring, within a limit.
    let more = ["--pareto", "params", "--limit", "params<=500000", "--budget", "20"];
    let answer = toy.search("sizes", &more);
    let skeleton = Skeleton::of(&Space::NasBench201).unwrap();
    for point in answer["front"].as_array().unwrap() {
        let arch = Space::NasBench201.parse(point["arch"].as_str().unwrap()).unwrap();
        let params = Cost::of(&skeleton.build(&arch, View::Pruned).unwrap()).params;
        assert_eq!(point["params"].as_f64(), Some(params as f64));
        assert!(params <= 500_000);
    }
    let table = format!("table:{}", toy.path("toy.csv"));
    let same = ["search", "--evaluate", &table, "--metric", "score", "--pareto", "score"];
    let (code, message) = fails(&same);
    assert!(code == 2 && message.contains("--pareto score"), "{message}");
}

#[test]
fn several_columns_are_limited_at_once() {
    let toy = Toy::new();
    let table = toy.path("toy.csv");
    let limits = ["--limit", "one_ms<=9", "--limit", "two_ms<=5.5", "--limit", "params<=1500000"];
    let answer = toy.search("limits", &[&limits[..], &["--budget", "25"]].concat());
    let best = toy.of(&answer["rows"][0]["best"]);
    let possible = toy.values.values().filter(|v| v[1] <= 9.0 && v[2] <= 5.5).map(|v| v[0]);
    assert!(best[1] <= 9.0 && best[2] <= 5.5);
    assert!(best[0] > possible.fold(f64::MIN, f64::max) - 0.2, "{answer}");
    let trials = Study::open(toy.path("limits")).unwrap().trials().unwrap();
    let mut believed = 0;
    for t in &trials {
        let [_, one, two] = toy.values[&Space::NasBench201.print(&t.arch)];
        assert_eq!(t.state == State::Done, one <= 9.0 && two <= 5.5, "{t:?}");
        believed += usize::from(["one_ms", "two_ms"].iter().all(|m| t.predicted.contains_key(*m)));
    }
    // The first are chosen by what is believed of both; later ones are measured before they are.
    assert!(believed >= 10 && trials.len() < 50, "{believed} of {}", trials.len());
    // The second device's table may be another file, and nothing need be written.
    let args = ["search", "--evaluate", &format!("table:{table}"), "--metric", "score", "--json"];
    let second = ["--latency-table", &format!("{table}:one_ms"), "--latency-table", &table];
    let limits = ["--limit", "latency_ms<=9", "--limit", "two_ms<=5.5", "--budget", "15"];
    let answer = rows(&ok(&[&args[..], &second, &limits].concat()));
    let best = toy.of(&answer[0]["best"]);
    assert!(best[1] <= 9.0 && best[2] <= 5.5);
    let (code, message) = fails(&[&args[..], &["--limit", "three_ms<=1"]].concat());
    assert_eq!(code, 2);
    for word in ["three_ms", "two_ms", "latency_ms", "params"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_search_starts_from_tables_and_studies() {
    let toy = Toy::new();
    let cold = toy.search("cold", &["--budget", "20", "--seed", "3"]);
    let from = [
        "--warm-start",
        &format!("{}:one_ms", toy.path("toy.csv")),
        "--warm-start",
        &toy.path("cold"),
    ];
    let warm = toy.search("warm", &[&from[..], &["--budget", "20", "--seed", "4"]].concat());
    // The table's one_ms rises with the score: the best is asked for at the start.
    let study = Study::open(toy.path("warm")).unwrap();
    let trials = study.trials().unwrap();
    let best = toy.values.values().map(|v| v[0]).fold(f64::MIN, f64::max);
    let first = trials.iter().take(10).map(|t| toy.values[&Space::NasBench201.print(&t.arch)][0]);
    assert_eq!(first.fold(f64::MIN, f64::max), best);
    assert_eq!(warm["rows"][0]["score"].as_f64(), Some(best));
    assert_eq!((trials.len(), study.counts().unwrap().imported), (20, 0));
    let origins: Vec<usize> = study.origins().unwrap().into_iter().map(|o| o.1).collect();
    assert_eq!(origins, [300, 20]);
    let shown = ok(&["study", "show", &toy.path("warm")]);
    assert!(shown.contains("toy.csv:one_ms") && shown.contains("300"), "{shown}");
    assert!(cold["rows"][0]["score"].as_f64().unwrap() <= best);

    let table = format!("table:{}", toy.path("toy.csv"));
    let args = ["search", "--evaluate", &table, "--metric", "score", "--budget", "5"];
    let refused = |more: &[&str], word: &str| {
        let (code, message) = fails(&[&args[..], more].concat());
        assert!(code != 101 && message.contains(word), "{message}");
    };
    refused(&["--warm-start", &toy.path("toy.csv:nothing")], "nothing");
    refused(&["--warm-start", &toy.path("none.csv")], "none.csv");
    refused(&["--warm-start", &toy.path("cold"), "--strategy", "random"], "--strategy");
    refused(&["--warm-start", &toy.path("cold"), "--space", "fbnet"], "fbnet");
    refused(&["--latency-samples", "4"], "4 is not in 5..");
}

#[test]
fn proxies_stand_for_trainings() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study").display().to_string();
    let args = ["search", "--evaluate", "proxies", "--metric", "nwot", "--budget", "12"];
    let limit = ["--limit", "params<=150000", "--out", &out, "--json"];
    let answer = rows(&ok(&[&args[..], &limit].concat()));
    let trials = Study::open(&out).unwrap().trials().unwrap();
    let done: Vec<f64> = trials.iter().filter_map(|t| t.metrics.get("nwot").copied()).collect();
    assert_eq!(done.len(), 12);
    assert_eq!(answer[0]["nwot"].as_f64(), done.iter().copied().reduce(f64::max));
    assert!(answer.iter().any(|r| r["choice"] == "random search"), "{answer:?}");
    let none = format!("{out}-none");
    let (_, message) = fails(&[&args[..], &["--limit", "params<=1000", "--out", &none]].concat());
    assert!(message.contains("params <= 1000"), "{message}");
    let args = ["search", "--evaluate", "proxies", "--metric", "val_accuracy"];
    let (code, message) = fails(&args);
    assert!(code == 2 && message.contains("synflow"), "{message}");
}

/// Without a metric, networks are judged by `rank`: a mean of normal scores on a scale of the seed's own.
#[test]
fn rank_is_what_proxies_are_for() {
    let dir = tempfile::tempdir().unwrap();
    let search = |out: &str, parallel: &str| {
        let out = dir.path().join(out).display().to_string();
        let args = ["search", "--evaluate", "proxies", "--limit", "params<=150000", "--cells", "1"];
        let more = ["--budget", "6", "--strategy", "random", "--parallel", parallel, "--json"];
        let answer = rows(&ok(&[&args[..], &more, &["--out", &out]].concat()));
        let trials = Study::open(&out).unwrap().trials().unwrap();
        (answer, trials.into_iter().map(|t| (t.arch, t.metrics)).collect::<Vec<_>>())
    };
    let (answer, trials) = search("one", "1");
    let best = trials.iter().map(|t| t.1["rank"]).reduce(f64::max);
    assert_eq!(answer[0]["rank"].as_f64(), best);
    for member in ["nwot", "swap", "swap_cell", "flops"] {
        assert!(trials.iter().all(|t| t.1.contains_key(member)), "{member}");
    }
    // Better in all members is better in the mean, and no network is far beyond the scale.
    let above = |a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>| {
        a.len() == b.len() && a.iter().filter(|m| m.0 != "rank").all(|(name, v)| v >= &b[name])
    };
    for (_, a) in &trials {
        assert!(a["rank"].abs() < 6.0, "{a:?}");
        assert!(trials.iter().all(|(_, b)| !above(a, b) || a["rank"] >= b["rank"]));
    }
    // The scale does not depend on the number of workers.
    let (_, others) = search("two", "2");
    let mut common = 0;
    for (arch, metrics) in &others {
        for (_, same) in trials.iter().filter(|t| t.0 == *arch) {
            assert_eq!(same, metrics);
            common += 1;
        }
    }
    assert!(common > 0);
}

#[test]
fn what_no_evaluation_tells_is_refused_before_anything_is_measured() {
    let toy = Toy::new();
    let out = toy.path("none");
    let (code, message) = fails(&["search", "--metric", "val_acuracy", "--out", &out]);
    assert_eq!(code, 2);
    for word in ["val_acuracy", "val_accuracy", "test_loss"] {
        assert!(message.contains(word), "{message}");
    }
    let table = format!("table:{}", toy.path("toy.csv"));
    for metric in [&["--metric", "scor"][..], &[]] {
        let args = ["search", "--evaluate", &table, "--out", &out];
        let (code, message) = fails(&[&args[..], metric].concat());
        assert!(code == 2 && message.contains("score"), "{message}");
    }
    let (code, message) = fails(&["search", "--limit", "accuracy<=3", "--out", &out]);
    assert!(code == 2 && message.contains("latency_ms"), "{message}");
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_file_has_the_options() {
    let toy = Toy::new();
    let file = toy.path("study.toml");
    let text = |budget: &str| {
        format!(
            "evaluate = 'table:{}'\nmetric = 'score'\nbudget = {budget}\nlimit = ['two_ms<=6']\nout = '{}'\njson = true\n",
            toy.path("toy.csv"),
            toy.path("of-file")
        )
    };
    std::fs::write(&file, text("12")).unwrap();
    let answer = rows(&ok(&["search", &file]));
    assert_eq!(answer[0]["evaluations"], 12);
    assert!(toy.of(&answer[0]["best"])[2] <= 6.0);
    let answer = rows(&ok(&["search", &file, "--resume", "--budget", "15"]));
    assert_eq!(answer[0]["evaluations"], 15);
    std::fs::write(&file, text("'many'")).unwrap();
    let (code, message) = fails(&["search", &file]);
    assert!(code == 2 && message.contains("study.toml, line 3: budget"), "{message}");
    std::fs::write(&file, text("3") + "latency-tabel = 'x'\n").unwrap();
    let (code, message) = fails(&["search", &file]);
    assert!(code == 2 && message.contains("line 7: latency-tabel"), "{message}");
    assert!(message.contains("latency-table"), "{message}");
}
