//! Reads the trainings to which NAS-Bench-301 fitted its surrogates (Zela et al., "Surrogate NAS
//! Benchmarks: Going Beyond the Limited Search Space", ICLR 2022): a `results_<i>.json` for each, in
//! folders by optimiser or in a zip of them.
//!
//! Facts from the authors' readers (automl/nasbench301, `surrogate_models/utils.py` and
//! `representations.py`): `optimized_hyperparamater_config` (their spelling) has names that begin with
//! `NetworkSelectorDatasetInfo:darts:`. `inputs_node_<cell>_<node>` = `a_b` are the inputs of nodes 3
//! to 5 of a cell (node 2 reads 0 and 1). `edge_<cell>_<number>` is the operation of an edge that
//! exists; edges are numbered by node, then by input: 0 and 1 for node 2, 2 to 4 for node 3, 5 to 8, 9
//! to 13. `budget` is the number of epochs, accuracies are in percent.
//!
//! The files also hold trainings of other sizes and lengths; a table has one setting, that of the
//! most files. Columns for its number of epochs e: `train_e`, `val_e`, `test_e` and `seconds_e`, each
//! the mean over the trainings of an architecture; `val_e_1seed`, the validation accuracy of the first
//! training alone, by the order of file names. There is also `params_M`.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use lanner_space::{Architecture, Space};
use serde_json::Value;
use zip::ZipArchive;

use super::Progress;
use crate::{DataError, Table, error::shown};

/// Largest file in bytes; a training with its learning curves takes some 100 KB.
const LARGEST: u64 = 16 << 20;
const PREFIX: &str = "NetworkSelectorDatasetInfo:darts:";

/// Setting of a training: epochs, channels of the first cells, number of cells.
type Setting = (u64, u64, u64);

/// Training of one file.
struct Training {
    arch: Architecture,
    setting: Setting,
    val: f64,
    /// Training, validation and test accuracy, seconds, parameters in millions; NaN where missing.
    values: [f64; 5],
}

#[derive(Default)]
struct Sums {
    count: f64,
    values: [f64; 5],
    first_val: f64,
}

/// Trainings of a setting by architecture, in the order of each one's first file.
#[derive(Default)]
struct Rows {
    places: HashMap<Architecture, usize>,
    archs: Vec<Architecture>,
    sums: Vec<Sums>,
    files: usize,
}

impl Rows {
    fn add(&mut self, training: Training) {
        let place = *self.places.entry(training.arch).or_insert_with_key(|arch| {
            self.archs.push(arch.clone());
            self.sums.push(Sums { first_val: training.val, ..Sums::default() });
            self.archs.len() - 1
        });
        let sums = &mut self.sums[place];
        sums.count += 1.0;
        sums.values.iter_mut().zip(training.values).for_each(|(sum, value)| *sum += value);
        self.files += 1;
    }

    fn table(self, epochs: u64) -> Result<Table, DataError> {
        let mut names: Vec<String> =
            ["train", "val", "test", "seconds"].map(|name| format!("{name}_{epochs}")).into();
        names.extend(["params_M".into(), format!("val_{epochs}_1seed")]);
        let mean = |i: usize| self.sums.iter().map(|s| s.values[i] / s.count).collect();
        let mut columns: Vec<Vec<f64>> = (0..5).map(mean).collect();
        columns.push(self.sums.iter().map(|s| s.first_val).collect());
        Table::new(Space::Darts, self.archs, names, columns)
    }
}

