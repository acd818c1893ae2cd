//! The covariance before anything is known.

use super::{
    Component,
    kernel::{base_scale, base_values},
};
use crate::linalg::Mat;

/// Covariances between two sets of pool rows, m × n, with every hyper-parameter at the median of its
/// prior, in units of the targets' variance. Features are scaled by the whole pool.
pub(crate) fn prior_covariance(components: &[Component], rows: &[usize], others: &[usize]) -> Mat {
    let mut sum = Mat::zeros(rows.len(), others.len());
    for c in components {
        let scale = base_scale(c.kernel, &c.x);
        let base = base_values(c.kernel, &c.x.select(rows), &c.x.select(others), scale);
        let (amplitude, inv_l2) = (c.amplitude.median, c.length.median.powi(-2));
        for i in 0..rows.len() {
            sum.row_mut(i).iter_mut().zip(base.row(i)).for_each(|(sum, &b)| {
                *sum += amplitude * c.kernel.value_and_slope(b, inv_l2).0;
            });
        }
    }
    sum
}
