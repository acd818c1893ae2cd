//! Compares the three passes of convolutions with their definition, on every instruction set.

use lanner_network::{Builder, Conv, Op, Shape};
use proptest::prelude::*;

use super::Float;
use super::blocked::{self, Change};
use super::conv::ConvKernel;
use super::float::Buffer;
use super::vector::Isa;
use super::workers::{Scratch, groups};

/// Number of random convolutions, the most channels and the largest images: Miri is a thousand times slower.
const CASES: u32 = if cfg!(miri) { 2 } else { 96 };
const WIDEST: usize = if cfg!(miri) { 20 } else { 40 };
const LARGEST: usize = if cfg!(miri) { 5 } else { 12 };

/// Output and the gradients by input, kernel and bias.
type Passes = [Vec<f64>; 4];

/// Computes the passes by their definition. Images are height × width × channels.
fn slow(
    conv: Conv,
    [input, output]: [Shape; 2],
    [x, w, bias, dz]: [&[f64]; 4],
    images: usize,
) -> Passes {
    let (ins, outs) = (input.channels / conv.groups, output.channels / conv.groups);
    let mut y: Vec<f64> = vec![0.0; images * output.len()];
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    let mut d_bias = vec![0.0; bias.len()];
    for n in 0..images {
        for at in 0..output.len() {
            let (o, ox) = (at % output.channels, at / output.channels % output.width);
            let oy = at / output.channels / output.width;
            let out = n * output.len() + at;
            if conv.bias {
                y[out] += bias[o];
                d_bias[o] += dz[out];
            }
            for i in 0..ins {
                for tap in 0..conv.kernel * conv.kernel {
                    let iy = oy * conv.stride + tap / conv.kernel * conv.dilation;
                    let ix = ox * conv.stride + tap % conv.kernel * conv.dilation;
                    let (Some(iy), Some(ix)) =
                        (iy.checked_sub(conv.padding), ix.checked_sub(conv.padding))
                    else {
                        continue;
                    };
                    if iy >= input.height || ix >= input.width {
                        continue;
                    }
                    let channel = o / outs * ins + i;
                    let from = n * input.len() + (iy * input.width + ix) * input.channels + channel;
                    let weight = (o * ins + i) * conv.kernel * conv.kernel + tap;
                    y[out] += x[from] * w[weight];
                    dx[from] += dz[out] * w[weight];
                    dw[weight] += dz[out] * x[from];
                }
            }
        }
    }
    [y, dx, dw, d_bias]
}

fn fast<T: Float>(
    conv: Conv,
    [input, output]: [Shape; 2],
    numbers: [&[f64]; 4],
    images: usize,
) -> Passes {
    let [x, w, bias, dz] = numbers.map(|v| v.iter().map(|&x| T::of(x)).collect::<Vec<T>>());
    let kernel = ConvKernel::new(conv, input, output, T::FAST);
    let (mut s, mut packed) = (Scratch::default(), Buffer::default());
    let (mut forward, mut backward) = (Buffer::default(), Buffer::default());
    kernel.prepare(&w, false, &mut packed, &mut forward);
    kernel.prepare(&w, true, &mut packed, &mut backward);
    let mut packed_bias = vec![T::ZERO; kernel.bias_len()];
    kernel.pack_bias(&bias, &mut packed_bias);
    let zeros = vec![T::ZERO; kernel.input_bias_len()];
    let plain = Change::Apply { norm: None, act: None };
    let mut load_x = |n: usize, out: &mut [T]| {
        blocked::load(&x[n * input.len()..][..input.len()], &kernel.input, plain, out);
    };
    let load_dz = |n: usize, out: &mut [T]| {
        blocked::load(&dz[n * output.len()..][..output.len()], &kernel.gradient, plain, out);
    };
    let mut y = vec![T::of(f64::NAN); images * output.len()];
    let mut dx = vec![T::of(f64::NAN); x.len()];
    let mut sums = vec![T::ZERO; kernel.packed_len()];
    let mut bias_sums = vec![T::ZERO; kernel.bias_len()];
    for group in groups(0..images, kernel.images()) {
        let out = &mut y[group.image * output.len()..][..group.count * output.len()];
        let w = &forward[..kernel.weights_len()];
        kernel.forward(group, &mut load_x, w, &packed_bias, out, &mut s);
        let dx = &mut dx[group.image * input.len()..][..group.count * input.len()];
        let dw = Some((&mut sums[..], &mut bias_sums[..]));
        let w = &backward[..kernel.weights_len()];
        kernel.backward(group, &mut load_x, &load_dz, w, &zeros, Some(dx), dw, &mut s);
    }
    sums.extend(bias_sums);
    let (mut dw, mut d_bias) = (vec![T::ZERO; w.len()], vec![T::ZERO; bias.len()]);
    kernel.unpack(&sums, &mut dw, &mut d_bias);
    [y, dx, dw, d_bias].map(|v| v.iter().map(|x| x.to_f64()).collect())
}

fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut v = vec![0.0; len];
    crate::uniform(&mut v, 1.0, &mut crate::rng(seed, "convolution test"));
    v.into_iter().map(f64::from).collect()
}

fn check(input: Shape, conv: Conv, images: usize) -> Result<(), TestCaseError> {
    let mut net = Builder::new("one", input).unwrap();
    let Ok(at) = net.add("conv", Op::Conv(conv), &[0]) else { return Ok(()) };
    let shapes = [input, net.shape(at).unwrap()];
    let weights = conv.kernel_shape(input.channels).iter().product();
    let x = numbers(images * input.len(), 1);
    let (w, dz) = (numbers(weights, 2), numbers(images * shapes[1].len(), 4));
    let bias = numbers(if conv.bias { conv.out_channels } else { 0 }, 3);
    let all = [&x[..], &w, &bias, &dz];
    let want = slow(conv, shapes, all, images);
    let mut result = Ok(());
    Isa::each(|isa| {
        let kinds = [
            (fast::<f32>(conv, shapes, all, images), 3e-5),
            (fast::<f64>(conv, shapes, all, images), 1e-12),
        ];
        for (got, tolerance) in kinds {
            for (pass, (got, want)) in got.iter().zip(&want).enumerate() {
                let scale = want.iter().fold(1.0f64, |a, x| a.max(x.abs()));
                let wrong = got.iter().zip(want).position(|(g, w)| {
                    let error = (g - w).abs();
                    error.is_nan() || error > tolerance * scale
                });
                if let Some(k) = wrong {
                    result = Err(TestCaseError::fail(format!(
                        "{isa:?} {input} {conv:?}: pass {pass} [{k}] is {} for {}",
                        got[k], want[k]
                    )));
                }
            }
        }
    });
    result
}

fn conv(
    [kernel, stride, padding, dilation]: [usize; 4],
    groups: usize,
    out_channels: usize,
    bias: bool,
) -> Conv {
    Conv { out_channels, kernel, stride, padding, dilation, groups, bias, flat: false }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_convolution_is_its_definition(
        sizes in (1..WIDEST, 1..WIDEST, 1..LARGEST, 1..LARGEST),
        kernel in 1usize..6, stride in 1usize..4, padding in 0usize..4, dilation in 1usize..4,
        bias: bool,
    ) {
        let (ins, outs, height, width) = sizes;
        check(Shape::new(ins, height, width), conv([kernel, stride, padding, dilation], 1, outs, bias), 2)?;
    }

    #[test]
    fn grouped_convolutions_are_their_definition(
        groups in 1..WIDEST / 2, ins in 1usize..4, outs in 1usize..4, height in 1..LARGEST,
        width in 1..2 * LARGEST, kernel in 1usize..6, stride in 1usize..3, padding in 0usize..3, bias: bool,
    ) {
        let op = conv([kernel, stride, padding, 1], groups, groups * outs, bias);
        check(Shape::new(groups * ins, height, width), op, 2)?;
    }

    #[test]
    fn three_by_three_is_its_definition(
        ins in 12..WIDEST, outs in 12..WIDEST, height in 4..LARGEST + 2, width in 4..LARGEST + 2,
        images in 1..LARGEST, bias: bool,
    ) {
        check(Shape::new(ins, height, width), conv([3, 1, 1, 1], 1, outs, bias), images)?;
    }
}

#[test]
fn published_sizes_are_their_definition() {
    for (channels, side) in [(16, 32), (32, 16), (64, 8)] {
        check(Shape::new(channels, side, side), Conv::same(channels, 3), 1).unwrap();
    }
}
