//! Convolutions: sizes, packed weights, and the three passes over an image.
//!
//! Dense and grouped ones are sums over the taps of small matrix products ([`tiles`](super::tiles)),
//! depthwise ones are in [`depthwise`](super::depthwise). Backward by data of a strided convolution
//! runs once for each residue of the pixel's place by the stride, with the taps that meet it.

use lanner_network::{Conv, Shape};

use super::Float;
use super::blocked::Blocked;
use super::tiles::{Gather, Outer, Tap, gather, outer};
use super::wide::BLOCK;
use super::depthwise;

/// One convolution at one size of images.
#[derive(Debug, Clone)]
pub struct ConvKernel {
    pub op: Conv,
    /// Every channel sees itself alone.
    pub depthwise: bool,
    /// The blocked input, and the blocked gradient of the output.
    pub input: Blocked,
    pub gradient: Blocked,
    forward: Gather,
    backward: Vec<(usize, Gather)>,
    weights: Outer,
}

impl ConvKernel {
    pub fn new(op: Conv, input: Shape, output: Shape) -> ConvKernel {
        let depthwise = op.groups == input.channels && op.groups == op.out_channels;
        let groups = if depthwise { 1 } else { op.groups };
        let (ins, outs) = (input.channels / groups, output.channels / groups);
        let p = op.padding;
        let blocked_in = Blocked {
            groups,
            channels: ins,
            height: input.height,
            width: input.width,
            top: p,
            left: p,
            rows: input.height + 2 * p,
            cols: input.width + 2 * p,
        };
        let (rows, cols) =
            (Reach::of(op, input.height, output.height), Reach::of(op, input.width, output.width));
        let blocked_out = Blocked {
            groups,
            channels: outs,
            height: output.height,
            width: output.width,
            top: rows.before,
            left: cols.before,
            rows: rows.before + output.height + rows.after,
            cols: cols.before + output.width + cols.after,
        };
        let kernel = op.kernel * op.kernel;
        let line = blocked_in.cols * BLOCK;
        let taps: Vec<Tap> = (0..kernel)
            .map(|index| {
                let (y, x) = (index / op.kernel * op.dilation, index % op.kernel * op.dilation);
                Tap { offset: y * line + x * BLOCK, index }
            })
            .collect();
        let forward = Gather {
            taps: taps.clone(),
            kernel,
            channels: ins,
            plane: blocked_in.plane(),
            row: op.stride * line,
            step: op.stride * BLOCK,
            rows: output.height,
            cols: output.width,
            out_row: output.width * output.channels,
            out_step: output.channels,
            out_channels: outs,
        };
        let out_line = blocked_out.cols * BLOCK;
        let weights = Outer {
            taps,
            channels: ins,
            plane: blocked_in.plane(),
            row: op.stride * line,
            step: op.stride * BLOCK,
            out_channels: outs,
            out_plane: blocked_out.plane(),
            out_row: out_line,
            out_start: blocked_out.top * out_line + blocked_out.left * BLOCK,
            rows: output.height,
            cols: output.width,
        };
        let mut backward = Vec::new();
        for (y, row_taps) in rows.classes.iter().enumerate().take(input.height) {
            for (x, col_taps) in cols.classes.iter().enumerate().take(input.width) {
                let taps = row_taps
                    .iter()
                    .flat_map(|&(ky, from_y)| {
                        col_taps.iter().map(move |&(kx, from_x)| Tap {
                            offset: from_y * out_line + from_x * BLOCK,
                            index: ky * op.kernel + kx,
                        })
                    })
                    .collect();
                let pass = Gather {
                    taps,
                    kernel,
                    channels: outs,
                    plane: blocked_out.plane(),
                    row: out_line,
                    step: BLOCK,
                    rows: (input.height - y).div_ceil(op.stride),
                    cols: (input.width - x).div_ceil(op.stride),
                    out_row: op.stride * input.width * input.channels,
                    out_step: op.stride * input.channels,
                    out_channels: ins,
                };
                backward.push(((y * input.width + x) * input.channels, pass));
            }
        }
        ConvKernel {
            op,
            depthwise,
            input: blocked_in,
            gradient: blocked_out,
            forward,
            backward,
            weights,
        }
    }

