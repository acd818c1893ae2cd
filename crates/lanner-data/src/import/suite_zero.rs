//! Reads NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022), accuracies and zero-cost proxies:
//!
//! - `zc_<space>.json`: data set → architecture → metrics, each a number or a dict with `score`
//! - the trainings on further data sets, `9x/<space>/<data set>/test.json`, and the program's own results: lists
//!   of dicts with `arch`, an accuracy and proxies
//! - a CSV table with the columns `dataset`, `arch`, and perhaps `space`
//!
//! Architectures are tuples of NASLib, which mean different things: in NAS-Bench-201, and on `svhn`,
//! `scifar100` and `ninapro` in TransNAS-Bench-101's micro space, operations are identity, zero, 3×3, 1×1,
//! pooling, and edges are ordered by their start (`conversions.py`). On the published tasks of
//! TransNAS-Bench-101 they are the official codes. ±1e8 stands for a proxy that failed.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use lanner_space::{Architecture, Space, SpaceError};
use serde_json::Value;

use super::Progress;
use crate::{
    DataError, Table,
    error::shown,
    rows::{ParsedRows, ReadReport, other_separator},
};

/// Largest JSON file, bytes; read, it takes some ten times as much memory. Published ones have 70 MB.
const LARGEST: u64 = 256 << 20;
/// NASLib's names of spaces that are called otherwise here.
const ALIASES: [(&str, &str); 3] = [
    ("nasbench301", "darts"),
    ("transbench101_micro", "transbench101-micro"),
    ("transbench101_macro", "transbench101-macro"),
];
/// Data sets on which NASLib trained networks of its own encoding.
const TRAINED: [&str; 3] = ["svhn", "scifar100", "ninapro"];
/// Data sets on which TransNAS-Bench-101 was published.
const PUBLISHED: [&str; 7] = [
    "class_scene",
    "class_object",
    "jigsaw",
    "segmentsemantic",
    "autoencoder",
    "room_layout",
    "normal",
];

/// One architecture on one data set.
struct Row {
    dataset: Option<String>,
    arch: String,
    metrics: Vec<(String, f64)>,
    /// Number in the file, from 1.
    place: u64,
}

/// Reads all data sets, with columns `<data set>_<metric>`, or one without that prefix.
pub(super) fn read(
    path: &Path,
    space: &Space,
    dataset: Option<&str>,
    progress: &Progress<'_>,
    notes: &mut Vec<String>,
) -> Result<Table, DataError> {
    let is_csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let mut rows = match is_csv {
        true => csv_rows(path, space, progress)?,
        false => json_rows(path, space, progress)?,
    };
    if let Some(dataset) = dataset {
        let is_other = |row: &Row| row.dataset.as_deref().is_some_and(|d| d != dataset);
        let mut others: Vec<String> = rows.iter().filter_map(|r| r.dataset.clone()).collect();
        rows.retain(|row| !is_other(row));
        if rows.is_empty() {
            others.sort();
            others.dedup();
            let others: Vec<String> = others.iter().take(12).map(|d| shown(d)).collect();
            let why = format!("no data set '{dataset}'; there are: {}", others.join(", "));
            return Err(DataError::file(path, why));
        }
    }
    table(path, space, dataset, rows, notes)
}

fn table(
    path: &Path,
    space: &Space,
    dataset: Option<&str>,
    rows: Vec<Row>,
    notes: &mut Vec<String>,
) -> Result<Table, DataError> {
    let (mut archs, mut places) = (Vec::new(), Vec::new());
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut failed = 0;
    let count = rows.len();
    for (i, row) in rows.into_iter().enumerate() {
        let of = dataset.or(row.dataset.as_deref());
        let arch = parse(space, of, &row.arch).map_err(|error| DataError::Architecture {
            path: path.into(),
            at: format!("row {}", row.place),
            column: "arch".into(),
            error: Box::new(error),
        })?;
        archs.push(arch);
        places.push(row.place);
        for (name, value) in row.metrics {
            let name = match (dataset, &row.dataset) {
                (None, Some(of)) => format!("{of}_{name}"),
                _ => name,
            };
            let is_failure = value.abs() == 1e8;
            failed += usize::from(is_failure);
            let column = columns.entry(name).or_insert_with(|| vec![f64::NAN; count]);
            column[i] = if is_failure { f64::NAN } else { value };
        }
    }
    if failed > 0 {
        notes.push(format!("{}: {failed} failed proxies (±1e8) left out", path.display()));
    }
    let (names, columns) = columns.into_iter().unzip();
    let report = ReadReport::default();
    let parsed =
        ParsedRows { path, unit: "row", places, archs, names, columns, texts: vec![], report };
    let (table, report) = parsed.finish(space)?;
    notes.extend(report.notes);
    Ok(table)
}

