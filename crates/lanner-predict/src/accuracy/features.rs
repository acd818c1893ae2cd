//! Features that the accuracy predictors see of a pool.

use std::sync::Arc;

use lanner_space::Architecture;

use super::scores::NormalScores;
use crate::Pool;
use crate::encode::cells::{CellEncoder, CellFeatures};
use crate::regress::gp::{Component, HyperPrior, Kernel};
use crate::regress::linalg::{Mat, Standardiser};

/// Priors on amplitude and length scale that hold for any metric: targets are standardised and
/// length scales are in units of the mean distance.
pub(crate) fn component(kernel: Kernel, x: &Arc<Mat>) -> Component {
    Component {
        kernel,
        x: x.clone(),
        amplitude: HyperPrior::new(0.37, 1.5),
        length: HyperPrior::new(1.17, 0.7),
    }
}

/// The encodings that the accuracy predictors see, for every architecture of a pool.
#[derive(Debug, Clone)]
pub struct AccuracyFeatures {
    /// Graph properties and counts, p × d, standardised over the pool as the others.
    pub(crate) graph: Arc<Mat>,
    /// Variance shares, sizes and live counts.
    pub(crate) shares: Arc<Mat>,
    /// All columns of the two.
    pub(crate) all: Arc<Mat>,
    /// Counts, graph properties and live one-hots: for the search.
    pub(crate) plain: Arc<Mat>,
    /// Features of chains; `None` in other spaces.
    pub(super) chain: Option<Box<Chain>>,
    /// Columns of each parameter, in spaces of parameters that have few.
    each: Option<Vec<Arc<Mat>>>,
    /// Untrained score of each architecture, p × 1, see [`AccuracyFeatures::with_prior`].
    pub(super) prior: Option<Arc<Mat>>,
    /// Scale of these scores.
    scale: Option<Arc<NormalScores>>,
    /// That of the pool that these features are [`of`](AccuracyFeatures::of).
    pool_scale: Option<Arc<NormalScores>>,
    encoder: Arc<Encoder>,
}

/// Features of chains that linear terms see.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// Counts, choices, what came before each place, and cost.
    line: Arc<Mat>,
    choices: Arc<Mat>,
    /// Counts, how early each operation comes, and cost.
    early: Arc<Mat>,
    /// Counts and cost, so few that a line in them is known soon.
    totals: Arc<Mat>,
}

/// Makes the columns.
#[derive(Debug)]
struct Encoder {
    features: CellEncoder,
    /// One a group of [`grouped`], measured over the pool. The first group of a space of parameters is
    /// scaled already.
    standardisers: [Option<Standardiser>; GROUPS],
}

/// Length scale of a term that bends but little over a chain's totals.
const CURVED: HyperPrior = HyperPrior::new(4.0, 0.5);

/// Slope of accuracies, as normal scores, in the prior's scores before anything is trained: about their
/// correlation in other spaces.
pub(super) const SLOPE: f64 = 0.6;
/// Standard deviation of that slope between spaces, and of what it leaves open.
const SLOPE_ERROR: f64 = 0.4;
const REST: f64 = 0.7;

/// Slope of targets in scores, after both were seen for some networks.
pub(super) fn slope(scores: &[f64], targets: &[f64]) -> f64 {
    let (a, b) = (SLOPE_ERROR.powi(-2), REST.powi(-2));
    let product: f64 = scores.iter().zip(targets).map(|(s, t)| s * t).sum();
    let square: f64 = scores.iter().map(|s| s * s).sum();
    (a * SLOPE + b * product) / (a + b * square)
}

const GROUPS: usize = 7;

/// Largest number of parameters that have terms of their own.
const MOST_ALONE: usize = 24;

/// Graph properties and counts; variance shares, sizes and live counts.
pub(crate) fn graph_and_shares(f: &CellFeatures) -> [Mat; 2] {
    [
        Mat::joined(&[&f.graph, &f.counts, &f.choices, &f.cost]),
        Mat::joined(&[
            &f.shares,
            &f.lossless_shares,
            &f.size,
            &f.live_counts,
            &f.share_moments,
            &f.places,
            &f.cost,
        ]),
    ]
}

