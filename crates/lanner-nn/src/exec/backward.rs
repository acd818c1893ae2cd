//! Backward pass: each layer, last to first, passes its gradient on to the layers that it reads.

use lanner_network::Op;

use super::accumulate::BackwardPass;
use super::activation_states;
use super::batch_norm;
use super::blocked::{self, Change};
use super::elementwise::{self, Act, period};
use super::executor::{Executor, Kernel, from_planes, to_planes};
use super::linear::LinearKernel;
use super::plan::Grad;
use super::pool;
use super::workers::{batch_parts, split_by_part};
use super::{ExecError, Float, Mode, Observer, Params, rearrange};

/// Gradients that [`Executor::backward`] returns; without any, it only shows them to the observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Gradients of the parameters.
    pub params: bool,
    /// Gradient of the images, for [`Executor::input_gradient`].
    pub input: bool,
}

impl Wants {
    /// Gradients of the parameters, for training.
    pub const PARAMS: Wants = Wants { params: true, input: false };
    /// Gradient of the images.
    pub const INPUT: Wants = Wants { params: false, input: true };
}

impl<T: Float> Executor<T> {
    /// Computes the gradient of a loss from `d_output`, its gradient by the outputs of the last
    /// forward pass (laid out like them). `gradients` is overwritten, in the layout of
    /// [`Params::values`]; it may be empty unless [`Wants::params`] is set. May be called several
    /// times after a forward pass if [`ExecOptions::repeat_backward`] is set.
    ///
    /// Batch norms run backward in the mode of the forward pass; with [`Mode::Batch`], gradients
    /// flow through their statistics too.
    ///
    /// # Errors
    /// When there was no forward pass, the executor was made without [`ExecOptions::training`], or
    /// a length is wrong.
    ///
    /// [`ExecOptions::training`]: super::ExecOptions::training
    /// [`ExecOptions::repeat_backward`]: super::ExecOptions::repeat_backward
    pub fn backward(
        &mut self,
        params: &Params<T>,
        d_output: &[T],
        wants: Wants,
        gradients: &mut [T],
        observer: &dyn Observer<T>,
    ) -> Result<(), ExecError> {
        self.check_params(params)?;
        if !self.training {
            let needed = "an executor made with `training`";
            return Err(ExecError::Order { method: "backward", needed });
        }
        if self.images == 0 {
            let needed = "a forward pass before it";
            return Err(ExecError::Order { method: "backward", needed });
        }
        let shape = self.network.output();
        let check = |what: &str, found, expected: usize| match found == expected {
            true => Ok(()),
            false => {
                let (what, expected) = (what.into(), expected.to_string());
                Err(ExecError::Length { what, found, expected })
            }
        };
        check("gradient of the output", d_output.len(), self.images * shape.len())?;
        if wants.params {
            check("gradients", gradients.len(), self.layout.len)?;
            gradients.fill(T::ZERO);
        }
        let n = self.network.layers.len();
        let mut pass = BackwardPass { params, wants, observer, written: vec![false; n] };
        if let Some(slot) = self.plan.layers[n - 1].grad_slot {
            let images = d_output.chunks_exact(shape.len());
            for (planes, d) in images.zip(self.slots[slot].chunks_exact_mut(shape.len())) {
                from_planes(shape, planes, d);
            }
            pass.written[n - 1] = true;
        }
        for i in (0..n).rev() {
            let known = self.plan.gradient_root(i).is_some_and(|root| pass.written[root]);
            if !known {
                continue;
            }
            let behind = matches!(self.plan.layers[i].grad, Grad::Behind(_));
            if self.plan.layers[i].observed && !behind {
                self.show_gradient(i, observer);
            }
            self.backward_layer(i, &mut pass, gradients);
        }
        self.has_gradient = wants.input;
        if wants.input && !pass.written[0] {
            // The output does not depend on the images.
            if let Some(slot) = self.plan.layers[0].grad_slot {
                self.slots[slot].fill(T::ZERO);
            }
        }
        Ok(())
    }

