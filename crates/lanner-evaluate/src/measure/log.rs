//! The file of a campaign: a header that says how was measured, and a row a network, each on disk
//! before the next is begun.
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
//! empty where the runtime refused the network; `note` has its reason.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use lanner_space::{Architecture, Space};

use super::{Block, Measurement};
use crate::EvaluateError;

const FIRST: &str = "lanner latency table";
const VERSION: &str = "1";
const COLUMNS: [&str; 7] =
    ["arch", "latency_ms", "latency_ms_se", "runs", "drift", "unix_time", "note"];
/// The fact of a header that is the reference network's latency.
pub(super) const BASELINE: &str = "reference_ms";
/// A header is a few hundred bytes; what has none in so many is not a file of ours.
const LONGEST_HEADER: usize = 64 * 1024;

/// How was measured. All `settings` must be equal for rows to stand in one file; `facts` may differ
/// from one part of a campaign to the next, and stay as the first part wrote them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    pub settings: Vec<(String, String)>,
    pub facts: Vec<(String, String)>,
}

impl Header {
    /// The value of a setting or fact.
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut all = self.settings.iter().chain(&self.facts);
        all.find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The reference network's latency, milliseconds.
    pub(crate) fn baseline(&self, path: &Path) -> Result<f64, EvaluateError> {
        let known = self.value(BASELINE).and_then(|v| v.parse().ok());
        known.filter(|v: &f64| v.is_finite() && *v > 0.0).ok_or_else(|| {
            let why = format!("the header has no '{BASELINE}' above 0");
            EvaluateError::File { path: path.into(), line: 1, why }
        })
    }

    /// Changes a fact, or a setting read from a file, or adds a fact.
    pub fn set(&mut self, key: &str, value: String) {
        match self.settings.iter_mut().chain(&mut self.facts).find(|(k, _)| k == key) {
            Some((_, v)) => *v = value,
            None => self.facts.push((key.into(), value)),
        }
    }

    /// The first lines of a file, and the names of its columns.
    fn text(&self) -> String {
        let mut text = format!("# {FIRST}: {VERSION}\n");
        for (key, value) in self.settings.iter().chain(&self.facts) {
            let line: String =
                value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text += &format!("# {key}: {line}\n");
        }
        text + &COLUMNS.join(",") + "\n"
    }
}

/// A row of the file.
#[derive(Debug, Clone)]
pub struct Row {
    pub arch: Architecture,
    /// `None` where the runtime refused the network.
    pub latency_ms: Option<f64>,
    /// NaN where it is not known.
    pub error_ms: f64,
    /// 0 where the value is that of a network which computes the same.
    pub runs: usize,
    pub drift: f64,
    pub unix_time: u64,
    pub note: String,
}

/// An open file of measurements, locked against others.
#[derive(Debug)]
pub struct Log {
    space: Space,
    rows: Lines,
    blocks: Lines,
}

