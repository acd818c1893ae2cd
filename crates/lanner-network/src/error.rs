use lanner_space::SpaceError;
use thiserror::Error;

/// A layer, an option or weights that are wrong. A message has its cause in it, and `source()` does
/// not repeat that.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The layer cannot take these inputs.
    #[error("layer '{layer}' ({op}) of inputs {inputs}: {why}")]
    Shape { layer: String, op: String, inputs: String, why: String },
    /// The layer reads a layer that does not come before it.
    #[error("layer '{layer}' reads layer {input}, expected a number below {known}")]
    Input { layer: String, input: usize, known: usize },
    /// Two layers of one name.
    #[error("two layers are called '{layer}', expected distinct names")]
    Name { layer: String },
    /// A value out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Value { name: &'static str, value: String, expected: String },
    /// Weights of another network.
    #[error("weights of layer '{layer}': {found} numbers, expected {expected}")]
    Weights { layer: String, found: usize, expected: usize },
    /// The architecture is not one of the space.
    #[error(transparent)]
    Space(#[from] SpaceError),
}
