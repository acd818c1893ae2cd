//! Vectors of sixteen numbers on every processor, and the run-time choice of the instruction set.
//!
//! A [`Vector16`] always has [`BLOCK`] numbers, in one register of AVX-512 for `f32`, in two of
//! AVX2, in a plain array elsewhere (which compilers turn into NEON). So the layouts of packed
//! weights and of blocked images are the same everywhere, and a kernel is written once.

use super::Float;

/// Number of numbers in a [`Vector16`], and of channels in a block.
pub const BLOCK: usize = 16;

/// A vector of [`BLOCK`] numbers. All methods must be inlined into a function that is compiled for
/// the instruction set, see [`dispatch`].
pub trait Vector16: Copy {
    type T: Float;
    /// Number of accumulators that a kernel should keep, a power of two: enough to hide the latency
    /// of a multiply-add, few enough to fit in the registers.
    const ACCUMULATORS: usize;

    fn splat(x: Self::T) -> Self;
    /// # Safety
    /// `p` is readable for [`BLOCK`] numbers, and the processor has the instruction set.
    unsafe fn load(p: *const Self::T) -> Self;
    /// # Safety
    /// `p` is writable for [`BLOCK`] numbers, and the processor has the instruction set.
    unsafe fn store(self, p: *mut Self::T);
    /// Computes self + a·b.
    fn add_product(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Takes the greater of each pair; NaN in self stays NaN.
    fn at_least(self, floor: Self) -> Self;
    /// Takes the lesser of each pair; NaN in self stays NaN.
    fn at_most(self, ceiling: Self) -> Self;

    /// Loads `n` numbers from `p`, and zeros for the rest.
    ///
    /// # Safety
    /// `p` is readable for `n` ≤ [`BLOCK`] numbers, and the processor has the instruction set.
    #[inline(always)]
    unsafe fn load_part(p: *const Self::T, n: usize) -> Self {
        let mut all = [Self::T::ZERO; BLOCK];
        // SAFETY: the caller's promise; `all` has BLOCK ≥ n numbers.
        unsafe {
            std::ptr::copy_nonoverlapping(p, all.as_mut_ptr(), n);
            Self::load(all.as_ptr())
        }
    }

    /// Writes the first `n` numbers to `p`.
    ///
    /// # Safety
    /// `p` is writable for `n` ≤ [`BLOCK`] numbers, and the processor has the instruction set.
    #[inline(always)]
    unsafe fn store_part(self, p: *mut Self::T, n: usize) {
        let mut all = [Self::T::ZERO; BLOCK];
        // SAFETY: the caller's promise; `all` has BLOCK ≥ n numbers.
        unsafe {
            self.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), p, n);
        }
    }

    /// Applies `f` to each number.
    #[inline(always)]
    fn map(self, f: impl Fn(Self::T) -> Self::T) -> Self {
        let mut all = [Self::T::ZERO; BLOCK];
        // SAFETY: `all` has BLOCK numbers; a value of this type exists only where its instruction
        // set does.
        unsafe {
            self.store(all.as_mut_ptr());
            for x in &mut all {
                *x = f(*x);
            }
            Self::load(all.as_ptr())
        }
    }
}

/// A vector in a plain array.
#[derive(Clone, Copy)]
pub struct Portable<T>([T; BLOCK]);

