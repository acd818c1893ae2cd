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
//! let prior = features.prior(&[source], Inputs::Both);
//! let adapted = AdaptedAccuracy::fit(&prior, &few, &values)?;
//! let all: Vec<usize> = (0..pool.len()).collect();
//! assert!(metrics::spearman(&adapted.scores(&prior, &all), &mine) > 0.9);
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
mod saved;
mod source;

use std::sync::Arc;

use crate::accuracy::default::check;
use crate::accuracy::scores::{Calibration, NormalScores};
use crate::accuracy::untrained::UntrainedScores;
use crate::checks::check_varied;
use crate::regress::gp::{Kernel, base_scale, base_values};
use crate::regress::linalg::{Mat, Standardiser};
use crate::{Forecast, PredictError};
use average::{Average, LogNormal, Slope};
use features::Balance;
pub use features::{Inputs, PROXIES, TaskFeatures, without_failures};
pub use saved::{TaskPredictor, TaskTable};
pub use source::{Source, SourceRelation};

/// The amplitude of a smooth function.
const SMOOTH: LogNormal = (0.3, 2.0);
/// Length scales of the joint functions.
const LENGTHS: [f64; 3] = [0.5, 1.0, 2.0];
/// The amplitude of a line in the scores of each source of the same space, beside their common slope.
const LINE: LogNormal = (0.03, 1.0);
/// The slope of an untrained score. It tells more than a source as a rule, and in some tasks nothing.
const UNTRAINED: Slope = Slope { chance: 0.5, positive: (0.3, 1.0) };

impl SourceRelation {
    /// The slope of the sources' mean scores, in units of the targets' deviation.
    fn slope(self) -> Slope {
        let positive = match self {
            SourceRelation::SameSpace => (0.05, 0.7),
            SourceRelation::OtherCells => (0.07, 0.7),
            SourceRelation::ProxiesAlone => (0.015, 0.7),
        };
        Slope { chance: 1.0, positive }
    }
}

/// Blocks of features that a group of the covariance sees.
#[derive(Debug, Clone, Copy)]
enum Blocks {
    Joint(Inputs),
    Graph,
    /// Proxies weigh as much as three other blocks.
    MoreProxies,
    /// Scores of the sources of the same space.
    Sources,
}

impl Blocks {
    fn of(self, features: &TaskFeatures) -> Vec<&Mat> {
        let TaskFeatures { graph, shares, proxies, flops, .. } = features;
        let sizes = features.size_and_flops();
        match self {
            Blocks::Joint(Inputs::Both) => vec![graph, shares, proxies, sizes],
            Blocks::Joint(Inputs::Proxies) => vec![proxies, flops],
            Blocks::Joint(Inputs::Graph) => vec![graph, shares, sizes],
            Blocks::Graph => vec![graph, shares],
            Blocks::MoreProxies => vec![graph, shares, proxies, proxies, proxies],
            Blocks::Sources => Vec::new(),
        }
    }
}

/// A term of the covariance.
#[derive(Debug, Clone)]
struct Group {
    kernel: Kernel,
    blocks: Blocks,
    balance: Balance,
    x: Mat,
    scale: f64,
    length: f64,
    prior: LogNormal,
}

impl Group {
    /// `None` if all features are constant.
    fn smooth(features: &TaskFeatures, blocks: Blocks, length: f64) -> Option<Group> {
        let balance = Balance::new(&blocks.of(features));
        let x = balance.apply(&blocks.of(features));
        let (kernel, prior) = (Kernel::Matern52, SMOOTH);
        let scale = base_scale(kernel, &x);
        (x.cols > 0).then_some(Group { kernel, blocks, balance, x, scale, length, prior })
    }

    /// A line in each source's scores.
    fn line(x: Mat) -> Group {
        let (kernel, blocks, balance) = (Kernel::Linear, Blocks::Sources, Balance::new(&[]));
        let scale = base_scale(kernel, &x);
        Group { kernel, blocks, balance, x, scale, length: 1.0, prior: LINE }
    }