pub(super) fn read(
    path: &Path,
    space: &Space,
    progress: &Progress<'_>,
    notes: &mut Vec<String>,
) -> Result<Table, DataError> {
    if *space != Space::Darts {
        let why = format!("trainings of NAS-Bench-301, but the space is {space}: --space darts");
        return Err(DataError::file(path, why));
    }
    let mut settings: BTreeMap<Setting, Rows> = BTreeMap::new();
    let mut add = |name: &str, text: &[u8]| {
        let training =
            training(text).map_err(|why| DataError::row(path, shown(name), why.to_string()))?;
        settings.entry(training.setting).or_default().add(training);
        Ok(())
    };
    if path.is_dir() {
        read_folder(path, progress, &mut add)?;
    } else {
        read_zip(path, progress, &mut add)?;
    }
    let all: usize = settings.values().map(|rows| rows.files).sum();
    // If settings have equally many files, the one with the most epochs.
    let Some(((epochs, channels, cells), rows)) =
        settings.into_iter().max_by_key(|(_, rows)| rows.files)
    else {
        return Err(DataError::file(path, "no training in it; expected files results_….json"));
    };
    if rows.files < all {
        notes.push(format!(
            "{}: {} trainings of {epochs} epochs with {channels} channels and {cells} cells; left \
             out {} of other settings",
            path.display(),
            rows.files,
            all - rows.files
        ));
    }
    rows.table(epochs).map_err(|e| DataError::file(path, e.to_string()))
}

fn is_training(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    file.starts_with("results") && file.ends_with(".json")
}

fn read_limited(source: impl Read, size: u64) -> Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(size.min(LARGEST) as usize);
    match source.take(LARGEST + 1).read_to_end(&mut text) {
        Ok(n) if n as u64 > LARGEST => Err(format!("larger than {} MiB", LARGEST >> 20)),
        Ok(_) => Ok(text),
        Err(e) => Err(e.to_string()),
    }
}

type Add<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), DataError>;

