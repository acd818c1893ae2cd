use thiserror::Error;

/// What can be wrong with a name, a text or an index of a search space.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpaceError {
    #[error("unknown search space '{name}'; known: {known}")]
    UnknownSpace { name: String, known: String },
    #[error("'{text}' is not a {space} architecture: {why}")]
    Text { space: &'static str, text: String, why: String },
    #[error("codes {codes:?} are not a {space} architecture: {why}")]
    Codes { space: &'static str, codes: Vec<u8>, why: String },
    #[error("{space} has {size} architectures, indices 0 to {}; there is no index {index}", size - 1)]
    Index { space: &'static str, size: u128, index: u128 },
}
