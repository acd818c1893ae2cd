//! The numeric core of Lanner, for the learning of predictors and for running networks.
//!
//! **Two floors.** The lower one has kernels over flat buffers, for predictors. The upper one is the
//! [`Executor`], which runs any network of lanner-network forward and backward, for training and
//! for zero-cost proxies; start with [`exec`], which has an example.
//!
//! There is no graph of operations and no automatic differentiation. A model owns flat `f32`
//! buffers, calls a kernel forward and its twin backward, and passes gradients to an optimiser:
//!
//! ```
//! use lanner_nn::{AdamW, Matrix, matmul, rng, uniform};
//! // Fit y = x W to a known W by gradient descent.
//! let mut generator = rng(7, "example");
//! let mut x = Matrix::zeros(64, 3);
//! uniform(&mut x.data, 1.0, &mut generator);
//! let truth = Matrix::from_rows(3, 1, vec![1.0, -2.0, 0.5]);
//! let y = x.dot(&truth, 1);
//! let mut w = Matrix::zeros(3, 1);
//! let mut adam = AdamW::new(w.data.len(), 0.0);
//! for _ in 0..400 {
//!     let mut residual = x.dot(&w, 1);
//!     residual.data.iter_mut().zip(&y.data).for_each(|(p, y)| *p -= y);
//!     let mut gradient = Matrix::zeros(3, 1);
//!     matmul::tn(3, 64, 1, &x.data, &residual.data, &mut gradient.data, false, 1);
//!     adam.step(&mut w.data, &gradient.data, 0.05, 1);
//! }
//! assert!(w.data.iter().zip(&truth.data).all(|(a, b)| (a - b).abs() < 1e-2));
//! ```
//!
//! **Layout.** Everything is row-major `f32`. [`Matrix`] is a plain struct with public fields;
//! kernels take slices and sizes, so that a caller can work on a part of a larger buffer.
//!
//! **The pieces.** [`matmul`] (three products over the `gemm` crate), [`norm`] (layer norm, ReLU and
//! dropout in one pass), [`sparse`] (sums over neighbours), [`optim`] (AdamW, SGD), [`schedule`]
//! (cosine, plateau, early stop), [`seed`] (a generator for each purpose, from one study seed).
//! Forward and backward stand side by side in one file, and tests compare each with a slow obvious
//! version and with finite differences.
//!
//! **Speed.** Kernels are compiled for AVX-512, AVX2 and the baseline and chosen at run time. Kernels
//! do not allocate, except for the methods of [`Matrix`] and the `gemm` crate's packing.
//!
//! **Networks.** [`Executor`] with [`Params`], [`ExecOptions`], [`Mode`], [`Wants`] and [`Observer`], in
//! `f32` or `f64` ([`Float`]). Convolutions are our own, linear layers use `gemm`. A batch is cut
//! into the same parts for every number of threads, and sums over the parts run in order.
//!
//! **Determinism.** The same inputs give the same bits for every number of threads: no sum is split
//! between threads. Dropout masks are a hash of (key, row, column), not a stream that depends on
//! the order of work. Processors may differ in the last bits, since the products of the `gemm`
//! crate do.

pub mod exec;
mod init;
pub mod matmul;
mod matrix;
pub mod norm;
pub mod optim;
pub mod schedule;
pub mod seed;
mod simd;
pub mod sparse;

pub use exec::{
    ExecError, ExecOptions, Executor, Float, LayerPlace, Layout, Mode, Observer, Params, Wants,
};
pub use init::uniform;
pub use matrix::Matrix;
pub use norm::Dropout;
pub use optim::{AdamW, Sgd};
pub use schedule::{EarlyStop, Plateau, cosine, warm_cosine};
pub use seed::{Rng, rng, subseed};
pub use sparse::Pattern;