fn read_folder(folder: &Path, progress: &Progress<'_>, add: Add<'_>) -> Result<(), DataError> {
    let mut files: Vec<PathBuf> = vec![];
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).map_err(DataError::io(&folder, "read"))? {
            let entry = entry.map_err(DataError::io(&folder, "read"))?;
            // Links are not followed: they may lead back to the folder.
            let kind = entry.file_type().map_err(DataError::io(entry.path(), "read"))?;
            match entry.file_name().to_str() {
                _ if kind.is_dir() => left.push(entry.path()),
                Some(name) if kind.is_file() && is_training(name) => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    for (i, file) in files.iter().enumerate() {
        let opened = File::open(file).map_err(DataError::io(file, "read"))?;
        let size = opened.metadata().map_or(0, |m| m.len());
        let text = read_limited(opened, size).map_err(|why| DataError::file(file, why))?;
        let name = file.strip_prefix(folder).unwrap_or(file).to_string_lossy();
        add(&name, &text)?;
        (progress.callback)(i as u64 + 1, files.len() as u64);
    }
    Ok(())
}

fn read_zip(path: &Path, progress: &Progress<'_>, add: Add<'_>) -> Result<(), DataError> {
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let broken = |e: zip::result::ZipError| {
        DataError::file(path, format!("not a folder, and as a zip: {e}"))
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let names = archive.file_names().collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let mut names: Vec<String> = names.into_iter().map(|name| name.into_owned()).collect();
    names.retain(|name| is_training(name));
    names.sort();
    for name in names {
        let wrong = |why: String| DataError::row(path, shown(&name), why);
        let entry = archive.by_name(&name).map_err(|e| wrong(e.to_string()))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        let text = read_limited(entry, size).map_err(wrong)?;
        add(&name, &text)?;
        progress.add(packed);
    }
    Ok(())
}

fn training(text: &[u8]) -> Result<Training, String> {
    let json: Value = serde_json::from_slice(text).or_else(|e| {
        // Python writes NaN and Infinity, which JSON has not.
        let text = String::from_utf8_lossy(text);
        let finite = text.replace("-Infinity", "null").replace("Infinity", "null");
        serde_json::from_str(&finite.replace("NaN", "null")).map_err(|_| format!("not JSON: {e}"))
    })?;
    let config = &json["optimized_hyperparamater_config"];
    if !config.is_object() {
        return Err("no dict 'optimized_hyperparamater_config' in it".into());
    }
    let whole = |of: &Value, name: &str| {
        of[name]
            .as_u64()
            .ok_or_else(|| format!("'{name}' is {}, expected a count", brief(&of[name])))
    };
    let percent = |of: &Value, name: &str| match of[name].as_f64() {
        Some(v) if (0.0..=100.0).contains(&v) => Ok(v),
        _ => Err(format!("'{name}' is {}, expected 0 to 100 percent", brief(&of[name]))),
    };
    let more_than_0 =
        |of: &Value| of.as_f64().filter(|v| v.is_finite() && *v > 0.0).unwrap_or(f64::NAN);
    let info = &json["info"][0];
    let val = percent(info, "val_accuracy")?;
    Ok(Training {
        arch: architecture(config)?,
        setting: (
            whole(&json, "budget")?,
            whole(config, &format!("{PREFIX}init_channels"))?,
            whole(config, &format!("{PREFIX}layers"))?,
        ),
        val,
        values: [
            percent(info, "train_accuracy").unwrap_or(f64::NAN),
            val,
            percent(&json, "test_accuracy")?,
            more_than_0(&json["runtime"]),
            more_than_0(&info["model_parameters"]) / 1e6,
        ],
    })
}

fn architecture(config: &Value) -> Result<Architecture, String> {
    let text = |name: &str| {
        let value = &config[format!("{PREFIX}{name}")];
        value.as_str().ok_or_else(|| format!("'{name}' is {}, expected a text", brief(value)))
    };
    let mut cells = Vec::new();
    for cell in ["normal", "reduce"] {
        let mut edges = Vec::new();
        for (node, first) in [(2usize, 0), (3, 2), (4, 5), (5, 9)] {
            let name = format!("inputs_node_{cell}_{node}");
            let inputs = if node == 2 { "0_1" } else { text(&name)? };
            let pair = inputs
                .split_once('_')
                .map(|(a, b)| [a, b].map(|i| i.parse::<usize>().ok().filter(|&i| i < node)));
            let Some([Some(a), Some(b)]) = pair else {
                let expected = format!("two of 0 to {} with _ between", node - 1);
                return Err(format!("'{name}' is '{}', expected {expected}", shown(inputs)));
            };
            for input in [a, b] {
                let op = text(&format!("edge_{cell}_{}", first + input))?;
                edges.push(format!("('{op}', {input})"));
            }
        }
        cells.push(format!("{cell}=[{}]", edges.join(", ")));
    }
    Space::Darts.parse(&format!("Genotype({})", cells.join(", "))).map_err(|e| e.to_string())
}

/// Shortens a value for a message.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "missing".into(),
        value => shown(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::import::{Format, Imported, read};

    /// Edges of the normal cell: nodes read 0 1, 0 1, 0 2, 1 2, so edges are 0 1, 2 3, 5 7, 10 11.
    const NORMAL: [(usize, &str); 8] = [
        (0, "skip_connect"),
        (1, "sep_conv_3x3"),
        (2, "sep_conv_5x5"),
        (3, "skip_connect"),
        (5, "dil_conv_3x3"),
        (7, "dil_conv_5x5"),
        (10, "sep_conv_3x3"),
        (11, "max_pool_3x3"),
    ];
    /// Edges of the reduction cell: nodes read 0 1, 0 1, 1 2, 2 3.
    const REDUCE: [usize; 8] = [0, 1, 2, 3, 6, 7, 11, 12];
    const GENOTYPE: &str = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), \
        ('sep_conv_5x5', 0), ('skip_connect', 1), ('dil_conv_3x3', 0), ('dil_conv_5x5', 2), \
        ('sep_conv_3x3', 1), ('max_pool_3x3', 2)], normal_concat=range(2, 6), \
        reduce=[('avg_pool_3x3', 0), ('avg_pool_3x3', 1), ('avg_pool_3x3', 0), \
        ('avg_pool_3x3', 1), ('avg_pool_3x3', 1), ('avg_pool_3x3', 2), ('avg_pool_3x3', 2), \
        ('avg_pool_3x3', 3)], reduce_concat=range(2, 6))";

    fn results(val: f64, epochs: u64) -> String {
        let mut config = serde_json::Map::new();
        let mut set = |name: String, value: Value| config.insert(format!("{PREFIX}{name}"), value);
        for (edge, op) in NORMAL {
            set(format!("edge_normal_{edge}"), op.into());
        }
        for edge in REDUCE {
            set(format!("edge_reduce_{edge}"), "avg_pool_3x3".into());
        }
        for (name, inputs) in [
            ("normal_3", "0_1"),
            ("normal_4", "0_2"),
            ("normal_5", "1_2"),
            ("reduce_3", "0_1"),
            ("reduce_4", "1_2"),
            ("reduce_5", "2_3"),
        ] {
            set(format!("inputs_node_{name}"), inputs.into());
        }
        set("init_channels".into(), 32.into());
        set("layers".into(), 8.into());
        serde_json::json!({
            "optimized_hyperparamater_config": config,
            "budget": epochs,
            "info": [{"train_accuracy": 99.0, "val_accuracy": val, "model_parameters": 1_500_000}],
            "test_accuracy": val - 1.0,
            "runtime": 3600,
            "learning_curves": {"Train/val_accuracy": [10.0, val]},
        })
        .to_string()
    }

    fn import(path: &Path) -> Result<Imported, DataError> {
        read(Format::NasBench301, &[path.into()], &Space::Darts, &|_, _| {})
    }

    #[test]
    fn trainings_of_an_architecture_become_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("rs/results_0.json", results(93.0, 98)),
            ("rs/results_1.json", results(94.0, 98).replace("sep_conv_5x5", "avg_pool_3x3")),
            ("tpe/results_0.json", results(94.0, 98)),
            // An infinite loss as Python writes it.
            ("tpe/results_1.json", results(95.0, 98).replace("[10.0,", "[NaN, -Infinity,")),
            ("fidelity/results_0.json", results(97.0, 1500)),
            ("fidelity/other.json", "{}".into()),
        ];
        let mut archive = zip::ZipWriter::new(File::create(dir.path().join("nb_301.zip")).unwrap());
        for (name, text) in &files {
            let path = dir.path().join("nb_301").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        for name in ["nb_301", "nb_301.zip"] {
            let Imported { table, notes } = import(&dir.path().join(name)).unwrap();
            assert_eq!(table.len(), 2);
            assert_eq!(table.archs[0], Space::Darts.parse(GENOTYPE).unwrap());
            for (name, expected) in [
                ("val_98", 94.0),
                ("val_98_1seed", 93.0),
                ("test_98", 93.0),
                ("train_98", 99.0),
                ("seconds_98", 3600.0),
                ("params_M", 1.5),
            ] {
                assert_eq!(table.value(name, &table.archs[0]).unwrap(), Some(expected), "{name}");
            }
            assert_eq!(table.value("val_98", &table.archs[1]).unwrap(), Some(94.0));
            assert!(notes[0].contains("left out 1 of other settings"), "{notes:?}");
        }
    }

    #[test]
    fn damage_is_told_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results_7.json");
        let good = results(93.0, 98);
        for (text, part) in [
            (String::new(), "not JSON: EOF"),
            (good[..good.len() / 2].into(), "not JSON: EOF"),
            ("[1]".into(), "no dict 'optimized_hyperparamater_config'"),
            (good.replace("dil_conv_3x3", "conv_9x9"), "has operation 'conv_9x9'"),
            (
                good.replace("\"0_2\"", "\"0_7\""),
                "'inputs_node_normal_4' is '0_7', expected two of",
            ),
            (good.replace("edge_normal_7", "edge_normal_8"), "'edge_normal_7' is missing"),
            (results(-93.0, 98), "'val_accuracy' is -93.0, expected 0 to 100 percent"),
            (good.replace("\"budget\":98", "\"budget\":9.5"), "'budget' is 9.5, expected a count"),
            (good.replace("init_channels", "channels"), "init_channels' is missing"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = import(dir.path()).expect_err(part).to_string();
            assert!(message.contains("results_7.json: "), "{message}");
            assert!(message.contains(part), "{message}");
        }
        std::fs::remove_file(&path).unwrap();
        let message = import(dir.path()).unwrap_err().to_string();
        assert!(message.contains("no training in it"), "{message}");
        std::fs::write(&path, "garbage").unwrap();
        let message = import(&path).unwrap_err().to_string();
        assert!(message.contains("not a folder, and as a zip"), "{message}");
    }
}
