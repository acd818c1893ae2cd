//! Layer normalisation (Ba, Kiros & Hinton 2016), ReLU and dropout (Srivastava et al. 2014) of each
//! row in one pass, and the backward pass of the three.
//!
//! For a row z of width w: x̂ = (z − mean)/√(var + ε) with the biased variance and ε = 1e-5,
//! y = mask · max(0, γ·x̂ + β) / keep.

use crate::simd::{LANES, lane_sum, multiversion};

/// Added to the variance; PyTorch's default.
pub const EPSILON: f32 = 1e-5;

/// Mask of the outputs that are dropped: a hash of (key, row, column), so that any part of a batch
/// can be computed in any order and on any number of threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability that an output is dropped; 0 for none.
    pub ratio: f32,
    /// Key of the hash, distinct for each layer and each step.
    pub key: u64,
}

impl Dropout {
    /// Drops nothing.
    pub const NONE: Dropout = Dropout { ratio: 0.0, key: 0 };

    /// Divisor of kept outputs.
    fn keep(self) -> f32 {
        1.0 - self.ratio
    }

    /// Outputs whose hash is below this are dropped.
    fn threshold(self) -> u32 {
        (f64::from(self.ratio) * 4_294_967_296.0) as u32
    }

    /// Key of the hashes of a row.
    #[inline(always)]
    fn row_key(self, row: usize) -> u32 {
        let x = self.key ^ (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (x >> 32) as u32
    }

    /// Whether the output at (row, column) is kept.
    pub fn keeps(self, row: usize, column: usize) -> bool {
        hash(self.row_key(row), column as u32) >= self.threshold()
    }
}

/// 32-bit finaliser with low bias (C. Wellons, "Prospecting for hash functions", 2018).
#[inline(always)]
fn hash(key: u32, column: u32) -> u32 {
    let x = key.wrapping_add(column.wrapping_mul(0x9e37_79b9));
    let x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
    let x = (x ^ (x >> 15)).wrapping_mul(0xd35a_2d97);
    x ^ (x >> 15)
}

multiversion! {
    /// Forward: adds `bias` to the rows of `z` in place (the backward pass needs them), writes
    /// dropout(relu(norm(z))) to `y`, and (mean, 1/deviation) of each row to `stats`.
    ///
    /// `z`, `y`: rows × w; `bias`, `gamma`, `beta`: w; `stats`: one pair a row. `first_row` is the
    /// number of the first row in the batch, for the dropout mask.
    pub fn forward(
        z: &mut [f32], bias: &[f32], gamma: &[f32], beta: &[f32],
        dropout: Dropout, first_row: usize, y: &mut [f32], stats: &mut [[f32; 2]],
    ) {
        let w = gamma.len();
        assert!(w > 0 && bias.len() == w && beta.len() == w);
        assert!(z.len() == stats.len() * w && y.len() == z.len());
        let (threshold, scale) = (dropout.threshold(), 1.0 / dropout.keep());
        for (r, ((z, y), stats)) in
            z.chunks_exact_mut(w).zip(y.chunks_exact_mut(w)).zip(stats).enumerate()
        {
            for (z, b) in z.iter_mut().zip(bias) {
                *z += b;
            }
            let z = &*z;
            let [sum] = lane_sum(w, |i| [z[i]]);
            let mean = sum / w as f32;
            let [squares] = lane_sum(w, |i| [(z[i] - mean) * (z[i] - mean)]);
            let rstd = 1.0 / (squares / w as f32 + EPSILON).sqrt();
            *stats = [mean, rstd];
            if threshold == 0 {
                for i in 0..w {
                    y[i] = (gamma[i] * ((z[i] - mean) * rstd) + beta[i]).max(0.0);
                }
            } else {
                let key = dropout.row_key(first_row + r);
                for i in 0..w {
                    let a = (gamma[i] * ((z[i] - mean) * rstd) + beta[i]).max(0.0) * scale;
                    y[i] = if hash(key, i as u32) >= threshold { a } else { 0.0 };
                }
            }
        }
    }
}

multiversion! {
    /// Backward of [`forward`]: turns `dy`, the gradient of the output, into the gradient of z in
    /// place, and adds to the gradients of bias, gamma and beta.
    ///
    /// `z`, `y` and `stats` are those of the forward pass. The mask is not needed again: an output
    /// of zero was dropped or negative, and passes no gradient either way.
    pub fn backward(
        z: &[f32], y: &[f32], stats: &[[f32; 2]], gamma: &[f32], ratio: f32,
        dy: &mut [f32], d_bias: &mut [f32], d_gamma: &mut [f32], d_beta: &mut [f32],
    ) {
        let w = gamma.len();
        assert!(d_bias.len() == w && d_gamma.len() == w && d_beta.len() == w);
        assert!(z.len() == stats.len() * w && y.len() == z.len() && dy.len() == z.len());
        let scale = 1.0 / (1.0 - ratio);
        for (((z, y), stats), d) in
            z.chunks_exact(w).zip(y.chunks_exact(w)).zip(stats).zip(dy.chunks_exact_mut(w))
        {
            let [mean, rstd] = *stats;
            for i in 0..w {
                let g = if y[i] > 0.0 { d[i] * scale } else { 0.0 };
                d_gamma[i] += g * ((z[i] - mean) * rstd);
                d_beta[i] += g;
                d[i] = g * gamma[i];
            }
            let d_in = &*d;
            let [sum, dot] = lane_sum(w, |i| [d_in[i], d_in[i] * ((z[i] - mean) * rstd)]);
            let (sum, dot) = (sum / w as f32, dot / w as f32);
            for i in 0..w {
                let g = rstd * (d[i] - sum - (z[i] - mean) * rstd * dot);
                d[i] = g;
                d_bias[i] += g;
            }
        }
    }
}

const _: () = assert!(LANES.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng, uniform};

