use lanner_network::{Layer, Network, Op, Shape};

use super::activation_states::{self, ActivationStates};
use super::batch_norm::BatchNorm;
use super::blocked::{self, Blocked, Change};
use super::conv::ConvKernel;
use super::elementwise::{self, Act, Affine};
use super::float::Buffer;
use super::memory::MemoryNeeds;
use super::plan::{Plan, View};
use super::pool::PoolKernel;
use super::workers::Workers;
use super::{ExecError, Float, Layout, Params};

/// Options of an [`Executor`].
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Number of threads of rayon's pool to use at most; 0 is taken as 1. Results do not depend on
    /// it.
    pub threads: usize,
    /// Allows [`Executor::backward`]. Without it, outputs are freed after their last reader.
    pub training: bool,
    /// Allows several calls of [`Executor::backward`] after a forward pass, for a little more
    /// memory.
    pub repeat_backward: bool,
    /// Records the states of activations, for [`Executor::activation_states`] and
    /// [`Executor::hold_states`].
    pub hold_states: bool,
    /// Numbers of the layers that an [`Observer`] sees.
    pub observed: Vec<usize>,
    /// Numbers of the layers at which [`Executor::backward_in_pieces`] stops.
    pub cuts: Vec<usize>,
    /// Limit of the executor's memory in bytes; a network that needs more is refused. Parameters
    /// and their gradients belong to the caller and are not counted.
    pub memory_limit: Option<u64>,
}

/// Mode of the batch norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Normalises by the statistics of the batch, as in training. The variance is the biased one.
    #[default]
    Batch,
    /// Normalises by the running statistics, as at inference.
    Running,
    /// Copies the input to the output (for SynFlow).
    Bypass,
}

/// Callbacks for the layers of [`ExecOptions::observed`] while they run. Images are height × width
/// × channels. There is one call for each image and layer; calls come from several threads at once,
/// and the images in any order.
pub trait Observer<T>: Sync {
    /// Receives the output of a layer for an image of the batch.
    fn output(&self, _layer: usize, _image: usize, _output: &[T]) {}
    /// Receives the output of a layer and the gradient of the loss by it. Not called for layers on
    /// which the network's output does not depend, nor for the images unless their gradient is
    /// wanted.
    fn gradient(&self, _layer: usize, _image: usize, _output: &[T], _gradient: &[T]) {}
}

impl<T> Observer<T> for () {}

/// Kernel that computes a layer, chosen once.
#[derive(Debug)]
pub(super) enum Kernel {
    Conv(Box<ConvKernel>),
    Pool(PoolKernel),
    Plain,
}

/// A network prepared to run on a batch of images: the plan of its buffers, the buffers, and the
/// state between forward and backward.
#[derive(Debug)]
pub struct Executor<T> {
    pub(super) network: Network,
    pub(super) layout: Layout,
    pub(super) plan: Plan,
    pub(super) kernels: Vec<Kernel>,
    pub(super) norms: Vec<BatchNorm<T>>,
    pub(super) slots: Vec<Buffer<T>>,
    pub(super) workers: Workers<T>,
    pub(super) training: bool,
    repeat_backward: bool,
    pub(super) can_hold: bool,
    /// Activations and max pools are held at the states of an earlier pass.
    pub(super) held: bool,
    pub(super) states: Vec<ActivationStates>,
    batch: usize,
    /// Number of images of the last forward pass; 0 before the first.
    pub(super) images: usize,
    pub(super) mode: Mode,
    /// For each layer that a batch norm reads, the moments of each image.
    pub(super) moments: Vec<Vec<T>>,
    pub(super) packed: Buffer<T>,
    pub(super) weights: Buffer<T>,
    pub(super) bias: Buffer<T>,
    pub(super) partial: Buffer<T>,
    pub(super) has_gradient: bool,
    output: Vec<T>,
}

/// A layer's output for reading: the stored numbers of its base, and the batch norm and activation
/// to apply to them.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    base: &'a [T],
    len: usize,
    pub norm: Option<Affine<'a, T>>,
    pub act: Option<Act>,
    /// States of the activation, if they are held.
    pub held: Option<&'a [u64]>,
}

