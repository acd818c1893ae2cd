use std::path::PathBuf;

use lanner_data::DataError;
use lanner_evaluate::EvaluateError;
use lanner_network::NetworkError;
use lanner_predict::PredictError;
use lanner_space::SpaceError;
use thiserror::Error;

/// Errors of studies and searches. Messages name the file or the value, and the way out.
#[derive(Debug, Error)]
pub enum SearchError {
    #[error("{}: no study there; `lanner search` makes one", path.display())]
    Missing { path: PathBuf },
    #[error("{}: a study is there already; go on with it (--resume) or choose another folder", path.display())]
    Exists { path: PathBuf },
    #[error("{}: {why}", path.display())]
    NoStudy { path: PathBuf, why: String },
    #[error(
        "{0}: damaged ({why}); take a copy back, or save what is sound with \
         `lanner study rescue {0} --out FOLDER`", path.display()
    )]
    Damaged { path: PathBuf, why: String },
    #[error(
        "{}: written by a newer version of Lanner (schema {found}, this one knows up to {known}); \
         update Lanner", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{}: cannot be written ({why}); it can still be read, and a copy elsewhere can go on",
        path.display()
    )]
    ReadOnly { path: PathBuf, why: String },
    #[error(
        "{}: no space left on the disk; free some and go on: all finished work is kept",
        path.display()
    )]
    Full { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("settings of the study: {why}")]
    Settings { why: String },
    /// A setting of a [`Job`](crate::Job) is wrong; `name` is its option on the command line.
    #[error("{name} {value}: {why}")]
    Setting { name: &'static str, value: String, why: String },
    #[error("stopped {when}")]
    Stopped { when: String },
    #[error(
        "the first {failed} evaluations failed and none succeeded, so the search stops; the budget is kept, \
         and --resume tries them again. All output is in {}. The first failure: {why}", folder.display()
    )]
    Failing { failed: usize, folder: PathBuf, why: String },
    /// Results of evaluations that cannot be written to the study.
    #[error("{source}\nThese results are not in the study: {}", results.join("; "))]
    Unstored { results: Vec<String>, source: Box<SearchError> },
    #[error("{why}")]
    Nothing { why: String },
    #[error("there is no trial {trial}")]
    NoTrial { trial: i64 },
    #[error("trial {trial} is {state} already; its result is kept, the new one is not")]
    Told { trial: i64, state: &'static str },
    #[error("trial {trial} is run by {owner} now, which took it over; this result is not kept")]
    TakenOver { trial: i64, owner: String },
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Predict(#[from] PredictError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Data(#[from] DataError),
}
