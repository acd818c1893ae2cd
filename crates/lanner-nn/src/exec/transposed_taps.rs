//! Taps of the backward pass by data of a strided or dilated convolution, a transposed convolution.

use lanner_network::Conv;

/// Taps and outputs that the gradient of an input pixel reads, along one side.
pub struct TransposedTaps {
    /// For each remainder of the pixel's place divided by the stride: the taps that reach such
    /// pixels, and the place in the output's gradient, margin included, that a tap reads for the
    /// first of them.
    pub by_residue: Vec<Vec<(usize, usize)>>,
    /// Number of zeros needed before and after the gradient.
    pub before: usize,
    pub after: usize,
}

impl TransposedTaps {
    /// Output y reads input y·stride + tap·dilation − padding; so input i = residue + q·stride
    /// meets output q + (residue + padding − tap·dilation)/stride, where that is whole.
    pub fn of(op: Conv, input: usize, output: usize) -> TransposedTaps {
        let (stride, padding, dilation) =
            (op.stride as isize, op.padding as isize, op.dilation as isize);
        let by_residue: Vec<Vec<(usize, isize)>> = (0..stride)
            .map(|residue| {
                (0..op.kernel)
                    .filter_map(|tap| {
                        let d = residue + padding - tap as isize * dilation;
                        (d % stride == 0).then_some((tap, d / stride))
                    })
                    .collect()
            })
            .collect();
        let (mut before, mut after) = (0, 0);
        for (residue, taps) in by_residue.iter().enumerate() {
            let places = input.saturating_sub(residue).div_ceil(op.stride) as isize;
            // Even where no tap reaches a pixel, the loops step over the gradient's place.
            after = after.max(places - output as isize);
            for (_, d) in taps {
                before = before.max(-d);
                after = after.max(places + d - output as isize);
            }
        }
        let by_residue = by_residue
            .into_iter()
            .map(|taps| taps.into_iter().map(|(tap, d)| (tap, (d + before) as usize)).collect())
            .collect();
        TransposedTaps { by_residue, before: before as usize, after: after as usize }
    }
}
