//! Pooling of an image, height × width × channels, forward and backward.

use std::ops::Range;

use lanner_network::{Pool, Shape};

use super::Float;
use super::wide::vectorised;

/// A tap of a pooling's window, row-major.
pub type Winner = u16;

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

    /// Calls `f(tap, input numbers, output numbers)` for ranges of outputs that see the same tap.
    #[inline(always)]
    fn each_run(&self, mut f: impl FnMut(Winner, Range<usize>, Range<usize>)) {
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
                        let tap = (ky * kernel + kx) as Winner;
                        f(tap, from..from + together * c, to..to + together * c);
                    }
                }
            }
        }
    }
}

vectorised! {
    /// The mean under the window; `y`: height × width × channels of the output.
    pub fn average<T>(pool: &PoolKernel, x: &[T], y: &mut [T]) by PoolAverage {
        y.fill(T::ZERO);
        pool.each_run(|_, from, to| {
            y[to].iter_mut().zip(&x[from]).for_each(|(y, x)| *y += *x);
        });
        scale(pool, y);
    }
}

vectorised! {
    /// Backward of [`average`]; `dy` is overwritten.
    pub fn average_back<T>(pool: &PoolKernel, dy: &mut [T], dx: &mut [T]) by PoolAverageBack {
        scale(pool, dy);
        dx.fill(T::ZERO);
        pool.each_run(|_, from, to| {
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
    pub fn max<T>(pool: &PoolKernel, x: &[T], y: &mut [T]) by PoolMax {
        y.fill(T::of(f64::NEG_INFINITY));
        pool.each_run(|_, from, to| {
            y[to].iter_mut().zip(&x[from]).for_each(|(y, x)| *y = if beats(*x, *y) { *x } else { *y });
        });
    }
}

/// Whether a number wins against the greatest before it: the first of equal ones does, and NaN.
#[inline(always)]
fn beats<T: Float>(x: T, greatest: T) -> bool {
    // NaN is the only number that differs from itself.
    #[allow(clippy::eq_op)]
    let nan = x != x;
    x > greatest || nan
}

vectorised! {
    /// Which taps [`max`] takes its numbers from; `y` is scratch for those.
    pub fn winners<T>(pool: &PoolKernel, x: &[T], y: &mut [T], taps: &mut [Winner]) by PoolWinners {
        y.fill(T::of(f64::NEG_INFINITY));
        taps.fill(Winner::MAX);
        pool.each_run(|tap, from, to| {
            for ((y, w), x) in y[to.clone()].iter_mut().zip(&mut taps[to]).zip(&x[from]) {
                let wins = beats(*x, *y) || *w == Winner::MAX;
                *y = if wins { *x } else { *y };
                *w = if wins { tap } else { *w };
            }
        });
    }
}

vectorised! {
    /// The numbers that these taps see.
    pub fn max_of<T>(pool: &PoolKernel, x: &[T], taps: &[Winner], y: &mut [T]) by PoolMaxOf {
        y.fill(T::of(f64::NEG_INFINITY));
        pool.each_run(|tap, from, to| {
            for ((y, w), x) in y[to.clone()].iter_mut().zip(&taps[to]).zip(&x[from]) {
                *y = if *w == tap { *x } else { *y };
            }
        });
    }
}

vectorised! {
    /// Backward of [`max`]: each output's gradient goes to the tap that won.
    pub fn max_back<T>(pool: &PoolKernel, dy: &[T], taps: &[Winner], dx: &mut [T]) by PoolMaxBack {
        dx.fill(T::ZERO);
        pool.each_run(|tap, from, to| {
            for ((dx, w), dy) in dx[from].iter_mut().zip(&taps[to.clone()]).zip(&dy[to]) {
                *dx += if *w == tap { *dy } else { T::ZERO };
            }
        });
    }
}

vectorised! {
    /// The mean of each channel of an image.
    pub fn global<T>(x: &[T], y: &mut [T]) by PoolGlobal {
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
    pub fn global_back<T>(dy: &[T], dx: &mut [T]) by PoolGlobalBack {
        let share = T::of(dy.len() as f64 / dx.len() as f64);
        for dx in dx.chunks_exact_mut(dy.len()) {
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = *dy * share);
        }
    }
}
