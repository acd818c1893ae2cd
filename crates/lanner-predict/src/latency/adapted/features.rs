//! Features of architectures for a device of which little is known, and sources as smooth functions.

use std::sync::OnceLock;

use lanner_space::{Architecture, Space};

use super::carried::Carried;
use super::group::{Direction, Group, Shown};
use super::prior::DevicePrior;
use crate::encode::costs::AnalyticCosts;
use crate::encode::counts::{live_one_hot, network_one_hot, one_hot, pairs, with_these_pairs};
use crate::encode::parameters::{ParameterEncoder, Seen};
use crate::latency::LatencyFeatures;
use crate::regress::gp::Kernel;
use crate::regress::linalg::{Cholesky, Mat, Standardiser};
use crate::{Pool, PredictError};

/// Length scales of the smooth functions: of the choices, and of the program.
const CHOICES_LENGTH: f64 = 0.7;
const PROGRAM_LENGTH: f64 = 1.0;
/// Penalties of the ridge that smooths sources; the best on a tenth of the rows is taken.
const PENALTIES: [f64; 5] = [1.0, 5.0, 25.0, 125.0, 625.0];
/// Largest number of one-hot columns that are smoothed with all their products.
const PAIRED: usize = 64;
/// Variance added to each column where weights are found from functions, which are exact: far less
/// than any of the penalties.
const RECOVERY: f64 = 1e-7;
/// Least number of rows with a value of a source.
const FEWEST_OF_SOURCE: usize = 20;

/// Features of a pool's architectures, known without any measurement of the device.
#[derive(Debug, Clone)]
pub struct DeviceFeatures {
    encoder: Encoder,
    groups: Vec<Group>,
    /// The groups' places among the encoder's terms, of which some may be constant over the pool, and the
    /// number of these.
    places: Vec<usize>,
    terms: usize,
    /// One-hots of the choices that are live, whose products count too when sources are smoothed, and
    /// what else counts then.
    used: Mat,
    unpaired: Mat,
    design: OnceLock<Design>,
    direction: Direction,
    /// Costs of all operations in the texts and, where that differs, of the live ones.
    pub(super) costs: Vec<AnalyticCosts>,
}

/// Features on which sources are smoothed.
#[derive(Debug, Clone)]
struct Design {
    /// Pairs of columns whose products count.
    pairs: Vec<(usize, usize)>,
    standardiser: Standardiser,
    /// The pool's, p × d.
    x: Mat,
}

impl DeviceFeatures {
    pub fn new(pool: &Pool) -> DeviceFeatures {
        let (encoder, encoded) = Encoder::new(pool);
        let direction = Direction::new(&encoded.costs);
        let (mut groups, mut places, terms) = (Vec::new(), Vec::new(), encoded.terms.len());
        for (place, Term { shown, kernel, x, length }) in encoded.terms.into_iter().enumerate() {
            if let Some(group) = Group::new(kernel, &x, length, &direction) {
                groups.push(Group { shown, ..group });
                places.push(place);
            }
        }
        let costs = encoded.costs.into_iter().map(|(_, costs)| costs).collect();
        let (used, unpaired, design) = (encoded.used, encoded.unpaired, OnceLock::new());
        DeviceFeatures { encoder, groups, places, terms, used, unpaired, design, direction, costs }
    }

    /// Features on which sources are smoothed, made when first asked for since they are large.
    fn design(&self) -> &Design {
        self.design.get_or_init(|| {
            let DeviceFeatures { used, unpaired, .. } = self;
            let pairs = if used.cols <= PAIRED { pairs(used) } else { Vec::new() };
            let x = with_these_pairs(used, &pairs).beside(unpaired);
            let all: Vec<usize> = (0..used.rows).collect();
            let standardiser = Standardiser::of(&x, &all);
            let x = standardiser.apply(&x);
            Design { pairs, standardiser, x }
        })
    }

