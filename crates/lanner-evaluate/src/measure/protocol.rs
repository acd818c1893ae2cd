//! How often a network is run, and what of the samples counts.

use std::time::Instant;

use super::{
    Session,
    drift::{Corrected, correct},
    statistics::{interquartile_mean, median, median_error},
};
use crate::EvaluateError;

/// What a network took.
#[derive(Debug, Clone)]
pub struct Measurement {
    pub latency_ms: f64,
    /// Standard error of `latency_ms`; NaN where there were too few samples to tell.
    pub error_ms: f64,
    /// Runs that count, without those to warm up.
    pub runs: usize,
    /// How much slower than at first the reference network was meanwhile: 1.02 is 2 %. The latency
    /// of the adaptive protocol is already divided by it. NaN without a reference.
    pub drift: f64,
    /// Whether readings at the reference agreed well enough to tell the drift. Else it is what the
    /// reference usually took.
    pub steady: bool,
    pub blocks: Vec<Block>,
}

/// Runs without a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    pub runs: usize,
    /// Of the network, as it was.
    pub median_ms: f64,
    /// Of the reference network just before and after. NaN without.
    pub reference_ms: f64,
}

/// A network whose latency ought to be the same all the time: what it gains or loses is the
/// machine's doing (clock frequency, neighbours), and is taken from what is measured beside it.
pub struct Reference<'a> {
    session: Box<dyn Session + 'a>,
    /// What it took at first, milliseconds.
    pub baseline_ms: f64,
    /// Of the networks measured so far, as far as the readings beside them agreed.
    drifts: Vec<f64>,
}

impl<'a> Reference<'a> {
    /// Runs the network for a second to learn its latency; `baseline_ms` of an earlier part of the
    /// same campaign replaces it.
    pub fn new(
        mut session: Box<dyn Session + 'a>,
        baseline_ms: Option<f64>,
    ) -> Result<Reference<'a>, EvaluateError> {
        let samples = run_for(&mut *session, 1000.0, 10)?;
        let baseline_ms = baseline_ms.unwrap_or_else(|| median(&samples));
        Ok(Reference { session, baseline_ms, drifts: Vec::new() })
    }

    /// Calls so many times the baseline the baseline.
    pub fn rebase(&mut self, factor: f64) {
        self.baseline_ms *= factor;
        self.drifts.iter_mut().for_each(|d| *d /= factor);
    }

    /// How much slower than at first it usually is.
    fn usual(&self) -> f64 {
        if self.drifts.is_empty() { 1.0 } else { median(&self.drifts) }
    }

    /// What it takes now, by runs of about so long in all.
    fn read(&mut self, time_ms: f64) -> Result<f64, EvaluateError> {
        let mut samples = Vec::new();
        self.session.time(runs_for(time_ms, self.baseline_ms), &mut samples)?;
        Ok(median(&samples))
    }
}

/// How networks are measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// LatBench's (Dudziak et al. 2020): ten blocks of 100 runs, the interquartile mean of each, and
    /// the interquartile mean of these. The reference is looked at before and after, and not used.
    Latbench,
    Adaptive(Adaptive),
}

/// Blocks of a few milliseconds between readings at the reference network, until their median is known
/// well enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Adaptive {
    /// Half the width of the median's 95 % interval, relative, at which it ends.
    pub tolerance: f64,
    /// Time after which it ends anyway, seconds, not counting the warm-up.
    pub budget_s: f64,
    /// Blocks at least.
    pub blocks: usize,
    /// What a block lasts, milliseconds, if a run is not longer; readings at the reference half as much.
    pub block_ms: f64,
}

impl Default for Adaptive {
    fn default() -> Self {
        Adaptive { tolerance: 0.01, budget_s: 2.0, blocks: 5, block_ms: 10.0 }
    }
}

impl Adaptive {
    /// For devices where each block is a call that costs far more than its runs: fewer and longer.
    pub fn for_calls() -> Adaptive {
        Adaptive { blocks: 3, block_ms: 300.0, budget_s: 20.0, ..Adaptive::default() }
    }
}

/// A network runs so long before it counts, milliseconds, and at least three times.
const WARM_UP_MS: f64 = 20.0;
/// Runs at once, however short they are.
const MOST_RUNS: usize = 10_000;

/// How many runs of `each_ms` make so long.
fn runs_for(time_ms: f64, each_ms: f64) -> usize {
    (time_ms / each_ms).round().clamp(1.0, MOST_RUNS as f64) as usize
}

