//! Networks as ONNX models: opset 17, IR version 8, weights inside, all 32-bit floats.
//!
//! Opset 17 is the last one of IR version 8 and the first with all that is needed (`HardSwish` came
//! with 14); ONNX Runtime has read it since 1.12 (2022). Sums and products of several terms become
//! chains of two each, since that is what every runtime has a fast kernel for; a zero layer is a
//! product with the constant 0, as in the authors' network.

mod export;
mod messages;

use prost::Message;

use crate::{Cost, Network, NetworkError, Weights, write_file};

/// How a model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Images at once; `None` leaves the dimension open, called `batch`.
    pub batch: Option<u32>,
}

impl Default for OnnxOptions {
    /// One image.
    fn default() -> Self {
        OnnxOptions { batch: Some(1) }
    }
}

/// The name of the model's one input.
pub const INPUT: &str = "input";
/// The name of the model's one output.
pub const OUTPUT: &str = "output";
/// Protobuf readers refuse files over 2 GiB; the rest of the model is far below the difference.
const MOST_BYTES: u64 = (2 << 30) - (16 << 20);

/// Whether the weights are within what an ONNX file can hold; ask before drawing large ones.
pub fn fits(network: &Network) -> Result<(), NetworkError> {
    let bytes = 4 * Cost::of(network).params;
    if bytes > MOST_BYTES {
        return Err(NetworkError::Value {
            name: "size of the weights",
            value: format!("{bytes} bytes"),
            expected: format!("at most {MOST_BYTES}, the limit of ONNX files"),
        });
    }
    Ok(())
}

/// The bytes of an ONNX model. Input `input` (batch × channels × height × width), output `output`
/// (batch × classes where the last layer is linear, else four dimensions too);
/// initialisers are called like PyTorch's: `stem.conv.weight`, `stem.bn.running_mean`.
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

/// Writes [`encode`]'s bytes to a file, as a whole or not at all.
pub fn write(
    path: &std::path::Path,
    network: &Network,
    weights: &Weights,
    options: OnnxOptions,
) -> Result<(), NetworkError> {
    write_file(path, &encode(network, weights, options)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lanner_space::{Space, View};

    use super::*;
    use crate::{Init, Nasbench201, Weights};

    fn encoded(text: &str, view: View, batch: Option<u32>) -> Vec<u8> {
        let arch = Space::NasBench201.parse(text).unwrap();
        let net = Nasbench201 { cells: 1, ..Nasbench201::default() }.build(&arch, view).unwrap();
        let (net, weights) = Weights::init(&net, Init { seed: 2 }).fold(&net).unwrap();
        encode(&net, &weights, OnnxOptions { batch }).unwrap()
    }

    #[test]
    fn nodes_read_what_stands_before_them() {
        for (text, view) in
            [("301243", View::Raw), ("301243", View::Pruned), ("300000", View::Pruned)]
        {
            let model = messages::Model::decode(&encoded(text, view, None)[..]).unwrap();
            let graph = model.graph.unwrap();
            let mut known = HashSet::from([INPUT.to_string()]);
            for tensor in &graph.initializer {
                assert!(known.insert(tensor.name.clone()), "{} twice", tensor.name);
                let values: i64 = tensor.dims.iter().product();
                assert_eq!(tensor.raw_data.len() as i64, 4 * values, "{}", tensor.name);
            }
            for node in &graph.node {
                assert!(node.input.iter().all(|name| known.contains(name)), "{}", node.name);
                assert!(known.insert(node.output[0].clone()), "{} twice", node.output[0]);
            }
            assert!(known.contains(OUTPUT));
        }
    }

    /// Field 8, wire type 0 (a number each) is the byte 0x40; packed would be 0x42 and a length.
    #[test]
    fn lists_of_integers_are_unpacked() {
        let bytes = encoded("200000", View::Pruned, Some(1));
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
        let none = encode(&net, &weights, OnnxOptions { batch: Some(0) }).unwrap_err();
        assert_eq!(none.to_string(), "batch is 0, expected 1 or more");
        let (folded, _) = weights.fold(&net).unwrap();
        assert!(encode(&folded, &weights, OnnxOptions::default()).is_err());
    }
}
