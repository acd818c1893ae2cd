//! Every command in every space.

use std::path::Path;

use crate::common::{ok, rows};
use lanner::data::Table;
use lanner::network::{Cost, Skeleton};
use lanner::predict::metrics::spearman;
use lanner::space::{Space, View};
use rten_tensor::{NdTensor, prelude::*};
use serde_json::Value;

/// Networks of each space.
const COUNT: usize = 24;

/// Numbers in an ONNX file with the layers of `json`: batch norms have a mean and a variance there beside
/// what is trained, slices and paddings say where, and ReLU6 has its two bounds once.
fn numbers_of_onnx(json: &Value) -> u64 {
    let layers = json["layers"].as_array().unwrap();
    let untrained = layers.iter().map(|l| match l["op"].as_str() {
        Some("batch_norm") => 2 * l["shape"][0].as_u64().unwrap(),
        Some("slice") => 3,
        Some("channel_shuffle") => 5 + 4,
        Some("shift") => 8 + 2 * 3,
        _ => 0,
    });
    let bounds = 2 * u64::from(layers.iter().any(|l| l["op"] == "relu6"));
    json["cost"]["params"].as_u64().unwrap() + untrained.sum::<u64>() + bounds
}

fn keeps_limits(space: &Space, cost: &Cost) -> bool {
    let limits = space.limits();
    let pairs = [
        (limits.flops, cost.flops),
        (limits.params, cost.params),
        (limits.memory_bytes, cost.peak_bytes),
    ];
    pairs.iter().all(|(limit, value)| limit.is_none_or(|limit| *value <= limit))
}

