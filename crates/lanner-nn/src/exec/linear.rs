//! Linear layers over a batch, as matrix products of the `gemm` crate. The bits do not depend on
//! the number of threads.

use super::Float;
use crate::matmul::product;

/// A linear layer at one batch size: `inputs` and `outputs` are those of an image.
#[derive(Debug, Clone, Copy)]
pub struct LinearKernel {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub threads: usize,
}

impl LinearKernel {
    /// Computes y = x · wᵀ + bias; x: batch × inputs, w: outputs × inputs, bias: outputs or empty.
    pub fn forward<T: Float>(&self, x: &[T], w: &[T], bias: &[T], y: &mut [T]) {
        if !bias.is_empty() {
            y.chunks_exact_mut(self.outputs).for_each(|y| y.copy_from_slice(bias));
        }
        let (m, k, n) = (self.batch, self.inputs, self.outputs);
        product([m, k, n], (x, k, 1), (w, 1, k), y, !bias.is_empty(), self.threads);
    }

    /// Computes dx = dy · w.
    pub fn backward<T: Float>(&self, dy: &[T], w: &[T], dx: &mut [T]) {
        let (m, k, n) = (self.batch, self.outputs, self.inputs);
        product([m, k, n], (dy, k, 1), (w, n, 1), dx, false, self.threads);
    }

    /// Computes dw = dyᵀ · x, and d_bias as the sum of dy over the batch.
    pub fn backward_weights<T: Float>(&self, x: &[T], dy: &[T], dw: &mut [T], d_bias: &mut [T]) {
        let (m, k, n) = (self.outputs, self.batch, self.inputs);
        product([m, k, n], (dy, 1, m), (x, n, 1), dw, false, self.threads);
        if !d_bias.is_empty() {
            super::rearrange::sum_to(dy, d_bias);
        }
    }
}
