use lanner_data::DataError;
use thiserror::Error;

/// Errors of fitting, loading and applying a predictor.
#[derive(Debug, Error)]
pub enum PredictError {
    #[error("{what} needs at least {needed} training rows, got {got}")]
    TooFew { what: String, needed: usize, got: usize },
    #[error("training target {row} is {value}; expected a finite number")]
    Target { row: usize, value: f64 },
    #[error("training latency {row} is {value}; expected a positive number")]
    Latency { row: usize, value: f64 },
    #[error("training rate {row} is {value}; expected a positive number")]
    Rate { row: usize, value: f64 },
    #[error("the {what} is singular; are all features or targets equal?")]
    Singular { what: String },
    #[error("{architectures} architectures, but {targets} targets")]
    Lengths { architectures: usize, targets: usize },
    #[error("cannot transfer from a GCN of encoding and widths {got}; expected {expected}")]
    Transfer { expected: String, got: String },
    #[error("{}: {error}", path.display())]
    Io { path: std::path::PathBuf, error: std::io::Error },
    #[error("model file {}: {why}", path.display())]
    ModelFile { path: std::path::PathBuf, why: String },
    #[error("model file {} is for the space '{made_for}', not '{wanted}'", path.display())]
    OtherSpace { path: std::path::PathBuf, made_for: String, wanted: String },
    #[error(
        "model file {} is for the space '{made_for}', whose description it lacks: give the space itself",
        path.display()
    )]
    UnknownSpace { path: std::path::PathBuf, made_for: String },
    #[error("{why}")]
    Model { why: String },
    #[error(transparent)]
    Data(Box<DataError>),
}

impl From<DataError> for PredictError {
    fn from(error: DataError) -> Self {
        PredictError::Data(Box::new(error))
    }
}
