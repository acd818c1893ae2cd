//! Multi-layer perceptrons for the recipes: linear layers with ReLU between them, forward and backward
//! side by side, trained with L1 loss and AdamW.

use lanner_nn::matmul;
use lanner_nn::optim::AdamW;
use lanner_nn::schedule::cosine;
use rand::seq::SliceRandom;

use lanner_predict::PredictError;
use lanner_predict::regress::linalg::Mat;

const BATCH: usize = 64;
pub(crate) const WEIGHT_DECAY: f32 = 5e-4;

/// Length and learning rate of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Training {
    pub epochs: usize,
    pub rate: f32,
    /// Whether the learning rate falls along a cosine.
    pub falling: bool,
}

/// A multi-layer perceptron.
#[derive(Debug, Clone)]
pub(crate) struct Mlp {
    /// Widths of the input, of every hidden layer, of the output.
    widths: Vec<usize>,
    /// Weights (out × in) and biases of all layers, one after the other.
    pub weights: Vec<f32>,
}

/// A layer's place among the weights, and its numbers of inputs and outputs.
#[derive(Clone, Copy)]
struct Layer {
    at: usize,
    inputs: usize,
    outputs: usize,
}

impl Layer {
    fn biases(self) -> std::ops::Range<usize> {
        let at = self.at + self.inputs * self.outputs;
        at..at + self.outputs
    }
}

impl Mlp {
    /// Makes a perceptron with hidden layers of one width and one output; random weights, as PyTorch
    /// draws them.
    pub fn new(inputs: usize, layers: usize, width: usize, seed: u64) -> Mlp {
        let mut widths = vec![width; layers + 2];
        widths[0] = inputs;
        widths[layers + 1] = 1;
        Mlp::of_widths(widths, seed)
    }

    /// Makes a perceptron of these widths: of the input, of every hidden layer, of the output.
    pub fn of_widths(widths: Vec<usize>, seed: u64) -> Mlp {
        let mut mlp = Mlp { widths, weights: Vec::new() };
        let layers = mlp.layers();
        mlp.weights.resize(layers.last().map_or(0, |l| l.biases().end), 0.0);
        let mut rng = lanner_nn::rng(seed, "weights of Multi-Predict");
        for layer in layers {
            let bound = (layer.inputs as f32).sqrt().recip();
            lanner_nn::uniform(&mut mlp.weights[layer.at..layer.biases().end], bound, &mut rng);
        }
        mlp
    }

    fn layers(&self) -> Vec<Layer> {
        let mut at = 0;
        (self.widths.windows(2))
            .map(|pair| {
                let layer = Layer { at, inputs: pair[0], outputs: pair[1] };
                at = layer.biases().end;
                layer
            })
            .collect()
    }

