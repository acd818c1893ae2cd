//! The file of a campaign: a header of settings, and a row for each network, on disk before the next
//! begins.
//!
//! ```text
//! # lanner latency table: 1
//! # space: nasbench201
//! # runtime: rten 0.27.0
//! …
//! arch,latency_ms,latency_ms_se,runs,drift,unix_time,note
//! |nor_conv_3x3~0|+|…,2.893,0.009,15,1.028,1795367984,
//! ```
//!
//! `runs` is 0 in rows that repeat the value of a network which computes the same. `latency_ms` is
//! empty if the runtime refused the network. `note` has the reason, or doubts about the latency.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use csv::StringRecord;
use lanner_space::{Architecture, Space};

use super::{Block, Measurement};
use crate::{
    EvaluateError, Header,
    append_file::AppendFile,
    journal::{FileKind, Journal, Opened, csv_text, read_header},
};

const KIND: FileKind = FileKind {
    title: "lanner latency table",
    version: "1",
    command: "measure",
    doing: "measuring",
};
const COLUMNS: [&str; 7] =
    ["arch", "latency_ms", "latency_ms_se", "runs", "drift", "unix_time", "note"];

/// First line of the file of blocks.
const BLOCKS: &str = "arch,block,runs,median_ms,reference_ms";
/// First line of the file of layers.
pub const LAYERS: &str = "layer,inputs,input,output,latency_ms,latency_ms_se,runs";

/// A row of the file.
#[derive(Debug, Clone)]
pub struct LatencyRow {
    pub arch: Architecture,
    /// Latency in milliseconds; `None` if the runtime refused the network.
    pub latency_ms: Option<f64>,
    /// Standard error in milliseconds; NaN if unknown.
    pub error_ms: f64,
    /// Number of runs; 0 if the latency is that of another network which computes the same.
    pub runs: usize,
    pub drift: f64,
    pub unix_time: u64,
    pub note: String,
}

/// Relative half-width of the 95 % interval above which a latency is doubtful.
pub const DOUBTFUL: f64 = 0.1;

/// Half the width of the 95 % interval, divided by the latency.
pub fn relative_half_width(latency_ms: f64, error_ms: f64) -> f64 {
    1.96 * error_ms / latency_ms
}

/// An open file of measurements, locked against others.
#[derive(Debug)]
pub struct LatencyTable {
    space: Space,
    journal: Journal,
    blocks: AppendFile,
}

impl LatencyTable {
    /// Opens a file or creates it; returns it with its rows and its header. A last row that a crash
    /// left torn is cut off.
    ///
    /// # Errors
    /// When the file or the one of its blocks has other settings, is of another kind, or is open in
    /// another process.
    pub fn open(
        path: &Path,
        space: &Space,
        header: &Header,
    ) -> Result<(LatencyTable, Vec<LatencyRow>, Header), EvaluateError> {
        let beside = blocks_path(path);
        check_beside(&beside, BLOCKS)?;
        let Opened { journal, header, records } = Journal::open(path, KIND, &COLUMNS, header)?;
        let mut blocks = AppendFile::open(beside)?;
        blocks.cut_torn_line().map_err(EvaluateError::io(&blocks.path, "write"))?;
        if blocks.len == 0 {
            blocks.append(format!("{BLOCKS}\n").as_bytes())?;
        }
        let rows: Result<Vec<LatencyRow>, EvaluateError> =
            records.iter().map(|(line, record)| parse_row(path, space, *line, record)).collect();
        Ok((LatencyTable { space: space.clone(), journal, blocks }, rows?, header))
    }

    /// Appends all rows or none.
    pub fn write(&mut self, rows: &[LatencyRow]) -> Result<(), EvaluateError> {
        let rows = self.fields(rows);
        self.journal.write(&rows)
    }

    /// Replaces the whole file by this header and these rows, or leaves it as it is.
    pub fn replace(self, header: &Header, rows: &[LatencyRow]) -> Result<(), EvaluateError> {
        let rows = self.fields(rows);
        self.journal.replace(header, &rows)
    }

    fn fields(&self, rows: &[LatencyRow]) -> Vec<[String; 7]> {
        let fields = |row: &LatencyRow| {
            [
                self.space.print(&row.arch),
                row.latency_ms.map_or(String::new(), milliseconds),
                milliseconds(row.error_ms),
                row.runs.to_string(),
                if row.drift.is_finite() { format!("{:.4}", row.drift) } else { String::new() },
                row.unix_time.to_string(),
                row.note.clone(),
            ]
        };
        rows.iter().map(fields).collect()
    }

