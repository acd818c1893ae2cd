//! Features of architectures for a device of which little is known, and sources as smooth functions.

use std::sync::OnceLock;

use lanner_space::{Architecture, Space};

use super::group::{Direction, Group, Shown};
use super::prior::DevicePrior;
use crate::encode::costs::AnalyticCosts;
use crate::encode::counts::{live_one_hot, one_hot, with_pairs};
use crate::latency::LatencyFeatures;
use crate::regress::gp::Kernel;
use crate::regress::linalg::{Cholesky, Mat};
use crate::{Pool, PredictError};

/// Length scales of the smooth functions: of the choices, and of the program.
const CHOICES_LENGTH: f64 = 0.7;
const PROGRAM_LENGTH: f64 = 1.0;
/// Penalties of the ridge that smooths sources; the best on a tenth of the rows is taken.
const PENALTIES: [f64; 5] = [1.0, 5.0, 25.0, 125.0, 625.0];
/// One-hots of at most so many columns are smoothed with all their products.
const PAIRED: usize = 64;
/// A source must have so many rows with a value.
const FEWEST_OF_SOURCE: usize = 20;

/// Features of a pool's architectures, known without any measurement of the device.
#[derive(Debug, Clone)]
pub struct DeviceFeatures {
    groups: Vec<Group>,
    /// One-hots of the choices that are live, whose products count too when sources are smoothed, and
    /// what else counts then.
    used: Mat,
    unpaired: Mat,
    design: OnceLock<Mat>,
    direction: Direction,
    /// Of all that texts say and, where that differs, of what is live.
    pub(super) costs: Vec<AnalyticCosts>,
}

impl DeviceFeatures {
    pub fn new(pool: &Pool) -> DeviceFeatures {
        let (space, archs) = (&pool.space, &pool.archs);
        let raw = one_hot(space, archs);
        let live = Some(live_one_hot(space, archs)).filter(|live| *live != raw);
        let cells = space.has_uniform_layers().then(|| LatencyFeatures::new(pool));
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
            match space.has_uniform_layers() {
                true => {
                    let counts = counts(pool, *shown == Shown::Live);
                    add(*shown, Kernel::Linear, &counts, 1.0);
                }
                false => add(*shown, Kernel::Linear, &costs.totals, 1.0),
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
        DeviceFeatures { groups, used, unpaired, design: OnceLock::new(), direction, costs }
    }

    /// What sources are smoothed on, p × d: made when first asked for, since it is large.
    fn design(&self) -> &Mat {
        self.design.get_or_init(|| {
            let DeviceFeatures { used, unpaired, .. } = self;
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

    /// The prior for a new device beside sources that [`DeviceFeatures::smooth`] made; of no sources (no
    /// columns), the one from analytic features alone.
    pub fn with_sources(&self, functions: &Mat) -> DevicePrior {
        let mut groups = self.groups.clone();
        if functions.cols > 0 {
            let mean = Mat::from_fn(functions.rows, 1, |i, _| functions.row(i).iter().sum());
            for x in [functions, &mean] {
                let group = Group::new(Kernel::Linear, x, 1.0, &self.direction);
                groups.extend(group.map(|g| Group { shown: Shown::Sources, ..g }));
            }
        }
        DevicePrior { groups, carried: Vec::new(), direction: self.direction.clone() }
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
pub(super) fn codes(space: &Space, arch: &Architecture, live: bool) -> Vec<u8> {
    let codes = arch.codes().to_vec();
    if !live || !space.has_uniform_layers() {
        return codes;
    }
    codes
        .into_iter()
        .zip(space.live(arch))
        .map(|(code, live)| if live { code } else { 0 })
        .collect()
}
