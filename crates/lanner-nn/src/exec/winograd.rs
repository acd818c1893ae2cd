//! Convolutions 3×3 of stride 1 with a quarter of the multiplications: F(4×4, 3×3) of Lavin & Gray
//! (CVPR 2016).
//!
//! Tiles of 6×6 pixels and kernels are transformed to 36 points each. At each point, the output is
//! a matrix product (tiles × input channels × output channels), and a last transformation turns the
//! 36 points of a tile into 4×4 pixels: Y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A. So the gradient of the kernel
//! is Gᵀ[(A dy Aᵀ) ⊙ (Bᵀ x B)]G, summed over the tiles. Rounding errors are some ten times those of
//! the direct sum. In `f32` that is still far below the errors of the batch norms; `f64` is for
//! exactness and uses the direct sum.

use super::Float;
use super::blocked::Blocked;
use super::tiles::{Gather, Outer, Tap, gather, outer};
use super::vector::{BLOCK, Vector16, dispatch};

/// Number of points of a transformed tile.
const POINTS: usize = 36;
/// Side of an output tile, in pixels.
const SIDE: usize = 4;
/// Number of tiles that are multiplied at once: enough to reuse weights, few enough for the cache.
const TILES: usize = 16;

/// Distance in numbers from a point of the transformed tiles to the next. It is one cache line more
/// than a point has: else the 36 places that a tile is written to often lie a power of two apart,
/// and evict each other from the cache.
fn point_len(blocks: usize, tiles: usize) -> usize {
    (blocks * tiles + 1) * BLOCK
}

/// A convolution at one size of images.
#[derive(Debug, Clone)]
pub struct Winograd {
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    /// Number of images that are computed together.
    pub images: usize,
}

impl Winograd {
    pub fn new(height: usize, width: usize, inputs: usize, outputs: usize) -> Winograd {
        let tiles = height.div_ceil(SIDE) * width.div_ceil(SIDE);
        let images = (TILES / tiles).clamp(1, 8);
        Winograd { height, width, inputs, outputs, images }
    }

    /// Shape of a blocked image, with the margins that whole tiles need.
    pub fn blocked(&self, channels: usize) -> Blocked {
        Blocked {
            groups: 1,
            channels,
            height: self.height,
            width: self.width,
            top: 1,
            left: 1,
            rows: self.height.div_ceil(SIDE) * SIDE + 2,
            cols: self.width.div_ceil(SIDE) * SIDE + 2,
        }
    }

    /// Number of tiles of an image.
    fn tiles(&self) -> usize {
        self.height.div_ceil(SIDE) * self.width.div_ceil(SIDE)
    }

    fn blocks(channels: usize) -> usize {
        channels.div_ceil(BLOCK)
    }

    /// Length of the transformed weights, for either direction, and of their gradients.
    pub fn weights_len(&self) -> usize {
        POINTS * Self::blocks(self.inputs) * Self::blocks(self.outputs) * BLOCK * BLOCK
    }

    /// Length of the transformed tiles of `images` images.
    pub fn tiles_len(&self, images: usize, channels: usize) -> usize {
        POINTS * point_len(Self::blocks(channels), images * self.tiles())
    }

    /// Transforms packed weights (blocks × taps × 16 × 16) to points × blocks × 16 × 16.
    pub fn weights<T: Float>(&self, packed: &[T], out: &mut [T]) {
        weights(packed, out);
    }

    /// Transforms the gradient of transformed weights, and adds it to that of packed weights.
    pub fn weights_back<T: Float>(&self, gradient: &[T], packed: &mut [T]) {
        weights_back(gradient, packed);
    }

    /// Transforms a blocked image, number `at` of `images`, to points × blocks × tiles × 16.
    pub fn input<T: Float>(
        &self,
        x: &[T],
        channels: usize,
        at: usize,
        images: usize,
        out: &mut [T],
    ) {
        input(&self.blocked(channels), x, at, images, out);
    }

    /// Transforms the blocked gradient of an output as its kernel's gradient needs it.
    pub fn gradient<T: Float>(&self, dz: &[T], at: usize, images: usize, out: &mut [T]) {
        gradient(&self.blocked(self.outputs), dz, at, images, out);
    }