    /// Predicts scores for rows of features, without a unit, for ranking.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        let input: Vec<f32> = x.data.iter().map(|&v| v as f32).collect();
        let mut states = Vec::new();
        self.forward(&input, x.rows, &mut states);
        states.pop().unwrap_or_default().into_iter().map(f64::from).collect()
    }

    /// Trains on rows of features and their targets, which are scaled to [0, 1].
    pub fn train(
        &mut self,
        x: &Mat,
        y: &[f64],
        training: Training,
        seed: u64,
    ) -> Result<(), PredictError> {
        if x.rows != y.len() {
            return Err(PredictError::Lengths { architectures: x.rows, targets: y.len() });
        }
        if let Some(row) = y.iter().position(|v| !v.is_finite()) {
            return Err(PredictError::Target { row, value: y[row] });
        }
        let Training { epochs, rate, falling } = training;
        let least = y.iter().copied().fold(f64::INFINITY, f64::min);
        let range = y.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
        let range = if range > 0.0 { range } else { 1.0 };
        let mut order: Vec<usize> = (0..x.rows).collect();
        let mut rng = lanner_nn::rng(seed, "batches of Multi-Predict");
        let mut optimiser = AdamW::new(self.weights.len(), WEIGHT_DECAY);
        let mut gradient = vec![0.0; self.weights.len()];
        let mut states = Vec::new();
        for epoch in 0..epochs {
            let rate = if falling { cosine(rate, epoch, epochs) } else { rate };
            order.shuffle(&mut rng);
            for batch in order.chunks(BATCH) {
                let input: Vec<f32> =
                    batch.iter().flat_map(|&i| x.row(i).iter().map(|&v| v as f32)).collect();
                self.forward(&input, batch.len(), &mut states);
                let slope = (batch.len() as f32).recip();
                let d_out: Vec<f32> = (batch.iter().zip(&states[states.len() - 1]))
                    .map(|(&i, &p)| slope * (p - ((y[i] - least) / range) as f32).signum())
                    .collect();
                self.backward(&input, &states, d_out, &mut gradient, &mut []);
                optimiser.step(&mut self.weights, &gradient, rate, 1);
            }
        }
        Ok(())
    }

    /// Computes all layers: `states[l]` becomes the output of layer l, rows × its outputs, after ReLU
    /// except for the last.
    pub fn forward(&self, input: &[f32], rows: usize, states: &mut Vec<Vec<f32>>) {
        states.clear();
        let layers = self.layers();
        for (l, layer) in layers.iter().enumerate() {
            let Layer { at, inputs, outputs } = *layer;
            let (weights, biases) =
                (&self.weights[at..at + inputs * outputs], &self.weights[layer.biases()]);
            let mut out: Vec<f32> = biases.repeat(rows);
            let before = states.last().map_or(input, |s| s.as_slice());
            matmul::nt(rows, inputs, outputs, before, weights, &mut out, true, 1);
            if l + 1 < layers.len() {
                out.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            states.push(out);
        }
    }

    /// Computes the gradient by the weights from the gradient by the outputs; also the one by the
    /// inputs if `d_input` (rows × inputs) is not empty.
    pub fn backward(
        &self,
        input: &[f32],
        states: &[Vec<f32>],
        mut d_out: Vec<f32>,
        gradient: &mut [f32],
        d_input: &mut [f32],
    ) {
        for (l, layer) in self.layers().into_iter().enumerate().rev() {
            let Layer { at, inputs, outputs } = layer;
            let rows = d_out.len() / outputs;
            let before = if l == 0 { input } else { &states[l - 1] };
            let (d_weights, d_biases) =
                gradient[at..layer.biases().end].split_at_mut(inputs * outputs);
            matmul::tn(outputs, rows, inputs, &d_out, before, d_weights, false, 1);
            d_biases.fill(0.0);
            for row in d_out.chunks(outputs) {
                d_biases.iter_mut().zip(row).for_each(|(b, d)| *b += d);
            }
            let weights = &self.weights[at..at + inputs * outputs];
            if l == 0 {
                if !d_input.is_empty() {
                    matmul::nn(rows, outputs, inputs, &d_out, weights, d_input, false, 1);
                }
                return;
            }
            let mut d_in = vec![0.0; rows * inputs];
            matmul::nn(rows, outputs, inputs, &d_out, weights, &mut d_in, false, 1);
            // Goes back through the ReLU of the layer before.
            d_in.iter_mut().zip(before).filter(|x| *x.1 <= 0.0).for_each(|(d, _)| *d = 0.0);
            d_out = d_in;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_differences() {
        let mut network = Mlp::new(3, 4, 128, 1);
        let mut input: Vec<f32> = (0..12).map(|i| ((i * 5) % 7) as f32 / 3.0 - 1.0).collect();
        // The loss is a weighted sum of the four outputs.
        let slopes = vec![1.0f32, -0.5, 2.0, 0.3];
        let loss = |network: &Mlp, input: &[f32]| -> f64 {
            let mut states = Vec::new();
            network.forward(input, 4, &mut states);
            states[4].iter().zip(&slopes).map(|(o, s)| f64::from(o * s)).sum()
        };
        let mut states = Vec::new();
        network.forward(&input, 4, &mut states);
        let mut gradient = vec![f32::NAN; network.weights.len()];
        let mut d_input = vec![f32::NAN; 12];
        network.backward(&input, &states, slopes.clone(), &mut gradient, &mut d_input);
        let mut seen = 0;
        for layer in network.layers() {
            for at in [layer.at, layer.at + 2, layer.biases().start] {
                let kept = network.weights[at];
                let step = 1e-2;
                network.weights[at] = kept + step;
                let up = loss(&network, &input);
                network.weights[at] = kept - step;
                let down = loss(&network, &input);
                network.weights[at] = kept;
                let direct = (up - down) / f64::from(2.0 * step);
                let ours = f64::from(gradient[at]);
                assert!((direct - ours).abs() < 2e-3 + 0.05 * ours.abs(), "{at}: {direct} {ours}");
                seen += usize::from(ours != 0.0);
            }
        }
        assert!(seen > 8, "{seen}");
        for at in 0..12 {
            let kept = input[at];
            input[at] = kept + 1e-2;
            let up = loss(&network, &input);
            input[at] = kept - 1e-2;
            let down = loss(&network, &input);
            input[at] = kept;
            let (direct, ours) = ((up - down) / 2e-2, f64::from(d_input[at]));
            assert!((direct - ours).abs() < 2e-3 + 0.05 * ours.abs(), "{at}: {direct} {ours}");
        }
    }
}
