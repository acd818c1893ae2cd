//! Forward pass: computes each stored layer, first to last, from the sources of its inputs.

use lanner_network::Op;

use super::batch_norm;
use super::elementwise::{self, Act, period};
use super::executor::{Executor, Kernel, Source, from_planes};
use super::linear::LinearKernel;
use super::pool;
use super::workers::{Group, Scratch, batch_parts, groups, split_by_part};
use super::{Float, Mode, Observer, Params, rearrange};

impl<T: Float> Executor<T> {
    /// Computes a layer, if it is stored, and shows it to the observer.
    pub(super) fn forward_layer(
        &mut self,
        i: usize,
        params: &Params<T>,
        images: &[T],
        observer: &dyn Observer<T>,
    ) {
        if let Op::BatchNorm { epsilon } = self.network.layers[i].op {
            self.set_norm(i, params, epsilon);
        }
        let pool = matches!(self.network.layers[i].op, Op::MaxPool(_)) && self.training;
        let act = self.can_hold && self.plan.layers[i].states == Some(i);
        if (pool || act) && !self.held {
            self.record(i);
        }
        let plan = &self.plan.layers[i];
        let Some(slot) = plan.value_slot.filter(|_| plan.view.base == i) else {
            if plan.observed {
                self.show(i, observer);
            }
            return;
        };
        let mut out = std::mem::take(&mut self.slots[slot]);
        let mut moments = std::mem::take(&mut self.moments[i]);
        if let (Op::Conv(_), Kernel::Conv(kernel)) = (self.network.layers[i].op, &self.kernels[i]) {
            let (weight, bias) = params.layer(i);
            kernel.prepare(weight, false, &mut self.packed, &mut self.weights);
            kernel.pack_bias(bias, self.bias.take(kernel.bias_len()));
        }
        self.compute(i, params, images, &mut out, &mut moments, observer);
        self.slots[slot] = out;
        self.moments[i] = moments;
    }

    /// Computes a stored layer.
    fn compute(
        &self,
        i: usize,
        params: &Params<T>,
        images: &[T],
        out: &mut [T],
        moments: &mut [T],
        observer: &dyn Observer<T>,
    ) {
        let layer = &self.network.layers[i];
        let inputs: Vec<Source<T>> = layer.inputs.iter().map(|&j| self.source(j)).collect();
        let shapes = self.network.input_shapes(layer);
        let run = |out: &mut [T], moments: &mut [T], f: &ImageFn<T>| {
            self.each_image(i, out, moments, observer, f);
        };
        match (layer.op, &self.kernels[i]) {
            (Op::Input, _) => run(out, moments, &|n, out, _| {
                from_planes(layer.shape, &images[n * out.len()..][..out.len()], out);
            }),
            (_, Kernel::Conv(kernel)) => {
                let (w, bias) = (&self.weights[..kernel.weights_len()], &self.bias);
                self.each_group(i, kernel.images(), out, moments, observer, &|group, out, s| {
                    let mut buffer = std::mem::take(&mut s.plain);
                    let load = &mut |n: usize, x: &mut [T]| {
                        inputs[0].load(n, &kernel.input, &mut buffer, x);
                    };
                    kernel.forward(group, load, w, bias, out, s);
                    s.plain = buffer;
                });
            }
            (op, Kernel::Pool(kernel)) => run(out, moments, &|n, out, s| {
                let x = inputs[0].image(n, &mut s.x);
                let row = kernel.input.width * kernel.input.channels;
                match op {
                    Op::MaxPool(_) => match &self.states[i].winners[..] {
                        [] => pool::max(kernel, x, out),
                        taps => pool::max_of(kernel, x, &taps[n * out.len()..][..out.len()], out),
                    },
                    _ => pool::average(kernel, x, s.plain.take(row), out),
                }
            }),
            (Op::Linear { .. }, _) => {
                let kernel = LinearKernel {
                    batch: self.images,
                    inputs: shapes[0].channels,
                    outputs: layer.shape.channels,
                    threads: self.workers.threads,
                };
                let (w, bias) = params.layer(i);
                let x = &inputs[0].batch()[..self.images * kernel.inputs];
                kernel.forward(x, w, bias, &mut out[..self.images * kernel.outputs]);
                run(out, moments, &|_, _, _| {});
            }
            (Op::GlobalAvgPool, _) => run(out, moments, &|n, out, s| {
                pool::global(inputs[0].image(n, &mut s.x), out);
            }),
            (Op::Add, _) => run(out, moments, &|n, out, s| {
                inputs[0].apply(n, out);
                for input in &inputs[1..] {
                    input.apply_add(n, &mut s.x, out);
                }
            }),
            (Op::Mul, _) => run(out, moments, &|n, out, s| {
                out.fill(T::ONE);
                for input in &inputs {
                    rearrange::multiply(input.image(n, &mut s.x), out);
                }
            }),
            (Op::Concat, _) => run(out, moments, &|n, out, s| {
                let mut first = 0;
                for (input, shape) in inputs.iter().zip(&shapes) {
                    let x = input.image(n, &mut s.x);
                    rearrange::concat(x, shape.channels, first, layer.shape.channels, out);
                    first += shape.channels;
                }
            }),
            (Op::ChannelShuffle { groups }, _) => run(out, moments, &|n, out, s| {
                rearrange::shuffle(inputs[0].image(n, &mut s.x), layer.shape.channels, groups, out);
            }),
            (Op::Slice { channels }, _) => run(out, moments, &|n, out, s| {
                let x = inputs[0].image(n, &mut s.x);
                rearrange::concat_back(x, channels, 0, shapes[0].channels, out);
            }),
            (Op::Shift, _) => run(out, moments, &|n, out, s| {
                let x = inputs[0].image(n, &mut s.x);
                rearrange::shift(x, layer.shape.width, layer.shape.channels, out);
            }),
            // The executor refuses networks of the last two.
            (Op::Zero | Op::Upsample { .. } | Op::UpConv { .. }, _) => {
                run(out, moments, &|_, out, _| out.fill(T::ZERO))
            }
            (Op::BatchNorm { .. }, _) => {
                let norm = self.norms[i].affine();
                run(out, moments, &|n, out, _| {
                    elementwise::apply(inputs[0].raw(n), Some(norm), None, out);
                });
            }
            (Op::Relu | Op::Relu6 | Op::HardSwish | Op::Sigmoid | Op::HardSigmoid, _)
            | (Op::Conv(_) | Op::MaxPool(_) | Op::AvgPool { .. }, _) => {
                // `plan::views` lets no activation read a view that has one already.
                let mut source = inputs[0];
                (source.act, source.held) = (Act::of(&layer.op), self.held_bits(i));
                run(out, moments, &|n, out, _| source.apply(n, out));
            }
        }
    }

