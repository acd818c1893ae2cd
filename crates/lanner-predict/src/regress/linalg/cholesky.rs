//! The Cholesky factor: triangular solves, inverse and determinant.

use super::{BLOCK, Mat, product};

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
