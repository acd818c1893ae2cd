//! Extremely randomised trees for regression (Geurts, Ernst & Wehenkel, Machine Learning 2006):
//! each split is the best of a few features cut at a uniformly random place.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;

use crate::PredictError;
use crate::regress::linalg::Mat;

/// Options for growing trees.
#[derive(Debug, Clone, Copy)]
pub struct TreeOptions {
    pub trees: usize,
    /// Share of the non-constant features that a split chooses from.
    pub features: f64,
    /// Fewest training rows of a leaf.
    pub leaf: usize,
    /// Most rows that a tree grows on: of more, each tree sees its own random ones.
    pub rows: usize,
}

impl Default for TreeOptions {
    fn default() -> Self {
        TreeOptions { trees: 200, features: 0.5, leaf: 1, rows: usize::MAX }
    }
}

/// Rows that go down a tree together: a step waits for the one before, so that a single row would
/// leave the processor idle.
const ABREAST: usize = 8;
/// Features whose cuts are tried together, for the same reason.
const TOGETHER: usize = 4;

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
        options: &TreeOptions,
        seed: u64,
    ) -> Result<ExtraTrees, PredictError> {
        if y.is_empty() || x.rows != y.len() {
            let got = y.len().min(x.rows);
            return Err(PredictError::TooFew { what: "extra trees".into(), needed: 1, got });
        }
        if let Some(i) = y.iter().position(|v| !v.is_finite()) {
            return Err(PredictError::Target { row: i, value: y[i] });
        }
        // A split looks at one feature of many rows.
        let columns = Mat::from_fn(x.cols, x.rows, |j, i| x[(i, j)]);
        let features: Vec<usize> = (0..x.cols).collect();
        let trees = (0..options.trees as u64)
            .into_par_iter()
            .map(|t| {
                let (mut rows, mut rng) = sample_of(t, y.len(), options, seed);
                let mut nodes = Vec::new();
                let sample = Sample { columns: &columns, y, options };
                sample.grow(&mut nodes, &mut rows, &features, &mut rng);
                nodes
            })
            .collect();
        Ok(ExtraTrees { trees })
    }

    /// Predicts each training row by the mean of the trees that did not see it, from the arguments of the
    /// fit. Zero for a row that all saw: with many trees of at most four fifths of the rows there is none.
    pub fn out_of_bag(&self, x: &Mat, options: &TreeOptions, seed: u64) -> Vec<f64> {
        let of_trees: Vec<Vec<Option<f64>>> = (self.trees.par_iter().enumerate())
            .map(|(t, nodes)| {
                let mut out = vec![true; x.rows];
                let (seen, _) = sample_of(t as u64, x.rows, options, seed);
                seen.iter().for_each(|&i| out[i as usize] = false);
                let rows: Vec<usize> = (0..x.rows).filter(|&i| out[i]).collect();
                let mut predicted = vec![None; x.rows];
                for block in rows.chunks(ABREAST) {
                    let row = |k: usize| x.row(block[k.min(block.len() - 1)]);
                    let leaves = leaves_of(nodes, &std::array::from_fn(row));
                    block.iter().zip(leaves).for_each(|(&i, leaf)| predicted[i] = Some(leaf));
                }
                predicted
            })
            .collect();
        let mean = |i: usize| {
            let (sum, count) = (of_trees.iter().filter_map(|t| t[i]))
                .fold((0.0, 0), |(sum, count), leaf| (sum + leaf, count + 1));
            sum / f64::from(count.max(1))
        };
        (0..x.rows).map(mean).collect()
    }

    /// Mean of the trees for each row of `x`.
    pub fn predict(&self, x: &Mat) -> Vec<f64> {
        let blocks: Vec<[f64; ABREAST]> = (0..x.rows.div_ceil(ABREAST))
            .into_par_iter()
            .map(|block| {
                // What the last block lacks is its last row again.
                let row = |k: usize| x.row((block * ABREAST + k).min(x.rows - 1));
                let rows: [&[f64]; ABREAST] = std::array::from_fn(row);
                let mut sums = [0.0; ABREAST];
                for nodes in &self.trees {
                    let leaves = leaves_of(nodes, &rows);
                    sums.iter_mut().zip(leaves).for_each(|(sum, leaf)| *sum += leaf);
                }
                sums.map(|sum| sum / self.trees.len() as f64)
            })
            .collect();
        let mut all = blocks.concat();
        all.truncate(x.rows);
        all
    }
}

