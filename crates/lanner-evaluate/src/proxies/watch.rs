//! What is seen of layers while they run: the states of ReLUs, and activations times gradients.

use std::sync::{Mutex, PoisonError};

use lanner_network::{Network, Op};
use lanner_nn::Observer;

/// Sees a batch pass through a network.
pub struct Watch {
    images: usize,
    /// One entry a layer; of layers that ReLUs read.
    codes: Vec<Option<Codes>>,
    /// One entry a layer; of convolutions and linear layers: images × channels, Σ over pixels of a·g.
    products: Vec<Option<Mutex<Vec<f64>>>>,
}

/// Which values of a layer are above 0.
struct Codes {
    /// How many ReLUs read the layer.
    readers: u64,
    /// Bits of an image.
    len: usize,
    /// Images × words.
    bits: Mutex<Vec<u64>>,
}

impl Watch {
    /// Sees what is asked for; without either, nothing.
    pub fn new(network: &Network, images: usize, relus: bool, products: bool) -> Watch {
        let mut watch = Watch {
            images,
            codes: network.layers.iter().map(|_| None).collect(),
            products: network.layers.iter().map(|_| None).collect(),
        };
        for layer in network.layers.iter().filter(|_| relus) {
            if let (Op::Relu | Op::Relu6, &[read]) = (layer.op, &layer.inputs[..]) {
                // What is above 0 behind a ReLU was so before it; several may read one layer.
                let len = network.layers[read].shape.len();
                let words = images * len.div_ceil(64);
                watch.codes[read]
                    .get_or_insert_with(|| Codes {
                        readers: 0,
                        len,
                        bits: Mutex::new(vec![0; words]),
                    })
                    .readers += 1;
            }
        }
        for (i, layer) in network.layers.iter().enumerate().filter(|_| products) {
            if let Op::Conv(_) | Op::Linear { .. } = layer.op {
                let sums = vec![0.0; images * layer.shape.channels];
                watch.products[i] = Some(Mutex::new(sums));
            }
        }
        watch
    }

    /// The layers to watch.
    pub fn layers(&self) -> Vec<usize> {
        let wanted = |&i: &usize| self.codes[i].is_some() || self.products[i].is_some();
        (0..self.codes.len()).filter(wanted).collect()
    }

    /// How many ReLUs are in the same state for two images: images × images. `None` without a ReLU.
    pub fn agreements(&self) -> Option<Vec<f64>> {
        let n = self.images;
        let mut all = 0;
        let mut differing = vec![0u64; n * n];
        for codes in self.codes.iter().flatten() {
            all += codes.readers * codes.len as u64;
            let bits = codes.bits.lock().unwrap_or_else(PoisonError::into_inner);
            let images: Vec<&[u64]> = bits.chunks_exact(bits.len() / n).collect();
            for (i, a) in images.iter().enumerate() {
                for (j, b) in images[..i].iter().enumerate() {
                    let differ: u32 = a.iter().zip(*b).map(|(a, b)| (a ^ b).count_ones()).sum();
                    differing[i * n + j] += codes.readers * u64::from(differ);
                }
            }
        }
        let same = |i: usize, j: usize| (all - differing[i.max(j) * n + i.min(j)]) as f64;
        (all > 0).then(|| (0..n * n).map(|at| same(at / n, at % n)).collect())
    }

    /// Fisher's sum over layers, given the weights of an output channel of each layer.
    pub fn fisher(&self, weights: impl Fn(usize) -> usize) -> f64 {
        let mut sum = 0.0;
        for (layer, products) in self.products.iter().enumerate() {
            let Some(products) = products else { continue };
            let products = products.lock().unwrap_or_else(PoisonError::into_inner);
            let squares: f64 = products.iter().map(|p| p * p).sum();
            sum += 0.5 * squares / self.images as f64 * weights(layer) as f64;
        }
        sum
    }
}

impl Observer<f32> for Watch {
    fn output(&self, layer: usize, image: usize, output: &[f32]) {
        let Some(codes) = &self.codes[layer] else { return };
        let mut words = Vec::with_capacity(output.len().div_ceil(64));
        for values in output.chunks(64) {
            let bit = |(k, x): (usize, &f32)| u64::from(*x > 0.0) << k;
            words.push(values.iter().enumerate().map(bit).fold(0, |word, bit| word | bit));
        }
        let mut bits = codes.bits.lock().unwrap_or_else(PoisonError::into_inner);
        bits[image * words.len()..][..words.len()].copy_from_slice(&words);
    }

    fn gradient(&self, layer: usize, image: usize, output: &[f32], gradient: &[f32]) {
        let Some(products) = &self.products[layer] else { return };
        let channels = {
            let products = products.lock().unwrap_or_else(PoisonError::into_inner);
            products.len() / self.images
        };
        let mut sums = vec![0.0; channels];
        for (a, g) in output.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
            for ((s, a), g) in sums.iter_mut().zip(a).zip(g) {
                *s += f64::from(a * g);
            }
        }
        let mut products = products.lock().unwrap_or_else(PoisonError::into_inner);
        products[image * channels..][..channels].copy_from_slice(&sums);
    }
}