    /// Appends the blocks of a measurement to the file beside the table (`table.blocks.csv`).
    pub fn write_blocks(
        &mut self,
        arch: &Architecture,
        measurement: &Measurement,
    ) -> Result<(), EvaluateError> {
        let blocks = measurement.blocks.iter().enumerate();
        let fields = |(i, &Block { runs, median_ms, reference_ms }): (usize, &Block)| {
            let reference = match reference_ms.is_nan() {
                true => String::new(),
                false => milliseconds(reference_ms),
            };
            let median = milliseconds(median_ms);
            [self.space.print(arch), i.to_string(), runs.to_string(), median, reference]
        };
        let rows: Vec<[String; 5]> = blocks.map(fields).collect();
        let bytes = csv_text(&self.blocks.path, &rows)?;
        self.blocks.append(&bytes)
    }
}

/// Formats milliseconds with five decimals; small ones, too, keep at least four digits. Nothing if unknown.
pub fn milliseconds(v: f64) -> String {
    match v {
        v if !v.is_finite() => String::new(),
        v if v >= 0.1 => format!("{v:.5}"),
        v if v >= 1e-3 || v == 0.0 => format!("{v:.7}"),
        v => format!("{v:.4e}"),
    }
}

/// Key of the header's fact with the reference network's latency.
pub(super) const BASELINE: &str = "reference_ms";

/// Reads the reference network's latency in milliseconds from an earlier table, which must have the
/// same settings.
pub fn read_baseline(path: &Path, header: &Header) -> Result<f64, EvaluateError> {
    baseline_of(path, &read_header(path, KIND, header)?)
}

/// The reference network's latency in a file's header, in milliseconds.
pub(super) fn baseline_of(path: &Path, header: &Header) -> Result<f64, EvaluateError> {
    let known = header.value(BASELINE).and_then(|v| v.parse().ok());
    known.filter(|v: &f64| v.is_finite() && *v > 0.0).ok_or_else(|| {
        let why = format!("the header has no '{BASELINE}' above 0");
        EvaluateError::File { path: path.into(), line: 1, why }
    })
}

/// Path of the blocks of a table: `table.blocks.csv` for `table.csv`.
pub fn blocks_path(path: &Path) -> PathBuf {
    beside(path, "blocks.csv")
}

/// Path of the layers of a table: `table.layers.csv` for `table.csv`.
pub fn layers_path(path: &Path) -> PathBuf {
    beside(path, "layers.csv")
}

/// A table of another extension keeps it, so that `a.csv` and `a.txt` do not share a file.
fn beside(path: &Path, extension: &str) -> PathBuf {
    match path.extension() {
        Some(own) if !own.eq_ignore_ascii_case("csv") => path.with_added_extension(extension),
        _ => path.with_extension(extension),
    }
}

/// Refuses a file beside a table that does not begin with the line that Lanner writes.
///
/// # Errors
/// The file is another one, or cannot be read.
pub fn check_beside(path: &Path, first: &str) -> Result<(), EvaluateError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            let most = first.len() as u64 + 2;
            file.take(most).read_to_end(&mut bytes).map_err(EvaluateError::io(path, "read"))?;
        }
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(EvaluateError::io(path, "read")(e)),
    }
    // A crash may have left a part of the line.
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let is_whole = line.len() < bytes.len();
    if line == first.as_bytes() || (!is_whole && first.as_bytes().starts_with(line)) {
        return Ok(());
    }
    let why = format!(
        "not written by 'lanner measure', which would write it beside the table: expected '{first}'; \
         give another --out"
    );
    Err(EvaluateError::File { path: path.into(), line: 1, why })
}

fn parse_row(
    path: &Path,
    space: &Space,
    line: u64,
    record: &StringRecord,
) -> Result<LatencyRow, EvaluateError> {
    let wrong = |why: String| EvaluateError::File { path: path.into(), line, why };
    let bad = |name: &str, text: &str| {
        wrong(format!("{name} is '{text}', expected a number above 0, or nothing"))
    };
    let number = |i: usize| -> Result<f64, EvaluateError> {
        match record[i].parse::<f64>() {
            _ if record[i].is_empty() => Ok(f64::NAN),
            Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
            _ => Err(bad(COLUMNS[i], &record[i])),
        }
    };
    let latency = number(1)?;
    Ok(LatencyRow {
        arch: space.parse(&record[0]).map_err(|e| wrong(e.to_string()))?,
        latency_ms: Some(latency).filter(|v| !v.is_nan()),
        error_ms: number(2)?,
        runs: record[3].parse().map_err(|_| bad("runs", &record[3]))?,
        drift: number(4)?,
        unix_time: record[5].parse().map_err(|_| bad("unix_time", &record[5]))?,
        note: record[6].to_owned(),
    })
}

#[cfg(test)]
#[path = "latency_table_tests.rs"]
mod tests;
