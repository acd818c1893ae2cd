use std::{io, path::PathBuf};

use lanner_space::SpaceError;
use thiserror::Error;

/// An error of a table or a file. The messages name file, place, value and what was expected. Lines
/// and rows count from 1; the header is line 1 of a CSV file. A message includes its cause, so
/// `source()` does not repeat it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused an operation.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        path: PathBuf,
        /// The operation: "read", "write", …
        doing: &'static str,
        error: io::Error,
    },
    /// A file as a whole is not what was expected.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    /// A row is not what was expected.
    #[error("{}, {at}: {why}", path.display())]
    Row {
        path: PathBuf,
        /// Place in the file: "line 7", "row 7", "image 7".
        at: String,
        why: String,
    },
    /// A cell is not what was expected.
    #[error("{}, {at}, column '{column}': '{value}' is not {expected}", path.display())]
    Cell { path: PathBuf, at: String, column: String, value: String, expected: String },
    /// A text in the architecture's column is not an architecture of the space.
    #[error("{}, {at}, column '{column}': {error}", path.display())]
    Architecture { path: PathBuf, at: String, column: String, error: Box<SpaceError> },
    /// A pickle is broken, or asks for more than it may.
    #[error("{}, byte {offset}: {why}", path.display())]
    Pickle { path: PathBuf, offset: u64, why: String },
    /// A pickle names something outside the list of harmless globals.
    #[error(
        "{}, byte {offset}: refused, because the pickle wants the Python global '{name}', which is not on the list of harmless ones",
        path.display()
    )]
    Global { path: PathBuf, offset: u64, name: String },
    /// The table has no column of this name.
    #[error("no column '{name}'; there {}", known_columns(known))]
    NoColumn {
        name: String,
        /// The columns of the table, the most similar name first.
        known: Vec<String>,
    },
    /// The column holds text.
    #[error("column '{column}' holds text, expected numbers; the first is {first}")]
    NoNumbers {
        column: String,
        /// The text and its place.
        first: String,
    },
    /// The parts of a table do not fit together, or two tables do not.
    #[error("{0}")]
    Table(String),
    /// An image data set is unknown, its parts do not fit together, or it cannot give what was asked
    /// for.
    #[error("{0}")]
    Images(String),
    /// The space does not know a name, a text or an index.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

fn known_columns(known: &[String]) -> String {
    const SHOWN: usize = 12;
    match known.len() {
        0 => "are no columns of numbers".into(),
        1 => format!("is only '{}'", known[0]),
        n if n <= SHOWN => format!("are: {}", known.join(", ")),
        n => format!("are: {}, and {} more", known[..SHOWN].join(", "), n - SHOWN),
    }
}

impl DataError {
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| DataError::Io { path, doing, error }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        DataError::File { path: path.into(), why: why.into() }
    }

    pub(crate) fn row(
        path: impl Into<PathBuf>,
        at: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        DataError::Row { path: path.into(), at: at.into(), why: why.into() }
    }
}

/// Shortens a value of a file for a message, to one line.
pub(crate) fn shown(value: &str) -> String {
    const LONGEST: usize = 80;
    let mut text: String = value.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if value.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}
