//! Latency on a device of which only a handful of measurements exist.
//!
//! A table of other devices, the *sources*, and ten or twenty measurements of the new one, the
//! *target*, give a predictor for the whole pool, with 90 % intervals:
//!
//! ```
//! use lanner_predict::transfer::{FewShot, Views};
//! use lanner_predict::{Pool, metrics};
//! use lanner_space::Space;
//! let pool = Pool::whole(Space::NasBench201);
//! // Made-up devices that pay for live operations.
//! let device = |costs: [f64; 5]| -> Vec<f64> {
//!     let cost = |arch: &lanner_space::Architecture| -> f64 {
//!         let live = arch.codes().iter().zip(pool.space.live(arch)).filter(|x| x.1);
//!         1.0 + live.map(|(&code, _)| costs[usize::from(code)]).sum::<f64>()
//!     };
//!     pool.archs.iter().map(cost).collect()
//! };
//! let (phone, desktop) = (device([0., 0.1, 1., 3., 0.5]), device([0., 0., 0.4, 2., 1.]));
//! let mine = device([0., 0.1, 0.8, 2.5, 0.9]);
//!
//! let views = Views::new(&pool);
//! let prior = views.with_sources(&views.smooth(&[&phone, &desktop])?);
//! let measured: Vec<usize> = (0..pool.len()).step_by(1600).collect();
//! let values: Vec<f64> = measured.iter().map(|&row| mine[row]).collect();
//! let model = FewShot::fit(&prior, &measured, &values)?;
//! let all: Vec<usize> = (0..pool.len()).collect();
//! assert!(metrics::spearman(&model.predict(&prior, &all).mean, &mine) > 0.97);
//! # Ok::<(), lanner_predict::PredictError>(())
//! ```
//!
//! **The method** is the same for every space and set of devices. A Gaussian process sums
//! covariances of several groups of features: what the network consists of, what it costs on
//! simulated devices (roofline, no measurement needed), what the sources took, all of these as
//! straight lines; and smooth functions of the choices and of the executed program. For cells, what
//! the text says and what is live count apart, since some devices pay for dead operations.
//!
//! - *Sources are smoothed first* ([`Views::smooth`]): a ridge on many features of a whole table
//!   keeps what the device does and leaves its noise behind.
//! - *Hyper-parameters are averaged, not chosen*: 1,500 candidates, weighed by evidence. Most of them
//!   believe that the device runs dead operations or that it skips them, not both; half of them that
//!   the sources tell nothing of it.
//! - *The scale is averaged too*: logarithm, square root and the latency itself. Costs add up, but
//!   some devices' errors are relative.
//! - *Noise is Student-t* with one degree of freedom: a slow outlier among ten measurements must
//!   not bend the prediction.
//!
//! [`peers`] has the plain methods that it is compared with.

mod average;
mod bridge;
pub(crate) mod layers;
pub mod multi_predict;
pub mod peers;
mod saved;

use std::collections::HashMap;

use lanner_space::Space;
use rayon::prelude::*;

use crate::features::{live_one_hot, one_hot, with_pairs};
use crate::gp::{Component, Kernel, Prior as HyperPrior, base_scale, base_values, own_base};
use crate::latency::LatencyViews;
use crate::linalg::{Cholesky, Mat};
use crate::samples::{check_lengths, check_varied};
use crate::{Forecast, Pool, PredictError, choose};
use average::Average;
pub use bridge::Bridge;
pub use saved::Adapted;

/// Length scales of the smooth functions: of the choices, and of the program.
const CHOICES_LENGTH: f64 = 0.7;
const PROGRAM_LENGTH: f64 = 1.0;
/// Penalties of the ridge that smooths sources; the best on a tenth of the rows is taken.
const PENALTIES: [f64; 5] = [1.0, 5.0, 25.0, 125.0, 625.0];
/// One-hots of at most so many columns are smoothed with all their products.
const PAIRED: usize = 64;
/// Half the width of intervals in units of Student's quantile: what is beyond 1 stands for hyper-parameters
/// and outliers that a handful of measurements does not show. Chosen on the development sets of
/// `lanner bench few-shot`, where intervals covered 82 % without it.
const INFLATION: f64 = 1.3;
/// How much more amplitude than other groups is given to what was carried over from another space.
/// Chosen on the development devices of `lanner bench cross-space`.
const CARRIED: f64 = 10.0;
/// A source must have so many rows with a value.
const FEWEST_OF_SOURCE: usize = 20;

