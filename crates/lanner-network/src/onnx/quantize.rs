//! Converts layers to 8-bit integers, with scales that are found while the network runs.
//!
//! Weights are w ≈ q · s with a scale s for each output channel; the input is x ≈ (p − z) · t, where
//! `DynamicQuantizeLinear` finds t and z for the whole tensor. Then w · x ≈ (q · (p − z)) · (s · t):
//! an exact sum of integers, and one product of floats for each value.
//!
//! Weights use seven bits, −63 … 63, like ONNX Runtime's `reduce_range`: x86 without VNNI adds two
//! products of 8 bits in 16 bits, and would clip the sum of larger ones. It is as fast as eight bits.
//! Kernels are stored as unsigned bytes with a zero point of 64: ONNX Runtime 1.32 convolves those in
//! a third of the time of signed ones, and rten multiplies them without a copy and without clipping.
//! The matrix of a linear layer is signed, since it is the other factor of the product.

use std::collections::HashSet;

use super::export::{Export, int};
use super::messages::{DATA_FLOAT, DATA_INT8, DATA_UINT8, Node, Tensor};
use crate::{Conv, Layer, LayerWeights};

/// Largest weight, in steps of its channel's scale.
const STEPS: f32 = 63.0;
/// Zero point of kernels.
const MIDDLE: u8 = 64;

/// Tensors that are quantised or padded already; layers that read the same tensor share its integers.
#[derive(Default)]
pub struct Quantized(HashSet<String>);

/// Quantises a matrix to integers with a scale for each row.
fn by_row(weight: &[f32], rows: usize) -> (Vec<i8>, Vec<f32>) {
    let size = weight.len() / rows;
    let mut integers = Vec::with_capacity(weight.len());
    let mut scales = Vec::with_capacity(rows);
    for row in weight.chunks_exact(size) {
        let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        let scale = if largest > 0.0 { largest / STEPS } else { 1.0 };
        integers.extend(row.iter().map(|w| (w / scale).round() as i8));
        scales.push(scale);
    }
    (integers, scales)
}

