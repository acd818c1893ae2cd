//! Batch normalisation (Ioffe & Szegedy 2015): y = γ·x̂ + β, x̂ = (z − mean)/√(variance + ε).
//!
//! Statistics are taken image by image while an image is in the cache, and combined over the batch
//! in `f64` (Chan, Golub & LeVeque 1979), in the order of the images. Both passes are then affine
//! in each element, with coefficients by channel: y = scale·z + shift, and dz = p·dy + q·z + r. The
//! layers that read the batch norm apply them.

use super::Float;
use super::elementwise::{Affine, period, repeat};
use super::vector::vectorised;

/// The state of one batch norm between the passes.
#[derive(Debug, Default)]
pub struct BatchNorm<T> {
    /// One number a channel each; `rstd` is 1/√(variance + ε).
    pub mean: Vec<T>,
    pub variance: Vec<T>,
    pub rstd: Vec<T>,
    /// Number of values of a channel behind the statistics; 0 if those were given.
    pub count: usize,
    scale: Vec<T>,
    shift: Vec<T>,
    back: [Vec<T>; 3],
    center: Vec<T>,
}

impl<T: Float> BatchNorm<T> {
    /// Combines the means and sums of squared deviations of the images (2 × channels each, over
    /// `count` values of a channel) to the statistics of the batch.
    pub fn take_images(&mut self, images: &[T], channels: usize, count: usize, epsilon: f32) {
        self.mean.clear();
        self.variance.clear();
        for c in 0..channels {
            let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for image in images.chunks_exact(2 * channels) {
                let (m, s) = (image[c].to_f64(), image[channels + c].to_f64());
                let delta = m - mean;
                let total = n + count as f64;
                squares += s + delta * delta * n * count as f64 / total;
                mean += delta * count as f64 / total;
                n = total;
            }
            self.mean.push(T::of(mean));
            self.variance.push(T::of(squares / n));
        }
        self.count = count * (images.len() / (2 * channels));
        self.set_rstd(epsilon);
    }

    /// Takes given statistics.
    pub fn take_running(&mut self, mean: &[T], variance: &[T], epsilon: f32) {
        self.mean.clear();
        self.mean.extend_from_slice(mean);
        self.variance.clear();
        self.variance.extend_from_slice(variance);
        self.count = 0;
        self.set_rstd(epsilon);
    }

    fn set_rstd(&mut self, epsilon: f32) {
        let root = |v: &T| T::of(1.0 / (v.to_f64() + f64::from(epsilon)).sqrt());
        self.rstd = self.variance.iter().map(root).collect();
    }

    /// Sets y = scale·z + shift for these γ and β.
    pub fn set_forward(&mut self, gamma: &[T], beta: &[T]) {
        let scale: Vec<T> = gamma.iter().zip(&self.rstd).map(|(g, r)| *g * *r).collect();
        let shift: Vec<T> =
            scale.iter().zip(&self.mean).zip(beta).map(|((s, m), b)| *b - *m * *s).collect();
        repeat(&scale, &mut self.scale);
        repeat(&shift, &mut self.shift);
        repeat(&self.mean, &mut self.center);
    }

    /// Sets dz = p·dy + q·z + r. `sums` has two sums over the batch for each channel, of dy and of
    /// dy·(z − mean). Given statistics do not depend on z: then dz = scale·dy.
    pub fn set_backward(&mut self, sums: &[f64]) {
        let channels = self.mean.len();
        let p: Vec<T> = self.scale[..channels].to_vec();
        let (mut q, mut r) = (vec![T::ZERO; channels], vec![T::ZERO; channels]);
        if self.count > 0 {
            let n = self.count as f64;
            for c in 0..channels {
                let (p, rstd) = (p[c].to_f64(), self.rstd[c].to_f64());
                let slope = p * rstd * rstd * sums[channels + c] / n;
                q[c] = T::of(-slope);
                r[c] = T::of(slope * self.mean[c].to_f64() - p * sums[c] / n);
            }
        }
        let [back_p, back_q, back_r] = &mut self.back;
        repeat(&p, back_p);
        repeat(&q, back_q);
        repeat(&r, back_r);
    }

    pub fn affine(&self) -> Affine<'_, T> {
        Affine { scale: &self.scale, shift: &self.shift }
    }

    /// Mean of each channel, repeated to the period.
    pub fn center(&self) -> &[T] {
        &self.center
    }

    /// Coefficients p, q and r of the backward pass, each repeated to the period.
    pub fn back(&self) -> [&[T]; 3] {
        self.back.each_ref().map(Vec::as_slice)
    }
}

vectorised! {
    /// Computes the mean and the sum of squared deviations of each channel of an image, into the
    /// two halves of `out` (2 × channels). `scratch` has room for two periods.
    pub fn moments<T>(x: &[T], channels: usize, scratch: &mut [T], out: &mut [T]) by BatchNormMoments {
        let p = period(channels);
        let (sums, means) = scratch[..2 * p].split_at_mut(p);
        let (mean, squares) = out.split_at_mut(channels);
        sums.fill(T::ZERO);
        for x in x.chunks(p) {
            sums.iter_mut().zip(x).for_each(|(s, x)| *s += *x);
        }
        sum_periods(sums, mean);
        let share = T::of(channels as f64 / x.len() as f64);
        mean.iter_mut().for_each(|m| *m *= share);
        means.chunks_exact_mut(channels).for_each(|m| m.copy_from_slice(mean));
        sums.fill(T::ZERO);
        for x in x.chunks(p) {
            for ((s, m), x) in sums.iter_mut().zip(&*means).zip(x) {
                let d = *x - *m;
                *s += d * d;
            }
        }
        sum_periods(sums, squares);
    }
}

vectorised! {
    /// Sums dy and dy·(z − mean) over each channel of an image, into the two halves of `out`
    /// (2 × channels). `mean` is repeated to the period; `scratch` has room for two periods.
    pub fn gradient_sums<T>(dy: &[T], z: &[T], mean: &[T], channels: usize, scratch: &mut [T], out: &mut [T]) by BatchNormGradientSums {
        let p = period(channels);
        let (sums, dots) = scratch[..2 * p].split_at_mut(p);
        sums.fill(T::ZERO);
        dots.fill(T::ZERO);
        for (dy, z) in dy.chunks(p).zip(z.chunks(p)) {
            for ((((s, t), m), d), z) in sums.iter_mut().zip(&mut *dots).zip(mean).zip(dy).zip(z) {
                *s += *d;
                *t += *d * (*z - *m);
            }
        }
        let (sum, dot) = out.split_at_mut(channels);
        sum_periods(sums, sum);
        sum_periods(dots, dot);
    }
}

#[inline(always)]
fn sum_periods<T: Float>(scratch: &[T], out: &mut [T]) {
    out.fill(T::ZERO);
    for scratch in scratch.chunks_exact(out.len()) {
        out.iter_mut().zip(scratch).for_each(|(o, x)| *o += *x);
    }
}
