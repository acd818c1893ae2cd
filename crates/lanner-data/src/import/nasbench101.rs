//! Reads NAS-Bench-101 (Ying et al., ICML 2019): `nasbench_only108.tfrecord` and
//! `nasbench_full.tfrecord`.
//!
//! A record is a JSON list of module hash, epochs, adjacency matrix (n² digits), operations (separated
//! by commas) and, in base64, a protobuf message with the measurements before, halfway through and
//! after one training. Each module was trained three times for 108 epochs, in the full file also for
//! 4, 12 and 36.
//!
//! Columns for each number of epochs e: `train_e`, `val_e`, `test_e` (accuracies in percent) and
//! `seconds_e`, each the mean over the trainings; `val_e_1seed`, the validation accuracy of the first
//! training alone. There is also `params_M`.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use lanner_space::{Architecture, Space, nasbench101};
use prost::Message;

use super::{Progress, tfrecord::Records};
use crate::{DataError, Table, error::shown};

/// Protobuf message of one training.
#[derive(Clone, PartialEq, Message)]
struct ModelMetrics {
    /// Evaluations before the first step, halfway through, and at the end.
    #[prost(message, repeated, tag = "1")]
    evaluation_data: Vec<EvaluationData>,
    #[prost(int32, optional, tag = "2")]
    trainable_parameters: Option<i32>,
}

/// Protobuf message of one evaluation. Accuracies are from 0 to 1; time is in seconds since the
/// training began.
#[derive(Clone, PartialEq, Message)]
struct EvaluationData {
    #[prost(double, optional, tag = "2")]
    training_time: Option<f64>,
    #[prost(double, optional, tag = "3")]
    train_accuracy: Option<f64>,
    #[prost(double, optional, tag = "4")]
    validation_accuracy: Option<f64>,
    #[prost(double, optional, tag = "5")]
    test_accuracy: Option<f64>,
}

/// Sums over the trainings of a module for one number of epochs.
#[derive(Debug, Clone, Copy, Default)]
struct Trainings {
    count: f64,
    /// Sums of training, validation and test accuracy, and of seconds.
    sums: [f64; 4],
    first_val: f64,
}

struct Module {
    hash: String,
    params: f64,
    by_epochs: BTreeMap<u32, Trainings>,
}

pub(super) fn read(
    path: &Path,
    space: &Space,
    progress: &Progress<'_>,
) -> Result<Table, DataError> {
    if *space != Space::NasBench101 {
        let why = format!("a file of NAS-Bench-101, but the space is {space}: --space nasbench101");
        return Err(DataError::file(path, why));
    }
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let mut records = Records::new(progress.count(BufReader::with_capacity(1 << 20, file)));
    let mut modules = BTreeMap::new();
    loop {
        let offset = records.offset;
        let wrong = |why: String| DataError::row(path, format!("byte {offset}"), why);
        match records.next().map_err(wrong)? {
            Some(record) => add(&record, &mut modules).map_err(wrong)?,
            None if modules.is_empty() => return Err(DataError::file(path, "no record in it")),
            None => break,
        }
    }
    table(modules).map_err(|e| DataError::file(path, e.to_string()))
}

