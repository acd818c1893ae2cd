//! Pooling of an image, height × width × channels, forward and backward.

use std::ops::Range;

use lanner_network::{Pool, Shape};

use super::Float;
use super::wide::vectorised;

/// A pooling at one size of images.
#[derive(Debug, Clone, Copy)]
pub struct PoolKernel {
    pub pool: Pool,
    pub input: Shape,
    pub output: Shape,
    /// Whether padding counts in a mean.
    pub count_pad: bool,
}

impl PoolKernel {
    /// The outputs along a side that see tap `k` inside the image: first to behind the last.
    #[inline(always)]
    fn outputs(&self, k: usize, input: usize, output: usize) -> (usize, usize) {
        let Pool { stride, padding, .. } = self.pool;
        let first = padding.saturating_sub(k).div_ceil(stride);
        // o·stride + k − padding ≤ input − 1
        let end = (input + padding).saturating_sub(k).div_ceil(stride).min(output);
        (first, end.max(first))
    }

    /// Taps of the window of output `o` that lie inside the image.
    #[inline(always)]
    fn taps(&self, o: usize, input: usize) -> usize {
        let Pool { kernel, stride, padding } = self.pool;
        let start = o * stride;
        let end = (start + kernel).min(input + padding);
        end.saturating_sub(start.max(padding))
    }

    /// One over what the mean of the output at (y, x) divides by.
    #[inline(always)]
    fn share<T: Float>(&self, y: usize, x: usize) -> T {
        let count = match self.count_pad {
            true => self.pool.kernel * self.pool.kernel,
            false => self.taps(y, self.input.height) * self.taps(x, self.input.width),
        };
        // A window of nothing but padding has a mean of zero.
        T::of(1.0 / count.max(1) as f64)
    }

    /// Calls `f(input numbers, output numbers)` for ranges of outputs that see the same tap.
    #[inline(always)]
    fn each_run(&self, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let Pool { kernel, stride, padding } = self.pool;
        let c = self.input.channels;
        for ky in 0..kernel {
            let (y0, y1) = self.outputs(ky, self.input.height, self.output.height);
            for y in y0..y1 {
                let row = (y * stride + ky - padding) * self.input.width;
                for kx in 0..kernel {
                    let (x0, x1) = self.outputs(kx, self.input.width, self.output.width);
                    // Pixels that lie together in both images are one range.
                    let (together, step) = if stride == 1 { (x1 - x0, x1) } else { (1, 1) };
                    for x in (x0..x1).step_by(step.max(1)) {
                        let from = (row + x * stride + kx - padding) * c;
                        let to = (y * self.output.width + x) * c;
                        f(from..from + together * c, to..to + together * c);
                    }
                }
            }
        }
    }
}

vectorised! {
    /// The mean under the window; `y`: height × width × channels of the output.
    pub fn average<T>(pool: &PoolKernel, x: &[T], y: &mut [T]) {
        y.fill(T::ZERO);
        pool.each_run(|from, to| {
            y[to].iter_mut().zip(&x[from]).for_each(|(y, x)| *y += *x);
        });
        scale(pool, y);
    }
}

vectorised! {
    /// Backward of [`average`]; `dy` is overwritten.
    pub fn average_back<T>(pool: &PoolKernel, dy: &mut [T], dx: &mut [T]) {
        scale(pool, dy);
        dx.fill(T::ZERO);
        pool.each_run(|from, to| {
            dx[from].iter_mut().zip(&dy[to]).for_each(|(dx, dy)| *dx += *dy);
        });
    }
}

/// Multiplies each output by one over its window's count.
#[inline(always)]
fn scale<T: Float>(pool: &PoolKernel, y: &mut [T]) {
    let Shape { channels, width, .. } = pool.output;
    for (at, pixel) in y.chunks_exact_mut(channels).enumerate() {
        let share = pool.share(at / width, at % width);
        pixel.iter_mut().for_each(|y| *y *= share);
    }
}

vectorised! {
    /// The greatest value under the window; padding never wins, and NaN always does.
    pub fn max<T>(pool: &PoolKernel, x: &[T], y: &mut [T]) {
        y.fill(T::of(f64::NEG_INFINITY));
        pool.each_run(|from, to| {
            for (y, x) in y[to].iter_mut().zip(&x[from]) {
                // Written so that NaN wins.
                #[allow(clippy::neg_cmp_op_on_partial_ord)]
                if !(*x <= *y) {
                    *y = *x;
                }
            }
        });
    }
}

/// Backward of [`max`]: each output's gradient goes to the first of its window's greatest values.
/// `y` is scratch for the output.
pub fn max_back<T: Float>(pool: &PoolKernel, x: &[T], dy: &[T], y: &mut [T], dx: &mut [T]) {
    let Pool { kernel, stride, padding } = pool.pool;
    let Shape { channels, height, width } = pool.input;
    max(pool, x, y);
    dx.fill(T::ZERO);
    for (at, (y, dy)) in y.chunks_exact(channels).zip(dy.chunks_exact(channels)).enumerate() {
        let (oy, ox) = (at / pool.output.width * stride, at % pool.output.width * stride);
        for (c, (y, dy)) in y.iter().zip(dy).enumerate() {
            let rows = oy.max(padding)..(oy + kernel).min(height + padding);
            let cols = ox.max(padding)..(ox + kernel).min(width + padding);
            let place = |y, x| ((y - padding) * width + x - padding) * channels + c;
            let mut window = rows.flat_map(|y| cols.clone().map(move |x| place(y, x)));
            if let Some(first) = window.find(|&at| x[at] == *y) {
                dx[first] += *dy;
            }
        }
    }
}

vectorised! {
    /// The mean of each channel of an image.
    pub fn global<T>(x: &[T], y: &mut [T]) {
        y.fill(T::ZERO);
        for x in x.chunks_exact(y.len()) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
        }
        let share = T::of(y.len() as f64 / x.len() as f64);
        y.iter_mut().for_each(|y| *y *= share);
    }
}

vectorised! {
    /// Backward of [`global`].
    pub fn global_back<T>(dy: &[T], dx: &mut [T]) {
        let share = T::of(dy.len() as f64 / dx.len() as f64);
        for dx in dx.chunks_exact_mut(dy.len()) {
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = *dy * share);
        }
    }
}
