//! Dense `f64` matrices and the Cholesky factor, blocked over the `gemm` crate.
//!
//! Decompositions are a library's job, but the pure-Rust one that is fast enough takes minutes to
//! build, and all that the Gaussian process needs is one factor, its inverse and a triangular
//! solve: three short loops over matrix products.

use std::ops::{Index, IndexMut};

use rayon::prelude::*;

/// Rows and columns that the unblocked loops handle at a time.
const BLOCK: usize = 64;

/// A row-major matrix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mat {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f64>,
}

impl Mat {
    pub fn zeros(rows: usize, cols: usize) -> Mat {
        Mat { rows, cols, data: vec![0.0; rows * cols] }
    }

    pub fn from_fn(rows: usize, cols: usize, mut f: impl FnMut(usize, usize) -> f64) -> Mat {
        let mut data = Vec::with_capacity(rows * cols);
        for i in 0..rows {
            data.extend((0..cols).map(|j| f(i, j)));
        }
        Mat { rows, cols, data }
    }

    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The values of a column.
    pub fn column(&self, j: usize) -> Vec<f64> {
        (0..self.rows).map(|i| self[(i, j)]).collect()
    }

    /// These rows, in this order.
    pub fn select(&self, rows: &[usize]) -> Mat {
        let mut data = Vec::with_capacity(rows.len() * self.cols);
        rows.iter().for_each(|&i| data.extend_from_slice(self.row(i)));
        Mat { rows: rows.len(), cols: self.cols, data }
    }

    /// Some columns that stand beside each other.
    pub fn columns(&self, range: std::ops::Range<usize>) -> Mat {
        Mat::from_fn(self.rows, range.len(), |i, j| self[(i, range.start + j)])
    }

    /// All columns of `self`, then all of `other`.
    pub fn beside(&self, other: &Mat) -> Mat {
        Mat::joined(&[self, other])
    }

    /// The columns of all groups, one after the other.
    pub fn joined(groups: &[&Mat]) -> Mat {
        let rows = groups.first().map_or(0, |g| g.rows);
        assert!(groups.iter().all(|g| g.rows == rows), "groups have equally many rows");
        let cols = groups.iter().map(|g| g.cols).sum();
        Mat::by_rows(rows, cols, |i, mut out| {
            for group in groups {
                let (here, rest) = out.split_at_mut(group.cols);
                here.copy_from_slice(group.row(i));
                out = rest;
            }
        })
    }

    /// A matrix whose rows are written by `write`, given the row's number, in parallel.
    fn by_rows(rows: usize, cols: usize, write: impl Fn(usize, &mut [f64]) + Sync) -> Mat {
        const BLOCK: usize = 64;
        let mut out = Mat::zeros(rows, cols);
        out.data.par_chunks_mut(BLOCK * cols.max(1)).enumerate().for_each(|(block, rows)| {
            for (i, row) in rows.chunks_mut(cols.max(1)).enumerate() {
                write(BLOCK * block + i, row);
            }
        });
        out
    }

    /// alpha · self · otherᵀ.
    pub fn times_transposed(&self, other: &Mat, alpha: f64) -> Mat {
        assert_eq!(self.cols, other.cols, "inner sizes of a product");
        let mut out = Mat::zeros(self.rows, other.rows);
        let (m, k, n) = (self.rows, self.cols, other.rows);
        product(
            [m, k, n],
            (&self.data, 0, k, 1),
            (&other.data, 0, 1, k),
            (&mut out.data, 0, n),
            [0.0, alpha],
        );
        out
    }

    /// selfᵀ · self.
    pub fn gram(&self) -> Mat {
        let mut out = Mat::zeros(self.cols, self.cols);
        let (k, n) = (self.rows, self.cols);
        product(
            [n, k, n],
            (&self.data, 0, 1, n),
            (&self.data, 0, n, 1),
            (&mut out.data, 0, n),
            [0.0, 1.0],
        );
        out
    }

    /// The entries whose row and column are the same.
    pub(crate) fn diagonal(&self) -> Vec<f64> {
        (0..self.rows.min(self.cols)).map(|i| self[(i, i)]).collect()
    }

    /// Adds `sign` times the squares of each column to its sum.
    pub(crate) fn add_squares(&self, sums: &mut [f64], sign: f64) {
        for i in 0..self.rows {
            sums.iter_mut().zip(self.row(i)).for_each(|(sum, v)| *sum += sign * v * v);
        }
    }

