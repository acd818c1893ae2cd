//! States of activations and max pools: the piece of the piecewise function that each number is on.
//!
//! While states are held at those of an earlier pass, a network of ReLUs is smooth in its
//! parameters. So a finite difference of two passes approximates the derivative that automatic
//! differentiation computes, which ignores that ReLUs may change their state.

use lanner_network::{Network, Op};

use super::elementwise::{Act, relu, sigmoid};
use super::executor::{ExecOptions, Executor, Kernel, Source};
use super::float::Buffer;
use super::plan::Plan;
use super::pool::{self, Winner};
use super::vector::vectorised;
use super::workers::{batch_parts, split_by_part};
use super::{ExecError, Float};

/// States of one layer.
#[derive(Debug, Default)]
pub struct ActivationStates {
    /// For an activation: a bit for each number, in words of 64 for each image, set if it is on the
    /// middle piece (for a ReLU, above 0). A number outside is far from the other end of that
    /// piece, so that its value tells its side.
    pub bits: Vec<u64>,
    /// For a max pool: the tap that won, for each number of the output.
    pub winners: Vec<Winner>,
}

impl ActivationStates {
    /// Allocates the states of a layer; empty if none are needed.
    pub fn of(
        network: &Network,
        plan: &Plan,
        i: usize,
        batch: usize,
        options: &ExecOptions,
    ) -> ActivationStates {
        let numbers = network.layers[i].shape.len();
        let act = options.hold_states && plan.layers[i].states == Some(i);
        let pool = matches!(network.layers[i].op, Op::MaxPool(_));
        ActivationStates {
            bits: vec![0; if act { batch * words(numbers) } else { 0 }],
            winners: vec![0; if pool && options.training { batch * numbers } else { 0 }],
        }
    }

    /// Bytes of the states of a layer for one image.
    pub fn bytes(network: &Network, plan: &Plan, i: usize, options: &ExecOptions) -> usize {
        let one = ActivationStates::of(network, plan, i, 1, options);
        8 * one.bits.len() + size_of::<Winner>() * one.winners.len()
    }
}

/// Number of words that hold `len` bits.
pub fn words(len: usize) -> usize {
    len.div_ceil(64)
}

impl<T: Float> Executor<T> {
    /// Holds activations and max pools at their states of the last forward pass: a ReLU passes the
    /// same numbers, a max pool takes the same ones, whatever their inputs are then. With `false`,
    /// the inputs decide again. While states are held, every pass must have the same number of
    /// images.
    ///
    /// # Errors
    /// When there was no forward pass, or the executor was made without
    /// [`ExecOptions::hold_states`](super::ExecOptions::hold_states).
    pub fn hold_states(&mut self, held: bool) -> Result<(), ExecError> {
        if self.images == 0 || !self.can_hold {
            let needed = "a forward pass of an executor made with `hold_states`";
            return Err(ExecError::Order { method: "hold_states", needed });
        }
        self.held = held;
        Ok(())
    }

    /// States of an activation in the last forward pass, or in the pass at which they are held. For
    /// each image, words of 64 bits with a bit for each number (height × width × channels), set if
    /// a ReLU passes it. Empty unless the executor was made with
    /// [`hold_states`](super::ExecOptions::hold_states).
    pub fn activation_states(&self, layer: usize) -> &[u64] {
        let plan = self.plan.layers.get(layer);
        plan.and_then(|p| p.states).map_or(&[], |first| &self.states[first].bits)
    }

    /// Bits of an activation, if states are held.
    pub(super) fn held_bits(&self, layer: usize) -> Option<&[u64]> {
        self.held.then(|| self.activation_states(layer))
    }

    /// Records the states of an activation or a max pool from its input.
    pub(super) fn record(&mut self, i: usize) {
        let mut states = std::mem::take(&mut self.states[i]);
        let layer = &self.network.layers[i];
        let len = layer.shape.len();
        let parts = batch_parts(self.images);
        let (each, pool) = match self.kernels[i] {
            Kernel::Pool(_) => (0, len),
            _ => (words(len), 0),
        };
        let bits = split_by_part(&mut states.bits, &parts, each);
        let winners = split_by_part(&mut states.winners, &parts, pool);
        let source = self.source(layer.inputs[0]);
        let jobs = parts.into_iter().zip(bits).zip(winners).collect();
        self.workers.each(jobs, |((part, bits), winners), s| {
            for (k, n) in part.enumerate() {
                let x = source.image(n, &mut s.x);
                match (&layer.op, &self.kernels[i]) {
                    (Op::MaxPool(_), Kernel::Pool(kernel)) => {
                        pool::winners(kernel, x, s.plain.take(len), &mut winners[k * len..][..len]);
                    }
                    (op, _) => {
                        let bits = &mut bits[k * words(len)..][..words(len)];
                        Act::of(op).into_iter().for_each(|act| record(x, act, bits));
                    }
                }
            }
        });
        self.states[i] = states;
    }
}

