//! What the trained networks of another task say of those of the target.

use rand::RngExt;

use super::features::{Inputs, TaskFeatures, balanced};
use crate::PredictError;
use crate::accuracy::scores::NormalScores;
use crate::checks::{check_lengths, check_varied};
use crate::regress::gp::{Kernel, base_scale, base_values};
use crate::regress::linalg::{Cholesky, Mat};

/// The process of a source: shares of a line and of a smooth function.
const LINE: f64 = 0.3;
const SMOOTH: f64 = 0.7;
/// Its noise and length scale for networks of the same space, of which hundreds leave little to decide.
const SAME: (f64, f64) = (0.15, 1.0);
/// Those for networks of another space: what is fitted closely in one does not hold in the other.
const OTHER: (f64, f64) = (10.0, 4.0);
/// It is fitted to at most so many networks.
const MOST: usize = 500;
/// A source must have so many.
const FEWEST: usize = 20;

/// How a source's networks are related to the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceRelation {
    /// They are the same networks, trained on something else.
    SameSpace,
    /// Cells of another space: they have proxies and measures of their graphs in common.
    OtherCells,
    /// A chain and a cell have proxies in common, whose ranges have little to do with each other.
    ProxiesAlone,
}

/// One number for each architecture of the target, higher is better, that a source gives.
#[derive(Debug, Clone)]
pub struct Source {
    pub relation: SourceRelation,
    pub scores: Vec<f64>,
}

impl Source {
    /// From accuracies (any unit, more is better) of rows of the source's pool. In the target's own
    /// space, a network that both pools have keeps the score of its rank in the source; all others are
    /// predicted from the encodings that both have in common.
    pub fn new(
        source: &TaskFeatures,
        rows: &[usize],
        values: &[f64],
        target: &TaskFeatures,
        inputs: Inputs,
    ) -> Result<Source, PredictError> {
        check_lengths(rows, values)?;
        if let Some(row) = values.iter().position(|v| !v.is_finite()) {
            return Err(PredictError::Target { row, value: values[row] });
        }
        if rows.len() < FEWEST {
            return Err(PredictError::TooFew {
                what: "source".into(),
                needed: FEWEST,
                got: rows.len(),
            });
        }
        check_varied(values, "accuracies of the source")?;
        let scale = NormalScores::new(values);
        let y: Vec<f64> = values.iter().map(|&v| scale.score(v)).collect();
        let same = source.space() == target.space();
        let relation = match (same, source.is_chain() == target.is_chain()) {
            (true, _) => SourceRelation::SameSpace,
            (false, true) => SourceRelation::OtherCells,
            (false, false) => SourceRelation::ProxiesAlone,
        };
        let [known, asked] = common(source, target, inputs);
        if known.cols == 0 && !same {
            return Err(PredictError::Model {
                why: "source and target have nothing in common: no proxy, and not the space".into(),
            });
        }
        let known = known.select(&some(rows));
        let mut scores = predicted(&known, &some(&y), &asked, if same { SAME } else { OTHER })?;
        if same {
            for (&row, &y) in rows.iter().zip(&y) {
                if let Some(own) = target.pool.row_of(&source.pool.archs[row]) {
                    scores[own] = y;
                }
            }
        }
        Ok(Source { relation, scores })
    }
}

/// The same columns of both pools.
fn common(source: &TaskFeatures, target: &TaskFeatures, inputs: Inputs) -> [Mat; 2] {
    let shared: Vec<&String> =
        source.names.iter().filter(|n| inputs.proxies() && target.names.contains(n)).collect();
    let of = |views: &TaskFeatures| {
        let place = |name: &String| views.names.iter().position(|n| n == name).unwrap_or(0);
        let places: Vec<usize> = shared.iter().map(|n| place(n)).collect();
        let mut x = Mat::from_fn(views.len(), places.len(), |i, j| views.proxies[(i, places[j])]);
        x = x.beside(&views.flops);
        if inputs.graph() && source.cells.cols == target.cells.cols {
            x = x.beside(&views.cells);
        }
        x
    };
    if source.space() == target.space() && inputs.graph() {
        // All features mean the same; their columns may differ where pools leave constant ones out.
        let all = |v: &TaskFeatures| balanced(&[&of(v), &v.graph, &v.shares]);
        let both = [all(source), all(target)];
        if both[0].cols == both[1].cols {
            return both;
        }
    }
    [of(source), of(target)]
}

/// At most [`MOST`] of the items, the same on every call.
fn some<T: Copy>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    let mut rng = lanner_nn::rng(0, "networks of a source");
    for i in 0..items.len().min(MOST) {
        let other = rng.random_range(i..items.len());
        items.swap(i, other);
    }
    items.truncate(MOST);
    items
}

/// The posterior mean of a process with fixed hyper-parameters.
fn predicted(
    x: &Mat,
    y: &[f64],
    asked: &Mat,
    (noise, length): (f64, f64),
) -> Result<Vec<f64>, PredictError> {
    let parts = [(Kernel::Linear, LINE), (Kernel::Matern52, SMOOTH)]
        .map(|(kernel, share)| (kernel, share, base_scale(kernel, x)));
    let covariance = |rows: &Mat| {
        let mut sum = Mat::zeros(rows.rows, x.rows);
        for (kernel, share, scale) in parts {
            let base = base_values(kernel, rows, x, scale);
            for (sum, &b) in sum.data.iter_mut().zip(&base.data) {
                *sum += share * kernel.value_and_slope(b, length.powi(-2)).0;
            }
        }
        sum
    };
    let mut k = covariance(x);
    (0..x.rows).for_each(|i| k[(i, i)] += noise);
    let factor = Cholesky::new(k)
        .ok_or_else(|| PredictError::Singular { what: "covariance of a source".into() })?;
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let weights = factor.solve(&y.iter().map(|y| y - mean).collect::<Vec<_>>());
    let mut scores = Vec::with_capacity(asked.rows);
    let all: Vec<usize> = (0..asked.rows).collect();
    for block in all.chunks(512) {
        let k = covariance(&asked.select(block));
        let dot = |i| k.row(i).iter().zip(&weights).map(|(k, w)| k * w).sum::<f64>();
        scores.extend((0..block.len()).map(dot));
    }
    Ok(scores)
}
