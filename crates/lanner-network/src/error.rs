use lanner_space::SpaceError;
use thiserror::Error;

/// An error of a layer, an option or weights. A message includes its cause, so
/// `source()` does not repeat it.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The layer cannot take these inputs.
    #[error("layer '{layer}' ({op}) of inputs {inputs}: {why}")]
    Shape { layer: String, op: String, inputs: String, why: String },
    /// The layer reads a layer that does not come before it.
    #[error("layer '{layer}' reads layer {input}, expected a number below {known}")]
    Input { layer: String, input: usize, known: usize },
    /// Two layers have the same name.
    #[error("two layers are called '{layer}', expected distinct names")]
    Name { layer: String },
    /// A value is out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Value { name: &'static str, value: String, expected: String },
    /// Weights do not fit the network.
    #[error("weights of layer '{layer}': {found} numbers, expected {expected}")]
    Weights { layer: String, found: usize, expected: usize },
    /// An ONNX model cannot be read.
    #[error("ONNX model, {place}: {why}")]
    Onnx { place: String, why: String },
    /// The architectures are values of parameters.
    #[error(
        "{space} is a space of parameters, and has no network of Lanner's own; a program of \
         yours makes it: lanner search --evaluate 'command:python3 train.py {{arch}}', or a table"
    )]
    NoNetwork { space: String },
    /// The network is a transformer, where one of layers is needed.
    #[error(
        "networks of {space} are transformers, which Lanner shows, exports and measures but does not run \
         itself: train them by a program of yours (lanner search --evaluate 'command:python3 train.py {{arch}}', \
         Network(…).to_torch() in Python), or a table"
    )]
    Transformer { space: String },
    /// The network is one of layers, where a transformer is needed.
    #[error("networks of {space} are of layers, expected a space of transformers")]
    Layers { space: String },
    /// The architecture is not one of the space.
    #[error(transparent)]
    Space(#[from] SpaceError),
}
