//! Proxies that share no pass with others: L2 norm, SynFlow, Zen.

use std::sync::{Mutex, PoisonError};

use lanner_network::{Network, Op};
use lanner_nn::{Executor, Mode, Observer, Params, Wants};

use super::proxy::{finite, log};
use super::{Absence, ProxyOptions, Score, init, shared::weighted};
use crate::EvaluateError;

pub fn l2_norm(network: &Network, params: &Params<f32>) -> Score {
    let norm = |w: &[f32]| w.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>().sqrt();
    let mut norms = weighted(network, params).map(|r| norm(&params.values[r])).peekable();
    norms.peek().ok_or(Absence::NoWeights)?;
    finite(norms.sum())
}

/// Computes SynFlow in `f64`: without batch norms, numbers exceed `f32` within twenty layers.
pub fn synflow(
    network: &Network,
    params: &Params<f32>,
    options: &ProxyOptions,
) -> Result<Score, EvaluateError> {
    if weighted(network, params).next().is_none() {
        return Ok(Err(Absence::NoWeights));
    }
    let mut positive = Params::<f64>::zeros(network);
    for (p, w) in positive.values.iter_mut().zip(&params.values) {
        *p = f64::from(w.abs());
    }
    let run = lanner_nn::ExecOptions { training: true, ..options.executor() };
    let mut executor = Executor::<f64>::new(network, 1, run)?;
    executor.forward(&positive, &vec![1.0; network.input().len()], Mode::Bypass, &())?;
    let mut gradient = vec![0.0; positive.values.len()];
    let ones = vec![1.0; network.output().len()];
    executor.backward(&positive, &ones, Wants::PARAMS, &mut gradient, &())?;
    let flows = weighted(network, params).map(|r| {
        let pairs = positive.values[r.clone()].iter().zip(&gradient[r]);
        pairs.map(|(w, g)| (w * g).abs()).sum::<f64>()
    });
    Ok(log(flows.sum()))
}

/// Computes Zen from `images` pairs of random images.
pub fn zen(
    network: &Network,
    images: usize,
    seed: u64,
    options: &ProxyOptions,
) -> Result<Score, EvaluateError> {
    let len = network.input().len();
    let mut generator = lanner_nn::rng(seed, "proxies: images of zen");
    let (mut first, mut second) = (vec![0.0; images * len], vec![0.0; images * len]);
    init::fill_normal(&mut first, &mut generator);
    init::fill_normal(&mut second, &mut generator);
    second.iter_mut().zip(&first).for_each(|(b, a)| *b = a + 0.01 * *b);
    zen_of(network, init::normal(network, seed), [&first, &second], options)
}

/// Computes Zen from given weights and both sets of images.
pub fn zen_of(
    network: &Network,
    mut params: Params<f32>,
    both: [&[f32]; 2],
    options: &ProxyOptions,
) -> Result<Score, EvaluateError> {
    let images = both[0].len() / network.input().len();
    // Features are the input of the last global pooling; without one, the output of the network.
    let pooling = network.layers.iter().rev().find(|l| l.op == Op::GlobalAvgPool);
    let features = pooling.map_or(network.layers.len() - 1, |l| l.inputs[0]);
    let run = lanner_nn::ExecOptions { observed: vec![features], ..options.executor() };
    let mut executor = Executor::<f32>::new(network, images, run)?;
    let kept = Kept::new(images);
    let mut differences = 0.0;
    for (k, x) in both.into_iter().enumerate() {
        let old = if k == 1 { kept.take() } else { Vec::new() };
        executor.forward(&params, x, Mode::Batch, &kept)?;
        executor.update_running(&mut params, 0.1)?;
        if k == 1 {
            for (a, b) in old.iter().zip(&kept.take()) {
                let difference = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
                differences += a.iter().zip(b).map(difference).sum::<f64>();
            }
        }
    }
    let mut scale = 0.0;
    for place in params.layout.layers.iter().filter(|p| !p.variance.is_empty()) {
        let variance = &params.running[place.variance.clone()];
        let mean = variance.iter().map(|&v| f64::from(v)).sum::<f64>() / variance.len() as f64;
        scale += 0.5 * mean.ln();
    }
    Ok(log(differences / images as f64).and_then(|change| finite(change + scale)))
}

/// Keeps the output of the observed layer, image by image.
struct Kept(Mutex<Vec<Vec<f32>>>);

impl Kept {
    fn new(images: usize) -> Kept {
        Kept(Mutex::new(vec![Vec::new(); images]))
    }

    /// Takes the outputs that were kept, and starts anew.
    fn take(&self) -> Vec<Vec<f32>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = vec![Vec::new(); kept.len()];
        std::mem::replace(&mut *kept, empty)
    }
}

impl Observer<f32> for Kept {
    fn output(&self, _: usize, image: usize, output: &[f32]) {
        let output = output.to_vec();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[image] = output;
    }
}