    /// Multiplies at all points: `x`: transformed tiles of `from` channels; `w`: transformed
    /// weights; `out`: transformed tiles of `to` channels.
    pub fn products<T: Float>(
        &self,
        x: &[T],
        w: &[T],
        zeros: &[T],
        [from, to]: [usize; 2],
        images: usize,
        out: &mut [T],
    ) {
        let tiles = images * self.tiles();
        let pass = Gather {
            taps: vec![Tap { offset: 0, index: 0 }],
            kernel: 1,
            channels: from,
            plane: tiles * BLOCK,
            row: 0,
            step: BLOCK,
            rows: 1,
            cols: tiles,
            out_row: 0,
            out_step: Self::blocks(to) * BLOCK,
            out_channels: Self::blocks(to) * BLOCK,
        };
        let points = x.chunks_exact(point_len(Self::blocks(from), tiles));
        let outs = out.chunks_exact_mut(point_len(Self::blocks(to), tiles));
        for ((x, w), out) in points.zip(w.chunks_exact(w.len() / POINTS)).zip(outs) {
            gather(&pass, x, w, zeros, out);
        }
    }

    /// Adds the products of transformed tiles to the gradient of transformed weights.
    pub fn outer_products<T: Float>(&self, x: &[T], dz: &[T], images: usize, dw: &mut [T]) {
        let tiles = images * self.tiles();
        let pass = Outer {
            taps: vec![Tap { offset: 0, index: 0 }],
            channels: self.inputs,
            plane: tiles * BLOCK,
            row: 0,
            step: BLOCK,
            out_channels: self.outputs,
            out_plane: tiles * BLOCK,
            out_row: 0,
            out_start: 0,
            rows: 1,
            cols: tiles,
        };
        let xs = x.chunks_exact(point_len(Self::blocks(self.inputs), tiles));
        let dzs = dz.chunks_exact(point_len(Self::blocks(self.outputs), tiles));
        for ((x, dz), dw) in xs.zip(dzs).zip(dw.chunks_exact_mut(dw.len() / POINTS)) {
            outer(&pass, x, dz, dw);
        }
    }

    /// Transforms the products back to `images` images (height × width × channels).
    pub fn output<T: Float>(&self, products: &[T], channels: usize, bias: &[T], out: &mut [T]) {
        output([self.height, self.width, channels], products, bias, out);
    }
}

/// Multiplies a row or column of six by Bᵀ.
#[inline(always)]
fn b_t<V: Vector16>(d: [V; 6]) -> [V; 6] {
    let k = |x: f64| V::splat(V::T::of(x));
    let (a, b) = (d[4].add_product(k(-4.0), d[2]), d[3].add_product(k(-4.0), d[1]));
    let (c, e) = (d[4].sub(d[2]), d[3].sub(d[1]).mul(k(2.0)));
    [
        d[4].add_product(k(4.0), d[0]).add_product(k(-5.0), d[2]),
        a.add(b),
        a.sub(b),
        c.add(e),
        c.sub(e),
        d[5].add_product(k(4.0), d[1]).add_product(k(-5.0), d[3]),
    ]
}

/// Multiplies a row or column of six by Aᵀ.
#[inline(always)]
fn a_t<V: Vector16>(m: [V; 6]) -> [V; 4] {
    let k = |x: f64| V::splat(V::T::of(x));
    let (p, q) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(p).add(r),
        q.add_product(k(2.0), s),
        p.add_product(k(4.0), r),
        q.add(m[5]).add_product(k(8.0), s),
    ]
}

/// Multiplies a row or column of four by A.
#[inline(always)]
fn a<V: Vector16>(y: [V; 4]) -> [V; 6] {
    let k = |x: f64| V::splat(V::T::of(x));
    let (even, odd) = (y[0].add(y[2]), y[1].add(y[3]));
    let even2 = y[0].add_product(k(4.0), y[2]);
    let odd2 = y[1].add_product(k(4.0), y[3]).mul(k(2.0));
    [y[0], even.add(odd), even.sub(odd), even2.add(odd2), even2.sub(odd2), y[3]]
}

