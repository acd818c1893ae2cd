//! Convolutions: sizes, and the three passes over an image.
//!
//! Dense and grouped convolutions are sums over the taps of small matrix products
//! ([`tiles`](super::tiles)); [`depthwise`](super::depthwise) has the depthwise ones. The backward
//! pass by data of a strided convolution runs once for each remainder of a pixel's place divided by
//! the stride, with the taps that reach such pixels.

use lanner_network::{Conv, Shape};

use super::Float;
use super::blocked::Blocked;
use super::depthwise;
use super::float::Buffer;
use super::tiles::{Gather, Outer, Tap, gather, outer};
use super::transposed_taps::TransposedTaps;
use super::vector::BLOCK;
use super::winograd::Winograd;
use super::workers::{Group, Scratch};

/// One convolution at one size of images.
#[derive(Debug, Clone)]
pub struct ConvKernel {
    pub op: Conv,
    /// Each channel is convolved by itself.
    pub depthwise: bool,
    /// Shapes of the blocked input and of the blocked gradient of the output.
    pub input: Blocked,
    pub gradient: Blocked,
    /// Winograd's algorithm for 3×3 kernels, where it is faster.
    pub(super) winograd: Option<Winograd>,
    forward: Gather,
    backward: Vec<(usize, Gather)>,
    weights: Outer,
}

