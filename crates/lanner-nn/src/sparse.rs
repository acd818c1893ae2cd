//! Sums of listed rows, as products with a sparse matrix of zeros and ones.

use crate::simd::multiversion;

/// A sparse matrix of zeros and ones: row i has ones in `columns[starts[i]..starts[i + 1]]`. A
/// column that is listed twice counts twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pattern {
    pub starts: Vec<u32>,
    pub columns: Vec<u32>,
}

impl Pattern {
    /// A matrix without rows.
    pub fn new() -> Self {
        Pattern { starts: vec![0], columns: Vec::new() }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The columns of row `i`.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.columns[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// Removes all rows, and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.starts.truncate(1);
        self.columns.clear();
    }

    /// Adds a row.
    pub fn push(&mut self, columns: impl IntoIterator<Item = u32>) {
        self.columns.extend(columns);
        self.starts.push(self.columns.len() as u32);
    }
}

multiversion! {
    /// Forward: writes to row i of `out` the sum of the rows of `x` that the pattern's row `from +
    /// i` lists.
    ///
    /// `x`: any number of rows × w; `out`: the rows to compute × w.
    pub fn gather(pattern: &Pattern, from: usize, w: usize, x: &[f32], out: &mut [f32]) {
        for (i, out) in out.chunks_exact_mut(w).enumerate() {
            let columns = pattern.row(from + i);
            let row = |c: u32| &x[c as usize * w..(c as usize + 1) * w];
            let Some((&first, rest)) = columns.split_first() else {
                out.fill(0.0);
                continue;
            };
            out.copy_from_slice(row(first));
            let mut pairs = rest.chunks_exact(2);
            for pair in &mut pairs {
                let (a, b) = (row(pair[0]), row(pair[1]));
                for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                    *o = *o + a + b;
                }
            }
            for &c in pairs.remainder() {
                for (o, a) in out.iter_mut().zip(row(c)) {
                    *o += a;
                }
            }
        }
    }
}

multiversion! {
    /// Backward of [`gather`]: adds row i of `d_out` to every row of `dx` that the pattern's row i
    /// lists.
    pub fn scatter(pattern: &Pattern, w: usize, d_out: &[f32], dx: &mut [f32]) {
        for (i, d) in d_out.chunks_exact(w).enumerate() {
            for &c in pattern.row(i) {
                let row = &mut dx[c as usize * w..(c as usize + 1) * w];
                for (x, d) in row.iter_mut().zip(d) {
                    *x += d;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gather_and_scatter_are_products_with_the_matrix_and_its_transpose() {
        let (columns, w) = (5, 7);
        let rows: [&[u32]; 4] = [&[0, 2, 2, 4], &[], &[3], &[1, 0, 4]];
        let mut pattern = Pattern::new();
        rows.iter().for_each(|r| pattern.push(r.iter().copied()));
        let mut dense = vec![0.0f32; rows.len() * columns];
        for (i, row) in rows.iter().enumerate() {
            row.iter().for_each(|&c| dense[i * columns + c as usize] += 1.0);
        }
        let x: Vec<f32> = (0..columns * w).map(|i| (i * i % 11) as f32).collect();
        let mut out = vec![9.0; rows.len() * w];
        gather(&pattern, 0, w, &x, &mut out);
        let mut want = vec![0.0; rows.len() * w];
        crate::matmul::nn(rows.len(), columns, w, &dense, &x, &mut want, false, 1);
        assert_eq!(out, want);

        let mut back = vec![1.0; columns * w];
        scatter(&pattern, w, &out, &mut back);
        let mut want = vec![1.0; columns * w];
        crate::matmul::tn(columns, rows.len(), w, &dense, &out, &mut want, true, 1);
        assert_eq!(back, want);
    }
}
