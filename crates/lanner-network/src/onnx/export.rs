//! Converts layers to nodes of an ONNX model.

use super::messages::{
    Attribute, DATA_FLOAT, DATA_INT64, Dimension, FLOAT, Graph, INT, INTS, Model, Node,
    OperatorSet, Tensor, TensorShape, TensorType, Type, ValueInfo,
};
use super::quantize::Quantized;
use super::{INPUT, OUTPUT, OnnxOptions, Precision};
use crate::{Conv, Layer, LayerWeights, Network, Op, Pool, Shape, Weights};

pub const IR_VERSION: i64 = 8;
pub const OPSET: i64 = 17;
// Names of initialisers that several nodes share.
const ZERO: &str = "zero";
const SIX: &str = "six";

/// Makes the model. The weights must have passed [`Weights::check`].
pub fn model(network: &Network, weights: &Weights, options: OnnxOptions) -> Model {
    let mut graph = Export {
        network,
        options,
        nodes: Vec::new(),
        tensors: Vec::new(),
        quantized: Quantized::default(),
    };
    for (i, numbers) in weights.layers.iter().enumerate().skip(1) {
        graph.layer(i, numbers);
    }
    let Export { nodes, tensors, .. } = graph;
    let output = network.output();
    let classifier = network.layers.last().is_some_and(|l| is_flat(&l.op));
    Model {
        ir_version: IR_VERSION,
        producer_name: "lanner".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(Graph {
            node: nodes,
            name: network.name.clone(),
            initializer: tensors,
            input: vec![value(INPUT, network.input(), false, options)],
            output: vec![value(OUTPUT, output, classifier, options)],
        }),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: OPSET }],
    }
}

/// Whether the output has two dimensions, as that of a linear layer, instead of four.
fn is_flat(op: &Op) -> bool {
    matches!(op, Op::Linear { .. })
}

pub struct Export<'a> {
    pub network: &'a Network,
    pub options: OnnxOptions,
    pub nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
    pub quantized: Quantized,
}

