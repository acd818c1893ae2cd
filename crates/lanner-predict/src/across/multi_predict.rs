//! The recipe `multi-predict` across tasks and spaces: proxies, a small network, pre-training and
//! fine-tuning (Akhauri & Abdelfattah, "Multi-Predict", AutoML-Conf 2023).
//!
//! Twelve proxies → MLP of four layers of 128 → accuracy, by L1 loss and AdamW. Trained on the source
//! (250 epochs, 4e-4, cosine), then on the target's samples alone (50 epochs at 1e-3, all weights).
//! Proxies are normalised over each data set as in NASFLAT, accuracies by the least and greatest of the
//! samples that are learned from. Every call begins from the pre-trained weights: in the official code
//! repetitions go on training one and the same network.

use lanner_nn::matmul;
use lanner_nn::optim::AdamW;
use lanner_nn::schedule::cosine;
use rand::seq::SliceRandom;

use super::without_failures;
use crate::PredictError;
use crate::linalg::Mat;

const LAYERS: usize = 4;
const WIDTH: usize = 128;
const BATCH: usize = 64;
const WEIGHT_DECAY: f32 = 5e-4;
/// Epochs and learning rates.
const PRE_TRAINING: (usize, f32) = (250, 4e-4);
const FINE_TUNING: (usize, f32) = (50, 1e-3);

/// The proxies that it sees, in order.
pub const PROXIES: [&str; 12] = [
    "epe_nas",
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "jacov",
    "l2_norm",
    "nwot",
    "params",
    "plain",
    "snip",
    "synflow",
];
/// Those of which the logarithm is normalised.
const LOGARITHMS: [&str; 6] = ["fisher", "flops", "grad_norm", "params", "snip", "synflow"];

/// NASFLAT's normalisation over a data set, p × 12: log1p and min–max for magnitudes, z-score for
/// grasp, min–max for the rest. Where a proxy or a value is missing there is 0.
pub fn normalised(columns: &[(String, Vec<f64>)], rows: usize) -> Mat {
    let column = |name: &str| -> Vec<f64> {
        let Some((_, values)) = columns.iter().find(|c| c.0 == name) else {
            return vec![0.0; rows];
        };
        let mut values = without_failures(values);
        if LOGARITHMS.contains(&name) {
            values.iter_mut().for_each(|v| *v = v.max(0.0).ln_1p());
        }
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let n = known.len() as f64;
        let (shift, scale) = if name == "grasp" {
            let mean = known.iter().sum::<f64>() / n;
            (mean, (known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
        } else {
            let least = known.iter().copied().fold(f64::INFINITY, f64::min);
            (least, known.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least)
        };
        let scaled = |v: f64| {
            if v.is_finite() && scale > 0.0 { (v - shift) / scale } else { 0.0 }
        };
        values.into_iter().map(scaled).collect()
    };
    let columns = PROXIES.map(column);
    Mat::from_fn(rows, PROXIES.len(), |i, j| columns[j][i])
}

/// Weights (out × in) and biases of all layers, one after the other.
#[derive(Debug, Clone)]
pub struct MultiPredict {
    weights: Vec<f32>,
    inputs: usize,
}

/// A layer's place among the weights, inputs and outputs.
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

impl MultiPredict {
    /// A network with random weights, as PyTorch draws them.
    pub fn new(inputs: usize, seed: u64) -> MultiPredict {
        let last = layers(inputs)[LAYERS];
        let mut weights = vec![0.0; last.biases().end];
        let mut rng = lanner_nn::rng(seed, "weights of Multi-Predict");
        for layer in layers(inputs) {
            let bound = (layer.inputs as f32).sqrt().recip();
            let range = layer.at..layer.biases().end;
            lanner_nn::uniform(&mut weights[range], bound, &mut rng);
        }
        MultiPredict { weights, inputs }
    }

    /// Pre-training on a source: rows of normalised proxies and their accuracies.
    pub fn pre_train(x: &Mat, y: &[f64], seed: u64) -> Result<MultiPredict, PredictError> {
        let mut network = MultiPredict::new(x.cols, seed);
        network.train(x, y, PRE_TRAINING, true, seed)?;
        Ok(network)
    }

    /// The same network after fine-tuning on a target's samples.
    pub fn fine_tuned(&self, x: &Mat, y: &[f64], seed: u64) -> Result<MultiPredict, PredictError> {
        let mut network = self.clone();
        network.train(x, y, FINE_TUNING, false, seed)?;
        Ok(network)
    }

    /// Predictions in no unit: they rank.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        let input: Vec<f32> = x.data.iter().map(|&v| v as f32).collect();
        let mut states = Vec::new();
        self.forward(&input, x.rows, &mut states);
        states[LAYERS].iter().map(|&v| f64::from(v)).collect()
    }

    fn train(
        &mut self,
        x: &Mat,
        y: &[f64],
        (epochs, rate): (usize, f32),
        falling: bool,
        seed: u64,
    ) -> Result<(), PredictError> {
        if x.rows != y.len() {
            return Err(PredictError::Lengths { architectures: x.rows, targets: y.len() });
        }
        if let Some(row) = y.iter().position(|v| !v.is_finite()) {
            return Err(PredictError::Target { row, value: y[row] });
        }
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
                let d_out: Vec<f32> = (batch.iter().zip(&states[LAYERS]))
                    .map(|(&i, &p)| slope * (p - ((y[i] - least) / range) as f32).signum())
                    .collect();
                self.backward(&input, &states, d_out, &mut gradient);
                optimiser.step(&mut self.weights, &gradient, rate, 1);
            }
        }
        Ok(())
    }

    /// `states[l]` becomes the output of layer l, rows × its outputs, after ReLU but for the last.
    fn forward(&self, input: &[f32], rows: usize, states: &mut Vec<Vec<f32>>) {
        states.clear();
        for (l, layer) in layers(self.inputs).into_iter().enumerate() {
            let Layer { at, inputs, outputs } = layer;
            let (weights, biases) =
                (&self.weights[at..at + inputs * outputs], &self.weights[layer.biases()]);
            let mut out: Vec<f32> = biases.repeat(rows);
            let before = states.last().map_or(input, |s| s.as_slice());
            matmul::nt(rows, inputs, outputs, before, weights, &mut out, true, 1);
            if l < LAYERS {
                out.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            states.push(out);
        }
    }

    /// From the loss's gradient by the outputs, that by the weights.
    fn backward(
        &self,
        input: &[f32],
        states: &[Vec<f32>],
        mut d_out: Vec<f32>,
        gradient: &mut [f32],
    ) {
        for (l, layer) in layers(self.inputs).into_iter().enumerate().rev() {
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
            if l == 0 {
                return;
            }
            let mut d_in = vec![0.0; rows * inputs];
            let weights = &self.weights[at..at + inputs * outputs];
            matmul::nn(rows, outputs, inputs, &d_out, weights, &mut d_in, false, 1);
            // Through the ReLU of the layer before.
            d_in.iter_mut().zip(before).filter(|x| *x.1 <= 0.0).for_each(|(d, _)| *d = 0.0);
            d_out = d_in;
        }
    }
}

