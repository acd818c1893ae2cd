//! Small random networks that show what operations cost on a device: mixtures of convolutions of all
//! widths, groups and kernels, of blocks of transformers, and of what stands between them.

use prost::Message;
use rand::{Rng, RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::export::{int, ints};
use super::messages::{
    Attribute, DATA_FLOAT, DATA_INT64, Dimension, Graph, Model, Node, OperatorSet, Tensor,
    TensorShape, TensorType, Type, ValueInfo,
};
use super::{INPUT, OUTPUT};

mod recurrent;

/// Most multiply-accumulates and weights of a probe: more time would tell no more. The first layer of a recurrent
/// one may have thrice as many.
const MOST_MACS: usize = 500_000_000;
const MOST_WEIGHTS: usize = 12_000_000;

/// Probes from this number on are recurrent.
pub const FIRST_RECURRENT: u64 = 10_000;

/// Encodes the probe of that number, always the same: a model with one input of 32-bit floats. All
/// sizes are drawn from ranges that networks for images, sequences and text have.
pub fn probe(number: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut net = Probe { random: ChaCha8Rng::seed_from_u64(!number), ..Probe::default() };
    let (input, output) = match number % 10 {
        _ if number >= FIRST_RECURRENT => net.recurrent(&mut random),
        0..6 => net.image(&mut random),
        6..9 => net.tokens(&mut random),
        _ => net.wave(&mut random),
    };
    net.nodes.push(node("Identity", "output", &[&output], OUTPUT, vec![]));
    let dim = input.iter().map(|&n| Dimension { dim_value: Some(n as i64), dim_param: None });
    let shape = Some(TensorShape { dim: dim.collect() });
    let of = |shape| Type { tensor_type: Some(TensorType { elem_type: DATA_FLOAT, shape }) };
    Model {
        ir_version: 8,
        producer_name: "lanner".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(Graph {
            node: net.nodes,
            name: format!("probe {number}"),
            initializer: net.tensors,
            input: vec![ValueInfo { name: INPUT.into(), r#type: Some(of(shape)) }],
            output: vec![ValueInfo { name: OUTPUT.into(), r#type: Some(of(None)) }],
        }),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: 17 }],
    }
    .encode_to_vec()
}

fn node(op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    Node {
        input: inputs.iter().map(|i| i.to_string()).collect(),
        output: vec![output.into()],
        name: name.into(),
        op_type: op.into(),
        attribute,
    }
}

struct Probe {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    /// For the numbers of weights, which do not matter.
    random: ChaCha8Rng,
    macs: usize,
    weights: usize,
}

impl Default for Probe {
    fn default() -> Probe {
        let random = ChaCha8Rng::seed_from_u64(0);
        Probe { nodes: vec![], tensors: vec![], random, macs: 0, weights: 0 }
    }
}

/// Draws from `low` to `high`, evenly on a scale of ratios; often a multiple of eight or sixteen, as most
/// networks have it.
fn size(random: &mut ChaCha8Rng, low: usize, high: usize) -> usize {
    let drawn = (low as f64).ln() + random.random::<f64>() * (high as f64 / low as f64).ln();
    let n = (drawn.exp().round() as usize).clamp(low, high);
    let unit = *[1, 4, 8, 8, 16, 16].choose(random).unwrap_or(&1);
    if n > 2 * unit { n / unit * unit } else { n }
}

impl Probe {
    fn add(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let name = format!("{}.{}", op.to_lowercase(), self.nodes.len());
        self.nodes.push(node(op, &name, inputs, &name, attributes));
        name
    }

    fn floats(&mut self, dims: &[usize], fan_in: usize) -> String {
        let name = format!("w.{}", self.tensors.len());
        let n: usize = dims.iter().product();
        self.weights += n;
        let scale = (6.0 / fan_in.max(1) as f32).sqrt();
        let random = &mut self.random;
        let mut raw_data = Vec::with_capacity(4 * n);
        for _ in 0..n.div_ceil(2) {
            let bits = random.next_u64();
            for part in [bits as u32, (bits >> 32) as u32] {
                let value = scale * (part as f32 / (1u64 << 31) as f32 - 1.0);
                raw_data.extend(value.to_le_bytes());
            }
        }
        raw_data.truncate(4 * n);
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.tensors.push(Tensor { dims, data_type: DATA_FLOAT, name: name.clone(), raw_data });
        name
    }

    fn scalar(&mut self, value: f32) -> String {
        let name = format!("c.{}", self.tensors.len());
        let raw_data = value.to_le_bytes().to_vec();
        self.tensors.push(Tensor {
            dims: vec![],
            data_type: DATA_FLOAT,
            name: name.clone(),
            raw_data,
        });
        name
    }

    fn sizes(&mut self, values: &[i64]) -> String {
        let name = format!("s.{}", self.tensors.len());
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        self.tensors.push(Tensor { dims, data_type: DATA_INT64, name: name.clone(), raw_data });
        name
    }

    /// A convolution over the axes of `at` behind channels; returns the tensor and its sizes.
    fn conv(
        &mut self,
        x: &str,
        at: &[usize],
        out: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> (String, Vec<usize>) {
        let axes = at.len() - 1;
        let taps = kernel.pow(axes as u32);
        let mut dims = vec![out, at[0] / groups];
        dims.extend(vec![kernel; axes]);
        let w = self.floats(&dims, at[0] / groups * taps);
        let b = self.floats(&[out], 1 << 12);
        let attributes = vec![
            ints("kernel_shape", &vec![kernel; axes]),
            ints("strides", &vec![stride; axes]),
            ints("pads", &vec![kernel / 2; 2 * axes]),
            int("group", groups),
        ];
        let y = self.add("Conv", &[x, &w, &b], attributes);
        let mut shape = vec![out];
        shape.extend(at[1..].iter().map(|&n| (n + 2 * (kernel / 2) - kernel) / stride + 1));
        self.macs += shape.iter().product::<usize>() * at[0] / groups * taps;
        (y, shape)
    }

    fn activation(&mut self, x: &str, random: &mut ChaCha8Rng) -> String {
        match random.random_range(0..8) {
            0..3 => self.add("Relu", &[x], vec![]),
            3 => {
                let (low, high) = (self.scalar(0.0), self.scalar(6.0));
                self.add("Clip", &[x, &low, &high], vec![])
            }
            4 => self.add("HardSwish", &[x], vec![]),
            5 => {
                let gate = self.add("Sigmoid", &[x], vec![]);
                self.add("Mul", &[x, &gate], vec![])
            }
            6 => self.gelu(x),
            _ => x.into(),
        }
    }

    fn gelu(&mut self, x: &str) -> String {
        let (root, one, half) = (self.scalar(2f32.sqrt()), self.scalar(1.0), self.scalar(0.5));
        let scaled = self.add("Div", &[x, &root], vec![]);
        let erf = self.add("Erf", &[&scaled], vec![]);
        let sum = self.add("Add", &[&erf, &one], vec![]);
        let product = self.add("Mul", &[x, &sum], vec![]);
        self.add("Mul", &[&product, &half], vec![])
    }

    fn is_full(&self) -> bool {
        self.macs > MOST_MACS / 4 || self.weights > MOST_WEIGHTS / 4
    }

    /// Whether a convolution is small enough for a probe.
    fn fits(&self, at: &[usize], out: usize, kernel: usize, groups: usize) -> bool {
        let weights = out * at[0] / groups * kernel.pow(at.len() as u32 - 1);
        let macs = weights * at[1..].iter().product::<usize>();
        self.macs + macs < MOST_MACS && self.weights + weights < MOST_WEIGHTS
    }

    fn image(&mut self, random: &mut ChaCha8Rng) -> (Vec<usize>, String) {
        let stem = random.random_bool(0.2);
        let side = if stem { size(random, 32, 224) } else { size(random, 3, 112) };
        let most = (400_000 / (side * side)).clamp(16, 1024);
        let channels = if stem { 3 } else { size(random, 8, most) };
        let input = vec![1, channels, side, side];
        let (mut x, mut at) = (INPUT.to_string(), vec![channels, side, side]);
        for _ in 0..random.random_range(2..8) {
            if self.is_full() {
                break;
            }
            (x, at) = self.image_block(x, at, random);
        }
        if random.random_bool(0.5) {
            let mean = self.add("GlobalAveragePool", &[&x], vec![]);
            let flat = self.add("Flatten", &[&mean], vec![]);
            let out = size(random, 10, 1000);
            x = self.dense(&flat, 1, at[0], out);
        }
        (input, x)
    }

    fn image_block(
        &mut self,
        x: String,
        at: Vec<usize>,
        random: &mut ChaCha8Rng,
    ) -> (String, Vec<usize>) {
        let c = at[0];
        let kernel = *[1, 3, 3, 5, 7].choose(random).unwrap_or(&3);
        let stride = if random.random_bool(0.2) && at[1] > 4 { 2 } else { 1 };
        match random.random_range(0..14) {
            0..5 => {
                let kernel = if random.random_bool(0.5) { 1 } else { kernel };
                let out = size(random, (c / 4).max(8), (4 * c).clamp(16, 1024));
                if !self.fits(&at, out, kernel, 1) {
                    return (self.activation(&x, random), at);
                }
                let (y, shape) = self.conv(&x, &at, out, kernel, stride, 1);
                (self.activation(&y, random), shape)
            }
            5..7 if c >= 8 => {
                let kernel = kernel.max(3);
                let (y, shape) = self.conv(&x, &at, c, kernel, stride, c);
                (self.activation(&y, random), shape)
            }
            7..9 => {
                // Groups of a width, as ResNeXt and RegNet have them.
                let widths: Vec<usize> = (2..=c / 2).filter(|w| c.is_multiple_of(*w)).collect();
                let Some(&width) = widths.choose(random) else { return (x, at) };
                let kernel = kernel.min(5);
                if !self.fits(&at, c, kernel, c / width) {
                    return (x, at);
                }
                let (y, shape) = self.conv(&x, &at, c, kernel, stride, c / width);
                (self.activation(&y, random), shape)
            }
            9 => {
                // A residual block.
                let middle = size(random, (c / 4).max(4), c.max(8));
                if !self.fits(&at, middle, 3, 1) {
                    return (x, at);
                }
                let (a, shape) = self.conv(&x, &at, middle, 3, 1, 1);
                let a = self.activation(&a, random);
                let (b, _) = self.conv(&a, &shape, c, 1, 1, 1);
                let sum = self.add("Add", &[&x, &b], vec![]);
                (self.activation(&sum, random), at)
            }
            10 => {
                // Squeeze and excite.
                let mean = self.add("GlobalAveragePool", &[&x], vec![]);
                let (a, inner) = self.conv(&mean, &[c, 1, 1], (c / 4).max(4), 1, 1, 1);
                let a = self.add("Relu", &[&a], vec![]);
                let (b, _) = self.conv(&a, &inner, c, 1, 1, 1);
                let op = if random.random_bool(0.5) { "Sigmoid" } else { "HardSigmoid" };
                let gate = self.add(op, &[&b], vec![]);
                (self.add("Mul", &[&x, &gate], vec![]), at)
            }
            11 if at[1] > 2 => {
                let op = if random.random_bool(0.5) { "MaxPool" } else { "AveragePool" };
                let attributes = vec![ints("kernel_shape", &[2; 2]), ints("strides", &[2; 2])];
                (self.add(op, &[&x], attributes), vec![c, at[1] / 2, at[2] / 2])
            }
            12 => {
                // A dense block with a norm of its own.
                let norm: Vec<String> = (0..4).map(|_| self.positive(c)).collect();
                let y = self.add(
                    "BatchNormalization",
                    &[&x, &norm[0], &norm[1], &norm[2], &norm[3]],
                    vec![],
                );
                let y = self.add("Relu", &[&y], vec![]);
                let out = size(random, 8, 64);
                if !self.fits(&at, out, 3, 1) {
                    return (y, at);
                }
                let (y, _) = self.conv(&y, &at, out, 3, 1, 1);
                let joined = self.add("Concat", &[&x, &y], vec![int("axis", 1)]);
                (joined, vec![c + out, at[1], at[2]])
            }
            _ if c.is_multiple_of(2) && random.random_bool(0.5) => {
                // A channel shuffle.
                let (h, w) = (at[1] as i64, at[2] as i64);
                let split = self.sizes(&[1, 2, c as i64 / 2, h, w]);
                let y = self.add("Reshape", &[&x, &split], vec![]);
                let y = self.add("Transpose", &[&y], vec![ints("perm", &[0, 2, 1, 3, 4])]);
                let join = self.sizes(&[1, c as i64, h, w]);
                (self.add("Reshape", &[&y, &join], vec![]), at)
            }
            _ if at[1] < 64 && c <= 512 => {
                // Upwards, as in a U-Net.
                let out = (c / 2).max(4);
                let w = self.floats(&[c, out, 2, 2], 4 * c);
                let attributes = vec![ints("kernel_shape", &[2; 2]), ints("strides", &[2; 2])];
                self.macs += c * out * 4 * at[1] * at[2];
                (self.add("ConvTranspose", &[&x, &w], attributes), vec![out, 2 * at[1], 2 * at[2]])
            }
            _ => (x, at),
        }
    }

    /// Numbers that are above 0.
    fn positive(&mut self, n: usize) -> String {
        let name = format!("p.{}", self.tensors.len());
        let raw_data = (0..n).flat_map(|i| (0.5 + 0.001 * (i % 97) as f32).to_le_bytes()).collect();
        self.tensors.push(Tensor {
            dims: vec![n as i64],
            data_type: DATA_FLOAT,
            name: name.clone(),
            raw_data,
        });
        name
    }

    fn wave(&mut self, random: &mut ChaCha8Rng) -> (Vec<usize>, String) {
        let (channels, length) = (size(random, 1, 128), size(random, 64, 8000));
        let (mut x, mut at) = (INPUT.to_string(), vec![channels, length]);
        for _ in 0..random.random_range(2..7) {
            let kernel = *[1, 3, 5, 9].choose(random).unwrap_or(&3);
            let stride = if random.random_bool(0.4) && at[1] > 16 { 2 } else { 1 };
            let out = size(random, 8, 512);
            if self.is_full() || !self.fits(&at, out, kernel, 1) {
                break;
            }
            let groups = if random.random_bool(0.2) { at[0] } else { 1 };
            let out = if groups > 1 { at[0] } else { out };
            let (y, shape) = self.conv(&x, &at, out, kernel, stride, groups);
            (x, at) = (self.activation(&y, random), shape);
        }
        (vec![1, channels, length], x)
    }

    /// A product of `rows` × `n` values with stored weights.
    fn dense(&mut self, x: &str, rows: usize, n: usize, out: usize) -> String {
        self.macs += rows * n * out;
        let w = self.floats(&[n, out], n);
        let b = self.floats(&[out], 1 << 12);
        let y = self.add("MatMul", &[x, &w], vec![]);
        self.add("Add", &[&y, &b], vec![])
    }

    fn norm(&mut self, x: &str, width: usize) -> String {
        let (scale, shift) = (self.positive(width), self.positive(width));
        let attributes = vec![Attribute { i: Some(-1), ..int("axis", 0) }];
        self.add("LayerNormalization", &[x, &scale, &shift], attributes)
    }

    fn tokens(&mut self, random: &mut ChaCha8Rng) -> (Vec<usize>, String) {
        let heads = random.random_range(1..12);
        let each = *[16, 24, 32, 32, 64, 64].choose(random).unwrap_or(&32);
        let (width, count) = (heads * each, size(random, 4, 400));
        let mut x = INPUT.to_string();
        for _ in 0..random.random_range(1..6) {
            let rows = count * width;
            let room = |net: &Probe, weights: usize| {
                net.weights + weights < MOST_WEIGHTS && net.macs + weights * count < MOST_MACS
            };
            x = match random.random_range(0..6) {
                0 => self.norm(&x, width),
                1..3 if room(self, 4 * width * width) => self.attention(&x, count, heads, each),
                3 if rows < 400_000 => {
                    // Another order of the tokens, as windows need it.
                    let halves = self.sizes(&[1, 2, count as i64 / 2, width as i64]);
                    if count % 2 == 1 {
                        continue;
                    }
                    let y = self.add("Reshape", &[&x, &halves], vec![]);
                    let y = self.add("Transpose", &[&y], vec![ints("perm", &[0, 2, 1, 3])]);
                    let back = self.sizes(&[1, count as i64, width as i64]);
                    self.add("Reshape", &[&y, &back], vec![])
                }
                _ => {
                    let inner = size(random, width, 4 * width);
                    if !room(self, 2 * width * inner) {
                        break;
                    }
                    let y = self.norm(&x, width);
                    let y = self.dense(&y, count, width, inner);
                    let y = match random.random_bool(0.7) {
                        true => self.gelu(&y),
                        false => self.activation(&y, random),
                    };
                    let y = self.dense(&y, count, inner, width);
                    self.add("Add", &[&x, &y], vec![])
                }
            };
        }
        (vec![1, count, width], x)
    }

    fn attention(&mut self, x: &str, count: usize, heads: usize, each: usize) -> String {
        let width = heads * each;
        let normed = self.norm(x, width);
        let split = self.sizes(&[1, count as i64, heads as i64, each as i64]);
        let [q, k, v] = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]].map(|perm| {
            let y = self.dense(&normed, count, width, width);
            let y = self.add("Reshape", &[&y, &split], vec![]);
            self.add("Transpose", &[&y], vec![ints("perm", &perm)])
        });
        let scale = self.scalar(1.0 / (each as f32).sqrt());
        self.macs += 2 * count * count * width;
        let scores = self.add("MatMul", &[&q, &k], vec![]);
        let scores = self.add("Mul", &[&scores, &scale], vec![]);
        let weights =
            self.add("Softmax", &[&scores], vec![Attribute { i: Some(-1), ..int("axis", 0) }]);
        let y = self.add("MatMul", &[&weights, &v], vec![]);
        let y = self.add("Transpose", &[&y], vec![ints("perm", &[0, 2, 1, 3])]);
        let join = self.sizes(&[1, count as i64, width as i64]);
        let y = self.add("Reshape", &[&y, &join], vec![]);
        let y = self.dense(&y, count, width, width);
        self.add("Add", &[x, &y], vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{ReadOptions, read};

    /// The reader understands all of every probe, and counts what the generator did.
    #[test]
    fn probes_are_networks_of_all_kinds() {
        let mut operators = std::collections::BTreeSet::new();
        for number in (0..300).chain(FIRST_RECURRENT..FIRST_RECURRENT + 40) {
            let graph = read(&probe(number), &ReadOptions::default()).unwrap();
            let cost = graph.cost();
            assert!(cost.unknown.is_empty(), "{:?}", cost.unknown);
            // The first recurrent layer has any size of its ranges.
            let times = if number < FIRST_RECURRENT { 2 } else { 4 };
            assert!(cost.products < times * MOST_MACS as u64, "{number}: {}", cost.products);
            operators.extend(graph.nodes.into_iter().map(|n| n.op));
        }
        for op in [
            "Conv",
            "ConvTranspose",
            "MatMul",
            "LayerNormalization",
            "Softmax",
            "Erf",
            "Concat",
            "LSTM",
            "GRU",
        ] {
            assert!(operators.contains(op), "{op}");
        }
    }
}
