//! Checks of the few samples that a predictor is fitted to.

use crate::PredictError;

/// One value a row.
pub(crate) fn check_lengths(rows: &[usize], values: &[f64]) -> Result<(), PredictError> {
    if rows.len() == values.len() {
        return Ok(());
    }
    Err(PredictError::Lengths { architectures: rows.len(), targets: values.len() })
}

/// Checks that not all values are equal; `what` names them in the plural.
pub(crate) fn check_varied(values: &[f64], what: &str) -> Result<(), PredictError> {
    match values.first() {
        Some(first) if values.iter().all(|v| v == first) => Err(PredictError::Model {
            why: format!("all {} {what} are {first}: they tell nothing", values.len()),
        }),
        _ => Ok(()),
    }
}