fn layers(inputs: usize) -> [Layer; LAYERS + 1] {
    let mut at = 0;
    std::array::from_fn(|l| {
        let inputs = if l == 0 { inputs } else { WIDTH };
        let outputs = if l == LAYERS { 1 } else { WIDTH };
        let layer = Layer { at, inputs, outputs };
        at = layer.biases().end;
        layer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_differences() {
        let mut network = MultiPredict::new(3, 1);
        let input: Vec<f32> = (0..12).map(|i| ((i * 5) % 7) as f32 / 3.0 - 1.0).collect();
        // The loss is a weighted sum of the four outputs.
        let slopes = vec![1.0f32, -0.5, 2.0, 0.3];
        let loss = |network: &MultiPredict| -> f64 {
            let mut states = Vec::new();
            network.forward(&input, 4, &mut states);
            states[LAYERS].iter().zip(&slopes).map(|(o, s)| f64::from(o * s)).sum()
        };
        let mut states = Vec::new();
        network.forward(&input, 4, &mut states);
        let mut gradient = vec![f32::NAN; network.weights.len()];
        network.backward(&input, &states, slopes.clone(), &mut gradient);
        let mut seen = 0;
        for layer in layers(3) {
            for at in [layer.at, layer.at + 2, layer.biases().start] {
                let kept = network.weights[at];
                let step = 1e-2;
                network.weights[at] = kept + step;
                let up = loss(&network);
                network.weights[at] = kept - step;
                let down = loss(&network);
                network.weights[at] = kept;
                let direct = (up - down) / f64::from(2.0 * step);
                let ours = f64::from(gradient[at]);
                assert!((direct - ours).abs() < 2e-3 + 0.05 * ours.abs(), "{at}: {direct} {ours}");
                seen += usize::from(ours != 0.0);
            }
        }
        assert!(seen > 8, "{seen}");
    }

    #[test]
    fn it_learns_a_source_and_keeps_it_when_a_target_agrees() {
        let x = Mat::from_fn(200, 3, |i, j| ((i * (3 + 4 * j)) % 17) as f64 / 17.0);
        let y: Vec<f64> = (0..200).map(|i| x[(i, 0)] - x[(i, 1)] * x[(i, 2)]).collect();
        let source = MultiPredict::pre_train(&x, &y, 0).unwrap();
        let rank = |m: &MultiPredict| crate::metrics::spearman(&m.predict(&x), &y);
        assert!(rank(&source) > 0.95, "{}", rank(&source));
        let few: Vec<usize> = (0..200).step_by(10).collect();
        let some: Vec<f64> = few.iter().map(|&i| y[i]).collect();
        let before = source.predict(&x);
        let tuned = source.fine_tuned(&x.select(&few), &some, 0).unwrap();
        assert!(rank(&tuned) > 0.9, "{}", rank(&tuned));
        // Fine-tuning works on a copy.
        assert_eq!(before, source.predict(&x));
        assert!(source.fine_tuned(&x.select(&few), &[f64::NAN; 20], 0).is_err());
    }

    #[test]
    fn failures_and_missing_proxies_are_zero() {
        let columns = vec![
            ("synflow".into(), vec![0.0, 1.0, 3.0, -1e8]),
            ("grasp".into(), vec![-1.0, 1.0, -1.0, 1.0]),
            ("jacov".into(), vec![2.0, f64::NAN, 4.0, 3.0]),
        ];
        let x = normalised(&columns, 4);
        let of = |name: &str| -> Vec<f64> {
            let j = PROXIES.iter().position(|p| *p == name).unwrap();
            (0..4).map(|i| x[(i, j)]).collect()
        };
        assert_eq!(of("synflow"), [0.0, 0.5, 1.0, 0.0]);
        assert_eq!(of("grasp"), [-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(of("jacov"), [0.0, 0.0, 1.0, 0.5]);
        assert_eq!(of("nwot"), [0.0; 4]);
    }
}