/// Adds one training; the error says what is wrong with its record.
fn add(record: &[u8], modules: &mut BTreeMap<u128, Module>) -> Result<(), String> {
    let (hash, epochs, adjacency, ops, metrics): (String, u32, String, String, String) =
        serde_json::from_slice(record).map_err(|e| {
            format!("not a list of hash, epochs, adjacency, operations and metrics: {e}")
        })?;
    let arch = architecture(&adjacency, &ops)?;
    let index = Space::NasBench101.index_of(&arch).ok_or("a cell that the space has not")?;
    let metrics = BASE64_STANDARD.decode(metrics).map_err(|e| format!("metrics: {e}"))?;
    let metrics = ModelMetrics::decode(&metrics[..]).map_err(|e| format!("metrics: {e}"))?;
    let module = match modules.entry(index) {
        std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::btree_map::Entry::Vacant(entry) => {
            let expected = nasbench101::module_hash(&arch);
            if hash != expected {
                return Err(format!("the module hash is '{}', expected {expected}", shown(&hash)));
            }
            let params = metrics.trainable_parameters.ok_or("metrics without parameters")?;
            let params = f64::from(params) / 1e6;
            entry.insert(Module { hash: expected, params, by_epochs: BTreeMap::new() })
        }
    };
    if hash != module.hash {
        return Err(format!("the module hash is '{}', expected {}", shown(&hash), module.hash));
    }
    let [_, _, last] = &metrics.evaluation_data[..] else {
        let found = metrics.evaluation_data.len();
        return Err(format!("{found} evaluations, expected 3: before, half through and after"));
    };
    let percent = |name: &str, value: Option<f64>| match value {
        Some(v) if (0.0..=1.0).contains(&v) => Ok(100.0 * v),
        Some(v) => Err(format!("the {name} accuracy is {v}, expected 0 to 1")),
        None => Err(format!("no {name} accuracy")),
    };
    let val = percent("validation", last.validation_accuracy)?;
    let seconds = last.training_time.filter(|t| t.is_finite() && *t >= 0.0);
    let values = [
        percent("training", last.train_accuracy)?,
        val,
        percent("test", last.test_accuracy)?,
        seconds.ok_or("no training time")?,
    ];
    let trainings = module.by_epochs.entry(epochs).or_default();
    if trainings.count == 0.0 {
        trainings.first_val = val;
    }
    trainings.count += 1.0;
    trainings.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    Ok(())
}

fn architecture(adjacency: &str, ops: &str) -> Result<Architecture, String> {
    let names: Vec<&str> = ops.split(',').collect();
    let n = names.len();
    let digit = |b: u8| b.is_ascii_digit().then(|| b - b'0');
    let digits: Option<Vec<u8>> = adjacency.bytes().map(digit).collect();
    let digits = digits.filter(|d| d.len() == n * n).ok_or_else(|| {
        format!(
            "the adjacency of {n} vertices is '{}', expected {} digits",
            shown(adjacency),
            n * n
        )
    })?;
    let matrix: Vec<Vec<u8>> = digits.chunks(n).map(<[u8]>::to_vec).collect();
    let ops = nasbench101::codes_of_names(&names)?;
    nasbench101::from_matrix(&matrix, &ops).map_err(|e| e.to_string())
}

fn table(modules: BTreeMap<u128, Module>) -> Result<Table, DataError> {
    let mut epochs: Vec<u32> = modules.values().flat_map(|m| m.by_epochs.keys().copied()).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let mut names = vec!["params_M".to_owned()];
    let mut columns: Vec<Vec<f64>> = vec![modules.values().map(|m| m.params).collect()];
    // The longest trainings come first, since they are used most.
    for &e in epochs.iter().rev() {
        let mut column = |name: String, value: &dyn Fn(&Trainings) -> f64| {
            let of = |m: &Module| m.by_epochs.get(&e).map_or(f64::NAN, value);
            columns.push(modules.values().map(of).collect());
            names.push(name);
        };
        for (i, name) in ["train", "val", "test", "seconds"].into_iter().enumerate() {
            column(format!("{name}_{e}"), &|t| t.sums[i] / t.count);
        }
        column(format!("val_{e}_1seed"), &|t| t.first_val);
    }
    let space = Space::NasBench101;
    let archs = modules.keys().map(|&index| space.at(index)).collect::<Result<Vec<_>, _>>()?;
    Table::new(space, archs, names, columns)
}

#[cfg(test)]
mod tests {
    use super::super::tfrecord::framed;
    use super::*;
    use crate::import::{Format, read};

    /// A cell of the published table: its hash, matrix and operations.
    const MODULE: [&str; 3] = [
        "00005c142e6f48ac74fdcf73e3439874",
        "0100110001000000010010000010000001000000010000000",
        "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output",
    ];

    fn record(
        [hash, adjacency, ops]: [&str; 3],
        epochs: u32,
        val: f64,
        evaluations: usize,
    ) -> Vec<u8> {
        let at = |part: f64| EvaluationData {
            training_time: Some(1000.0 * part * f64::from(epochs)),
            train_accuracy: Some(part),
            validation_accuracy: Some(val * part),
            test_accuracy: Some(val * part - 0.01 * part),
        };
        let metrics = ModelMetrics {
            evaluation_data: [0.0, 0.5, 1.0].map(at)[..evaluations].to_vec(),
            trainable_parameters: Some(8_555_530),
        };
        let metrics = BASE64_STANDARD.encode(metrics.encode_to_vec());
        serde_json::to_vec(&(hash, epochs, adjacency, ops, metrics)).unwrap()
    }

