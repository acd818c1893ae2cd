//! Scores of the target's networks by trained networks of another task.

use std::collections::HashMap;

use lanner_space::Architecture;
use rand::RngExt;

use super::features::{Balance, Inputs, TaskFeatures};
use crate::PredictError;
use crate::accuracy::scores::NormalScores;
use crate::checks::{check_lengths, check_varied};
use crate::regress::gp::{Kernel, base_scale, base_values};
use crate::regress::linalg::{Cholesky, Mat};

/// The process of a source: shares of a line and of a smooth function.
const LINE: f64 = 0.3;
const SMOOTH: f64 = 0.7;
/// Noise and length scale of a source in the same space, where hundreds of networks leave little to
/// decide.
const SAME: (f64, f64) = (0.15, 1.0);
/// Noise and length scale of a source in another space: a close fit in one does not hold in the
/// other.
const OTHER: (f64, f64) = (10.0, 4.0);
/// Largest number of networks that a source is fitted to.
const MOST: usize = 500;
/// Least number of networks of a source.
const FEWEST: usize = 20;

/// Relation of a source's networks to the target's.
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
    process: Process,
    /// Encodings that target and source have in common.
    common: Common,
    /// Scores of the source's own networks, where they are of the target's space.
    own: HashMap<Architecture, f64>,
}

impl Source {
    /// Fits a source to accuracies (any unit, more is better) of rows of its pool. In the target's
    /// own space, a network that both pools have keeps the score of its rank in the source; all
    /// others are predicted from the encodings that both have in common.
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
        let [known, asked] = Common::of_both(source, target, inputs);
        let known = known.columns(source);
        if known.cols == 0 && !same {
            return Err(PredictError::Model {
                why: "source and target have nothing in common: no proxy, and not the space".into(),
            });
        }
        let process =
            Process::new(known.select(&some(rows)), &some(&y), if same { SAME } else { OTHER })?;
        let mut own = HashMap::new();
        if same {
            own.extend(rows.iter().zip(&y).map(|(&r, &y)| (source.pool.archs[r].clone(), y)));
        }
        let mut made = Source { relation, scores: Vec::new(), process, common: asked, own };
        made.scores = made.scores_of(target);
        Ok(made)
    }

    /// Scores of other architectures, whose features [`TaskFeatures::of`] the target's pool made.
    pub fn scores_of(&self, others: &TaskFeatures) -> Vec<f64> {
        let predicted = self.process.predict(&self.common.columns(others));
        let own = |(arch, score)| self.own.get(arch).copied().unwrap_or(score);
        others.pool.archs.iter().zip(predicted).map(own).collect()
    }
}

/// The columns that a source and the target have in common, of one of the two.
#[derive(Debug, Clone)]
struct Common {
    /// Places of proxies.
    proxies: Vec<usize>,
    cells: bool,
    /// The balance over all features, if both are in one space, where they mean the same.
    all: Option<Balance>,
}

impl Common {
    fn of_both(source: &TaskFeatures, target: &TaskFeatures, inputs: Inputs) -> [Common; 2] {
        let shared: Vec<&String> =
            source.names.iter().filter(|n| inputs.proxies() && target.names.contains(n)).collect();
        let cells = inputs.graph() && source.cells.cols == target.cells.cols;
        let both = [source, target].map(|features| {
            let place =
                |name: &&String| features.names.iter().position(|n| n == *name).unwrap_or(0);
            Common { proxies: shared.iter().map(place).collect(), cells, all: None }
        });
        if source.space() == target.space() && inputs.graph() {
            let balance = |common: &Common, features: &TaskFeatures| {
                Balance::new(&[&common.columns(features), &features.graph, &features.shares])
            };
            let [from, to] = [balance(&both[0], source), balance(&both[1], target)];
            // Their columns may differ where pools leave constant ones out.
            if from.width() == to.width() {
                let [a, b] = both;
                return [Common { all: Some(from), ..a }, Common { all: Some(to), ..b }];
            }
        }
        both
    }

    fn columns(&self, features: &TaskFeatures) -> Mat {
        let Common { proxies, cells, all } = self;
        let mut x =
            Mat::from_fn(features.len(), proxies.len(), |i, j| features.proxies[(i, proxies[j])]);
        x = x.beside(&features.flops);
        if *cells {
            x = x.beside(&features.cells);
        }
        all.as_ref()
            .map_or_else(|| x.clone(), |all| all.apply(&[&x, &features.graph, &features.shares]))
    }
}

/// Returns at most [`MOST`] of the items, the same ones on every call.
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

/// A process with fixed hyper-parameters.
#[derive(Debug, Clone)]
struct Process {
    x: Mat,
    /// Kernels with their shares and scales.
    parts: [(Kernel, f64, f64); 2],
    length: f64,
    weights: Vec<f64>,
}

impl Process {
    fn new(x: Mat, y: &[f64], (noise, length): (f64, f64)) -> Result<Process, PredictError> {
        let parts = [(Kernel::Linear, LINE), (Kernel::Matern52, SMOOTH)]
            .map(|(kernel, share)| (kernel, share, base_scale(kernel, &x)));
        let mut process = Process { x, parts, length, weights: Vec::new() };
        let mut k = process.covariance(&process.x);
        (0..k.rows).for_each(|i| k[(i, i)] += noise);
        let factor = Cholesky::new(k)
            .ok_or_else(|| PredictError::Singular { what: "covariance of a source".into() })?;
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        process.weights = factor.solve(&y.iter().map(|y| y - mean).collect::<Vec<_>>());
        Ok(process)
    }

    fn covariance(&self, rows: &Mat) -> Mat {
        let mut sum = Mat::zeros(rows.rows, self.x.rows);
        for (kernel, share, scale) in self.parts {
            let base = base_values(kernel, rows, &self.x, scale);
            for (sum, &b) in sum.data.iter_mut().zip(&base.data) {
                *sum += share * kernel.value_and_slope(b, self.length.powi(-2)).0;
            }
        }
        sum
    }

    /// The posterior mean, but for the mean of the targets.
    fn predict(&self, asked: &Mat) -> Vec<f64> {
        let mut scores = Vec::with_capacity(asked.rows);
        let all: Vec<usize> = (0..asked.rows).collect();
        for block in all.chunks(512) {
            let k = self.covariance(&asked.select(block));
            let dot = |i| k.row(i).iter().zip(&self.weights).map(|(k, w)| k * w).sum::<f64>();
            scores.extend((0..block.len()).map(dot));
        }
        scores
    }
}
