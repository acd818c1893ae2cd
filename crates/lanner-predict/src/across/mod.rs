//! Accuracy on a task of which a handful of networks are trained, with the trained networks of other
//! tasks and search spaces.
//!
//! A table of another task, the *source*, and twenty trained networks of this one, the *target*, give
//! a ranking of the target's pool. Source and target may be of different search spaces: what they have in
//! common are zero-cost proxies, and measures of a cell's graph that mean the same in all of them.
//!
//! ```
//! use lanner_predict::across::{Adapted, Inputs, Source, Views};
//! use lanner_predict::{Pool, metrics};
//! use lanner_space::Space;
//! let pool = Pool::whole(Space::NasBench201);
//! // A made-up task: live operations are worth something.
//! let task = |worth: [f64; 5]| -> Vec<f64> {
//!     let one = |arch: &lanner_space::Architecture| -> f64 {
//!         let live = arch.codes().iter().zip(pool.space.live(arch)).filter(|x| x.1);
//!         live.map(|(&code, _)| worth[usize::from(code)]).sum()
//!     };
//!     pool.archs.iter().map(one).collect()
//! };
//! let (other, mine) = (task([0., 1., 2., 3., 0.5]), task([0., 0.5, 2., 3., 1.]));
//!
//! let views = Views::new(&pool, &[])?; // no proxies at hand
//! let trained: Vec<usize> = (0..pool.len()).step_by(100).collect();
//! let values: Vec<f64> = trained.iter().map(|&row| other[row]).collect();
//! let source = Source::new(&views, &trained, &values, &views, Inputs::Both)?;
//! let few: Vec<usize> = (7..pool.len()).step_by(800).collect();
//! let values: Vec<f64> = few.iter().map(|&row| mine[row]).collect();
//! let adapted = Adapted::fit(&views.prior(&[source], Inputs::Both), &few, &values)?;
//! let all: Vec<usize> = (0..pool.len()).collect();
//! assert!(metrics::spearman(&adapted.scores(&all), &mine) > 0.9);
//! # Ok::<(), lanner_predict::PredictError>(())
//! ```
//!
//! **The method.** A Gaussian process on normal scores sums Matérn covariances on blocks of features:
//! graph properties, variance shares, proxies, sizes. They are joint, so that networks are alike when
//! proxies *and* graphs are; additive ones, and lines in proxies, mislead when the targets are few.
//! Three length scales and three weights of the blocks compete by evidence. What a source says of a
//! network is a line beside them, whose prior amplitude depends on how the two are related
//! ([`Relation`]): twenty targets tell a good source from a useless one, but for that the useless
//! one has to be improbable from the start.
//!
//! [`multi_predict`] is the published method that it is compared with.

mod average;
pub mod multi_predict;
mod source;
mod views;

use crate::accuracy::{Calibration, NormalScores, check};
use crate::gp::{Kernel, base_scale, base_values};
use crate::linalg::Mat;
use crate::{Forecast, PredictError};
use average::Average;
pub use source::{Relation, Source};
use views::balanced;
pub use views::{PROXIES, Views, without_failures};

/// What predictions are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inputs {
    Proxies,
    Graph,
    Both,
}

impl Inputs {
    fn proxies(self) -> bool {
        self != Inputs::Graph
    }

    fn graph(self) -> bool {
        self != Inputs::Proxies
    }
}

/// Median of a smooth function's amplitude, and the standard deviation of its logarithm.
const SMOOTH: (f64, f64) = (0.3, 2.0);
/// Length scales of the joint functions.
const LENGTHS: [f64; 3] = [0.5, 1.0, 2.0];

impl Relation {
    /// The same of the amplitude of a line in the source's scores.
    fn amplitude(self) -> (f64, f64) {
        match self {
            Relation::SameSpace => (0.03, 1.0),
            Relation::OtherCells => (0.01, 1.0),
            Relation::ProxiesAlone => (0.003, 1.0),
        }
    }
}

#[derive(Debug, Clone)]
struct Group {
    kernel: Kernel,
    x: Mat,
    scale: f64,
    length: f64,
    prior: (f64, f64),
}

impl Group {
    /// `None` if all features are constant.
    fn new(kernel: Kernel, x: Mat, length: f64, prior: (f64, f64)) -> Option<Group> {
        let scale = base_scale(kernel, &x);
        (x.cols > 0).then_some(Group { kernel, x, scale, length, prior })
    }

