//! `lanner measure` as users call it.

use std::{collections::HashMap, fs, path::Path, process::Command, time::Duration};

use crate::common::{fails, ok, rows};
use lanner::{data::Table, space::Space};

/// Small networks, so that tests are short, in the runtime that is always there.
#[rustfmt::skip]
const SMALL: [&str; 8] = ["--channels", "4", "--cells", "1", "--resolution", "16", "--budget", "0.02"];
const RTEN: [&str; 2] = ["--runtime", "rten"];

fn measure<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let runtime = if more.contains(&"--runtime") { &[] } else { &RTEN[..] };
    [&["measure", "--out", out], more, &SMALL, runtime].concat()
}

fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).display().to_string()
}

fn table(file: &str) -> Table {
    Table::read(file, &Space::NasBench201).unwrap().0
}

#[test]
fn a_table_is_measured_once_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let out = path(&dir, "t.csv");
    let first = rows(&ok(&measure(&out, &["--sample", "4", "--seed", "3", "--json"])));
    assert_eq!((first[0]["measured"].as_u64(), first[0]["found"].as_u64()), (Some(4), Some(0)));
    // A larger sample of the same seed begins with the smaller one.
    let second = rows(&ok(&measure(&out, &["--sample", "6", "--seed", "3", "--json"])));
    assert_eq!((second[0]["measured"].as_u64(), second[0]["found"].as_u64()), (Some(2), Some(4)));
    let known = table(&out);
    assert_eq!(known.len(), 6);
    assert!(known.column("latency_ms").unwrap().iter().all(|&ms| ms > 0.0 && ms < 1000.0));
    let text = fs::read_to_string(&out).unwrap();
    for part in
        ["# runtime: rten ", "# threads: 1", "# precision: f32", "# device: ", "# reference_ms: "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(path_exists(&path(&dir, "t.blocks.csv")));
    // A second table in the first one's terms has its reference latency.
    let again = path(&dir, "again.csv");
    ok(&measure(&again, &["--sample", "2", "--seed", "3", "--baseline", &out]));
    let line = |file: &str| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().find(|l| l.starts_with("# reference_ms")).unwrap().to_string()
    };
    assert_eq!(line(&again), line(&out));
    // A command that learns from the table tells the skeleton's sizes.
    let adapted = crate::common::lanner(&["adapt", "--target", &out]);
    let message = crate::common::text(&adapted.stderr);
    assert!(adapted.status.success(), "{message}");
    assert!(message.contains("(published: 16 channels, 5 cells, 32 pixels"), "{message}");
    // Other settings do not come into the file.
    let (code, message) = fails(&measure(&out, &["--sample", "6", "--seed", "3", "--batch", "2"]));
    assert_eq!(code, 1);
    assert!(message.contains("other settings") && message.contains("batch is '2'"), "{message}");
    assert_eq!(fs::read_to_string(&out).unwrap(), text);
}

fn path_exists(path: &str) -> bool {
    Path::new(path).is_file()
}

#[test]
#[cfg(unix)]
fn killed_and_resumed_it_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = path(&dir, "t.csv");
    let args = measure(&out, &["--sample", "30"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_lanner")).args(&args).spawn().unwrap();
    let rows_in = |text: &str| text.lines().filter(|l| l.starts_with('|')).count();
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(50));
        if fs::read_to_string(&out).is_ok_and(|t| rows_in(&t) >= 2) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = rows_in(&fs::read_to_string(&out).unwrap());
    let resumed = rows(&ok(&[&args[..], &["--json"]].concat()));
    let count = |name: &str| resumed[0][name].as_u64().unwrap() as usize;
    assert!((2..30).contains(&before), "{before}");
    assert_eq!((count("found"), count("found") + count("measured")), (before, 30));
    assert_eq!(table(&out).len(), 30);
}

/// A device that is a script: 1 ms and a bit for each byte that the model has.
#[test]
#[cfg(unix)]
fn a_command_is_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let (out, script) = (path(&dir, "t.csv"), path(&dir, "bench.sh"));
    fs::write(&script, "wc -c < $1 | awk '{ print 1 + $1 / 100000 }'\n").unwrap();
    let line = format!("sh {script} {{onnx}} {{runs}}");
    let runtime = ["--sample", "3", "--runtime", "command", "--retries", "0"];
    let script = [&runtime[..], &["--device", "script", "--command", &line]].concat();
    ok(&measure(&out, &script));
    let times: Vec<f64> = table(&out).column("latency_ms").unwrap().to_vec();
    assert!(times.iter().all(|&ms| ms > 1.0 && ms < 10.0), "{times:?}");
    assert!(fs::read_to_string(&out).unwrap().contains("# device: script"));
    // A dead one pauses the campaign, and says how to go on.
    let other = path(&dir, "u.csv");
    let dead = [&runtime[..], &["--device", "none", "--command", "false {onnx}"]].concat();
    let (code, message) = fails(&measure(&other, &dead));
    assert!(code == 1 && message.contains("goes on from there"), "{message}");
}

