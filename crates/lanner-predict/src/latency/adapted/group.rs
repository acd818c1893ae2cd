//! Terms of the covariance, and the slope along simulated costs.

use rayon::prelude::*;

use crate::encode::costs::AnalyticCosts;
use crate::regress::gp::{Kernel, base_scale, base_values, own_base};
use crate::regress::linalg::{Mat, Standardiser};

/// Number of rows of the pool on which the slope is taken.
const SLOPE: usize = 128;

/// One term of the covariance: features of the whole pool, scaled so that its variance is one.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub kernel: Kernel,
    pub x: Mat,
    pub scale: f64,
    pub length: f64,
    pub shown: Shown,
    /// The covariance of the slope with every row of the pool, and with itself.
    pub slope: (Vec<f64>, f64),
    /// The scale of the features.
    pub standardiser: Standardiser,
}

/// Kind of the features of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All that the text says, the dead operations too.
    Text,
    /// The operations that are computed.
    Live,
    /// A space without dead operations.
    Both,
    /// Latencies of other devices.
    Sources,
}

impl Group {
    /// `None` if all features are constant.
    pub fn new(
        kernel: Kernel,
        features: &Mat,
        length: f64,
        direction: &Direction,
    ) -> Option<Group> {
        let all: Vec<usize> = (0..features.rows).collect();
        let standardiser = Standardiser::of(features, &all);
        let x = standardiser.apply(features);
        if x.cols == 0 {
            return None;
        }
        let (scale, shown, slope) = (base_scale(kernel, &x), Shown::Both, Default::default());
        let mut group = Group { kernel, x, scale, length, shown, slope, standardiser };
        let along = group.slope_of(&group.x, direction);
        let own = direction.weigh(&direction.rows.iter().map(|&r| along[r]).collect::<Vec<_>>());
        group.slope = (along, own);
        Some(group)
    }

    /// The same term for architectures outside the pool, of which these are the features.
    pub fn of_others(&self, features: &Mat, direction: &Direction) -> Group {
        let x = self.standardiser.apply(features);
        let slope = (self.slope_of(&x, direction), self.slope.1);
        let Group { kernel, scale, length, shown, .. } = *self;
        Group { kernel, x, scale, length, shown, slope, standardiser: self.standardiser.clone() }
    }

    /// Covariances of some rows with others.
    pub fn covariance(&self, rows: &Mat, others: &Mat) -> Mat {
        let mut k = base_values(self.kernel, rows, others, self.scale);
        let inv_l2 = self.length.powi(-2);
        k.data.iter_mut().for_each(|b| *b = self.kernel.value_and_slope(*b, inv_l2).0);
        k
    }

    /// Covariances of the slope with rows of scaled features.
    fn slope_of(&self, x: &Mat, direction: &Direction) -> Vec<f64> {
        let among = self.x.select(&direction.rows);
        if self.kernel == Kernel::Linear {
            let sum = Mat::from_fn(1, among.cols, |_, j| {
                direction.weigh(&(0..among.rows).map(|i| among[(i, j)]).collect::<Vec<_>>())
            });
            return self.covariance(x, &sum).data;
        }
        let blocks: Vec<Vec<f64>> = (0..x.rows.div_ceil(256))
            .into_par_iter()
            .map(|b| {
                let rows: Vec<usize> = (256 * b..x.rows.min(256 * (b + 1))).collect();
                let k = self.covariance(&x.select(&rows), &among);
                (0..k.rows).map(|i| direction.weigh(k.row(i))).collect()
            })
            .collect();
        blocks.concat()
    }

    pub fn own(&self, row: &[f64]) -> f64 {
        let base = own_base(self.kernel, row, self.scale);
        self.kernel.value_and_slope(base, self.length.powi(-2)).0
    }
}

/// The slope: latencies of some rows of the pool, weighed by how much more than the mean they cost.
#[derive(Debug, Clone)]
pub(super) struct Direction {
    rows: Vec<usize>,
    weights: Vec<f64>,
}

impl Direction {
    pub fn new(shown: &[(Shown, AnalyticCosts)]) -> Direction {
        let p = shown[0].1.times.rows;
        let rows: Vec<usize> = (0..p).step_by(p.div_ceil(SLOPE).max(1)).collect();
        let mut weights = vec![0.0; rows.len()];
        for (_, costs) in shown {
            let x = costs.times.standardised_by(&rows);
            for (weight, &row) in weights.iter_mut().zip(&rows) {
                *weight += x.row(row).iter().sum::<f64>() / (x.cols.max(1) * rows.len()) as f64;
            }
        }
        Direction { rows, weights }
    }

    /// The weighted sum of one number of each of its rows.
    fn weigh(&self, numbers: &[f64]) -> f64 {
        numbers.iter().zip(&self.weights).map(|(k, w)| k * w).sum()
    }
}
