use std::collections::HashSet;

use crate::{NetworkError, Op, Shape, blocks::EPSILON};

/// One node of a [`Network`].
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Name, unique in the network. It begins with the layer's place: `stage1.cell2.0-3.conv`.
    pub name: String,
    pub op: Op,
    /// Numbers of the layers that this one reads, all lower than its own.
    pub inputs: Vec<usize>,
    /// Shape of the output, inferred.
    pub shape: Shape,
    /// Part of the skeleton that the layer belongs to, an index of [`Network::blocks`].
    pub block: usize,
}

/// A part of the skeleton, for drawings and summaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name, such as `stage1.cell2`.
    pub name: String,
    /// Kind, such as `cell`; consecutive blocks of one kind are drawn as one.
    pub kind: &'static str,
}

/// A network: layers in topological order. Layer 0 is the input, the last one the output.
///
/// A [`Builder`] makes it, and infers and checks the shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub name: String,
    pub layers: Vec<Layer>,
    pub blocks: Vec<Block>,
}

impl Network {
    /// Shape of the input image.
    pub fn input(&self) -> Shape {
        self.layers[0].shape
    }

    /// Shape of the output.
    pub fn output(&self) -> Shape {
        self.layers[self.layers.len() - 1].shape
    }

    /// Shapes of a layer's inputs.
    pub fn input_shapes(&self, layer: &Layer) -> Vec<Shape> {
        layer.inputs.iter().map(|&i| self.layers[i].shape).collect()
    }

    /// Number of channels of a layer's first input; 0 for layer 0.
    pub(crate) fn in_channels(&self, layer: &Layer) -> usize {
        layer.inputs.first().map_or(0, |&i| self.layers[i].shape.channels)
    }

    /// Removes the layers that do not lead to the output.
    pub(crate) fn without_dead_layers(self) -> Network {
        let mut live = vec![false; self.layers.len()];
        (live[0], live[self.layers.len() - 1]) = (true, true);
        for (i, layer) in self.layers.iter().enumerate().rev().filter(|(i, _)| *i > 0) {
            if live[i] {
                layer.inputs.iter().for_each(|&input| live[input] = true);
            }
        }
        let mut place = vec![0; self.layers.len()];
        let mut layers = Vec::with_capacity(self.layers.len());
        for (i, mut layer) in self.layers.into_iter().enumerate().filter(|(i, _)| live[*i]) {
            layer.inputs.iter_mut().for_each(|input| *input = place[*input]);
            place[i] = layers.len();
            layers.push(layer);
        }
        Network { layers, ..self }
    }

    /// Adds a batch norm behind each max and average pooling.
    ///
    /// The search phase of DARTS has them (Liu et al., ICLR 2019, `MixedOp`). NASLib's networks of
    /// NAS-Bench-301, whose proxies NAS-Bench-Suite-Zero published, keep them; the networks that are
    /// trained have none.
    pub fn with_pooling_norms(self) -> Network {
        let mut place = vec![0; self.layers.len()];
        let mut layers = Vec::with_capacity(2 * self.layers.len());
        for (i, mut layer) in self.layers.into_iter().enumerate() {
            layer.inputs.iter_mut().for_each(|input| *input = place[*input]);
            place[i] = layers.len();
            if matches!(layer.op, Op::MaxPool(_) | Op::AvgPool { .. }) {
                place[i] += 1;
                layers.push(layer.clone());
                let Layer { name, shape, block, .. } = layer;
                let (name, inputs) = (format!("{name}.bn"), vec![place[i] - 1]);
                layers.push(Layer {
                    name,
                    op: Op::BatchNorm { epsilon: EPSILON },
                    inputs,
                    shape,
                    block,
                });
            } else {
                layers.push(layer);
            }
        }
        Network { layers, ..self }
    }

    /// Number of times that others read each layer.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.layers.len()];
        for &input in self.layers.iter().flat_map(|l| &l.inputs) {
            readers[input] += 1;
        }
        readers
    }
}

/// Builds a [`Network`] layer by layer; methods that add a layer return its number.
///
/// ```
/// use lanner_network::{Builder, Conv, Op, Shape};
/// let mut net = Builder::new("small", Shape::new(3, 8, 8))?;
/// let conv = net.add("conv", Op::Conv(Conv::same(4, 3)), &[0])?;
/// let error = net.add("sum", Op::Add, &[0, conv]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layer 'sum' (add) of inputs 3×8×8, 4×8×8: 4×8×8 differs from 3×8×8, expected equal shapes"
/// );
/// # Ok::<(), lanner_network::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    network: Network,
    names: HashSet<String>,
}

impl Builder {
    /// Number of layers that most networks do not exceed by much.
    const USUAL: usize = 128;

    /// Starts with layer 0, the input, called `input`.
    pub fn new(name: impl Into<String>, input: Shape) -> Result<Builder, NetworkError> {
        if input.is_empty() {
            let value = format!("{}×{}×{}", input.channels, input.height, input.width);
            let expected = "channels, height and width of 1 or more".into();
            return Err(NetworkError::Value { name: "input", value, expected });
        }
        let layer = Layer {
            name: "input".into(),
            op: Op::Input,
            inputs: Vec::new(),
            shape: input,
            block: 0,
        };
        let blocks = vec![Block { name: "input".into(), kind: "input" }];
        // Predictors build networks of tens of thousands of architectures: reserve memory once.
        let mut layers = Vec::with_capacity(Builder::USUAL);
        let mut names = HashSet::with_capacity(Builder::USUAL);
        layers.push(layer);
        names.insert("input".into());
        Ok(Builder { network: Network { name: name.into(), layers, blocks }, names })
    }

    /// Starts a part of the skeleton, to which the layers added from now on belong.
    pub fn block(&mut self, name: impl Into<String>, kind: &'static str) {
        self.network.blocks.push(Block { name: name.into(), kind });
    }

    /// Adds a layer that reads others; the error names it and the shapes that do not fit.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[usize],
    ) -> Result<usize, NetworkError> {
        let name = name.into();
        let layers = &self.network.layers;
        if let Some(&input) = inputs.iter().find(|&&i| i >= layers.len()) {
            return Err(NetworkError::Input { layer: name, input, known: layers.len() });
        }
        let shapes: Vec<Shape> = inputs.iter().map(|&i| layers[i].shape).collect();
        let shape = op.infer(&shapes).map_err(|why| {
            let inputs: Vec<String> = shapes.iter().map(Shape::to_string).collect();
            NetworkError::Shape {
                layer: name.clone(),
                op: op.describe(),
                inputs: inputs.join(", "),
                why,
            }
        })?;
        if !self.names.insert(name.clone()) {
            return Err(NetworkError::Name { layer: name });
        }
        let block = self.network.blocks.len() - 1;
        self.network.layers.push(Layer { name, op, inputs: inputs.to_vec(), shape, block });
        Ok(self.network.layers.len() - 1)
    }

    /// Shape of a layer's output, if the layer exists.
    pub fn shape(&self, layer: usize) -> Option<Shape> {
        self.network.layers.get(layer).map(|l| l.shape)
    }

    /// Returns the network, whose output is the layer added last.
    pub fn finish(self) -> Network {
        self.network
    }
}