/// Sums over all places of a chain the number of each operation up to there: with the count, it
/// tells the mean place.
fn early(f: &CellFeatures) -> Mat {
    let ops = f.counts.cols;
    Mat::from_fn(f.places.rows, ops, |i, op| f.places.row(i).iter().skip(op).step_by(ops).sum())
}

/// The columns of graph, shares, plain, and of a chain's line, choices, early and totals.
fn grouped(f: &CellFeatures) -> [Mat; GROUPS] {
    let chain = f.choices.cols > 0;
    let of_chain =
        |groups: &[&Mat]| if chain { Mat::joined(groups) } else { Mat::zeros(f.counts.rows, 0) };
    let [graph, shares] = graph_and_shares(f);
    [
        graph,
        shares,
        Mat::joined(&[&f.counts, &f.graph, &f.live_one_hot, &f.cost]),
        of_chain(&[&f.counts, &f.choices, &f.places, &f.cost]),
        of_chain(&[&f.choices]),
        of_chain(&[&f.counts, &early(f), &f.cost]),
        of_chain(&[&f.counts, &f.cost]),
    ]
}

impl AccuracyFeatures {
    pub fn new(pool: &Pool) -> AccuracyFeatures {
        let groups = grouped(&CellFeatures::new(pool));
        let all: Vec<usize> = (0..pool.len()).collect();
        let features = CellEncoder::of(pool);
        let scaled = features.parameters().is_some();
        let standardisers =
            std::array::from_fn(|g| (g > 0 || !scaled).then(|| Standardiser::of(&groups[g], &all)));
        AccuracyFeatures::of_groups(groups, Arc::new(Encoder { features, standardisers }))
    }

    /// The same columns for other architectures of the space, in units of the pool's deviations.
    pub fn of(&self, archs: &[Architecture]) -> AccuracyFeatures {
        let groups = grouped(&self.encoder.features.features(archs));
        let others = AccuracyFeatures::of_groups(groups, Arc::clone(&self.encoder));
        let pool_scale = self.scale.clone().or_else(|| self.pool_scale.clone());
        AccuracyFeatures { pool_scale, ..others }
    }

    fn of_groups(groups: [Mat; GROUPS], encoder: Arc<Encoder>) -> AccuracyFeatures {
        let is_chain = groups[4].cols > 0;
        let mut by = encoder.standardisers.iter();
        let [graph, shares, mut plain, line, choices, early, totals] = groups.map(|x| {
            Arc::new(match by.next() {
                Some(Some(by)) => by.apply(&x),
                _ => x,
            })
        });
        let all = Arc::new(graph.beside(&shares));
        let each = encoder.features.parameters().map(|parameters| {
            plain = all.clone();
            let columns = parameters.columns();
            match columns.len() {
                ..=MOST_ALONE => {
                    columns.iter().map(|c| Arc::new(graph.columns(c.clone()))).collect()
                }
                _ => Vec::new(),
            }
        });
        AccuracyFeatures {
            all,
            each,
            graph,
            shares,
            plain,
            prior: None,
            scale: None,
            pool_scale: None,
            chain: is_chain.then(|| Box::new(Chain { line, choices, early, totals })),
            encoder,
        }
    }

    /// The same with an untrained score of each architecture, say
    /// [`rank`](super::untrained::rank) (any scale, larger is better; NaN where there is none), from
    /// which predictions start: accuracies are the score times a slope, and the processes' difference
    /// from that. The slope is a fixed one before anything is trained, and some ten trained networks
    /// overrule it. For features [`of`](AccuracyFeatures::of) other architectures, scores are measured
    /// by those of the pool.
    pub fn with_prior(mut self, scores: &[f64]) -> AccuracyFeatures {
        let known: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        let tells = self.pool_scale.is_some() || known.iter().any(|s| *s != known[0]);
        if scores.len() == self.len() && tells {
            let new = || Arc::new(NormalScores::new(&known));
            let scale = self.pool_scale.clone().unwrap_or_else(new);
            let score = |s: f64| if s.is_finite() { scale.score(s) } else { 0.0 };
            self.prior = Some(Arc::new(Mat::from_fn(scores.len(), 1, |i, _| score(scores[i]))));
            self.scale = Some(scale);
        }
        self
    }

