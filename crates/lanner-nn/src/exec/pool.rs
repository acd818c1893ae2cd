//! Pooling of an image, height × width × channels, forward and backward.

use std::ops::Range;

use lanner_network::{Pool, Shape};

use super::Float;
use super::vector::vectorised;

/// Row-major index of the tap that won in the window of a max pool.
pub type Winner = u16;

/// A pooling at one size of images.
#[derive(Debug, Clone, Copy)]
pub struct PoolKernel {
    pub pool: Pool,
    pub input: Shape,
    pub output: Shape,
    /// Whether a mean counts the padding.
    pub count_pad: bool,
}

impl PoolKernel {
    /// Range (start, end) of the outputs along a side whose tap `k` lies inside the image.
    #[inline(always)]
    fn outputs(&self, k: usize, input: usize, output: usize) -> (usize, usize) {
        let Pool { stride, padding, .. } = self.pool;
        let first = padding.saturating_sub(k).div_ceil(stride);
        // o·stride + k − padding ≤ input − 1
        let end = (input + padding).saturating_sub(k).div_ceil(stride).min(output);
        (first, end.max(first))
    }

    /// First place inside the image that the window of output `o` covers.
    #[inline(always)]
    fn start(&self, o: usize) -> usize {
        (o * self.pool.stride).saturating_sub(self.pool.padding)
    }

    /// End of the places inside the image that the window of output `o` covers.
    #[inline(always)]
    fn end(&self, o: usize, input: usize) -> usize {
        let Pool { kernel, stride, padding } = self.pool;
        (o * stride + kernel).saturating_sub(padding).min(input)
    }

    /// Number of taps of the window of output `o` that lie inside the image, along one side.
    #[inline(always)]
    fn taps(&self, o: usize, input: usize) -> usize {
        self.end(o, input).saturating_sub(self.start(o))
    }

    /// Divisor of the mean at output (y, x).
    #[inline(always)]
    fn count(&self, y: usize, x: usize) -> usize {
        let count = match self.count_pad {
            true => self.pool.kernel * self.pool.kernel,
            false => self.taps(y, self.input.height) * self.taps(x, self.input.width),
        };
        // A window of nothing but padding has a mean of zero.
        count.max(1)
    }

    /// Calls `f(tap, range of the input, range of the output)` for all contiguous ranges of numbers
    /// that one tap connects.
    #[inline(always)]
    fn each_run(&self, mut f: impl FnMut(Winner, Range<usize>, Range<usize>)) {
        let Pool { kernel, stride, padding } = self.pool;
        let c = self.input.channels;
        for ky in 0..kernel {
            let (y0, y1) = self.outputs(ky, self.input.height, self.output.height);
            for y in y0..y1 {
                let row = (y * stride + ky - padding) * self.input.width * c;
                let out = y * self.output.width * c;
                self.each_column(|kx, from, to| {
                    let tap = (ky * kernel + kx) as Winner;
                    f(tap, row + from.start..row + from.end, out + to.start..out + to.end);
                });
            }
        }
    }

    /// Calls `f(tap, range of the input's row, range of the output's row)` for all contiguous
    /// ranges of one row that one tap connects.
    #[inline(always)]
    fn each_column(&self, mut f: impl FnMut(usize, Range<usize>, Range<usize>)) {
        let Pool { kernel, stride, padding } = self.pool;
        let c = self.input.channels;
        for kx in 0..kernel {
            let (x0, x1) = self.outputs(kx, self.input.width, self.output.width);
            // With stride 1, consecutive outputs read consecutive inputs: one range.
            let (together, step) = if stride == 1 { (x1 - x0, x1) } else { (1, 1) };
            for x in (x0..x1).step_by(step.max(1)) {
                let (from, to) = ((x * stride + kx - padding) * c, x * c);
                f(kx, from..from + together * c, to..to + together * c);
            }
        }
    }
}

vectorised! {
    /// Computes the mean under each window; `y`: height × width × channels of the output. The rows
    /// of a window are summed first, into `row`, which has room for a row of the input.
    pub fn average<T>(pool: &PoolKernel, x: &[T], row: &mut [T], y: &mut [T]) by PoolAverage {
        let Shape { channels, height, width } = pool.input;
        let row = &mut row[..width * channels];
        for (at, y) in y.chunks_exact_mut(pool.output.width * channels).enumerate() {
            row.fill(T::ZERO);
            for x in x.chunks_exact(width * channels).take(pool.end(at, height)).skip(pool.start(at)) {
                row.iter_mut().zip(x).for_each(|(r, x)| *r += *x);
            }
            y.fill(T::ZERO);
            pool.each_column(|_, from, to| {
                y[to].iter_mut().zip(&row[from]).for_each(|(y, x)| *y += *x);
            });
            scale(pool, at, y);
        }
    }
}

vectorised! {
    /// Backward of [`average`]; `row` has room for a row of the input and one of the output.
    pub fn average_back<T>(pool: &PoolKernel, dy: &[T], row: &mut [T], dx: &mut [T]) by PoolAverageBack {
        let Shape { channels, height, width } = pool.input;
        let out = pool.output.width * channels;
        let (row, scaled) = row.split_at_mut(width * channels);
        let scaled = &mut scaled[..out];
        dx.fill(T::ZERO);
        for (at, dy) in dy.chunks_exact(out).enumerate() {
            scaled.copy_from_slice(dy);
            scale(pool, at, scaled);
            row.fill(T::ZERO);
            pool.each_column(|_, from, to| {
                row[from].iter_mut().zip(&scaled[to]).for_each(|(r, d)| *r += *d);
            });
            for dx in dx.chunks_exact_mut(width * channels).take(pool.end(at, height)).skip(pool.start(at)) {
                dx.iter_mut().zip(&*row).for_each(|(dx, r)| *dx += *r);
            }
        }
    }
}

/// Divides each output of row `y` by its window's count.
#[inline(always)]
fn scale<T: Float>(pool: &PoolKernel, y: usize, row: &mut [T]) {
    // The count changes near the margins only, so that few divisions are needed.
    let (mut last, mut share) = (0, T::ZERO);
    for (x, pixel) in row.chunks_exact_mut(pool.output.channels).enumerate() {
        let count = pool.count(y, x);
        if count != last {
            (last, share) = (count, T::of(1.0 / count as f64));
        }
        pixel.iter_mut().for_each(|y| *y *= share);
    }
}

vectorised! {
    /// Computes the greatest value under each window; padding never wins, and NaN always does.
    pub fn max<T>(pool: &PoolKernel, x: &[T], y: &mut [T]) by PoolMax {
        y.fill(T::of(f64::NEG_INFINITY));
        pool.each_run(|_, from, to| {
            y[to].iter_mut().zip(&x[from]).for_each(|(y, x)| *y = if beats(*x, *y) { *x } else { *y });
        });
    }
}

/// Whether `x` replaces the greatest number before it. NaN always does, an equal number does not.
#[inline(always)]
fn beats<T: Float>(x: T, greatest: T) -> bool {
    // NaN is the only number that differs from itself.
    #[allow(clippy::eq_op)]
    let nan = x != x;
    x > greatest || nan
}

vectorised! {
    /// Finds the taps that [`max`] takes its numbers from; `y` receives the numbers.
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
    /// Computes the outputs of a max pool whose winning taps are given.
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
    /// Computes the mean of each channel of an image.
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
