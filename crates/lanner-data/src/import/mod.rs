//! Reads the files in which benchmarks are published.
//!
//! [`read`] makes one table of any number of files of one [`Format`]: the metrics of each file become
//! columns, joined by architecture.
//!
//! ```no_run
//! use lanner_data::import::{Format, read};
//! use lanner_space::Space;
//! let files = ["nasbench201_pixel3.pt".into(), "nasbench201_titan_rtx_256.pt".into()];
//! let imported = read(Format::Help, &files, &Space::NasBench201, &|_, _| {})?;
//! assert_eq!(imported.table.names, ["pixel3_ms", "titan_rtx_256_ms"]);
//! imported.table.write("latency.csv")?;
//! # Ok::<(), lanner_data::DataError>(())
//! ```

mod help;
mod hwnasbench;
mod latbench;
mod nasbench;
mod nasbench101;
mod nasbench301;
mod results;
mod suite_zero;
#[cfg(test)]
mod tests;
mod tfrecord;
mod transformers;

use std::{
    cell::Cell,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
};
pub(crate) use transformers::format_of;

use lanner_space::Space;

use crate::{DataError, Table, error::shown};

/// A format of published benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// HAT's latencies of encoder–decoder transformers, a CSV a device.
    Hat,
    /// HELP's `.pt`: a list of latencies in milliseconds, in official order.
    Help,
    /// HW-GPT-Bench as a CSV, with an architecture's lists in columns.
    HwGpt,
    /// HW-NAS-Bench's `.pickle`: lists of values in official order, for three data sets.
    HwNasBench,
    /// LatBench's `.pickle`: a dict of operation tuples to seconds.
    LatBench,
    /// NAS-Bench-101's `.tfrecord`.
    NasBench101,
    /// NAS-Bench-201's `.pth`, or its folder with a `.pth` for each architecture.
    NasBench201,
    /// NAS-Bench-301's folder of `results_*.json`, or a zip of them: its trainings, not its
    /// surrogates.
    NasBench301,
    /// NATS-Bench's topology or size space: its folder of `.pickle.pbz2`, or its single file.
    NatsBench,
    /// NAS-Bench-Suite-Zero's `zc_*.json`, and the lists of its further trainings.
    SuiteZero,
    /// ViT-Bench-101's CSV, with several sets of networks.
    VitBench,
    /// Any table that [`Table::read`] reads.
    Csv,
}

impl Format {
    /// All formats with their names on the command line.
    pub const ALL: [(&'static str, Format); 12] = [
        ("hat", Format::Hat),
        ("help", Format::Help),
        ("hwgpt", Format::HwGpt),
        ("hwnasbench", Format::HwNasBench),
        ("latbench", Format::LatBench),
        ("nasbench101", Format::NasBench101),
        ("nasbench201", Format::NasBench201),
        ("nasbench301", Format::NasBench301),
        ("natsbench", Format::NatsBench),
        ("suite-zero", Format::SuiteZero),
        ("vitbench", Format::VitBench),
        ("csv", Format::Csv),
    ];

    /// Tells whether files of the format have several data sets, of which `only` may choose one.
    pub fn has_data_sets(self) -> bool {
        matches!(self, Format::HwNasBench | Format::SuiteZero | Format::VitBench)
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let found = Format::ALL.iter().find(|(n, _)| *n == name);
        found.map(|&(_, f)| f).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|&(n, _)| n).collect();
            DataError::Table(format!(
                "unknown format '{}'; known: {}",
                shown(name),
                known.join(", ")
            ))
        })
    }
}

/// Table of the imported files, with notes about them.
#[derive(Debug, Clone)]
pub struct Imported {
    pub table: Table,
    /// Sentences on skipped columns, merged rows and the index files that were used.
    pub notes: Vec<String>,
}

/// Reads files of one format into one table of the space. `progress` is called often, with the work
/// done and the total work (in bytes, or files of a folder).
pub fn read(
    format: Format,
    files: &[PathBuf],
    space: &Space,
    progress: &dyn Fn(u64, u64),
) -> Result<Imported, DataError> {
    read_where(format, files, space, None, progress)
}