    /// Weights of the design's columns in `functions` that [`DeviceFeatures::smooth`] made: d × sources.
    /// Smooth functions are linear in the design, so the pool tells the weights.
    pub(super) fn weights(&self, functions: &Mat) -> Result<Mat, PredictError> {
        let x = &self.design().x;
        let mut gram = x.gram();
        (0..x.cols).for_each(|j| gram[(j, j)] += RECOVERY * x.rows as f64);
        let factor = Cholesky::new(gram)
            .ok_or_else(|| PredictError::Singular { what: "design of the sources".into() })?;
        let solved: Vec<Vec<f64>> = (0..functions.cols)
            .map(|s| {
                let mut sum = vec![0.0; x.cols];
                for i in 0..x.rows {
                    let value = functions[(i, s)];
                    sum.iter_mut().zip(x.row(i)).for_each(|(sum, x)| *sum += value * x);
                }
                factor.solve(&sum)
            })
            .collect();
        Ok(Mat::from_fn(x.cols, functions.cols, |j, s| solved[s][j]))
    }

    /// Prior [with sources](DeviceFeatures::with_sources) for architectures outside the pool: with
    /// the sources' functions, their [weights](DeviceFeatures::weights), and what was carried over.
    pub(super) fn prior_of_others(
        &self,
        prior: &DevicePrior,
        (functions, weights): (&Mat, &Mat),
        carried: Option<&Carried>,
        archs: &[Architecture],
    ) -> Result<DevicePrior, PredictError> {
        let encoded = self.encoder.encode(archs, None);
        let mut features: Vec<Mat> = encoded.terms.into_iter().map(|term| term.x).collect();
        if weights.cols > 0 {
            let Design { pairs, standardiser, .. } = self.design();
            let x = with_these_pairs(&encoded.used, pairs).beside(&encoded.unpaired);
            let x = standardiser.apply(&x);
            let asked = Mat::from_fn(archs.len(), weights.cols, |i, s| {
                x.row(i).iter().enumerate().map(|(j, x)| x * weights[(j, s)]).sum()
            });
            features.extend(with_mean(&asked));
            if let Some(carried) = carried {
                let costs: Vec<AnalyticCosts> = encoded.costs.into_iter().map(|c| c.1).collect();
                let scales = carried.scales(&self.costs, functions);
                features.extend(carried.latencies(&costs, &asked, &scales));
            }
        }
        Ok(prior.of_others(&features))
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
        let design = &self.design().x;
        let d = design.cols;
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
            let x = design.select(rows);
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
            design.row(row).iter().zip(weights).map(|(x, w)| x * w).sum()
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
        let mut prior = DevicePrior {
            groups: self.groups.clone(),
            places: self.places.clone(),
            offered: self.terms,
            carried: Vec::new(),
            direction: self.direction.clone(),
        };
        if functions.cols > 0 {
            for x in with_mean(functions) {
                prior.offer(&x, Shown::Sources);
            }
        }
        prior
    }
}

/// The features of the sources: their functions, and what these have in common.
fn with_mean(functions: &Mat) -> [Mat; 2] {
    let mean = Mat::from_fn(functions.rows, 1, |i, _| functions.row(i).iter().sum());
    [functions.clone(), mean]
}

/// Decides the columns of a pool's features.
#[derive(Debug, Clone)]
struct Encoder {
    space: Space,
    /// True if some architectures have operations that lead nowhere.
    dead: bool,
    /// Encoder of the cells of uniform layers, without architectures.
    cells: Option<LatencyFeatures>,
    /// The number of codes that stand in texts, and among what is live.
    codes: [usize; 2],
}

/// Features of one term of the covariance.
struct Term {
    shown: Shown,
    kernel: Kernel,
    x: Mat,
    length: f64,
}

/// Features of some architectures.
struct Encoded {
    terms: Vec<Term>,
    used: Mat,
    unpaired: Mat,
    costs: Vec<(Shown, AnalyticCosts)>,
}

