//! Latency on a device of which only a handful of measurements exist.
//!
//! A table of other devices, the *sources*, and ten or twenty measurements of the new one, the
//! *target*, give a predictor for the whole pool, with 90 % intervals:
//!
//! ```
//! use lanner_predict::latency::adapted::{FewShot, Views};
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
//! - *What costs more takes longer*: the slope along simulated costs, on average over the pool, is
//!   known to be positive.
//! - *Noise is Student-t* with one degree of freedom: a slow outlier among ten measurements must
//!   not bend the prediction.

mod average;
mod bridge;
mod few_shot;
mod group;
mod prior;
mod saved;
mod simulated;
mod slope;

use std::sync::OnceLock;

use lanner_space::{Architecture, Space};

use crate::encode::costs::AnalyticCosts;
use crate::encode::counts::{live_one_hot, one_hot, with_pairs};
use crate::latency::LatencyViews;
use crate::regress::gp::Kernel;
use crate::regress::linalg::{Cholesky, Mat};
use crate::{Pool, PredictError};
pub use bridge::{Belief, Bridge, Guess};
pub use few_shot::FewShot;
use group::{Direction, Group, Shown};
pub use prior::Prior;
pub use saved::Adapted;

/// Length scales of the smooth functions: of the choices, and of the program.
const CHOICES_LENGTH: f64 = 0.7;
const PROGRAM_LENGTH: f64 = 1.0;
/// Penalties of the ridge that smooths sources; the best on a tenth of the rows is taken.
const PENALTIES: [f64; 5] = [1.0, 5.0, 25.0, 125.0, 625.0];
/// One-hots of at most so many columns are smoothed with all their products.
const PAIRED: usize = 64;
/// A source must have so many rows with a value.
const FEWEST_OF_SOURCE: usize = 20;

/// What is known of a pool's architectures without any measurement.
#[derive(Debug, Clone)]
pub struct Views {
    groups: Vec<Group>,
    /// One-hots of the choices that are live, whose products count too when sources are smoothed, and
    /// what else counts then.
    used: Mat,
    unpaired: Mat,
    design: OnceLock<Mat>,
    direction: Direction,
    /// Of all that texts say and, where that differs, of what is live.
    costs: Vec<AnalyticCosts>,
}

impl Views {
    pub fn new(pool: &Pool) -> Views {
        let (space, archs) = (&pool.space, &pool.archs);
        let raw = one_hot(space, archs);
        let live = Some(live_one_hot(space, archs)).filter(|live| *live != raw);
        let cells = (*space == Space::NasBench201).then(|| LatencyViews::new(pool));
        let (of_text, of_live) = AnalyticCosts::views(space, archs);
        let differ = live.is_some() && of_live.is_some();
        let mut shown = vec![(if differ { Shown::Text } else { Shown::Both }, of_text)];
        shown.extend(of_live.filter(|_| differ).map(|costs| (Shown::Live, costs)));
        let direction = Direction::new(&shown);
        let mut groups = Vec::new();
        let mut add = |shown, kernel, features: &Mat, length| {
            let group = Group::new(kernel, features, length, &direction);
            groups.extend(group.map(|g| Group { shown, ..g }));
        };
        let text = if live.is_some() { Shown::Text } else { Shown::Both };
        for (shown, costs) in &shown {
            // Where all layers of one operation are alike, their counts say more than their sums.
            match space {
                Space::NasBench201 => {
                    let counts = counts(pool, *shown == Shown::Live);
                    add(*shown, Kernel::Linear, &counts, 1.0);
                }
                _ => add(*shown, Kernel::Linear, &costs.totals, 1.0),
            }
        }
        for (shown, costs) in &shown {
            add(*shown, Kernel::Linear, &costs.times, 1.0);
        }
        add(text, Kernel::Matern52, &raw, CHOICES_LENGTH);
        if let Some(live) = &live {
            add(Shown::Live, Kernel::Matern52, live, CHOICES_LENGTH);
        }
        if let Some(cells) = &cells {
            add(Shown::Live, Kernel::Matern52, cells.steps_and_paths(), PROGRAM_LENGTH);
        }
        let mut unpaired = Mat::zeros(pool.len(), 0);
        if live.is_some() {
            unpaired = unpaired.beside(&raw);
        }
        if let Some(cells) = &cells {
            unpaired = unpaired.beside(cells.arcs_steps_and_paths());
        }
        let used = live.unwrap_or(raw);
        let costs = shown.into_iter().map(|(_, costs)| costs).collect();
        Views { groups, used, unpaired, design: OnceLock::new(), direction, costs }
    }

    /// What sources are smoothed on, p × d: made when first asked for, since it is large.
    fn design(&self) -> &Mat {
        self.design.get_or_init(|| {
            let Views { used, unpaired, .. } = self;
            let paired = if used.cols <= PAIRED { &with_pairs(used) } else { used };
            let all: Vec<usize> = (0..used.rows).collect();
            paired.beside(unpaired).standardised_by(&all)
        })
    }

    /// Each source's log latencies (one a row of the pool, NaN where none was measured) as a smooth
    /// function of the architecture, p × sources, mean 0 and variance 1 over the pool.
    pub fn smooth(&self, sources: &[&[f64]]) -> Result<Mat, PredictError> {
        let p = self.used.rows;
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
        let d = self.design().cols;
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
            let x = self.design().select(rows);
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
            self.design().row(row).iter().zip(weights).map(|(x, w)| x * w).sum()
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
                let group = Group::new(Kernel::Linear, x, 1.0, &self.direction);
                groups.extend(group.map(|g| Group { shown: Shown::Sources, ..g }));
            }
        }
        Prior { groups, carried: Vec::new(), direction: self.direction.clone() }
    }
}

/// How often each code stands in the text, or among the live choices without the first code.
fn counts(pool: &Pool, live: bool) -> Mat {
    let codes: Vec<Vec<u8>> =
        pool.archs.iter().map(|arch| codes(&pool.space, arch, live)).collect();
    let most = codes.iter().flatten().copied().max().map_or(0, |c| usize::from(c) + 1);
    let first = usize::from(live);
    Mat::from_fn(codes.len(), most - first.min(most), |i, c| {
        codes[i].iter().filter(|&&code| usize::from(code) == c + first).count() as f64
    })
}

/// The codes of an architecture, with dead choices (of spaces that have them) as the first code.
fn codes(space: &Space, arch: &Architecture, live: bool) -> Vec<u8> {
    let codes = arch.codes().to_vec();
    if !live || *space != Space::NasBench201 {
        return codes;
    }
    codes
        .into_iter()
        .zip(space.live(arch))
        .map(|(code, live)| if live { code } else { 0 })
        .collect()
}

#[cfg(test)]
mod bridge_tests;
#[cfg(test)]
mod tests;
