//! CSV files with a header of settings, to which a campaign adds rows. Each row is on disk before the
//! next network begins, so that a campaign can be stopped, killed and resumed at any time.
//!
//! ```text
//! # lanner latency table: 1
//! # space: nasbench201
//! # runtime: rten 0.27.0
//! …
//! arch,latency_ms,…
//! |nor_conv_3x3~0|+|…,2.893,…
//! ```

use std::{
    fs::{File, TryLockError},
    io::Read,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use csv::StringRecord;

use crate::{EvaluateError, append_file::AppendFile};

/// Largest header in bytes. Headers have a few hundred bytes; a file without one in its first 64 KiB
/// is not ours.
const LONGEST_HEADER: usize = 64 * 1024;

/// How often, and after which pause, a locked file is tried again: a program that this process starts holds a
/// copy of its locks for a moment.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Kind of a file, which its first line names: `# title: version`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileKind {
    pub title: &'static str,
    pub version: &'static str,
    /// The command that writes it, and what it does, for messages: `measure`, `measuring`.
    pub command: &'static str,
    pub doing: &'static str,
}

/// Header of a file. All rows of a file must share the `settings`; the `facts` may differ between runs
/// of a campaign, and stay as the first run wrote them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    pub settings: Vec<(String, String)>,
    pub facts: Vec<(String, String)>,
}

impl Header {
    /// A header with these settings; its facts are the version and the time.
    pub(crate) fn now<const N: usize>(settings: [(&str, String); N]) -> Header {
        let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let facts = [
            ("lanner", env!("CARGO_PKG_VERSION").to_string()),
            ("started_unix_time", unix_time.to_string()),
        ];
        let pair = |(k, v): (&str, String)| (k.to_string(), v);
        Header {
            settings: settings.into_iter().map(pair).collect(),
            facts: facts.into_iter().map(pair).collect(),
        }
    }

    /// Value of a setting or fact.
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut all = self.settings.iter().chain(&self.facts);
        all.find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Changes a fact, or a setting read from a file, or adds a fact.
    pub fn set(&mut self, key: &str, value: String) {
        match self.settings.iter_mut().chain(&mut self.facts).find(|(k, _)| k == key) {
            Some((_, v)) => *v = value,
            None => self.facts.push((key.into(), value)),
        }
    }

    /// Text of the header, with the line of column names.
    fn text(&self, kind: FileKind, columns: &[&str]) -> String {
        let mut text = format!("# {}: {}\n", kind.title, kind.version);
        for (key, value) in self.settings.iter().chain(&self.facts) {
            let line: String =
                value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text += &format!("# {key}: {line}\n");
        }
        text + &columns.join(",") + "\n"
    }
}

/// An open file, locked against others.
#[derive(Debug)]
pub(crate) struct Journal {
    kind: FileKind,
    columns: Vec<String>,
    lines: AppendFile,
}

/// A file that was opened, with its contents.
pub(crate) struct Opened {
    pub journal: Journal,
    /// Header of the file.
    pub header: Header,
    /// Rows with their line numbers.
    pub records: Vec<(u64, StringRecord)>,
}

