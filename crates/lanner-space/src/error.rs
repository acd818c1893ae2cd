use thiserror::Error;

/// What can be wrong with a name, a text or an index of a search space.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpaceError {
    #[error("unknown search space '{name}'; known: {known}, or a file .toml")]
    UnknownSpace { name: String, known: String },
    #[error("'{text}' is not a {space} architecture: {why}")]
    Text { space: String, text: String, why: String },
    #[error("codes {codes:?} are not a {space} architecture: {why}")]
    Codes { space: String, codes: Vec<u8>, why: String },
    /// A file that defines a space.
    #[error("{}: {why}", path.display())]
    File { path: std::path::PathBuf, why: String },
    #[error(
        "{space} has {size} architectures, too many to list; a table of some of them, or a sample, will do"
    )]
    TooMany { space: String, size: u128 },
    #[error("{space} has {size} architectures, indices 0 to {}; there is no index {index}", size - 1)]
    Index { space: String, size: u128, index: u128 },
}

impl SpaceError {
    /// An error about a text, which may be long: its beginning is shown.
    pub(crate) fn text(space: &str, text: &str, why: String) -> SpaceError {
        let mut shown: String = text.chars().take(200).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        SpaceError::Text { space: space.into(), text: shown, why }
    }
}