/// One term of the covariance: features of the whole pool, scaled so that its variance is one.
#[derive(Debug, Clone)]
struct Group {
    kernel: Kernel,
    x: Mat,
    scale: f64,
    length: f64,
    shown: Shown,
}

/// What a group of features shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// All that the text says, the dead operations too.
    Text,
    /// The operations that are computed.
    Live,
    /// A space without dead operations.
    Both,
    /// What other devices took.
    Sources,
}

impl Group {
    /// `None` if all features are constant.
    fn new(kernel: Kernel, features: &Mat, length: f64) -> Option<Group> {
        let all: Vec<usize> = (0..features.rows).collect();
        let x = features.standardised_by(&all);
        let scale = base_scale(kernel, &x);
        (x.cols > 0).then_some(Group { kernel, x, scale, length, shown: Shown::Both })
    }

    /// Covariances of some rows with others.
    fn covariance(&self, rows: &Mat, others: &Mat) -> Mat {
        let mut k = base_values(self.kernel, rows, others, self.scale);
        let inv_l2 = self.length.powi(-2);
        k.data.iter_mut().for_each(|b| *b = self.kernel.value_and_slope(*b, inv_l2).0);
        k
    }

    fn own(&self, row: &[f64]) -> f64 {
        let base = own_base(self.kernel, row, self.scale);
        self.kernel.value_and_slope(base, self.length.powi(-2)).0
    }
}

/// What is known of a pool's architectures without any measurement.
#[derive(Debug, Clone)]
pub struct Views {
    groups: Vec<Group>,
    /// What sources are smoothed on, p × d.
    design: Mat,
}

impl Views {
    pub fn new(pool: &Pool) -> Views {
        let (space, archs) = (&pool.space, &pool.archs);
        let raw = one_hot(space, archs);
        let live = Some(live_one_hot(space, archs)).filter(|live| *live != raw);
        let cells = (*space == Space::NasBench201).then(|| LatencyViews::new(pool));
        let mut groups = Vec::new();
        let mut add = |shown, kernel, features: &Mat, length| {
            groups.extend(Group::new(kernel, features, length).map(|g| Group { shown, ..g }));
        };
        let text = if live.is_some() { Shown::Text } else { Shown::Both };
        match layers::totals(space, archs) {
            Some(totals) => add(text, Kernel::Linear, &totals, 1.0),
            None => {
                add(text, Kernel::Linear, &counts(pool, false), 1.0);
                if live.is_some() {
                    add(Shown::Live, Kernel::Linear, &counts(pool, true), 1.0);
                }
            }
        }
        if let Some(times) = layers::simulated(space, archs, false) {
            add(text, Kernel::Linear, &times, 1.0);
        }
        if live.is_some()
            && let Some(times) = layers::simulated(space, archs, true)
        {
            add(Shown::Live, Kernel::Linear, &times, 1.0);
        }
        add(text, Kernel::Matern52, &raw, CHOICES_LENGTH);
        if let Some(live) = &live {
            add(Shown::Live, Kernel::Matern52, live, CHOICES_LENGTH);
        }
        if let Some(cells) = &cells {
            add(Shown::Live, Kernel::Matern52, cells.steps_and_paths(), PROGRAM_LENGTH);
        }
        let used = live.as_ref().unwrap_or(&raw);
        let mut design = if used.cols <= PAIRED { with_pairs(used) } else { used.clone() };
        if live.is_some() {
            design = design.beside(&raw);
        }
        if let Some(cells) = &cells {
            design = design.beside(cells.arcs_steps_and_paths());
        }
        let all: Vec<usize> = (0..pool.len()).collect();
        Views { groups, design: design.standardised_by(&all) }
    }

    /// Each source's log latencies (one a row of the pool, NaN where none was measured) as a smooth
    /// function of the architecture, p × sources, mean 0 and variance 1 over the pool.
    pub fn smooth(&self, sources: &[&[f64]]) -> Result<Mat, PredictError> {
        let p = self.design.rows;
        let mut out = Mat::zeros(p, sources.len());
        // Sources with the same rows share the expensive part.
        let mut alike: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for (s, source) in sources.iter().enumerate() {
            if source.len() != p {
                return Err(PredictError::Lengths { architectures: p, targets: source.len() });
            }
            if let Some(row) = source.iter().position(|v| *v <= 0.0 || v.is_infinite()) {
                return Err(PredictError::Latency { row, value: source[row] });
            }
            let rows: Vec<usize> = (0..p).filter(|&i| source[i].is_finite()).collect();
            if rows.len() < FEWEST_OF_SOURCE {
                return Err(PredictError::TooFew {
                    what: format!("source device {}", s + 1),
                    needed: FEWEST_OF_SOURCE,
                    got: rows.len(),
                });
            }
            match alike.iter_mut().find(|a| a.0 == rows) {
                Some(same) => same.1.push(s),
                None => alike.push((rows, vec![s])),
            }
        }
        for (rows, of) in &alike {
            self.smooth_alike(rows, of, sources, &mut out)?;
        }
        let all: Vec<usize> = (0..p).collect();
        Ok(out.standardised_by(&all))
    }

