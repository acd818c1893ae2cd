//! The `default` latency predictor: a Gaussian process on counts in the executed program.
//!
//! Targets are logarithms (errors matter relatively), the noise is Student-t (a few networks hit a
//! slow path of their runtime), the covariance adds five Matérn terms on different views of the
//! cell: some devices pay for dead operations, others for what is live, others for the depth.
//! Intervals come from leave-one-out residuals in units of the predicted deviation.

use std::collections::{BTreeMap, HashMap};

use crate::features::{live_one_hot, one_hot};
use crate::gp::{Component, Gp, Kernel, Options, Prior};
use crate::linalg::Mat;
use crate::program::{Counts, ProgramCounts};
use crate::{Forecast, Pool, PredictError};

/// Chosen by cross-validation on training draws, see docs/benchmarks.md.
const FREEDOM: f64 = 4.0;
/// Leave-one-out residuals are a little smaller than those of unseen networks, whose
/// hyper-parameters were not fitted to them: the quantiles are those of 92 %.
const LEVEL: f64 = 0.92;

/// The encodings that the predictor sees, for every architecture of a pool.
#[derive(Debug, Clone)]
pub struct LatencyViews {
    /// Features of each component of the covariance, p × d.
    groups: Vec<(Kernel, Mat)>,
}

impl LatencyViews {
    pub fn new(pool: &Pool) -> LatencyViews {
        let (space, archs) = (&pool.space, &pool.archs);
        let mut cache: HashMap<Vec<u8>, ProgramCounts> = HashMap::new();
        let live: Vec<Vec<u8>> = archs
            .iter()
            .map(|arch| {
                let live = space.live(arch);
                let codes: Vec<u8> =
                    arch.codes().iter().zip(live).map(|(&c, l)| if l { c } else { 0 }).collect();
                cache.entry(codes.clone()).or_insert_with(|| ProgramCounts::of(&codes));
                codes
            })
            .collect();
        let of = |group: fn(&ProgramCounts) -> &Counts| matrix(&live, &cache, group);
        let codes = usize::from(space.positions().iter().copied().max().unwrap_or(0));
        let raw = Mat::from_fn(archs.len(), codes, |i, c| count(archs[i].codes(), c));
        let used = Mat::from_fn(archs.len(), codes - 1, |i, c| count(&live[i], c + 1));
        let texts = one_hot(space, archs);
        let steps_and_paths = of(|c| &c.steps).beside(&of(|c| &c.paths));
        let everything =
            steps_and_paths.beside(&of(|c| &c.arcs)).beside(&live_one_hot(space, archs));
        LatencyViews {
            groups: vec![
                (Kernel::Linear, raw.beside(&texts)),
                (Kernel::Matern52, raw.beside(&used)),
                (Kernel::Matern52, texts),
                (Kernel::Matern52, steps_and_paths),
                (Kernel::Matern52, of(|c| &c.plain_steps).beside(&of(|c| &c.plain_paths))),
                (Kernel::Matern52, everything),
            ],
        }
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
    pub(crate) fn prior_components(&self, rows: &[usize]) -> Vec<Component> {
        self.components(rows)
    }

    /// The covariance's terms, features standardised by what is seen in training.
    fn components(&self, rows: &[usize]) -> Vec<Component> {
        self.groups
            .iter()
            .map(|(kernel, x)| Component {
                kernel: *kernel,
                x: x.standardised_by(rows),
                amplitude: Prior::new(0.3, 4.0),
                length: Prior::new(0.7, 4.0),
            })
            .collect()
    }
}

fn count(codes: &[u8], code: usize) -> f64 {
    codes.iter().filter(|&&c| usize::from(c) == code).count() as f64
}

fn matrix(
    live: &[Vec<u8>],
    cache: &HashMap<Vec<u8>, ProgramCounts>,
    group: fn(&ProgramCounts) -> &Counts,
) -> Mat {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for counts in cache.values() {
        group(counts).keys().for_each(|name| {
            places.insert(name, 0);
        });
    }
    places.values_mut().enumerate().for_each(|(i, place)| *place = i);
    let mut out = Mat::zeros(live.len(), places.len());
    for (i, codes) in live.iter().enumerate() {
        for (name, value) in group(&cache[codes]) {
            out[(i, places[name.as_str()])] = *value;
        }
    }
    out
}

/// A fitted latency predictor.
pub struct LatencyModel {
    gp: Gp,
    components: Vec<Component>,
    transform: Transform,
    /// Quantiles of leave-one-out residuals, in predicted standard deviations.
    quantiles: (f64, f64),
}

/// The scale on which latencies are modelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transform {
    Log,
    /// For devices some of whose values are nearly zero, where logarithms would see nothing else.
    Root,
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
        }
    }

    fn invert(self, v: f64) -> f64 {
        match self {
            Transform::Log => v.exp(),
            Transform::Root => v.max(1e-3).powi(2),
        }
    }
}

impl LatencyModel {
    /// Fits latencies (any unit, positive) measured for pool rows `rows`.
    pub fn fit(
        views: &LatencyViews,
        rows: &[usize],
        latencies: &[f64],
    ) -> Result<LatencyModel, PredictError> {
        if rows.len() < 5 {
            let what = "latency predictor".into();
            return Err(PredictError::TooFew { what, needed: 5, got: rows.len() });
        }
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let transform = Transform::for_values(latencies);
        let y: Vec<f64> = latencies.iter().map(|&v| transform.apply(v)).collect();
        let components = views.components(rows);
        let options = Options {
            noise: Prior::new(0.02, 4.0),
            iterations: 40,
            hyper_rows: 450,
            student: Some(FREEDOM),
        };
        let gp = Gp::fit(&components, rows, &y, &options, None)?;
        Ok(LatencyModel::calibrated(gp, components, transform, &y))
    }

    /// The fitted logarithms of hyper-parameters and the precisions of the rows' noise.
    pub fn into_state(self) -> (Vec<f64>, Vec<f64>) {
        (self.gp.hyper, self.gp.precisions)
    }

    /// The same model again from the same rows, latencies and [`LatencyModel::into_state`].
    pub fn restore(
        views: &LatencyViews,
        rows: &[usize],
        latencies: &[f64],
        (hyper, precisions): (Vec<f64>, Vec<f64>),
    ) -> Result<LatencyModel, PredictError> {
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let transform = Transform::for_values(latencies);
        let y: Vec<f64> = latencies.iter().map(|&v| transform.apply(v)).collect();
        let components = views.components(rows);
        let gp = Gp::restore(&components, rows, &y, hyper, precisions)?;
        Ok(LatencyModel::calibrated(gp, components, transform, &y))
    }

    fn calibrated(gp: Gp, components: Vec<Component>, transform: Transform, y: &[f64]) -> Self {
        let loo = gp.leave_one_out();
        let mut z: Vec<f64> = (0..y.len()).map(|i| (y[i] - loo.mean[i]) / loo.sd[i]).collect();
        z.sort_by(f64::total_cmp);
        let quantiles = (quantile(&z, (1.0 - LEVEL) / 2.0), quantile(&z, (1.0 + LEVEL) / 2.0));
        LatencyModel { gp, components, transform, quantiles }
    }

    /// Latencies of pool rows, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Forecast {
        let p = self.gp.predict(&self.components, rows, true);
        let at = |q: f64| -> Vec<f64> {
            p.mean.iter().zip(&p.sd).map(|(m, sd)| self.transform.invert(m + q * sd)).collect()
        };
        Forecast { mean: at(0.0), low: at(self.quantiles.0), high: at(self.quantiles.1) }
    }
}

/// Linear interpolation between order statistics of sorted values.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}