impl Export<'_> {
    fn integers(&mut self, name: String, data_type: i32, dims: &[usize], bytes: Vec<u8>) -> String {
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.tensors.push(Tensor { dims, data_type, name: name.clone(), raw_data: bytes });
        name
    }

    /// Name of a zero point, which is stored once.
    fn offset(&mut self, name: &str, data_type: i32, byte: u8) -> String {
        match self.tensors.iter().any(|t| t.name == name) {
            true => name.into(),
            false => self.integers(name.into(), data_type, &[], vec![byte]),
        }
    }

    /// Quantises a tensor; returns the names of its integers, scale and zero point.
    fn quantize(&mut self, tensor: &str) -> [String; 3] {
        let output = ["int8", "scale", "offset"].map(|part| format!("{tensor}.{part}"));
        if self.quantized.0.insert(tensor.to_string()) {
            self.nodes.push(Node {
                input: vec![tensor.into()],
                output: output.to_vec(),
                name: format!("{tensor}.quantize"),
                op_type: "DynamicQuantizeLinear".into(),
                attribute: vec![],
            });
        }
        output
    }

    /// Pads integers with a border of their zero point.
    fn pad(&mut self, integers: String, offset: &str, [rows, columns]: [usize; 2]) -> String {
        let size = match rows == columns {
            true => rows.to_string(),
            false => format!("{rows}x{columns}"),
        };
        let output = format!("{integers}.pad{size}");
        let sides = format!("sides.pad{size}");
        if !self.tensors.iter().any(|t| t.name == sides) {
            let sizes = [0, 0, rows, columns, 0, 0, rows, columns];
            self.shape_constant(sides.clone(), &sizes);
        }
        if self.quantized.0.insert(output.clone()) {
            let inputs = vec![integers, sides, offset.into()];
            self.node(format!("{output}.node"), "Pad", inputs, output.clone(), vec![]);
        }
        output
    }

    /// Adds a product of integers, whose node has its inputs already, and the nodes that turn its sums
    /// into the layer's output. `wide` is the shape to broadcast a number for each channel.
    fn integer_product(
        &mut self,
        node: Node,
        wide: &[usize],
        [scale, output]: [String; 2],
        scales: &[f32],
        bias: &[f32],
    ) {
        let name = node.name.clone();
        let [sums, floats, step, scaled] =
            ["sums", "floats", "step", "scaled"].map(|part| format!("{name}.{part}:0"));
        self.nodes.push(Node { output: vec![sums.clone()], ..node });
        let to = vec![int("to", DATA_FLOAT as usize)];
        self.node(format!("{name}.floats"), "Cast", vec![sums], floats.clone(), to);
        let scales = self.floats(format!("{name}.weight.scale"), wide, scales);
        self.node(format!("{name}.step"), "Mul", vec![scale, scales], step.clone(), vec![]);
        let terms = vec![floats, step];
        if bias.is_empty() {
            return self.node(format!("{name}.scaled"), "Mul", terms, output, vec![]);
        }
        self.node(format!("{name}.scaled"), "Mul", terms, scaled.clone(), vec![]);
        let bias = self.floats(format!("{name}.bias"), wide, bias);
        self.node(format!("{name}.shift"), "Add", vec![scaled, bias], output, vec![]);
    }

    /// Adds a convolution; `node` is that in 32-bit floats, whose attributes are kept.
    pub fn integer_conv(
        &mut self,
        layer: &Layer,
        conv: Conv,
        numbers: &LayerWeights,
        mut node: Node,
        output: String,
    ) {
        let LayerWeights::Affine { weight, bias } = numbers else { return };
        let channels = layer.shape.channels;
        let [mut input, scale, offset] = self.quantize(&node.input[0]);
        if self.options.explicit_padding && conv.padding > 0 {
            let rows = if conv.flat { 0 } else { conv.padding };
            input = self.pad(input, &offset, [rows, conv.padding]);
            for attribute in node.attribute.iter_mut().filter(|a| a.name == "pads") {
                attribute.ints.fill(0);
            }
        }
        let (integers, scales) = by_row(weight, channels);
        let bytes = integers.iter().map(|&q| MIDDLE.wrapping_add_signed(q)).collect();
        let shape = conv.kernel_shape(self.network.in_channels(layer));
        let weight = self.integers(format!("{}.weight", layer.name), DATA_UINT8, &shape, bytes);
        let middle = self.offset("middle.uint8", DATA_UINT8, MIDDLE);
        let input = vec![input, weight, offset, middle];
        let node = Node { input, op_type: "ConvInteger".into(), ..node };
        self.integer_product(node, &[1, channels, 1, 1], [scale, output], &scales, bias);
    }

    /// Adds a linear layer on a flat input; its matrix is stored as inputs × outputs.
    pub fn integer_linear(
        &mut self,
        layer: &Layer,
        numbers: &LayerWeights,
        flat: &str,
        output: String,
    ) {
        let LayerWeights::Affine { weight, bias } = numbers else { return };
        let (inputs, outputs) = (self.network.in_channels(layer), layer.shape.channels);
        let [input, scale, offset] = self.quantize(flat);
        let (integers, scales) = by_row(weight, outputs);
        let transposed = (0..inputs)
            .flat_map(|i| integers.iter().skip(i).step_by(inputs))
            .map(|&q| q as u8)
            .collect();
        let weight = format!("{}.weight", layer.name);
        let weight = self.integers(weight, DATA_INT8, &[inputs, outputs], transposed);
        let zero = self.offset("zero.int8", DATA_INT8, 0);
        let node = Node {
            input: vec![input, weight, offset, zero],
            name: layer.name.clone(),
            op_type: "MatMulInteger".into(),
            ..Node::default()
        };
        self.integer_product(node, &[outputs], [scale, output], &scales, bias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_times_scales_are_the_weights() {
        let weight = [0.51, -1.0, 0.013, 0.0, 0.0, 0.0, 3.0, 2.0, 1.0];
        let (integers, scales) = by_row(&weight, 3);
        assert_eq!(integers[..6], [32, -63, 1, 0, 0, 0]);
        for (i, (w, q)) in weight.iter().zip(&integers).enumerate() {
            assert!((w - f32::from(*q) * scales[i / 3]).abs() <= 0.5001 * scales[i / 3]);
        }
    }
}