/// `name` as on the command line, `small` the options of a small network for 8×8 digits.
fn walk(name: &str, small: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let space = Space::by_name(name).unwrap();
    let lanner = |args: &[&str]| ok(&[args, &["--space", name, "--threads", "1"]].concat());
    let json = |args: &[&str]| rows(&lanner(&[args, &["--json"]].concat()));

    // Texts say all of an architecture.
    let texts = lanner(&["space", "sample", "-n", &COUNT.to_string(), "--seed", "1"]);
    let texts: Vec<&str> = texts.lines().collect();
    let archs: Vec<_> = texts.iter().map(|t| space.parse(t).unwrap()).collect();
    assert_eq!(archs.len(), COUNT, "{name}");
    assert!(texts.iter().zip(&archs).all(|(text, arch)| space.print(arch) == *text), "{name}");
    let info = json(&["space", "info"]);
    let size = info.iter().find(|r| r["fact"] == "architectures").unwrap();
    assert_eq!(size["value"].as_str().unwrap(), space.size().to_string());

    // Costs are those of the file that is deployed, which runs.
    let first = texts[0];
    let onnx = file("first.onnx");
    lanner(&[&["network", first, "--onnx", &onnx], small].concat());
    let network = |more: &[&str]| -> Value {
        let text = lanner(&[&["network", first, "--json"], small, more].concat());
        serde_json::from_str(&text).unwrap()
    };
    let (pruned, written) = (network(&[]), network(&["--as-written"]));
    let mut options = rten::ModelOptions::with_all_ops();
    let model = options.enable_optimization(false).load_file(&onnx).unwrap();
    assert_eq!(model.total_params() as u64, numbers_of_onnx(&pruned), "{name}: {first}");
    let [from, to] = [model.input_ids()[0], model.output_ids()[0]];
    let image = NdTensor::<f32, 4>::full([1, 3, 8, 8], 0.5);
    let outputs = model.run(vec![(from, image.view().into())], &[to], None).unwrap();
    let outputs: NdTensor<f32, 2> = outputs.into_iter().next().unwrap().try_into().unwrap();
    assert!(outputs.iter().all(|v| v.is_finite()), "{name}: {first}");
    assert_eq!(Some(outputs.shape()[1] as u64), pruned["output"][0].as_u64(), "{name}");
    let params = |json: &Value| json["cost"]["params"].as_f64().unwrap();
    assert!(params(&pruned) <= params(&written), "{name}");
    assert!(lanner(&["network", first, "--dot"]).starts_with("digraph"), "{name}");

    // A made-up device on which every parameter takes time, and one half as fast.
    let skeleton = Skeleton::of(&space).unwrap();
    let cost = |arch| Cost::of(&skeleton.build(arch, View::Pruned).unwrap());
    let costs: Vec<Cost> = archs.iter().map(cost).collect();
    let ms: Vec<f64> = costs.iter().map(|c| 1.0 + c.params as f64 / 1e6).collect();
    let table = |file: &str, of: usize, factor: f64| {
        let line = |i: usize| {
            format!("\"{}\",{},{}\n", texts[i].replace('"', "\"\""), factor * ms[i], -ms[i])
        };
        let lines: String = (0..of).map(line).collect();
        std::fs::write(file, format!("arch,own_ms,score\n{lines}")).unwrap();
    };
    let (all, few) = (file("all.csv"), file("few.csv"));
    table(&all, COUNT, 1.0);
    table(&few, 8, 2.0);
    let (fitted, adapted) = (file("fitted.lanner"), file("adapted.lanner"));
    json(&["fit", &all, "--metric", "own_ms", "--folds", "0", "--out", &fitted]);
    let by_ms = |i: &usize, j: &usize| ms[*i].total_cmp(&ms[*j]);
    let best = (0..COUNT).min_by(by_ms).unwrap();
    let worst = (0..COUNT).max_by(by_ms).unwrap();
    let top = json(&["rank", &fitted, "--archs", &all, "--top", &COUNT.to_string()]);
    let place = |i: usize| top.iter().position(|r| r["arch"] == texts[i]).expect("all are ranked");
    assert!(place(best) < COUNT / 2 && place(worst) >= COUNT / 2, "{name}: {top:?}");
    let few = &json(&["adapt", "--sources", &all, "--target", &few, "--out", &adapted])[0];
    assert!(few["spearman"].as_f64().unwrap() > 0.7, "{name}: {few}");
    let top = json(&["rank", &adapted, "--top", "9"]);
    let predicted: Vec<f64> = top.iter().map(|r| r["own_ms"].as_f64().unwrap()).collect();
    assert!(predicted.len() == 9 && predicted.is_sorted(), "{name}: {predicted:?}");

    // Eight measurements of a device that pays for arithmetic rank the others without other devices.
    let macs: Vec<f64> = costs.iter().map(|c| 1.0 + c.macs as f64 / 1e6).collect();
    let line = |i: usize| format!("\"{}\",{}\n", texts[i].replace('"', "\"\""), macs[i]);
    let (few, predicted) = (file("macs.csv"), file("predicted.csv"));
    let lines: String = (0..8).map(line).collect();
    std::fs::write(&few, format!("arch,own_ms\n{lines}")).unwrap();
    json(&["adapt", "--target", &few, "--archs", &all, "--out", &adapted]);
    json(&["rank", &adapted, "--out", &predicted]);
    let (table, _) = Table::read(&predicted, &space).unwrap();
    let row = |i: &usize| table.archs.iter().position(|a| *a == archs[*i]).expect("predicted");
    let of = |i: usize| table.column("own_ms").unwrap()[row(&i)];
    let rest: Vec<f64> = (8..COUNT).map(of).collect();
    assert!(spearman(&rest, &macs[8..]) > 0.7, "{name}: {rest:?} {macs:?}");

    // A search that may try all of a table finds the best within the space's own limits.
    let (source, study) = (format!("table:{all}"), file("study"));
    let budget = COUNT.to_string();
    let search = ["search", "--evaluate", &source, "--metric", "score", "--budget", &budget];
    let chosen = &json(&[&search[..], &["--out", &study]].concat())[0];
    let within: Vec<usize> = (0..COUNT).filter(|&i| keeps_limits(&space, &costs[i])).collect();
    let best = within.iter().copied().min_by(by_ms).unwrap();
    assert_eq!(chosen["score"].as_f64(), Some(-ms[best]), "{name}: {chosen}");
    assert_eq!(chosen["evaluations"].as_u64(), Some(within.len() as u64), "{name}: {chosen}");
    assert!(Path::new(&study).join("report.html").exists(), "{name}");

    // One network for all that run networks.
    let (one, out) = (file("one.txt"), file("out.csv"));
    std::fs::write(&one, format!("{first}\n")).unwrap();
    let run = |command: &[&str], column: &str| -> f64 {
        let _ = std::fs::remove_file(&out);
        let files = ["--archs", &one, "--out", &out];
        lanner(&[command, &files, small].concat());
        let (table, _) = Table::read(&out, &space).unwrap();
        assert_eq!(space.print(&table.archs[0]), *first);
        table.column(column).unwrap()[0]
    };
    let proxies = ["proxies", "--proxies", "params,l2_norm", "--batch", "2"];
    let counted = run(&proxies, "params");
    assert!((1e6 * counted - params(&written)).abs() < 0.5, "{name}: {counted}");
    let measure = ["measure", "--budget", "0.05", "--tolerance", "50", "--no-reference"];
    assert!(run(&measure, "latency_ms") > 0.0, "{name}");
    let chosen = file("chosen.csv");
    lanner(&[&measure[..], &["--choose", "1", "--out", &chosen], small].concat());
    assert_eq!(Table::read(&chosen, &space).unwrap().0.archs.len(), 1, "{name}");
    let train = ["train", "--dataset", "digits", "--epochs", "1", "--batch", "256"];
    let accuracy = run(&train, "test_accuracy");
    assert!(accuracy > 0.0 && accuracy <= 100.0, "{name}: {accuracy}");
}

