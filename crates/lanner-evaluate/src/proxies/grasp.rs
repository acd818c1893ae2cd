//! GraSP: −Σ w·(Hg), the gradient's change along itself, seen by the weights.

use lanner_network::Network;
use lanner_nn::{Executor, Mode, Params, Wants};

use super::proxy::{Absence, Score, finite};
use super::{Batch, Options, loss, shared::weighted};
use crate::EvaluateError;

/// The step along g, in parts of ‖w‖; rounding in `f64` leaves six digits.
///
/// Known limit: on small networks the values are PyTorch's to 10⁻⁶ (golden test), but at full size with
/// batch 64 some are wrong by orders of magnitude. Probably ReLUs change their state between the two
/// points, which the Hessian of automatic differentiation knows nothing of; that needs second
/// derivatives with the states kept, not a difference.
const STEP: f64 = 1e-9;

/// By a central difference in `f64` of the gradient at w ± h·g.
pub fn grasp(
    network: &Network,
    params: &Params<f32>,
    gradient: &[f32],
    batch: &Batch,
    options: &Options,
) -> Result<Score, EvaluateError> {
    if weighted(network, params).next().is_none() {
        return Ok(Err(Absence::NoWeights));
    }
    let norm = |x: &[f32]| -> f64 {
        weighted(network, params).flat_map(|r| &x[r]).map(|&x| f64::from(x).powi(2)).sum::<f64>()
    };
    let step = STEP * (norm(&params.values) / norm(gradient)).sqrt();
    if !step.is_finite() {
        // Without a gradient its product with anything is 0.
        let none = norm(gradient) == 0.0;
        return Ok(if none { Ok(0.0) } else { Err(Absence::NotFinite) });
    }
    let run = lanner_nn::Options { training: true, ..options.executor() };
    let mut executor = Executor::<f64>::new(network, batch.len(), run)?;
    let images: Vec<f64> = batch.images.iter().map(|&x| f64::from(x)).collect();
    let mut slopes = [0.0; 2];
    for (slope, sign) in slopes.iter_mut().zip([1.0, -1.0]) {
        let mut moved = Params::<f64>::zeros(network);
        moved.values.iter_mut().zip(&params.values).for_each(|(m, &w)| *m = f64::from(w));
        for range in weighted(network, params) {
            for (m, &g) in moved.values[range.clone()].iter_mut().zip(&gradient[range]) {
                *m += sign * step * f64::from(g);
            }
        }
        let outputs = executor.forward(&moved, &images, Mode::Batch, &())?;
        let d_outputs = loss::gradient(outputs, &batch.labels);
        let mut there = vec![0.0; moved.values.len()];
        executor.backward(&moved, &d_outputs, Wants::PARAMS, &mut there, &())?;
        for range in weighted(network, params) {
            let pairs = params.values[range.clone()].iter().zip(&there[range]);
            *slope += pairs.map(|(&w, g)| f64::from(w) * g).sum::<f64>();
        }
    }
    Ok(finite(-(slopes[0] - slopes[1]) / (2.0 * step)))
}