impl Encoder {
    /// The encoder of a pool, and the pool's features.
    fn new(pool: &Pool) -> (Encoder, Encoded) {
        let (space, archs) = (&pool.space, &pool.archs);
        let cells = space.has_uniform_layers().then(|| LatencyFeatures::new(pool));
        let most = |live| {
            let codes = archs.iter().flat_map(|arch| codes(space, arch, live));
            codes.max().map_or(0, |code| usize::from(code) + 1)
        };
        let encoder = Encoder {
            space: space.clone(),
            dead: live_one_hot(space, archs) != one_hot(space, archs),
            cells: cells.as_ref().map(|cells| cells.of(&[])),
            codes: if cells.is_some() { [most(false), most(true)] } else { [0, 0] },
        };
        let encoded = encoder.encode(archs, cells);
        (encoder, encoded)
    }

    /// Features of architectures, the cells' of which may be known already.
    fn encode(&self, archs: &[Architecture], cells: Option<LatencyFeatures>) -> Encoded {
        let space = &self.space;
        let parameters = ParameterEncoder::new(space, Seen::OfNetwork).map(|e| e.features(archs));
        // What a transformer's layers choose matters by sums.
        let summary = parameters.as_ref().map(|p| &p.summary).filter(|summary| summary.cols > 0);
        let raw = summary.cloned().unwrap_or_else(|| network_one_hot(space, archs));
        let live = self.dead.then(|| live_one_hot(space, archs));
        let cells = cells.or_else(|| self.cells.as_ref().map(|cells| cells.of(archs)));
        let (of_text, of_live) = AnalyticCosts::raw_and_live(space, archs);
        let differ = live.is_some() && of_live.is_some();
        let mut costs = vec![(if differ { Shown::Text } else { Shown::Both }, of_text)];
        costs.extend(of_live.filter(|_| differ).map(|costs| (Shown::Live, costs)));
        let mut terms = Vec::new();
        let mut add = |shown, kernel, x, length| terms.push(Term { shown, kernel, x, length });
        let text = if live.is_some() { Shown::Text } else { Shown::Both };
        for (shown, costs) in &costs {
            // Where all layers of one operation are alike, their counts say more than their sums.
            let x = match (&parameters, summary) {
                _ if space.has_uniform_layers() => self.counts(archs, *shown == Shown::Live),
                (_, Some(summary)) => summary.clone(),
                (Some(parameters), None) => parameters.places.beside(&parameters.totals),
                (None, None) => costs.totals.clone(),
            };
            add(*shown, Kernel::Linear, x, 1.0);
        }
        for (shown, costs) in &costs {
            add(*shown, Kernel::Linear, costs.times.clone(), 1.0);
        }
        add(text, Kernel::Matern52, raw.clone(), CHOICES_LENGTH);
        if let Some(live) = &live {
            add(Shown::Live, Kernel::Matern52, live.clone(), CHOICES_LENGTH);
        }
        if let Some(cells) = &cells {
            let program = cells.steps_and_paths().clone();
            add(Shown::Live, Kernel::Matern52, program, PROGRAM_LENGTH);
        }
        let mut unpaired = Mat::zeros(archs.len(), 0);
        if live.is_some() {
            unpaired = unpaired.beside(&raw);
        }
        match &cells {
            Some(cells) => unpaired = unpaired.beside(cells.arcs_steps_and_paths()),
            // Choices alone do not tell how much more a layer costs at a higher resolution.
            None => {
                for (_, AnalyticCosts { totals, times }) in &costs {
                    unpaired = unpaired.beside(totals).beside(times);
                }
            }
        }
        Encoded { terms, used: live.unwrap_or(raw), unpaired, costs }
    }

    /// Counts each code in the text, or among the live choices without the first code.
    fn counts(&self, archs: &[Architecture], live: bool) -> Mat {
        let first = usize::from(live);
        let most = self.codes[first];
        let mut counts = Mat::zeros(archs.len(), most - first.min(most));
        for (i, arch) in archs.iter().enumerate() {
            for code in codes(&self.space, arch, live) {
                if (first..most).contains(&usize::from(code)) {
                    counts[(i, usize::from(code) - first)] += 1.0;
                }
            }
        }
        counts
    }
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
