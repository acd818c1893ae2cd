//! Run-time choice of the instruction set for loops that the compiler vectorises.

/// Defines a function whose body is compiled for AVX-512, AVX2 and the baseline, and runs the best
/// version that the processor has. The body must be plain safe code over slices.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn v4($($arg: $ty),*) { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn v3($($arg: $ty),*) { body($($arg),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the features that `v4` is compiled for were just detected (AVX2 and
                    // FMA are part of every AVX-512 processor).
                    return unsafe { v4($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the features that `v3` is compiled for were just detected.
                    return unsafe { v3($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// Number of independent partial sums. The compiler may not reorder floating-point additions, so
/// the order that suits vector registers is written out.
pub(crate) const LANES: usize = 32;

/// Sums `f(i)` over `0..n` in [`LANES`] interleaved partial sums.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // plain indices are what the compiler vectorises best here
pub(crate) fn lane_sum<const N: usize>(n: usize, f: impl Fn(usize) -> [f32; N]) -> [f32; N] {
    let mut lanes = [[0.0f32; LANES]; N];
    let whole = n / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for l in 0..LANES {
            let x = f(i + l);
            for s in 0..N {
                lanes[s][l] += x[s];
            }
        }
        i += LANES;
    }
    for l in 0..n - whole {
        let x = f(whole + l);
        for s in 0..N {
            lanes[s][l] += x[s];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for sum in &mut lanes {
            for l in 0..width {
                sum[l] += sum[l + width];
            }
        }
        width /= 2;
    }
    std::array::from_fn(|s| lanes[s][0])
}
