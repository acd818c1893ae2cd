use std::{io, path::PathBuf};

use lanner_data::DataError;
use lanner_network::NetworkError;
use lanner_space::SpaceError;
use thiserror::Error;

/// An error of an evaluation. A message includes its cause, so `source()` does not repeat it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The runtime cannot run any network with these settings, such as a precision or a number of
    /// threads.
    #[error("runtime {runtime}: {why}")]
    Runtime { runtime: String, why: String },
    /// The runtime refuses this network, now and later, for example because it lacks an operation.
    /// Other networks may be measured.
    #[error("runtime {runtime} refuses the network: {why}")]
    Refused { runtime: String, why: String },
    /// The device does not answer, even after retries; the campaign stops and can be resumed.
    #[error("the device does not answer: {0}")]
    Device(String),
    /// A file of measurements was made with other settings, or is not such a file.
    #[error("{}, line {line}: {why}", path.display())]
    File { path: PathBuf, line: u64, why: String },
    /// The operating system refused an operation.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        path: PathBuf,
        /// The operation: "read", "write", …
        doing: &'static str,
        error: io::Error,
    },
    /// A value is out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Value { name: &'static str, value: String, expected: String },
    /// A training diverged.
    #[error(
        "the training of '{network}' diverged: its loss is not finite in epoch {epoch}; a lower \
         learning rate may help"
    )]
    Diverged {
        network: String,
        /// Number of the epoch, from 1.
        epoch: usize,
    },
    #[error(transparent)]
    Data(Box<DataError>),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Exec(#[from] lanner_nn::ExecError),
}

impl EvaluateError {
    /// Makes an error of an operation on a file, for `map_err`.
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| EvaluateError::Io { path, doing, error }
    }
}

impl From<DataError> for EvaluateError {
    fn from(error: DataError) -> Self {
        EvaluateError::Data(Box::new(error))
    }
}