    /// Numbers of packed weights, and of a part's sums of their gradients.
    pub fn packed_len(&self) -> usize {
        let kernel = self.op.kernel * self.op.kernel;
        if self.depthwise {
            return self.input.blocks() * kernel * BLOCK;
        }
        self.input.groups * self.input.blocks() * self.gradient.blocks() * kernel * BLOCK * BLOCK
    }

    /// Numbers of a bias filled up to blocks.
    pub fn bias_len(&self) -> usize {
        self.gradient.groups * self.gradient.blocks() * BLOCK
    }

    /// Numbers of a zero bias for the backward pass by data.
    pub fn input_bias_len(&self) -> usize {
        self.input.blocks() * BLOCK
    }

    /// Packs a kernel (outputs × inputs of a group × side × side) for the forward pass.
    pub fn pack<T: Float>(&self, weight: &[T], out: &mut [T]) {
        out.fill(T::ZERO);
        self.each_place(false, |at, place| out[place] = weight[at]);
    }

    /// Packs a kernel for the backward pass by data.
    pub fn pack_transposed<T: Float>(&self, weight: &[T], out: &mut [T]) {
        out.fill(T::ZERO);
        self.each_place(true, |at, place| out[place] = weight[at]);
    }

    /// Kernel and bias from parts that are laid out like packed weights and a packed bias.
    pub fn unpack<T: Float>(&self, packed: &[T], weight: &mut [T], bias: &mut [T]) {
        self.each_place(false, |at, place| weight[at] = packed[place]);
        let packed = &packed[self.packed_len()..];
        let per_group = self.gradient.blocks() * BLOCK;
        for (o, b) in bias.iter_mut().enumerate() {
            *b = packed[o / self.gradient.channels * per_group + o % self.gradient.channels];
        }
    }

    /// Adds the sum of a blocked gradient of the output over the pixels to a packed bias.
    pub fn backward_bias<T: Float>(&self, dz: &[T], d_bias: &mut [T]) {
        // The margin is zeros.
        for (plane, sum) in dz.chunks_exact(self.gradient.plane()).zip(d_bias.chunks_exact_mut(BLOCK)) {
            for pixel in plane.chunks_exact(BLOCK) {
                sum.iter_mut().zip(pixel).for_each(|(s, x)| *s += *x);
            }
        }
    }

    /// Calls `f(index in the kernel, index in the packed weights)` for every weight.
    fn each_place(&self, transposed: bool, mut f: impl FnMut(usize, usize)) {
        let kernel = self.op.kernel * self.op.kernel;
        if self.depthwise {
            for at in 0..self.input.channels * kernel {
                let (c, tap) = (at / kernel, at % kernel);
                f(at, (c / BLOCK * kernel + tap) * BLOCK + c % BLOCK);
            }
            return;
        }
        let (ins, outs) = (self.input.channels, self.gradient.channels);
        let (in_blocks, out_blocks) = (self.input.blocks(), self.gradient.blocks());
        let mut at = 0;
        for group in 0..self.input.groups {
            for o in 0..outs {
                for i in 0..ins {
                    let (to, blocks, from) =
                        if transposed { (i, out_blocks, o) } else { (o, in_blocks, i) };
                    let block = (group * in_blocks * out_blocks) + to / BLOCK * blocks + from / BLOCK;
                    let mut place =
                        (block * kernel * BLOCK + from % BLOCK) * BLOCK + to % BLOCK;
                    for _ in 0..kernel {
                        f(at, place);
                        at += 1;
                        place += BLOCK * BLOCK;
                    }
                }
            }
        }
    }

    /// Fills a bias, or none, up to blocks.
    pub fn pack_bias<T: Float>(&self, bias: &[T], out: &mut [T]) {
        out.fill(T::ZERO);
        let per_group = self.gradient.blocks() * BLOCK;
        for (o, b) in bias.iter().enumerate() {
            out[o / self.gradient.channels * per_group + o % self.gradient.channels] = *b;
        }
    }

