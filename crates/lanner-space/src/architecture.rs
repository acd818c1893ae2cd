use std::fmt;

/// A point of a search space: one small code for each choice, in the space's own order.
///
/// Equality is equality of the codes; see [`crate::Space::canonical`] for equality of meaning.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Architecture(Box<[u8]>);

impl Architecture {
    /// Wraps codes without a check; [`crate::Space::check`] tells whether they belong to a space.
    pub fn new(codes: impl Into<Box<[u8]>>) -> Self {
        Architecture(codes.into())
    }

    /// Returns the codes, one for each choice.
    pub fn codes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Architecture({:?})", self.0)
    }
}
