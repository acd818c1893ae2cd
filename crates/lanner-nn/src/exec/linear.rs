//! Linear layers over a batch, as matrix products of the `gemm` crate. The bits do not depend on
//! the number of threads.

use gemm::Parallelism;

use super::Float;

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

/// A factor: its data, the step between rows and the step between columns.
type Factor<'a, T> = (&'a [T], usize, usize);

/// Computes c = a · b, or adds the product to c; c is row-major.
fn product<T: Float>(
    [m, k, n]: [usize; 3],
    (a, a_row, a_col): Factor<T>,
    (b, b_row, b_col): Factor<T>,
    c: &mut [T],
    accumulate: bool,
    threads: usize,
) {
    assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "a product {m}×{k}×{n}");
    if m == 0 || n == 0 {
        return;
    }
    let parallelism = match threads {
        0 | 1 => Parallelism::None,
        t => Parallelism::Rayon(t),
    };
    // SAFETY: the lengths asserted above are those that the sizes and steps reach; `c` is
    // exclusively borrowed.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.as_ptr(),
            a_col as isize,
            a_row as isize,
            b.as_ptr(),
            b_col as isize,
            b_row as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}
