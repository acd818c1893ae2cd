use std::{io, path::PathBuf};

use lanner_data::DataError;
use lanner_network::NetworkError;
use lanner_space::SpaceError;
use thiserror::Error;

/// What can go wrong while a network is evaluated. A message is whole: it has its cause in it, and
/// `source()` does not repeat that.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The runtime cannot do what is asked at all: a precision, a number of threads.
    #[error("runtime {runtime}: {why}")]
    Runtime { runtime: String, why: String },
    /// The runtime refuses this network, and will the next time too: an operation that it lacks.
    /// Other networks may be measured.
    #[error("runtime {runtime} refuses the network: {why}")]
    Refused { runtime: String, why: String },
    /// The device does not answer, even after retries: a campaign stops here, to be resumed.
    #[error("the device does not answer: {0}")]
    Device(String),
    /// A file of measurements that was made with other settings, or is none.
    #[error("{}, line {line}: {why}", path.display())]
    File { path: PathBuf, line: u64, why: String },
    /// The operating system refused.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        path: PathBuf,
        /// "read", "write", …
        doing: &'static str,
        error: io::Error,
    },
    /// A value out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Value { name: &'static str, value: String, expected: String },
    /// A training that came to nothing.
    #[error(
        "the training of '{network}' diverged: its loss is not finite in epoch {epoch}; a lower \
         learning rate may help"
    )]
    Diverged {
        network: String,
        /// From 1.
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
    /// For `map_err`: what was being done to which file.
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