    /// Covariances of some rows with others.
    fn covariance(&self, rows: &[usize], others: &Mat) -> Mat {
        let mut k = base_values(self.kernel, &self.x.select(rows), others, self.scale);
        let inv_l2 = self.length.powi(-2);
        k.data.iter_mut().for_each(|b| *b = self.kernel.value_and_slope(*b, inv_l2).0);
        k
    }
}

/// What is assumed of a task before its first network is trained.
#[derive(Debug, Clone)]
pub struct Prior {
    groups: Vec<Group>,
    rows: usize,
}

impl Views {
    /// The prior of a task beside sources, each of which [`Source::new`] made for this pool; of no
    /// sources, that of a task on its own.
    pub fn prior(&self, sources: &[Source], inputs: Inputs) -> Prior {
        let sizes = self.size_and_flops();
        let with_proxies = inputs.proxies() && self.proxies.cols > 0;
        let joint = match (with_proxies, inputs.graph()) {
            (true, true) => balanced(&[&self.graph, &self.shares, &self.proxies, sizes]),
            (true, false) => balanced(&[&self.proxies, &self.flops]),
            (false, _) => balanced(&[&self.graph, &self.shares, sizes]),
        };
        let smooth = |x: &Mat, length| Group::new(Kernel::Matern52, x.clone(), length, SMOOTH);
        let mut groups: Vec<Group> =
            LENGTHS.iter().filter_map(|&length| smooth(&joint, length)).collect();
        if inputs.graph() {
            groups.extend(smooth(&balanced(&[&self.graph, &self.shares]), 1.0));
        }
        if with_proxies && inputs.graph() {
            let p = &self.proxies;
            groups.extend(smooth(&balanced(&[&self.graph, &self.shares, p, p, p]), 1.0));
        }
        for relation in [Relation::SameSpace, Relation::OtherCells, Relation::ProxiesAlone] {
            let some: Vec<&Source> = sources.iter().filter(|s| s.relation == relation).collect();
            let x = Mat::from_fn(self.len(), some.len(), |i, j| some[j].scores[i]);
            let all: Vec<usize> = (0..self.len()).collect();
            let x = x.standardised_by(&all);
            groups.extend(Group::new(Kernel::Linear, x, 1.0, relation.amplitude()));
        }
        Prior { groups, rows: self.len() }
    }
}

/// A predictor for a task of which a few networks are trained.
pub struct Adapted {
    scores: Vec<f64>,
    calibration: Calibration,
}

impl Adapted {
    /// Fits accuracies (any unit, more is better) of rows of the prior's pool; at least five, not all
    /// equal.
    pub fn fit(prior: &Prior, rows: &[usize], values: &[f64]) -> Result<Adapted, PredictError> {
        check(rows, values)?;
        if values.iter().all(|v| *v == values[0]) {
            return Err(PredictError::Model {
                why: format!(
                    "all {} accuracies are {}: they tell nothing",
                    values.len(),
                    values[0]
                ),
            });
        }
        let target = NormalScores::new(values);
        let y: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
        let known: Vec<Mat> = prior.groups.iter().map(|g| g.x.select(rows)).collect();
        let kernels: Vec<Mat> =
            prior.groups.iter().zip(&known).map(|(g, x)| g.covariance(rows, x)).collect();
        let priors: Vec<(f64, f64)> = prior.groups.iter().map(|g| g.prior).collect();
        let average = Average::fit(&kernels, &y, &priors)
            .ok_or_else(|| PredictError::Singular { what: "covariance".into() })?;
        let all: Vec<usize> = (0..prior.rows).collect();
        let mut scores = Vec::with_capacity(prior.rows);
        for block in all.chunks(512) {
            let mut sums = vec![average.mean; block.len()];
            for (g, (group, x)) in prior.groups.iter().zip(&known).enumerate() {
                let (k, weights) = (group.covariance(block, x), average.weights.row(g));
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += k.row(i).iter().zip(weights).map(|(k, w)| k * w).sum::<f64>();
                }
            }
            scores.extend(sums);
        }
        let calibration = Calibration::new(target, &average.left_out, &y);
        Ok(Adapted { scores, calibration })
    }

    /// Scores of pool rows, by which they rank.
    pub fn scores(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&r| self.scores[r]).collect()
    }

    /// Accuracies of pool rows in the unit of the training values, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Forecast {
        self.calibration.forecast(&self.scores(rows))
    }
}

#[cfg(test)]
mod tests;
