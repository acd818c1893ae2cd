//! Proxies from what blocks and layers pass on: AZ-NAS (Lee & Ham, CVPR 2024) and MeCo (Jiang et al.,
//! NeurIPS 2023).

use lanner_network::{Network, Op, Shape};
use lanner_nn::{Executor, Params, matmul};

use super::linalg;
use super::proxy::{Absence, Score, finite};
use crate::EvaluateError;

/// Layers whose outputs blocks of the skeleton pass on, of all blocks but the head.
pub fn block_outputs(network: &Network) -> Vec<usize> {
    let mut last = vec![None; network.blocks.len()];
    for layer in &network.layers {
        for &input in &layer.inputs {
            let block = network.layers[input].block;
            if block != layer.block && block > 0 {
                last[block] = last[block].max(Some(input));
            }
        }
    }
    last.into_iter().flatten().collect()
}

/// Entropies of the normalised eigenvalues of the channels' covariance, over images and pixels, of
/// each of these layers.
pub fn entropies(
    executor: &Executor<f32>,
    layers: &[usize],
    threads: usize,
) -> Result<Vec<Score>, EvaluateError> {
    layers
        .iter()
        .map(|&layer| {
            let channels = executor.network().layers[layer].shape.channels;
            let mut x = executor.layer_output(layer, usize::MAX)?;
            centre(&mut x, channels);
            Ok(entropy(&gram(&x, channels, threads), channels))
        })
        .collect()
}

fn entropy(gram: &[f32], n: usize) -> Score {
    let gram = gram.iter().map(|&v| f64::from(v)).collect();
    let v = linalg::eigenvalues(gram, n).ok_or(Absence::NotFinite)?;
    let sum: f64 = v.iter().map(|v| v.max(0.0)).sum();
    if sum == 0.0 {
        return Err(Absence::Zero);
    }
    let shares = v.iter().map(|v| v.max(0.0) / sum);
    finite(shares.map(|p| -p * (p + 1e-8).ln()).sum())
}

/// Subtracts each channel's mean; `x` is pixels × channels.
fn centre(x: &mut [f32], channels: usize) {
    let mut means = vec![0.0f64; channels];
    for pixel in x.chunks_exact(channels) {
        means.iter_mut().zip(pixel).for_each(|(m, &v)| *m += f64::from(v));
    }
    let pixels = (x.len() / channels) as f64;
    for pixel in x.chunks_exact_mut(channels) {
        pixel.iter_mut().zip(&means).for_each(|(v, m)| *v -= (m / pixels) as f32);
    }
}

/// xᵀx of pixels × channels.
fn gram(x: &[f32], channels: usize, threads: usize) -> Vec<f32> {
    let mut out = vec![0.0; channels * channels];
    matmul::tn(channels, x.len() / channels, channels, x, x, &mut out, false, threads);
    out
}

/// The sum of the entropies.
pub fn expressivity(entropies: &[Score]) -> Score {
    if entropies.is_empty() {
        return Err(Absence::OneBlock);
    }
    entropies.iter().try_fold(0.0, |sum, entropy| entropy.map(|e| sum + e))
}

/// The least rise of the entropy from a block to the next.
pub fn progressivity(entropies: &[Score]) -> Score {
    if entropies.len() < 2 {
        return Err(Absence::OneBlock);
    }
    let rises = entropies.windows(2).map(|pair| Ok(pair[1]? - pair[0]?));
    rises.reduce(|a, b| Ok(a?.min(b?))).unwrap_or(Err(Absence::OneBlock))
}

/// Computes the trainability of AZ-NAS. `layers` are the cuts of the executor; `draw(layer, numbers)`
/// fills the gradient behind a block with −1 and 1.
pub fn trainability(
    executor: &mut Executor<f32>,
    params: &Params<f32>,
    layers: &[usize],
    threads: usize,
    mut draw: impl FnMut(usize, &mut [f32]),
) -> Result<Score, EvaluateError> {
    let shapes: Vec<Shape> = executor.network().layers.iter().map(|l| l.shape).collect();
    let mut behind: Option<(Vec<f32>, Shape)> = None;
    let mut scores = Vec::new();
    executor.backward_in_pieces(params, layers, &mut |layer, gradient| {
        let shape = shapes[layer];
        if let Some((drawn, of)) = &behind {
            scores.push(match drawn == gradient {
                true => Err(Absence::Identity),
                false => Ok(preserved((gradient, shape), (drawn, *of), threads)),
            });
        }
        draw(layer, gradient);
        behind = Some((gradient.to_vec(), shape));
    })?;
    if layers.len() < 2 {
        return Ok(Err(Absence::OneBlock));
    }
    if scores.len() + 1 < layers.len() {
        return Ok(Err(Absence::NoGradient));
    }
    let mut sum = 0.0;
    for score in &scores {
        match score {
            Ok(Some(score)) => sum += score,
            Ok(None) => return Ok(Err(Absence::NotFinite)),
            Err(absence) => return Ok(Err(*absence)),
        }
    }
    Ok(finite(sum / scores.len() as f64))
}

