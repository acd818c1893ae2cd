//! The `default` latency predictor: a Gaussian process on counts in the executed program.
//!
//! Targets are logarithms (errors matter relatively; in chains of layers, whose times add up, the values
//! themselves), the noise is Student-t (a few networks hit a
//! slow path of their runtime), the covariance adds five Matérn terms on different features of the
//! cell: some devices pay for dead operations, others for what is live, others for the depth.
//! Intervals are as many predicted deviations wide as leave-one-out residuals say, few of which say little.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use lanner_space::{Architecture, Space};

use crate::encode::cells::CellEncoder;
use crate::encode::costs::AnalyticCosts;
use crate::encode::counts::{live_one_hot, network_one_hot, one_hot};
use crate::encode::program::{Counts, ProgramCounts};
use crate::metrics::quantile;
use crate::regress::gp::{Component, Gp, GpOptions, HyperPrior, Kernel, Predictions};
use crate::regress::linalg::{Mat, Standardiser};
use crate::{Forecast, Pool, PredictError};

/// Chosen by cross-validation on training draws, see docs/benchmarks.md.
const FREEDOM: f64 = 4.0;
/// Leave-one-out residuals are a little smaller than those of unseen networks, whose
/// hyper-parameters were not fitted to them: the quantiles are those of 92 %.
const LEVEL: f64 = 0.92;
/// Half the width of intervals in predicted deviations where residuals do not tell it, between that of a
/// normal distribution (1.64) and of Student's t with [`FREEDOM`] (2.13); and the number of residuals that
/// weigh as much. Leave-one-out residuals of 10 to 50 rows tell nothing of it: their hyper-parameters were
/// fitted to them. Chosen on devices of HELP other than its six test devices and on FBNet's.
const USUAL: (f64, f64) = (2.1, 200.0);

/// The encodings that the predictor sees, for every architecture of a pool.
#[derive(Debug, Clone)]
pub struct LatencyFeatures {
    /// Features of each component of the covariance, p × d.
    groups: Vec<(Kernel, Mat)>,
    encoder: Arc<Encoder>,
}

/// Decides the columns.
#[derive(Debug)]
struct Encoder {
    space: Space,
    features: CellEncoder,
    /// Names of the program's counts that occur, by group, for cells whose program is known.
    program: Option<[Vec<String>; 5]>,
}

impl LatencyFeatures {
    pub fn new(pool: &Pool) -> LatencyFeatures {
        let space = &pool.space;
        let encoder = Encoder {
            space: space.clone(),
            features: CellEncoder::of_network(space),
            program: space.has_known_program().then(|| Programs::new(space, &pool.archs).names()),
        };
        LatencyFeatures { groups: encoder.groups(&pool.archs), encoder: Arc::new(encoder) }
    }

    /// The same columns for other architectures of the space.
    pub fn of(&self, archs: &[Architecture]) -> LatencyFeatures {
        let encoder = Arc::clone(&self.encoder);
        LatencyFeatures { groups: encoder.groups(archs), encoder }
    }

    /// Steps of the merged program, and extremes over its paths.
    pub(crate) fn steps_and_paths(&self) -> &Mat {
        &self.groups[3].1
    }

    /// The same, which step reads which, and the live one-hots.
    pub(crate) fn arcs_steps_and_paths(&self) -> &Mat {
        &self.groups[5].1
    }

    /// The covariance's terms before any device is known.
    pub fn prior_components(&self, rows: &[usize]) -> Vec<Component> {
        self.components(&self.standardisers(rows))
    }

    /// The scale on which latencies are modelled.
    fn transform(&self, latencies: &[f64]) -> Transform {
        match self.encoder.features.is_chain() {
            true => Transform::Sum,
            false => Transform::for_values(latencies),
        }
    }

    fn standardisers(&self, rows: &[usize]) -> Vec<Standardiser> {
        self.groups.iter().map(|(_, x)| Standardiser::of(x, rows)).collect()
    }

    /// The covariance's terms, features standardised by what is seen in training.
    fn components(&self, by: &[Standardiser]) -> Vec<Component> {
        self.groups
            .iter()
            .zip(by)
            .map(|((kernel, x), by)| Component {
                kernel: *kernel,
                x: by.apply(x).into(),
                amplitude: HyperPrior::new(0.3, 4.0),
                length: HyperPrior::new(0.7, 4.0),
            })
            .collect()
    }
}

impl Encoder {
    fn groups(&self, archs: &[Architecture]) -> Vec<(Kernel, Mat)> {
        match &self.program {
            Some(names) => self.cells(archs, names),
            None => self.others(archs),
        }
    }