    /// Covariances of architectures with others.
    fn covariance(&self, x: &Mat, others: &Mat) -> Mat {
        let mut k = base_values(self.kernel, x, others, self.scale);
        let inv_l2 = self.length.powi(-2);
        k.data.iter_mut().for_each(|b| *b = self.kernel.value_and_slope(*b, inv_l2).0);
        k
    }
}

/// The sources of one relation, as one.
#[derive(Debug, Clone)]
struct Together {
    relation: SourceRelation,
    sources: Vec<Source>,
    /// Scales of their scores, and of the sum.
    each: Standardiser,
    sum: Standardiser,
}

impl Together {
    /// Their scaled scores for some architectures, and the mean of these.
    fn scores(&self, each: &[Vec<f64>]) -> [Mat; 2] {
        let rows = each.first().map_or(0, Vec::len);
        let x = self.each.apply(&Mat::from_fn(rows, each.len(), |i, j| each[j][i]));
        let mean = self.sum.apply(&sums(&x));
        [x, mean]
    }
}

fn sums(x: &Mat) -> Mat {
    Mat::from_fn(x.rows, 1, |i, _| x.row(i).iter().sum())
}

/// Assumptions about a task before its first network is trained.
#[derive(Debug, Clone)]
pub struct TaskPrior {
    groups: Vec<Group>,
    together: Vec<Together>,
    /// Mean scores of the sources of a kind over the pool, and their slope's prior; last the untrained
    /// scores.
    means: Vec<(Vec<f64>, Slope)>,
    /// Untrained scores, and their scale over the pool.
    untrained: Option<(Arc<UntrainedScores>, NormalScores)>,
}

impl TaskFeatures {
    /// The prior of a task beside sources, each of which [`Source::new`] made for this pool; of no
    /// sources, that of a task on its own.
    pub fn prior(&self, sources: &[Source], inputs: Inputs) -> TaskPrior {
        let with_proxies = inputs.proxies() && self.proxies.cols > 0;
        let joint = Blocks::Joint(if with_proxies { inputs } else { Inputs::Graph });
        let smooth = |blocks, length| Group::smooth(self, blocks, length);
        let mut groups: Vec<Group> =
            LENGTHS.iter().filter_map(|&length| smooth(joint, length)).collect();
        if inputs.graph() {
            groups.extend(smooth(Blocks::Graph, 1.0));
        }
        if with_proxies && inputs.graph() {
            groups.extend(smooth(Blocks::MoreProxies, 1.0));
        }
        let (together, means) = Default::default();
        let mut prior = TaskPrior { groups, together, means, untrained: None };
        let all: Vec<usize> = (0..self.len()).collect();
        for relation in
            [SourceRelation::SameSpace, SourceRelation::OtherCells, SourceRelation::ProxiesAlone]
        {
            let some: Vec<Source> =
                sources.iter().filter(|s| s.relation == relation).cloned().collect();
            let x = Mat::from_fn(self.len(), some.len(), |i, j| some[j].scores[i]);
            let each = Standardiser::of(&x, &all);
            if each.width() == 0 {
                continue;
            }
            let x = each.apply(&x);
            let sum = Standardiser::of(&sums(&x), &all);
            if sum.width() > 0 {
                prior.means.push((sum.apply(&sums(&x)).data, relation.slope()));
            }
            if relation == SourceRelation::SameSpace {
                prior.groups.push(Group::line(x));
            }
            prior.together.push(Together { relation, sources: some, each, sum });
        }
        prior
    }

    /// The same beside an untrained score, such as [`rank`](crate::accuracy::untrained::rank): accuracies
    /// rise with it, how steeply is decided by the evidence of the trained networks.
    pub fn prior_with_untrained(
        &self,
        sources: &[Source],
        inputs: Inputs,
        scores: &Arc<UntrainedScores>,
    ) -> TaskPrior {
        let mut prior = self.prior(sources, inputs);
        let of_pool = scores.of(&self.pool.archs);
        let scale = NormalScores::new(&of_pool);
        let scaled = of_pool.iter().map(|&s| scale.score(s)).collect();
        prior.means.push((scaled, UNTRAINED));
        prior.untrained = Some((Arc::clone(scores), scale));
        prior
    }
}

