//! Joins and rearranges images (height × width × channels): concatenation, products by channel,
//! channel shuffle, shift.

use super::Float;

/// Writes one input of a concatenation: the `channels` channels of each pixel of `x` to the
/// channels from `first` on of `out`, which has `all` a pixel.
pub fn concat<T: Float>(x: &[T], channels: usize, first: usize, all: usize, out: &mut [T]) {
    for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(all)) {
        out[first..first + channels].copy_from_slice(x);
    }
}

/// Backward of [`concat`]: copies the channels of the gradient that belong to the input.
pub fn concat_back<T: Float>(dy: &[T], channels: usize, first: usize, all: usize, dx: &mut [T]) {
    for (dx, dy) in dx.chunks_exact_mut(channels).zip(dy.chunks_exact(all)) {
        dx.copy_from_slice(&dy[first..first + channels]);
    }
}

/// Multiplies `out` by `x`, which is an image like it or one number a channel.
pub fn multiply<T: Float>(x: &[T], out: &mut [T]) {
    for out in out.chunks_exact_mut(x.len()) {
        super::elementwise::multiply(x, out);
    }
}

/// Backward of [`multiply`] by `x`: sums `d` over the pixels where `dx` is one number a channel,
/// else copies it.
pub fn sum_to<T: Float>(d: &[T], dx: &mut [T]) {
    dx.fill(T::ZERO);
    for d in d.chunks_exact(dx.len()) {
        super::elementwise::add(d, dx);
    }
}

/// Moves channel g·rest + r of each pixel to channel r·groups + g (channel shuffle, Zhang et al.
/// 2018). The backward pass is the same with `channels / groups` groups.
pub fn shuffle<T: Float>(x: &[T], channels: usize, groups: usize, out: &mut [T]) {
    let rest = channels / groups;
    for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        for (c, x) in x.iter().enumerate() {
            out[c % rest * groups + c / rest] = *x;
        }
    }
}

/// Replaces each pixel by the one in the next row and column; the last row and column become zeros.
pub fn shift<T: Float>(x: &[T], width: usize, channels: usize, out: &mut [T]) {
    let row = width * channels;
    out.fill(T::ZERO);
    for (out, x) in out.chunks_exact_mut(row).zip(x.chunks_exact(row).skip(1)) {
        out[..row - channels].copy_from_slice(&x[channels..]);
    }
}

/// Backward of [`shift`].
pub fn shift_back<T: Float>(dy: &[T], width: usize, channels: usize, dx: &mut [T]) {
    let row = width * channels;
    dx.fill(T::ZERO);
    for (dx, dy) in dx.chunks_exact_mut(row).skip(1).zip(dy.chunks_exact(row)) {
        dx[channels..].copy_from_slice(&dy[..row - channels]);
    }
}
