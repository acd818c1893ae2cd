//! Writes networks as ONNX models, and reads any ONNX model as a [`TensorGraph`](crate::TensorGraph).
//!
//! Written are opset 17, IR version 8, with weights, in 32-bit floats or 8-bit
//! integers.
//!
//! Opset 17 is the last one of IR version 8 and has all operations that are needed (`HardSwish` came
//! with 14); ONNX Runtime has read it since 1.12 (2022). Sums and products of several terms become
//! chains of two terms each, for which every runtime has a fast kernel. A zero layer is a product with
//! the constant 0, as in the authors' network.

mod count;
mod draft;
mod export;
mod infer;
pub(crate) mod messages;
mod microsoft;
mod parse;
mod probe;
mod quantize;
mod read;
mod wire;
mod work;

pub use count::{OnnxCost, count};
pub(crate) use draft::{Draft, Element, Table, axis, graph_of};
pub(crate) use export::{int, ints};
pub use infer::show;
pub use probe::{FIRST_RECURRENT, probe};
use prost::Message;
pub use read::{ReadOptions, has_dim, read};

use crate::{Cost, Network, NetworkError, Weights};

/// Options of an ONNX model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Number of images at once; `None` leaves the dimension open, with the name `batch`.
    pub batch: Option<u32>,
    pub precision: Precision,
    /// Pads by a node of its own in front of convolutions of integers, instead of within them. rten
    /// 0.27 needs this: it pads integers with 0 instead of the zero point, which is wrong at the
    /// borders of the image. It costs rten nothing, ONNX Runtime a tenth.
    pub explicit_padding: bool,
}

impl Default for OnnxOptions {
    /// Options for one image in 32-bit floats.
    fn default() -> Self {
        OnnxOptions { batch: Some(1), precision: Precision::F32, explicit_padding: false }
    }
}

/// Number type of the products in convolutions and linear layers. Input, output and all other layers
/// are always 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 8-bit integers, quantised dynamically (`DynamicQuantizeLinear`, `ConvInteger`,
    /// `MatMulInteger`). Weights are symmetric, with a scale for each output channel; activations have
    /// a scale and a zero point for each tensor, found at each run. Fold batch norms first, as for
    /// deployment; those that remain are computed in floats.
    Int8,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Int8 => "int8",
        })
    }
}

impl std::str::FromStr for Precision {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text {
            "f32" => Ok(Precision::F32),
            "int8" => Ok(Precision::Int8),
            _ => Err(NetworkError::Value {
                name: "precision",
                value: format!("'{text}'"),
                expected: "f32 or int8".into(),
            }),
        }
    }
}

/// Name of the model's only input.
pub const INPUT: &str = "input";
/// Name of the model's only output.
pub const OUTPUT: &str = "output";
/// Limit of the weights in bytes: protobuf readers refuse files over 2 GiB, and the rest of a model is
/// far smaller than the difference.
const MOST_BYTES: u64 = (2 << 30) - (16 << 20);

/// Checks that the weights fit in an ONNX file; call it before large weights are drawn.
pub fn fits(network: &Network) -> Result<(), NetworkError> {
    fits_bytes(Cost::of(network).params.saturating_mul(4))
}

/// Checks that weights of this size fit in an ONNX file.
pub(crate) fn fits_bytes(bytes: u64) -> Result<(), NetworkError> {
    if bytes > MOST_BYTES {
        return Err(NetworkError::Value {
            name: "size of the weights",
            value: format!("{bytes} bytes"),
            expected: format!("at most {MOST_BYTES}, the limit of ONNX files"),
        });
    }
    Ok(())
}

/// Encodes a network as an ONNX model. Its input is `input` (batch × channels × height × width), its
/// output `output` (batch × classes if the last layer is linear, else four dimensions too).
/// Initialisers are named like PyTorch's: `stem.conv.weight`, `stem.bn.running_mean`. Weights in
/// integers have their scales beside them: `stem.conv.weight.scale`.
pub fn encode(
    network: &Network,
    weights: &Weights,
    options: OnnxOptions,
) -> Result<Vec<u8>, NetworkError> {
    fits(network)?;
    weights.check(network)?;
    if options.batch == Some(0) {
        let (value, expected) = ("0".into(), "1 or more".into());
        return Err(NetworkError::Value { name: "batch", value, expected });
    }
    Ok(export::model(network, weights, options).encode_to_vec())
}

/// Makes the model of a network whose weights have sizes only.
pub(crate) fn without_numbers(network: &Network) -> messages::Model {
    export::model(network, &Weights::none(network), OnnxOptions::default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lanner_space::{Space, View};

    use super::*;
    use crate::{Init, Nasbench201, Weights};

    fn encoded(text: &str, view: View, batch: Option<u32>, precision: Precision) -> Vec<u8> {
        let arch = Space::NasBench201.parse(text).unwrap();
        let net = Nasbench201 { cells: 1, ..Nasbench201::default() }.build(&arch, view).unwrap();
        let (net, weights) = Weights::init(&net, Init { seed: 2 }).fold(&net).unwrap();
        encode(&net, &weights, OnnxOptions { batch, precision, explicit_padding: true }).unwrap()
    }

    #[test]
    fn nodes_read_what_stands_before_them() {
        use Precision::{F32, Int8};
        for (text, view, precision) in [
            ("301243", View::Raw, F32),
            ("301243", View::Pruned, F32),
            ("300000", View::Pruned, F32),
            ("301243", View::Raw, Int8),
            ("333333", View::Pruned, Int8),
        ] {
            let bytes = encoded(text, view, None, precision);
            let model = messages::Model::decode(&bytes[..]).unwrap();
            let graph = model.graph.unwrap();
            let mut known = HashSet::from([INPUT.to_string()]);
            for tensor in &graph.initializer {
                assert!(known.insert(tensor.name.clone()), "{} twice", tensor.name);
                let values: i64 = tensor.dims.iter().product();
                let size = match tensor.data_type {
                    messages::DATA_INT8 | messages::DATA_UINT8 => 1,
                    messages::DATA_INT64 => 8,
                    _ => 4,
                };
                assert_eq!(tensor.raw_data.len() as i64, size * values, "{}", tensor.name);
            }
            for node in &graph.node {
                assert!(node.input.iter().all(|name| known.contains(name)), "{}", node.name);
                for output in &node.output {
                    assert!(known.insert(output.clone()), "{output} twice");
                }
            }
            assert!(known.contains(OUTPUT));
        }
    }

    /// Field 8, wire type 0 (a number each) is the byte 0x40; packed would be 0x42 and a length.
    #[test]
    fn lists_of_integers_are_unpacked() {
        let bytes = encoded("200000", View::Pruned, Some(1), Precision::F32);
        let name = b"\x0a\x07strides";
        let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
        assert_eq!(bytes[at..at + 4], [0x40, 1, 0x40, 1]);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let arch = Space::NasBench201.parse("333333").unwrap();
        let net = Nasbench201 { channels: 1024, ..Nasbench201::default() };
        let error = fits(&net.build(&arch, View::Pruned).unwrap()).unwrap_err().to_string();
        assert!(error.contains("the limit of ONNX files"), "{error}");
        let net = Nasbench201::default().build(&arch, View::Pruned).unwrap();
        let weights = Weights::init(&net, Init::default());
        let none = encode(&net, &weights, OnnxOptions { batch: Some(0), ..OnnxOptions::default() })
            .unwrap_err();
        assert_eq!(none.to_string(), "batch is 0, expected 1 or more");
        let (folded, _) = weights.fold(&net).unwrap();
        assert!(encode(&folded, &weights, OnnxOptions::default()).is_err());
    }
}
