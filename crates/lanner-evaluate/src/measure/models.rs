//! Measures models of any origin, one after the other, each on disk before the next.
//!
//! ```text
//! # lanner model latencies: 1
//! # runtime: onnxruntime 1.32.0
//! …
//! network,latency_ms,latency_ms_se,runs,drift,note,fingerprint
//! nets/small.onnx,2.893,0.009,15,1.028,,913408-6c1e09ab
//! ```
//!
//! `fingerprint` has the size of the model's file in bytes and its CRC-32C: a file that is another by now is measured
//! again.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use lanner_network::onnx::ReadOptions;
use lanner_space::Space;

use super::campaign::{deployed, doubts, one_line, reference};
use super::{Device, Header, Protocol, Reference, Runtime, milliseconds};
use crate::EvaluateError;
use crate::journal::{FileKind, Journal};

const KIND: FileKind = FileKind {
    title: "lanner model latencies",
    version: "1",
    command: "measure",
    doing: "measuring",
};
const COLUMNS: [&str; 7] =
    ["network", "latency_ms", "latency_ms_se", "runs", "drift", "note", "fingerprint"];
/// Number of columns where no model is a file.
const WITHOUT_FILES: usize = 6;
/// Bytes of a file that are read at a time.
const BUFFER: usize = 1 << 20;

/// Most bytes of a table's header.
const MOST_HEADER: u64 = 1 << 20;

/// A model to measure.
#[derive(Debug, Clone)]
pub struct Model {
    /// Name in the table, such as the path of its file.
    pub name: String,
    pub source: ModelSource,
}

/// Where a model comes from.
#[derive(Debug, Clone)]
pub enum ModelSource {
    File(std::path::PathBuf),
    /// The [probe](lanner_network::onnx::probe) of that number.
    Probe(u64),
}

/// Latency of a model, or why there is none.
#[derive(Debug, Clone)]
pub struct ModelLatency {
    pub name: String,
    /// Milliseconds; `None` if the runtime refused the model.
    pub latency_ms: Option<f64>,
    pub error_ms: f64,
    pub note: String,
}