    /// Runs `f(image, its output, scratch)` for each image, see [`Executor::each_group`].
    fn each_image(
        &self,
        i: usize,
        out: &mut [T],
        moments: &mut [T],
        observer: &dyn Observer<T>,
        f: &ImageFn<T>,
    ) {
        self.each_group(i, 1, out, moments, observer, &|group, out, s| f(group.image, out, s));
    }

    /// Runs `f(group, its outputs, scratch)` for groups of images. Takes the moments of each image
    /// if a batch norm reads the layer, and shows observed layers to the observer.
    fn each_group(
        &self,
        i: usize,
        size: usize,
        out: &mut [T],
        moments: &mut [T],
        observer: &dyn Observer<T>,
        f: &GroupFn<T>,
    ) {
        let (plan, shape) = (&self.plan.layers[i], self.network.layers[i].shape);
        let (len, c) = (shape.len(), shape.channels);
        let stats = plan.stats && self.mode == Mode::Batch;
        let parts = batch_parts(self.images);
        let outs = split_by_part(out, &parts, len);
        let moments = split_by_part(moments, &parts, if stats { 2 * c } else { 0 });
        let jobs = parts.into_iter().zip(outs).zip(moments).collect();
        self.workers.each(jobs, |((part, out), moments), scratch| {
            let start = part.start;
            for group in groups(part, size) {
                let first = group.image - start;
                let out = &mut out[first * len..][..group.count * len];
                f(group, out, scratch);
                for (k, out) in out.chunks_exact(len).enumerate() {
                    if stats {
                        let sums = scratch.by_channel.take(2 * period(c));
                        let moments = &mut moments[(first + k) * 2 * c..][..2 * c];
                        batch_norm::moments(out, c, sums, moments);
                    }
                    if plan.observed {
                        observer.output(i, group.image + k, out);
                    }
                }
            }
        });
    }

    /// Shows a layer that is not stored.
    fn show(&self, i: usize, observer: &dyn Observer<T>) {
        let source = self.source(i);
        self.workers.each(batch_parts(self.images), |part, scratch| {
            for n in part {
                observer.output(i, n, source.image(n, &mut scratch.x));
            }
        });
    }

    /// Sets the statistics and coefficients of a batch norm for this pass.
    fn set_norm(&mut self, i: usize, params: &Params<T>, epsilon: f32) {
        let shape = self.network.layers[i].shape;
        let (channels, norm) = (shape.channels, &mut self.norms[i]);
        let place = &self.layout.layers[i];
        let (gamma, beta) = params.layer(i);
        match self.mode {
            Mode::Batch => {
                let base = self.network.layers[i].inputs[0];
                let moments = &self.moments[base][..self.images * 2 * channels];
                norm.take_images(moments, channels, shape.height * shape.width, epsilon);
                norm.set_forward(gamma, beta);
            }
            Mode::Running => {
                let running = &params.running;
                let (mean, variance) =
                    (&running[place.mean.clone()], &running[place.variance.clone()]);
                norm.take_running(mean, variance, epsilon);
                norm.set_forward(gamma, beta);
            }
            Mode::Bypass => {
                let (zeros, ones) = (vec![T::ZERO; channels], vec![T::ONE; channels]);
                norm.take_running(&zeros, &ones, 0.0);
                norm.set_forward(&ones, &zeros);
            }
        }
    }
}

/// Computes a group of images: the group, its outputs, scratch.
type GroupFn<'a, T> = dyn Fn(Group, &mut [T], &mut Scratch<T>) + Sync + 'a;

/// Computes an image: its number, its output, scratch.
type ImageFn<'a, T> = dyn Fn(usize, &mut [T], &mut Scratch<T>) + Sync + 'a;
