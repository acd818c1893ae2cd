//! GraSP: −Σ w·(Hg), the gradient's change along itself, seen by the weights.
//!
//! H is symmetric, so w·(Hg) = g·(Hw), half the derivative of ‖g‖² along w. With
//! f(t) = ½‖(1 + t)·g((1 + t)w)‖² that makes it f′(0) − ‖g‖², and f′ is a central difference. The factor
//! 1 + t is there since the gradient of a layer before a batch norm shrinks as its weights grow: such
//! layers, nearly all, add nothing to f′ but what the batch norm's ε does, and only what the others do
//! is left to the difference.
//!
//! Automatic differentiation knows nothing of ReLUs that change their state, which a difference sees
//! at any step; so states are held at those of w itself.

use lanner_nn::{Executor, Float, Mode, Params, Wants};

use super::proxy::{Absence, Score, finite};
use super::{loss, shared::weighted};
use crate::EvaluateError;

/// The step along w in `f32`: there rounding and f‴ put the difference off by as much.
pub const STEP: f64 = 1.0 / 256.0;

/// `executor` has just run forward with these parameters and images, and was made to hold states;
/// `gradient` is that of the loss.
pub fn grasp<T: Float>(
    params: &Params<T>,
    images: &[T],
    labels: &[u16],
    gradient: &[T],
    executor: &mut Executor<T>,
    step: f64,
) -> Result<Score, EvaluateError> {
    let network = &executor.network().clone();
    if weighted(network, params).next().is_none() {
        return Ok(Err(Absence::NoWeights));
    }
    let squares = |g: &[T]| -> f64 {
        weighted(network, params).flat_map(|r| &g[r]).map(|g| g.to_f64().powi(2)).sum()
    };
    executor.hold_states(true)?;
    let mut there = vec![T::ZERO; gradient.len()];
    let mut halves = [0.0; 2];
    for (half, t) in halves.iter_mut().zip([step, -step]) {
        let mut moved = params.clone();
        for range in weighted(network, params) {
            moved.values[range].iter_mut().for_each(|w| *w = T::of(w.to_f64() * (1.0 + t)));
        }
        let outputs = executor.forward(&moved, images, Mode::Batch, &())?;
        let d_outputs = loss::gradient(outputs, labels);
        executor.backward(&moved, &d_outputs, Wants::PARAMS, &mut there, &())?;
        *half = 0.5 * (1.0 + t).powi(2) * squares(&there);
    }
    let slope = (halves[0] - halves[1]) / (2.0 * step);
    Ok(finite(squares(gradient) - slope))
}
