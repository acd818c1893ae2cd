//! The readers of files and texts from outside, each as a function of bytes.
//!
//! `fuzz/` calls the same functions.

use std::fs;
use std::path::PathBuf;

use lanner_data::import::{self, Format};
use lanner_data::{DataError, Table};
use lanner_evaluate::measure::command_output;
use lanner_evaluate::script;
use lanner_network::{Cost, Skeleton, View, onnx};
use lanner_predict::predictor;
use lanner_search::study::Study;
use lanner_space::{Architecture, Space};

/// Result of a reader: a few words about the value, or the error.
pub type Outcome = Result<String, String>;

/// A reader of untrusted bytes.
pub struct Reader {
    pub name: &'static str,
    pub read: fn(&[u8]) -> Outcome,
}

/// All readers. A new one is a line here, and seeds in `seeds.rs`.
pub const READERS: [Reader; 17] = [
    Reader { name: "csv", read: csv },
    Reader { name: "parquet", read: parquet },
    Reader { name: "pickle", read: pickle },
    Reader { name: "torch", read: torch },
    Reader { name: "nasbench201", read: nasbench201 },
    Reader { name: "bz2", read: bz2 },
    Reader { name: "tfrecord", read: tfrecord },
    Reader { name: "record", read: record },
    Reader { name: "results", read: results },
    Reader { name: "toml", read: toml },
    Reader { name: "lanner", read: lanner },
    Reader { name: "lanner-content", read: lanner_content },
    Reader { name: "study", read: study },
    Reader { name: "study-cells", read: study_cells },
    Reader { name: "onnx", read: onnx_model },
    Reader { name: "architecture", read: architecture },
    Reader { name: "metrics", read: metrics },
];

/// Writes the bytes to a file of this thread, for readers that take a path.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    let place = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let thread = format!("{:?}", std::thread::current().id());
    let number: String = thread.chars().filter(char::is_ascii_digit).collect();
    let folder = place.join(format!("lanner-hostile-{}-{number}", std::process::id()));
    let folder = if name == "results_1.json" { folder.join("results") } else { folder };
    let path = folder.join(name);
    if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, bytes)) {
        panic!("{}: {error}", path.display());
    }
    path
}

fn table(read: Result<Table, DataError>) -> Outcome {
    let table = read.map_err(|e| e.to_string())?;
    for arch in &table.archs {
        table.space.check(arch).unwrap_or_else(|e| panic!("a table of other architectures: {e}"));
    }
    assert!(table.columns.iter().all(|column| column.len() == table.len()));
    Ok(format!("{} rows, {} columns", table.len().min(3), table.names.len().min(3)))
}

fn csv(bytes: &[u8]) -> Outcome {
    let space = &Space::NasBench201;
    let read = Table::read_text(bytes, "input.csv", space).map(|read| read.0);
    if let Ok(table) = &read {
        let mut text = Vec::new();
        for (arch, row) in table.archs.iter().zip(0..) {
            text.push(format!("{},{:?}", space.print(arch), table.columns.first().map(|c| c[row])));
        }
    }
    table(read)
}

fn parquet(bytes: &[u8]) -> Outcome {
    let path = file("input.parquet", bytes);
    table(Table::read(path, &Space::NasBench201).map(|read| read.0))
}

fn imported(format: Format, name: &str, bytes: &[u8]) -> Outcome {
    let path = file(name, bytes);
    let space = match format {
        Format::NasBench101 => Space::NasBench101,
        Format::NasBench301 => Space::Darts,
        _ => Space::NasBench201,
    };
    table(import::read(format, &[path], &space, &|_, _| {}).map(|read| read.table))
}

fn pickle(bytes: &[u8]) -> Outcome {
    imported(Format::LatBench, "input.pickle", bytes)
}

fn torch(bytes: &[u8]) -> Outcome {
    imported(Format::Help, "nasbench201_input.pt", bytes)
}

fn nasbench201(bytes: &[u8]) -> Outcome {
    imported(Format::NasBench201, "input.pth", bytes)
}

fn bz2(bytes: &[u8]) -> Outcome {
    imported(Format::NatsBench, "000000.pickle.pbz2", bytes)
}

fn tfrecord(bytes: &[u8]) -> Outcome {
    imported(Format::NasBench101, "input.tfrecord", bytes)
}

/// A record with the right checksums.
fn record(bytes: &[u8]) -> Outcome {
    imported(Format::NasBench101, "input.tfrecord", &framed(bytes))
}

/// Frames a record as TensorFlow does.
pub fn framed(record: &[u8]) -> Vec<u8> {
    let masked = |bytes: &[u8]| {
        crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let length = (record.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), record, &masked(record)].concat()
}