fn is_space(name: &str, space: &Space) -> bool {
    let alias = ALIASES.iter().find(|a| a.0 == name).map_or(name, |a| a.1);
    alias == space.name()
}

/// Parses a tuple as NASLib means it on a data set.
fn parse(space: &Space, dataset: Option<&str>, text: &str) -> Result<Architecture, SpaceError> {
    let is_naslib = *space == Space::NasBench201
        || *space == Space::TransBench101Micro
            && match dataset {
                Some(d) if TRAINED.contains(&d) => true,
                Some(d) if PUBLISHED.contains(&d) => false,
                _ => {
                    return Err(SpaceError::Text {
                        space: space.name().into(),
                        text: shown(text),
                        why: format!(
                            "its codes depend on the data set, which is none of {} and {}; --rows \
                             dataset=NAME tells it",
                            TRAINED.join(", "),
                            PUBLISHED.join(", ")
                        ),
                    });
                }
            };
    let list = text.trim().replace('(', "[").replace(')', "]");
    let numbers: Option<Vec<usize>> =
        if is_naslib { serde_json::from_str(&list).ok() } else { None };
    let Some(numbers) = numbers else { return space.parse(text) };
    // Identity, zero, 3×3, 1×1, pooling; edges 0→1, 0→2, 0→3, 1→2, 1→3, 2→3.
    const OPERATIONS: [u8; 5] = [1, 0, 3, 2, 4];
    let code = |edge: &usize| OPERATIONS.get(*numbers.get(*edge)?).copied();
    let codes: Option<Vec<u8>> = [0, 1, 3, 2, 4, 5].iter().map(code).collect();
    match codes.map(Architecture::new).filter(|_| numbers.len() == 6) {
        Some(arch) => space.check(&arch).map(|()| arch),
        None => Err(SpaceError::Text {
            space: space.name().into(),
            text: shown(text),
            why: "expected NASLib's tuple of six codes".into(),
        }),
    }
}

fn json_rows(path: &Path, space: &Space, progress: &Progress<'_>) -> Result<Vec<Row>, DataError> {
    let wrong = |why: String| DataError::file(path, why);
    let unreadable = || DataError::io(path, "read");
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable())?;
    progress.count(file.take(LARGEST + 1)).read_to_end(&mut text).map_err(unreadable())?;
    if text.len() as u64 > LARGEST {
        return Err(wrong(format!("more than {} MiB, expected a file of proxies", LARGEST >> 20)));
    }
    let json: Value = serde_json::from_slice(&text).map_err(|e| wrong(format!("not JSON: {e}")))?;
    // Python's program nests a file in the space's name, the published files do not.
    let root = match &json {
        Value::Object(map) if map.len() == 1 => match map.iter().next() {
            Some((name, inner)) if is_space(name, space) => inner,
            _ => &json,
        },
        _ => &json,
    };
    let expected = "expected data sets of architectures, or a list of dicts with 'arch'";
    let mut rows = Vec::new();
    match root {
        Value::Object(sets) => {
            for (dataset, archs) in sets {
                let archs = archs
                    .as_object()
                    .ok_or_else(|| wrong(format!("'{}' is no dict: {expected}", shown(dataset))))?;
                for (arch, metrics) in archs {
                    let place = rows.len() as u64 + 1;
                    let metrics = metrics_of(metrics, &[]).ok_or_else(|| {
                        wrong(format!("'{}' of {dataset} is no dict of metrics", shown(arch)))
                    })?;
                    let dataset = Some(dataset.clone());
                    rows.push(Row { dataset, arch: arch.clone(), metrics, place });
                }
            }
        }
        Value::Array(records) => {
            let dataset = dataset_of(path);
            for (i, record) in records.iter().enumerate() {
                let place = i as u64 + 1;
                let arch = match record.get("arch") {
                    Some(Value::String(text)) => text.clone(),
                    Some(list @ Value::Array(_)) => list.to_string(),
                    _ => return Err(wrong(format!("record {place} has no 'arch': {expected}"))),
                };
                let metrics = metrics_of(record, &["arch", "idx", "id"]).unwrap_or_default();
                rows.push(Row { dataset: dataset.clone(), arch, metrics, place });
            }
        }
        _ => return Err(wrong(expected.into())),
    }
    if rows.iter().all(|row| row.metrics.is_empty()) {
        return Err(wrong(format!("no metrics in it: {expected}")));
    }
    Ok(rows)
}

