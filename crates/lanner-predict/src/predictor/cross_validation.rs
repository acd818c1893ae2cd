//! Quality of a predictor of a table, told by the table itself.

use rand::seq::SliceRandom;

use super::Predictor;
use super::fitted::{FitSettings, Fitted, MethodFeatures};
use crate::regress::gp::EXACT_ROWS;
use crate::{Forecast, Pool, PredictError};

/// A prediction, with its interval where there is one.
type Predicted = (f64, Option<(f64, f64)>);

/// Values, in the order of the rows, and what a fit that did not see their part of `folds` predicts:
/// all of them, or, with more than [`EXACT_ROWS`] rows, those of one part. `progress` is told how many
/// parts are done, and of how many.
pub fn cross_validated(
    pool: &Pool,
    features: &MethodFeatures,
    settings: &FitSettings,
    (rows, values): (&[usize], &[f64]),
    folds: usize,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Forecast, Vec<f64>), PredictError> {
    let n = rows.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut lanner_nn::rng(seed, "cross-validation"));
    // For each row the mean and, where there is one, the interval.
    let mut all: Vec<Option<Predicted>> = vec![None; n];
    let parts = if n > EXACT_ROWS { 1 } else { folds };
    for fold in 0..parts {
        progress(fold as u64, parts as u64);
        let part = |inside: bool| -> Vec<usize> {
            (0..n).filter(|k| (k % folds == fold) == inside).map(|k| order[k]).collect()
        };
        let (held, rest) = (part(true), part(false));
        if held.is_empty() {
            continue;
        }
        let train: Vec<usize> = rest.iter().map(|&i| rows[i]).collect();
        let y: Vec<f64> = rest.iter().map(|&i| values[i]).collect();
        let ask: Vec<_> = held.iter().map(|&i| pool.archs[rows[i]].clone()).collect();
        let fitted = Fitted::fit(pool, features, settings.clone(), (&train, &y), seed)?;
        let got = fitted.predict(&ask);
        for (k, &i) in held.iter().enumerate() {
            let interval = got.low.get(k).copied().zip(got.high.get(k).copied());
            all[i] = Some((got.mean[k], interval));
        }
    }
    let (mut forecast, mut truth) = (Forecast::default(), Vec::new());
    for (predicted, value) in all.into_iter().zip(values) {
        let Some((mean, interval)) = predicted else { continue };
        forecast.mean.push(mean);
        forecast.low.extend(interval.map(|i| i.0));
        forecast.high.extend(interval.map(|i| i.1));
        truth.push(*value);
    }
    Ok((forecast, truth))
}
