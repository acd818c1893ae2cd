//! The covariance before anything is known.

use super::component::Component;
use super::kernel::{Kernel, base_scale, base_values, own_base};
use crate::regress::linalg::Mat;

/// Covariances of some pool rows with every hyper-parameter at the median of its prior, in units of
/// the targets' variance. Features are scaled by the whole pool.
pub(crate) struct PriorCovariance {
    terms: Vec<Term>,
    rows: usize,
}

struct Term {
    kernel: Kernel,
    amplitude: f64,
    inv_l2: f64,
    scale: f64,
    x: Mat,
}

impl PriorCovariance {
    pub(crate) fn new(components: &[Component], rows: &[usize]) -> PriorCovariance {
        let term = |c: &Component| Term {
            kernel: c.kernel,
            amplitude: c.amplitude.median,
            inv_l2: c.length.median.powi(-2),
            scale: base_scale(c.kernel, &c.x),
            x: c.x.select(rows),
        };
        PriorCovariance { terms: components.iter().map(term).collect(), rows: rows.len() }
    }

    /// Covariance of all rows with the `chosen` ones, given by their place among the rows: rows ×
    /// chosen.
    pub(crate) fn with(&self, chosen: &[usize]) -> Mat {
        let mut sum = Mat::zeros(self.rows, chosen.len());
        for t in &self.terms {
            let base = base_values(t.kernel, &t.x, &t.x.select(chosen), t.scale);
            for (sum, &b) in sum.data.iter_mut().zip(&base.data) {
                *sum += t.amplitude * t.kernel.value_and_slope(b, t.inv_l2).0;
            }
        }
        sum
    }

    /// The variance of each row.
    pub(crate) fn own(&self) -> Vec<f64> {
        let own = |t: &Term, i| {
            let base = own_base(t.kernel, t.x.row(i), t.scale);
            t.amplitude * t.kernel.value_and_slope(base, t.inv_l2).0
        };
        (0..self.rows).map(|i| self.terms.iter().map(|t| own(t, i)).sum()).collect()
    }
}