/// The commands in a space of transformers: those that train need a program of the user's.
fn walk_transformers(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let space = Space::by_name(name).unwrap();
    let lanner = |args: &[&str]| ok(&[args, &["--space", name, "--threads", "1"]].concat());
    let json = |args: &[&str]| rows(&lanner(&[args, &["--json"]].concat()));
    let texts = lanner(&["space", "sample", "-n", &COUNT.to_string(), "--seed", "1"]);
    let texts: Vec<&str> = texts.lines().collect();
    let archs: Vec<_> = texts.iter().map(|t| space.parse(t).unwrap()).collect();
    assert!(lanner(&["space", "info"]).contains("its parameters (million)"), "{name}");
    networks_of_transformers(name, texts[0], &file("net"));

    // Energies of a made-up device, and of one that takes twice as much.
    let mj: Vec<f64> = archs.iter().map(|a| 1.0 + space.flops_and_params(a).unwrap().0).collect();
    let table = |file: &str, of: usize, factor: f64| {
        let line = |i: usize| {
            format!("\"{}\",{},{}\n", texts[i].replace('"', "\"\""), factor * mj[i], -mj[i])
        };
        let lines: String = (0..of).map(line).collect();
        std::fs::write(file, format!("arch,own_energy_mJ,score\n{lines}")).unwrap();
    };
    let (all, few) = (file("all.csv"), file("few.csv"));
    table(&all, COUNT, 1.0);
    table(&few, 8, 2.0);
    let (fitted, adapted) = (file("fitted.lanner"), file("adapted.lanner"));
    json(&["fit", &all, "--metric", "own_energy_mJ", "--folds", "0", "--out", &fitted]);
    let top = json(&["rank", &fitted, "--archs", &all, "--top", &COUNT.to_string()]);
    let best = (0..COUNT).min_by(|&i, &j| mj[i].total_cmp(&mj[j])).unwrap();
    let place = top.iter().position(|r| r["arch"] == texts[best]).expect("all are ranked");
    assert!(place < COUNT / 3, "{name}: {place}");
    let adapt = ["adapt", "--sources", &all, "--target", &few, "--metric", "own_energy_mJ"];
    let few = &json(&[&adapt[..], &["--sample", "500", "--out", &adapted]].concat())[0];
    assert_eq!(few["sources"], 1, "{name}: {few}");
    assert!(few["spearman"].as_f64().unwrap() > 0.7, "{name}: {few}");

    let source = format!("table:{all}");
    let budget = COUNT.to_string();
    let search = ["search", "--evaluate", &source, "--metric", "score", "--budget", &budget];
    let chosen = &json(&[&search[..], &["--out", &file("study")]].concat())[0];
    assert_eq!(chosen["score"].as_f64(), Some(-mj[best]), "{name}: {chosen}");
}

/// Shows the network of a transformer, and writes it where it is small.
fn networks_of_transformers(name: &str, text: &str, file: &str) {
    let space = Space::by_name(name).unwrap();
    let network = ["network", text, "--space", name];
    if !space.is_counted() {
        // Rows that are averages of several networks.
        let (_, why) = crate::common::fails(&network);
        assert!(why.contains("has no network of Lanner's own"), "{why}");
        return;
    }
    let json: Value = serde_json::from_str(&ok(&[&network[..], &["--json"]].concat())).unwrap();
    let blocks = space.stages().unwrap().blocks(&space.parse(text).unwrap());
    let params: f64 = blocks.iter().map(|b| b.params()).sum();
    assert_eq!(json["cost"]["params"].as_f64(), Some(params), "{name}");
    let checked = ok(&["space", "check", name, text, "--json"]);
    let checked: Value = serde_json::from_str(&checked).unwrap();
    assert_eq!(checked[0]["flops"], json["cost"]["flops"], "{name}");
    assert!(ok(&[&network[..], &["--table"]].concat()).contains("Softmax"), "{name}");
    assert!(ok(&[&network[..], &["--dot"]].concat()).starts_with("digraph"), "{name}");
    for option in [["--onnx", "x.onnx", "--int8"], ["--onnx", "x.onnx", "--fold"]] {
        let (_, why) = crate::common::fails(&[&network[..], &option].concat());
        assert!(why.contains("are transformers"), "{why}");
    }
    let (_, why) =
        crate::common::fails(&["train", "--space", name, "--sample", "1", "--out", file]);
    assert!(why.contains("does not run"), "{why}");
    if params > 1e7 {
        return;
    }
    let (onnx, out, archs) = (format!("{file}.onnx"), format!("{file}.csv"), format!("{file}.txt"));
    ok(&[&network[..], &["--onnx", &onnx]].concat());
    let read: Value = serde_json::from_str(&ok(&["network", &onnx, "--json"])).unwrap();
    assert_eq!(read["cost"], json["cost"], "{name}");
    std::fs::write(&archs, format!("{text}\n")).unwrap();
    let measure = ["measure", "--space", name, "--archs", &archs, "--out", &out];
    ok(&[&measure[..], &["--runtime", "rten", "--budget", "0.01", "--no-reference"]].concat());
    let (table, _) = Table::read(&out, &space).unwrap();
    assert!(table.column("latency_ms").unwrap()[0] > 0.0, "{name}");
}

