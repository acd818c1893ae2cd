//! The same steps on eight numbers at a time, which the compiler turns into vector instructions.

pub(crate) const LANES: usize = 8;
pub(crate) type Lanes = [f64; LANES];

/// Adds a multiple.
#[inline(always)]
pub(crate) fn add(to: &mut Lanes, values: &Lanes, factor: f64) {
    for l in 0..LANES {
        to[l] += values[l] * factor;
    }
}

/// Lane by lane.
#[inline(always)]
pub(crate) fn dot(a: &[Lanes], b: &[Lanes]) -> Lanes {
    let mut sum = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for l in 0..LANES {
            sum[l] += a[l] * b[l];
        }
    }
    sum
}

/// The same number in every lane of one vector, by that of another.
#[inline(always)]
pub(crate) fn dot_with(a: &[Lanes], b: &[f64]) -> Lanes {
    let mut sum = [0.0; LANES];
    for (a, &b) in a.iter().zip(b) {
        add(&mut sum, a, b);
    }
    sum
}
