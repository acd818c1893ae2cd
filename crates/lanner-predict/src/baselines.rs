//! The plain predictors that every other one must beat, under one name each.

use crate::features;
use crate::linalg::Mat;
use crate::metrics::mean_and_error;
use crate::ridge::Ridge;
use crate::trees::{ExtraTrees, Options};
use crate::{Forecast, Pool, PredictError};

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

    /// Its encoding of a pool, p × d. Make it once for many fits.
    pub fn encode(self, pool: &Pool) -> Mat {
        let (space, archs) = (&pool.space, &pool.archs);
        match self {
            Baseline::Flops => features::flops(space, archs),
            Baseline::LayerWise | Baseline::RidgeCounts => features::op_counts(space, archs),
            Baseline::RidgeOneHot => features::live_one_hot(space, archs),
            Baseline::RidgePairs => features::with_pairs(&features::live_one_hot(space, archs)),
            Baseline::ExtraTrees => {
                features::op_counts(space, archs).beside(&features::live_one_hot(space, archs))
            }
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
        let known = encoding.select(rows);
        let asked = encoding.select(ask);
        let log =
            log && matches!(self, Baseline::Flops | Baseline::RidgeCounts | Baseline::ExtraTrees);
        let target: Vec<f64> = if log { y.iter().map(|v| v.ln()).collect() } else { y.to_vec() };
        let back = |v: Vec<f64>| {
            if log { v.iter().map(|v| v.exp()).collect() } else { v }
        };
        let (mean, residuals) = match self {
            Baseline::LayerWise => (layer_wise(&known, y, &asked)?, Vec::new()),
            Baseline::ExtraTrees => {
                let trees = ExtraTrees::fit(&known, &target, &Options::default(), seed)?;
                (trees.predict(&asked), Vec::new())
            }
            _ => {
                let ridge = Ridge::fit(&known, &target)?;
                (ridge.predict(&asked), ridge.residuals)
            }
        };
        if residuals.is_empty() {
            return Ok(Forecast { mean: back(mean), ..Forecast::default() });
        }
        let (_, error) = mean_and_error(&residuals);
        let spread = 1.645 * error * (residuals.len() as f64).sqrt();
        Ok(Forecast {
            low: back(mean.iter().map(|m| m - spread).collect()),
            high: back(mean.iter().map(|m| m + spread).collect()),
            mean: back(mean),
        })
    }
}

/// Sum of the costs of live operations, each from the training network that has it alone.
fn layer_wise(known: &Mat, y: &[f64], asked: &Mat) -> Result<Vec<f64>, PredictError> {
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
    let costs: Vec<f64> = (0..ops).map(|op| alone(Some(op)).map_or(0.0, |v| v - empty)).collect();
    Ok((0..asked.rows)
        .map(|i| empty + costs.iter().zip(&asked.row(i)[half..]).map(|(c, n)| c * n).sum::<f64>())
        .collect())
}