/// Multiplies a row or column of three by G.
#[inline(always)]
fn g<V: Vector16>(w: [V; 3]) -> [V; 6] {
    let k = |x: f64| V::splat(V::T::of(x));
    let t = w[0].add(w[2]).mul(k(-1.0 / 6.0));
    let v = w[0].mul(k(1.0 / 24.0)).add_product(k(1.0 / 6.0), w[2]);
    [
        w[0].mul(k(0.25)),
        t.add_product(k(-1.0 / 6.0), w[1]),
        t.add_product(k(1.0 / 6.0), w[1]),
        v.add_product(k(1.0 / 12.0), w[1]),
        v.add_product(k(-1.0 / 12.0), w[1]),
        w[2],
    ]
}

/// Multiplies a row or column of six by Gᵀ.
#[inline(always)]
fn g_t<V: Vector16>(u: [V; 6]) -> [V; 3] {
    let k = |x: f64| V::splat(V::T::of(x));
    let (p, q) = (u[1].add(u[2]), u[2].sub(u[1]));
    let (r, s) = (u[3].add(u[4]), u[3].sub(u[4]));
    let sixth = p.mul(k(-1.0 / 6.0));
    [
        sixth.add_product(k(0.25), u[0]).add_product(k(1.0 / 24.0), r),
        q.mul(k(1.0 / 6.0)).add_product(k(1.0 / 12.0), s),
        sixth.add(u[5]).add_product(k(1.0 / 6.0), r),
    ]
}

/// Applies `f` to the columns of a tile and then to the rows. A macro, since a function argument
/// may not be inlined, and is then not compiled for the instruction set.
macro_rules! both {
    ($from:literal, $to:literal, |$y:ident, $x:ident| $read:expr, $f:ident,
     |$r:ident, $c:ident, $v:ident| $write:expr) => {
        let mut half = [[V::splat(V::T::ZERO); $from]; $to];
        for $x in 0..$from {
            let mut column = [V::splat(V::T::ZERO); $from];
            for $y in 0..$from {
                column[$y] = $read;
            }
            let column = $f(column);
            for y in 0..$to {
                half[y][$x] = column[y];
            }
        }
        for $r in 0..$to {
            let row = $f(half[$r]);
            for $c in 0..$to {
                let $v = row[$c];
                $write;
            }
        }
    };
}

dispatch! {
    fn weights<T>(packed: &[T], out: &mut [T]) by WinogradWeights = weights_any;
}

#[inline(always)]
fn weights_any<V: Vector16>(packed: &[V::T], out: &mut [V::T]) {
    let point = out.len() / POINTS;
    let block = BLOCK * BLOCK;
    for (b, packed) in packed.chunks_exact(9 * block).enumerate() {
        for i in 0..BLOCK {
            let at = i * BLOCK;
            both!(
                3,
                6,
                |y, x| {
                    let w = &packed[(y * 3 + x) * block + at..][..BLOCK];
                    // SAFETY: BLOCK numbers, by the slice.
                    unsafe { V::load(w.as_ptr()) }
                },
                g,
                |y, x, v| {
                    let out = &mut out[(y * 6 + x) * point + b * block + at..][..BLOCK];
                    // SAFETY: BLOCK numbers, by the slice.
                    unsafe { v.store(out.as_mut_ptr()) }
                }
            );
        }
    }
}

dispatch! {
    fn weights_back<T>(gradient: &[T], packed: &mut [T]) by WinogradWeightsBack = weights_back_any;
}

#[inline(always)]
fn weights_back_any<V: Vector16>(gradient: &[V::T], packed: &mut [V::T]) {
    let point = gradient.len() / POINTS;
    let block = BLOCK * BLOCK;
    for (b, packed) in packed.chunks_exact_mut(9 * block).enumerate() {
        for i in 0..BLOCK {
            let at = i * BLOCK;
            both!(
                6,
                3,
                |y, x| {
                    let u = &gradient[(y * 6 + x) * point + b * block + at..][..BLOCK];
                    // SAFETY: BLOCK numbers, by the slice.
                    unsafe { V::load(u.as_ptr()) }
                },
                g_t,
                |y, x, v| {
                    let w = &mut packed[(y * 3 + x) * block + at..][..BLOCK];
                    // SAFETY: BLOCK numbers, by the slice.
                    unsafe { V::load(w.as_ptr()).add(v).store(w.as_mut_ptr()) }
                }
            );
        }
    }
}

dispatch! {
    fn input<T>(shape: &Blocked, x: &[T], at: usize, images: usize, out: &mut [T]) by WinogradInput = input_any;
}

