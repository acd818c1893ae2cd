//! Inner loops of dense convolutions over blocked images.
//!
//! A tile is M pixels of a row by N blocks of 16 output channels, held in registers. For each tap
//! and input channel, N vectors of weights are loaded and each pixel's number is multiplied into
//! them. Backward by data is the same computation with other taps; backward by weights holds M
//! input channels × N blocks of output channels of one tap and runs over the pixels.

use super::Float;
use super::vector::{BLOCK, Vector16, dispatch, unrolled};

/// One tap of a kernel: its place in the image and in the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Distance in numbers from the pixel that tap 0 of an output reads, in a blocked image.
    pub offset: usize,
    /// Row-major index in the kernel.
    pub index: usize,
}

/// Sizes of one pass over a group of channels of an image. Distances are in numbers.
#[derive(Debug, Clone)]
pub struct Gather {
    pub taps: Vec<Tap>,
    /// Number of taps of the kernel, read in this pass or not.
    pub kernel: usize,
    /// Number of channels read, and the size of one of their blocks.
    pub channels: usize,
    pub plane: usize,
    /// Distance from a row to the next and from a pixel to the next, where it is read.
    pub row: usize,
    pub step: usize,
    /// Number of rows and columns written, and the distances between them.
    pub rows: usize,
    pub cols: usize,
    pub out_row: usize,
    pub out_step: usize,
    /// Number of channels written.
    pub out_channels: usize,
}

impl Gather {
    /// Number of weights of a block of output channels.
    pub fn weight_block(&self) -> usize {
        self.channels.div_ceil(BLOCK) * self.kernel * BLOCK * BLOCK
    }
}

dispatch! {
    /// Computes out[pixel, o] = bias[o] + Σ x[pixel + tap, i] · w[o, i, tap].
    ///
    /// `x`: a group's blocks; `w`: output blocks × input blocks × taps × 16 inputs × 16 outputs;
    /// `bias`: output blocks × 16; `out`: from the first pixel's first channel on.
    pub fn gather<T>(g: &Gather, x: &[T], w: &[T], bias: &[T], out: &mut [T]) by TilesGather = gather_any;
}

#[inline(always)]
fn gather_any<V: Vector16>(g: &Gather, x: &[V::T], w: &[V::T], bias: &[V::T], out: &mut [V::T]) {
    if g.rows == 0 || g.cols == 0 {
        return;
    }
    let blocks = g.channels.div_ceil(BLOCK);
    let outs = g.out_channels.div_ceil(BLOCK);
    let farthest = g.taps.iter().map(|t| t.offset).max().unwrap_or(0);
    let last = farthest + (g.rows - 1) * g.row + (g.cols - 1) * g.step + BLOCK;
    assert!(last <= g.plane && blocks * g.plane <= x.len());
    assert!(g.taps.iter().all(|t| t.index < g.kernel));
    assert!(outs * g.weight_block() <= w.len() && outs * BLOCK <= bias.len());
    let last = (g.rows - 1) * g.out_row + (g.cols - 1) * g.out_step + g.out_channels;
    assert!(last <= out.len());
    // SAFETY: the asserts above bound every place that the tiles read and write.
    unsafe {
        match g.step {
            16 => by_blocks::<V, 16>(g, x, w, bias, out),
            32 => by_blocks::<V, 32>(g, x, w, bias, out),
            _ => by_blocks::<V, 0>(g, x, w, bias, out),
        }
    }
}

/// Computes all blocks of output channels. STEP is the step between pixels if it is a constant,
/// else 0.
#[inline(always)]
unsafe fn by_blocks<V: Vector16, const STEP: usize>(
    g: &Gather,
    x: &[V::T],
    w: &[V::T],
    bias: &[V::T],
    out: &mut [V::T],
) {
    let outs = g.out_channels.div_ceil(BLOCK);
    let mut block = 0;
    while block < outs {
        let wide = outs - block >= 2 && V::ACCUMULATORS >= 16;
        let n = g.out_channels - block * BLOCK;
        // SAFETY: the caller's promise; pointers are to blocks that exist.
        unsafe {
            let w = w.as_ptr().add(block * g.weight_block());
            let bias = bias.as_ptr().add(block * BLOCK);
            let out = out.as_mut_ptr().add(block * BLOCK);
            if wide {
                by_rows::<V, 2, STEP>(g, x.as_ptr(), w, bias, out, n.min(2 * BLOCK));
            } else {
                by_rows::<V, 1, STEP>(g, x.as_ptr(), w, bias, out, n.min(BLOCK));
            }
        }
        block += if wide { 2 } else { 1 };
    }
}

