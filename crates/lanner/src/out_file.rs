//! Checks the file that a command is about to write, before the work: it must not replace an input, or
//! a file of another kind.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use lanner_data::Table;

use crate::output::usage;

/// Kind of file that a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Table,
    /// A `.csv` to which rows are added; what is in an existing one is checked when it is opened.
    Measurements,
    Predictor,
    Onnx,
    Drawing,
    Report,
    Json,
}

impl Kind {
    fn describe(self) -> &'static str {
        match self {
            Kind::Table => "a table that Lanner wrote",
            Kind::Measurements => "a table of measurements",
            Kind::Predictor => "a predictor",
            Kind::Onnx => "an ONNX model",
            Kind::Drawing => "a drawing",
            Kind::Report => "a report",
            Kind::Json => "a JSON file",
        }
    }

    /// Extensions that the kind must have; none if any will do that is not another kind's.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Kind::Table => &["csv", "parquet"],
            Kind::Measurements => &["csv"],
            Kind::Json => &["json"],
            Kind::Predictor | Kind::Onnx | Kind::Drawing | Kind::Report => &[],
        }
    }
}

/// Extensions of files that no predictor, model, drawing or report is taken for.
const TAKEN: [&str; 6] = ["csv", "parquet", "json", "db", "toml", "txt"];

/// Refuses a file `out` that is an input, has the extension of another kind, lies in no folder, or
/// exists and is of another kind, unless `force` allows the last one.
pub fn check<P: AsRef<Path>>(
    out: &Path,
    kind: Kind,
    inputs: &[P],
    force: bool,
) -> anyhow::Result<()> {
    let name = out.display();
    if kind == Kind::Table {
        Table::check_writable(out).map_err(|e| usage(e.to_string()))?;
    }
    let extension = out.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let own = kind.extensions();
    let is_wrong = match own {
        [] => TAKEN.contains(&extension.as_str()),
        own => !own.contains(&extension.as_str()),
    };
    let old = fs::metadata(out).ok();
    // A device or a pipe has no extension to go by.
    if is_wrong && old.as_ref().is_none_or(|m| m.is_file()) {
        let expected = match own {
            [] => String::new(),
            own => format!(" (.{})", own.join(" or .")),
        };
        return Err(usage(format!(
            "{name}: the extension is not that of {}{expected}",
            kind.describe()
        )));
    }
    let folder = out.parent().filter(|f| !f.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|f| !f.is_dir()) {
        return Err(usage(format!("{name}: there is no folder {}", folder.display())));
    }
    let Some(old) = old else { return Ok(()) };
    if old.is_dir() {
        return Err(usage(format!("{name} is a folder, expected a file to write")));
    }
    for input in inputs {
        let is_same =
            fs::metadata(input).is_ok_and(|m| (m.dev(), m.ino()) == (old.dev(), old.ino()));
        if is_same && old.is_file() {
            return Err(usage(format!(
                "{name} is an input of this command; write to another file"
            )));
        }
    }
    if force || kind == Kind::Measurements || !old.is_file() || old.len() == 0 {
        return Ok(());
    }
    let mut start = Vec::new();
    let read = |mut file: File| file.by_ref().take(64 * 1024).read_to_end(&mut start);
    File::open(out).and_then(read).with_context(|| format!("cannot read {name}"))?;
    match kind_of(&start) {
        Some(found) if found == kind => Ok(()),
        found => {
            let what = found.map_or("a file of another kind", Kind::describe);
            let wanted = kind.describe();
            Err(usage(format!(
                "{name} exists and is {what}, not {wanted}; write to another file, or --force replaces it"
            )))
        }
    }
}

/// Recognises a file that Lanner writes by its first bytes.
fn kind_of(start: &[u8]) -> Option<Kind> {
    if start.starts_with(b"PAR1") {
        return Some(Kind::Table);
    }
    // Safetensors: the length of a JSON header, and the header.
    if start.get(5..9) == Some(&[0, 0, 0, b'{']) {
        return Some(Kind::Predictor);
    }
    // The field `ir_version`, a small number.
    if let [8, 1..=20, ..] = start {
        return Some(Kind::Onnx);
    }
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("# lanner ") {
        return Some(Kind::Measurements);
    }
    let begins = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    if begins("<svg") {
        return Some(Kind::Drawing);
    }
    if begins("<!doctype html") {
        return Some(Kind::Report);
    }
    if begins("{") || begins("[") {
        return Some(Kind::Json);
    }
    let header = text.lines().find(|line| !line.starts_with('#'));
    header.is_some_and(|line| line == "arch" || line.starts_with("arch,")).then_some(Kind::Table)
}
