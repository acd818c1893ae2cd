//! What is known of networks before any of them is trained.

use lanner_space::Space;

use crate::accuracy::features::graph_and_shares;
use crate::accuracy::scores::NormalScores;
use crate::encode::cells::{CellFeatures, log_flops};
use crate::regress::linalg::Mat;
use crate::{Pool, PredictError};

/// The proxies that are made use of, by the names of NAS-Bench-Suite-Zero, which `lanner proxies`
/// writes.
pub const PROXIES: [&str; 13] = [
    "epe_nas",
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "jacov",
    "l2_norm",
    "nwot",
    "params",
    "plain",
    "snip",
    "synflow",
    "zen",
];

/// What published tables have where a proxy could not be computed is −1e8; nothing else is below
/// this.
const FAILED: f64 = -1e7;
/// Numbers of [`CellFeatures::size`] for one cell.
const SIZE: usize = 8;

/// A proxy's values with failures as NaN: missing ones, infinite ones and published sentinels.
pub fn without_failures(values: &[f64]) -> Vec<f64> {
    let kept = |v: f64| if v.is_finite() && v > FAILED { v } else { f64::NAN };
    values.iter().map(|&v| kept(v)).collect()
}

/// Features that predictions are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inputs {
    Proxies,
    Graph,
    Both,
}

impl Inputs {
    pub(super) fn proxies(self) -> bool {
        self != Inputs::Graph
    }

    pub(super) fn graph(self) -> bool {
        self != Inputs::Proxies
    }
}

/// The encodings of a pool: of its proxies, of its graphs, and of both what means the same in
/// every space.
#[derive(Debug, Clone)]
pub struct TaskFeatures {
    pub(super) pool: Pool,
    /// Normal scores of proxies, p × d, and their names.
    pub(super) proxies: Mat,
    pub(super) names: Vec<String>,
    /// Graph properties and counts; variance shares and sizes.
    pub(super) graph: Mat,
    pub(super) shares: Mat,
    /// Normal scores of sizes and moments, the mean over cells; no columns for chains.
    pub(super) cells: Mat,
    /// Normal scores of multiply-accumulates, p × 1.
    pub(super) flops: Mat,
}

impl TaskFeatures {
    /// Of a pool and its proxies, name and one value an architecture. Columns of other names than
    /// [`PROXIES`] are ignored, as are constant ones and those of which most values are missing (NaN,
    /// or a published sentinel). Of the rest, a missing value counts as the median.
    pub fn new(pool: &Pool, columns: &[(String, Vec<f64>)]) -> Result<TaskFeatures, PredictError> {
        let mut names: Vec<String> = Vec::new();
        let mut scores: Vec<Vec<f64>> = Vec::new();
        for (name, values) in columns {
            if values.len() != pool.len() {
                return Err(PredictError::Lengths {
                    architectures: pool.len(),
                    targets: values.len(),
                });
            }
            if !PROXIES.contains(&name.as_str()) || names.contains(name) {
                continue;
            }
            let values = without_failures(values);
            let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            if 2 * known.len() <= pool.len() || known.iter().all(|v| *v == known[0]) {
                continue;
            }
            names.push(name.clone());
            scores.push(normal_scores(&values, &known));
        }
        let f = CellFeatures::new(pool);
        let (p, count) = (pool.len(), f.size.cols / SIZE);
        let moments = f.share_moments.cols / count.max(1);
        let cells = Mat::from_fn(p, if count == 0 { 0 } else { SIZE + 3 }, |i, j| {
            let of_cell = |c: usize| match j.checked_sub(SIZE) {
                None => f.size[(i, c * SIZE + j)],
                // Log variance, deviation of learned operations, share of the identity.
                Some(k) => f.share_moments[(i, c * moments + [0, moments - 3, moments - 2][k])],
            };
            (0..count).map(of_cell).sum::<f64>() / count as f64
        });
        let flops = log_flops(&pool.space, &pool.archs);
        let [graph, shares] = graph_and_shares(&f);
        let all: Vec<usize> = (0..p).collect();
        Ok(TaskFeatures {
            pool: pool.clone(),
            proxies: Mat::from_fn(p, scores.len(), |i, j| scores[j][i]),
            names,
            graph: graph.standardised_by(&all),
            shares: shares.standardised_by(&all),
            cells: column_scores(&cells),
            flops: column_scores(&Mat { rows: p, cols: 1, data: flops }),
        })
    }

    /// The space of the architectures.
    pub fn space(&self) -> &Space {
        &self.pool.space
    }

    pub fn len(&self) -> usize {
        self.pool.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pool.is_empty()
    }

    /// The proxies that are made use of.
    pub fn proxies(&self) -> &[String] {
        &self.names
    }

    /// The normal scores of the proxies, p × [`TaskFeatures::proxies`].
    pub fn proxy_scores(&self) -> &Mat {
        &self.proxies
    }

    /// Whether networks are chains, which have no cells to describe.
    pub(super) fn is_chain(&self) -> bool {
        self.cells.cols == 0
    }

    /// What means the same in any space with cells or, without proxies, of chains too.
    pub(super) fn size_and_flops(&self) -> &Mat {
        if self.is_chain() { &self.flops } else { &self.cells }
    }
}

/// Scores by the ranks among the known values; 0, the median's, where there is none.
fn normal_scores(values: &[f64], known: &[f64]) -> Vec<f64> {
    let scale = NormalScores::new(known);
    values.iter().map(|&v| if v.is_finite() { scale.score(v) } else { 0.0 }).collect()
}

fn column_scores(x: &Mat) -> Mat {
    let columns: Vec<Vec<f64>> = (0..x.cols)
        .map(|j| {
            let values: Vec<f64> = (0..x.rows).map(|i| x[(i, j)]).collect();
            normal_scores(&values, &values)
        })
        .collect();
    Mat::from_fn(x.rows, x.cols, |i, j| columns[j][i])
}

/// Blocks of features side by side, each with the variance 1 in all, so that blocks of many columns
/// do not decide alone how far apart two networks are.
pub(super) fn balanced(blocks: &[&Mat]) -> Mat {
    let mut all: Option<Mat> = None;
    for block in blocks {
        let rows: Vec<usize> = (0..block.rows).collect();
        let mut x = block.standardised_by(&rows);
        let scale = (x.cols as f64).sqrt().recip();
        x.data.iter_mut().for_each(|v| *v *= scale);
        all = Some(match all {
            Some(all) => all.beside(&x),
            None => x,
        });
    }
    all.unwrap_or_else(|| Mat::zeros(0, 0))
}