#[test]
fn layers_measured_alone_sum_up_to_networks() {
    let dir = tempfile::tempdir().unwrap();
    let (out, archs) = (path(&dir, "t.csv"), path(&dir, "archs.txt"));
    fs::write(&archs, "333333\n000000\n300000\n\n222222\n").unwrap();
    let layers = rows(&ok(&measure(&out, &["--archs", &archs, "--layer-wise", "--json"])));
    let sums = table(&out);
    assert_eq!(sums.len(), 4);
    assert!(path_exists(&path(&dir, "t.layers.csv")));
    // 333333 has the most layers of the costliest kind, 000000 only what all have.
    let ms: HashMap<String, f64> = (sums.archs.iter())
        .map(|a| a.codes().iter().map(|c| c.to_string()).collect())
        .zip(sums.column("latency_ms").unwrap().iter().copied())
        .collect();
    assert!(ms["333333"] > ms["222222"] && ms["222222"] > ms["000000"], "{ms:?}");
    // An operation that leads nowhere costs nothing: 3 on the first edge alone is dead.
    assert_eq!(ms["300000"], ms["000000"]);
    assert!(
        layers.iter().any(|l| l["layer"] == "conv 3×3" && l["latency_ms"].as_f64() > Some(0.0))
    );
}

#[test]
fn the_most_informative_are_chosen_and_tables_joined() {
    let dir = tempfile::tempdir().unwrap();
    let (out, joined) = (path(&dir, "t.csv"), path(&dir, "both.csv"));
    ok(&measure(&out, &["--choose", "3"]));
    let one = format!("a_ms={out}:latency_ms");
    let two = format!("b_ms={out}:latency_ms");
    assert!(ok(&["table", "join", &one, &two, "--unique", "--out", &joined]).starts_with("3 arch"));
    let table = table(&joined);
    assert_eq!(table.names, ["a_ms", "b_ms"]);
    assert_eq!(table.columns[0], table.columns[1]);
    assert!(fs::read_to_string(&joined).unwrap().contains("# a_ms: runtime: rten"));
    assert_eq!(fails(&["table", "join", "a_ms=x.csv", "--out", &joined]).0, 2);
}

#[test]
fn bad_input_says_what() {
    let dir = tempfile::tempdir().unwrap();
    let out = path(&dir, "t.csv");
    for (args, expected, expected_code) in [
        (vec!["--sample", "0"], "--sample is 0, expected 1 to 15625", 2),
        (vec!["--sample", "20000"], "--sample is 20000", 2),
        (vec!["--all", "--sample", "3"], "cannot be used with", 2),
        (vec!["--sample", "3", "--tolerance", "-1"], "--tolerance", 2),
        (vec!["--sample", "3", "--cores", "9999"], "--cores: ", 2),
        (vec!["--sample", "3", "--runtime", "command"], "--command", 2),
        (vec!["--archs", "no-such-file.txt"], "no-such-file.txt", 1),
    ] {
        let (code, message) = fails(&measure(&out, &args));
        assert!(message.contains(expected), "{args:?}: {message}");
        assert_eq!(code, expected_code, "{args:?}: {message}");
        assert!(!path_exists(&out), "{args:?} left a file");
    }
    let archs = path(&dir, "archs.txt");
    fs::write(&archs, "333333\n|bad~0|\n").unwrap();
    let (_, message) = fails(&measure(&out, &["--archs", &archs]));
    assert!(message.contains("line 2"), "{message}");
    // A table is not measured, and nothing is profiled in no time.
    let (code, message) = fails(&measure(&out, &[&archs]));
    assert!(code == 2 && message.contains("expected a file that ends in .onnx"), "{message}");
    let profile = path(&dir, "cpu.lanner");
    let (code, message) = fails(&["profile", "--minutes", "0", "--out", &profile]);
    assert!(code == 2 && message.contains("--minutes is 0"), "{message}");
    assert!(!path_exists(&out) && !path_exists(&profile));
    let (_, message) = fails(&measure("no-such-folder/t.csv", &["--sample", "3"]));
    assert!(message.contains("no folder no-such-folder"), "{message}");
}