impl<'a, T: Float> Source<'a, T> {
    /// Stored numbers of all images, before the batch norm and the activation.
    pub fn batch(&self) -> &'a [T] {
        self.base
    }

    /// Stored numbers of an image, before the batch norm and the activation.
    pub fn raw(&self, image: usize) -> &'a [T] {
        &self.base[image * self.len..][..self.len]
    }

    /// Numbers of an image; computed into `buffer` unless they are stored.
    pub fn image<'b>(&self, image: usize, buffer: &'b mut Buffer<T>) -> &'b [T]
    where
        'a: 'b,
    {
        if self.norm.is_none() && self.act.is_none() {
            return self.raw(image);
        }
        let out = buffer.take(self.len);
        self.apply(image, out);
        out
    }

    /// Writes the numbers of an image to `out`.
    pub fn apply(&self, image: usize, out: &mut [T]) {
        match (self.held, self.act) {
            (Some(bits), Some(act)) => {
                elementwise::apply(self.raw(image), self.norm, None, out);
                activation_states::hold_image(bits, act, image, out);
            }
            _ => elementwise::apply(self.raw(image), self.norm, self.act, out),
        }
    }

    /// Adds the numbers of an image to `out`.
    pub fn apply_add(&self, image: usize, buffer: &mut Buffer<T>, out: &mut [T]) {
        match self.held {
            Some(_) => elementwise::add(self.image(image, buffer), out),
            None => elementwise::apply_add(self.raw(image), self.norm, self.act, out),
        }
    }

    /// Copies the numbers of an image to blocks.
    pub fn load(&self, image: usize, shape: &Blocked, buffer: &mut Buffer<T>, out: &mut [T]) {
        let (x, norm, act) = match self.held {
            Some(_) => (self.image(image, buffer), None, None),
            None => (self.raw(image), self.norm, self.act),
        };
        blocked::load(x, shape, Change::Apply { norm, act }, out);
    }
}

impl<T: Float> Executor<T> {
    /// Plans a network for up to `batch` images at a time, and allocates its buffers.
    ///
    /// # Errors
    /// When the batch is 0, an observed layer does not exist, or the memory limit is exceeded.
    pub fn new(network: &Network, batch: usize, options: ExecOptions) -> Result<Self, ExecError> {
        Self::plan(network, batch, options, Vec::new())
    }

    /// Makes an executor for another network that reuses the buffers of this one where they are
    /// large enough: fresh memory costs up to half as much time as a step.
    ///
    /// # Errors
    /// As for [`Executor::new`].
    pub fn renew(
        self,
        network: &Network,
        batch: usize,
        options: ExecOptions,
    ) -> Result<Self, ExecError> {
        Self::plan(network, batch, options, self.slots)
    }

    /// Plans a network; buffers of `old` are reused where they fit.
    fn plan(
        network: &Network,
        batch: usize,
        options: ExecOptions,
        mut old: Vec<Buffer<T>>,
    ) -> Result<Self, ExecError> {
        let value = |name, value: usize, expected| {
            Err(ExecError::Value { name, value: value.to_string(), expected })
        };
        if batch == 0 {
            return value("batch", batch, "1 or more");
        }
        let named = options.observed.iter().chain(&options.cuts);
        if let Some(&layer) = named.into_iter().find(|&&l| l >= network.layers.len()) {
            return value("observed layer", layer, "the number of a layer");
        }
        let flat = |l: &&Layer| matches!(l.op, Op::Conv(conv) if conv.flat);
        if let Some(layer) = network.layers.iter().find(flat) {
            return Err(ExecError::Value {
                name: "convolution",
                value: format!("{} ('{}')", layer.op.describe(), layer.name),
                expected: "square kernels: networks of signals are shown, exported and measured, and a program of \
                           yours trains them (--evaluate command:…)",
            });
        }
        let doubles = |l: &&Layer| matches!(l.op, Op::Upsample { .. } | Op::UpConv { .. });
        if let Some(layer) = network.layers.iter().find(doubles) {
            return Err(ExecError::Value {
                name: "layer",
                value: format!("{} ('{}')", layer.op.describe(), layer.name),
                expected: "none that doubles the resolution: such networks are shown, exported and measured, and \
                           a program of yours trains them (--evaluate command:…)",
            });
        }
        let plan = Plan::of(network, &options);
        let kernels: Vec<Kernel> = network.layers.iter().map(|l| kernel::<T>(network, l)).collect();
        let needs = MemoryNeeds::of(network, &plan, &kernels, batch, &options);
        let needed = needs.bytes(size_of::<T>(), options.threads);
        let limit = options.memory_limit.unwrap_or(isize::MAX as u64).min(isize::MAX as u64);
        if needed > u128::from(limit) {
            return Err(ExecError::Memory {
                network: network.name.clone(),
                batch,
                needed: needed.min(u128::from(u64::MAX)) as u64,
                limit,
            });
        }
        let moments = network
            .layers
            .iter()
            .zip(&plan.layers)
            .map(|(l, p)| vec![T::ZERO; if p.stats { 2 * batch * l.shape.channels } else { 0 }])
            .collect();
        let states = network.layers.iter().enumerate();
        let states =
            states.map(|(i, _)| ActivationStates::of(network, &plan, i, batch, &options)).collect();
        Ok(Executor {
            layout: Layout::of(network),
            norms: network.layers.iter().map(|_| BatchNorm::default()).collect(),
            slots: plan.slots.iter().map(|&len| Buffer::of(len * batch, &mut old)).collect(),
            packed: Buffer::zeros(needs.packed),
            weights: Buffer::zeros(needs.weights),
            bias: Buffer::zeros(needs.bias),
            partial: Buffer::zeros(needs.partial),
            network: network.clone(),
            plan,
            kernels,
            workers: Workers::new(options.threads),
            training: options.training,
            repeat_backward: options.repeat_backward,
            can_hold: options.hold_states,
            held: false,
            states,
            batch,
            images: 0,
            mode: Mode::Batch,
            moments,
            has_gradient: false,
            output: Vec::new(),
        })
    }