    /// The scores of [`AccuracyFeatures::with_prior`] of a row, 0 without any.
    pub(super) fn prior(&self, row: usize) -> f64 {
        self.prior.as_ref().map_or(0.0, |prior| prior.data[row])
    }

    /// The number of architectures.
    pub fn len(&self) -> usize {
        self.all.rows
    }

    pub fn is_empty(&self) -> bool {
        self.all.rows == 0
    }

    /// All features, p × d, standardised: distances between their rows tell how alike networks are.
    pub fn features(&self) -> &Arc<Mat> {
        &self.all
    }

    /// Linear plus squared exponential on counts, graph properties and live one-hots.
    pub fn plain_components(&self) -> Vec<Component> {
        [Kernel::Linear, Kernel::Rbf].map(|kernel| component(kernel, &self.plain)).to_vec()
    }

    /// The same with an average score for each, if there is none.
    pub(super) fn or_without_score(mut self) -> AccuracyFeatures {
        let rows = self.len();
        self.prior.get_or_insert_with(|| Arc::new(Mat::zeros(rows, 1)));
        self
    }

    /// The same without [`AccuracyFeatures::with_prior`].
    pub(super) fn without_prior(&self) -> AccuracyFeatures {
        AccuracyFeatures { prior: None, ..self.clone() }
    }

    /// In other spaces of parameters there are no sums.
    fn is_of_transformers(&self) -> bool {
        self.each.is_some() && self.shares.cols > 0
    }

    /// Covariances of the processes of [`AccuracyModel`].
    pub(super) fn members(&self) -> Vec<Vec<Component>> {
        let mut members = self.members_of_graphs();
        if let Some(prior) = &self.prior {
            members.iter_mut().for_each(|m| m.push(component(Kernel::Linear, prior)));
        }
        members
    }

    fn members_of_graphs(&self) -> Vec<Vec<Component>> {
        let smooth = |x| component(Kernel::Matern52, x);
        if let Some([_, second, third]) = self.of_parameters() {
            return vec![second, third];
        }
        let Some(chain) = &self.chain else {
            return vec![vec![smooth(&self.graph)], vec![smooth(&self.shares)]];
        };
        let linear = |x| component(Kernel::Linear, x);
        let curved = Component { length: CURVED, ..component(Kernel::Rbf, &chain.totals) };
        vec![
            vec![
                component(Kernel::Exponential, &self.graph),
                linear(&chain.line),
                linear(&chain.early),
            ],
            vec![smooth(&self.shares), linear(&chain.totals), smooth(&chain.totals)],
            vec![
                linear(&chain.line),
                component(Kernel::Polynomial(2), &chain.choices),
                linear(&chain.totals),
                curved,
            ],
        ]
    }

    /// Covariances of three processes of parameters: that of [`AccuracyFeatures::plain_components`], one that adds places
    /// and totals, one that adds each parameter to all. Of transformers, the second sees sums, and the third single
    /// layers, too.
    fn of_parameters(&self) -> Option<[Vec<Component>; 3]> {
        let each = self.each.as_ref()?;
        let some = |x: &Arc<Mat>| (x.cols > 0).then(|| component(Kernel::Matern52, x));
        if self.is_of_transformers() {
            // Sums tell most about transformers; single layers add a little each.
            let linear = |x| component(Kernel::Linear, x);
            let sums = || vec![linear(&self.shares), component(Kernel::Matern52, &self.shares)];
            let with_layers = sums().into_iter().chain([linear(&self.graph)]).collect();
            return Some([self.plain_components(), sums(), with_layers]);
        }
        Some([
            self.plain_components(),
            [&self.graph, &self.shares].into_iter().filter_map(some).collect(),
            each.iter().chain([&self.all]).filter_map(some).collect(),
        ])
    }

    /// Covariances of three processes that see different things, for ensembles: that of
    /// [`AccuracyFeatures::plain_components`], one that adds graph properties and variance shares, one on all columns.
    pub fn diverse_components(&self) -> [Vec<Component>; 3] {
        if let Some(of_parameters) = self.of_parameters() {
            return of_parameters;
        }
        let smooth = |x| component(Kernel::Matern52, x);
        [
            self.plain_components(),
            vec![smooth(&self.graph), smooth(&self.shares)],
            vec![smooth(&self.all)],
        ]
    }
}