    fn smooth_alike(
        &self,
        rows: &[usize],
        of: &[usize],
        sources: &[&[f64]],
        out: &mut Mat,
    ) -> Result<(), PredictError> {
        let d = self.design.cols;
        let (held, kept): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&r| r % 10 == 7);
        let y: Vec<Vec<f64>> = of
            .iter()
            .map(|&s| {
                let mean =
                    rows.iter().map(|&r| sources[s][r].ln()).sum::<f64>() / rows.len() as f64;
                sources[s].iter().map(|v| v.ln() - mean).collect()
            })
            .collect();
        let products = |rows: &[usize]| {
            let x = self.design.select(rows);
            let towards: Vec<Vec<f64>> = y
                .iter()
                .map(|y| {
                    let mut sum = vec![0.0; d];
                    for (i, &r) in rows.iter().enumerate() {
                        sum.iter_mut().zip(x.row(i)).for_each(|(s, x)| *s += y[r] * x);
                    }
                    sum
                })
                .collect();
            (x.gram(), towards)
        };
        let (mut gram, mut towards) = products(&kept);
        let solve = |gram: &Mat, towards: &[Vec<f64>], penalty: f64| {
            let mut penalised = gram.clone();
            (0..d).for_each(|j| penalised[(j, j)] += penalty);
            let factor = Cholesky::new(penalised)
                .ok_or_else(|| PredictError::Singular { what: "design of the sources".into() })?;
            Ok::<_, PredictError>(towards.iter().map(|t| factor.solve(t)).collect::<Vec<_>>())
        };
        let value = |weights: &[f64], row: usize| -> f64 {
            self.design.row(row).iter().zip(weights).map(|(x, w)| x * w).sum()
        };
        let mut best = vec![(f64::INFINITY, PENALTIES[1]); of.len()];
        for penalty in PENALTIES {
            let weights = solve(&gram, &towards, penalty)?;
            for ((best, weights), y) in best.iter_mut().zip(&weights).zip(&y) {
                let loss: f64 = held.iter().map(|&r| (value(weights, r) - y[r]).powi(2)).sum();
                if loss < best.0 {
                    *best = (loss, penalty);
                }
            }
        }
        let (more, more_towards) = products(&held);
        gram.data.iter_mut().zip(&more.data).for_each(|(a, b)| *a += b);
        for (t, more) in towards.iter_mut().zip(&more_towards) {
            t.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
        for penalty in PENALTIES {
            let wanted: Vec<usize> = (0..of.len()).filter(|&i| best[i].1 == penalty).collect();
            if wanted.is_empty() {
                continue;
            }
            let some: Vec<Vec<f64>> = wanted.iter().map(|&i| towards[i].clone()).collect();
            for (&i, weights) in wanted.iter().zip(solve(&gram, &some, penalty)?) {
                (0..out.rows).for_each(|row| out[(row, of[i])] = value(&weights, row));
            }
        }
        Ok(())
    }

    /// The prior for a new device beside sources that [`Views::smooth`] made; of no sources (no
    /// columns), the one from analytic features alone.
    pub fn with_sources(&self, functions: &Mat) -> Prior {
        let mut groups = self.groups.clone();
        if functions.cols > 0 {
            let mean = Mat::from_fn(functions.rows, 1, |i, _| functions.row(i).iter().sum());
            for x in [functions, &mean] {
                let group = Group::new(Kernel::Linear, x, 1.0);
                groups.extend(group.map(|g| Group { shown: Shown::Sources, ..g }));
            }
        }
        Prior { groups, carried: false }
    }
}

/// How often each code stands in the text, or among the live choices without the first code.
fn counts(pool: &Pool, live: bool) -> Mat {
    let codes: Vec<Vec<u8>> =
        pool.archs.iter().map(|arch| layers::codes(&pool.space, arch, live)).collect();
    let most = codes.iter().flatten().copied().max().map_or(0, |c| usize::from(c) + 1);
    let first = usize::from(live);
    Mat::from_fn(codes.len(), most - first.min(most), |i, c| {
        codes[i].iter().filter(|&&code| usize::from(code) == c + first).count() as f64
    })
}