/// Runs for about so long, at least so often, in two calls at most: a call may be expensive.
fn run_for(
    session: &mut dyn Session,
    time_ms: f64,
    at_least: usize,
) -> Result<Vec<f64>, EvaluateError> {
    let mut samples = Vec::new();
    session.time(at_least, &mut samples)?;
    let left = (time_ms - samples.iter().sum::<f64>()) / median(&samples);
    if left >= 1.0 {
        session.time((left as usize).min(MOST_RUNS), &mut samples)?;
    }
    Ok(samples)
}

impl Protocol {
    /// In words, for the header of a table.
    pub fn describe(&self) -> String {
        match self {
            Protocol::Latbench => "latbench, 10 blocks of 100 runs".into(),
            Protocol::Adaptive(Adaptive { tolerance, budget_s, blocks, block_ms }) => format!(
                "default, 95 % interval within {} %, at most {budget_s} s, at least {blocks} blocks \
                 of {block_ms} ms",
                100.0 * tolerance
            ),
        }
    }

    /// Measures a network that is loaded.
    pub fn measure(
        &self,
        session: &mut dyn Session,
        reference: Option<&mut Reference>,
    ) -> Result<Measurement, EvaluateError> {
        match self {
            Protocol::Latbench => latbench(session, reference),
            Protocol::Adaptive(settings) => adaptive(settings, session, reference),
        }
    }
}

fn latbench(
    session: &mut dyn Session,
    mut reference: Option<&mut Reference>,
) -> Result<Measurement, EvaluateError> {
    run_for(session, WARM_UP_MS, 3)?;
    let mut read_reference = || reference.as_mut().map_or(Ok(f64::NAN), |r| r.read(10.0));
    let before = read_reference()?;
    let mut blocks = Vec::new();
    let mut means = Vec::new();
    for _ in 0..10 {
        let mut samples = Vec::new();
        session.time(100, &mut samples)?;
        means.push(interquartile_mean(&samples));
        let (runs, median_ms) = (samples.len(), median(&samples));
        blocks.push(Block { runs, median_ms, reference_ms: before });
    }
    let reference_ms = (before + read_reference()?) / 2.0;
    blocks.iter_mut().for_each(|b| b.reference_ms = reference_ms);
    Ok(Measurement {
        latency_ms: interquartile_mean(&means),
        error_ms: median_error(&means),
        runs: blocks.iter().map(|b| b.runs).sum(),
        drift: reference_ms / reference.map_or(f64::NAN, |r| r.baseline_ms),
        steady: true,
        blocks,
    })
}

fn adaptive(
    settings: &Adaptive,
    session: &mut dyn Session,
    mut reference: Option<&mut Reference>,
) -> Result<Measurement, EvaluateError> {
    let warm = run_for(session, WARM_UP_MS, 3)?;
    let runs = runs_for(settings.block_ms, median(&warm));
    let (baseline_ms, usual) =
        reference.as_ref().map_or((f64::NAN, f64::NAN), |r| (r.baseline_ms, r.usual()));
    let mut read_reference =
        || reference.as_mut().map_or(Ok(f64::NAN), |r| r.read(settings.block_ms / 2.0));
    let start = Instant::now();
    let (mut blocks, mut medians) = (Vec::new(), Vec::new());
    let mut readings_ms = vec![read_reference()?];
    loop {
        let mut samples = Vec::new();
        session.time(runs, &mut samples)?;
        let (before, after) = (readings_ms[blocks.len()], read_reference()?);
        readings_ms.push(after);
        let (runs, median_ms) = (samples.len(), median(&samples));
        blocks.push(Block { runs, median_ms, reference_ms: (before + after) / 2.0 });
        medians.push(median_ms);
        let readings: Vec<f64> = readings_ms.iter().map(|ms| ms / baseline_ms).collect();
        let Corrected { latency_ms, mut error_ms, drift, steady } = match baseline_ms.is_nan() {
            true => {
                Corrected { drift: f64::NAN, ..correct(&medians, &vec![1.0; readings.len()], 1.0) }
            }
            false => correct(&medians, &readings, usual),
        };
        if blocks.len() < 3 {
            // Too few blocks to tell from: the samples of one, were they independent.
            error_ms = median_error(&samples);
        }
        let exact = 1.96 * error_ms <= settings.tolerance * latency_ms;
        let spent = start.elapsed().as_secs_f64() >= settings.budget_s;
        if blocks.len() >= settings.blocks && (exact || spent) {
            if let (Some(reference), true) = (reference, steady) {
                reference.drifts.push(drift);
            }
            let runs = blocks.iter().map(|b| b.runs).sum();
            return Ok(Measurement { latency_ms, error_ms, runs, drift, steady, blocks });
        }
    }
}
