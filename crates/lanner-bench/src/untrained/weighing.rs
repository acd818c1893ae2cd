//! Weights of proxies in a space, learned in others: no accuracy of the space itself is seen.
//!
//! How far each proxy correlates with accuracy is predicted by ridge regression from how it agrees with
//! the others in the space, which costs no training, and from its correlations elsewhere. The weights are
//! then those of the best linear predictor with these correlations, `(C + λI)⁻¹ r`, where `C` are the
//! correlations between proxies in the space.

use std::collections::BTreeSet;

use lanner_predict::metrics::spearman;
use lanner_predict::regress::linalg::{Cholesky, Mat};

/// Proxies that all spaces of the comparison have.
pub const MEMBERS: [&str; 14] = [
    "expressivity",
    "flops",
    "jacov",
    "l2_norm",
    "meco",
    "nwot",
    "params",
    "progressivity",
    "swap",
    "swap_cell",
    "swap_layers",
    "trainability",
    "vkdnw",
    "zico",
];

/// Proxies whose agreement with each other one is a feature of that one.
const BESIDE: [&str; 4] = ["flops", "params", "nwot", "jacov"];
/// Penalties of the regression and of the weights.
const RIDGE: f64 = 3.0;
const SHRINKAGE: f64 = 2.0;

/// Normal scores of the members in a task, networks × members; 0 for those that it lacks.
pub struct Known<'a> {
    /// Spaces of one publication are a family, which is left out as a whole.
    pub family: &'a str,
    pub scores: Mat,
    pub values: &'a [f64],
}

impl Known<'_> {
    /// Spearman's correlation of each member with the values; `None` for those that are not there.
    fn correlations(&self) -> Vec<Option<f64>> {
        let of = |j: usize| {
            let column = self.scores.column(j);
            let varies = column.iter().any(|v| *v != column[0]);
            varies.then(|| spearman(&column, self.values)).filter(|r| r.is_finite())
        };
        (0..MEMBERS.len()).map(of).collect()
    }
}

/// Mean correlation of each member: over tasks of a family, then over families.
fn means(of: &[(&str, Vec<Option<f64>>)]) -> Vec<f64> {
    let families: BTreeSet<&str> = of.iter().map(|t| t.0).collect();
    let mut sums = vec![0.0; MEMBERS.len()];
    for family in &families {
        let some: Vec<_> = of.iter().filter(|t| t.0 == *family).collect();
        for (_, r) in &some {
            let share = (some.len() * families.len()) as f64;
            sums.iter_mut().zip(r).for_each(|(sum, r)| *sum += r.unwrap_or(0.0) / share);
        }
    }
    sums
}

/// Correlations between columns; 0 with one that does not vary.
fn between(scores: &Mat) -> Mat {
    let columns: Vec<Vec<f64>> = (0..scores.cols)
        .map(|j| {
            let column = scores.column(j);
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            let norm = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
            let scale = if norm > 1e-9 { norm.recip() } else { 0.0 };
            column.iter().map(|v| (v - mean) * scale).collect()
        })
        .collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    Mat::from_fn(scores.cols, scores.cols, |i, j| product(&columns[i], &columns[j]))
}

/// Features of each member in a space, a row a member.
fn features(scores: &Mat, elsewhere: &[f64]) -> Mat {
    let sums: Vec<f64> = (0..scores.rows).map(|i| scores.row(i).iter().sum()).collect();
    let all = between(&scores.beside(&Mat::from_fn(scores.rows, 1, |i, _| sums[i])));
    let at = |name: &str| MEMBERS.iter().position(|m| *m == name).unwrap_or(0);
    Mat::from_fn(MEMBERS.len(), BESIDE.len() + 3, |i, j| match j {
        0 => 1.0,
        1 => all.row(i)[MEMBERS.len()],
        2 => elsewhere[i],
        _ => all.row(i)[at(BESIDE[j - 3])],
    })
}

/// Scores of the networks of a task, by what the others tell of their proxies.
pub fn learned(others: &[Known], target: &Mat) -> Vec<f64> {
    let of: Vec<(&str, Vec<Option<f64>>)> =
        others.iter().map(|t| (t.family, t.correlations())).collect();
    let width = BESIDE.len() + 3;
    let mut gram = Mat::from_fn(width, width, |i, j| if i == j { RIDGE } else { 0.0 });
    let mut product = vec![0.0; width];
    for (task, (family, r)) in others.iter().zip(&of) {
        let rest: Vec<_> = of.iter().filter(|t| t.0 != *family).cloned().collect();
        let x = features(&task.scores, &means(&rest));
        let weight = 1.0 / of.iter().filter(|t| t.0 == *family).count() as f64;
        for (i, r) in r.iter().enumerate() {
            let Some(r) = r else { continue };
            let row = x.row(i);
            for (a, one) in row.iter().enumerate() {
                product[a] += weight * one * r;
                let sums = gram.row_mut(a);
                sums.iter_mut().zip(row).for_each(|(sum, other)| *sum += weight * one * other);
            }
        }
    }
    let constant = vec![0.0; target.rows];
    let Some(solved) = Cholesky::new(gram) else { return constant };
    let coefficients = solved.solve(&product);
    let x = features(target, &means(&of));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let expected: Vec<f64> = (0..x.rows).map(|i| dot(x.row(i), &coefficients)).collect();
    let mut shrunk = between(target);
    for i in 0..shrunk.rows {
        shrunk.row_mut(i)[i] += SHRINKAGE;
    }
    let Some(solved) = Cholesky::new(shrunk) else { return constant };
    let weights = solved.solve(&expected);
    (0..target.rows).map(|i| dot(target.row(i), &weights)).collect()
}