fn results(bytes: &[u8]) -> Outcome {
    let path = file("results_1.json", bytes);
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    let read = import::read(Format::NasBench301, &[folder], &Space::Darts, &|_, _| {});
    table(read.map(|read| read.table))
}

fn toml(bytes: &[u8]) -> Outcome {
    let text = lanner_space::text::decode(bytes)?;
    let space = Space::from_toml(&text)?;
    let mut rng = lanner_nn::rng(1, "hostile spaces");
    let arch = space.sample(&mut rng);
    used(&space, &arch);
    if let Some(skeleton) = Skeleton::of(&space).ok().filter(Skeleton::is_transformer) {
        let network = skeleton.tensors(&arch).map_err(|e| e.to_string())?;
        assert!(network.graph().cost().unknown.is_empty());
        return Ok("a transformer".into());
    }
    if space.parameters().is_none() {
        let skeleton = Skeleton::of(&space).map_err(|e| e.to_string())?;
        let network = skeleton.build(&arch, View::Pruned).map_err(|e| e.to_string())?;
        let cost = Cost::of(&network);
        assert!(cost.flops >= cost.macs.min(cost.params / 2).min(1), "{cost:?}");
    }
    Ok(if space.parameters().is_some() { "parameters" } else { "a network" }.into())
}

/// Does with an architecture what commands do.
fn used(space: &Space, arch: &Architecture) {
    if let Err(error) = space.check(arch) {
        panic!("{space}: {error}");
    }
    let text = space.print(arch);
    match space.parse(&text) {
        Ok(again) => assert_eq!(&again, arch, "{text}"),
        Err(error) => panic!("printed, and not read again: {error}"),
    }
    let same = space.canonical(arch);
    assert_eq!(space.canonical(&same), same, "{text}");
    let mut rng = lanner_nn::rng(2, "hostile mutations");
    assert!(space.check(&space.mutate(arch, &mut rng)).is_ok());
}

fn lanner(bytes: &[u8]) -> Outcome {
    predicted(&file("input.lanner", bytes))
}

fn predicted(path: &std::path::Path) -> Outcome {
    let predictor = predictor::load(path).map_err(|e| e.to_string())?;
    let mut rng = lanner_nn::rng(3, "hostile predictors");
    let archs: Vec<Architecture> = (0..2).map(|_| predictor.space().sample(&mut rng)).collect();
    let forecast = predictor.predict(&archs);
    assert_eq!(forecast.mean.len(), archs.len());
    Ok(predictor.describe().chars().take(12).collect())
}

/// A predictor's file with the right checksum and other content: the first half of the bytes says what
/// to change in the header's settings, the second half in the arrays.
fn lanner_content(bytes: &[u8]) -> Outcome {
    use predictor::file::{Array, ModelFile};
    let mut model = ModelFile::from_bytes(super::seeds::predictor()).map_err(|e| e.to_string())?;
    let (settings, arrays) = bytes.split_at(bytes.len() / 2);
    let text = model.header.settings.to_string().into_bytes();
    if let Ok(changed) = serde_json::from_slice(&edited(text, settings)) {
        model.header.settings = changed;
    }
    let names: Vec<String> = model.tensors.keys().cloned().collect();
    for (edit, name) in arrays.chunks(7).zip(names.iter().cycle()) {
        let [at, low, high, rest @ ..] = edit else { break };
        match model.tensors.get_mut(name) {
            Some(Array::F32 { shape, data }) if data.is_empty() || *at == 255 => {
                shape.reverse();
                shape.push(usize::from(*low));
            }
            Some(Array::F32 { data, .. }) => {
                let i = usize::from(*at) * data.len() / 256;
                data[i] = f32::from_bits(u32::from_le_bytes([*low, *high, 0, rest.len() as u8]));
            }
            Some(Array::F64 { data, .. }) if !data.is_empty() => {
                let i = usize::from(*at) * data.len() / 256;
                data[i] = f64::from(i16::from_le_bytes([*low, *high])) * 1e300;
            }
            Some(Array::U8 { data, .. }) if !data.is_empty() => {
                let i = usize::from(*at) * data.len() / 256;
                data[i] = *low;
            }
            _ => {}
        }
        if *at == 254 {
            model.tensors.remove(name);
        }
    }
    match model.to_bytes() {
        Ok(bytes) => predicted(&file("input.lanner", &bytes)),
        Err(error) => Err(error.to_string()),
    }
}

/// Changes a text by edits of three bytes: place, and two that replace what is there.
fn edited(mut text: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % text.len().max(1);
        let with: &[u8] = match edit[2] {
            0..=99 => &edit[3..],
            100..=149 => b"99999999999999",
            150..=180 => b"-1",
            181..=200 => b"null",
            _ => b"",
        };
        let end = (at + 1).min(text.len());
        text.splice(at.min(end)..end, with.iter().copied());
    }
    text
}

