use thiserror::Error;

/// What can be wrong with a network or with what an executor is given. A message has its cause in it.
#[derive(Debug, Error)]
pub enum ExecError {
    /// A slice of another length.
    #[error("{what}: {found} numbers, expected {expected}")]
    Length { what: String, found: usize, expected: String },
    /// The network cannot be held in memory.
    #[error(
        "network '{network}' at batch {batch} needs {needed} bytes for its activations and \
         gradients, over the limit of {limit}"
    )]
    Memory { network: String, batch: usize, needed: u64, limit: u64 },
    /// A value out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
    /// The network or the weights are inconsistent.
    #[error(transparent)]
    Network(#[from] lanner_network::NetworkError),
    /// `backward` without the `forward` that it belongs to.
    #[error("backward needs {needed}")]
    Order { needed: &'static str },
}
