//! Extremely randomised trees for regression (Geurts, Ernst & Wehenkel, Machine Learning 2006):
//! each split is the best of a few features cut at a uniformly random place.

use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;

use crate::PredictError;
use crate::linalg::Mat;

/// How the trees are grown.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub trees: usize,
    /// Share of the non-constant features that a split chooses from.
    pub features: f64,
    /// Fewest training rows of a leaf.
    pub leaf: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { trees: 200, features: 0.5, leaf: 1 }
    }
}

/// A fitted forest.
#[derive(Debug, Clone)]
pub struct ExtraTrees {
    trees: Vec<Vec<Node>>,
}

/// A leaf has no children (`right` 0); the left child of an inner node is the next node.
#[derive(Debug, Clone, Copy)]
struct Node {
    feature: u32,
    right: u32,
    /// The cut (left is below it) or the leaf's mean.
    value: f64,
}

impl ExtraTrees {
    /// Grows the forest on the rows of `x` (n × d) and targets `y` (n).
    pub fn fit(
        x: &Mat,
        y: &[f64],
        options: &Options,
        seed: u64,
    ) -> Result<ExtraTrees, PredictError> {
        if y.is_empty() || x.rows != y.len() {
            let got = y.len().min(x.rows);
            return Err(PredictError::TooFew { what: "extra trees".into(), needed: 1, got });
        }
        if let Some(i) = y.iter().position(|v| !v.is_finite()) {
            return Err(PredictError::Target { row: i, value: y[i] });
        }
        let trees = (0..options.trees as u64)
            .into_par_iter()
            .map(|t| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(t);
                let mut rows: Vec<u32> = (0..y.len() as u32).collect();
                let mut nodes = Vec::new();
                grow(&mut nodes, &mut rows, x, y, options, &mut rng);
                nodes
            })
            .collect();
        Ok(ExtraTrees { trees })
    }

    /// Mean of the trees for each row of `x`.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        (0..x.rows)
            .into_par_iter()
            .map(|i| {
                let row = x.row(i);
                let sum: f64 = self.trees.iter().map(|nodes| leaf_of(nodes, row)).sum();
                sum / self.trees.len() as f64
            })
            .collect()
    }
}

fn leaf_of(nodes: &[Node], row: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        let node = nodes[at];
        if node.right == 0 {
            return node.value;
        }
        at = if row[node.feature as usize] < node.value { at + 1 } else { node.right as usize };
    }
}

/// Appends the subtree of `rows`; recursion is as deep as the tree, at most the number of rows.
fn grow(
    nodes: &mut Vec<Node>,
    rows: &mut [u32],
    x: &Mat,
    y: &[f64],
    options: &Options,
    rng: &mut impl Rng,
) {
    let n = rows.len() as f64;
    let mean = rows.iter().map(|&i| y[i as usize]).sum::<f64>() / n;
    let at = nodes.len();
    nodes.push(Node { feature: 0, right: 0, value: mean });
    let constant = rows.iter().all(|&i| y[i as usize] == y[rows[0] as usize]);
    if constant || rows.len() < 2 * options.leaf.max(1) {
        return;
    }
    let Some((feature, cut)) = best_random_cut(rows, x, y, mean, options, rng) else {
        return;
    };
    let mut middle = 0;
    for i in 0..rows.len() {
        if x[(rows[i] as usize, feature)] < cut {
            rows.swap(i, middle);
            middle += 1;
        }
    }
    let (left, right) = rows.split_at_mut(middle);
    grow(nodes, left, x, y, options, rng);
    nodes[at] = Node { feature: feature as u32, right: nodes.len() as u32, value: cut };
    grow(nodes, right, x, y, options, rng);
}

/// Of a random share of the features that vary here, each cut uniformly between its extremes, the
/// one that lowers the squared error most.
fn best_random_cut(
    rows: &[u32],
    x: &Mat,
    y: &[f64],
    mean: f64,
    options: &Options,
    rng: &mut impl Rng,
) -> Option<(usize, f64)> {
    let (mut low, mut high) = (vec![f64::INFINITY; x.cols], vec![f64::NEG_INFINITY; x.cols]);
    for &i in rows {
        for (j, &v) in x.row(i as usize).iter().enumerate() {
            low[j] = low[j].min(v);
            high[j] = high[j].max(v);
        }
    }
    let mut varying: Vec<usize> = (0..x.cols).filter(|&j| low[j] < high[j]).collect();
    let tries = ((varying.len() as f64 * options.features).ceil() as usize).max(1);
    let mut best: Option<(f64, usize, f64)> = None;
    for k in 0..tries.min(varying.len()) {
        let pick = rng.random_range(k..varying.len());
        varying.swap(k, pick);
        let j = varying[k];
        // In (low, high], so that neither side is empty.
        let cut = high[j] - rng.random::<f64>() * (high[j] - low[j]);
        let cut = if cut > low[j] { cut } else { high[j] };
        let (mut count, mut sum) = (0.0, 0.0);
        for &i in rows {
            if x[(i as usize, j)] < cut {
                count += 1.0;
                sum += y[i as usize] - mean;
            }
        }
        let others = rows.len() as f64 - count;
        if count < options.leaf as f64 || others < options.leaf as f64 {
            continue;
        }
        // Variance between the sides: deviations from the mean sum to `sum` and `-sum`.
        let gain = sum * sum / count + sum * sum / others;
        if best.is_none_or(|b| gain > b.0) {
            best = Some((gain, j, cut));
        }
    }
    best.map(|(_, j, cut)| (j, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reproduces_its_training_rows_and_generalises() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let x = Mat::from_fn(300, 4, |_, _| rng.random_range(-1.0..1.0));
        let y: Vec<f64> = (0..300).map(|i| x[(i, 0)].signum() * x[(i, 1)] + x[(i, 2)]).collect();
        let rows: Vec<usize> = (0..200).collect();
        let forest = ExtraTrees::fit(&x.select(&rows), &y[..200], &Options::default(), 3).unwrap();
        let all = forest.predict(&x);
        // Leaves of one row: training rows come back exactly.
        assert!(all[..200].iter().zip(&y).all(|(p, y)| (p - y).abs() < 1e-12));
        let error: f64 = (200..300).map(|i| (all[i] - y[i]).powi(2)).sum();
        let spread: f64 = (200..300).map(|i| y[i].powi(2)).sum();
        assert!(error < 0.3 * spread, "{error} of {spread}");
        let again = ExtraTrees::fit(&x.select(&rows), &y[..200], &Options::default(), 3).unwrap();
        assert_eq!(again.predict(&x), all);
    }

    #[test]
    fn constant_features_give_the_mean() {
        let x = Mat::zeros(4, 2);
        let forest = ExtraTrees::fit(&x, &[1.0, 2.0, 3.0, 6.0], &Options::default(), 0).unwrap();
        assert!(forest.predict(&x).iter().all(|p| (p - 3.0).abs() < 1e-12));
        assert!(ExtraTrees::fit(&x, &[1.0, f64::NAN, 3.0, 6.0], &Options::default(), 0).is_err());
        assert!(ExtraTrees::fit(&Mat::zeros(0, 2), &[], &Options::default(), 0).is_err());
    }
}
