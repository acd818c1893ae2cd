//! Activation functions and the affine form of batch norms, forward and backward.
//!
//! Images are height × width × channels. A per-channel vector is repeated to a *period*, a multiple
//! of the channels that is long enough for vector registers, and applied to one period after the
//! other, so that the same loops serve every number of channels.

use lanner_network::Op;

use super::Float;
use super::vector::vectorised;

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Relu,
    Relu6,
    HardSwish,
    Sigmoid,
    HardSigmoid,
}

impl Act {
    pub fn of(op: &Op) -> Option<Act> {
        match op {
            Op::Relu => Some(Act::Relu),
            Op::Relu6 => Some(Act::Relu6),
            Op::HardSwish => Some(Act::HardSwish),
            Op::Sigmoid => Some(Act::Sigmoid),
            Op::HardSigmoid => Some(Act::HardSigmoid),
            _ => None,
        }
    }
}

impl Act {
    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        match self {
            Act::Relu => relu(x),
            Act::Relu6 => relu6(x),
            Act::HardSwish => hard_swish(x),
            Act::Sigmoid => sigmoid(x),
            Act::HardSigmoid => hard_sigmoid(x),
        }
    }
}

// Comparisons are written so that NaN stays NaN, as it does in PyTorch.

#[inline(always)]
pub fn relu<T: Float>(x: T) -> T {
    if x < T::ZERO { T::ZERO } else { x }
}

#[inline(always)]
pub fn relu6<T: Float>(x: T) -> T {
    let six = T::of(6.0);
    let x = if x > six { six } else { x };
    relu(x)
}

#[inline(always)]
pub fn hard_swish<T: Float>(x: T) -> T {
    x * relu6(x + T::of(3.0)) * T::of(1.0 / 6.0)
}

#[inline(always)]
pub fn sigmoid<T: Float>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

#[inline(always)]
pub fn hard_sigmoid<T: Float>(x: T) -> T {
    relu6(x + T::of(3.0)) * T::of(1.0 / 6.0)
}

// The derivatives below are by the function's input; at a kink they are that of the flat side, as
// in PyTorch.
#[inline(always)]
fn relu_slope<T: Float>(x: T) -> T {
    if x > T::ZERO { T::ONE } else { T::ZERO }
}

#[inline(always)]
fn relu6_slope<T: Float>(x: T) -> T {
    if x > T::ZERO && x < T::of(6.0) { T::ONE } else { T::ZERO }
}

#[inline(always)]
fn hard_swish_slope<T: Float>(x: T) -> T {
    if x <= T::of(-3.0) {
        T::ZERO
    } else if x < T::of(3.0) {
        x * T::of(1.0 / 3.0) + T::of(0.5)
    } else {
        T::ONE
    }
}

#[inline(always)]
fn sigmoid_slope<T: Float>(x: T) -> T {
    let y = sigmoid(x);
    y * (T::ONE - y)
}

#[inline(always)]
fn hard_sigmoid_slope<T: Float>(x: T) -> T {
    if x > T::of(-3.0) && x < T::of(3.0) { T::of(1.0 / 6.0) } else { T::ZERO }
}

/// Smallest multiple of the channels that is 256 or more.
pub fn period(channels: usize) -> usize {
    channels * 256usize.div_ceil(channels)
}

/// Repeats a vector of one number a channel to the period.
pub fn repeat<T: Float>(by_channel: &[T], out: &mut Vec<T>) {
    let p = period(by_channel.len());
    out.clear();
    while out.len() < p {
        out.extend_from_slice(by_channel);
    }
}

/// Scale and shift of each channel, repeated to the period.
#[derive(Debug, Clone, Copy)]
pub struct Affine<'a, T> {
    pub scale: &'a [T],
    pub shift: &'a [T],
}

vectorised! {
    /// Computes out = act(scale · x + shift); both are optional.
    pub fn apply<T>(x: &[T], norm: Option<Affine<T>>, act: Option<Act>, out: &mut [T]) by ElementwiseApply {
        match act {
            None => map(x, norm, out, |x| x),
            Some(Act::Relu) => map(x, norm, out, relu),
            Some(Act::Relu6) => map(x, norm, out, relu6),
            Some(Act::HardSwish) => map(x, norm, out, hard_swish),
            Some(Act::Sigmoid) => map(x, norm, out, sigmoid),
            Some(Act::HardSigmoid) => map(x, norm, out, hard_sigmoid),
        }
    }
}