/// What is assumed of a new device before its first measurement.
#[derive(Debug, Clone)]
pub struct Prior {
    groups: Vec<Group>,
    /// Whether the last group is what the device's latencies in another space suggest.
    carried: bool,
}

impl Prior {
    /// With what a [`Bridge`] carried over from another space: one more group, which half of the
    /// candidates leave out.
    pub fn with_carried(mut self, carried: &Mat) -> Prior {
        let group = Group::new(Kernel::Linear, carried, 1.0);
        self.carried = group.is_some();
        self.groups.extend(group);
        self
    }

    fn candidates(&self, measured: usize) -> Vec<average::Candidate> {
        let shown: Vec<Shown> = self.groups.iter().map(|g| g.shown).collect();
        if !self.carried {
            return average::candidates(&shown, measured);
        }
        let last = shown.len() - 1;
        let mut all = average::candidates(&shown[..last], measured);
        all.iter_mut().for_each(|candidate| candidate.insert(last, 0.0));
        let mut with = average::candidates(&shown, measured);
        with.iter_mut().for_each(|candidate| candidate[last] *= CARRIED);
        all.extend(with);
        all
    }

    /// `n` of the pool's `rows`, the most informative first; see [`choose`](crate::choose()).
    pub fn choose(&self, rows: &[usize], n: usize, seed: u64) -> Vec<usize> {
        let component = |g: &Group| Component {
            kernel: g.kernel,
            x: g.x.clone(),
            amplitude: HyperPrior::new(1.0 / self.groups.len() as f64, 1.0),
            length: HyperPrior::new(g.length, 1.0),
        };
        let components: Vec<Component> = self.groups.iter().map(component).collect();
        choose::greedy(&components, rows, n, seed)
    }
}

/// A scale on which latencies are modelled: Box-Cox with the geometric mean of the measurements as
/// unit, so that evidences of different powers can be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    power: f64,
    unit: f64,
}

/// Logarithm, square root, the latency itself.
const POWERS: [f64; 3] = [0.0, 0.5, 1.0];
/// Scales that weigh less are left out.
const NEGLIGIBLE: f64 = 0.01;

impl Scale {
    fn apply(self, v: f64) -> f64 {
        let Scale { power, unit } = self;
        let v = v / unit;
        unit * if power == 0.0 { v.ln() } else { (v.powf(power) - 1.0) / power }
    }

    fn invert(self, v: f64) -> f64 {
        let Scale { power, unit } = self;
        let v = v / unit;
        let v = if power == 0.0 {
            v.clamp(-20.0, 20.0).exp()
        } else {
            (power * v + 1.0).max(1e-3).powf(1.0 / power)
        };
        unit * v
    }
}

/// A predictor for a device from a few of its latencies.
pub struct FewShot {
    rows: Vec<usize>,
    /// Weights sum to one.
    parts: Vec<Part>,
}

/// A posterior on one scale.
struct Part {
    scale: Scale,
    weight: f64,
    average: Average,
}

impl FewShot {
    /// Fits latencies (any unit, positive) measured for rows of the pool.
    pub fn fit(prior: &Prior, rows: &[usize], latencies: &[f64]) -> Result<FewShot, PredictError> {
        check_lengths(rows, latencies)?;
        let pool = prior.groups.first().map_or(0, |g| g.x.rows);
        if let Some(row) = rows.iter().find(|r| **r >= pool) {
            let why = format!("row {row} of a pool of {pool}: was it measured in another space?");
            return Err(PredictError::Model { why });
        }
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let distinct: HashMap<usize, ()> = rows.iter().map(|&r| (r, ())).collect();
        if distinct.len() < 3 {
            let what = "few-shot latency predictor".into();
            return Err(PredictError::TooFew { what, needed: 3, got: distinct.len() });
        }
        check_varied(latencies, "latencies")?;
        let n = latencies.len();
        let kernels: Vec<Mat> = (prior.groups.iter())
            .map(|g| {
                let x = g.x.select(rows);
                g.covariance(&x, &x)
            })
            .collect();
        let candidates = prior.candidates(n);
        let unit = (latencies.iter().map(|v| v.ln()).sum::<f64>() / n as f64).exp();
        let mut parts = Vec::new();
        for power in POWERS {
            let scale = Scale { power, unit };
            let y: Vec<f64> = latencies.iter().map(|&v| scale.apply(v) / unit).collect();
            let average = Average::fit(&kernels, &y, &candidates)
                .ok_or_else(|| PredictError::Singular { what: "covariance".into() })?;
            parts.push(Part { scale, weight: 0.0, average });
        }
        let most = parts.iter().map(|p| p.average.evidence).fold(f64::NEG_INFINITY, f64::max);
        parts.iter_mut().for_each(|p| p.weight = (p.average.evidence - most).exp());
        parts.retain(|p| p.weight > NEGLIGIBLE);
        let total: f64 = parts.iter().map(|p| p.weight).sum();
        parts.iter_mut().for_each(|p| p.weight /= total);
        Ok(FewShot { rows: rows.to_vec(), parts })
    }

