//! Dense `f64` matrices and the Cholesky factor, blocked over the `gemm` crate.
//!
//! Decompositions are a library's job, but the pure-Rust one that is fast enough takes minutes to
//! build, and all that the Gaussian process needs is one factor, its inverse and a triangular
//! solve: three short loops over matrix products.

mod cholesky;

use std::ops::{Index, IndexMut};

pub use cholesky::Cholesky;
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
