//! Zero-cost proxies: scores of an untrained network, from one minibatch, that predict how good it
//! will be.
//!
//! ```
//! use lanner_evaluate::proxies::{Batch, ProxyOptions, Proxy, compute};
//! use lanner_network::{Nasbench201, View};
//! use lanner_space::Space;
//!
//! let arch = Space::NasBench201.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")?;
//! let small = Nasbench201 { channels: 4, cells: 1, resolution: 8, classes: 10 };
//! let network = small.build(&arch, View::Raw)?;
//! let batch = Batch::random(16, network.input().len(), 10, 1);
//! let scores = compute(&network, &batch, &[Proxy::Synflow, Proxy::Nwot], &ProxyOptions::default())?;
//! assert!(scores.iter().all(|(_, score)| score.is_ok()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Shared work.** [`compute`] runs only the passes that the wanted proxies need, each once:
//!
//! | pass | for |
//! |---|---|
//! | forward | `nwot`, `swap`, `swap_layers`, `expressivity`, `progressivity`, `meco`, `lswag`; all of the next rows |
//! | backward of the loss | `grad_norm`, `snip`, `plain`, `fisher`, `vkdnw`; `zico`, `lswag`, `lswag_gradients`, `grasp` |
//! | backward of the loss of half of the images | `zico`, `lswag`, `lswag_gradients` |
//! | backward in pieces between blocks | `trainability` |
//! | backward of the sum of outputs, to the image | `jacov`, `epe_nas` |
//! | two more forward and backward, of larger and smaller weights | `grasp` |
//! | forward and backward of one image of ones, in `f64` | `synflow` |
//! | two forward, of other weights | `zen` |
//! | eight forward of the first cell, of 16 images | `swap_cell` |
//! | none | `flops`, `params`, `l2_norm` |
//!
//! A value depends neither on which other proxies are wanted, nor on the number of threads.
//!
//! **Definitions.** [`Proxy`] has them. Build networks with `View::Raw`: the published values count
//! layers that lead nowhere. [`ProxyWeights::of`] gives the initialisation with which the published values
//! of a space were computed; [`average`] takes several seeds. A proxy that cannot be computed is an
//! [`Absence`], never a special number.
//!
//! [`ProxyCampaign`] computes the proxies of many networks into a file.

mod batch;
mod campaign;
mod features;
mod fisher;
mod grasp;
mod init;
mod jacobian;
mod linalg;
mod loss;
mod patterns;
mod proxy;
mod separate;
mod shared;
mod spread;

pub use batch::Batch;
pub use campaign::{ProxyCampaign, ProxySummary};
pub use init::ProxyWeights;
pub use proxy::{Absence, Proxy, Score};

use lanner_network::{Cost, Network, Weights};

use crate::EvaluateError;

/// ProxyOptions of the computation of proxies.
#[derive(Debug, Clone, Default)]
pub struct ProxyOptions {
    /// Seed of the weights, and of Zen's images.
    pub seed: u64,
    /// Initialisation for all proxies but Zen, which has its own.
    pub weights: ProxyWeights,
    /// Largest number of threads; 0 is taken as 1. Results do not depend on it.
    pub threads: usize,
    /// Limit of the memory for activations and their gradients, in bytes; a network that needs more is
    /// an error.
    pub memory_limit: Option<u64>,
}

impl ProxyOptions {
    /// Refuses a network whose weights alone need more memory than there is, before they are drawn.
    fn check_weights(&self, network: &Network) -> Result<(), EvaluateError> {
        let needed = Cost::of(network).params.saturating_mul(size_of::<f32>() as u64);
        match self.memory_limit {
            Some(limit) if needed > limit => Err(EvaluateError::Value {
                name: "memory",
                value: format!("{limit} bytes"),
                expected: format!("{needed} or more for the weights of {}", network.name),
            }),
            _ => Ok(()),
        }
    }

    fn executor(&self) -> lanner_nn::ExecOptions {
        lanner_nn::ExecOptions {
            threads: self.threads,
            memory_limit: self.memory_limit,
            ..lanner_nn::ExecOptions::default()
        }
    }
}

/// Computes proxies of a network, in the order of `wanted`.
///
/// # Errors
/// When the batch does not fit the network's input and classes, or the memory limit is too low.
pub fn compute(
    network: &Network,
    batch: &Batch,
    wanted: &[Proxy],
    options: &ProxyOptions,
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    batch.check(network.input().len(), network.output().len())?;
    options.check_weights(network)?;
    let params = options.weights.fill(network, options.seed);
    compute_with(network, params, batch, wanted, options)
}

/// Computes [`compute`]'s proxies of a network with these weights; Zen and SwapCell draw their own.
///
/// # Errors
/// As [`compute`].
pub fn compute_of(
    network: &Network,
    weights: &Weights,
    batch: &Batch,
    wanted: &[Proxy],
    options: &ProxyOptions,
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    batch.check(network.input().len(), network.output().len())?;
    options.check_weights(network)?;
    let params = lanner_nn::Params::from_weights(network, weights)?;
    compute_with(network, params, batch, wanted, options)
}

/// [`compute`] with given weights, except for Zen and SwapCell.
fn compute_with(
    network: &Network,
    params: lanner_nn::Params<f32>,
    batch: &Batch,
    wanted: &[Proxy],
    options: &ProxyOptions,
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    let seed = options.seed;
    let draw = |layer, numbers: &mut [f32]| init::fill_signs(numbers, seed, layer);
    compute_drawn(network, params, batch, wanted, options, draw)
}

/// [`compute_with`] with given random gradients behind blocks, for Trainability.
fn compute_drawn(
    network: &Network,
    params: lanner_nn::Params<f32>,
    batch: &Batch,
    wanted: &[Proxy],
    options: &ProxyOptions,
    draw: impl FnMut(usize, &mut [f32]),
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    let shared = shared::passes(network, &params, batch, wanted, options, draw)?;
    let mut scores = Vec::with_capacity(wanted.len());
    for &proxy in wanted {
        let known = shared.iter().find(|(p, _)| *p == proxy);
        let score = match proxy {
            Proxy::Flops => Ok(Cost::of(network).flops as f64 / 1e6),
            Proxy::Params => Ok(Cost::of(network).params as f64 / 1e6),
            Proxy::L2Norm => separate::l2_norm(network, &params),
            Proxy::Synflow => separate::synflow(network, &params, options)?,
            Proxy::SwapCell => patterns::swap_cell(network, batch, options)?,
            Proxy::Zen => separate::zen(network, batch.len(), options.seed, options)?,
            _ => known.map_or(Err(Absence::NotFinite), |(_, score)| *score),
        };
        scores.push((proxy, score));
    }
    Ok(scores)
}

/// Computes the means of proxies over `seeds` initialisations. The first seed is that of the options,
/// the others are derived from it. A proxy that is absent for one seed is absent.
///
/// # Errors
/// As [`compute`].
pub fn average(
    network: &Network,
    batch: &Batch,
    wanted: &[Proxy],
    seeds: usize,
    options: &ProxyOptions,
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    let mut means = compute(network, batch, wanted, options)?;
    for k in 1..seeds {
        let seed = lanner_nn::subseed(options.seed, &format!("proxies: seed {k}"));
        let scores = compute(network, batch, wanted, &ProxyOptions { seed, ..options.clone() })?;
        for ((_, mean), (_, score)) in means.iter_mut().zip(scores) {
            // A running mean keeps identical values exactly.
            *mean = mean.and_then(|m| score.map(|s| m + (s - m) / (k + 1) as f64));
        }
    }
    Ok(means)
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod tests;
