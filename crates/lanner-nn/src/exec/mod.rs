//! Runs networks of lanner-network forward and backward on the CPU.
//!
//! ```
//! use lanner_network::{Init, Nasbench201, View, Weights};
//! use lanner_nn::{Executor, Mode, ExecOptions, Params, Wants};
//! use lanner_space::Space;
//!
//! let arch = Space::NasBench201.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")?;
//! let skeleton = Nasbench201 { cells: 1, resolution: 8, ..Nasbench201::default() };
//! let net = skeleton.build(&arch, View::Pruned)?;
//! let mut params = Params::<f32>::from_weights(&net, &Weights::init(&net, Init { seed: 1 }))?;
//!
//! // Two images of 3 × 8 × 8 at a time; the loss is the first class's score.
//! let mut executor = Executor::new(&net, 2, ExecOptions { training: true, ..ExecOptions::default() })?;
//! let images: Vec<f32> = (0..2 * 3 * 8 * 8).map(|k| (k % 7) as f32 - 3.0).collect();
//! let before = executor.forward(&params, &images, Mode::Batch, &())?.to_vec();
//! let mut d_output = vec![0.0; 2 * 10];
//! d_output[0] = 1.0;
//! let mut gradients = vec![0.0; params.values.len()];
//! executor.backward(&params, &d_output, Wants::PARAMS, &mut gradients, &())?;
//! executor.update_running(&mut params, 0.1)?;
//!
//! params.values.iter_mut().zip(&gradients).for_each(|(p, g)| *p -= 1e-3 * g);
//! let after = executor.forward(&params, &images, Mode::Batch, &())?;
//! assert!(after[0] < before[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The life of a step.** [`Executor::new`] plans once for a network and batch: which layers are
//! stored, for how long, and which share a buffer. [`Executor::forward`] takes images (channels ×
//! height × width) and returns outputs; [`Executor::backward`] takes the gradient of the loss by
//! the outputs, and computes that by the parameters, by the images, or both, see [`Wants`]. The
//! caller computes the loss. [`Params`] are flat, and gradients a plain vector in the same
//! [`Layout`], so that an optimiser is one loop. A forward pass may have fewer images than planned,
//! and several backward passes may follow one forward pass ([`ExecOptions::repeat_backward`]).
//!
//! **Looking inside.** [`ExecOptions::observed`] names the layers that an [`Observer`] sees, image by
//! image: outputs in the forward pass, outputs and gradients in the backward pass. [`Mode`] sets
//! the statistics that batch norms use.
//!
//! **`f32` and `f64`.** [`Executor`] runs in either. In `f32`, 3×3 convolutions of stride 1 are
//! computed by Winograd's algorithm, with rounding errors some ten times those of the plain sum; in
//! `f64` every convolution is the plain sum.
//!
//! **Layout.** Between layers, images are height × width × channels. A convolution copies an image,
//! while it is in the cache, to blocks of 16 channels with a margin of zeros, and applies the batch
//! norm and activation before it on the way. In a chain of ReLU-Conv-BN, only the outputs of
//! convolutions are ever written to memory.
//!
//! **Files.** Each family of operations has a file, forward and backward side by side: `conv` (with
//! `packing`, `tiles`, `depthwise`, `winograd`, `transposed_taps`), `batch_norm`, `elementwise`,
//! `activation_states`, `pool`, `rearrange`, `linear`. `plan` decides about buffers; `executor`,
//! `forward`, `backward` and `accumulate` run the layers; `workers` spreads the work over threads;
//! `vector` has the instruction sets.

mod accumulate;
mod activation_states;
mod backward;
mod batch_norm;
mod blocked;
mod conv;
#[cfg(test)]
mod conv_tests;
mod depthwise;
mod elementwise;
mod error;
mod executor;
mod float;
mod forward;
mod linear;
mod memory;
mod packing;
mod params;
mod plan;
mod pool;
mod rearrange;
mod tiles;
mod transposed_taps;
pub(crate) mod vector;
mod winograd;
mod workers;

pub use backward::Wants;
pub use error::ExecError;
pub use executor::{ExecOptions, Executor, Mode, Observer};
pub use float::Float;
pub use params::{LayerPlace, Layout, Params};