/// Reads the data set from a name such as `9x/nasbench201/svhn/test.json` or
/// `benchmark--nasbench201--svhn--0.json`.
fn dataset_of(path: &Path) -> Option<String> {
    let folder = path.parent().and_then(Path::file_name)?.to_str()?;
    let stem = path.file_stem()?.to_str()?;
    let mut known = TRAINED.iter().chain(&PUBLISHED);
    let is_named = |d: &&&str| folder == **d || stem.split("--").any(|part| part == **d);
    known.find(is_named).map(|d| (*d).to_owned())
}

/// Returns the metrics that are numbers or have a score.
fn metrics_of(value: &Value, except: &[&str]) -> Option<Vec<(String, f64)>> {
    let metric = |(name, value): (&String, &Value)| {
        let number = value.as_f64().or_else(|| value.get("score")?.as_f64())?;
        let name = if name == "accuracy" { "val_accuracy" } else { name };
        (!except.contains(&name)).then(|| (name.to_owned(), number))
    };
    Some(value.as_object()?.iter().filter_map(metric).collect())
}

fn csv_rows(path: &Path, space: &Space, progress: &Progress<'_>) -> Result<Vec<Row>, DataError> {
    let wrong = |e: csv::Error| DataError::file(path, format!("not a table: {e}"));
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(progress.count(file));
    let names: Vec<String> = reader.headers().map_err(wrong)?.iter().map(String::from).collect();
    let place = |name: &str| names.iter().position(|n| n == name);
    let (Some(dataset), Some(arch)) = (place("dataset"), place("arch")) else {
        let why = other_separator(path, &names);
        let why = why.unwrap_or("a table with the columns dataset and arch expected".into());
        return Err(DataError::file(path, why));
    };
    let of_space = place("space");
    let others = ["dataset", "arch", "space", "arch_str", "naslib_idx"];
    let mut rows = Vec::new();
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(wrong)?;
        if of_space.is_some_and(|at| !is_space(&record[at], space)) {
            continue;
        }
        let line = record.position().map_or(i as u64 + 2, csv::Position::line);
        let mut metrics = Vec::new();
        for (name, cell) in names.iter().zip(&record) {
            if others.contains(&name.as_str()) || cell.trim().is_empty() {
                continue;
            }
            let value: Option<f64> = cell.trim().parse().ok();
            let value = value.filter(|v| v.is_finite()).ok_or_else(|| DataError::Cell {
                path: path.into(),
                at: format!("line {line}"),
                column: name.clone(),
                value: shown(cell),
                expected: "a number".into(),
            })?;
            metrics.push((name.clone(), value));
        }
        let (dataset, arch) = (Some(record[dataset].to_owned()), record[arch].to_owned());
        rows.push(Row { dataset, arch, metrics, place: line });
    }
    match rows.is_empty() {
        true => Err(DataError::file(path, format!("no row is of the space {space}"))),
        false => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Imported, read_where};
    use super::*;
    use lanner_space::View;

    fn import(
        name: &str,
        text: &str,
        space: &Space,
        dataset: Option<&str>,
    ) -> Result<Imported, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        let only = dataset.map(|d| ("dataset", d));
        read_where(Format::SuiteZero, &[file], space, only, &|_, _| {})
    }

    /// NASLib's tuple of a network and the text that its own conversion prints, from its tests.
    const TUPLE: &str = "(0, 3, 1, 4, 2, 1)";
    const TEXT: &str =
        "|skip_connect~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|none~2|";

    #[test]
    fn both_kinds_of_files_say_the_same() {
        let space = Space::NasBench201;
        let metrics = r#"{"nwot": {"score": 700.5, "time": 0.1}, "zen": {"score": -1e8}, "val_accuracy": 71.5}"#;
        let nested =
            format!(r#"{{"svhn": {{"{TUPLE}": {metrics}}}, "cifar10": {{"{TUPLE}": {metrics}}}}}"#);
        let Imported { table, notes } = import("zc.json", &nested, &space, None).unwrap();
        let names = ["cifar10_nwot", "cifar10_val_accuracy", "cifar10_zen"];
        assert_eq!(table.names[..3], names);
        assert_eq!(space.print(&table.archs[0]), TEXT);
        assert_eq!(table.value("svhn_nwot", &table.archs[0]).unwrap(), Some(700.5));
        assert!(table.column("svhn_zen").unwrap()[0].is_nan());
        assert!(notes[0].ends_with("2 failed proxies (±1e8) left out"), "{notes:?}");
        let one = import("zc.json", &nested, &space, Some("svhn")).unwrap().table;
        assert_eq!(one.names, ["nwot", "val_accuracy", "zen"]);
        let list = format!(r#"[{{"arch": {}, "accuracy": 71.5, "idx": 3}}]"#, "[0,3,1,4,2,1]");
        let listed = import("svhn/test.json", &list, &space, None).unwrap().table;
        assert_eq!((&listed.archs, &listed.names[0]), (&one.archs, &"svhn_val_accuracy".into()));
        let table = format!(
            "space,dataset,arch,nwot\nnasbench201,svhn,\"{TUPLE}\",1\nnasbench301,svhn,x,1\n"
        );
        assert_eq!(import("all.csv", &table, &space, None).unwrap().table.archs, one.archs);
    }

    #[test]
    fn codes_of_transnas_depend_on_the_data_set() {
        let space = Space::TransBench101Micro;
        let text =
            |dataset: &str| format!(r#"{{"{dataset}": {{"(1, 2, 0, 1, 3, 1)": {{"nwot": 1}}}}}}"#);
        let codes = |dataset: &str| {
            import("zc.json", &text(dataset), &space, None).unwrap().table.archs[0].codes().to_vec()
        };
        assert_eq!(codes("jigsaw"), [1, 2, 0, 1, 3, 1]);
        // Edges 0→1 zero, 0→2 3×3, 0→3 identity, 1→2 zero, 1→3 1×1, 2→3 zero.
        assert_eq!(codes("svhn"), [0, 3, 0, 1, 2, 0]);
        let told = import("zc.json", &text("flowers"), &space, None).unwrap_err().to_string();
        assert!(told.contains("--rows dataset=NAME tells it"), "{told}");
    }

    /// The reading of the tuples is right if exactly the cells without a path from input to output are at
    /// chance, 1 % of the hundred classes.
    #[test]
    fn cut_cells_of_the_published_rows_are_at_chance() {
        let Some(file) = lanner_testing::published("suite-zero-9x/proxies.csv") else { return };
        for (space, cut) in [(Space::NasBench201, 2), (Space::TransBench101Micro, 2)] {
            let only = Some(("dataset", "scifar100"));
            let files = [file.clone()];
            let table =
                read_where(Format::SuiteZero, &files, &space, only, &|_, _| {}).unwrap().table;
            let accuracy = table.column("val_accuracy").unwrap();
            let is_cut = |arch| space.graph(arch, View::Pruned).arcs.is_empty();
            for (arch, accuracy) in table.archs.iter().zip(accuracy) {
                assert_eq!(is_cut(arch), *accuracy < 1.5, "{arch:?}: {accuracy}");
            }
            assert_eq!(accuracy.iter().filter(|a| **a < 1.5).count(), cut);
        }
    }

    #[test]
    fn what_is_not_such_a_file_is_told() {
        let space = Space::NasBench201;
        for (name, text, says) in [
            ("a.json", "[]", "no metrics in it"),
            ("a.json", "3", "expected data sets of architectures"),
            ("a.json", "{\"a\": 1}", "'a' is no dict"),
            ("a.json", "{\"a\": {\"(1)\": 3}}", "'(1)' of a is no dict of metrics"),
            ("a.json", "{\"a\": {\"(1)\": {\"x\": 3}}}", "expected NASLib's tuple of six codes"),
            ("a.json", "[{\"x\": 1}]", "record 1 has no 'arch'"),
            ("a.json", "{", "not JSON"),
            ("a.csv", "a,b\n1,2\n", "the columns dataset and arch expected"),
            ("a.csv", "space,dataset,arch\nx,y,z\n", "no row is of the space nasbench201"),
            ("a.csv", "dataset,arch,nwot\nd,\"(0,0,0,0,0,0)\",x\n", "line 2, column 'nwot': 'x'"),
        ] {
            let told = import(name, text, &space, None).unwrap_err().to_string();
            assert!(told.contains(says), "{told}\n  lacks {says}");
        }
    }
}