    fn cells(&self, archs: &[Architecture], names: &[Vec<String>; 5]) -> Vec<(Kernel, Mat)> {
        let space = &self.space;
        let programs = Programs::new(space, archs);
        let [steps, arcs, paths, plain_steps, plain_paths] =
            std::array::from_fn(|g| programs.matrix(g, &names[g]));
        let codes = usize::from(space.positions().iter().copied().max().unwrap_or(0));
        let raw = Mat::from_fn(archs.len(), codes, |i, c| count(archs[i].codes(), c));
        let used = Mat::from_fn(archs.len(), codes - 1, |i, c| count(&programs.live[i], c + 1));
        let texts = one_hot(space, archs);
        let steps_and_paths = steps.beside(&paths);
        let everything = steps_and_paths.beside(&arcs).beside(&live_one_hot(space, archs));
        vec![
            (Kernel::Linear, raw.beside(&texts)),
            (Kernel::Matern52, raw.beside(&used)),
            (Kernel::Matern52, texts),
            (Kernel::Matern52, steps_and_paths),
            (Kernel::Matern52, plain_steps.beside(&plain_paths)),
            (Kernel::Matern52, everything),
        ]
    }

    /// Columns of spaces whose program is not known: counts of a cell's operations and of the live
    /// ones, properties of its graph; the positions of a chain's operations; sums over the layers
    /// of the network, and its times on simulated devices.
    fn others(&self, archs: &[Architecture]) -> Vec<(Kernel, Mat)> {
        let space = &self.space;
        let f = self.features.features(archs);
        let texts = network_one_hot(space, archs);
        let (AnalyticCosts { mut totals, mut times }, live) =
            AnalyticCosts::raw_and_live(space, archs);
        if let Some(live) = live {
            (totals, times) = (totals.beside(&live.totals), times.beside(&live.times));
        }
        let totals = f.cost.beside(&totals);
        let counts = f.counts.beside(&f.live_counts);
        let graph = f.graph.beside(&f.size).beside(&f.places).beside(&totals);
        let everything = counts.beside(&graph).beside(&f.live_one_hot);
        let all = [
            (Kernel::Linear, counts.beside(&texts).beside(&totals)),
            (Kernel::Matern52, counts.beside(&totals)),
            (Kernel::Matern52, texts),
            (Kernel::Matern52, graph),
            (Kernel::Matern52, everything),
            (Kernel::Linear, times),
        ];
        // A chain of one kind of layer has no counts that vary, and so on.
        all.into_iter().filter(|(_, x)| x.cols > 0).collect()
    }
}

fn count(codes: &[u8], code: usize) -> f64 {
    codes.iter().filter(|&&c| usize::from(c) == code).count() as f64
}

/// The programs of some architectures.
struct Programs {
    /// Codes of each, dead ones as none.
    live: Vec<Vec<u8>>,
    counts: HashMap<Vec<u8>, ProgramCounts>,
}

/// Counts in the order of an [`Encoder`]'s names.
const GROUPS: [fn(&ProgramCounts) -> &Counts; 5] =
    [|c| &c.steps, |c| &c.arcs, |c| &c.paths, |c| &c.plain_steps, |c| &c.plain_paths];

impl Programs {
    fn new(space: &Space, archs: &[Architecture]) -> Programs {
        let mut counts: HashMap<Vec<u8>, ProgramCounts> = HashMap::new();
        let live = archs
            .iter()
            .map(|arch| {
                let live = space.live(arch);
                let codes: Vec<u8> =
                    arch.codes().iter().zip(live).map(|(&c, l)| if l { c } else { 0 }).collect();
                counts.entry(codes.clone()).or_insert_with(|| ProgramCounts::of(&codes));
                codes
            })
            .collect();
        Programs { live, counts }
    }

    fn names(&self) -> [Vec<String>; 5] {
        GROUPS.map(|group| {
            let all: BTreeSet<&String> =
                self.counts.values().flat_map(|c| group(c).keys()).collect();
            all.into_iter().cloned().collect()
        })
    }

    /// Counts of a group with these names, sorted; other names have no column.
    fn matrix(&self, group: usize, names: &[String]) -> Mat {
        let mut out = Mat::zeros(self.live.len(), names.len());
        for (i, codes) in self.live.iter().enumerate() {
            for (name, value) in GROUPS[group](&self.counts[codes]) {
                if let Ok(place) = names.binary_search(name) {
                    out[(i, place)] = *value;
                }
            }
        }
        out
    }
}