impl Journal {
    /// Opens a file or creates it. A last row that a crash left torn is cut off.
    ///
    /// # Errors
    /// When the file has other settings or columns, is of another kind, or is open in another process.
    pub fn open(
        path: &Path,
        kind: FileKind,
        columns: &[&str],
        header: &Header,
    ) -> Result<Opened, EvaluateError> {
        let io = |doing| EvaluateError::io(path, doing);
        let wrong = |why: String| EvaluateError::File { path: path.into(), line: 1, why };
        let mut lines = AppendFile::open(path.into())?;
        let mut lock = lines.file.try_lock();
        for _ in 0..LOCK_TRIES {
            if !matches!(lock, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            lock = lines.file.try_lock();
        }
        match lock {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(wrong(format!("another process is {} into this file", kind.doing)));
            }
            // Some network file systems have no locks; go on without one.
            Err(TryLockError::Error(_)) => {}
        }
        // A file of another kind may have any size: only its beginning is read.
        let mut bytes = Vec::new();
        (&lines.file).take(LONGEST_HEADER as u64).read_to_end(&mut bytes).map_err(io("read"))?;
        if bytes.len() == LONGEST_HEADER {
            parse_header(path, kind, &bytes)?;
        }
        lines.file.read_to_end(&mut bytes).map_err(io("read"))?;
        let columns_owned = columns.iter().map(|&c| c.into()).collect();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            lines.file.set_len(0).map_err(io("write"))?;
            lines.len = 0;
            lines.append(header.text(kind, columns).as_bytes())?;
            let journal = Journal { kind, columns: columns_owned, lines };
            return Ok(Opened { journal, header: header.clone(), records: vec![] });
        }
        // Only a torn row has no line end.
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let (found, top) = parse_header(path, kind, &bytes[..whole])?;
        check_settings(path, header, &found)?;
        let records = parse_records(path, columns, &bytes[..whole], top)?;
        lines.cut_torn_line().map_err(io("write"))?;
        Ok(Opened {
            journal: Journal { kind, columns: columns_owned, lines },
            header: found,
            records,
        })
    }

    /// Appends all rows or none, and syncs them to disk.
    pub fn write<R: AsRef<[String]>>(&mut self, rows: &[R]) -> Result<(), EvaluateError> {
        let bytes = csv_text(&self.lines.path, rows)?;
        self.lines.append(&bytes)?;
        self.lines.file.sync_data().map_err(EvaluateError::io(&self.lines.path, "write"))
    }

    /// Replaces the whole file by this header and these rows, or leaves it as it is.
    pub fn replace<R: AsRef<[String]>>(
        self,
        header: &Header,
        rows: &[R],
    ) -> Result<(), EvaluateError> {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let mut text = header.text(self.kind, &columns).into_bytes();
        text.extend(csv_text(&self.lines.path, rows)?);
        Ok(lanner_data::write_file(&self.lines.path, &text)?)
    }
}

/// Reads the header of a file of this kind, which must have the settings of `header`.
pub(crate) fn read_header(
    path: &Path,
    kind: FileKind,
    wanted: &Header,
) -> Result<Header, EvaluateError> {
    let file = File::open(path).map_err(EvaluateError::io(path, "open"))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_HEADER as u64)
        .read_to_end(&mut bytes)
        .map_err(EvaluateError::io(path, "read"))?;
    let (found, _) = parse_header(path, kind, &bytes)?;
    check_settings(path, wanted, &found)?;
    Ok(found)
}

/// Formats rows as lines of CSV; `path` is for messages.
pub(crate) fn csv_text<R: AsRef<[String]>>(
    path: &Path,
    rows: &[R],
) -> Result<Vec<u8>, EvaluateError> {
    let failed = |error: csv::Error| {
        let error = std::io::Error::other(error);
        EvaluateError::Io { path: path.into(), doing: "write", error }
    };
    let mut out = csv::Writer::from_writer(Vec::new());
    for row in rows {
        out.write_record(row.as_ref()).map_err(failed)?;
    }
    out.into_inner().map_err(|e| failed(e.into_error().into()))
}

/// Parses the lines that begin with `#`, all as settings; also returns their number.
fn parse_header(path: &Path, kind: FileKind, bytes: &[u8]) -> Result<(Header, u64), EvaluateError> {
    let FileKind { title, version: known, command, .. } = kind;
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
        Some((key, version)) if key == title && version == known => {
            header.settings.remove(0);
            Ok((header, lines))
        }
        Some((key, version)) if key == title => Err(wrong(
            1,
            &format!("a table of version {version}, and this Lanner knows version {known} only"),
        )),
        _ => Err(wrong(
            1,
            &format!("not a table that 'lanner {command}' wrote: expected '# {title}: {known}'"),
        )),
    }
}

/// Checks that the file has each wanted setting; its other lines are facts.
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

fn parse_records(
    path: &Path,
    columns: &[&str],
    bytes: &[u8],
    header_lines: u64,
) -> Result<Vec<(u64, StringRecord)>, EvaluateError> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(bytes);
    let wrong = |line: u64, why: String| EvaluateError::File { path: path.into(), line, why };
    let head = reader.headers().map_err(|e| wrong(header_lines + 1, e.to_string()))?;
    if head != columns {
        let why = format!("expected the columns {}", columns.join(","));
        return Err(wrong(header_lines + 1, why));
    }
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record
            .map_err(|e| wrong(e.position().map_or(0, |p| p.line()), format!("not a row: {e}")))?;
        records.push((record.position().map_or(0, |p| p.line()), record));
    }
    Ok(records)
}
