//! Inner loops of depthwise convolutions over blocked images. They are as in
//! [`tiles`](super::tiles), but each channel is multiplied with a weight of its own.

use super::Float;
use super::tiles::{Gather, Outer};
use super::vector::{BLOCK, Vector16, dispatch, unrolled};

dispatch! {
    /// Computes out[pixel, c] = bias[c] + Σ x[pixel + tap, c] · w[c, tap].
    ///
    /// `x`: blocks; `w`: blocks × taps × 16; `bias`: blocks × 16; `out`: from the first pixel on.
    pub fn gather<T>(g: &Gather, x: &[T], w: &[T], bias: &[T], out: &mut [T]) by DepthwiseGather = gather_any;
}

#[inline(always)]
fn gather_any<V: Vector16>(g: &Gather, x: &[V::T], w: &[V::T], bias: &[V::T], out: &mut [V::T]) {
    if g.rows == 0 || g.cols == 0 {
        return;
    }
    let blocks = g.channels.div_ceil(BLOCK);
    let farthest = g.taps.iter().map(|t| t.offset).max().unwrap_or(0);
    let last = farthest + (g.rows - 1) * g.row + (g.cols - 1) * g.step + BLOCK;
    assert!(last <= g.plane && blocks * g.plane <= x.len());
    assert!(g.taps.iter().all(|t| t.index < g.kernel));
    assert!(blocks * g.kernel * BLOCK <= w.len() && blocks * BLOCK <= bias.len());
    let last = (g.rows - 1) * g.out_row + (g.cols - 1) * g.out_step + g.out_channels;
    assert!(g.out_channels == g.channels && last <= out.len());
    for b in 0..blocks {
        let n = BLOCK.min(g.channels - b * BLOCK);
        for r in 0..g.rows {
            let mut c = 0;
            while c < g.cols {
                // SAFETY: the asserts above bound every place that the tiles read and write.
                unsafe {
                    let x = x.as_ptr().add(b * g.plane + r * g.row + c * g.step);
                    let w = w.as_ptr().add(b * g.kernel * BLOCK);
                    let bias = bias.as_ptr().add(b * BLOCK);
                    let out = out.as_mut_ptr().add(b * BLOCK + r * g.out_row + c * g.out_step);
                    c += match (g.cols - c).min(V::ACCUMULATORS) {
                        8.. => tile::<V, 8>(g, x, w, bias, out, n),
                        4.. => tile::<V, 4>(g, x, w, bias, out, n),
                        2.. => tile::<V, 2>(g, x, w, bias, out, n),
                        _ => tile::<V, 1>(g, x, w, bias, out, n),
                    };
                }
            }
        }
    }
}

/// Computes M pixels; returns M.
#[inline(always)]
unsafe fn tile<V: Vector16, const M: usize>(
    g: &Gather,
    x: *const V::T,
    w: *const V::T,
    bias: *const V::T,
    out: *mut V::T,
    n: usize,
) -> usize {
    // SAFETY: the caller's promise: M pixels from `x` and `out`, all taps of a block of `w`.
    unsafe {
        let mut sums = [V::load(bias); M];
        for tap in &g.taps {
            let w = V::load(w.add(tap.index * BLOCK));
            let x = x.add(tap.offset);
            unrolled!(Y in M => {
                sums[Y % M] = sums[Y % M].add_product(V::load(x.add(Y * g.step)), w);
            });
        }
        unrolled!(Y in M => {
            let out = out.add(Y * g.out_step);
            if n == BLOCK { sums[Y % M].store(out) } else { sums[Y % M].store_part(out, n) }
        });
    }
    M
}

dispatch! {
    /// Adds Σ x[pixel + tap, c] · dz[pixel, c] to dw[c, tap]; dw is laid out as the weights of
    /// `gather`.
    pub fn outer<T>(g: &Outer, x: &[T], dz: &[T], dw: &mut [T]) by DepthwiseOuter = outer_any;
}

#[inline(always)]
fn outer_any<V: Vector16>(g: &Outer, x: &[V::T], dz: &[V::T], dw: &mut [V::T]) {
    if g.rows == 0 || g.cols == 0 {
        return;
    }
    let blocks = g.channels.div_ceil(BLOCK);
    let farthest = g.taps.iter().map(|t| t.offset).max().unwrap_or(0);
    let last = farthest + (g.rows - 1) * g.row + (g.cols - 1) * g.step + BLOCK;
    assert!(last <= g.plane && blocks * g.plane <= x.len());
    let last = g.out_start + (g.rows - 1) * g.out_row + g.cols * BLOCK;
    assert!(last <= g.out_plane && blocks * g.out_plane <= dz.len());
    assert!(g.out_channels == g.channels && blocks * g.taps.len() * BLOCK <= dw.len());
    assert!(g.taps.iter().all(|t| t.index < g.taps.len()));
    for b in 0..blocks {
        let mut t = 0;
        while t < g.taps.len() {
            // SAFETY: the asserts above bound every place that the tiles read and write.
            unsafe {
                let x = x.as_ptr().add(b * g.plane);
                let dz = dz.as_ptr().add(b * g.out_plane + g.out_start);
                let dw = dw.as_mut_ptr().add(b * g.taps.len() * BLOCK);
                t += match (g.taps.len() - t).min(V::ACCUMULATORS) {
                    8.. => outer_tile::<V, 8>(g, t, x, dz, dw),
                    4.. => outer_tile::<V, 4>(g, t, x, dz, dw),
                    2.. => outer_tile::<V, 2>(g, t, x, dz, dw),
                    _ => outer_tile::<V, 1>(g, t, x, dz, dw),
                };
            }
        }
    }
}

/// Computes M taps from tap `first` on; returns M.
#[inline(always)]
unsafe fn outer_tile<V: Vector16, const M: usize>(
    g: &Outer,
    first: usize,
    x: *const V::T,
    dz: *const V::T,
    dw: *mut V::T,
) -> usize {
    // SAFETY: the caller's promise: M taps from `first`, the block's pixels of `x` and `dz`.
    unsafe {
        let taps: [_; M] = std::array::from_fn(|m| g.taps[first + m]);
        let mut sums = [V::splat(V::T::ZERO); M];
        for r in 0..g.rows {
            for c in 0..g.cols {
                let d = V::load(dz.add(r * g.out_row + c * BLOCK));
                let x = x.add(r * g.row + c * g.step);
                unrolled!(K in M => {
                    sums[K % M] = sums[K % M].add_product(V::load(x.add(taps[K % M].offset)), d);
                });
            }
        }
        unrolled!(K in M => {
            let dw = dw.add(taps[K % M].index * BLOCK);
            sums[K % M].add(V::load(dw)).store(dw);
        });
    }
    M
}
