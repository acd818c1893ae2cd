//! Passes that most proxies share: one forward; backward of the loss, of its first half of images, of
//! the outputs, and in pieces between blocks; and two more for GraSP, in the same buffers.

use lanner_network::{Network, Op};
use lanner_nn::{Executor, Mode, Params, Wants};

use super::proxy::finite;
use super::{
    Absence, Batch, Proxy, ProxyOptions, Score, features, fisher::FisherSums, grasp, jacobian,
    linalg, loss, patterns, spread,
};
use crate::EvaluateError;

/// Proxies of these passes, in the order of their computation.
const SHARED: [Proxy; 18] = [
    Proxy::Nwot,
    Proxy::Swap,
    Proxy::SwapLayers,
    Proxy::Expressivity,
    Proxy::Progressivity,
    Proxy::Meco,
    Proxy::GradNorm,
    Proxy::Snip,
    Proxy::Plain,
    Proxy::Zico,
    Proxy::LswagGradients,
    Proxy::Lswag,
    Proxy::Fisher,
    Proxy::Vkdnw,
    Proxy::Jacov,
    Proxy::EpeNas,
    Proxy::Trainability,
    // Runs forward again.
    Proxy::Grasp,
];

/// Computes those of the `wanted` proxies that come from these passes; runs only the passes needed.
/// `draw(layer, numbers)` fills the gradients behind blocks, see [`features::trainability`].
pub fn passes(
    network: &Network,
    params: &Params<f32>,
    batch: &Batch,
    wanted: &[Proxy],
    options: &ProxyOptions,
    draw: impl FnMut(usize, &mut [f32]),
) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
    let any = |of: &[Proxy]| of.iter().any(|p| wanted.contains(p));
    if !any(&SHARED) {
        return Ok(Vec::new());
    }
    let by_half = any(&[Proxy::Zico, Proxy::LswagGradients, Proxy::Lswag]);
    let by_params = by_half || any(&[Proxy::GradNorm, Proxy::Snip, Proxy::Plain, Proxy::Grasp]);
    let of_patterns = any(&[Proxy::Swap, Proxy::SwapLayers, Proxy::Lswag]);
    let by_image = any(&[Proxy::Fisher, Proxy::Vkdnw]);
    let by_input = any(&[Proxy::Jacov, Proxy::EpeNas]);
    let of_blocks = any(&[Proxy::Expressivity, Proxy::Progressivity]);
    let in_pieces = any(&[Proxy::Trainability]);
    let of_layers = any(&[Proxy::Meco]);

    let blocks = features::block_outputs(network);
    let convolutions = features::meco_layers(network);
    let sums = FisherSums::new(network, batch.len(), by_image);
    let mut observed = sums.layers();
    observed.extend(blocks.iter().filter(|_| of_blocks));
    observed.extend(convolutions.iter().filter(|_| of_layers));
    let backward = [by_params || by_image, by_half, by_input, in_pieces, of_blocks || of_layers];
    let backward = backward.into_iter().filter(|b| *b).count();
    let run = lanner_nn::ExecOptions {
        training: backward > 0,
        // Outputs that are looked at after the pass are kept as for further backward passes.
        repeat_backward: backward > 1 || of_blocks || of_layers,
        hold_states: of_patterns || any(&[Proxy::Nwot, Proxy::Grasp]),
        observed,
        cuts: blocks.iter().copied().filter(|_| in_pieces).collect(),
        ..options.executor()
    };
    let mut executor = Executor::<f32>::new(network, batch.len(), run)?;
    let outputs = executor.forward(params, &batch.images, Mode::Batch, &sums)?;
    let mut d_outputs = loss::gradient(outputs, &batch.labels);
    let mut gradient = vec![0.0; if by_params { params.values.len() } else { 0 }];
    if by_params || by_image {
        let wants = Wants { params: by_params, input: false };
        executor.backward(params, &d_outputs, wants, &mut gradient, &sums)?;
    }
    let mut half = vec![0.0; if by_half { params.values.len() } else { 0 }];
    if by_half {
        let first = d_outputs.len() / batch.len() * (batch.len() / 2);
        d_outputs[first..].fill(0.0);
        executor.backward(params, &d_outputs, Wants::PARAMS, &mut half, &())?;
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
    let entropies = match of_blocks {
        true => features::entropies(&executor, &blocks, options.threads)?,
        false => Vec::new(),
    };
    let (swap, swap_layers) = match of_patterns {
        true => patterns::swap(&executor, batch.len()),
        false => (Err(Absence::NoRelu), Err(Absence::NoRelu)),
    };
    let mut draw = Some(draw);
    let mut scores = Vec::new();
    for proxy in SHARED.into_iter().filter(|p| wanted.contains(p)) {
        let score = match proxy {
            Proxy::Nwot => patterns::nwot(&executor, batch.len()),
            Proxy::Swap => swap,
            Proxy::SwapLayers => swap_layers,
            Proxy::Jacov => jacobian::jacov(correlations.as_deref(), batch.len()),
            Proxy::EpeNas => {
                let classes = network.output().len();
                jacobian::epe_nas(correlations.as_deref(), &batch.labels, classes)
            }
            Proxy::Expressivity => features::expressivity(&entropies),
            Proxy::Progressivity => features::progressivity(&entropies),
            Proxy::Trainability => match draw.take() {
                Some(draw) => {
                    let threads = options.threads;
                    features::trainability(&mut executor, params, &blocks, threads, draw)?
                }
                None => Err(Absence::NoGradient),
            },
            _ if weighted(network, params).next().is_none() => Err(Absence::NoWeights),
            Proxy::Meco => features::meco(&executor, &convolutions)?,
            Proxy::Zico => spread::zico(network, params, &gradient, &half),
            Proxy::LswagGradients => spread::lswag_gradients(network, params, &gradient, &half),
            Proxy::Lswag => {
                let gradients = spread::lswag_gradients(network, params, &gradient, &half);
                swap_layers.and_then(|patterns| gradients.map(|g| g * patterns))
            }
            Proxy::Vkdnw => spread::vkdnw(network, &sums.by_image(), batch.len()),
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
