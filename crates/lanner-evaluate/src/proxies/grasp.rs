//! GraSP: −Σ w·(Hg), where g is the gradient of the loss and H its Hessian.
//!
//! H is symmetric, so w·(Hg) = g·(Hw), half the derivative of ‖g‖² along w. With
//! f(t) = ½‖(1 + t)·g((1 + t)w)‖² it is f′(0) − ‖g‖², and f′ is computed as a central difference. The
//! factor 1 + t makes the difference accurate: the gradient of a layer before a batch norm, as nearly
//! all are, shrinks as its weights grow, so that such layers add nothing to f′ but the effect of the
//! batch norm's ε.
//!
//! Automatic differentiation ignores that ReLUs may change their state, but a difference sees that at
//! any step; so states are held at those of w.

use lanner_nn::{Executor, Float, Mode, Params, Wants};

use super::proxy::{Absence, Score, finite};
use super::{loss, shared::weighted};
use crate::EvaluateError;

/// Step along w in `f32`, at which rounding and f‴ cause equal errors of the difference.
pub const STEP: f64 = 1.0 / 256.0;

/// Computes GraSP. `executor` was made with `hold_states` and has just run forward with these
/// parameters and images; `gradient` is that of the loss.
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