    /// Each column shifted and scaled so that it has mean 0 and variance 1 over `rows`; columns that
    /// are constant there are left out.
    pub fn standardised_by(&self, rows: &[usize]) -> Mat {
        Standardiser::of(self, rows).apply(self)
    }
}

/// Shift and scale of the columns that some rows of a matrix vary in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standardiser {
    columns: Vec<usize>,
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl Standardiser {
    /// Finds the scaling that gives each column of `x` mean 0 and variance 1 over `rows` and leaves
    /// out constant ones.
    pub fn of(x: &Mat, rows: &[usize]) -> Standardiser {
        let n = rows.len().max(1) as f64;
        // Row by row, as the matrix lies.
        let mut means = vec![0.0; x.cols];
        for &i in rows {
            means.iter_mut().zip(x.row(i)).for_each(|(sum, v)| *sum += v);
        }
        means.iter_mut().for_each(|m| *m /= n);
        let mut variances = vec![0.0; x.cols];
        for &i in rows {
            let of_row = x.row(i).iter().zip(&means);
            variances.iter_mut().zip(of_row).for_each(|(sum, (v, m))| *sum += (v - m).powi(2));
        }
        let mut found = Standardiser::default();
        for (j, (mean, variance)) in means.into_iter().zip(variances).enumerate() {
            let variance = variance / n;
            if variance > 1e-18 {
                found.columns.push(j);
                found.means.push(mean);
                found.scales.push(variance.sqrt().recip());
            }
        }
        found
    }

    /// The number of columns that are not constant.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// A matrix with the columns of the one that this was made from.
    pub fn apply(&self, x: &Mat) -> Mat {
        let Standardiser { columns, means, scales } = self;
        Mat::by_rows(x.rows, columns.len(), |i, out| {
            let row = x.row(i);
            for (k, out) in out.iter_mut().enumerate() {
                *out = (row[columns[k]] - means[k]) * scales[k];
            }
        })
    }
}

impl Index<(usize, usize)> for Mat {
    type Output = f64;
    #[inline]
    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.data[i * self.cols + j]
    }
}

impl IndexMut<(usize, usize)> for Mat {
    #[inline]
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.data[i * self.cols + j]
    }
}

/// A part of a factor: data, offset, step between rows, step between columns.
type Part<'a> = (&'a [f64], usize, usize, usize);

/// c = keep·c + alpha·a·b, a being m×k, b k×n, c m×n with unit column step; `scale` = [keep, alpha].
fn product(
    [m, k, n]: [usize; 3],
    (a, a_at, a_row, a_col): Part,
    (b, b_at, b_row, b_col): Part,
    (c, c_at, c_row): (&mut [f64], usize, usize),
    [keep, alpha]: [f64; 2],
) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let last = |at, rows: usize, row, cols: usize, col| at + (rows - 1) * row + (cols - 1) * col;
    assert!(last(a_at, m, a_row, k, a_col) < a.len());
    assert!(last(b_at, k, b_row, n, b_col) < b.len());
    assert!(last(c_at, m, c_row, n, 1) < c.len() && c_row >= n);
    // SAFETY: the largest index that the steps reach in each operand is asserted to be inside it;
    // rows of `c` do not overlap, and `c` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr().add(c_at),
            1,
            c_row as isize,
            keep != 0.0,
            a.as_ptr().add(a_at),
            a_col as isize,
            a_row as isize,
            b.as_ptr().add(b_at),
            b_col as isize,
            b_row as isize,
            keep,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// I + V W Vᵀ (m × m) of a matrix V that is given in blocks of columns, m × b each, and a diagonal
/// matrix W of weights, one a column of V. Only the lower half is filled.
pub(crate) fn plus_weighted_squares(blocks: &[Mat], weights: &[f64]) -> Mat {
    let m = blocks.first().map_or(0, |v| v.rows);
    let mut sum = Mat::zeros(m, m);
    sum.data.par_chunks_mut((2 * BLOCK * m).max(1)).enumerate().for_each(|(stripe, out)| {
        let (start, height) = (2 * BLOCK * stripe, out.len() / m);
        let mut done = 0;
        for v in blocks {
            let weights = &weights[done..done + v.cols];
            done += v.cols;
            let left = Mat::from_fn(height, v.cols, |i, j| v[(start + i, j)] * weights[j]);
            product(
                [height, v.cols, start + height],
                (&left.data, 0, v.cols, 1),
                (&v.data, 0, 1, v.cols),
                (out, 0, m),
                [1.0, 1.0],
            );
        }
        (0..height).for_each(|i| out[i * m + start + i] += 1.0);
    });
    sum
}

