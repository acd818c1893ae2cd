//! Copies images to the layout that convolutions read: blocks of 16 channels, with a margin of
//! zeros.
//!
//! Between layers an image is height × width × channels. A convolution first copies it to blocks ×
//! rows × columns × 16, which stays in the cache. There the step between pixels is a constant and
//! no tap needs a bounds check. A batch norm and an activation before the convolution are applied
//! on the way.

use super::Float;
use super::elementwise::{Act, Affine, sigmoid};
use super::vector::{BLOCK, Vector16, dispatch};

/// Shape of a blocked image. Each group of channels starts a block of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    pub groups: usize,
    /// Channels of a group.
    pub channels: usize,
    /// Height and width of the image itself.
    pub height: usize,
    pub width: usize,
    /// Rows of zeros above and columns of zeros left of the image.
    pub top: usize,
    pub left: usize,
    /// Height and width with all margins.
    pub rows: usize,
    pub cols: usize,
}

impl Blocked {
    /// Number of blocks of a group.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Length of a block.
    pub fn plane(&self) -> usize {
        self.rows * self.cols * BLOCK
    }

    /// Length of a group.
    pub fn group(&self) -> usize {
        self.blocks() * self.plane()
    }

    /// Length of the image.
    pub fn len(&self) -> usize {
        self.groups * self.group()
    }
}

/// Change of the numbers while they are copied.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a, T> {
    /// Computes act(scale · x + shift); both are optional.
    Apply { norm: Option<Affine<'a, T>>, act: Option<Act> },
    /// Computes p · x + q · z + r: turns the gradient `x` of a batch norm's output into that of its
    /// input `z`.
    Combine { z: &'a [T], coefficients: [&'a [T]; 3] },
}

dispatch! {
    /// Copies `image` (height × width × all channels) to blocks.
    pub fn load<T>(image: &[T], shape: &Blocked, change: Change<T>, out: &mut [T]) by BlockedLoad = load_any;
}

#[inline(always)]
fn load_any<V: Vector16>(image: &[V::T], shape: &Blocked, change: Change<V::T>, out: &mut [V::T]) {
    let k = |x: f64| V::splat(V::T::of(x));
    match change {
        Change::Apply { norm, act } => match act {
            None => apply::<V>(image, shape, norm, out, |v| v),
            Some(Act::Relu) => apply::<V>(image, shape, norm, out, |v| v.at_least(k(0.0))),
            Some(Act::Relu6) => {
                apply::<V>(image, shape, norm, out, |v| v.at_most(k(6.0)).at_least(k(0.0)));
            }
            Some(Act::HardSwish) => apply::<V>(image, shape, norm, out, |v| {
                let gate = v.add(k(3.0)).at_most(k(6.0)).at_least(k(0.0));
                v.mul(gate).mul(k(1.0 / 6.0))
            }),
            Some(Act::Sigmoid) => apply::<V>(image, shape, norm, out, |v| v.map(sigmoid)),
            Some(Act::HardSigmoid) => apply::<V>(image, shape, norm, out, |v| {
                v.add(k(3.0)).at_most(k(6.0)).at_least(k(0.0)).mul(k(1.0 / 6.0))
            }),
        },
        Change::Combine { z, coefficients } => {
            assert_eq!(z.len(), image.len());
            let zs = z.as_ptr();
            each_block::<V, 3>(image, shape, out, &coefficients, |[p, q, r], v, at, n| {
                // SAFETY: `z` is as long as `image`, and `at` leaves room for n numbers there.
                let z = unsafe { part::<V>(zs.add(at), n) };
                r.add_product(p, v).add_product(q, z)
            });
        }
    }
}

#[inline(always)]
fn apply<V: Vector16>(
    image: &[V::T],
    shape: &Blocked,
    norm: Option<Affine<V::T>>,
    out: &mut [V::T],
    act: impl Fn(V) -> V,
) {
    match norm {
        None => each_block::<V, 0>(image, shape, out, &[], |[], v, _, _| act(v)),
        Some(Affine { scale, shift }) => {
            each_block::<V, 2>(image, shape, out, &[scale, shift], |[a, b], v, _, _| {
                act(b.add_product(a, v))
            });
        }
    }
}

/// Loads the first n numbers; a whole block, the common case, by one load.
#[inline(always)]
unsafe fn part<V: Vector16>(p: *const V::T, n: usize) -> V {
    // SAFETY: the caller's promise, that of `load_part`.
    unsafe { if n == BLOCK { V::load(p) } else { V::load_part(p, n) } }
}

/// Writes `f(coefficients of the block, numbers, their place in the image, their count)` for each
/// pixel of each block. A last block is filled up with zeros after `f`.
#[inline(always)]
fn each_block<V: Vector16, const K: usize>(
    image: &[V::T],
    shape: &Blocked,
    out: &mut [V::T],
    coefficients: &[&[V::T]; K],
    f: impl Fn([V; K], V, usize, usize) -> V,
) {
    let s = *shape;
    let all = s.groups * s.channels;
    assert_eq!(image.len(), s.height * s.width * all);
    assert!(s.top + s.height <= s.rows && s.left + s.width <= s.cols);
    assert!(coefficients.iter().all(|c| c.len() >= all));
    let zero = V::T::ZERO;
    for (b, plane) in out[..s.len()].chunks_exact_mut(s.plane()).enumerate() {
        let (group, block) = (b / s.blocks(), b % s.blocks());
        let first = group * s.channels + block * BLOCK;
        let n = BLOCK.min(s.channels - block * BLOCK);
        // SAFETY: every vector of coefficients has a number for each channel.
        let k = std::array::from_fn(|i| unsafe { part::<V>(coefficients[i][first..].as_ptr(), n) });
        let line = s.cols * BLOCK;
        plane[..s.top * line].fill(zero);
        plane[(s.top + s.height) * line..].fill(zero);
        let lines = plane[s.top * line..].chunks_exact_mut(line).take(s.height);
        for (y, line) in lines.enumerate() {
            let (left, rest) = line.split_at_mut(s.left * BLOCK);
            let (middle, right) = rest.split_at_mut(s.width * BLOCK);
            left.fill(zero);
            right.fill(zero);
            let mut at = y * s.width * all + first;
            for pixel in middle.chunks_exact_mut(BLOCK) {
                // SAFETY: `at + n` is at most the image's length, which was asserted above, and a
                // pixel is BLOCK numbers long.
                unsafe {
                    let v = f(k, part::<V>(image.as_ptr().add(at), n), at, n);
                    v.store(pixel.as_mut_ptr());
                }
                if n < BLOCK {
                    pixel[n..].fill(zero);
                }
                at += all;
            }
        }
    }
}
