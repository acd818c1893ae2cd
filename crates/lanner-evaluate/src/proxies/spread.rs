//! Proxies from how gradients differ between images: ZiCo (Li et al., ICLR 2023) and VKDNW (Tybl &
//! Neumann, CVPR 2025).

use lanner_network::{Network, Op};
use lanner_nn::Params;

use super::linalg;
use super::proxy::{Absence, Score, finite};
use super::shared::weighted;

/// Computes ZiCo from the gradient of the loss and from that of its first half of images.
pub fn zico(network: &Network, params: &Params<f32>, all: &[f32], half: &[f32]) -> Score {
    let mut sum = 0.0;
    for range in weighted(network, params) {
        let ratios = all[range.clone()].iter().zip(&half[range]).map(|(all, half)| {
            let (a, b) = (f64::from(*half), f64::from(*all) - f64::from(*half));
            if a == b { 0.0 } else { (a.abs() + b.abs()) / (a - b).abs() }
        });
        let of_layer: f64 = ratios.sum();
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