vectorised! {
    /// Adds act(scale · x + shift) to `out`; both are optional.
    pub fn apply_add<T>(x: &[T], norm: Option<Affine<T>>, act: Option<Act>, out: &mut [T]) by ElementwiseApplyAdd {
        match (norm, act) {
            (None, None) => out.iter_mut().zip(x).for_each(|(o, x)| *o += *x),
            (None, Some(act)) => out.iter_mut().zip(x).for_each(|(o, x)| *o += act.value(*x)),
            (Some(Affine { scale, shift }), act) => {
                let p = scale.len();
                for (out, x) in out.chunks_mut(p).zip(x.chunks(p)) {
                    let terms = out.iter_mut().zip(x).zip(scale).zip(shift);
                    match act {
                        None => terms.for_each(|(((o, x), a), b)| *o += *a * *x + *b),
                        Some(act) => {
                            terms.for_each(|(((o, x), a), b)| *o += act.value(*a * *x + *b));
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn map<T: Float>(x: &[T], norm: Option<Affine<T>>, out: &mut [T], f: impl Fn(T) -> T) {
    match norm {
        None => out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x)),
        Some(Affine { scale, shift }) => {
            let p = scale.len();
            for (out, x) in out.chunks_mut(p).zip(x.chunks(p)) {
                for (((o, x), a), b) in out.iter_mut().zip(x).zip(scale).zip(shift) {
                    *o = f(*a * *x + *b);
                }
            }
        }
    }
}

vectorised! {
    /// Backward of [`apply`] by the input of the activation function: writes dy · act′(scale · x +
    /// shift) to `out`, or adds it.
    pub fn apply_back<T>(
        dy: &[T], x: &[T], norm: Option<Affine<T>>, act: Option<Act>, accumulate: bool, out: &mut [T],
    ) by ElementwiseApplyBack {
        match act {
            None => match accumulate {
                true => out.iter_mut().zip(dy).for_each(|(o, d)| *o += *d),
                false => out.copy_from_slice(dy),
            },
            Some(Act::Relu) => map_back(dy, x, norm, accumulate, out, relu_slope),
            Some(Act::Relu6) => map_back(dy, x, norm, accumulate, out, relu6_slope),
            Some(Act::HardSwish) => map_back(dy, x, norm, accumulate, out, hard_swish_slope),
            Some(Act::Sigmoid) => map_back(dy, x, norm, accumulate, out, sigmoid_slope),
            Some(Act::HardSigmoid) => {
                map_back(dy, x, norm, accumulate, out, hard_sigmoid_slope);
            }
        }
    }
}

#[inline(always)]
fn map_back<T: Float>(
    dy: &[T],
    x: &[T],
    norm: Option<Affine<T>>,
    accumulate: bool,
    out: &mut [T],
    slope: impl Fn(T) -> T,
) {
    let Some(Affine { scale, shift }) = norm else {
        let terms = out.iter_mut().zip(dy).zip(x);
        return match accumulate {
            true => terms.for_each(|((o, d), x)| *o += *d * slope(*x)),
            false => terms.for_each(|((o, d), x)| *o = *d * slope(*x)),
        };
    };
    let p = scale.len();
    for ((out, dy), x) in out.chunks_mut(p).zip(dy.chunks(p)).zip(x.chunks(p)) {
        let terms = out.iter_mut().zip(dy).zip(x).zip(scale).zip(shift);
        match accumulate {
            true => terms.for_each(|((((o, d), x), a), b)| *o += *d * slope(*a * *x + *b)),
            false => terms.for_each(|((((o, d), x), a), b)| *o = *d * slope(*a * *x + *b)),
        }
    }
}

vectorised! {
    /// Computes out = p · dy + q · z + r; p, q and r are repeated to the period.
    pub fn combine<T>(dy: &[T], z: &[T], p: &[T], q: &[T], r: &[T], out: &mut [T]) by ElementwiseCombine {
        let n = p.len();
        for ((out, dy), z) in out.chunks_mut(n).zip(dy.chunks(n)).zip(z.chunks(n)) {
            for (((((o, d), z), p), q), r) in out.iter_mut().zip(dy).zip(z).zip(p).zip(q).zip(r) {
                *o = *p * *d + *q * *z + *r;
            }
        }
    }
}

vectorised! {
    /// Adds `x` to `out`.
    pub fn add<T>(x: &[T], out: &mut [T]) by ElementwiseAdd {
        out.iter_mut().zip(x).for_each(|(o, x)| *o += *x);
    }
}

vectorised! {
    /// Multiplies `out` by `x`.
    pub fn multiply<T>(x: &[T], out: &mut [T]) by ElementwiseMultiply {
        out.iter_mut().zip(x).for_each(|(o, x)| *o *= *x);
    }
}