/// [`read`], with `only` = (column, text) for [`Format::Csv`] as in [`Table::read_where`], or the data set for formats that
/// [have several](Format::has_data_sets).
pub fn read_where(
    format: Format,
    files: &[PathBuf],
    space: &Space,
    only: Option<(&str, &str)>,
    progress: &dyn Fn(u64, u64),
) -> Result<Imported, DataError> {
    let mut notes = vec![];
    let dataset = match only {
        Some((column, _)) if format.has_data_sets() && column != "dataset" => {
            let why = format!("rows by '{}': this format has rows by 'dataset'", shown(column));
            return Err(DataError::Table(why));
        }
        _ => only.map(|(_, text)| text),
    };
    if format != Format::Csv {
        files.iter().try_for_each(|file| refuse_archive(file))?;
    }
    let progress = Progress::new(files, progress);
    let tables = match format {
        Format::Help => help::read(files, space, &progress, &mut notes)?,
        Format::LatBench => {
            let one = |f: &PathBuf| latbench::read(f, space, &progress);
            each(files, &progress, one)?
        }
        Format::HwNasBench => {
            each(files, &progress, |f| hwnasbench::read(f, space, dataset, &progress, &mut notes))?
        }
        Format::SuiteZero => {
            each(files, &progress, |f| suite_zero::read(f, space, dataset, &progress, &mut notes))?
        }
        Format::HwGpt | Format::Hat | Format::VitBench => {
            let kind = match format {
                Format::HwGpt => transformers::Kind::HwGpt,
                Format::Hat => transformers::Kind::Hat,
                _ => transformers::Kind::VitBench,
            };
            each(files, &progress, |f| {
                transformers::read(kind, f, space, dataset, &progress, &mut notes)
            })?
        }
        Format::NasBench101 => each(files, &progress, |f| nasbench101::read(f, space, &progress))?,
        Format::NasBench301 => {
            each(files, &progress, |f| nasbench301::read(f, space, &progress, &mut notes))?
        }
        Format::NasBench201 | Format::NatsBench => {
            each(files, &progress, |f| nasbench::read(f, space, &progress))?
        }
        Format::Csv => each(files, &progress, |f| {
            let (table, report) = match only {
                Some((column, text)) => Table::read_where(f, space, column, text)?,
                None => Table::read(f, space)?,
            };
            if !report.skipped.is_empty() {
                notes.push(format!("{}: skipped {}", f.display(), report.skipped.join(", ")));
            }
            notes.extend(report.notes);
            if report.merged > 0 {
                notes.push(format!("{}: {} repeated rows merged", f.display(), report.merged));
            }
            Ok(table)
        })?,
    };
    let mut joined: Option<Table> = None;
    for (path, table) in tables {
        joined = Some(match joined {
            None => table,
            Some(all) => all.join(&table).map_err(|e| DataError::file(path, e.to_string()))?,
        });
    }
    match joined {
        Some(table) => Ok(Imported { table, notes }),
        None => Err(DataError::Table("no file with a column to import".into())),
    }
}

/// Refuses a downloaded archive before a reader wonders about its bytes.
fn refuse_archive(path: &Path) -> Result<(), DataError> {
    let mut start = Vec::new();
    if path.is_file() {
        let file = File::open(path).map_err(DataError::io(path, "read"))?;
        file.take(512).read_to_end(&mut start).map_err(DataError::io(path, "read"))?;
    }
    // Torch's files are zip files, and those of NATS-Bench compressed by bzip2.
    let is_own = start.starts_with(b"PK") || start.starts_with(b"BZh");
    match lanner_space::text::archive(&start).filter(|_| !is_own) {
        Some(what) => Err(DataError::file(path, what)),
        None => Ok(()),
    }
}

fn each(
    files: &[PathBuf],
    progress: &Progress<'_>,
    mut read: impl FnMut(&PathBuf) -> Result<Table, DataError>,
) -> Result<Vec<(PathBuf, Table)>, DataError> {
    let mut tables = vec![];
    for (i, file) in files.iter().enumerate() {
        progress.start(i);
        tables.push((file.clone(), read(file)?));
    }
    Ok(tables)
}

/// Name of the column for a file: its stem without the name of the space, ending in `_ms`.
fn latency_name(path: &Path, space: &Space) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let device = stem.strip_prefix(&format!("{}_", space.name())).unwrap_or(&stem);
    match device.ends_with("_ms") {
        true => device.into(),
        false => format!("{device}_ms"),
    }
}

/// Reports to the caller how far the files have been read.
pub(crate) struct Progress<'a> {
    callback: &'a dyn Fn(u64, u64),
    /// Work before each file in bytes, and at the end that of all files.
    starts: Vec<u64>,
    done: Cell<u64>,
}

impl<'a> Progress<'a> {
    fn new(files: &[PathBuf], callback: &'a dyn Fn(u64, u64)) -> Self {
        let mut starts = vec![0];
        let mut sum = 0u64;
        for file in files {
            sum += match std::fs::metadata(file) {
                // A folder counts files, which cannot be added to the bytes of others.
                Ok(m) if m.is_file() => m.len(),
                _ => 0,
            };
            starts.push(sum);
        }
        Progress { callback, starts, done: Cell::new(0) }
    }

    fn start(&self, file: usize) {
        self.done.set(self.starts[file]);
    }

    fn add(&self, bytes: u64) {
        let total = self.starts[self.starts.len() - 1];
        self.done.set((self.done.get() + bytes).min(total));
        (self.callback)(self.done.get(), total);
    }

    /// Wraps a reader so that its bytes count as work done.
    pub(crate) fn count<R: Read>(&self, inner: R) -> impl Read {
        CountedReader { inner, progress: self }
    }
}

struct CountedReader<'a, R> {
    inner: R,
    progress: &'a Progress<'a>,
}

impl<R: Read> Read for CountedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.add(n as u64);
        Ok(n)
    }
}
