use thiserror::Error;

/// Errors of names, texts, indices and definitions of search spaces.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpaceError {
    #[error("unknown search space '{name}'; known: {known}, or a file .toml")]
    UnknownSpace { name: String, known: String },
    #[error("'{text}' is not a {space} architecture: {why}")]
    Text { space: Box<str>, text: String, why: String },
    #[error("codes {codes:?} are not a {space} architecture: {why}")]
    Codes { space: Box<str>, codes: Vec<u8>, why: String },
    /// A [`crate::Definition`] is not a space.
    #[error("the search space '{name}' cannot be defined: {why}")]
    Definition { name: String, why: String },
    /// A file does not define a space.
    #[error("{}: {why}", path.display())]
    File { path: std::path::PathBuf, why: String },
    #[error(
        "{space} has {size} architectures, too many to list; a table of some of them, or a sample, will do"
    )]
    TooMany { space: Box<str>, size: String },
    #[error(
        "the architectures of {space} are too many to be numbered or listed; a sample of them, or a table of \
         some, will do"
    )]
    Uncounted { space: Box<str> },
    #[error("{space} has indices 0 to {last}; there is no index {index}")]
    Index { space: Box<str>, last: String, index: String },
}

impl SpaceError {
    /// Makes an error about a text, of which it shows the beginning.
    pub(crate) fn text(space: &str, text: &str, why: String) -> SpaceError {
        let mut shown: String = text.chars().take(200).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        SpaceError::Text { space: space.into(), text: shown, why }
    }
}