fn studied(path: &std::path::Path) -> Outcome {
    let says = |e: lanner_search::SearchError| e.to_string();
    let study = Study::open_read_only(path).map_err(says)?;
    let trials = study.trials().map_err(says)?;
    study.measurements().map_err(says)?;
    study.best().map_err(says)?;
    study.front().map_err(says)?;
    study.origins().map_err(says)?;
    study.failures(5).map_err(says)?;
    study.device().map_err(says)?;
    study.repeated().map_err(says)?;
    study.comparison().map_err(says)?;
    Ok(format!("{} trials", trials.len()))
}

fn study(bytes: &[u8]) -> Outcome {
    let path = file("study.db", bytes);
    let read = studied(&path);
    let saved = path.with_file_name("saved");
    let _ = fs::remove_dir_all(&saved);
    match Study::rescue(&path, &saved) {
        Ok(rescued) => assert!(rescued.study.is_none() || studied(&saved).is_ok()),
        Err(error) => assert!(read.is_err(), "read, but not rescued: {error}"),
    }
    read
}

/// A study of the schema before checksums with other cells, as the bytes say: table and column, row, value.
fn study_cells(bytes: &[u8]) -> Outcome {
    const CELLS: [&str; 22] = [
        "trial SET id",
        "trial SET round",
        "trial SET arch",
        "trial SET seed",
        "trial SET owner",
        "trial SET attempts",
        "trial SET asked_at",
        "trial SET finished_at",
        "trial SET value",
        "trial SET note",
        "metric SET name",
        "metric SET value",
        "metric SET trial",
        "prediction SET sd",
        "measurement SET arch",
        "measurement SET value",
        "measurement SET se",
        "measurement SET budget",
        "measurement SET unix_time",
        "strategy SET state",
        "study SET value",
        "trial_count SET trials",
    ];
    let path = file("study.db", super::seeds::old_study());
    let connection = rusqlite::Connection::open(&path).map_err(|e| e.to_string())?;
    let _ = connection.pragma_update(None, "journal_mode", "memory");
    let _ = connection.pragma_update(None, "synchronous", "off");
    for edit in bytes.chunks(24).take(4) {
        let [cell, row, kind, value @ ..] = edit else { break };
        let cell = CELLS[usize::from(*cell) % CELLS.len()];
        let key = match cell.split(' ').next() {
            Some("study") => "key = (SELECT key FROM study ORDER BY key LIMIT 1 OFFSET ?2)",
            Some("metric" | "prediction") => "trial = ?2",
            Some("trial_count") => "state = (SELECT state FROM trial_count LIMIT 1 OFFSET ?2)",
            _ => "id = ?2",
        };
        let sql = format!("UPDATE {cell} = ?1 WHERE {key}");
        let number = value.first_chunk().map_or(0, |b| i64::from_le_bytes(*b));
        let value: rusqlite::types::Value = match kind % 6 {
            0 => rusqlite::types::Value::Null,
            1 => number.into(),
            2 => f64::from_bits(number as u64).into(),
            3 => String::from_utf8_lossy(value).into_owned().into(),
            4 => value.to_vec().into(),
            _ => "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|".to_string().into(),
        };
        let row = i64::from(*row % 16);
        // A constraint may refuse it.
        let _ = connection.execute(&sql, (value, row));
    }
    drop(connection);
    studied(&path)
}

fn onnx_model(bytes: &[u8]) -> Outcome {
    // Costs are counted of a model that is read.
    let read = onnx::read(bytes, &onnx::ReadOptions::default());
    let cost = onnx::count(bytes);
    assert!(read.is_ok() || cost.is_err());
    read.map(|_| "a model".into()).map_err(|e| e.to_string())
}

/// The first byte chooses the space, the others are the text.
fn architecture(bytes: &[u8]) -> Outcome {
    let Some((space, text)) = bytes.split_first() else { return Err("nothing".into()) };
    let spaces = super::seeds::spaces();
    let space = &spaces[usize::from(*space) % spaces.len()];
    let text = String::from_utf8_lossy(text);
    let arch = space.parse(&text).map_err(|e| e.to_string())?;
    used(space, &arch);
    Ok(space.name().into())
}

fn metrics(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let latencies = command_output::parse(&text);
    if let Ok(samples) = &latencies {
        assert!(!samples.is_empty() && samples.iter().all(|ms| *ms > 0.0 && ms.is_finite()));
    }
    let needed = ["acc".to_string()];
    match script::metrics(&text, bytes.first() == Some(&0), &needed) {
        Ok(metrics) => {
            assert!(metrics["acc"].is_finite());
            Ok("metrics".into())
        }
        Err(why) => {
            latencies.map(|_| "latencies".into()).map_err(|other| format!("{why}; {other}"))
        }
    }
}