    /// Size of the buffers of activations and their gradients, in bytes.
    pub fn memory(&self) -> u64 {
        self.plan.slots.iter().map(|&len| (len * self.batch * size_of::<T>()) as u64).sum()
    }

    /// The network that it runs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs the network on `images` (images × channels × height × width, at most as many images as
    /// the executor was made for), and returns its outputs, image after image.
    ///
    /// # Errors
    /// When the length of the images or of the parameters does not fit the network.
    pub fn forward(
        &mut self,
        params: &Params<T>,
        images: &[T],
        mode: Mode,
        observer: &dyn Observer<T>,
    ) -> Result<&[T], ExecError> {
        self.check_params(params)?;
        let len = self.network.input().len();
        let count = images.len() / len;
        if !images.len().is_multiple_of(len) || !(1..=self.batch).contains(&count) {
            return Err(ExecError::Length {
                what: "images".into(),
                found: images.len(),
                expected: format!("1 to {} times {len}", self.batch),
            });
        }
        if self.held && count != self.images {
            return Err(ExecError::Length {
                what: "images, while states are held".into(),
                found: images.len(),
                expected: format!("{} times {len}", self.images),
            });
        }
        self.images = count;
        self.mode = mode;
        self.has_gradient = false;
        for layer in 0..self.network.layers.len() {
            self.forward_layer(layer, params, images, observer);
        }
        let last = self.network.layers.len() - 1;
        let shape = self.network.output();
        self.output.resize(count * shape.len(), T::ZERO);
        let Some(slot) = self.plan.layers[last].value_slot else { return Ok(&[]) };
        to_planes(shape, &self.slots[slot], &mut self.output);
        Ok(&self.output)
    }

    /// Moves the running statistics towards those of the last forward pass, which must have run in
    /// [`Mode::Batch`]: running = (1 − momentum)·running + momentum·batch, with the unbiased variance,
    /// as PyTorch does (its momentum is 0.1).
    ///
    /// # Errors
    /// When there was no such pass, or the parameters belong to another network.
    pub fn update_running(&self, params: &mut Params<T>, momentum: f64) -> Result<(), ExecError> {
        self.check_params(params)?;
        if self.images == 0 || self.mode != Mode::Batch {
            let needed = "a forward pass in `Mode::Batch` before it";
            return Err(ExecError::Order { method: "update_running", needed });
        }
        let (old, new) = (T::of(1.0 - momentum), T::of(momentum));
        for (place, norm) in params.layout.layers.iter().zip(&self.norms) {
            let unbiased = T::of(norm.count as f64 / norm.count.saturating_sub(1).max(1) as f64);
            for (r, m) in params.running[place.mean.clone()].iter_mut().zip(&norm.mean) {
                *r = *r * old + *m * new;
            }
            for (r, v) in params.running[place.variance.clone()].iter_mut().zip(&norm.variance) {
                *r = *r * old + *v * unbiased * new;
            }
        }
        Ok(())
    }