/// A file that grows by whole lines, whatever happens.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
    /// Bytes of the file that are whole.
    len: u64,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Lines, EvaluateError> {
        let io = |doing| EvaluateError::io(&path, doing);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path).map_err(io("open"))?;
        let about = file.metadata().map_err(io("read"))?;
        if !about.is_file() {
            let why = "not a regular file".into();
            return Err(EvaluateError::File { path, line: 1, why });
        }
        Ok(Lines { file, len: about.len(), path })
    }

    /// Cuts off a last line that a crash left torn: one that has no end.
    fn mend(&mut self) -> std::io::Result<()> {
        let mut end = self.len;
        while end > 0 {
            let start = end.saturating_sub(4096);
            self.file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            (&self.file).take(end - start).read_to_end(&mut bytes)?;
            if let Some(at) = bytes.iter().rposition(|&b| b == b'\n') {
                end = start + at as u64 + 1;
                break;
            }
            end = start;
        }
        if end < self.len {
            self.file.set_len(end)?;
            self.len = end;
        }
        Ok(())
    }

    /// Appends lines, all or none: what a full disk took half of is cut off again.
    fn append(&mut self, bytes: &[u8]) -> Result<(), EvaluateError> {
        if let Err(error) = self.file.write_all(bytes) {
            // Whatever became of this, the lines before are whole.
            let _ = self.file.set_len(self.len);
            return Err(EvaluateError::Io { path: self.path.clone(), doing: "write", error });
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Log {
    /// Opens the file or begins it, and gives the rows that it has and the facts of its header. A
    /// last row that a crash left torn is cut off. Refused: a file of other settings, another kind
    /// of file, one that another process has open.
    pub fn open(
        path: &Path,
        space: &Space,
        header: &Header,
    ) -> Result<(Log, Vec<Row>, Header), EvaluateError> {
        let io = |doing| EvaluateError::io(path, doing);
        let mut rows = Lines::open(path.into())?;
        match rows.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = "another process is measuring into this file".into();
                return Err(EvaluateError::File { path: path.into(), line: 1, why });
            }
            // Some network file systems have no locks; that is no reason not to measure.
            Err(TryLockError::Error(_)) => {}
        }
        // A file of another kind may be of any size: its beginning tells.
        let mut bytes = Vec::new();
        (&rows.file).take(LONGEST_HEADER as u64).read_to_end(&mut bytes).map_err(io("read"))?;
        if bytes.len() == LONGEST_HEADER {
            parse_header(path, &bytes)?;
        }
        rows.file.read_to_end(&mut bytes).map_err(io("read"))?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            let mut log = Log { space: space.clone(), rows, blocks: open_blocks(path)? };
            log.rows.file.set_len(0).map_err(io("write"))?;
            log.rows.len = 0;
            log.rows.append(header.text().as_bytes())?;
            return Ok((log, Vec::new(), header.clone()));
        }
        // Everything but a torn row ends a line.
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let (found, lines) = parse_header(path, &bytes[..whole])?;
        check_settings(path, header, &found)?;
        let known = parse_rows(path, space, &bytes[..whole], lines)?;
        rows.mend().map_err(io("write"))?;
        Ok((Log { space: space.clone(), rows, blocks: open_blocks(path)? }, known, found))
    }

    /// Writes rows, all or none, to the disk itself.
    pub fn write(&mut self, rows: &[Row]) -> Result<(), EvaluateError> {
        let bytes = self.rows_text(rows)?;
        self.rows.append(&bytes)?;
        self.rows.file.sync_data().map_err(EvaluateError::io(&self.rows.path, "write"))
    }

    /// Puts a file with this header and these rows in the place of the file, as a whole or not at
    /// all.
    pub fn replace(self, header: &Header, rows: &[Row]) -> Result<(), EvaluateError> {
        let mut text = header.text().into_bytes();
        text.extend(self.rows_text(rows)?);
        Ok(lanner_network::write_file(&self.rows.path, &text)?)
    }

    fn rows_text(&self, rows: &[Row]) -> Result<Vec<u8>, EvaluateError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        // A latency has four digits or more, however small it is.
        let number = |v: f64| match v {
            v if !v.is_finite() => String::new(),
            v if v < 0.1 => format!("{v:.7}"),
            v => format!("{v:.5}"),
        };
        for row in rows {
            let fields = [
                self.space.print(&row.arch),
                row.latency_ms.map_or(String::new(), number),
                number(row.error_ms),
                row.runs.to_string(),
                if row.drift.is_finite() { format!("{:.4}", row.drift) } else { String::new() },
                row.unix_time.to_string(),
                row.note.clone(),
            ];
            out.write_record(fields).map_err(|e| self.csv_error(e))?;
        }
        out.into_inner().map_err(|e| self.csv_error(e.into_error().into()))
    }

    /// Writes the blocks of a measurement into the file beside (`table.blocks.csv`).
    pub fn write_blocks(
        &mut self,
        arch: &Architecture,
        measurement: &Measurement,
    ) -> Result<(), EvaluateError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        for (i, &Block { runs, median_ms, reference_ms }) in measurement.blocks.iter().enumerate() {
            let reference = match reference_ms.is_nan() {
                true => String::new(),
                false => format!("{reference_ms:.5}"),
            };
            let median = format!("{median_ms:.5}");
            let fields =
                [self.space.print(arch), i.to_string(), runs.to_string(), median, reference];
            out.write_record(fields).map_err(|e| self.csv_error(e))?;
        }
        let bytes = out.into_inner().map_err(|e| self.csv_error(e.into_error().into()))?;
        self.blocks.append(&bytes)
    }

    fn csv_error(&self, error: csv::Error) -> EvaluateError {
        let error = std::io::Error::other(error);
        EvaluateError::Io { path: self.rows.path.clone(), doing: "write", error }
    }
}

/// The reference network's latency in an earlier table, which must be of the same settings.
pub fn baseline(path: &Path, header: &Header) -> Result<f64, EvaluateError> {
    let file = File::open(path).map_err(EvaluateError::io(path, "open"))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_HEADER as u64)
        .read_to_end(&mut bytes)
        .map_err(EvaluateError::io(path, "read"))?;
    let (found, _) = parse_header(path, &bytes)?;
    check_settings(path, header, &found)?;
    found.baseline(path)
}