/// The rows that a tree grows on, and the generator that its growth goes on with.
fn sample_of(tree: u64, rows: usize, options: &TreeOptions, seed: u64) -> (Vec<u32>, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(tree);
    let mut all: Vec<u32> = (0..rows as u32).collect();
    if rows > options.rows {
        all.shuffle(&mut rng);
        all.truncate(options.rows);
    }
    (all, rng)
}

/// The leaves of some rows, which go down together.
fn leaves_of(nodes: &[Node], rows: &[&[f64]; ABREAST]) -> [f64; ABREAST] {
    let mut at = [0; ABREAST];
    loop {
        let mut inner = 0;
        for (at, row) in at.iter_mut().zip(rows) {
            let node = nodes[*at];
            // A row without features has no tree but a leaf.
            let left = row.get(node.feature as usize).is_some_and(|v| *v < node.value);
            let next = if left { *at + 1 } else { node.right as usize };
            *at = if node.right == 0 { *at } else { next };
            inner |= node.right;
        }
        if inner == 0 {
            return at.map(|at| nodes[at].value);
        }
    }
}

/// Data that all trees grow on.
#[derive(Clone, Copy)]
struct Sample<'a> {
    /// Features, d × n.
    columns: &'a Mat,
    y: &'a [f64],
    options: &'a TreeOptions,
}