impl TaskPrior {
    /// The features of each group, and the mean scores of sources, for other architectures than the
    /// pool's.
    fn of(&self, others: &TaskFeatures) -> (Vec<Mat>, Vec<Vec<f64>>) {
        let (mut lines, mut means) = (Vec::new(), Vec::new());
        for together in &self.together {
            let each: Vec<Vec<f64>> =
                together.sources.iter().map(|s| s.scores_of(others)).collect();
            let [x, mean] = together.scores(&each);
            if together.sum.width() > 0 {
                means.push(mean.data);
            }
            if together.relation == SourceRelation::SameSpace {
                lines.push(x);
            }
        }
        if let Some((scores, scale)) = &self.untrained {
            let scores = scores.of(&others.pool.archs);
            means.push(scores.into_iter().map(|s| scale.score_beyond(s)).collect());
        }
        let x = |g: &Group| match g.blocks {
            Blocks::Sources => lines[0].clone(),
            blocks => g.balance.apply(&blocks.of(others)),
        };
        (self.groups.iter().map(x).collect(), means)
    }
}

/// A predictor for a task of which a few networks are trained.
pub struct AdaptedAccuracy {
    /// Features of the trained networks, one a group.
    known: Vec<Mat>,
    average: Average,
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
        let kernels: Vec<(Mat, LogNormal)> =
            (prior.groups.iter().zip(&known)).map(|(g, x)| (g.covariance(x, x), g.prior)).collect();
        let sources: Vec<(Vec<f64>, Slope)> = (prior.means.iter())
            .map(|(scores, slope)| (rows.iter().map(|&r| scores[r]).collect(), *slope))
            .collect();
        let average = Average::fit(&kernels, &sources, &y)
            .ok_or_else(|| PredictError::Singular { what: "covariance".into() })?;
        let calibration = Calibration::new(target, &average.left_out, &y);
        Ok(AdaptedAccuracy { known, average, calibration })
    }

    /// Scores of rows of the prior's pool, by which they rank.
    pub fn scores(&self, prior: &TaskPrior, rows: &[usize]) -> Vec<f64> {
        let x = prior.groups.iter().map(|g| g.x.select(rows)).collect();
        let of = |scores: &Vec<f64>| rows.iter().map(|&r| scores[r]).collect();
        self.posterior(prior, (x, prior.means.iter().map(|m| of(&m.0)).collect()))
    }

    /// Accuracies of rows of the prior's pool in the unit of the training values, with 90 % intervals.
    pub fn predict(&self, prior: &TaskPrior, rows: &[usize]) -> Forecast {
        self.calibration.forecast(&self.scores(prior, rows))
    }

    /// The same of any architectures, whose features [`TaskFeatures::of`] the pool made.
    pub fn predict_others(&self, prior: &TaskPrior, others: &TaskFeatures) -> Forecast {
        self.calibration.forecast(&self.posterior(prior, prior.of(others)))
    }

    fn posterior(&self, prior: &TaskPrior, (x, means): (Vec<Mat>, Vec<Vec<f64>>)) -> Vec<f64> {
        let average = &self.average;
        let rows: Vec<usize> = (0..x.first().map_or(0, |x| x.rows)).collect();
        let mut scores = vec![average.mean; rows.len()];
        for (of_source, slope) in means.iter().zip(&average.slopes) {
            scores.iter_mut().zip(of_source).for_each(|(sum, s)| *sum += slope * s);
        }
        for (block, sums) in rows.chunks(512).zip(scores.chunks_mut(512)) {
            for (g, ((group, x), known)) in prior.groups.iter().zip(&x).zip(&self.known).enumerate()
            {
                let k = group.covariance(&x.select(block), known);
                let weights = average.weights.row(g);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += k.row(i).iter().zip(weights).map(|(k, w)| k * w).sum::<f64>();
                }
            }
        }
        scores
    }
}