    /// Runs backward in pieces between the layers of [`ExecOptions::cuts`], last to first: calls
    /// `cut(layer, gradient)` with the gradient by each cut layer's output (all images, each height ×
    /// width × channels), which the caller may replace for the next piece. That of the last one is 0.
    /// Layers behind the last cut are left out; layers on which the output does not depend are not
    /// called for. [`Executor::input_gradient`] then has that of the first piece.
    ///
    /// # Errors
    /// As for [`Executor::backward`].
    ///
    /// [`ExecOptions::cuts`]: super::ExecOptions::cuts
    pub fn backward_in_pieces(
        &mut self,
        params: &Params<T>,
        cuts: &[usize],
        cut: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), ExecError> {
        self.check_params(params)?;
        if !self.training || self.images == 0 {
            let needed = "a forward pass of an executor made with `training`";
            return Err(ExecError::Order { method: "backward_in_pieces", needed });
        }
        let n = self.network.layers.len();
        let mut pass =
            BackwardPass { params, wants: Wants::INPUT, observer: &(), written: vec![false; n] };
        for i in (0..n).rev() {
            let own = self.plan.layers[i].grad == Grad::Own;
            if cuts.contains(&i)
                && own
                && let Some(slot) = self.plan.layers[i].grad_slot
            {
                let len = self.images * self.network.layers[i].shape.len();
                if !pass.written[i] {
                    self.slots[slot][..len].fill(T::ZERO);
                }
                cut(i, &mut self.slots[slot][..len]);
                pass.written[i] = true;
            }
            if self.plan.gradient_root(i).is_some_and(|root| pass.written[root]) {
                self.backward_layer(i, &mut pass, &mut []);
            }
        }
        self.has_gradient = pass.written[0];
        Ok(())
    }

    /// Gradient of the loss by the images, from the last backward pass with [`Wants::input`]; laid
    /// out like the images.
    ///
    /// # Errors
    /// When there was no such pass since the last forward pass.
    pub fn input_gradient(&self) -> Result<Vec<T>, ExecError> {
        if !self.has_gradient {
            let needed = "a backward pass with `Wants::input` since the last forward pass";
            return Err(ExecError::Order { method: "input_gradient", needed });
        }
        let shape = self.network.input();
        let mut out = vec![T::ZERO; self.images * shape.len()];
        if let Some(slot) = self.plan.layers[0].grad_slot {
            to_planes(shape, &self.slots[slot], &mut out);
        }
        Ok(out)
    }

    /// The buffer with a layer's gradient, all images; empty if there is none.
    fn gradient(&self, layer: usize) -> &[T] {
        let root = self.plan.gradient_root(layer);
        root.and_then(|r| self.plan.layers[r].grad_slot).map_or(&[], |slot| &self.slots[slot])
    }

    fn show_gradient(&self, i: usize, observer: &dyn Observer<T>) {
        let (source, len) = (self.source(i), self.network.layers[i].shape.len());
        let gradient = self.gradient(i);
        self.workers.each(batch_parts(self.images), |part, scratch| {
            for n in part {
                let output = source.image(n, &mut scratch.x);
                observer.gradient(i, n, output, &gradient[n * len..][..len]);
            }
        });
    }

    fn backward_layer(&mut self, i: usize, pass: &mut BackwardPass<T>, gradients: &mut [T]) {
        let op = self.network.layers[i].op;
        match op {
            Op::Input | Op::Zero => {}
            Op::BatchNorm { .. } => self.backward_norm(i, pass, gradients),
            Op::Linear { .. } => self.backward_linear(i, pass, gradients),
            Op::Conv(_) => self.backward_conv(i, pass, gradients),
            _ => {
                for k in 0..self.network.layers[i].inputs.len() {
                    self.backward_input(i, k, pass);
                }
            }
        }
    }

