//! Matrix products over the `gemm` crate, named by the factors that are transposed: `nn`, `nt`,
//! `tn`.
//!
//! All take `m, k, n` (rows of the result, inner size, columns of the result), row-major slices, an
//! output that is overwritten or, with `accumulate`, added to, and the number of threads. Each
//! element is summed in the same order for every number of threads.

use gemm::Parallelism;

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
type Factor<'a> = (&'a [f32], usize, usize);

fn product(
    [m, k, n]: [usize; 3],
    (a, a_row, a_col): Factor,
    (b, b_row, b_col): Factor,
    c: &mut [f32],
    accumulate: bool,
    threads: usize,
) {
    assert_eq!(a.len(), m * k, "left factor of a product ({m}, {k}, {n})");
    assert_eq!(b.len(), k * n, "right factor of a product ({m}, {k}, {n})");
    assert_eq!(c.len(), m * n, "result of a product ({m}, {k}, {n})");
    if m == 0 || n == 0 {
        return;
    }
    let parallelism = match threads {
        0 | 1 => Parallelism::None,
        t => Parallelism::Rayon(t),
    };
    // SAFETY: the lengths asserted above are those that the sizes and steps reach: the largest
    // index of each operand is rows·cols − 1. `c` is exclusively borrowed and overlaps neither.
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
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Computes the product by its definition, in f64.
    fn slow([m, k, n]: [usize; 3], a: Factor, b: Factor, c: &[f32], accumulate: bool) -> Vec<f32> {
        let mut out = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                let mut sum = if accumulate { f64::from(c[i * n + j]) } else { 0.0 };
                for p in 0..k {
                    sum += f64::from(a.0[i * a.1 + p * a.2]) * f64::from(b.0[p * b.1 + j * b.2]);
                }
                out[i * n + j] = sum as f32;
            }
        }
        out
    }

    fn filled(len: usize, seed: u64) -> Vec<f32> {
        let mut v = vec![0.0; len];
        crate::uniform(&mut v, 1.0, &mut crate::rng(seed, "matmul test"));
        v
    }

    proptest! {
        #[test]
        fn equals_the_definition(m in 0usize..40, k in 0usize..40, n in 0usize..40, accumulate: bool) {
            let (a, b, c) = (filled(m * k, 1), filled(k * n, 2), filled(m * n, 3));
            type F = fn(usize, usize, usize, &[f32], &[f32], &mut [f32], bool, usize);
            let kinds: [(F, Factor, Factor); 3] = [
                (nn, (&a, k, 1), (&b, n, 1)),
                (nt, (&a, k, 1), (&b, 1, k)),
                (tn, (&a, 1, m), (&b, n, 1)),
            ];
            for (kind, fa, fb) in kinds {
                let want = slow([m, k, n], fa, fb, &c, accumulate);
                let mut got = c.clone();
                kind(m, k, n, &a, &b, &mut got, accumulate, 1);
                for (g, w) in got.iter().zip(&want) {
                    prop_assert!((g - w).abs() < 1e-4, "{g} for {w}");
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (m, k, n) = (300, 700, 257);
        let (a, b) = (filled(m * k, 1), filled(k * n, 2));
        let (mut one, mut two) = (vec![0.0; m * n], vec![0.0; m * n]);
        nn(m, k, n, &a, &b, &mut one, false, 1);
        nn(m, k, n, &a, &b, &mut two, false, 2);
        assert!(one == two);
    }
}