/// The lower Cholesky factor L of a positive definite matrix, A = L Lᵀ.
#[derive(Debug, Clone)]
pub struct Cholesky {
    /// L; what stands above its diagonal is zero.
    l: Mat,
    /// Inverses of the diagonal blocks of L, each BLOCK × BLOCK at most.
    diagonal: Vec<Mat>,
}

impl Cholesky {
    /// Factors `a`, of which only the lower half is read; `None` if it is not positive definite.
    pub fn new(mut a: Mat) -> Option<Cholesky> {
        let n = a.rows;
        assert_eq!(n, a.cols, "a square matrix");
        let mut diagonal = Vec::new();
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            factor_block(&mut a, start, end)?;
            let inverse = invert_block(&a, start, end);
            let width = end - start;
            let below = n - end;
            // The panel under the block: P ← P · L⁻ᵀ.
            let panel = Mat::from_fn(below, width, |i, j| a[(end + i, start + j)]);
            product(
                [below, width, width],
                (&panel.data, 0, width, 1),
                (&inverse.data, 0, 1, width),
                (&mut a.data, end * n + start, n),
                [0.0, 1.0],
            );
            // What is left: lower half of A ← A − P·Pᵀ, by block columns.
            let panel = Mat::from_fn(below, width, |i, j| a[(end + i, start + j)]);
            for column in (end..n).step_by(2 * BLOCK) {
                let stop = (column + 2 * BLOCK).min(n);
                product(
                    [n - column, width, stop - column],
                    (&panel.data, (column - end) * width, width, 1),
                    (&panel.data, (column - end) * width, 1, width),
                    (&mut a.data, column * n + column, n),
                    [1.0, -1.0],
                );
            }
            diagonal.push(inverse);
        }
        for i in 0..n {
            a.row_mut(i)[i + 1..].fill(0.0);
        }
        Some(Cholesky { l: a, diagonal })
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.l.rows
    }

    /// Sum of the logarithms of L's diagonal: half of A's log determinant.
    pub fn half_log_det(&self) -> f64 {
        (0..self.l.rows).map(|i| self.l[(i, i)].ln()).sum()
    }

    /// L⁻¹ B in place of B (n × m).
    pub fn solve_lower(&self, b: &mut Mat) {
        let (n, m) = (self.l.rows, b.cols);
        assert_eq!(n, b.rows, "as many rows as the factor");
        for (k, inverse) in self.diagonal.iter().enumerate() {
            let (start, width) = (k * BLOCK, inverse.rows);
            let (solved, rest) = b.data.split_at_mut(start * m);
            product(
                [width, start, m],
                (&self.l.data, start * n, n, 1),
                (solved, 0, m, 1),
                (rest, 0, m),
                [1.0, -1.0],
            );
            let block = rest[..width * m].to_vec();
            product(
                [width, width, m],
                (&inverse.data, 0, width, 1),
                (&block, 0, m, 1),
                (rest, 0, m),
                [0.0, 1.0],
            );
        }
    }

    /// A⁻¹ b.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let n = self.l.rows;
        let mut x = Mat { rows: n, cols: 1, data: b.to_vec() };
        self.solve_lower(&mut x);
        self.solve_upper(x.data)
    }

    /// L⁻ᵀ x.
    pub(crate) fn solve_upper(&self, mut x: Vec<f64>) -> Vec<f64> {
        for i in (0..self.l.rows).rev() {
            x[i] /= self.l[(i, i)];
            let xi = x[i];
            // Row i of L is column i of Lᵀ: what x[i] takes from the earlier equations.
            x[..i].iter_mut().zip(self.l.row(i)).for_each(|(x, l)| *x -= l * xi);
        }
        x
    }

    /// A⁻¹, all of it.
    pub fn inverse(&self) -> Mat {
        let n = self.l.rows;
        let mut lower = Mat::zeros(n, n);
        // L⁻¹ by block rows: X_kj = −D_k · Σ_{j≤i<k} L_ki X_ij, left of the diagonal block.
        for (k, d) in self.diagonal.iter().enumerate() {
            let (start, width) = (k * BLOCK, d.rows);
            let (above, here) = lower.data.split_at_mut(start * n);
            let mut sum = Mat::zeros(width, start);
            product(
                [width, start, start],
                (&self.l.data, start * n, n, 1),
                (above, 0, n, 1),
                (&mut sum.data, 0, start),
                [0.0, -1.0],
            );
            product(
                [width, width, start],
                (&d.data, 0, width, 1),
                (&sum.data, 0, start, 1),
                (here, 0, n),
                [0.0, 1.0],
            );
            for i in 0..width {
                here[i * n + start..i * n + start + width].copy_from_slice(d.row(i));
            }
        }
        // L⁻ᵀ L⁻¹; rows above a block's first are zero in its columns.
        let mut out = Mat::zeros(n, n);
        for start in (0..n).step_by(2 * BLOCK) {
            let width = (2 * BLOCK).min(n - start);
            product(
                [start + width, n - start, width],
                (&lower.data, start * n, 1, n),
                (&lower.data, start * n + start, n, 1),
                (&mut out.data, start, n),
                [0.0, 1.0],
            );
        }
        for i in 0..n {
            for j in 0..i {
                out[(i, j)] = out[(j, i)];
            }
        }
        out
    }
}