/// Options that make the networks of a space small.
fn small(name: &str) -> Vec<&str> {
    let cells = match name {
        "nasbench101" | "nasbench201" | "transbench101-micro" => "1",
        "darts" => "3",
        _ => return vec!["--channels", "8", "--resolution", "8"],
    };
    vec!["--channels", "8", "--resolution", "8", "--cells", cells]
}

#[test]
fn spaces_with_a_name() {
    let listed = rows(&ok(&["space", "list", "--json"]));
    assert!(listed.len() >= 8);
    for row in listed {
        let name = row["space"].as_str().unwrap();
        match Space::by_name(name).unwrap().stages() {
            Some(_) => walk_transformers(name),
            None => walk(name, &small(name)),
        }
    }
}

#[test]
fn spaces_from_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["cell.toml", "microcontroller.toml", "residual.toml"] {
        let file = folder.join(name).display().to_string();
        walk(&file, &small(name));
    }
    walk_transformers(&folder.join("transformer.toml").display().to_string());
}

/// Networks that Lanner's executor does not run are counted, exported, measured and ranked, and trained by a program
/// of the user's.
fn walk_untrained(name: &str, text: &str, shape: [usize; 4], refused: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let file = folder.join(name).display().to_string();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (onnx, out) = (at("net.onnx"), at("out.csv"));
    let network = ["network", text, "--space", &file];
    let json: Value = serde_json::from_str(&ok(&[&network[..], &["--json"]].concat())).unwrap();
    ok(&[&network[..], &["--onnx", &onnx]].concat());
    let read: Value = serde_json::from_str(&ok(&["network", &onnx, "--json"])).unwrap();
    assert_eq!(read["inputs"][0]["shape"], serde_json::json!(shape));
    for cost in ["flops", "macs", "params"] {
        assert_eq!(read["cost"][cost], json["cost"][cost], "{cost}");
    }
    assert!(ok(&["space", "check", &file]).contains("flops"), "{name}");
    let measure = ["measure", "--space", &file, "--out", &out, "--runtime", "rten"];
    ok(&[&measure[..], &["--sample", "12", "--budget", "0.01", "--precision", "int8"]].concat());
    let fit = ["fit", &out, "--metric", "latency_ms", "--space", &file, "--folds", "2", "--json"];
    assert!(rows(&ok(&fit))[0]["spearman"].is_number(), "{name}");
    let train = ["train", "--space", &file, "--sample", "1", "--dataset", "digits"];
    let (_, why) = crate::common::fails(&[&train[..], &["--out", &at("t.csv")]].concat());
    assert!(why.contains("expected"), "{why}");
    let proxies = ["proxies", "--space", &file, "--sample", "1", "--out", &at("p.csv")];
    let (_, why) = crate::common::fails(&proxies);
    assert!(why.contains(refused), "{why}");
    let evaluate =
        "command:sh -c 'test -s \"$2\" && echo \"{\\\"acc\\\": ${#1}}\"' sh {arch} {onnx}";
    let search = ["search", "--space", &file, "--evaluate", evaluate, "--metric", "acc", "--json"];
    let more = ["--limit", "latency_ms<=1000", "--runtime", "rten", "--latency-samples", "5"];
    let end = ["--budget", "4", "--out", &at("study")];
    let chosen = &rows(&ok(&[&search[..], &more, &end].concat()))[0];
    assert!(chosen["latency_ms"].as_f64().unwrap() > 0.0, "{chosen}");
}

#[test]
fn a_space_of_signals() {
    let text = "w16:conv_k9_relu/w32:sep_k5_relu,mb_k3_e2_relu";
    walk_untrained("keywords.toml", text, [1, 1, 1, 8000], "square kernels");
}

#[test]
fn a_space_of_unets() {
    let text =
        "w16:conv_k3_relu/w32:conv_k5_relu/w64:residual_k3_relu/w48:conv_k3_relu/w16:conv_k1_relu";
    walk_untrained("unet.toml", text, [1, 3, 64, 64], "doubles the resolution");
}
