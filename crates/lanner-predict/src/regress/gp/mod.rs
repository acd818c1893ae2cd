//! Gaussian-process regression with a sum of covariance functions, one or more for each group of
//! features, all hyper-parameters by marginal likelihood (Rasmussen & Williams 2006, ch. 2 and 5).
//!
//! A [`Component`] holds the features of *all* architectures that will ever be asked for (the pool,
//! p × d); training sets and questions are row numbers of it. Targets are standardised inside.

mod component;
mod exact;
mod inducing;
mod kernel;
mod lbfgs;
mod prior;
mod process;

use crate::PredictError;
pub use component::{Component, GpOptions, HyperPrior};
pub use inducing::EXACT_ROWS;
pub use kernel::Kernel;
pub(crate) use kernel::{base_scale, base_values, own_base};
pub(crate) use prior::PriorCovariance;
pub use process::{Gp, Predictions};

impl Gp {
    /// Fits targets `y` at pool rows `rows`. `start` continues from the `hyper` of an earlier fit
    /// with the same components.
    ///
    /// Up to 2,000 rows the process is exact; of more, 2,000 random ones stand between the others and
    /// the predictions, so that time and memory grow as the number of rows.
    pub fn fit(
        components: &[Component],
        rows: &[usize],
        y: &[f64],
        options: &GpOptions,
        start: Option<&[f64]>,
    ) -> Result<Gp, PredictError> {
        if rows.len() != y.len() || rows.len() < 2 {
            return Err(PredictError::TooFew {
                what: "Gaussian process".into(),
                needed: 2,
                got: rows.len().min(y.len()),
            });
        }
        if rows.len() > EXACT_ROWS {
            return inducing::fit(components, rows, y, options, start);
        }
        exact::fit(components, rows, y, options, start)
    }

    /// The process of an earlier fit again, from the same rows and targets and its `hyper` and
    /// `precisions`: one factorisation instead of a search.
    pub fn restore(
        components: &[Component],
        rows: &[usize],
        y: &[f64],
        hyper: Vec<f64>,
        precisions: Vec<f64>,
    ) -> Result<Gp, PredictError> {
        let parameters = 2 * components.len() + 1;
        if hyper.len() != parameters || precisions.len() != rows.len() || y.len() != rows.len() {
            return Err(PredictError::TooFew {
                what: format!("a stored Gaussian process of {} rows, parameters,", rows.len()),
                needed: parameters,
                got: hyper.len(),
            });
        }
        if rows.len() > EXACT_ROWS {
            let places = inducing::places(rows.len());
            return inducing::conditioned(components, (rows, y), &places, hyper, precisions, None);
        }
        exact::restore(components, rows, y, hyper, precisions)
    }
}

#[cfg(test)]
mod tests;