#[inline(always)]
fn input_any<V: Vector16>(s: &Blocked, x: &[V::T], at: usize, images: usize, out: &mut [V::T]) {
    let (rows, cols) = ((s.rows - 2) / SIDE, (s.cols - 2) / SIDE);
    let tiles = images * rows * cols;
    let point = point_len(s.blocks(), tiles);
    assert!(x.len() >= s.len() && out.len() >= POINTS * point && at < images);
    for b in 0..s.blocks() {
        for tile in 0..rows * cols {
            let from = ((tile / cols * s.cols + tile % cols) * SIDE) * BLOCK + b * s.plane();
            let to = (b * tiles + at * rows * cols + tile) * BLOCK;
            // SAFETY: a tile's 6×6 pixels lie in the margined plane; `to` in each point's numbers.
            unsafe {
                let x = x.as_ptr().add(from);
                let out = out.as_mut_ptr().add(to);
                both!(6, 6, |r, c| V::load(x.add((r * s.cols + c) * BLOCK)), b_t, |r, c, v| v
                    .store(out.add((r * 6 + c) * point)));
            }
        }
    }
}

dispatch! {
    fn gradient<T>(shape: &Blocked, dz: &[T], at: usize, images: usize, out: &mut [T]) by WinogradGradient = gradient_any;
}

#[inline(always)]
fn gradient_any<V: Vector16>(s: &Blocked, dz: &[V::T], at: usize, images: usize, out: &mut [V::T]) {
    let (rows, cols) = ((s.rows - 2) / SIDE, (s.cols - 2) / SIDE);
    let tiles = images * rows * cols;
    let point = point_len(s.blocks(), tiles);
    assert!(dz.len() >= s.len() && out.len() >= POINTS * point && at < images);
    for b in 0..s.blocks() {
        for tile in 0..rows * cols {
            let (r, c) = (tile / cols * SIDE + 1, tile % cols * SIDE + 1);
            let from = (r * s.cols + c) * BLOCK + b * s.plane();
            let to = (b * tiles + at * rows * cols + tile) * BLOCK;
            // SAFETY: a tile's 4×4 pixels lie in the margined plane; `to` in each point's numbers.
            unsafe {
                let dz = dz.as_ptr().add(from);
                let out = out.as_mut_ptr().add(to);
                both!(4, 6, |r, c| V::load(dz.add((r * s.cols + c) * BLOCK)), a, |r, c, v| v
                    .store(out.add((r * 6 + c) * point)));
            }
        }
    }
}

dispatch! {
    fn output<T>(sizes: [usize; 3], products: &[T], bias: &[T], out: &mut [T]) by WinogradOutput = output_any;
}

#[inline(always)]
fn output_any<V: Vector16>(
    [height, width, channels]: [usize; 3],
    products: &[V::T],
    bias: &[V::T],
    out: &mut [V::T],
) {
    let (rows, cols) = (height.div_ceil(SIDE), width.div_ceil(SIDE));
    let (blocks, image) = (channels.div_ceil(BLOCK), height * width * channels);
    let images = out.len() / image;
    let point = point_len(blocks, images * rows * cols);
    assert!(products.len() >= POINTS * point && bias.len() >= blocks * BLOCK);
    for tile in 0..images * rows * cols {
        let (y0, x0) = (tile / cols % rows * SIDE, tile % cols * SIDE);
        let first = tile / (rows * cols) * image + (y0 * width + x0) * channels;
        for b in 0..blocks {
            let n = BLOCK.min(channels - b * BLOCK);
            // SAFETY: the tile and block are within each point's numbers; pixels outside the image
            // are not written.
            unsafe {
                let m = products.as_ptr().add((tile * blocks + b) * BLOCK);
                let bias = V::load(bias.as_ptr().add(b * BLOCK));
                let out = out.as_mut_ptr().add(first + b * BLOCK);
                both!(6, 4, |r, c| V::load(m.add((r * 6 + c) * point)), a_t, |r, c, v| {
                    if y0 + r < height && x0 + c < width {
                        let out = out.add((r * width + c) * channels);
                        let v = v.add(bias);
                        if n == BLOCK { v.store(out) } else { v.store_part(out, n) }
                    }
                });
            }
        }
    }
}
