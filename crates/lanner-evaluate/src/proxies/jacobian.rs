//! Proxies from the correlations between the gradients of images.

use super::linalg;
use super::proxy::{Absence, Score, finite};

const K: f64 = 1e-5;

/// Computes Jacov; `correlations` are `None` if they are not defined.
pub fn jacov(correlations: Option<&[f64]>, images: usize) -> Score {
    let correlations = correlations.ok_or(Absence::NoGradient)?;
    let v = linalg::eigenvalues(correlations.to_vec(), images).ok_or(Absence::NotFinite)?;
    // By rounding, an eigenvalue of 0 may be slightly negative.
    finite(-v.iter().map(|v| v.max(0.0) + K).map(|v| v.ln() + 1.0 / v).sum::<f64>())
}

pub fn epe_nas(correlations: Option<&[f64]>, labels: &[u16], classes: usize) -> Score {
    let correlations = correlations.ok_or(Absence::NoGradient)?;
    let n = labels.len();
    let mut seen: Vec<u16> = labels.to_vec();
    seen.sort_unstable();
    seen.dedup();
    let mut scores = Vec::with_capacity(seen.len());
    for class in seen {
        let members: Vec<usize> = (0..n).filter(|&i| labels[i] == class).collect();
        let pairs = members.iter().flat_map(|i| members.iter().map(move |j| i * n + j));
        let score: f64 = pairs.map(|at| (correlations[at].abs() + K).ln()).sum();
        scores.push(if classes > 100 { score / members.len() as f64 } else { score });
    }
    finite(match classes > 100 {
        false => scores.iter().map(|s| s.abs()).sum(),
        true => {
            let pairs = scores.iter().flat_map(|a| scores.iter().map(move |b| (a - b).abs()));
            pairs.sum::<f64>() / scores.len() as f64
        }
    })
}