    /// Mean and biased variance that a batch norm used in the last forward pass, one number a
    /// channel each; empty for other layers.
    pub fn statistics(&self, layer: usize) -> (&[T], &[T]) {
        self.norms.get(layer).map_or((&[], &[]), |n| (&n.mean, &n.variance))
    }

    /// Outputs of an observed layer for the first `count` images of the last forward pass, image after
    /// image (height × width × channels). They are kept until the next forward pass if the executor was made with
    /// [`ExecOptions::training`] and [`ExecOptions::repeat_backward`].
    ///
    /// # Errors
    /// When the layer is not observed, or its output is not kept.
    pub fn layer_output(&self, layer: usize, count: usize) -> Result<Vec<T>, ExecError> {
        let kept = self.training && self.repeat_backward;
        if self.images == 0 || !kept || self.plan.layers.get(layer).is_none_or(|p| !p.observed) {
            let needed =
                "a forward pass with this layer observed, `training` and `repeat_backward`";
            return Err(ExecError::Order { method: "layer_output", needed });
        }
        let count = count.min(self.images);
        let mut out = vec![T::ZERO; count * self.network.layers[layer].shape.len()];
        let source = self.source(layer);
        for (n, out) in out.chunks_exact_mut(source.len).enumerate() {
            source.apply(n, out);
        }
        Ok(out)
    }

    pub(super) fn check_params(&self, params: &Params<T>) -> Result<(), ExecError> {
        let (found, expected) = (params.values.len(), self.layout.len);
        if params.layout != self.layout
            || found != expected
            || params.running.len() != self.layout.running_len
        {
            let what = format!("parameters of network '{}'", self.network.name);
            return Err(ExecError::Length { what, found, expected: expected.to_string() });
        }
        Ok(())
    }

    /// Source of a layer's output.
    pub(super) fn source(&self, layer: usize) -> Source<'_, T> {
        let View { base, norm, act } = self.plan.layers[layer].view;
        let values = match self.plan.layers[base].value_slot {
            Some(slot) => &self.slots[slot][..],
            None => &[],
        };
        Source {
            base: values,
            len: self.network.layers[base].shape.len(),
            norm: norm.map(|n| self.norms[n].affine()),
            act,
            held: act.and_then(|_| self.held_bits(layer)),
        }
    }
}

fn kernel<T: Float>(network: &Network, layer: &lanner_network::Layer) -> Kernel {
    let input = layer.inputs.first().map_or(layer.shape, |&i| network.layers[i].shape);
    match layer.op {
        Op::Conv(op) => Kernel::Conv(Box::new(ConvKernel::new(op, input, layer.shape, T::FAST))),
        Op::MaxPool(pool) => {
            Kernel::Pool(PoolKernel { pool, input, output: layer.shape, count_pad: true })
        }
        Op::AvgPool { pool, count_include_pad } => Kernel::Pool(PoolKernel {
            pool,
            input,
            output: layer.shape,
            count_pad: count_include_pad,
        }),
        _ => Kernel::Plain,
    }
}

/// Converts an image from channels × height × width to height × width × channels.
pub(super) fn from_planes<T: Float>(shape: Shape, planes: &[T], out: &mut [T]) {
    for (c, plane) in planes.chunks_exact(shape.height * shape.width).enumerate() {
        out[c..].iter_mut().step_by(shape.channels).zip(plane).for_each(|(o, x)| *o = *x);
    }
}

/// Converts images from height × width × channels to channels × height × width.
pub(super) fn to_planes<T: Float>(shape: Shape, images: &[T], out: &mut [T]) {
    for (image, out) in images.chunks_exact(shape.len()).zip(out.chunks_exact_mut(shape.len())) {
        for (c, plane) in out.chunks_exact_mut(shape.height * shape.width).enumerate() {
            plane
                .iter_mut()
                .zip(image[c..].iter().step_by(shape.channels))
                .for_each(|(o, x)| *o = *x);
        }
    }
}