/// Measures models on a device into a file, if there is one, which a later call goes on with; a model whose
/// file is another by then is measured again. The
/// closure is told how many are done before each, and may stop. Ends after `budget_s` seconds in any
/// case.
///
/// # Errors
/// The file has other settings, or the device does not answer; a model that the runtime refuses is a row
/// with a note.
pub fn measure_models(
    device: &Device,
    protocol: &Protocol,
    models: &[Model],
    out: Option<&Path>,
    budget_s: f64,
    mut tell: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<ModelLatency>, EvaluateError> {
    let start = Instant::now();
    let runtime = device.runtime()?;
    let header = header(device, &*runtime, protocol);
    let mut journal = None;
    let mut done = Vec::new();
    let files: Vec<String> = models
        .iter()
        .map(|model| match &model.source {
            ModelSource::File(path) => fingerprint(path),
            ModelSource::Probe(_) => Ok(String::new()),
        })
        .collect::<Result<_, EvaluateError>>()?;
    let has_files = files.iter().any(|file| !file.is_empty());
    let columns = &COLUMNS[..if has_files { COLUMNS.len() } else { WITHOUT_FILES }];
    if let Some(out) = out {
        let mut opened = Journal::open(out, KIND, columns, &header)?;
        let now: HashMap<&str, &str> =
            models.iter().zip(&files).map(|(m, file)| (m.name.as_str(), file.as_str())).collect();
        let is_as_it_was = |record: &csv::StringRecord| {
            let cell = |i: usize| record.get(i).unwrap_or_default();
            now.get(cell(0)).is_none_or(|file| *file == cell(6))
        };
        let before = opened.records.len();
        opened.records.retain(|(_, record)| is_as_it_was(record));
        if opened.records.len() < before {
            let row = |(_, record): &(u64, csv::StringRecord)| -> Vec<String> {
                record.iter().map(String::from).collect()
            };
            let rows: Vec<Vec<String>> = opened.records.iter().map(row).collect();
            opened.journal.replace(&opened.header, &rows)?;
            opened = Journal::open(out, KIND, columns, &header)?;
        }
        for (line, record) in opened.records {
            done.push(parse(out, line, &record)?);
        }
        journal = Some(opened.journal);
    }
    let known: HashSet<String> = done.iter().map(|d: &ModelLatency| d.name.clone()).collect();
    let mut reference = match device.reference {
        true => {
            // The same network for all, so that a drift of the machine is seen.
            let space = Space::NasBench201;
            let skeleton = lanner_network::Skeleton::of(&space)?;
            let model = deployed(&skeleton, &reference(&space)?, device.onnx())?;
            Some(Reference::new(runtime.load(&model)?, None)?)
        }
        false => None,
    };
    for (number, model) in models.iter().enumerate() {
        if known.contains(&model.name) {
            continue;
        }
        if tell(number).is_break() || start.elapsed().as_secs_f64() > budget_s {
            return Ok(done);
        }
        let loaded = match &model.source {
            ModelSource::File(path) => runtime.load_file(path),
            ModelSource::Probe(number) => runtime.load(&lanner_network::onnx::probe(*number)),
        };
        let measured = loaded.and_then(|mut s| protocol.measure(&mut *s, reference.as_mut()));
        let (row, runs, drift) = match measured {
            Ok(m) => {
                let (name, note) = (model.name.clone(), doubts(&m));
                // As the table has it, so that a later call yields the same.
                let latency_ms = milliseconds(m.latency_ms).parse().ok();
                (ModelLatency { name, latency_ms, error_ms: m.error_ms, note }, m.runs, m.drift)
            }
            Err(EvaluateError::Refused { why, .. }) => {
                let (name, note) = (model.name.clone(), one_line(&why));
                (ModelLatency { name, latency_ms: None, error_ms: f64::NAN, note }, 0, f64::NAN)
            }
            Err(error) => return Err(error),
        };
        if let Some(journal) = &mut journal {
            let mut cells = vec![
                row.name.clone(),
                row.latency_ms.map_or(String::new(), milliseconds),
                milliseconds(row.error_ms),
                runs.to_string(),
                if drift.is_finite() { format!("{drift:.4}") } else { String::new() },
                row.note.clone(),
            ];
            cells.extend(has_files.then(|| files[number].clone()));
            journal.write(&[cells])?;
        }
        done.push(row);
    }
    let _ = tell(models.len());
    Ok(done)
}

/// Tells a model's file from another: its size in bytes and its CRC-32C.
///
/// # Errors
/// It cannot be read.
pub fn fingerprint(path: &Path) -> Result<String, EvaluateError> {
    let io = || EvaluateError::io(path, "read");
    let mut file = std::fs::File::open(path).map_err(io())?;
    let (mut buffer, mut size, mut sum) = (vec![0; BUFFER], 0, 0);
    loop {
        match file.read(&mut buffer).map_err(io())? {
            0 => return Ok(format!("{size}-{sum:08x}")),
            n => {
                size += n as u64;
                sum = crc32c::crc32c_append(sum, &buffer[..n]);
            }
        }
    }
}

fn header(device: &Device, runtime: &dyn Runtime, protocol: &Protocol) -> Header {
    let [name, threads, cores] = device.facts().map(|fact| fact.1);
    let mut header = Header::now([
        ("runtime", runtime.describe()),
        ("protocol", protocol.describe()),
        ("device", name),
        ("threads", threads),
        ("cores", cores),
    ]);
    // Tables from before sizes could be given have none.
    if device.batch > 1 {
        header.settings.push(("batch".into(), device.batch.to_string()));
    }
    if !device.dims.is_empty() {
        header.settings.push(("dims".into(), serde_json::json!(device.dims).to_string()));
    }
    header
}

/// Reads from a table's header the sizes of dimensions that its models leave open; the usual ones if it has none.
///
/// # Errors
/// The file cannot be read, or they are no sizes.
pub fn measured_sizes(table: &Path) -> Result<ReadOptions, EvaluateError> {
    let wrong = |line: usize, why: String| EvaluateError::File {
        path: table.into(),
        line: line as u64 + 1,
        why,
    };
    let mut sizes = ReadOptions::default();
    let file = std::fs::File::open(table).map_err(|e| wrong(0, e.to_string()))?;
    for (number, line) in BufReader::new(file.take(MOST_HEADER)).lines().enumerate() {
        let line = line.map_err(|e| wrong(number, e.to_string()))?;
        let Some(setting) = line.strip_prefix("# ") else { break };
        let sized = |e: serde_json::Error| wrong(number, format!("'{line}': {e}"));
        match setting.split_once(": ") {
            Some(("batch", value)) => {
                sizes.batch = Some(serde_json::from_str(value).map_err(sized)?);
            }
            Some(("dims", value)) => sizes.dims = serde_json::from_str(value).map_err(sized)?,
            _ => {}
        }
    }
    Ok(sizes)
}

fn parse(
    path: &Path,
    line: u64,
    record: &csv::StringRecord,
) -> Result<ModelLatency, EvaluateError> {
    let cell = |i: usize| record.get(i).unwrap_or_default();
    let number = |i: usize| match cell(i) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| EvaluateError::File {
            path: path.into(),
            line,
            why: format!("{} '{text}' is not a number", COLUMNS[i]),
        }),
    };
    Ok(ModelLatency {
        name: cell(0).into(),
        latency_ms: number(1)?,
        error_ms: number(2)?.unwrap_or(f64::NAN),
        note: cell(5).into(),
    })
}