    fn backward_conv(&mut self, i: usize, pass: &mut BackwardPass<T>, gradients: &mut [T]) {
        let j = self.network.layers[i].inputs[0];
        let mut packed = std::mem::take(&mut self.packed);
        let mut weights = std::mem::take(&mut self.weights);
        let mut zeros = std::mem::take(&mut self.bias);
        let sum = match &self.kernels[i] {
            Kernel::Conv(kernel) => {
                kernel.prepare(pass.params.layer(i).0, true, &mut packed, &mut weights);
                zeros.take(kernel.input_bias_len()).fill(T::ZERO);
                kernel.packed_len() + kernel.bias_len()
            }
            _ => 0,
        };
        let sum = if pass.wants.params { sum } else { 0 };
        let mut accumulator = self.take_accumulator(j, pass, sum);
        if let Kernel::Conv(kernel) = &self.kernels[i] {
            let (gradient, source, z) = (self.gradient(i), self.source(j), self.source(i));
            let norm = match self.plan.layers[i].grad {
                Grad::Behind(norm) => Some(self.norms[norm].back()),
                _ => None,
            };
            let len = self.network.layers[i].shape.len();
            let dz_of = |n: usize| {
                let change = match norm {
                    Some(coefficients) => Change::Combine { z: z.raw(n), coefficients },
                    None => Change::Apply { norm: None, act: None },
                };
                (&gradient[n * len..][..len], change)
            };
            if norm.is_some() && self.plan.layers[i].observed {
                self.show_behind(i, pass.observer);
            }
            let load_dz = |n: usize, dz: &mut [T]| {
                let (dy, change) = dz_of(n);
                blocked::load(dy, &kernel.gradient, change, dz);
            };
            let w = &weights[..kernel.weights_len()];
            self.accumulate_groups(
                &mut accumulator,
                pass,
                kernel.images(),
                &|group, dx, partial, s| {
                    let dw = (sum > 0).then(|| partial.split_at_mut(kernel.packed_len()));
                    let mut buffer = std::mem::take(&mut s.plain);
                    let load_x = &mut |n: usize, x: &mut [T]| {
                        source.load(n, &kernel.input, &mut buffer, x);
                    };
                    kernel.backward(group, load_x, &load_dz, w, &zeros, dx, dw, s);
                    s.plain = buffer;
                },
            );
            if sum > 0 {
                let place = &self.layout.layers[i];
                let (first, rest) =
                    accumulator.partial[..batch_parts(self.images).len() * sum].split_at_mut(sum);
                rest.chunks_exact(sum).for_each(|part| elementwise::add(part, first));
                let (weight, bias) =
                    gradients[place.weight.start..place.bias.end].split_at_mut(place.weight.len());
                kernel.unpack(first, weight, bias);
            }
        }
        self.return_accumulator(accumulator, pass);
        self.packed = packed;
        self.weights = weights;
        self.bias = zeros;
    }

    /// Shows the gradient of a convolution that is computed from that of its batch norm.
    fn show_behind(&self, i: usize, observer: &dyn Observer<T>) {
        let Grad::Behind(norm) = self.plan.layers[i].grad else { return };
        let [p, q, r] = self.norms[norm].back();
        let (z, dy, len) = (self.source(i), self.gradient(i), self.network.layers[i].shape.len());
        self.workers.each(batch_parts(self.images), |part, s| {
            for n in part {
                let dz = s.plain.take(len);
                elementwise::combine(&dy[n * len..][..len], z.raw(n), p, q, r, dz);
                observer.gradient(i, n, z.raw(n), dz);
            }
        });
    }

    fn backward_norm(&mut self, i: usize, pass: &mut BackwardPass<T>, gradients: &mut [T]) {
        let (j, shape) = (self.network.layers[i].inputs[0], self.network.layers[i].shape);
        let (len, c) = (shape.len(), shape.channels);
        let mut norm = std::mem::take(&mut self.norms[i]);
        let mut sums = vec![0.0; 2 * c];
        if norm.count > 0 || pass.wants.params {
            let (z, dy) = (self.source(j), self.gradient(i));
            let mut images = vec![T::ZERO; self.images * 2 * c];
            let parts = batch_parts(self.images);
            let jobs =
                parts.iter().cloned().zip(split_by_part(&mut images, &parts, 2 * c)).collect();
            self.workers.each(jobs, |(part, out), s| {
                for (n, out) in part.zip(out.chunks_exact_mut(2 * c)) {
                    let sums_scratch = s.by_channel.take(2 * period(c));
                    let dy = &dy[n * len..][..len];
                    batch_norm::gradient_sums(dy, z.raw(n), norm.center(), c, sums_scratch, out);
                }
            });
            for image in images.chunks_exact(2 * c) {
                sums.iter_mut().zip(image).for_each(|(s, x)| *s += x.to_f64());
            }
        }
        if pass.wants.params && self.mode != Mode::Bypass {
            let place = &self.layout.layers[i];
            for k in 0..c {
                gradients[place.weight.start + k] = T::of(sums[c + k] * norm.rstd[k].to_f64());
                gradients[place.bias.start + k] = T::of(sums[k]);
            }
        }
        norm.set_backward(&sums);
        self.norms[i] = norm;
        if self.plan.layers[j].grad != Grad::Behind(i) {
            let mut accumulator = self.take_accumulator(j, pass, 0);
            let [p, q, r] = self.norms[i].back();
            let (z, dy) = (self.source(j), self.gradient(i));
            self.accumulate(&mut accumulator, pass, &|n, dx, _| {
                elementwise::combine(&dy[n * len..][..len], z.raw(n), p, q, r, dx);
            });
            self.return_accumulator(accumulator, pass);
        }
    }

