//! Fisher: sums of activations times gradients, observed while layers run.

use std::sync::{Mutex, PoisonError};

use lanner_network::{Network, Op};
use lanner_nn::Observer;

/// Observer that sums activations times gradients of a batch.
pub struct FisherSums {
    images: usize,
    /// For each convolution and linear layer: images × channels, Σ over pixels of activation ·
    /// gradient.
    products: Vec<Option<Mutex<Vec<f64>>>>,
}

impl FisherSums {
    /// Observes convolutions and linear layers if `wanted`, else nothing.
    pub fn new(network: &Network, images: usize, wanted: bool) -> FisherSums {
        let products = network.layers.iter().map(|layer| {
            let weighted = matches!(layer.op, Op::Conv(_) | Op::Linear { .. });
            let sums = || Mutex::new(vec![0.0; images * layer.shape.channels]);
            (wanted && weighted).then(sums)
        });
        FisherSums { images, products: products.collect() }
    }

    /// Layers to observe.
    pub fn layers(&self) -> Vec<usize> {
        (0..self.products.len()).filter(|&i| self.products[i].is_some()).collect()
    }

    /// The gradients of each image by the gains of all channels, a row an image: Σ over pixels of
    /// activation · gradient.
    pub fn by_image(&self) -> Vec<f64> {
        let layers: Vec<_> = self.products.iter().flatten().collect();
        let layers: Vec<_> =
            layers.iter().map(|p| p.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let rows = (0..self.images).map(|image| {
            layers.iter().flat_map(move |p| {
                let channels = p.len() / self.images;
                p[image * channels..][..channels].iter().copied()
            })
        });
        rows.flatten().collect()
    }

    /// Fisher's sum over layers; `weights` gives the number of weights of a layer's output channel.
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

impl Observer<f32> for FisherSums {
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