impl Export<'_> {
    /// Name of a layer's output tensor.
    fn tensor(&self, layer: usize) -> String {
        match layer {
            0 => INPUT.into(),
            _ if layer + 1 == self.network.layers.len() => OUTPUT.into(),
            // The name of the node alone could be one of the two above.
            _ => format!("{}:0", self.network.layers[layer].name),
        }
    }

    pub fn node(
        &mut self,
        name: String,
        op: &str,
        inputs: Vec<String>,
        output: String,
        attribute: Vec<Attribute>,
    ) {
        let node =
            Node { input: inputs, output: vec![output], name, op_type: op.into(), attribute };
        self.nodes.push(node);
    }

    pub fn floats(&mut self, name: String, dims: &[usize], values: &[f32]) -> String {
        // Compiled to a plain copy on little-endian machines.
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.tensors.push(Tensor { dims, data_type: DATA_FLOAT, name: name.clone(), raw_data });
        name
    }

    /// Name of a constant, which is stored once.
    fn scalar(&mut self, name: &str, value: f32) -> String {
        match self.tensors.iter().any(|t| t.name == name) {
            true => name.into(),
            false => self.floats(name.into(), &[], &[value]),
        }
    }

    fn layer(&mut self, at: usize, numbers: &LayerWeights) {
        let network = self.network;
        let layer = &network.layers[at];
        let name = layer.name.clone();
        let mut inputs: Vec<String> = layer.inputs.iter().map(|&i| self.tensor(i)).collect();
        let output = self.tensor(at);
        let (op, attributes) = match layer.op {
            Op::Input => return,
            Op::Conv(c) => {
                let (pad, step, gap) = match c.flat {
                    true => (0, 1, 1),
                    false => (c.padding, c.stride, c.dilation),
                };
                let attribute = vec![
                    ints("dilations", &[gap, c.dilation]),
                    int("group", c.groups),
                    ints("kernel_shape", &c.window()),
                    ints("pads", &[pad, c.padding, pad, c.padding]),
                    ints("strides", &[step, c.stride]),
                ];
                if self.options.precision == Precision::Int8 {
                    let node = Node { input: inputs, name, attribute, ..Node::default() };
                    return self.integer_conv(layer, c, numbers, node, output);
                }
                let shape = c.kernel_shape(network.in_channels(layer));
                self.affine(layer, numbers, &shape, &mut inputs);
                ("Conv", attribute)
            }
            Op::BatchNorm { epsilon } => {
                let of: [&[f32]; 4] = match numbers {
                    LayerWeights::Norm { scale, shift, mean, variance } => {
                        [scale, shift, mean, variance]
                    }
                    _ => [&[]; 4],
                };
                for (suffix, values) in
                    ["weight", "bias", "running_mean", "running_var"].iter().zip(of)
                {
                    let tensor = format!("{name}.{suffix}");
                    inputs.push(self.floats(tensor, &[layer.shape.channels], values));
                }
                ("BatchNormalization", vec![float("epsilon", epsilon)])
            }
            Op::Relu => ("Relu", vec![]),
            Op::Relu6 => {
                inputs.push(self.scalar(ZERO, 0.0));
                inputs.push(self.scalar(SIX, 6.0));
                ("Clip", vec![])
            }
            Op::HardSwish => ("HardSwish", vec![]),
            Op::Sigmoid => ("Sigmoid", vec![]),
            Op::HardSigmoid => ("HardSigmoid", vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)]),
            Op::MaxPool(pool) => ("MaxPool", window(pool)),
            Op::AvgPool { pool, count_include_pad } => {
                let mut attributes = window(pool);
                attributes.push(int("count_include_pad", usize::from(count_include_pad)));
                ("AveragePool", attributes)
            }
            Op::GlobalAvgPool => ("GlobalAveragePool", vec![]),
            Op::Add => return self.chain("Add", name, inputs, output),
            Op::Mul => return self.chain("Mul", name, inputs, output),
            Op::Concat => ("Concat", vec![int("axis", 1)]),
            Op::Zero => {
                inputs.push(self.scalar(ZERO, 0.0));
                ("Mul", vec![])
            }
            Op::Linear { .. } => return self.linear(at, numbers, inputs, output),
            Op::ChannelShuffle { groups } => return self.shuffle(layer, groups, inputs, output),
            Op::Slice { channels } => return self.slice(name, &[(1, 0, channels)], inputs, output),
            Op::Upsample { flat } => {
                let scales = [1.0, 1.0, if flat { 1.0 } else { 2.0 }, 2.0];
                // Without a region of interest; the nearest pixel is the operator's own default.
                inputs.push(String::new());
                inputs.push(self.floats(format!("{name}.scales"), &[4], &scales));
                ("Resize", vec![])
            }
            Op::UpConv { out_channels, flat } => {
                let window = [if flat { 1 } else { 2 }, 2];
                let shape = [network.in_channels(layer), out_channels, window[0], window[1]];
                self.affine(layer, numbers, &shape, &mut inputs);
                ("ConvTranspose", vec![ints("kernel_shape", &window), ints("strides", &window)])
            }
            Op::Shift => {
                let Shape { height, width, .. } = layer.shape;
                let sides = self.shape_constant(format!("{name}.sides"), &[0, 0, 0, 0, 0, 0, 1, 1]);
                let padded = format!("{name}.pad:0");
                inputs.push(sides);
                self.node(format!("{name}.pad"), "Pad", inputs, padded.clone(), vec![]);
                let part = [(2, 1, height + 1), (3, 1, width + 1)];
                return self.slice(name, &part, vec![padded], output);
            }
        };
        self.node(name, op, inputs, output, attributes);
    }

    /// Appends weight and bias to a node's inputs. Without numbers they have sizes only.
    fn affine(
        &mut self,
        layer: &Layer,
        numbers: &LayerWeights,
        shape: &[usize],
        inputs: &mut Vec<String>,
    ) {
        let (weight, bias): (&[f32], &[f32]) = match numbers {
            LayerWeights::Affine { weight, bias } => (weight, bias),
            _ => (&[], &[]),
        };
        inputs.push(self.floats(format!("{}.weight", layer.name), shape, weight));
        if matches!(layer.op, Op::Conv(Conv { bias: true, .. }) | Op::Linear { bias: true, .. }) {
            let n = layer.shape.channels;
            inputs.push(self.floats(format!("{}.bias", layer.name), &[n], bias));
        }
    }

    /// Adds a linear layer. Between layers a vector has four dimensions; the model's output has two.
    fn linear(&mut self, at: usize, numbers: &LayerWeights, inputs: Vec<String>, output: String) {
        let layer = &self.network.layers[at];
        let (name, features) = (layer.name.clone(), layer.shape.channels);
        let flat = format!("{name}.flat:0");
        let axis = vec![int("axis", 1)];
        self.node(format!("{name}.flat"), "Flatten", inputs, flat.clone(), axis);
        let last = at + 1 == self.network.layers.len();
        let scores = if last { output.clone() } else { format!("{name}.scores:0") };
        match self.options.precision {
            Precision::F32 => {
                let mut inputs = vec![flat];
                let shape = [features, self.network.in_channels(layer)];
                self.affine(layer, numbers, &shape, &mut inputs);
                let trans = vec![int("transB", 1)];
                self.node(name.clone(), "Gemm", inputs, scores.clone(), trans);
            }
            Precision::Int8 => self.integer_linear(layer, numbers, &flat, scores.clone()),
        }
        if last {
            return;
        }
        let dims = self.shape_constant(format!("{name}.shape"), &[0, features, 1, 1]);
        self.node(format!("{name}.unflat"), "Reshape", vec![scores, dims], output, vec![]);
    }

    /// Adds a list of integers: paddings, or the target of a reshape, where 0 keeps a dimension so
    /// that any batch fits.
    pub fn shape_constant(&mut self, name: String, dims: &[usize]) -> String {
        let raw_data = dims.iter().flat_map(|&d| (d as i64).to_le_bytes()).collect();
        let (dims, data_type) = (vec![dims.len() as i64], DATA_INT64);
        self.tensors.push(Tensor { dims, data_type, name: name.clone(), raw_data });
        name
    }

    /// Adds a ∘ b ∘ c as (a ∘ b) ∘ c; a single term is passed on.
    fn chain(&mut self, op: &str, name: String, inputs: Vec<String>, output: String) {
        let mut terms = inputs.into_iter();
        let mut so_far = terms.next().unwrap_or_default();
        let rest: Vec<String> = terms.collect();
        if rest.is_empty() {
            return self.node(name, "Identity", vec![so_far], output, vec![]);
        }
        for (k, term) in rest.iter().enumerate() {
            let last = k + 1 == rest.len();
            let node = if last { name.clone() } else { format!("{name}.{k}") };
            let out = if last { output.clone() } else { format!("{node}:0") };
            self.node(node, op, vec![so_far, term.clone()], out.clone(), vec![]);
            so_far = out;
        }
    }

    /// Adds a slice of a tensor: for each (axis, first, end), the places from `first` to before `end`.
    fn slice(
        &mut self,
        name: String,
        part: &[(usize, usize, usize)],
        mut inputs: Vec<String>,
        output: String,
    ) {
        for (what, number) in [
            ("starts", (|p| p.1) as fn(&(usize, usize, usize)) -> usize),
            ("ends", |p| p.2),
            ("axes", |p| p.0),
        ] {
            let numbers: Vec<usize> = part.iter().map(number).collect();
            inputs.push(self.shape_constant(format!("{name}.{what}"), &numbers));
        }
        self.node(name, "Slice", inputs, output, vec![]);
    }

    /// Adds a channel shuffle: reshape, transpose, reshape.
    fn shuffle(&mut self, layer: &Layer, groups: usize, inputs: Vec<String>, output: String) {
        let Shape { channels, height, width } = layer.shape;
        let name = &layer.name;
        let dims = [0, groups, channels / groups, height, width];
        let split = self.shape_constant(format!("{name}.split"), &dims);
        let join = self.shape_constant(format!("{name}.join"), &[0, channels, height, width]);
        let [a, b] = ["split:0", "swap:0"].map(|part| format!("{name}.{part}"));
        let from: Vec<String> = inputs.into_iter().chain([split]).collect();
        self.node(format!("{name}.split"), "Reshape", from, a.clone(), vec![]);
        let perm = vec![ints("perm", &[0, 2, 1, 3, 4])];
        self.node(format!("{name}.swap"), "Transpose", vec![a], b.clone(), perm);
        self.node(name.clone(), "Reshape", vec![b, join], output, vec![]);
    }
}