    fn backward_linear(&mut self, i: usize, pass: &mut BackwardPass<T>, gradients: &mut [T]) {
        let j = self.network.layers[i].inputs[0];
        let kernel = LinearKernel {
            batch: self.images,
            inputs: self.network.layers[j].shape.channels,
            outputs: self.network.layers[i].shape.channels,
            threads: self.workers.threads,
        };
        let (ins, outs) = (self.images * kernel.inputs, self.images * kernel.outputs);
        if pass.wants.params {
            let place = &self.layout.layers[i];
            let (weight, bias) =
                gradients[place.weight.start..place.bias.end].split_at_mut(place.weight.len());
            let x = self.source(j).batch();
            kernel.backward_weights(&x[..ins], &self.gradient(i)[..outs], weight, bias);
        }
        let mut accumulator = self.take_accumulator(j, pass, 0);
        if accumulator.target.is_some() {
            let mut all = vec![T::ZERO; ins];
            kernel.backward(&self.gradient(i)[..outs], pass.params.layer(i).0, &mut all);
            self.accumulate(&mut accumulator, pass, &|n, dx, _| {
                dx.copy_from_slice(&all[n * kernel.inputs..][..kernel.inputs]);
            });
        }
        self.return_accumulator(accumulator, pass);
    }

    /// Computes the gradient by input `k` of a layer without parameters.
    fn backward_input(&mut self, i: usize, k: usize, pass: &mut BackwardPass<T>) {
        let layer = self.network.layers[i].clone();
        let j = layer.inputs[k];
        let mut accumulator = self.take_accumulator(j, pass, 0);
        if accumulator.target.is_some() {
            let (gradient, len) = (self.gradient(i), layer.shape.len());
            let shapes = self.network.input_shapes(&layer);
            let sources: Vec<_> = layer.inputs.iter().map(|&j| self.source(j)).collect();
            self.accumulate(&mut accumulator, pass, &|n, dx, s| {
                let dy = &gradient[n * len..][..len];
                match (layer.op, &self.kernels[i]) {
                    (Op::MaxPool(_), Kernel::Pool(kernel)) => {
                        let taps = &self.states[i].winners[n * len..][..len];
                        pool::max_back(kernel, dy, taps, dx);
                    }
                    (_, Kernel::Pool(kernel)) => {
                        let rows = kernel.input.width + kernel.output.width;
                        let rows = s.plain.take(rows * kernel.input.channels);
                        pool::average_back(kernel, dy, rows, dx);
                    }
                    (Op::GlobalAvgPool, _) => pool::global_back(dy, dx),
                    (Op::Concat, _) => {
                        let first = shapes[..k].iter().map(|s| s.channels).sum();
                        let channels = shapes[k].channels;
                        rearrange::concat_back(dy, channels, first, layer.shape.channels, dx);
                    }
                    (Op::Mul, _) => {
                        let product = s.plain.take(len);
                        product.copy_from_slice(dy);
                        for (other, source) in sources.iter().enumerate() {
                            if other != k {
                                rearrange::multiply(source.image(n, &mut s.x), product);
                            }
                        }
                        rearrange::sum_to(product, dx);
                    }
                    (Op::ChannelShuffle { groups }, _) => {
                        let channels = layer.shape.channels;
                        rearrange::shuffle(dy, channels, channels / groups, dx);
                    }
                    (Op::Slice { channels }, _) => {
                        dx.fill(T::ZERO);
                        rearrange::concat(dy, channels, 0, shapes[0].channels, dx);
                    }
                    (Op::Shift, _) => {
                        rearrange::shift_back(dy, layer.shape.width, layer.shape.channels, dx);
                    }
                    (op, _) => match Act::of(&op) {
                        Some(act) => match self.held_bits(i) {
                            Some(bits) => {
                                dx.copy_from_slice(dy);
                                activation_states::hold_image_back(
                                    bits,
                                    act,
                                    n,
                                    dx,
                                    &sources[0],
                                    &mut s.x,
                                );
                            }
                            None => {
                                let (x, norm) = (sources[0].raw(n), sources[0].norm);
                                elementwise::apply_back(dy, x, norm, Some(act), false, dx);
                            }
                        },
                        None => dx.copy_from_slice(dy),
                    },
                }
            });
        }
        self.return_accumulator(accumulator, pass);
    }
}