/// `table.csv` has its blocks in `table.blocks.csv`.
pub fn blocks_path(path: &Path) -> PathBuf {
    path.with_extension("blocks.csv")
}

/// The file of blocks, with its first line.
fn open_blocks(path: &Path) -> Result<Lines, EvaluateError> {
    let mut blocks = Lines::open(blocks_path(path))?;
    blocks.mend().map_err(EvaluateError::io(&blocks.path, "write"))?;
    if blocks.len == 0 {
        blocks.append(b"arch,block,runs,median_ms,reference_ms\n")?;
    }
    Ok(blocks)
}

/// The lines that begin with `#`, all as settings, and how many there are.
fn parse_header(path: &Path, bytes: &[u8]) -> Result<(Header, u64), EvaluateError> {
    let wrong =
        |line: u64, why: &str| EvaluateError::File { path: path.into(), line, why: why.into() };
    let mut header = Header::default();
    let mut lines = 0;
    for line in bytes[..bytes.len().min(LONGEST_HEADER)].split(|&b| b == b'\n') {
        let Some(text) = line.strip_prefix(b"#") else { break };
        lines += 1;
        let text = std::str::from_utf8(text).map_err(|_| wrong(lines, "not UTF-8 text"))?;
        let (key, value) =
            text.split_once(':').ok_or_else(|| wrong(lines, "expected '# key: value'"))?;
        header.settings.push((key.trim().into(), value.trim().into()));
    }
    match header.settings.first() {
        Some((key, version)) if key == FIRST && version == VERSION => {
            header.settings.remove(0);
            Ok((header, lines))
        }
        Some((key, version)) if key == FIRST => Err(wrong(
            1,
            &format!("a table of version {version}, and this Lanner knows version {VERSION} only"),
        )),
        _ => Err(wrong(
            1,
            &format!("not a table that 'lanner measure' wrote: expected '# {FIRST}: {VERSION}'"),
        )),
    }
}

/// The file must have each setting that is wanted; what else it says are facts.
fn check_settings(path: &Path, wanted: &Header, found: &Header) -> Result<(), EvaluateError> {
    for (key, value) in &wanted.settings {
        let at = found.settings.iter().position(|(k, _)| k == key);
        let there = at.map(|i| found.settings[i].1.as_str());
        if there != Some(value.trim()) {
            let there = there.map_or("nothing about it".into(), |t| format!("'{t}'"));
            return Err(EvaluateError::File {
                path: path.into(),
                line: at.map_or(1, |i| i as u64 + 2),
                why: format!(
                    "made with other settings: {key} is '{value}' now, and the file has {there}; \
                     give another --out, or the old settings"
                ),
            });
        }
    }
    Ok(())
}

fn parse_rows(
    path: &Path,
    space: &Space,
    bytes: &[u8],
    header_lines: u64,
) -> Result<Vec<Row>, EvaluateError> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(bytes);
    let wrong = |line: u64, why: String| EvaluateError::File { path: path.into(), line, why };
    let head = reader.headers().map_err(|e| wrong(header_lines + 1, e.to_string()))?;
    if head != COLUMNS[..] {
        let why = format!("expected the columns {}", COLUMNS.join(","));
        return Err(wrong(header_lines + 1, why));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record
            .map_err(|e| wrong(e.position().map_or(0, |p| p.line()), format!("not a row: {e}")))?;
        let line = record.position().map_or(0, |p| p.line());
        let bad = |name: &str, text: &str| {
            wrong(line, format!("{name} is '{text}', expected a number above 0, or nothing"))
        };
        let number = |i: usize| -> Result<f64, EvaluateError> {
            match record[i].parse::<f64>() {
                _ if record[i].is_empty() => Ok(f64::NAN),
                Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
                _ => Err(bad(COLUMNS[i], &record[i])),
            }
        };
        let latency = number(1)?;
        rows.push(Row {
            arch: space.parse(&record[0]).map_err(|e| wrong(line, e.to_string()))?,
            latency_ms: Some(latency).filter(|v| !v.is_nan()),
            error_ms: number(2)?,
            runs: record[3].parse().map_err(|_| bad("runs", &record[3]))?,
            drift: number(4)?,
            unix_time: record[5].parse().map_err(|_| bad("unix_time", &record[5]))?,
            note: record[6].to_owned(),
        });
    }
    Ok(rows)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