/// The unblocked factor of the diagonal block, in place.
fn factor_block(a: &mut Mat, start: usize, end: usize) -> Option<()> {
    for i in start..end {
        for j in start..=i {
            let dot: f64 =
                a.row(i)[start..j].iter().zip(&a.row(j)[start..j]).map(|(x, y)| x * y).sum();
            let rest = a[(i, j)] - dot;
            if i != j {
                a[(i, j)] = rest / a[(j, j)];
            } else if rest > 0.0 && rest.is_finite() {
                a[(i, i)] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(())
}

/// The inverse of a factored diagonal block (lower triangular).
fn invert_block(a: &Mat, start: usize, end: usize) -> Mat {
    let width = end - start;
    let mut inverse = Mat::zeros(width, width);
    for i in 0..width {
        let pivot = a[(start + i, start + i)].recip();
        for k in 0..i {
            let factor = -a[(start + i, start + k)] * pivot;
            let (done, row) = inverse.data.split_at_mut(i * width);
            row[..=k]
                .iter_mut()
                .zip(&done[k * width..=k * width + k])
                .for_each(|(r, d)| *r += factor * d);
        }
        inverse[(i, i)] = pivot;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    fn times(a: &Mat, b: &Mat) -> Mat {
        Mat::from_fn(a.rows, b.cols, |i, j| (0..a.cols).map(|k| a[(i, k)] * b[(k, j)]).sum())
    }

    #[test]
    fn factor_solve_and_inverse_undo_the_matrix() {
        for n in [1, 2, 63, 64, 65, 130, 300] {
            let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
            let x = Mat::from_fn(n, n + 3, |_, _| rng.random_range(-1.0..1.0));
            let mut a = x.times_transposed(&x, 1.0);
            (0..n).for_each(|i| a[(i, i)] += 0.5);
            let chol = Cholesky::new(a.clone()).expect("positive definite");
            let back = chol.l.times_transposed(&chol.l, 1.0);
            let near = |a: &Mat, b: &Mat| {
                a.data.iter().zip(&b.data).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max) < 1e-8
            };
            assert!(near(&back, &a));
            let unit = Mat::from_fn(n, n, |i, j| f64::from(u8::from(i == j)));
            assert!(near(&times(&a, &chol.inverse()), &unit));
            let b = Mat::from_fn(n, 5, |_, _| rng.random_range(-1.0..1.0));
            let mut y = b.clone();
            chol.solve_lower(&mut y);
            assert!(near(&times(&chol.l, &y), &b));
            let x = chol.solve(&b.data[..n]);
            let got = times(&a, &Mat { rows: n, cols: 1, data: x });
            assert!(got.data.iter().zip(&b.data).all(|(x, y)| (x - y).abs() < 1e-8));
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        assert!(Cholesky::new(Mat { rows: 2, cols: 2, data: vec![1.0, 2.0, 2.0, 1.0] }).is_none());
        assert!(Cholesky::new(Mat { rows: 1, cols: 1, data: vec![f64::NAN] }).is_none());
    }
}
