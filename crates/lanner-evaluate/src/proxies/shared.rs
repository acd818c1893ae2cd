//! Passes that most proxies share: one forward, one backward of the loss, one backward of the outputs;
//! and two more for GraSP, in the same buffers.

use lanner_network::{Layer, Network, Op};
use lanner_nn::{Executor, Mode, Params, Wants};

use super::proxy::finite;
use super::{
    Absence, Batch, Proxy, ProxyOptions, Score, fisher::FisherSums, grasp, jacobian, linalg, loss,
};
use crate::EvaluateError;

/// Proxies of these passes, in the order of their computation.
const SHARED: [Proxy; 8] = [
    Proxy::Nwot,
    Proxy::GradNorm,
    Proxy::Snip,
    Proxy::Plain,
    Proxy::Fisher,
    Proxy::Jacov,
    Proxy::EpeNas,
    Proxy::Grasp,
];

/// Computes those of the `wanted` proxies that come from these passes; runs only the passes needed.
pub fn passes(
    network: &Network,
    params: &Params<f32>,
    batch: &Batch,
    wanted: &[Proxy],
    options: &ProxyOptions,
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    let any = |of: &[Proxy]| of.iter().any(|p| wanted.contains(p));
    let by_params = any(&[Proxy::GradNorm, Proxy::Snip, Proxy::Plain, Proxy::Grasp]);
    let by_input = any(&[Proxy::Jacov, Proxy::EpeNas]);
    let by_fisher = any(&[Proxy::Fisher]);
    let hold_states = any(&[Proxy::Nwot, Proxy::Grasp]);
    if !any(&SHARED) {
        return Ok(Vec::new());
    }
    let sums = FisherSums::new(network, batch.len(), by_fisher);
    let training = by_params || by_input || by_fisher;
    let repeat_backward = by_input && (by_params || by_fisher);
    let run = lanner_nn::ExecOptions {
        training,
        repeat_backward,
        hold_states,
        observed: sums.layers(),
        ..options.executor()
    };
    let mut executor = Executor::<f32>::new(network, batch.len(), run)?;
    let outputs = executor.forward(params, &batch.images, Mode::Batch, &sums)?;
    let d_outputs = loss::gradient(outputs, &batch.labels);
    let mut gradient = vec![0.0; if by_params { params.values.len() } else { 0 }];
    if by_params || by_fisher {
        let wants = Wants { params: by_params, input: false };
        executor.backward(params, &d_outputs, wants, &mut gradient, &sums)?;
    }
    let correlations = match by_input {
        true => {
            let ones = vec![1.0; d_outputs.len()];
            executor.backward(params, &ones, Wants::INPUT, &mut [], &())?;
            let by_image = executor.input_gradient()?;
            let rows: Vec<&[f32]> = by_image.chunks_exact(network.input().len()).collect();
            linalg::correlations(&rows)
        }
        false => None,
    };
    let mut scores = Vec::new();
    for proxy in SHARED.into_iter().filter(|p| wanted.contains(p)) {
        let score = match proxy {
            Proxy::Nwot => nwot(&executor, batch.len()),
            Proxy::Jacov => jacobian::jacov(correlations.as_deref(), batch.len()),
            Proxy::EpeNas => {
                let classes = network.output().len();
                jacobian::epe_nas(correlations.as_deref(), &batch.labels, classes)
            }
            _ if weighted(network, params).next().is_none() => Err(Absence::NoWeights),
            Proxy::Grasp => {
                let Batch { images, labels, .. } = batch;
                grasp::grasp(params, images, labels, &gradient, &mut executor, grasp::STEP)?
            }
            Proxy::Fisher => {
                let weights = |l: usize| params.layer(l).0.len() / network.layers[l].shape.channels;
                finite(sums.fisher(weights))
            }
            _ => finite(sum(network, params, &gradient, proxy)),
        };
        scores.push((proxy, score));
    }
    Ok(scores)
}

/// Ranges of the kernels and matrices of convolutions and linear layers among all parameters.
pub fn weighted<'a, T>(
    network: &'a Network,
    params: &'a Params<T>,
) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let layers = network.layers.iter().zip(&params.layout.layers);
    layers
        .filter(|(l, _)| matches!(l.op, Op::Conv(_) | Op::Linear { .. }))
        .map(|(_, place)| place.weight.clone())
}

/// Computes NWOT from the numbers of ReLUs that are in the same state for two images.
fn nwot(executor: &Executor<f32>, images: usize) -> Score {
    let (mut all, mut differing) = (0, vec![0u64; images * images]);
    let layers = &executor.network().layers;
    for (i, layer) in layers.iter().enumerate() {
        let same = |l: &&Layer| l.op == layer.op && l.inputs == layer.inputs;
        if !matches!(layer.op, Op::Relu | Op::Relu6) || layers[..i].iter().any(|l| same(&l)) {
            continue;
        }
        // ReLUs that read the same input have the same states, and are counted together.
        let times = layers.iter().filter(same).count() as u64;
        all += times * layer.shape.len() as u64;
        let states = executor.activation_states(i);
        let rows: Vec<&[u64]> = states.chunks_exact(states.len() / images).collect();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows[..i].iter().enumerate() {
                let differ: u32 = a.iter().zip(*b).map(|(a, b)| (a ^ b).count_ones()).sum();
                differing[i * images + j] += times * u64::from(differ);
            }
        }
    }
    if all == 0 {
        return Err(Absence::NoRelu);
    }
    let same = |i: usize, j: usize| (all - differing[i.max(j) * images + i.min(j)]) as f64;
    let agreements = (0..images * images).map(|at| same(at / images, at % images)).collect();
    linalg::log_determinant(agreements, images).ok_or(Absence::Singular)
}

/// Computes a proxy that is a sum over weights.
fn sum(network: &Network, params: &Params<f32>, gradient: &[f32], proxy: Proxy) -> f64 {
    let mut sum = 0.0;
    for range in weighted(network, params) {
        let pairs = params.values[range.clone()].iter().zip(&gradient[range]);
        let product = |(w, g): (&f32, &f32)| f64::from(*w) * f64::from(*g);
        sum += match proxy {
            Proxy::GradNorm => pairs.map(|(_, g)| f64::from(*g).powi(2)).sum::<f64>().sqrt(),
            Proxy::Snip => pairs.map(product).map(f64::abs).sum(),
            _ => pairs.map(product).sum::<f64>(),
        };
    }
    sum
}