    /// Latencies of rows of the pool of that prior, with 90 % intervals for a new measurement.
    pub fn predict(&self, prior: &Prior, rows: &[usize]) -> Forecast {
        self.in_blocks(prior, rows, true)
    }

    /// The same latencies without intervals, which take most of the time.
    pub fn latencies(&self, prior: &Prior, rows: &[usize]) -> Vec<f64> {
        self.in_blocks(prior, rows, false).mean
    }

    fn in_blocks(&self, prior: &Prior, rows: &[usize], intervals: bool) -> Forecast {
        let known: Vec<Mat> = prior.groups.iter().map(|g| g.x.select(&self.rows)).collect();
        let block = |block: &[usize]| self.predict_block(prior, &known, block, intervals);
        let blocks: Vec<Forecast> = rows.par_chunks(256).map(block).collect();
        let mut all = Forecast::default();
        for block in blocks {
            all.mean.extend(block.mean);
            all.low.extend(block.low);
            all.high.extend(block.high);
        }
        all
    }

    fn predict_block(
        &self,
        prior: &Prior,
        known: &[Mat],
        block: &[usize],
        intervals: bool,
    ) -> Forecast {
        let (n, m) = (self.rows.len(), block.len());
        let mut crosses = Vec::new();
        // A row's variance in each group.
        let mut owns = vec![Vec::new(); m];
        for (g, known) in prior.groups.iter().zip(known) {
            let x = g.x.select(block);
            crosses.push(g.covariance(&x, known));
            if intervals {
                owns.iter_mut().enumerate().for_each(|(i, own)| own.push(g.own(x.row(i))));
            }
        }
        let quantile = INFLATION * student_quantile_95(n - 1);
        let bounds = if intervals { m } else { 0 };
        let mut out =
            Forecast { mean: vec![0.0; m], low: vec![0.0; bounds], high: vec![0.0; bounds] };
        let mut cross = vec![0.0; n];
        for part in &self.parts {
            let Part { scale, weight, average } = part;
            for (i, owns) in owns.iter().enumerate() {
                let mut mean = average.mean;
                for (g, k) in crosses.iter().enumerate() {
                    mean +=
                        k.row(i).iter().zip(average.alpha.row(g)).map(|(k, a)| k * a).sum::<f64>();
                }
                let at = |v: f64| weight * scale.invert(scale.unit * v);
                out.mean[i] += at(mean);
                if !intervals {
                    continue;
                }
                let (mut first, mut second) = (0.0, 0.0);
                for fitted in &average.best {
                    cross.fill(0.0);
                    let mut own = 0.0;
                    for (g, k) in crosses.iter().enumerate() {
                        let amplitude = fitted.amplitudes[g];
                        cross.iter_mut().zip(k.row(i)).for_each(|(c, k)| *c += amplitude * k);
                        own += amplitude * owns[g];
                    }
                    let (mean, variance) = fitted.predict(&cross, own);
                    first += fitted.weight * mean;
                    second += fitted.weight * (variance + mean * mean);
                }
                let spread = quantile * (second - first * first).max(0.0).sqrt();
                out.low[i] += at(mean - spread);
                out.high[i] += at(mean + spread);
            }
        }
        out
    }
}

/// The 95 % quantile of Student's t distribution (Cornish-Fisher expansion about the normal one;
/// Abramowitz & Stegun 26.7.5), right to .01 from 3 degrees of freedom on.
fn student_quantile_95(freedom: usize) -> f64 {
    match freedom {
        0 | 1 => 6.314,
        2 => 2.920,
        _ => {
            let (z, v) = (1.644_853_6f64, freedom as f64);
            let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
            z + (z3 + z) / (4.0 * v)
                + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
                + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v.powi(3))
        }
    }
}

#[cfg(test)]
mod cross_space_tests;
#[cfg(test)]
mod tests;