impl Sample<'_> {
    /// Appends the subtree of `rows`, of which only `features` may differ; recursion is as deep as the
    /// tree, at most the number of rows.
    fn grow(self, nodes: &mut Vec<Node>, rows: &mut [u32], features: &[usize], rng: &mut impl Rng) {
        let y = self.y;
        let n = rows.len() as f64;
        let mean = rows.iter().map(|&i| y[i as usize]).sum::<f64>() / n;
        let at = nodes.len();
        nodes.push(Node { feature: 0, right: 0, value: mean });
        let constant = rows.iter().all(|&i| y[i as usize] == y[rows[0] as usize]);
        if constant || rows.len() < 2 * self.options.leaf.max(1) {
            return;
        }
        let varies = |j: &usize| {
            let column = self.columns.row(*j);
            rows.iter().any(|&i| column[i as usize] != column[rows[0] as usize])
        };
        let varying: Vec<usize> = features.iter().copied().filter(varies).collect();
        let Some((feature, cut)) = self.best_random_cut(rows, &varying, mean, rng) else {
            return;
        };
        let column = self.columns.row(feature);
        let mut middle = 0;
        for i in 0..rows.len() {
            if column[rows[i] as usize] < cut {
                rows.swap(i, middle);
                middle += 1;
            }
        }
        let (left, right) = rows.split_at_mut(middle);
        self.grow(nodes, left, &varying, rng);
        nodes[at] = Node { feature: feature as u32, right: nodes.len() as u32, value: cut };
        self.grow(nodes, right, &varying, rng);
    }

    /// Cuts a random share of the features that vary here, each uniformly between its extremes, and
    /// returns the cut that lowers the squared error most.
    fn best_random_cut(
        self,
        rows: &[u32],
        varying: &[usize],
        mean: f64,
        rng: &mut impl Rng,
    ) -> Option<(usize, f64)> {
        let tries = ((varying.len() as f64 * self.options.features).ceil() as usize).max(1);
        let mut order = varying.to_vec();
        let tried: Vec<(usize, f64)> = (0..tries.min(order.len()))
            .map(|k| {
                let pick = rng.random_range(k..order.len());
                order.swap(k, pick);
                (order[k], rng.random())
            })
            .collect();
        let deviations: Vec<f64> = rows.iter().map(|&i| self.y[i as usize] - mean).collect();
        let mut best: Option<(f64, usize, f64)> = None;
        for some in tried.chunks(TOGETHER) {
            let of = |k: usize| some[k.min(some.len() - 1)];
            let cuts = self.cuts(rows, &deviations, std::array::from_fn(of));
            for (&(j, _), (cut, count, sum)) in some.iter().zip(cuts) {
                let others = rows.len() as f64 - count;
                let least = self.options.leaf as f64;
                if count < least || others < least {
                    continue;
                }
                // Variance between the sides: deviations from the mean sum to `sum` and `-sum`.
                let gain = sum * sum / count + sum * sum / others;
                if best.is_none_or(|b| gain > b.0) {
                    best = Some((gain, j, cut));
                }
            }
        }
        best.map(|(_, j, cut)| (j, cut))
    }

    /// Cuts of features, each at a share of the way from its highest value to its lowest; how many rows
    /// are below it and what their deviations sum to. Several at once, for a sum waits for each of
    /// its terms.
    fn cuts(
        self,
        rows: &[u32],
        deviations: &[f64],
        tried: [(usize, f64); TOGETHER],
    ) -> [(f64, f64, f64); TOGETHER] {
        let columns = tried.map(|(j, _)| self.columns.row(j));
        let (mut low, mut high) = ([f64::INFINITY; TOGETHER], [f64::NEG_INFINITY; TOGETHER]);
        for &i in rows {
            for (k, column) in columns.iter().enumerate() {
                let v = column[i as usize];
                low[k] = if v < low[k] { v } else { low[k] };
                high[k] = if v > high[k] { v } else { high[k] };
            }
        }
        let mut of = std::array::from_fn(|k| {
            // In (low, high], so that neither side is empty.
            let cut = high[k] - tried[k].1 * (high[k] - low[k]);
            (if cut > low[k] { cut } else { high[k] }, 0.0, 0.0)
        });
        for (&i, &deviation) in rows.iter().zip(deviations) {
            for (column, (cut, count, sum)) in columns.iter().zip(&mut of) {
                // Without a branch, which would be guessed wrong half of the time.
                let below = f64::from(u8::from(column[i as usize] < *cut));
                *count += below;
                *sum += below * deviation;
            }
        }
        of
    }
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
        let forest =
            ExtraTrees::fit(&x.select(&rows), &y[..200], &TreeOptions::default(), 3).unwrap();
        let all = forest.predict(&x);
        // Leaves of one row: training rows come back exactly.
        assert!(all[..200].iter().zip(&y).all(|(p, y)| (p - y).abs() < 1e-12));
        let error: f64 = (200..300).map(|i| (all[i] - y[i]).powi(2)).sum();
        let spread: f64 = (200..300).map(|i| y[i].powi(2)).sum();
        assert!(error < 0.3 * spread, "{error} of {spread}");
        let again =
            ExtraTrees::fit(&x.select(&rows), &y[..200], &TreeOptions::default(), 3).unwrap();
        assert_eq!(again.predict(&x), all);
    }

    #[test]
    fn constant_features_give_the_mean() {
        let x = Mat::zeros(4, 2);
        let forest =
            ExtraTrees::fit(&x, &[1.0, 2.0, 3.0, 6.0], &TreeOptions::default(), 0).unwrap();
        assert!(forest.predict(&x).iter().all(|p| (p - 3.0).abs() < 1e-12));
        assert!(
            ExtraTrees::fit(&x, &[1.0, f64::NAN, 3.0, 6.0], &TreeOptions::default(), 0).is_err()
        );
        assert!(ExtraTrees::fit(&Mat::zeros(0, 2), &[], &TreeOptions::default(), 0).is_err());
    }
}
