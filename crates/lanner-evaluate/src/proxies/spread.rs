//! Proxies from how gradients differ between images: ZiCo (Li et al., ICLR 2023), L-SWAG's term of
//! gradients (Casarin et al., CVPR 2025) and VKDNW (Tybl & Neumann, CVPR 2025).

use lanner_network::{Network, Op};
use lanner_nn::Params;

use super::linalg;
use super::proxy::{Absence, Score, finite};
use super::shared::weighted;

/// Computes ZiCo from the gradient of the loss and from that of its first half of images.
pub fn zico(network: &Network, params: &Params<f32>, all: &[f32], half: &[f32]) -> Score {
    let ratio = |a: f64, b: f64| if a == b { 0.0 } else { (a.abs() + b.abs()) / (a - b).abs() };
    of_halves(network, params, (all, half), ratio)
}

/// Computes L-SWAG's term of gradients from the same two.
pub fn lswag_gradients(
    network: &Network,
    params: &Params<f32>,
    all: &[f32],
    half: &[f32],
) -> Score {
    // Twice a half's part of the mean loss is that half's mean, and half of a difference of two numbers is
    // their deviation.
    let inverse = |a: f64, b: f64| {
        let deviation = (a.abs() - b.abs()).abs();
        if deviation == 0.0 { 0.0 } else { deviation.recip() }
    };
    of_halves(network, params, (all, half), inverse)
}

/// Adds up over layers the logarithm of the sum over weights of `of_weight`, which sees the parts of the
/// gradient that come from the first and from the second half of the images.
fn of_halves(
    network: &Network,
    params: &Params<f32>,
    (all, half): (&[f32], &[f32]),
    of_weight: impl Fn(f64, f64) -> f64,
) -> Score {
    let mut sum = 0.0;
    for range in weighted(network, params) {
        let weights = all[range.clone()].iter().zip(&half[range]).map(|(all, half)| {
            let first = f64::from(*half);
            of_weight(first, f64::from(*all) - first)
        });
        let of_layer: f64 = weights.sum();
        if of_layer > 0.0 {
            sum += of_layer.ln();
        }
    }
    finite(sum)
}

/// Computes VKDNW from each image's gradients by the gains of channels, row after row.
pub fn vkdnw(network: &Network, gradients: &[f64], images: usize) -> Score {
    let width = gradients.len() / images;
    let row = |i: usize| &gradients[i * width..][..width];
    let mut gram = vec![0.0; images * images];
    for i in 0..images {
        for j in 0..=i {
            let product = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
            (gram[i * images + j], gram[j * images + i]) = (product, product);
        }
    }
    let mut v = linalg::eigenvalues(gram, images).ok_or(Absence::NotFinite)?;
    v.iter_mut().for_each(|v| *v = v.max(0.0));
    v.sort_by(f64::total_cmp);
    // Deciles, between neighbours as numpy's `quantile` has them.
    let decile = |k: usize| {
        let at = (v.len() - 1) as f64 * k as f64 / 10.0;
        let (low, part) = (at as usize, at.fract());
        v[low] + part * (v[(low + 1).min(v.len() - 1)] - v[low])
    };
    let deciles: Vec<f64> = (1..10).map(decile).collect();
    let sum: f64 = deciles.iter().sum();
    if sum == 0.0 {
        return Err(Absence::NoGradient);
    }
    let shares = deciles.iter().map(|d| d / sum).filter(|p| *p > 0.0);
    let entropy: f64 = shares.map(|p| -p * p.ln()).sum();
    let layers = network.layers.iter().filter(|l| matches!(l.op, Op::Conv(_) | Op::Linear { .. }));
    finite(layers.count() as f64 + entropy)
}
