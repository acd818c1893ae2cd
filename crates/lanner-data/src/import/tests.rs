//! Tests with the published files, where they are present, and with small ones of the same form made
//! by tests/make_fixtures.py.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::{pickle::Limits, pickle_file::load};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn import(format: Format, files: &[PathBuf]) -> Result<Imported, DataError> {
    read(format, files, &Space::NasBench201, &|_, _| {})
}

fn message(format: Format, files: &[PathBuf]) -> String {
    import(format, files).expect_err("should be refused").to_string()
}

/// Asserts that the published table, with six significant digits and at most six decimals, has every
/// column of `ours`.
fn compare(ours: &Table, published: &Path) {
    let (theirs, _) = Table::read(published, &Space::NasBench201).unwrap();
    for (name, column) in ours.names.iter().zip(&ours.columns) {
        let mut compared = 0;
        for (arch, &a) in ours.archs.iter().zip(column) {
            let b = theirs.value(name, arch).unwrap().unwrap_or(f64::NAN);
            assert!(
                (a - b).abs() <= 6e-6 * b + 5e-7 || (a.is_nan() && b.is_nan()),
                "{name} of {arch:?}: {a} and {b}"
            );
            compared += usize::from(!a.is_nan());
        }
        let there = theirs.column(name).unwrap().iter().filter(|v| !v.is_nan()).count();
        assert_eq!(compared, there, "{name}");
    }
}

fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let wanted = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(prefix);
    let mut files: Vec<PathBuf> = entries.filter(wanted).collect();
    files.sort();
    files
}

#[test]
fn help_files_equal_the_published_table() {
    let Some(data) = lanner_testing::published("") else { return };
    // The files include the folder's own index file.
    let imported = import(Format::Help, &files(&data.join("raw/help"), "nasbench201_")).unwrap();
    assert_eq!(imported.table.len(), 15_625);
    assert!(imported.table.names.contains(&"titan_rtx_256_ms".into()));
    assert_eq!(imported.table.names.len(), 8);
    assert_eq!(imported.notes.len(), 1);
    compare(&imported.table, &data.join("nasbench201/latency_help.csv"));

    // Without it, the order is the official one, which is the same.
    let alone = import(Format::Help, &[data.join("raw/help/nasbench201_pixel3.pt")]).unwrap();
    assert_eq!(alone.table.archs, imported.table.archs);
    assert_eq!(alone.table.columns[0], imported.table.column("pixel3_ms").unwrap());
}

#[test]
fn latbench_files_equal_the_published_table() {
    let Some(data) = lanner_testing::published("") else { return };
    let imported = import(Format::LatBench, &files(&data.join("raw/latbench"), "")).unwrap();
    assert_eq!(imported.table.len(), 15_284);
    assert_eq!(imported.table.names.len(), 4);
    compare(&imported.table, &data.join("nasbench201/latency_latbench.csv"));
}

