//! Features of networks that are known before any of them is trained.

use std::sync::Arc;

use lanner_space::{Architecture, Space};

use crate::accuracy::features::graph_and_shares;
use crate::accuracy::scores::NormalScores;
use crate::encode::cells::{CellEncoder, log_flops};
use crate::regress::linalg::{Mat, Standardiser};
use crate::{Pool, PredictError};

/// The proxies that are made use of, by the names that `lanner proxies` writes.
pub const PROXIES: [&str; 24] = [
    "epe_nas",
    "expressivity",
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "jacov",
    "l2_norm",
    "lswag",
    "lswag_gradients",
    "meco",
    "nwot",
    "params",
    "plain",
    "progressivity",
    "snip",
    "swap",
    "swap_cell",
    "swap_layers",
    "synflow",
    "trainability",
    "vkdnw",
    "zen",
    "zico",
];

/// Values below this are failures: published tables have −1e8 where a proxy could not be computed.
const FAILED: f64 = -1e7;
/// Numbers of [`CellFeatures::size`](crate::encode::cells::CellFeatures::size) for one cell.
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
    encoder: Arc<Encoder>,
}

/// Makes the columns of any architectures, on the scales of a pool.
#[derive(Debug)]
struct Encoder {
    cells: CellEncoder,
    proxies: Vec<NormalScores>,
    graph: Standardiser,
    shares: Standardiser,
    sizes: Vec<NormalScores>,
    flops: NormalScores,
}

/// Graph, shares, cells and flops in natural units.
fn unscaled(encoder: &CellEncoder, space: &Space, archs: &[Architecture]) -> [Mat; 4] {
    let f = encoder.features(archs);
    let (p, count) = (archs.len(), f.size.cols / SIZE);
    let moments = f.share_moments.cols / count.max(1);
    let cells = Mat::from_fn(p, if count == 0 { 0 } else { SIZE + 3 }, |i, j| {
        let of_cell = |c: usize| match j.checked_sub(SIZE) {
            None => f.size[(i, c * SIZE + j)],
            // Log variance, deviation of learned operations, share of the identity.
            Some(k) => f.share_moments[(i, c * moments + [0, moments - 3, moments - 2][k])],
        };
        (0..count).map(of_cell).sum::<f64>() / count as f64
    });
    let flops = Mat { rows: p, cols: 1, data: log_flops(space, archs) };
    let [graph, shares] = graph_and_shares(&f);
    [graph, shares, cells, flops]
}

impl TaskFeatures {
    /// Encodes a pool with its proxies, name and one value an architecture. Columns of other names than
    /// [`PROXIES`] are ignored, as are constant ones and those of which most values are missing (NaN,
    /// or a published sentinel). Of the rest, a missing value counts as the median.
    pub fn new(pool: &Pool, columns: &[(String, Vec<f64>)]) -> Result<TaskFeatures, PredictError> {
        let (mut names, mut proxies): (Vec<String>, Vec<NormalScores>) = Default::default();
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
            let mut known = without_failures(values);
            known.retain(|v| v.is_finite());
            if 2 * known.len() <= pool.len() || known.iter().all(|v| *v == known[0]) {
                continue;
            }
            names.push(name.clone());
            proxies.push(NormalScores::new(&known));
        }
        let cells = CellEncoder::new(&pool.space);
        let made = unscaled(&cells, &pool.space, &pool.archs);
        let all: Vec<usize> = (0..pool.len()).collect();
        let encoder = Encoder {
            cells,
            proxies,
            graph: Standardiser::of(&made[0], &all),
            shares: Standardiser::of(&made[1], &all),
            sizes: (0..made[2].cols).map(|j| NormalScores::new(&made[2].column(j))).collect(),
            flops: NormalScores::new(&made[3].data),
        };
        Ok(TaskFeatures::scaled(pool.clone(), made, names, columns, Arc::new(encoder)))
    }

    /// The same columns for other architectures of the space, on the scales of this pool. A proxy that
    /// they lack counts as the median.
    pub fn of(&self, archs: &[Architecture], columns: &[(String, Vec<f64>)]) -> TaskFeatures {
        let space = self.space().clone();
        let made = unscaled(&self.encoder.cells, &space, archs);
        let pool = Pool::new(space, archs.to_vec());
        TaskFeatures::scaled(pool, made, self.names.clone(), columns, Arc::clone(&self.encoder))
    }

    fn scaled(
        pool: Pool,
        [graph, shares, cells, flops]: [Mat; 4],
        names: Vec<String>,
        columns: &[(String, Vec<f64>)],
        encoder: Arc<Encoder>,
    ) -> TaskFeatures {
        let score = |scale: &NormalScores, v: f64| if v.is_finite() { scale.score(v) } else { 0.0 };
        let of_proxy = |name: &String| columns.iter().find(|c| c.0 == *name).map(|c| &c.1[..]);
        let values: Vec<Vec<f64>> =
            names.iter().map(|n| without_failures(of_proxy(n).unwrap_or(&[]))).collect();
        let e = &encoder;
        TaskFeatures {
            proxies: Mat::from_fn(pool.len(), names.len(), |i, j| {
                score(&e.proxies[j], values[j].get(i).copied().unwrap_or(f64::NAN))
            }),
            names,
            graph: e.graph.apply(&graph),
            shares: e.shares.apply(&shares),
            cells: Mat::from_fn(cells.rows, cells.cols, |i, j| score(&e.sizes[j], cells[(i, j)])),
            flops: Mat::from_fn(flops.rows, 1, |i, j| score(&e.flops, flops[(i, j)])),
            pool,
            encoder,
        }
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

    /// Tells whether networks are chains, which have no cells to describe.
    pub(super) fn is_chain(&self) -> bool {
        self.cells.cols == 0
    }

    /// Columns that mean the same in any space with cells or, without proxies, of chains too.
    pub(super) fn size_and_flops(&self) -> &Mat {
        if self.is_chain() { &self.flops } else { &self.cells }
    }
}

/// Blocks of features side by side, each with the variance 1 in all over a pool, so that blocks of many
/// columns do not decide alone how far apart two networks are.
#[derive(Debug, Clone)]
pub(super) struct Balance(Vec<Standardiser>);

impl Balance {
    pub fn new(blocks: &[&Mat]) -> Balance {
        let of = |block: &&Mat| Standardiser::of(block, &(0..block.rows).collect::<Vec<_>>());
        Balance(blocks.iter().map(of).collect())
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.0.iter().map(Standardiser::width).sum()
    }

    /// The same blocks of other architectures.
    pub fn apply(&self, blocks: &[&Mat]) -> Mat {
        let scaled = |(by, block): (&Standardiser, &&Mat)| {
            let mut x = by.apply(block);
            let scale = (x.cols as f64).sqrt().recip();
            x.data.iter_mut().for_each(|v| *v *= scale);
            x
        };
        let blocks: Vec<Mat> = self.0.iter().zip(blocks).map(scaled).collect();
        Mat::joined(&blocks.iter().collect::<Vec<_>>())
    }
}