#[test]
fn damaged_files_are_left_out_of_predictions() {
    use lanner::network::onnx;
    use lanner::predict::latency::any_network::{AnyLatency, Counted, Origin, Sample};

    let dir = tempfile::tempdir().unwrap();
    let profile = path(&dir, "toy.lanner");
    let sample = |n| {
        let graph = onnx::read(&onnx::probe(n), &Default::default()).unwrap();
        let latency = 0.01 + graph.cost().macs as f64 / 1e7;
        Sample { network: Counted::of(&graph), latency, origin: Origin::Probe }
    };
    let samples: Vec<Sample> = (0..40).map(sample).collect();
    AnyLatency::fit(&samples, "latency_ms").unwrap().save(Path::new(&profile)).unwrap();
    let [good, damaged] = ["a.onnx", "b.onnx"].map(|name| path(&dir, name));
    fs::write(&good, onnx::probe(50)).unwrap();
    fs::write(&damaged, &onnx::probe(51)[..40]).unwrap();

    let folder = dir.path().display().to_string();
    let rows = rows(&ok(&["latency", &folder, "--predictor", &profile, "--json"]));
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["latency_ms"].as_f64().unwrap() > 0.0 && rows[0].get("note").is_none());
    assert!(rows[1]["note"].as_str().unwrap().contains("damaged"), "{:?}", rows[1]);
    // Alone, or if none can be read, it is an error.
    assert!(fails(&["latency", &damaged, "--predictor", &profile]).1.contains("b.onnx"));
    let message = fails(&["latency", &damaged, &damaged, "--predictor", &profile]).1;
    assert!(message.contains("none of 2 files"), "{message}");
    let message = fails(&["rank", &profile]).1;
    assert!(
        message.contains(&format!("lanner latency FILE.onnx --predictor {profile}")),
        "{message}"
    );
}

#[test]
fn files_are_measured_at_the_sizes_that_are_asked_for() {
    use lanner::network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};

    let dir = tempfile::tempdir().unwrap();
    let space = Space::NasBench201;
    let net = Skeleton::of(&space).unwrap().build(&space.parse("333333").unwrap(), View::Pruned);
    let net = net.unwrap();
    let weights = Weights::init(&net, Init::default());
    let file = |name: &str, batch| {
        let options = OnnxOptions { batch, ..OnnxOptions::default() };
        fs::write(path(&dir, name), onnx::encode(&net, &weights, options).unwrap()).unwrap();
        path(&dir, name)
    };
    let (open, fixed) = (file("open.onnx", None), file("fixed.onnx", Some(1)));
    let measured = |onnx: &str, table: &str, more: &[&str]| {
        let out = path(&dir, table);
        let args =
            ["measure", onnx, "--out", &out, "--runtime", "rten", "--no-reference", "--json"];
        rows(&ok(&[&args, &["--budget", "0.2"][..], more].concat())).remove(0)
    };
    let ms = |row: &serde_json::Value| row["latency_ms"].as_f64().unwrap();
    let one = ms(&measured(&open, "1.csv", &[]));
    for (table, more) in [("8.csv", ["--batch", "8"]), ("d.csv", ["--dim", "batch=8"])] {
        let eight = ms(&measured(&open, table, &more));
        assert!(eight > 3.0 * one, "{eight} ms for 8 inputs, {one} ms for one");
    }
    // The table says so, and the sizes are those by which a profile reads the files.
    let sizes = |table: &str| {
        lanner::evaluate::measure::measured_sizes(Path::new(&path(&dir, table))).unwrap()
    };
    assert_eq!(sizes("8.csv").batch, Some(8));
    assert_eq!(sizes("d.csv").dims, [("batch".to_string(), 8)]);
    assert_eq!(sizes("1.csv"), onnx::ReadOptions::default());

    let row = measured(&fixed, "f.csv", &["--batch", "8"]);
    let note = row["note"].as_str().unwrap();
    assert!(note.contains("fixed to 1, not 8") && row.get("latency_ms").is_none(), "{note}");
    let out = path(&dir, "none.csv");
    for (more, expected) in [
        (["--precision", "int8"], "onnxruntime.quantization"),
        (["--dim", "seq=8"], "no input has an open dimension 'seq'"),
    ] {
        let (code, message) = fails(&[&["measure", &open, "--out", &out], &more[..]].concat());
        assert!(code == 2 && message.contains(expected), "{message}");
    }
    let twice = ["measure", &open, "--out", &out, "--dim", "batch=8", "--dim", "batch=9"];
    assert!(fails(&twice).1.contains("--dim batch=9: batch is given twice"));
    let profile = path(&dir, "cpu.lanner");
    let message = fails(&["profile", "--out", &profile, "--batch", "2"]).1;
    assert!(message.contains("--batch is 2, expected 1"), "{message}");
}