#[test]
fn fbnet_has_the_published_latencies_of_its_architectures() {
    let Some(data) = lanner_testing::published("") else { return };
    let file = |name: &str| data.join("raw/help").join(name);
    let files = ["fbnet_fpga.pt", "fbnet_metainfo.pt", "fbnet_pixel3.pt"].map(file);
    let got = read(Format::Help, &files, &Space::Fbnet, &|_, _| {}).unwrap().table;
    assert_eq!((got.len(), &got.names[..]), (5000, &["fpga_ms".into(), "pixel3_ms".into()][..]));
    let (known, _) =
        Table::read(data.join("fbnet/latency_and_proxies.csv"), &Space::Fbnet).unwrap();
    for name in &got.names {
        let ours = got.column(name).unwrap();
        for (arch, ours) in got.archs.iter().zip(ours) {
            let theirs = known.value(name, arch).unwrap().expect("the same architectures");
            assert!((ours / theirs - 1.0).abs() < 1e-5, "{name}: {ours} {theirs}");
        }
    }
    let error = |files: &[PathBuf], space: &Space| {
        read(Format::Help, files, space, &|_, _| {}).unwrap_err().to_string()
    };
    let message = error(&files[..1], &Space::Fbnet);
    assert!(message.contains("give that file, too"), "{message}");
    let message = error(&files[..1], &Space::NasBench201);
    assert!(message.contains("search space fbnet, not of nasbench201"), "{message}");
    // A file with another name is still not a table of this space.
    let dir = tempfile::tempdir().unwrap();
    let renamed = dir.path().join("device.pt");
    std::fs::copy(&files[0], &renamed).unwrap();
    let message = error(&[renamed], &Space::NasBench201);
    assert!(message.contains("5000 latencies, expected 15625"), "{message}");
    let broken = dir.path().join("fbnet_metainfo.pt");
    std::fs::copy(&files[0], &broken).unwrap();
    let message = error(&[broken], &Space::Fbnet);
    assert!(message.contains("give that file, too"), "{message}");
}

/// Lines of a table with an architecture in quotes, and its numbers.
fn quoted_lines(text: &str) -> Vec<(String, Vec<f64>)> {
    let line = |line: &str| {
        let (arch, numbers) = line[1..].split_once("\",").expect("an architecture in quotes");
        let numbers = numbers.split(',').map(|n| n.parse().expect("a number")).collect();
        (arch.replace("\"\"", "\""), numbers)
    };
    text.lines().skip(1).map(line).collect()
}