impl ConvKernel {
    /// Plans a convolution. `fast` allows rounding errors some ten times those of plain sums.
    pub fn new(op: Conv, input: Shape, output: Shape, fast: bool) -> ConvKernel {
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
        let (rows, cols) = (
            TransposedTaps::of(op, input.height, output.height),
            TransposedTaps::of(op, input.width, output.width),
        );
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
        let plain = Conv { bias: op.bias, ..Conv::same(op.out_channels, 3) };
        // Below these sizes, transforming costs more than it saves.
        let large = ins.min(outs) >= 12 && input.height.min(input.width) >= 4;
        let winograd = (fast && large && op == plain)
            .then(|| Winograd::new(input.height, input.width, ins, outs));
        let (blocked_in, blocked_out) = match &winograd {
            Some(w) => (w.blocked(ins), w.blocked(outs)),
            None => (blocked_in, blocked_out),
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
        for (y, row_taps) in rows.by_residue.iter().enumerate().take(input.height) {
            for (x, col_taps) in cols.by_residue.iter().enumerate().take(input.width) {
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
            winograd,
            forward,
            backward,
            weights,
        }
    }

    /// Sums a blocked gradient of the output over the pixels, and adds that to a packed bias.
    fn backward_bias<T: Float>(&self, dz: &[T], d_bias: &mut [T]) {
        // The margin adds nothing, it is zeros.
        for (plane, sum) in
            dz.chunks_exact(self.gradient.plane()).zip(d_bias.chunks_exact_mut(BLOCK))
        {
            for pixel in plane.chunks_exact(BLOCK) {
                sum.iter_mut().zip(pixel).for_each(|(s, x)| *s += *x);
            }
        }
    }

    /// Number of images that are best computed together.
    pub fn images(&self) -> usize {
        self.winograd.as_ref().map_or(1, |w| w.images)
    }

    /// Length of prepared weights.
    pub fn weights_len(&self) -> usize {
        self.winograd.as_ref().map_or(self.packed_len(), Winograd::weights_len)
    }

    /// Length of the scratch that a worker needs.
    pub fn scratch_len(&self) -> usize {
        let blocked = self.input.len() + self.gradient.len();
        let tiles = self.winograd.as_ref().map_or(0, |w| {
            let sides = [self.input.channels, self.gradient.channels];
            w.weights_len() + 2 * sides.map(|c| w.tiles_len(w.images, c)).iter().sum::<usize>()
        });
        blocked + tiles
    }

    /// Prepares a kernel for the forward pass, or with `transposed` for the backward pass by data.
    /// `packed` is scratch.
    pub fn prepare<T: Float>(
        &self,
        weight: &[T],
        transposed: bool,
        packed: &mut Buffer<T>,
        out: &mut Buffer<T>,
    ) {
        match &self.winograd {
            None => self.pack(weight, transposed, out.take(self.packed_len())),
            Some(winograd) => {
                let packed = packed.take(self.packed_len());
                self.pack(weight, transposed, packed);
                winograd.weights(packed, out.take(winograd.weights_len()));
            }
        }
    }

    /// Runs a group of images forward. `load(image, x)` writes an image's blocked input to `x`; `w`
    /// and `bias` are prepared; `out`: images × height × width × channels.
    pub fn forward<T: Float>(
        &self,
        group: Group,
        load: &mut dyn FnMut(usize, &mut [T]),
        w: &[T],
        bias: &[T],
        out: &mut [T],
        s: &mut Scratch<T>,
    ) {
        let x = s.x.take(self.input.len());
        let Some(winograd) = &self.winograd else {
            let len = out.len() / group.count;
            for (k, out) in out.chunks_exact_mut(len).enumerate() {
                load(group.image + k, x);
                self.forward_image(x, w, bias, out);
            }
            return;
        };
        let (ins, outs) = (self.input.channels, self.gradient.channels);
        let [tiles, products, _] = &mut s.tiles;
        let tiles = tiles.take(winograd.tiles_len(group.count, ins));
        for k in 0..group.count {
            load(group.image + k, x);
            winograd.input(x, ins, k, group.count, tiles);
        }
        let zeros = s.by_channel.take(self.bias_len());
        zeros.fill(T::ZERO);
        let products = products.take(winograd.tiles_len(group.count, outs));
        winograd.products(tiles, w, zeros, [ins, outs], group.count, products);
        winograd.output(products, outs, bias, out);
    }

    /// Runs a group of images backward. `load_x` and `load_dz` load an image's input and the
    /// gradient of its output, both blocked; `w` is prepared transposed; `zeros` has
    /// [`ConvKernel::input_bias_len`] zeros. `dx`, if wanted, is overwritten; `dw`, if wanted, is
    /// added to, and laid out like packed weights and a packed bias.
    #[allow(clippy::too_many_arguments)]
    pub fn backward<T: Float>(
        &self,
        group: Group,
        load_x: &mut dyn FnMut(usize, &mut [T]),
        load_dz: &dyn Fn(usize, &mut [T]),
        w: &[T],
        zeros: &[T],
        dx: Option<&mut [T]>,
        dw: Option<(&mut [T], &mut [T])>,
        s: &mut Scratch<T>,
    ) {
        let (dz, x) = (s.dz.take(self.gradient.len()), s.x.take(self.input.len()));
        let (mut dw, mut d_bias) = dw.unzip();
        let mut add_bias = |dz: &[T]| {
            if let (true, Some(d_bias)) = (self.op.bias, &mut d_bias) {
                self.backward_bias(dz, d_bias);
            }
        };
        let Some(winograd) = &self.winograd else {
            let mut dx = dx;
            for k in 0..group.count {
                load_dz(group.image + k, dz);
                add_bias(dz);
                if let Some(dw) = &mut dw {
                    load_x(group.image + k, x);
                    self.backward_weights(x, dz, dw);
                }
                if let Some(dx) = &mut dx {
                    let len = dx.len() / group.count;
                    self.backward_image(dz, w, zeros, &mut dx[k * len..][..len]);
                }
            }
            return;
        };
        let (ins, outs) = (self.input.channels, self.gradient.channels);
        let [first, second, third] = &mut s.tiles;
        let dz_tiles = first.take(winograd.tiles_len(group.count, outs));
        let mut data = dx.map(|dx| (dx, third.take(winograd.tiles_len(group.count, outs))));
        for k in 0..group.count {
            load_dz(group.image + k, dz);
            add_bias(dz);
            if dw.is_some() {
                winograd.gradient(dz, k, group.count, dz_tiles);
            }
            if let Some((_, tiles)) = &mut data {
                winograd.input(dz, outs, k, group.count, tiles);
            }
        }
        if let Some((dx, tiles)) = data {
            let products = second.take(winograd.tiles_len(group.count, ins));
            winograd.products(tiles, w, zeros, [outs, ins], group.count, products);
            winograd.output(products, ins, zeros, dx);
        }
        if dw.is_none() {
            return;
        }
        let x_tiles = second.take(winograd.tiles_len(group.count, ins));
        for k in 0..group.count {
            load_x(group.image + k, x);
            winograd.input(x, ins, k, group.count, x_tiles);
        }
        let sums = s.weights.take(winograd.weights_len());
        if group.first {
            sums.fill(T::ZERO);
        }
        winograd.outer_products(x_tiles, dz_tiles, group.count, sums);
        if let (true, Some(dw)) = (group.last, dw) {
            winograd.weights_back(sums, dw);
        }
    }

    /// Runs an image forward; `x`: blocked; `w`, `bias`: packed; `out`: height × width × channels.
    fn forward_image<T: Float>(&self, x: &[T], w: &[T], bias: &[T], out: &mut [T]) {
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

    /// Runs an image backward by data; `dz`: blocked gradient of the output; `w`: packed
    /// transposed; `zeros`: [`ConvKernel::input_bias_len`] zeros; `dx`: height × width × channels.
    fn backward_image<T: Float>(&self, dz: &[T], w: &[T], zeros: &[T], dx: &mut [T]) {
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

    /// Runs an image backward by weights, and adds to `dw`, which is laid out like packed weights.
    fn backward_weights<T: Float>(&self, x: &[T], dz: &[T], dw: &mut [T]) {
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
}