/// Applies an activation in place to an image, with its states held.
pub fn hold_image<T: Float>(bits: &[u64], act: Act, image: usize, x: &mut [T]) {
    hold(x, act, &bits[image * words(x.len())..][..words(x.len())]);
}

/// Backward of [`hold_image`]: d = d · act′(x) in place, where `x` is the activation's input.
pub fn hold_image_back<T: Float>(
    bits: &[u64],
    act: Act,
    image: usize,
    d: &mut [T],
    x: &Source<T>,
    buffer: &mut Buffer<T>,
) {
    // A held piece that is linear has the same slope for every input.
    let x = if let Act::Relu | Act::Relu6 | Act::HardSigmoid = act {
        &[]
    } else {
        x.image(image, buffer)
    };
    hold_back(d, x, act, &bits[image * words(d.len())..][..words(d.len())]);
}

impl Act {
    /// Whether `x` is on the middle piece of the function.
    #[inline(always)]
    fn middle<T: Float>(self, x: T) -> bool {
        match self {
            Act::Relu => x > T::ZERO,
            Act::Relu6 => x > T::ZERO && x < T::of(6.0),
            Act::HardSwish | Act::HardSigmoid => x > T::of(-3.0) && x < T::of(3.0),
            Act::Sigmoid => true,
        }
    }
}

vectorised! {
    /// Records the states of an image's numbers.
    pub fn record<T>(x: &[T], act: Act, bits: &mut [u64]) by StatesRecord {
        match act {
            Act::Relu => each_word(x, bits, |x| Act::Relu.middle(x)),
            _ => each_word(x, bits, |x| act.middle(x)),
        }
    }
}

#[inline(always)]
fn each_word<T: Float>(x: &[T], bits: &mut [u64], f: impl Fn(T) -> bool) {
    for (x, word) in x.chunks(64).zip(bits) {
        let on = |word, (k, x): (usize, &T)| word | u64::from(f(*x)) << k;
        *word = x.iter().enumerate().fold(0, on);
    }
}

vectorised! {
    /// Computes x = act(x), with each number on its held piece.
    pub fn hold<T>(x: &mut [T], act: Act, bits: &[u64]) by StatesHold {
        match act {
            Act::Relu => each_held(x, bits, |x, on| if on { x } else { T::ZERO }),
            Act::Relu6 => each_held(x, bits, |x, on| match on {
                true => x,
                false if x > T::of(3.0) => T::of(6.0),
                false => T::ZERO,
            }),
            Act::HardSwish => each_held(x, bits, |x, on| match on {
                true => x * (x + T::of(3.0)) * T::of(1.0 / 6.0),
                false => relu(x),
            }),
            Act::HardSigmoid => each_held(x, bits, |x, on| match on {
                true => (x + T::of(3.0)) * T::of(1.0 / 6.0),
                false if x > T::ZERO => T::ONE,
                false => T::ZERO,
            }),
            Act::Sigmoid => each_held(x, bits, |x, _| sigmoid(x)),
        }
    }
}

vectorised! {
    /// Computes d = d · act′(x), with each number on its held piece.
    pub fn hold_back<T>(d: &mut [T], x: &[T], act: Act, bits: &[u64]) by StatesHoldBack {
        match act {
            Act::Relu | Act::Relu6 => each_held(d, bits, |d, on| if on { d } else { T::ZERO }),
            Act::HardSigmoid => each_held(d, bits, |d, on| match on {
                true => d * T::of(1.0 / 6.0),
                false => T::ZERO,
            }),
            Act::HardSwish => {
                for ((d, x), word) in d.chunks_mut(64).zip(x.chunks(64)).zip(bits) {
                    for (k, (d, x)) in d.iter_mut().zip(x).enumerate() {
                        let slope = match word >> k & 1 == 1 {
                            true => *x * T::of(1.0 / 3.0) + T::of(0.5),
                            false if *x > T::ZERO => T::ONE,
                            false => T::ZERO,
                        };
                        *d *= slope;
                    }
                }
            }
            Act::Sigmoid => d.iter_mut().zip(x).for_each(|(d, x)| {
                let y = sigmoid(*x);
                *d *= y * (T::ONE - y);
            }),
        }
    }
}

/// Computes x = f(x, state), sixteen at a time, which compilers turn into mask registers.
#[inline(always)]
fn each_held<T: Float>(x: &mut [T], bits: &[u64], f: impl Fn(T, bool) -> T) {
    for (x, word) in x.chunks_mut(64).zip(bits) {
        for (at, x) in x.chunks_mut(16).enumerate() {
            let mask = (word >> (16 * at)) as u32;
            x.iter_mut().enumerate().for_each(|(k, x)| *x = f(*x, mask & 1 << k != 0));
        }
    }
}