    fn filled(len: usize, seed: u64) -> Vec<f32> {
        let mut v = vec![0.0; len];
        uniform(&mut v, 1.0, &mut rng(seed, "norm test"));
        v
    }

    /// Computes the outputs by their definition, in f64, with the mask element by element.
    fn slow(z: &[f64], bias: &[f64], gamma: &[f64], beta: &[f64], dropout: Dropout) -> Vec<f64> {
        let w = gamma.len();
        let mut y = Vec::new();
        for (r, z) in z.chunks(w).enumerate() {
            let z: Vec<f64> = z.iter().zip(bias).map(|(z, b)| z + b).collect();
            let mean = z.iter().sum::<f64>() / w as f64;
            let var = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / w as f64;
            for i in 0..w {
                let x = (z[i] - mean) / (var + f64::from(EPSILON)).sqrt();
                let a = (gamma[i] * x + beta[i]).max(0.0) / (1.0 - f64::from(dropout.ratio));
                y.push(if dropout.keeps(r, i) { a } else { 0.0 });
            }
        }
        y
    }

    fn wide(v: &[f32]) -> Vec<f64> {
        v.iter().map(|&x| x.into()).collect()
    }

    #[test]
    fn forward_is_the_definition_and_backward_its_derivative() {
        for (rows, w, ratio) in [(3, 5, 0.0), (4, 32, 0.3), (2, 67, 0.2), (1, 600, 0.5)] {
            let dropout = Dropout { ratio, key: 99 };
            let (z0, dy) = (filled(rows * w, 1), filled(rows * w, 2));
            let (bias, gamma, beta) = (filled(w, 3), filled(w, 4), filled(w, 5));
            let mut z = z0.clone();
            let mut y = vec![0.0; rows * w];
            let mut stats = vec![[0.0; 2]; rows];
            forward(&mut z, &bias, &gamma, &beta, dropout, 0, &mut y, &mut stats);
            let want = slow(&wide(&z0), &wide(&bias), &wide(&gamma), &wide(&beta), dropout);
            assert!(y.iter().zip(&want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5));

            let mut dz = dy.clone();
            let mut grads = [vec![0.0; w], vec![0.0; w], vec![0.0; w]];
            let [db, dg, dbeta] = &mut grads;
            backward(&z, &y, &stats, &gamma, ratio, &mut dz, db, dg, dbeta);
            // Finite differences of Σ dy·y in f64.
            let inputs = [wide(&z0), wide(&bias), wide(&gamma), wide(&beta)];
            let value = |inputs: &[Vec<f64>; 4]| -> f64 {
                slow(&inputs[0], &inputs[1], &inputs[2], &inputs[3], dropout)
                    .iter()
                    .zip(&dy)
                    .map(|(y, d)| y * f64::from(*d))
                    .sum()
            };
            let ours = [&dz, &grads[0], &grads[1], &grads[2]];
            for which in 0..4 {
                for i in (0..inputs[which].len()).step_by(1 + inputs[which].len() / 40) {
                    let at = |h: f64| {
                        let mut moved = inputs.clone();
                        moved[which][i] += h;
                        value(&moved)
                    };
                    let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                    let analytic = f64::from(ours[which][i]);
                    assert!(
                        (numeric - analytic).abs() < 2e-4 * (1.0 + numeric.abs()),
                        "input {which}[{i}]: {analytic} for {numeric}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_batch_is_dropped_as_in_the_whole() {
        let (rows, w) = (6, 40);
        let dropout = Dropout { ratio: 0.4, key: 5 };
        let (gamma, zero) = (vec![1.0; w], vec![0.0; w]);
        let run = |from: usize, to: usize| {
            let mut z = filled(rows * w, 1)[from * w..to * w].to_vec();
            let mut y = vec![0.0; z.len()];
            let mut stats = vec![[0.0; 2]; to - from];
            forward(&mut z, &zero, &gamma, &zero, dropout, from, &mut y, &mut stats);
            y
        };
        assert_eq!(run(0, 6)[2 * w..5 * w], run(2, 5));
    }

    #[test]
    fn dropout_drops_its_ratio_in_every_row_and_column() {
        let n = 400;
        for ratio in [0.002f32, 0.2, 0.7] {
            let kept = |key: u64, by_row: bool, at: usize| {
                let d = Dropout { ratio, key };
                let keeps = |i| if by_row { d.keeps(at, i) } else { d.keeps(i, at) };
                (0..n).filter(|&i| keeps(i)).count() as f64 / n as f64
            };
            let deviation = (f64::from(ratio * (1.0 - ratio)) / n as f64).sqrt();
            for at in 0..50 {
                for by_row in [true, false] {
                    let error = kept(77, by_row, at) - f64::from(1.0 - ratio);
                    assert!(error.abs() < 5.0 * deviation, "{ratio}: {error}");
                }
            }
        }
    }
}
