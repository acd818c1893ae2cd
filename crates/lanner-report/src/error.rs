use std::path::PathBuf;

use lanner_search::SearchError;
use thiserror::Error;

/// Errors of reports.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The study cannot be read.
    #[error(transparent)]
    Study(#[from] SearchError),
    /// The file cannot be written; an existing one is unchanged. The message includes its cause.
    #[error("the report {}: {why}", path.display())]
    Write { path: PathBuf, why: String },
    /// The live report cannot be served.
    #[error("cannot listen on 127.0.0.1:{port}: {cause}; another --port may be free")]
    Listen { port: u16, cause: std::io::Error },
}
