use std::ops::Range;

use lanner_network::{Layer, LayerWeights, Network, Op, Weights};

use super::{ExecError, Float};

/// Places of each layer's numbers in the flat vectors of [`Params`] and of gradients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// One place for each layer.
    pub layers: Vec<LayerPlace>,
    /// Number of learned numbers in all.
    pub len: usize,
    /// Number of running means and variances in all.
    pub running_len: usize,
}

/// LayerPlace of the numbers of one layer; ranges are empty where it has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerPlace {
    /// A kernel (output channels × input channels of a group × height × width), a matrix (outputs ×
    /// inputs), or a batch norm's scale (channels).
    pub weight: Range<usize>,
    /// A bias or a batch norm's shift: one number an output channel.
    pub bias: Range<usize>,
    /// A batch norm's mean, in [`Params::running`].
    pub mean: Range<usize>,
    /// A batch norm's variance, in [`Params::running`].
    pub variance: Range<usize>,
}

impl Layout {
    /// Lays out the numbers of a network layer by layer, weight before bias.
    pub fn of(network: &Network) -> Layout {
        let mut layout = Layout { layers: Vec::new(), len: 0, running_len: 0 };
        for layer in &network.layers {
            let (weight, bias) = sizes(network, layer);
            let running = if let Op::BatchNorm { .. } = layer.op { weight } else { 0 };
            let place = LayerPlace {
                weight: layout.len..layout.len + weight,
                bias: layout.len + weight..layout.len + weight + bias,
                mean: layout.running_len..layout.running_len + running,
                variance: layout.running_len + running..layout.running_len + 2 * running,
            };
            layout.len = place.bias.end;
            layout.running_len = place.variance.end;
            layout.layers.push(place);
        }
        layout
    }
}

fn sizes(network: &Network, layer: &Layer) -> (usize, usize) {
    let inputs = layer.inputs.first().map_or(0, |&i| network.layers[i].shape.channels);
    let outputs = layer.shape.channels;
    match layer.op {
        Op::Conv(c) => (c.kernel_shape(inputs).iter().product(), if c.bias { outputs } else { 0 }),
        Op::Linear { bias, .. } => (inputs * outputs, if bias { outputs } else { 0 }),
        Op::BatchNorm { .. } => (outputs, outputs),
        _ => (0, 0),
    }
}

/// Parameters of a network in flat vectors, so that an optimiser is one loop. Gradients are a plain
/// vector in the layout of [`Params::values`].
#[derive(Debug, Clone, PartialEq)]
pub struct Params<T> {
    pub layout: Layout,
    /// Learned numbers: kernels, matrices, biases, scales and shifts.
    pub values: Vec<T>,
    /// Means and variances of batch norms.
    pub running: Vec<T>,
}

impl<T: Float> Params<T> {
    /// Parameters that are all zero, with running variances of 1.
    pub fn zeros(network: &Network) -> Params<T> {
        let layout = Layout::of(network);
        let mut running = vec![T::ZERO; layout.running_len];
        for place in &layout.layers {
            running[place.variance.clone()].fill(T::ONE);
        }
        Params { values: vec![T::ZERO; layout.len], running, layout }
    }

    /// Copies the weights of a network.
    ///
    /// # Errors
    /// When they do not fit this network.
    pub fn from_weights(network: &Network, weights: &Weights) -> Result<Params<T>, ExecError> {
        weights.check(network)?;
        let mut params = Params::zeros(network);
        let copy = |to: &mut [T], from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(t, f)| *t = T::of(f64::from(*f)));
        };
        for (place, weights) in params.layout.layers.iter().zip(&weights.layers) {
            match weights {
                LayerWeights::None => {}
                LayerWeights::Affine { weight, bias } => {
                    copy(&mut params.values[place.weight.clone()], weight);
                    copy(&mut params.values[place.bias.clone()], bias);
                }
                LayerWeights::Norm { scale, shift, mean, variance } => {
                    copy(&mut params.values[place.weight.clone()], scale);
                    copy(&mut params.values[place.bias.clone()], shift);
                    copy(&mut params.running[place.mean.clone()], mean);
                    copy(&mut params.running[place.variance.clone()], variance);
                }
            }
        }
        Ok(params)
    }

    /// Converts to weights of lanner-network, rounded to `f32`.
    pub fn to_weights(&self) -> Weights {
        let numbers = |all: &[T], range: &Range<usize>| -> Vec<f32> {
            all[range.clone()].iter().map(|x| x.to_f64() as f32).collect()
        };
        let layers = self
            .layout
            .layers
            .iter()
            .map(|place| {
                let weight = numbers(&self.values, &place.weight);
                let bias = numbers(&self.values, &place.bias);
                if weight.is_empty() {
                    LayerWeights::None
                } else if place.mean.is_empty() {
                    LayerWeights::Affine { weight, bias }
                } else {
                    LayerWeights::Norm {
                        scale: weight,
                        shift: bias,
                        mean: numbers(&self.running, &place.mean),
                        variance: numbers(&self.running, &place.variance),
                    }
                }
            })
            .collect();
        Weights { layers }
    }

    /// Weight and bias of a layer (scale and shift of a batch norm).
    pub fn layer(&self, layer: usize) -> (&[T], &[T]) {
        let place = &self.layout.layers[layer];
        (&self.values[place.weight.clone()], &self.values[place.bias.clone()])
    }
}