#[inline(always)]
unsafe fn by_rows<V: Vector16, const N: usize, const STEP: usize>(
    g: &Gather,
    x: *const V::T,
    w: *const V::T,
    bias: *const V::T,
    out: *mut V::T,
    n: usize,
) {
    let step = if STEP > 0 { STEP } else { g.step };
    let most = V::ACCUMULATORS / N;
    for r in 0..g.rows {
        let mut c = 0;
        while c < g.cols {
            let left = g.cols - c;
            if left < most && g.cols >= most {
                // The last tile overlaps the one before, and writes the same numbers again.
                c = g.cols - most;
            }
            // SAFETY: the caller's promise, which covers all rows and columns.
            unsafe {
                let x = x.add(r * g.row + c * step);
                let out = out.add(r * g.out_row + c * g.out_step);
                c += match (g.cols - c).min(most) {
                    16.. => tile::<V, 16, N, STEP>(g, x, w, bias, out, n),
                    8.. => tile::<V, 8, N, STEP>(g, x, w, bias, out, n),
                    4.. => tile::<V, 4, N, STEP>(g, x, w, bias, out, n),
                    2.. => tile::<V, 2, N, STEP>(g, x, w, bias, out, n),
                    _ => tile::<V, 1, N, STEP>(g, x, w, bias, out, n),
                };
            }
        }
    }
}

/// Loads N (1 or 2) blocks of numbers that are `step` apart.
#[inline(always)]
unsafe fn pair<V: Vector16, const N: usize>(p: *const V::T, step: usize) -> [V; N] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut both = [V::load(p); N];
        if N > 1 {
            both[N - 1] = V::load(p.add(step));
        }
        both
    }
}

/// Adds x[m · step] · w to sums[m], for all M pixels.
#[inline(always)]
unsafe fn products<V: Vector16, const M: usize, const N: usize>(
    sums: &mut [[V; N]; M],
    x: *const V::T,
    step: usize,
    w: [V; N],
) {
    unrolled!(I in M => {
        // SAFETY: the caller's promise: M numbers, `step` apart.
        let x = V::splat(unsafe { *x.add(I * step) });
        sums[I % M][0] = sums[I % M][0].add_product(x, w[0]);
        if N > 1 {
            sums[I % M][N - 1] = sums[I % M][N - 1].add_product(x, w[N - 1]);
        }
    });
}

/// Computes M pixels; returns M.
#[inline(always)]
unsafe fn tile<V: Vector16, const M: usize, const N: usize, const STEP: usize>(
    g: &Gather,
    x: *const V::T,
    w: *const V::T,
    bias: *const V::T,
    out: *mut V::T,
    n: usize,
) -> usize {
    let step = if STEP > 0 { STEP } else { g.step };
    let weight_block = g.weight_block();
    // SAFETY: the caller's promise: M pixels from `x` and `out`, N blocks of weights and bias.
    unsafe {
        let mut sums = [pair::<V, N>(bias, BLOCK); M];
        for (b, from) in (0..g.channels).step_by(BLOCK).enumerate() {
            let k = BLOCK.min(g.channels - from);
            for tap in &g.taps {
                let x = x.add(b * g.plane + tap.offset);
                let w = w.add((b * g.kernel + tap.index) * BLOCK * BLOCK);
                if k == BLOCK {
                    for i in 0..BLOCK {
                        let w = pair::<V, N>(w.add(i * BLOCK), weight_block);
                        products(&mut sums, x.add(i), step, w);
                    }
                } else {
                    for i in 0..k {
                        let w = pair::<V, N>(w.add(i * BLOCK), weight_block);
                        products(&mut sums, x.add(i), step, w);
                    }
                }
            }
        }
        unrolled!(Y in M => {
            let out = out.add(Y * g.out_step);
            if n >= N * BLOCK {
                sums[Y % M][0].store(out);
                if N > 1 {
                    sums[Y % M][N - 1].store(out.add(BLOCK));
                }
            } else if N > 1 {
                sums[Y % M][0].store(out);
                sums[Y % M][N - 1].store_part(out.add(BLOCK), n - BLOCK);
            } else {
                sums[Y % M][0].store_part(out, n);
            }
        });
    }
    M
}

/// Sizes of the backward pass by weights over a group of channels of an image. Distances are in
/// numbers.
#[derive(Debug, Clone)]
pub struct Outer {
    pub taps: Vec<Tap>,
    /// Input: channels, size of a block, distances between rows and between pixels.
    pub channels: usize,
    pub plane: usize,
    pub row: usize,
    pub step: usize,
    /// Output: channels, size of a block, distance between rows; a pixel is one block wide.
    pub out_channels: usize,
    pub out_plane: usize,
    pub out_row: usize,
    /// Place of the first pixel in a block of the output's gradient.
    pub out_start: usize,
    /// Rows and columns of the output.
    pub rows: usize,
    pub cols: usize,
}