impl<T: Float> Vector16 for Portable<T> {
    type T = T;
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(x: T) -> Self {
        Portable([x; BLOCK])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller's promise; an array of T needs no more alignment than T.
        Portable(unsafe { p.cast::<[T; BLOCK]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: as for `load`.
        unsafe { p.cast::<[T; BLOCK]>().write(self.0) }
    }
    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| T::add_product(self.0[i], a.0[i], b.0[i])))
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + o.0[i]))
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] - o.0[i]))
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] * o.0[i]))
    }
    #[inline(always)]
    fn at_least(self, o: Self) -> Self {
        Portable(std::array::from_fn(|i| if self.0[i] < o.0[i] { o.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    fn at_most(self, o: Self) -> Self {
        Portable(std::array::from_fn(|i| if self.0[i] > o.0[i] { o.0[i] } else { self.0[i] }))
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{V3F32, V3F64, V4F32, V4F64};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, Vector16};

    /// A [`Vector16`] of `$n` registers of type `$reg`, each of `$lanes` numbers.
    macro_rules! wide {
        ($(#[$meta:meta])* $name:ident, $t:ty, $reg:ty, $n:literal, $lanes:literal, $acc:literal,
         $set1:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $sub:ident, $mul:ident,
         $max:ident, $min:ident) => {
            $(#[$meta])*
            #[derive(Clone, Copy)]
            pub struct $name([$reg; $n]);

            // SAFETY of every block below: intrinsics need the instruction set, which is there
            // wherever a kernel of this type is dispatched; loads and stores stay within the BLOCK
            // numbers that the caller promises.
            impl Vector16 for $name {
                type T = $t;
                const ACCUMULATORS: usize = $acc;

                #[inline(always)]
                fn splat(x: $t) -> Self {
                    $name([unsafe { $set1(x) }; $n])
                }
                #[inline(always)]
                unsafe fn load(p: *const $t) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $load(p.add(i * $lanes)) }))
                }
                #[inline(always)]
                unsafe fn store(self, p: *mut $t) {
                    for i in 0..$n {
                        unsafe { $store(p.add(i * $lanes), self.0[i]) }
                    }
                }
                #[inline(always)]
                fn add_product(self, a: Self, b: Self) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $fma(a.0[i], b.0[i], self.0[i]) }))
                }
                #[inline(always)]
                fn add(self, o: Self) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $add(self.0[i], o.0[i]) }))
                }
                #[inline(always)]
                fn sub(self, o: Self) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $sub(self.0[i], o.0[i]) }))
                }
                #[inline(always)]
                fn mul(self, o: Self) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $mul(self.0[i], o.0[i]) }))
                }
                // The instructions yield their second operand where one is NaN.
                #[inline(always)]
                fn at_least(self, o: Self) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $max(o.0[i], self.0[i]) }))
                }
                #[inline(always)]
                fn at_most(self, o: Self) -> Self {
                    $name(std::array::from_fn(|i| unsafe { $min(o.0[i], self.0[i]) }))
                }
            }
            const _: () = assert!($n * $lanes == BLOCK);
        };
    }

    wide!(
        /// AVX-512.
        V4F32, f32, __m512, 1, 16, 16,
        _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
        _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps,
        _mm512_max_ps, _mm512_min_ps
    );
    wide!(
        /// AVX-512.
        V4F64, f64, __m512d, 2, 8, 8,
        _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd,
        _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd,
        _mm512_max_pd, _mm512_min_pd
    );
    wide!(
        /// AVX2 and FMA.
        V3F32, f32, __m256, 2, 8, 4,
        _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
        _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps,
        _mm256_max_ps, _mm256_min_ps
    );
    wide!(
        /// AVX2 and FMA.
        V3F64, f64, __m256d, 4, 4, 2,
        _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd,
        _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd,
        _mm256_max_pd, _mm256_min_pd
    );
}

/// An instruction set.
#[cfg(any(test, target_arch = "x86_64"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    V3,
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    V4,
}

#[cfg(test)]
thread_local! {
    /// The best instruction set that tests of this thread use.
    static LIMIT: std::cell::Cell<Option<Isa>> = const { std::cell::Cell::new(None) };
}

#[cfg(any(test, target_arch = "x86_64"))]
impl Isa {
    /// The best instruction set of the processor.
    #[inline]
    pub fn detect() -> Isa {
        #[cfg(test)]
        if let Some(limit) = LIMIT.get() {
            return limit.min(Isa::native());
        }
        Isa::native()
    }

    /// Runs `f` on this thread with each instruction set that the processor has.
    #[cfg(test)]
    pub fn each(mut f: impl FnMut(Isa)) {
        #[cfg(target_arch = "x86_64")]
        let all = [Isa::Portable, Isa::V3, Isa::V4];
        #[cfg(not(target_arch = "x86_64"))]
        let all = [Isa::Portable];
        for isa in all.into_iter().filter(|&isa| isa <= Isa::native()) {
            LIMIT.set(Some(isa));
            f(isa);
            LIMIT.set(None);
        }
    }

    #[inline]
    fn native() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Isa::V4;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Isa::V3;
            }
        }
        Isa::Portable
    }
}