/// A fitted latency predictor.
pub struct LatencyModel {
    gp: Gp,
    components: Vec<Component>,
    standardisers: Vec<Standardiser>,
    transform: Transform,
    /// Ends of intervals, in predicted standard deviations.
    quantiles: (f64, f64),
}

/// The scale on which latencies are modelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transform {
    Log,
    /// Square root, for devices some of whose values are nearly zero: their logarithms would
    /// dominate.
    Root,
    /// Plain values, for chains, where every layer adds its own time.
    Sum,
}

impl Transform {
    fn for_values(values: &[f64]) -> Transform {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let low = sorted[(sorted.len() as f64 * 0.005) as usize];
        if low < 0.05 * sorted[sorted.len() / 2] { Transform::Root } else { Transform::Log }
    }

    fn apply(self, v: f64) -> f64 {
        match self {
            Transform::Log => v.ln(),
            Transform::Root => v.sqrt(),
            Transform::Sum => v,
        }
    }

    fn invert(self, v: f64) -> f64 {
        match self {
            Transform::Log => v.exp(),
            Transform::Root => v.max(1e-3).powi(2),
            Transform::Sum => v.max(1e-6),
        }
    }
}

impl LatencyModel {
    /// Fits latencies (any unit, positive) measured for pool rows `rows`.
    pub fn fit(
        features: &LatencyFeatures,
        rows: &[usize],
        latencies: &[f64],
    ) -> Result<LatencyModel, PredictError> {
        if rows.len() < 5 {
            let what = "latency predictor".into();
            return Err(PredictError::TooFew { what, needed: 5, got: rows.len() });
        }
        let options = GpOptions {
            noise: HyperPrior::new(0.02, 4.0),
            iterations: 40,
            hyper_rows: 450,
            student: Some(FREEDOM),
        };
        LatencyModel::by(features, rows, latencies, |components, y| {
            Gp::fit(components, rows, y, &options, None)
        })
    }

    /// The fitted logarithms of hyper-parameters and the precisions of the rows' noise.
    pub fn state(&self) -> (&[f64], &[f64]) {
        (&self.gp.hyper, &self.gp.precisions)
    }

    /// The same model again from the same rows, latencies and [`LatencyModel::state`].
    pub fn restore(
        features: &LatencyFeatures,
        rows: &[usize],
        latencies: &[f64],
        (hyper, precisions): (Vec<f64>, Vec<f64>),
    ) -> Result<LatencyModel, PredictError> {
        LatencyModel::by(features, rows, latencies, |components, y| {
            Gp::restore(components, rows, y, hyper, precisions)
        })
    }

    /// The model whose process `process` makes of the terms and the transformed latencies.
    fn by(
        features: &LatencyFeatures,
        rows: &[usize],
        latencies: &[f64],
        process: impl FnOnce(&[Component], &[f64]) -> Result<Gp, PredictError>,
    ) -> Result<LatencyModel, PredictError> {
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let transform = features.transform(latencies);
        let y: Vec<f64> = latencies.iter().map(|&v| transform.apply(v)).collect();
        let standardisers = features.standardisers(rows);
        let components = features.components(&standardisers);
        let gp = process(&components, &y)?;
        let loo = gp.leave_one_out();
        let mut z: Vec<f64> = (0..y.len()).map(|i| (y[i] - loo.mean[i]) / loo.sd[i]).collect();
        z.sort_by(f64::total_cmp);
        let (n, (usual, rows)) = (y.len() as f64, USUAL);
        let with_usual = |q, usual| (n * quantile(&z, q) + rows * usual) / (n + rows);
        let quantiles =
            (with_usual((1.0 - LEVEL) / 2.0, -usual), with_usual((1.0 + LEVEL) / 2.0, usual));
        Ok(LatencyModel { gp, components, standardisers, transform, quantiles })
    }

    /// Latencies of pool rows, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Forecast {
        self.forecast(&self.gp.predict(&self.components, rows, true))
    }

    /// Latencies of other architectures, by [`LatencyFeatures::of`] the features that this was fitted on.
    pub fn predict_others(&self, features: &LatencyFeatures) -> Forecast {
        let asked = features.components(&self.standardisers);
        self.forecast(&self.gp.predict_others(&self.components, &asked, true))
    }

    fn forecast(&self, p: &Predictions) -> Forecast {
        let at = |q: f64| -> Vec<f64> {
            p.mean.iter().zip(&p.sd).map(|(m, sd)| self.transform.invert(m + q * sd)).collect()
        };
        Forecast { mean: at(0.0), low: at(self.quantiles.0), high: at(self.quantiles.1) }
    }
}