/// 2 − σ − 1/(σ + 10⁻⁶), at most 0, where σ is the largest singular value of the mean product of
/// gradients before and behind a block.
fn preserved(
    (before, b): (&[f32], Shape),
    (behind, o): (&[f32], Shape),
    threads: usize,
) -> Option<f64> {
    let stride = (b.height / o.height.max(1)).max(1);
    let (rows, inputs) = (behind.len() / o.channels, b.channels * stride * stride);
    let gathered;
    let before = match stride {
        1 => before,
        _ => {
            gathered = unshuffled((before, b), o, stride);
            &gathered
        }
    };
    let mut product = vec![0.0; inputs * o.channels];
    matmul::tn(inputs, rows, o.channels, before, behind, &mut product, false, threads);
    let n = inputs.min(o.channels);
    let mut square = vec![0.0; n * n];
    match inputs < o.channels {
        true => matmul::nt(n, o.channels, n, &product, &product, &mut square, false, threads),
        false => matmul::tn(n, inputs, n, &product, &product, &mut square, false, threads),
    }
    let v = linalg::eigenvalues(square.iter().map(|&v| f64::from(v)).collect(), n)?;
    let sigma = v.into_iter().fold(0.0, f64::max).sqrt() / rows as f64;
    Some(2.0 - sigma - 1.0 / (sigma + 1e-6))
}

/// Gathers `stride` × `stride` pixels into the channels of one, for each pixel of `out`.
fn unshuffled((x, shape): (&[f32], Shape), out: Shape, stride: usize) -> Vec<f32> {
    let images = x.len() / shape.len();
    let mut gathered = Vec::with_capacity(images * out.height * out.width * stride * stride);
    for image in x.chunks_exact(shape.len()) {
        for row in 0..out.height {
            for column in 0..out.width {
                for at in 0..stride * stride {
                    let (y, x) = (row * stride + at / stride, column * stride + at % stride);
                    let pixel = (y.min(shape.height - 1)) * shape.width + x.min(shape.width - 1);
                    gathered.extend(&image[pixel * shape.channels..][..shape.channels]);
                }
            }
        }
    }
    gathered
}

/// Convolutions that MeCo looks at: those of more pixels than channels, as other matrices are
/// singular.
pub fn meco_layers(network: &Network) -> Vec<usize> {
    let of = |i: &usize| {
        let layer = &network.layers[*i];
        let Shape { channels, height, width } = layer.shape;
        matches!(layer.op, Op::Conv(_)) && height * width > channels
    };
    (0..network.layers.len()).filter(of).collect()
}

/// Sums over layers the smallest eigenvalue of the correlations between channels, for the first
/// image.
pub fn meco(executor: &Executor<f32>, layers: &[usize]) -> Result<Score, EvaluateError> {
    let mut sum = 0.0;
    for &layer in layers {
        let shape = executor.network().layers[layer].shape;
        let pixels = shape.height * shape.width;
        let image = &executor.layer_output(layer, 1)?;
        let channel = |c: usize| image[c..].iter().step_by(shape.channels).copied().collect();
        let channels: Vec<Vec<f32>> = (0..shape.channels).map(channel).collect();
        debug_assert!(channels.iter().all(|c| c.len() == pixels));
        // Channels that do not vary have no correlations, which count as 0.
        let varied: Vec<&[f32]> =
            channels.iter().map(Vec::as_slice).filter(|c| c.iter().any(|v| *v != c[0])).collect();
        if varied.len() < channels.len() {
            continue;
        }
        let Some(correlations) = linalg::correlations(&varied) else {
            return Ok(Err(Absence::NotFinite));
        };
        let Some(v) = linalg::eigenvalues(correlations, varied.len()) else {
            return Ok(Err(Absence::NotFinite));
        };
        sum += v.into_iter().fold(f64::INFINITY, f64::min).max(0.0);
    }
    Ok(finite(sum))
}