/// Repeats the body for m = 0 to M − 1 (M ≤ 16). Arrays that are only indexed by constants are sure
/// to be held in registers, and compilers give up on unrolling long bodies.
macro_rules! unrolled {
    ($m:ident in $most:expr => $body:expr) => {
        unrolled!(@ $m, $most, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $m:ident, $most:expr, $body:expr, $($at:literal)*) => {
        $( if $at < $most { const $m: usize = $at; $body; } )*
    };
}
pub(crate) use unrolled;

/// Defines a function that runs a kernel in the best instruction set: `fn name<T>(args) by Trait =
/// kernel;`, where `kernel<V: Vector16<T = T>>` takes the same arguments and is
/// `#[inline(always)]`.
///
/// The trait, a bound of [`Float`], keeps the machine code in this crate. A generic function would
/// be compiled again, for each instruction set, in every crate that runs networks.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<T>($($arg:ident: $ty:ty),* $(,)?)
        by $trait:ident = $kernel:ident;) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name<T: $crate::exec::Float>($($arg: $ty),*) {
            <T as $trait<T>>::run($($arg),*)
        }
        #[doc(hidden)]
        pub trait $trait<T> {
            #[allow(clippy::too_many_arguments)]
            fn run($($arg: $ty),*);
        }
        $crate::exec::vector::dispatch!(@ f32, $trait, $kernel, $($arg: $ty),*);
        $crate::exec::vector::dispatch!(@ f64, $trait, $kernel, $($arg: $ty),*);
    };
    (@ $t:ident, $trait:ident, $kernel:ident, $($arg:ident: $ty:ty),*) => {
        const _: () = {
            type T = $t;
            impl $trait<T> for T {
                #[allow(clippy::too_many_arguments)]
                fn run($($arg: $ty),*) {
                    #[cfg(target_arch = "x86_64")]
                    {
                        use $crate::exec::{Float, vector::Isa};
                        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                        #[allow(clippy::too_many_arguments)]
                        fn v4($($arg: $ty),*) {
                            $kernel::<<T as Float>::V4>($($arg),*)
                        }
                        #[target_feature(enable = "avx2,fma")]
                        #[allow(clippy::too_many_arguments)]
                        fn v3($($arg: $ty),*) {
                            $kernel::<<T as Float>::V3>($($arg),*)
                        }
                        match Isa::detect() {
                            // SAFETY: the features that `v4` is compiled for were just detected.
                            Isa::V4 => return unsafe { v4($($arg),*) },
                            // SAFETY: the features that `v3` is compiled for were just detected.
                            Isa::V3 => return unsafe { v3($($arg),*) },
                            Isa::Portable => {}
                        }
                    }
                    $kernel::<$crate::exec::vector::Portable<T>>($($arg),*)
                }
            }
        };
    };
}
pub(crate) use dispatch;

/// Defines a function like [`dispatch`] does, from a body of plain safe code over slices that is
/// compiled for each instruction set.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<T>($($arg:ident: $ty:ty),* $(,)?) by $trait:ident
        $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name<T: $crate::exec::Float>($($arg: $ty),*) {
            <T as $trait<T>>::run($($arg),*)
        }
        #[doc(hidden)]
        pub trait $trait<T> {
            #[allow(clippy::too_many_arguments)]
            fn run($($arg: $ty),*);
        }
        $crate::exec::vector::vectorised!(@ f32, $trait, ($($arg: $ty),*), $body);
        $crate::exec::vector::vectorised!(@ f64, $trait, ($($arg: $ty),*), $body);
    };
    (@ $t:ident, $trait:ident, ($($arg:ident: $ty:ty),*), $body:block) => {
        const _: () = {
            type T = $t;
            impl $trait<T> for T {
                #[allow(clippy::too_many_arguments)]
                fn run($($arg: $ty),*) {
                    #[inline(always)]
                    #[allow(clippy::too_many_arguments)]
                    fn body($($arg: $ty),*) $body
                    #[cfg(target_arch = "x86_64")]
                    {
                        use $crate::exec::vector::Isa;
                        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                        #[allow(clippy::too_many_arguments)]
                        fn v4($($arg: $ty),*) { body($($arg),*) }
                        #[target_feature(enable = "avx2,fma")]
                        #[allow(clippy::too_many_arguments)]
                        fn v3($($arg: $ty),*) { body($($arg),*) }
                        match Isa::detect() {
                            // SAFETY: the features that `v4` is compiled for were just detected.
                            Isa::V4 => return unsafe { v4($($arg),*) },
                            // SAFETY: the features that `v3` is compiled for were just detected.
                            Isa::V3 => return unsafe { v3($($arg),*) },
                            Isa::Portable => {}
                        }
                    }
                    body($($arg),*)
                }
            }
        };
    };
}
pub(crate) use vectorised;
