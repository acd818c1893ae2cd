//! Helpers for the recipes that are pre-trained on source devices.

use lanner_nn::{Matrix, cosine};
use lanner_space::View;
use rand::seq::SliceRandom;

use crate::recipes::SUITE_ZERO as PROXIES;
use crate::recipes::multi_predict::tasks::normalised_of;
use lanner_predict::encode::counts::one_hot;
use lanner_predict::encode::graph::Graphs;
use lanner_predict::{Pool, PredictError};

/// The architectures of a pool: cells as their texts say, or for a space without cells its choices.
pub enum Form {
    Graphs(Graphs),
    /// One-hot choices, p × choices.
    Choices(Matrix),
}

impl Form {
    pub fn new(pool: &Pool) -> Form {
        let space = &pool.space;
        if !space.has_uniform_layers() {
            let hot = one_hot(space, &pool.archs);
            let data = hot.data.iter().map(|&v| v as f32).collect();
            return Form::Choices(Matrix::from_rows(hot.rows, hot.cols, data));
        }
        let mut graphs = Graphs::new(space.labels().len() + 1);
        for arch in &pool.archs {
            graphs.push(&[(&space.graph(arch, View::Raw), &u32::from)], 0, false);
        }
        Form::Graphs(graphs)
    }
}

/// Normalises the proxies of a pool, p × 13.
pub fn proxies_of(pool: &Pool, proxies: &[(String, Vec<f64>)]) -> Vec<f32> {
    let proxies = normalised_of(&PROXIES, proxies, pool.len());
    proxies.data.iter().map(|&v| v as f32).collect()
}

/// Draws rows by the seed, at which every source is known.
pub fn common_rows(
    (of, wanted): (usize, usize),
    sources: &[&[f64]],
    what: &str,
    seed: u64,
) -> Result<Vec<usize>, PredictError> {
    if let Some(source) = sources.iter().find(|s| s.len() != of) {
        return Err(PredictError::Lengths { architectures: of, targets: source.len() });
    }
    let mut rows: Vec<usize> =
        (0..of).filter(|&r| sources.iter().all(|s| s[r].is_finite())).collect();
    if sources.is_empty() || rows.len() < 2 {
        let what = format!("{what}, which learns from architectures measured on all sources,");
        let got = if sources.is_empty() { 0 } else { rows.len() };
        return Err(PredictError::TooFew { what, needed: 2, got });
    }
    rows.shuffle(&mut lanner_nn::rng(seed, "architectures of Multi-Predict"));
    rows.truncate(wanted);
    Ok(rows)
}

/// Refuses latencies of a new device that cannot be learned from.
pub fn check(rows: &[usize], latencies: &[f64], what: &str) -> Result<(), PredictError> {
    if rows.len() != latencies.len() {
        let (architectures, targets) = (rows.len(), latencies.len());
        return Err(PredictError::Lengths { architectures, targets });
    }
    if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
        return Err(PredictError::Latency { row, value: latencies[row] });
    }
    if rows.len() < 2 {
        return Err(PredictError::TooFew { what: what.into(), needed: 2, got: rows.len() });
    }
    Ok(())
}

/// Adds two rows.
pub fn plus<'a>(a: &'a [f32], b: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    a.iter().zip(b).map(|(a, b)| a + b)
}

/// Calls `step(places, rate)` for each batch of training rows.
pub fn epochs(
    (rows, batch): (usize, usize),
    (epochs, rate): (usize, f32),
    seed: u64,
    mut progress: impl FnMut(),
    mut step: impl FnMut(&[usize], f32),
) {
    let mut order: Vec<usize> = (0..rows).collect();
    let mut rng = lanner_nn::rng(seed, "order of Multi-Predict");
    for epoch in 0..epochs {
        let rate = cosine(rate, epoch, epochs);
        order.shuffle(&mut rng);
        order.chunks(batch).for_each(|batch| step(batch, rate));
        progress();
    }
}

/// Made-up devices for tests of the recipes.
#[cfg(test)]
pub mod made_up {
    use lanner_space::Space;

    use super::*;

    pub fn cells() -> Pool {
        let archs = Space::NasBench201.iter().step_by(31).collect();
        Pool::new(Space::NasBench201, archs)
    }

    /// Latencies on a device with a cost for each operation, dead ones too.
    pub fn device(pool: &Pool, costs: [f64; 5]) -> Vec<f64> {
        let cost = |arch: &lanner_space::Architecture| -> f64 {
            1.0 + arch.codes().iter().map(|&c| costs[usize::from(c)]).sum::<f64>()
        };
        pool.archs.iter().map(cost).collect()
    }
}