    /// An image forward: `x` blocked, `w` and `bias` packed; `out` height × width × channels.
    pub fn forward<T: Float>(&self, x: &[T], w: &[T], bias: &[T], out: &mut [T]) {
        if self.depthwise {
            return depthwise::gather(&self.forward, x, w, bias, out);
        }
        let groups = self.input.groups;
        let (w_len, b_len) = (self.packed_len() / groups, self.bias_len() / groups);
        for g in 0..groups {
            let x = &x[g * self.input.group()..][..self.input.group()];
            let out = &mut out[g * self.gradient.channels..];
            gather(&self.forward, x, &w[g * w_len..], &bias[g * b_len..], out);
        }
    }

    /// An image backward by data: `dz` the blocked gradient of the output, `w` packed transposed,
    /// `zeros` as many as a group's input channels in whole blocks; `dx` height × width × channels.
    pub fn backward<T: Float>(&self, dz: &[T], w: &[T], zeros: &[T], dx: &mut [T]) {
        let groups = self.input.groups;
        let w_len = self.packed_len() / groups;
        for (first, pass) in &self.backward {
            if self.depthwise {
                depthwise::gather(pass, dz, w, zeros, &mut dx[*first..]);
                continue;
            }
            for g in 0..groups {
                let dz = &dz[g * self.gradient.group()..][..self.gradient.group()];
                let dx = &mut dx[first + g * self.input.channels..];
                gather(pass, dz, &w[g * w_len..], zeros, dx);
            }
        }
    }

    /// An image backward by weights: added to `dw`, which is laid out like packed weights.
    pub fn backward_weights<T: Float>(&self, x: &[T], dz: &[T], dw: &mut [T]) {
        if self.depthwise {
            return depthwise::outer(&self.weights, x, dz, dw);
        }
        let groups = self.input.groups;
        let w_len = self.packed_len() / groups;
        for (g, dw) in dw.chunks_exact_mut(w_len).enumerate() {
            let x = &x[g * self.input.group()..][..self.input.group()];
            let dz = &dz[g * self.gradient.group()..][..self.gradient.group()];
            outer(&self.weights, x, dz, dw);
        }
    }

    /// Multiply-accumulates of an image forward.
    pub fn macs(&self) -> u64 {
        let pixels = (self.gradient.height * self.gradient.width) as u64;
        let outs = (self.gradient.groups * self.gradient.channels) as u64;
        let ins = if self.depthwise { 1 } else { self.input.channels } as u64;
        pixels * outs * ins * (self.op.kernel * self.op.kernel) as u64
    }
}

/// Which outputs the gradient of an input pixel reads, along one side.
struct Reach {
    /// For each residue of the pixel's place by the stride: (tap, the place in the margined
    /// gradient of the output that it meets for the first such pixel).
    classes: Vec<Vec<(usize, usize)>>,
    /// Zeros needed before and after the gradient.
    before: usize,
    after: usize,
}

impl Reach {
    /// Output y reads input y·stride + tap·dilation − padding; so input i = residue + q·stride meets
    /// output q + (residue + padding − tap·dilation)/stride, where that is whole.
    fn of(op: Conv, input: usize, output: usize) -> Reach {
        let (stride, padding, dilation) =
            (op.stride as isize, op.padding as isize, op.dilation as isize);
        let classes: Vec<Vec<(usize, isize)>> = (0..stride)
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
        for (residue, taps) in classes.iter().enumerate() {
            let places = input.saturating_sub(residue).div_ceil(op.stride) as isize;
            // Also where no tap meets a pixel: the loops step over the gradient's place all the same.
            after = after.max(places - output as isize);
            for (_, d) in taps {
                before = before.max(-d);
                after = after.max(places + d - output as isize);
            }
        }
        let classes = classes
            .into_iter()
            .map(|taps| taps.into_iter().map(|(tap, d)| (tap, (d + before) as usize)).collect())
            .collect();
        Reach { classes, before: before as usize, after: after as usize }
    }
}
