//! Matrix products over the `gemm` crate, named by the factors that are transposed: `nn`, `nt`,
//! `tn`.
//!
//! All take `m, k, n` (rows of the result, inner size, columns of the result), row-major slices, an
//! output that is overwritten or, with `accumulate`, added to, and the number of threads. Each
//! element is summed in the same order for every number of threads.

use gemm::Parallelism;

use crate::exec::Float;

/// Computes c = a·b (+ c): a is m×k, b is k×n, c is m×n.
#[allow(clippy::too_many_arguments)] // the BLAS signature, which every reader knows
pub fn nn(
    m: usize,
    k: usize,
    n: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
    threads: usize,
) {
    product([m, k, n], (a, k, 1), (b, n, 1), c, accumulate, threads);
}

/// Computes c = a·bᵀ (+ c): a is m×k, b is n×k, c is m×n.
#[allow(clippy::too_many_arguments)]
pub fn nt(
    m: usize,
    k: usize,
    n: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
    threads: usize,
) {
    product([m, k, n], (a, k, 1), (b, 1, k), c, accumulate, threads);
}

/// Computes c = aᵀ·b (+ c): a is k×m, b is k×n, c is m×n.
#[allow(clippy::too_many_arguments)]
pub fn tn(
    m: usize,
    k: usize,
    n: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
    threads: usize,
) {
    product([m, k, n], (a, 1, m), (b, n, 1), c, accumulate, threads);
}

/// A factor: its data, the step between rows and the step between columns.
pub(crate) type Factor<'a, T> = (&'a [T], usize, usize);

/// Computes c = a · b, or adds the product to c; c is row-major.
pub(crate) fn product<T: Float>(
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