fn window(pool: Pool) -> Vec<Attribute> {
    vec![
        ints("kernel_shape", &[pool.kernel; 2]),
        ints("pads", &[pool.padding; 4]),
        ints("strides", &[pool.stride; 2]),
    ]
}

fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.into(), f: Some(value), kind: FLOAT, ..Attribute::default() }
}

pub fn int(name: &str, value: usize) -> Attribute {
    Attribute { name: name.into(), i: Some(value as i64), kind: INT, ..Attribute::default() }
}

pub fn ints(name: &str, values: &[usize]) -> Attribute {
    let ints = values.iter().map(|&v| v as i64).collect();
    Attribute { name: name.into(), ints, kind: INTS, ..Attribute::default() }
}

fn value(name: &str, shape: Shape, flat: bool, options: OnnxOptions) -> ValueInfo {
    let number = |n: usize| Dimension { dim_value: Some(n as i64), dim_param: None };
    let mut dim = vec![match options.batch {
        Some(batch) => number(batch as usize),
        None => Dimension { dim_value: None, dim_param: Some("batch".into()) },
    }];
    dim.push(number(shape.channels));
    if !flat {
        dim.extend([number(shape.height), number(shape.width)]);
    }
    let tensor = TensorType { elem_type: DATA_FLOAT, shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type: Some(tensor) }) }
}
