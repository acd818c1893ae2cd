use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Deref, DerefMut, Div, Mul, MulAssign, Neg, Sub, SubAssign};

#[cfg(target_arch = "x86_64")]
use super::vector::{self, Vector16};

/// Number type of an [`Executor`](super::Executor): `f32` or `f64`.
pub trait Float:
    Copy
    + Default
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + sealed::Sealed
    + super::batch_norm::BatchNormGradientSums<Self>
    + super::batch_norm::BatchNormMoments<Self>
    + super::blocked::BlockedLoad<Self>
    + super::depthwise::DepthwiseGather<Self>
    + super::depthwise::DepthwiseOuter<Self>
    + super::elementwise::ElementwiseAdd<Self>
    + super::elementwise::ElementwiseApply<Self>
    + super::elementwise::ElementwiseApplyAdd<Self>
    + super::elementwise::ElementwiseApplyBack<Self>
    + super::elementwise::ElementwiseCombine<Self>
    + super::elementwise::ElementwiseMultiply<Self>
    + super::pool::PoolAverage<Self>
    + super::pool::PoolAverageBack<Self>
    + super::pool::PoolGlobal<Self>
    + super::pool::PoolGlobalBack<Self>
    + super::pool::PoolMax<Self>
    + super::pool::PoolMaxBack<Self>
    + super::pool::PoolMaxOf<Self>
    + super::pool::PoolWinners<Self>
    + super::activation_states::StatesHold<Self>
    + super::activation_states::StatesHoldBack<Self>
    + super::activation_states::StatesRecord<Self>
    + super::tiles::TilesGather<Self>
    + super::tiles::TilesOuter<Self>
    + super::winograd::WinogradGradient<Self>
    + super::winograd::WinogradInput<Self>
    + super::winograd::WinogradOutput<Self>
    + super::winograd::WinogradWeights<Self>
    + super::winograd::WinogradWeightsBack<Self>
{
    const ZERO: Self;
    const ONE: Self;
    /// Whether faster algorithms with somewhat larger rounding errors may be used.
    #[doc(hidden)]
    const FAST: bool;
    /// Sixteen numbers in AVX-512 registers.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    type V4: Vector16<T = Self>;
    /// Sixteen numbers in AVX2 registers.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    type V3: Vector16<T = Self>;

    /// Rounds to the nearest number of this type.
    fn of(x: f64) -> Self;
    /// Converts exactly.
    fn to_f64(self) -> f64;
    fn exp(self) -> Self;
    /// Computes c + a·b, fused where the processor has an instruction for that.
    #[doc(hidden)]
    fn add_product(c: Self, a: Self, b: Self) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! float {
    ($t:ident, $fast:literal, $v4:ident, $v3:ident) => {
        impl Float for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const FAST: bool = $fast;
            #[cfg(target_arch = "x86_64")]
            type V4 = vector::$v4;
            #[cfg(target_arch = "x86_64")]
            type V3 = vector::$v3;

            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $t::exp(self)
            }
            #[inline(always)]
            fn add_product(c: Self, a: Self, b: Self) -> Self {
                // Without hardware support `mul_add` is a slow call.
                if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
            }
        }
    };
}
float!(f32, true, V4F32, V3F32);
float!(f64, false, V4F64, V3F64);

/// A vector whose numbers start at a cache line, so that no [`Vector16`] of a blocked layout lies
/// across two.
#[derive(Debug, Default)]
pub(crate) struct Buffer<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Float> Buffer<T> {
    pub fn zeros(len: usize) -> Self {
        let size = size_of::<T>();
        let data = vec![T::ZERO; len + 64 / size];
        let start = (data.as_ptr() as usize).wrapping_neg() % 64 / size;
        Buffer { data, start, len }
    }

    /// Takes the smallest buffer of `old` with `len` to 2·`len` numbers, whose values stay as they
    /// are; if there is none, a fresh one.
    pub fn of(len: usize, old: &mut Vec<Self>) -> Self {
        let fits = |b: &&Self| (len..=2 * len).contains(&b.len);
        let best = old.iter().filter(fits).map(|b| b.len).min();
        match old.iter().position(|b| Some(b.len) == best) {
            Some(at) => old.swap_remove(at),
            None => Buffer::zeros(len),
        }
    }

    /// Returns the first `len` numbers, with whatever values they have; grows the buffer if it is
    /// shorter.
    pub fn take(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            *self = Buffer::zeros(len);
        }
        &mut self[..len]
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}
