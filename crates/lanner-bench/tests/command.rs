//! The command as its users call it.

use std::process::{Command, Output};

use lanner_data::Table;
use lanner_predict::Pool;
use lanner_predict::accuracy::adapted::{TaskPredictor, TaskTable};
use lanner_predict::latency::adapted::{AdaptedLatency, DeviceTable, OtherSpace};
use lanner_predict::metrics::spearman;
use lanner_predict::predictor::Predictor;
use lanner_space::Space;
use rand::RngExt;
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

    // What `lanner adapt` makes of the same tables.
    let space = Space::by_name("transbench101-micro").unwrap();
    let read = |task| {
        let file = format!("{dir}/transbench101/micro_proxies.csv");
        Table::read_where(file, &space, "dataset", task).unwrap().0
    };
    let (scene, object) = (read("class_scene"), read("class_object"));
    let values = scene.column("val_accuracy").unwrap();
    let one_seed = |seed| {
        let rows = shuffled(values, seed);
        let mut target = scene.clone();
        let own = target.names.iter().position(|n| n == "val_accuracy").unwrap();
        rows[10..].iter().for_each(|&r| target.columns[own][r] = f64::NAN);
        let task = |table| TaskTable::new("a task", table, "val_accuracy").unwrap();
        let adapted = TaskPredictor::fit(task(&target), vec![task(&object)], vec![]).unwrap();
        spearman_of_rest(&adapted.predict(&scene.archs).mean, values, &rows[10..])
    };
    let mean = (0..2).map(one_seed).sum::<f64>() / 2.0;
    let bench = of[&("micro-scene", "default")];
    assert!((mean - bench).abs() < 1e-6, "{mean} {bench}");
}

/// The rows with a value in the order in which benches draw them.
fn shuffled(values: &[f64], seed: u64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_finite()).collect();
    let mut rng = lanner_nn::rng(seed, "train and test split");
    for i in (1..rows.len()).rev() {
        rows.swap(i, rng.random_range(0..=i));
    }
    rows
}

fn spearman_of_rest(said: &[f64], truth: &[f64], rest: &[usize]) -> f64 {
    let of = |values: &[f64]| rest.iter().map(|&r| values[r]).collect::<Vec<f64>>();
    spearman(&of(said), &of(truth))
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
        let (code, message) = fails(&[&base[..3], &more].concat());
        assert!(code == 2 && message.contains(part), "{message}");
    }
    let more = ["--device", "titanx_1", "--measured", "40+4", "--seeds", "2", "--json"];
    let methods = ["--method", "transfer,no-transfer,references,simulated"];
    let table = rows(&ok(&[&base[..], &more, &methods].concat()));
    assert_eq!(table.len(), 2, "a device and the mean");
    let of = |name: &str| table[0][name].as_f64().unwrap();
    assert!((of("transfer") - of("no-transfer") - of("gain")).abs() < 1e-9);
    assert!(of("gain") > 0.0 && of("references") > 0.8 && of("simulated") > 0.4, "{table:?}");
    assert_eq!(table[1]["device"], "mean of 1");

    // With all other devices as references, `lanner adapt --from-space` makes the same of the tables.
    let all = ["--method", "transfer", "--references", "21"];
    let table = rows(&ok(&[&base[..], &more, &all].concat()));
    let read = |file, space| Table::read(format!("{dir}/{file}"), &space).unwrap().0;
    let cells = read("nasbench201/latency_help.csv", Space::NasBench201);
    let chains = read("fbnet/latency_and_proxies.csv", Space::Fbnet);
    let own = "titanx_1_ms";
    let shared = |name: &&String| name.ends_with("_ms") && chains.names.contains(name);
    let shared: Vec<String> = cells.names.iter().filter(shared).cloned().collect();
    assert_eq!(shared.len(), 22);
    let part = |table: &Table, names: &[&str], rows: &[usize]| {
        let table = table.select(rows).unwrap();
        let columns = names.iter().map(|n| table.column(n).unwrap().to_vec()).collect();
        let names = names.iter().map(|n| n.to_string()).collect();
        let table = Table::new(table.space.clone(), table.archs.clone(), names, columns);
        DeviceTable::new("devices", &table.unwrap(), None).unwrap()
    };
    let others: Vec<&str> = shared.iter().map(String::as_str).filter(|n| *n != own).collect();
    let whole = |table: &Table| part(table, &others, &(0..table.len()).collect::<Vec<_>>());
    let sources = [whole(&chains)];
    let one_seed = |seed| {
        let rows = shuffled(chains.column(own).unwrap(), seed);
        let there = &shuffled(cells.column(own).unwrap(), seed)[..40];
        let tables = [whole(&cells), part(&cells, &[own], there)];
        let target = part(&chains, &[own], &rows[..4]);
        let pool = Pool::new(Space::Fbnet, chains.archs.clone());
        let elsewhere = Some(OtherSpace { tables: &tables, device: own });
        let adapted = AdaptedLatency::from_tables(pool, &target, &sources, elsewhere).unwrap();
        let said = adapted.predict(&chains.archs).mean;
        spearman_of_rest(&said, chains.column(own).unwrap(), &rows[4..])
    };
    let mean = (0..2).map(one_seed).sum::<f64>() / 2.0;
    let bench = table[0]["transfer"].as_f64().unwrap();
    assert!((mean - bench).abs() < 1e-6, "{mean} {table:?}");
}