    fn import(bytes: &[u8], space: &Space) -> Result<Table, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nasbench.tfrecord");
        std::fs::write(&file, bytes).unwrap();
        read(Format::NasBench101, &[file], space, &|_, _| {}).map(|i| i.table)
    }

    #[test]
    fn trainings_of_a_module_become_a_row() {
        // The smallest module comes second in the file, but rows are in the order of the space.
        let small = ["", "0100", "input,output"];
        let arch = architecture(small[1], small[2]).unwrap();
        let hash = nasbench101::module_hash(&arch);
        let small = [&hash, small[1], small[2]];
        let records = [
            record(MODULE, 108, 0.92, 3),
            record(MODULE, 108, 0.94, 3),
            record(MODULE, 4, 0.5, 3),
            record(small, 108, 0.8, 3),
        ];
        let bytes: Vec<u8> = records.iter().flat_map(|r| framed(r)).collect();
        let table = import(&bytes, &Space::NasBench101).unwrap();
        assert_eq!(table.archs[0], arch);
        let arch = table.space.parse(&table.space.print(&table.archs[1])).unwrap();
        assert_eq!(nasbench101::module_hash(&arch), MODULE[0]);
        let value = |name: &str, row: usize| table.column(name).unwrap()[row];
        for (name, expected) in [
            ("val_108", 93.0),
            ("val_108_1seed", 92.0),
            ("test_108", 92.0),
            ("train_108", 100.0),
            ("seconds_108", 108_000.0),
            ("val_4", 50.0),
            ("params_M", 8.55553),
        ] {
            assert!((value(name, 1) - expected).abs() < 1e-9, "{name}: {}", value(name, 1));
        }
        assert!(value("val_4", 0).is_nan());
        assert_eq!(table.names.len(), 11);
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let good = framed(&record(MODULE, 108, 0.92, 3));
        let second = |record: &[u8]| [&good[..], record].concat();
        let flipped = |at: usize| {
            let mut bytes = second(&good);
            bytes[good.len() + at] ^= 1;
            bytes
        };
        let other = |hash| framed(&record([hash, MODULE[1], MODULE[2]], 108, 0.92, 3));
        let at = format!("byte {}: ", good.len());
        for (bytes, part) in [
            (vec![], "no record in it".to_owned()),
            (second(&good[..5]), format!("{at}the file ends 5 bytes into a record")),
            (second(&good[..100]), format!("{at}the file ends within a record")),
            (second(&good[..good.len() - 2]), format!("{at}the file ends before the checksum")),
            (flipped(0), format!("{at}the checksum of the length")),
            (flipped(60), format!("{at}the checksum of the record is wrong")),
            (second(&framed(b"[1, 2]")), format!("{at}not a list of hash, epochs")),
            (
                second(&framed(&record(MODULE, 108, 0.9, 2))),
                format!("{at}2 evaluations, expected 3"),
            ),
            (
                second(&framed(&record(MODULE, 108, 9.2, 3))),
                format!("{at}the validation accuracy is 9.2"),
            ),
            (second(&other("0000")), format!("{at}the module hash is '0000', expected 00005c14")),
            (b"arch,val\n0-10_1,1\n".to_vec(), "byte 0: the checksum of the length".to_owned()),
        ] {
            let message = import(&bytes, &Space::NasBench101).unwrap_err().to_string();
            assert!(message.contains(&part), "{message}");
        }
        let ops = MODULE[2].replace("maxpool", "avgpool");
        let bytes = framed(&record([MODULE[0], MODULE[1], &ops], 108, 0.92, 3));
        let message = import(&bytes, &Space::NasBench101).unwrap_err().to_string();
        assert!(message.contains("vertex 2 has operation 'avgpool3x3'"), "{message}");
        let message = import(&good, &Space::NasBench201).unwrap_err().to_string();
        assert!(message.contains("--space nasbench101"), "{message}");
    }
}