#[test]
fn mobilenetv3_has_the_published_latencies_of_its_networks() {
    let Some(file) = lanner_testing::published("mobilenetv3/latency_help.csv") else { return };
    let lines = quoted_lines(&std::fs::read_to_string(&file).unwrap());
    let space = Space::MobileNetV3;
    let Imported { table, notes } =
        read(Format::Csv, std::slice::from_ref(&file), &space, &|_, _| {}).unwrap();
    assert_eq!(table.names.len(), 9);
    assert_eq!(
        (table.names[0].as_str(), table.names[8].as_str()),
        ("2080ti_1_ms", "titan_xp_64_ms")
    );
    // Kernels and expansions of layers that a depth leaves out are given, but name no other network.
    let mut of_network: std::collections::HashMap<String, Vec<usize>> = Default::default();
    for (i, (text, numbers)) in lines.iter().enumerate() {
        let lists: Vec<Vec<u32>> = (text.split('[').skip(1))
            .map(|l| l.split(']').next().unwrap_or_default())
            .map(|l| l.split(',').map(|n| n.trim().parse().unwrap()).collect())
            .collect();
        let [kernels, expansions, depths, resolution] = &lists[..] else { panic!("{text}") };
        let mut name = format!("{}:", resolution[0]);
        for (stage, &depth) in depths.iter().enumerate() {
            let layers = 4 * stage..4 * stage + depth as usize;
            let layers = layers.map(|l| format!("{}{}", kernels[l], expansions[l]));
            name += if stage > 0 { "/" } else { "" };
            name += &layers.collect::<Vec<_>>().join(",");
        }
        let arch = space.parse(text).unwrap();
        assert_eq!(space.print(&arch), space.print(&space.parse(&name).unwrap()), "{text}");
        assert_eq!(numbers.len(), 9);
        of_network.entry(name).or_default().push(i);
    }
    assert_eq!((lines.len(), table.len()), (5000, of_network.len()));
    let merged = notes.iter().any(|note| note.contains("repeated rows merged"));
    assert_eq!(merged, of_network.len() < lines.len(), "{notes:?}");
    for (name, rows) in &of_network {
        let arch = space.parse(name).unwrap();
        for (column, metric) in table.names.iter().enumerate() {
            let value = table.value(metric, &arch).unwrap().expect("it is in the file");
            let given = rows.iter().map(|&row| lines[row].1[column]);
            let (least, most) =
                given.fold((f64::INFINITY, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
            assert!((least..=most).contains(&value), "{metric} of {name}: {value}");
        }
    }
    // A network that the space has not is named with its line.
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("wrong.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    let head: Vec<&str> = text.lines().take(3).collect();
    std::fs::write(&wrong, head.join("\n").replacen("\"\"d\"\": [2", "\"\"d\"\": [9", 1)).unwrap();
    let error = read(Format::Csv, &[wrong], &space, &|_, _| {}).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn csv_files_are_joined() {
    let Some(data) = lanner_testing::published("") else { return };
    let folder = data.join("nasbench201");
    let parts =
        ["latency_help.csv", "latency_latbench.csv", "accuracy.csv", "metad2a_candidates.csv"];
    let all = import(Format::Csv, &parts.map(|p| folder.join(p))).unwrap();
    assert_eq!(all.table.len(), 15_625);
    assert_eq!(all.notes, [format!("{}: skipped idx, ops", folder.join("accuracy.csv").display())]);
    let missing = |name| all.table.column(name).unwrap().iter().filter(|v| v.is_nan()).count();
    assert_eq!(missing("c10_test_200"), 0);
    assert_eq!(missing("cifar100_test_accuracy"), 15_625 - 500);
    assert_eq!(missing("desktop-gpu-gtx-1080ti-fp32_ms"), 341);
}

/// Mean over seeds of the accuracy by make_fixtures.py's formula.
fn accuracy(index: f64, set: f64, seeds: &[f64], last_epoch: f64) -> f64 {
    let values = seeds.iter().map(|s| 10.0 * index + set + s / 1000.0 + last_epoch / 10.0);
    values.sum::<f64>() / seeds.len() as f64
}

fn check_results(table: &Table, rows: usize) {
    assert_eq!(table.len(), rows);
    let space = &table.space;
    let (full, less) = ([777.0, 888.0], [777.0]);
    for index in 0..rows {
        let arch = space.at(index as u128).unwrap();
        let i = index as f64;
        for (name, expected) in [
            ("cifar10_test_200", accuracy(i, 0.0, &full, 3.0)),
            ("cifar10_test_12", accuracy(i, 0.0, &less, 1.0)),
            ("cifar10-valid_val_200", accuracy(i, 0.0, &full, 3.0)),
            ("cifar10-valid_test_200", accuracy(i, 1.0, &full, 3.0)),
            ("ImageNet16-120_test_12", accuracy(i, 1.0, &less, 1.0)),
            ("ImageNet16-120_valtest_200", accuracy(i, 2.0, &full, 3.0)),
            ("cifar10_flops_M", 100.0 + i),
            ("cifar100_params_M", 0.5 + i),
            ("cifar10_latency_ms", 20.0),
        ] {
            let value = table.value(name, &arch).unwrap();
            if index == 2 && name.starts_with("cifar100") {
                assert_eq!(value, None);
            } else {
                assert!(
                    (value.unwrap() - expected).abs() < 1e-9,
                    "{name} of {index}: {value:?}, {expected}"
                );
            }
        }
    }
    assert!(table.column("cifar100_latency_ms").is_err());
}

#[test]
fn nasbench201_file_gives_means_of_the_last_epoch() {
    let imported = import(Format::NasBench201, &[fixture("nasbench201.pth")]).unwrap();
    check_results(&imported.table, 3);
}

#[test]
fn natsbench_folder_gives_the_same() {
    let imported = import(Format::NatsBench, &[fixture("natsbench")]).unwrap();
    check_results(&imported.table, 2);
    let one = import(Format::NatsBench, &[fixture("natsbench/000001.pickle.pbz2")]).unwrap();
    assert_eq!(one.table.archs, imported.table.archs[1..]);
}

#[test]
fn files_of_another_kind_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let html = put("page.pt", b"<html>Quota exceeded</html>");
    let empty = put("empty.pickle", b"");
    let evil = put("evil.pickle", b"cos\nsystem\n(S'true'\ntR.");
    let zip = put("other.pt", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let negative = put("negative.pickle", b"}(K\x00K\x00K\x00K\x00K\x00K\x00tF-1\ns.");
    let short = put("short.pickle", b"}(K\x00K\x00tF1\ns.");
    let code = put("code.pickle", b"}(K\x00K\x00K\x00K\x00K\x00K\x07tF1\ns.");
    let list = put("list.pickle", b"](F1\nF2\ne.");
    let nan = put("nan.pickle", b"}(K\x00K\x00K\x00K\x00K\x00K\x00tFnan\ns.");
    let missing = dir.path().join("missing.pt");
    for (format, path, says) in [
        (Format::Help, &html, "page.pt, byte 0: byte 0x3c is not an opcode; is this a pickle?"),
        (Format::Help, &empty, "empty.pickle: the file is empty"),
        (
            Format::Help,
            &evil,
            "evil.pickle, byte 0: refused, because the pickle wants the Python global 'os.system'",
        ),
        (Format::Help, &zip, "a zip file, but not of torch.save"),
        (Format::Help, &list, "2 latencies, expected 15625"),
        (Format::Help, &missing, "cannot read"),
        (
            Format::LatBench,
            &negative,
            "the latency of [0, 0, 0, 0, 0, 0] is -1, expected more than 0 seconds",
        ),
        (Format::LatBench, &nan, "is NaN, expected more than 0 seconds"),
        (Format::LatBench, &short, "expected 6 codes, got 2"),
        (Format::LatBench, &code, "code 7 at position 5 is not below 5"),
        (Format::LatBench, &list, "a dict of tuples to seconds expected, found a list"),
        (Format::NasBench201, &list, "neither a dict with 'arch2infos' nor named by an index"),
        (Format::NatsBench, &dir.path().to_owned(), "no results in the folder"),
        (Format::Csv, &html, "a table is a .csv or a .parquet file, by its extension"),
    ] {
        let message = message(format, std::slice::from_ref(path));
        assert!(message.contains(says), "{message}\n  lacks {says}");
    }
}

#[test]
fn torch_tensors_are_read_from_both_containers() {
    for name in ["tensors.pt", "tensors_legacy.pt"] {
        let path = fixture(name);
        let pickle = load(&path, Limits::default(), &Progress::new(&[], &|_, _| {})).unwrap();
        let root = pickle.root();
        let numbers = |key| root.get(key).unwrap().numbers();
        assert_eq!(numbers("list").unwrap(), [1.0, 2.0]);
        assert_eq!(numbers("turned").unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "{name}");
        assert_eq!(numbers("part").unwrap(), [3.0, 4.0, 5.0]);
        assert_eq!(numbers("half").unwrap(), [0.5, -2.0]);
        assert_eq!(numbers("brain").unwrap(), [1.0, -3.0]);
        assert_eq!(root.get("scalar").unwrap().number(), Some(7.0));
        assert_eq!(numbers("bools").unwrap(), [1.0, 0.0]);
        assert_eq!(numbers("repeated"), None); // 1,000 numbers of one
        let state = root.get("state").unwrap();
        assert_eq!(state.get("weight").unwrap().numbers().unwrap(), [0.5, -1.0]);
        assert_eq!(numbers("parameter").unwrap(), [2.0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn broken_containers_do_no_harm(
        which in 0..5usize,
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let name = ["tensors.pt", "tensors_legacy.pt", "nasbench201.pth", "natsbench/000000.pickle.pbz2", "natsbench/meta.pickle.pbz2"][which];
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000000.x");
        std::fs::write(&path, bytes).unwrap();
        for format in [Format::Help, Format::LatBench, Format::NasBench201] {
            let _ = import(format, std::slice::from_ref(&path));
        }
    }
}
