use thiserror::Error;

/// An error of an executor, or of the network, parameters or images that it is given. The message
/// names the cause.
#[derive(Debug, Error)]
pub enum ExecError {
    /// A slice has the wrong length.
    #[error("{what}: {found} numbers, expected {expected}")]
    Length { what: String, found: usize, expected: String },
    /// The network cannot be held in memory.
    #[error(
        "network '{network}' at batch {batch} needs {needed} bytes for its activations and \
         gradients, over the limit of {limit}"
    )]
    Memory { network: String, batch: usize, needed: u64, limit: u64 },
    /// A value is out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
    /// The network or the weights are inconsistent.
    #[error(transparent)]
    Network(#[from] lanner_network::NetworkError),
    /// A method was called before one that it needs.
    #[error("`{method}` needs {needed}")]
    Order { method: &'static str, needed: &'static str },
}
