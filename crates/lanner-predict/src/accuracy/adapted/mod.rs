//! Accuracy on a task of which a handful of networks are trained, with the trained networks of other
//! tasks and search spaces.
//!
//! A table of another task, the *source*, and twenty trained networks of this one, the *target*, give
//! a ranking of the target's pool. Source and target may be of different search spaces: what they have in
//! common are zero-cost proxies, and measures of a cell's graph that mean the same in all of them.
//!
//! ```
//! use lanner_predict::accuracy::adapted::{AdaptedAccuracy, Inputs, Source, TaskFeatures};
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
//! let features = TaskFeatures::new(&pool, &[])?; // no proxies at hand
//! let trained: Vec<usize> = (0..pool.len()).step_by(100).collect();
//! let values: Vec<f64> = trained.iter().map(|&row| other[row]).collect();
//! let source = Source::new(&features, &trained, &values, &features, Inputs::Both)?;
//! let few: Vec<usize> = (7..pool.len()).step_by(800).collect();
//! let values: Vec<f64> = few.iter().map(|&row| mine[row]).collect();
//! let adapted = AdaptedAccuracy::fit(&features.prior(&[source], Inputs::Both), &few, &values)?;
//! let all: Vec<usize> = (0..pool.len()).collect();
//! assert!(metrics::spearman(&adapted.scores(&all), &mine) > 0.9);
//! # Ok::<(), lanner_predict::PredictError>(())
//! ```
//!
//! **The method.** A Gaussian process on normal scores sums Matérn covariances on blocks of features:
//! graph properties, variance shares, proxies, sizes. They are joint, so that networks are alike when
//! proxies *and* graphs are; additive ones, and lines in proxies, mislead when the targets are few.
//! Three length scales and three weights of the blocks compete by evidence. What a source says of a
//! network is the prior mean, with a slope that the evidence decides on. It is positive from the start,
//! better there is better here, and its median depends on how the two are related ([`SourceRelation`]): twenty
//! targets tell a good source from a useless one, but for that the useless one has to be improbable from
//! the start. A line without a sign, which is all that a covariance can say, gave almost nothing.

mod average;
mod features;
mod source;

use crate::accuracy::default::check;
use crate::accuracy::scores::{Calibration, NormalScores};
use crate::checks::check_varied;
use crate::regress::gp::{Kernel, base_scale, base_values};
use crate::regress::linalg::Mat;
use crate::{Forecast, PredictError};
use average::{Average, LogNormal};
use features::balanced;
pub use features::{Inputs, PROXIES, TaskFeatures, without_failures};
pub use source::{Source, SourceRelation};

/// The amplitude of a smooth function.
const SMOOTH: LogNormal = (0.3, 2.0);
/// Length scales of the joint functions.
const LENGTHS: [f64; 3] = [0.5, 1.0, 2.0];
/// The amplitude of a line in the scores of each source of the same space, beside their common slope.
const LINE: LogNormal = (0.03, 1.0);

impl SourceRelation {
    /// The slope of the sources' mean scores, in units of the targets' deviation.
    fn slope(self) -> LogNormal {
        match self {
            SourceRelation::SameSpace => (0.05, 0.7),
            SourceRelation::OtherCells => (0.07, 0.7),
            SourceRelation::ProxiesAlone => (0.03, 0.7),
        }
    }
}

#[derive(Debug, Clone)]
struct Group {
    kernel: Kernel,
    x: Mat,
    scale: f64,
    length: f64,
    prior: LogNormal,
}

impl Group {
    /// `None` if all features are constant.
    fn new(kernel: Kernel, x: Mat, length: f64, prior: LogNormal) -> Option<Group> {
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
pub struct TaskPrior {
    groups: Vec<Group>,
    /// Mean scores of the sources of a kind, one a row, and their slope's prior.
    sources: Vec<(Vec<f64>, LogNormal)>,
    rows: usize,
}

impl TaskFeatures {
    /// The prior of a task beside sources, each of which [`Source::new`] made for this pool; of no
    /// sources, that of a task on its own.
    pub fn prior(&self, sources: &[Source], inputs: Inputs) -> TaskPrior {
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
        let mut means = Vec::new();
        let all: Vec<usize> = (0..self.len()).collect();
        for relation in
            [SourceRelation::SameSpace, SourceRelation::OtherCells, SourceRelation::ProxiesAlone]
        {
            let some: Vec<&Source> = sources.iter().filter(|s| s.relation == relation).collect();
            let x = Mat::from_fn(self.len(), some.len(), |i, j| some[j].scores[i]);
            let x = x.standardised_by(&all);
            if x.cols == 0 {
                continue;
            }
            let mean = Mat::from_fn(self.len(), 1, |i, _| x.row(i).iter().sum());
            let mean = mean.standardised_by(&all);
            if mean.cols > 0 {
                means.push((mean.data, relation.slope()));
            }
            if relation == SourceRelation::SameSpace {
                groups.extend(Group::new(Kernel::Linear, x, 1.0, LINE));
            }
        }
        TaskPrior { groups, sources: means, rows: self.len() }
    }
}

/// A predictor for a task of which a few networks are trained.
pub struct AdaptedAccuracy {
    scores: Vec<f64>,
    calibration: Calibration,
}

impl AdaptedAccuracy {
    /// Fits accuracies (any unit, more is better) of rows of the prior's pool; at least five, not all
    /// equal.
    pub fn fit(
        prior: &TaskPrior,
        rows: &[usize],
        values: &[f64],
    ) -> Result<AdaptedAccuracy, PredictError> {
        check(rows, values)?;
        check_varied(values, "accuracies")?;
        let target = NormalScores::new(values);
        let y: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
        let known: Vec<Mat> = prior.groups.iter().map(|g| g.x.select(rows)).collect();
        let kernels: Vec<(Mat, LogNormal)> = (prior.groups.iter().zip(&known))
            .map(|(g, x)| (g.covariance(rows, x), g.prior))
            .collect();
        let sources: Vec<(Vec<f64>, LogNormal)> = (prior.sources.iter())
            .map(|(scores, slope)| (rows.iter().map(|&r| scores[r]).collect(), *slope))
            .collect();
        let average = Average::fit(&kernels, &sources, &y)
            .ok_or_else(|| PredictError::Singular { what: "covariance".into() })?;
        let mut scores = vec![average.mean; prior.rows];
        for ((of_source, _), slope) in prior.sources.iter().zip(&average.slopes) {
            scores.iter_mut().zip(of_source).for_each(|(sum, s)| *sum += slope * s);
        }
        let all: Vec<usize> = (0..prior.rows).collect();
        for (block, sums) in all.chunks(512).zip(scores.chunks_mut(512)) {
            for (g, (group, x)) in prior.groups.iter().zip(&known).enumerate() {
                let (k, weights) = (group.covariance(block, x), average.weights.row(g));
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += k.row(i).iter().zip(weights).map(|(k, w)| k * w).sum::<f64>();
                }
            }
        }
        let calibration = Calibration::new(target, &average.left_out, &y);
        Ok(AdaptedAccuracy { scores, calibration })
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