dispatch! {
    /// Adds Σ x[pixel + tap, i] · dz[pixel, o] to dw[o, i, tap]; dw is laid out as the weights of
    /// `gather`.
    pub fn outer<T>(g: &Outer, x: &[T], dz: &[T], dw: &mut [T]) by TilesOuter = outer_any;
}

#[inline(always)]
fn outer_any<V: Vector16>(g: &Outer, x: &[V::T], dz: &[V::T], dw: &mut [V::T]) {
    if g.rows == 0 || g.cols == 0 {
        return;
    }
    let (blocks, outs) = (g.channels.div_ceil(BLOCK), g.out_channels.div_ceil(BLOCK));
    let farthest = g.taps.iter().map(|t| t.offset).max().unwrap_or(0);
    let last = farthest + (g.rows - 1) * g.row + (g.cols - 1) * g.step + BLOCK;
    assert!(last <= g.plane && blocks * g.plane <= x.len());
    let last = g.out_start + (g.rows - 1) * g.out_row + g.cols * BLOCK;
    assert!(last <= g.out_plane && outs * g.out_plane <= dz.len());
    let weight_block = blocks * g.taps.len() * BLOCK * BLOCK;
    assert!(outs * weight_block <= dw.len());
    assert!(g.taps.iter().all(|t| t.index < g.taps.len()));
    let mut out = 0;
    while out < outs {
        let wide = outs - out >= 2 && V::ACCUMULATORS >= 16;
        for b in 0..blocks {
            for tap in &g.taps {
                // SAFETY: the asserts above bound every place that the tiles read and write.
                unsafe {
                    let x = x.as_ptr().add(b * g.plane + tap.offset);
                    let dz = dz.as_ptr().add(out * g.out_plane + g.out_start);
                    let at = (b * g.taps.len() + tap.index) * BLOCK * BLOCK;
                    let dw = dw.as_mut_ptr().add(out * weight_block + at);
                    let k = BLOCK.min(g.channels - b * BLOCK);
                    if wide {
                        by_inputs::<V, 2>(g, k, x, dz, dw, weight_block);
                    } else {
                        by_inputs::<V, 1>(g, k, x, dz, dw, weight_block);
                    }
                }
            }
        }
        out += if wide { 2 } else { 1 };
    }
}

#[inline(always)]
unsafe fn by_inputs<V: Vector16, const N: usize>(
    g: &Outer,
    k: usize,
    x: *const V::T,
    dz: *const V::T,
    dw: *mut V::T,
    weight_block: usize,
) {
    let most = V::ACCUMULATORS / N;
    let mut i = 0;
    while i < k {
        // SAFETY: the caller's promise, for the k ≤ 16 input channels of the block.
        unsafe {
            let (x, dw) = (x.add(i), dw.add(i * BLOCK));
            i += match (k - i).min(most) {
                16.. => outer_tile::<V, 16, N>(g, x, dz, dw, weight_block),
                8.. => outer_tile::<V, 8, N>(g, x, dz, dw, weight_block),
                4.. => outer_tile::<V, 4, N>(g, x, dz, dw, weight_block),
                2.. => outer_tile::<V, 2, N>(g, x, dz, dw, weight_block),
                _ => outer_tile::<V, 1, N>(g, x, dz, dw, weight_block),
            };
        }
    }
}

/// Computes M input channels; returns M.
#[inline(always)]
unsafe fn outer_tile<V: Vector16, const M: usize, const N: usize>(
    g: &Outer,
    x: *const V::T,
    dz: *const V::T,
    dw: *mut V::T,
    weight_block: usize,
) -> usize {
    // SAFETY: the caller's promise: M input channels from `x`, N blocks of `dz` and `dw`.
    unsafe {
        let mut sums = [[V::splat(V::T::ZERO); N]; M];
        for r in 0..g.rows {
            let (x, dz) = (x.add(r * g.row), dz.add(r * g.out_row));
            for c in 0..g.cols {
                let (x, dz) = (x.add(c * g.step), dz.add(c * BLOCK));
                products(&mut sums, x, 1, pair::<V, N>(dz, g.out_plane));
            }
        }
        unrolled!(I in M => {
            let dw = dw.add(I * BLOCK);
            sums[I % M][0].add(V::load(dw)).store(dw);
            if N > 1 {
                let dw = dw.add(weight_block);
                sums[I % M][N - 1].add(V::load(dw)).store(dw);
            }
        });
    }
    M
}
