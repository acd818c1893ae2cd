//! The plain predictors that every other one must beat, under one name each.

use lanner_space::{Architecture, Space};

use crate::encode::counts;
use crate::metrics::mean_and_error;
use crate::regress::linalg::Mat;
use crate::regress::ridge::Ridge;
use crate::regress::trees::{ExtraTrees, TreeOptions};
use crate::{Forecast, Pool, PredictError};

/// Most columns of which ridge sees all products.
const MOST_PAIRED: usize = 64;

/// A baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// A line in the number of multiply-accumulates.
    Flops,
    /// The network without operations, plus for each live operation what it adds there alone:
    /// needs the single-operation networks among the training rows.
    LayerWise,
    /// Ridge on operation counts over all and over live edges.
    RidgeCounts,
    /// Ridge on live one-hots.
    RidgeOneHot,
    /// Ridge on live one-hots and all products of two.
    RidgePairs,
    /// Extremely randomised trees on counts and live one-hots.
    ExtraTrees,
}

impl Baseline {
    pub const ALL: [(&'static str, Baseline); 6] = [
        ("flops", Baseline::Flops),
        ("layer-wise", Baseline::LayerWise),
        ("ridge-counts", Baseline::RidgeCounts),
        ("ridge-onehot", Baseline::RidgeOneHot),
        ("ridge-pairs", Baseline::RidgePairs),
        ("extra-trees", Baseline::ExtraTrees),
    ];

    /// Encodes a pool, p × d. Make it once for many fits.
    pub fn encode(self, pool: &Pool) -> Mat {
        let x = self.columns(&pool.space, &pool.archs);
        if self == Baseline::RidgePairs { counts::with_pairs(&x) } else { x }
    }

    /// All columns but products.
    pub(crate) fn columns(self, space: &Space, archs: &[Architecture]) -> Mat {
        match self {
            Baseline::Flops => counts::flops(space, archs),
            Baseline::LayerWise | Baseline::RidgeCounts => counts::op_counts(space, archs),
            Baseline::RidgeOneHot | Baseline::RidgePairs => counts::live_one_hot(space, archs),
            Baseline::ExtraTrees => {
                counts::op_counts(space, archs).beside(&counts::live_one_hot(space, archs))
            }
        }
    }

    /// Tells whether it has something to go by in a space: FLOPs have a formula in some only, a
    /// chain has no network without layers, and products of hundreds of choices are too many.
    pub fn fits(self, space: &Space) -> bool {
        match self {
            Baseline::Flops => space.at(0).is_ok_and(|a| space.flops_and_params(&a).is_some()),
            Baseline::LayerWise => space.labels().contains(&"none"),
            Baseline::RidgePairs if space.parameters().is_some() => {
                self.columns(space, &[]).cols <= MOST_PAIRED
            }
            Baseline::RidgePairs => {
                space.positions().iter().map(|&n| usize::from(n)).sum::<usize>() <= MOST_PAIRED
            }
            _ => true,
        }
    }

    /// Fits rows of the encoding and predicts others. `log` lets the baselines of few features model
    /// the logarithm; those whose features can add up (one-hots) do better on the value itself.
    pub fn fit_predict(
        self,
        encoding: &Mat,
        (rows, y): (&[usize], &[f64]),
        ask: &[usize],
        log: bool,
        seed: u64,
    ) -> Result<Forecast, PredictError> {
        Ok(self.fit(&encoding.select(rows), y, log, seed)?.predict(&encoding.select(ask)))
    }

    /// Fits the rows of an encoding, see [`Baseline::fit_predict`].
    pub fn fit(
        self,
        known: &Mat,
        y: &[f64],
        log: bool,
        seed: u64,
    ) -> Result<BaselineModel, PredictError> {
        let log =
            log && matches!(self, Baseline::Flops | Baseline::RidgeCounts | Baseline::ExtraTrees);
        let target: Vec<f64> = if log { y.iter().map(|v| v.ln()).collect() } else { y.to_vec() };
        let regressor = match self {
            Baseline::LayerWise => LayerWise::fit(known, y).map(Regressor::LayerWise)?,
            Baseline::ExtraTrees => {
                Regressor::Trees(ExtraTrees::fit(known, &target, &TreeOptions::default(), seed)?)
            }
            _ => Regressor::Ridge(Ridge::fit(known, &target)?),
        };
        Ok(BaselineModel { regressor, log })
    }
}

/// A fitted baseline.
#[derive(Debug, Clone)]
pub struct BaselineModel {
    regressor: Regressor,
    log: bool,
}

#[derive(Debug, Clone)]
enum Regressor {
    LayerWise(LayerWise),
    Trees(ExtraTrees),
    Ridge(Ridge),
}

impl BaselineModel {
    /// Predicts rows of an encoding with the columns of the one that was fitted.
    pub fn predict(&self, asked: &Mat) -> Forecast {
        let back = |v: Vec<f64>| {
            if self.log { v.iter().map(|v| v.exp()).collect() } else { v }
        };
        let plain = |mean| Forecast { mean: back(mean), ..Forecast::default() };
        match &self.regressor {
            Regressor::LayerWise(sums) => plain(sums.predict(asked)),
            Regressor::Trees(trees) => plain(trees.predict(asked)),
            Regressor::Ridge(ridge) => {
                let mean = ridge.predict(asked);
                let (_, error) = mean_and_error(&ridge.residuals);
                let spread = 1.645 * error * (ridge.residuals.len() as f64).sqrt();
                Forecast {
                    low: back(mean.iter().map(|m| m - spread).collect()),
                    high: back(mean.iter().map(|m| m + spread).collect()),
                    mean: back(mean),
                }
            }
        }
    }
}

/// Sum of the costs of live operations, each from the training network that has it alone.
#[derive(Debug, Clone)]
struct LayerWise {
    empty: f64,
    /// Cost of each operation; a column of the pruned half.
    costs: Vec<f64>,
}

impl LayerWise {
    fn fit(known: &Mat, y: &[f64]) -> Result<LayerWise, PredictError> {
        // Columns of the pruned half: operations, then input and output.
        let (half, ops) = (known.cols / 2, known.cols / 2 - 2);
        let live = |row: &[f64]| row[half..half + ops].iter().sum::<f64>();
        let alone = |op: Option<usize>| {
            let found: Vec<f64> = (0..known.rows)
                .filter(|&i| match op {
                    None => live(known.row(i)) == 0.0,
                    Some(op) => live(known.row(i)) == 1.0 && known[(i, half + op)] == 1.0,
                })
                .map(|i| y[i])
                .collect();
            (!found.is_empty()).then(|| mean_and_error(&found).0)
        };
        let missing = || PredictError::TooFew {
            what: "layer-wise sum, a network of one layer,".into(),
            needed: 1,
            got: 0,
        };
        let empty = alone(None).ok_or_else(missing)?;
        let costs = (0..ops).map(|op| alone(Some(op)).map_or(0.0, |v| v - empty)).collect();
        Ok(LayerWise { empty, costs })
    }

    fn predict(&self, asked: &Mat) -> Vec<f64> {
        let half = asked.cols / 2;
        let sum =
            |row: &[f64]| self.costs.iter().zip(&row[half..]).map(|(c, n)| c * n).sum::<f64>();
        (0..asked.rows).map(|i| self.empty + sum(asked.row(i))).collect()
    }
}
