//! How often a network is run, and what of the samples counts.

use std::time::{Duration, Instant};

use super::{
    Session,
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
    runs: usize,
}

impl<'a> Reference<'a> {
    /// Runs the network for a second to learn its latency; `baseline_ms` of an earlier part of the
    /// same campaign replaces it.
    pub fn new(
        mut session: Box<dyn Session + 'a>,
        baseline_ms: Option<f64>,
    ) -> Result<Reference<'a>, EvaluateError> {
        let samples = run_for(&mut *session, Duration::from_secs(1), 10)?;
        let runs = (Reference::BLOCK_MS / median(&samples)).round().clamp(1.0, 100.0) as usize;
        let baseline_ms = baseline_ms.unwrap_or_else(|| median(&samples));
        Ok(Reference { session, baseline_ms, runs })
    }

    /// Time for the reference network between two blocks.
    const BLOCK_MS: f64 = 5.0;

    fn now(&mut self) -> Result<f64, EvaluateError> {
        let mut samples = Vec::new();
        self.session.time(self.runs, &mut samples)?;
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

/// Blocks of a few milliseconds between looks at the reference network, until their median is known
/// well enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Adaptive {
    /// Half the width of the median's 95 % interval, relative, at which it ends.
    pub tolerance: f64,
    /// Time after which it ends anyway, seconds, not counting the warm-up.
    pub budget_s: f64,
    /// Blocks at least.
    pub blocks: usize,
}

impl Default for Adaptive {
    fn default() -> Self {
        Adaptive { tolerance: 0.01, budget_s: 2.0, blocks: 5 }
    }
}

/// A block lasts about so long, but has at least one run.
const BLOCK_MS: f64 = 10.0;
/// A network runs so long before it counts, and at least three times.
const WARM_UP: Duration = Duration::from_millis(20);

/// Runs until so much time has passed, or has been spent in runs.
fn run_for(
    session: &mut dyn Session,
    time: Duration,
    at_least: usize,
) -> Result<Vec<f64>, EvaluateError> {
    let start = Instant::now();
    let mut samples = Vec::new();
    let mut spent_ms = 0.0;
    while samples.len() < at_least
        || (start.elapsed() < time && spent_ms < 1e3 * time.as_secs_f64())
    {
        let known = samples.len();
        session.time(1, &mut samples)?;
        spent_ms += samples[known..].iter().sum::<f64>();
    }
    Ok(samples)
}

impl Protocol {
    /// In words, for the header of a table.
    pub fn describe(&self) -> String {
        match self {
            Protocol::Latbench => "latbench, 10 blocks of 100 runs".into(),
            Protocol::Adaptive(Adaptive { tolerance, budget_s, blocks }) => format!(
                "default, 95 % interval within {} %, at most {budget_s} s, at least {blocks} blocks",
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
    run_for(session, WARM_UP, 3)?;
    let mut look = || reference.as_mut().map_or(Ok(f64::NAN), |r| r.now());
    let before = look()?;
    let mut blocks = Vec::new();
    let mut means = Vec::new();
    for _ in 0..10 {
        let mut samples = Vec::new();
        session.time(100, &mut samples)?;
        means.push(interquartile_mean(&samples));
        let (runs, median_ms) = (samples.len(), median(&samples));
        blocks.push(Block { runs, median_ms, reference_ms: before });
    }
    let reference_ms = (before + look()?) / 2.0;
    blocks.iter_mut().for_each(|b| b.reference_ms = reference_ms);
    Ok(Measurement {
        latency_ms: interquartile_mean(&means),
        error_ms: median_error(&means),
        runs: blocks.iter().map(|b| b.runs).sum(),
        drift: reference_ms / reference.map_or(f64::NAN, |r| r.baseline_ms),
        blocks,
    })
}

fn adaptive(
    settings: &Adaptive,
    session: &mut dyn Session,
    mut reference: Option<&mut Reference>,
) -> Result<Measurement, EvaluateError> {
    let warm = run_for(session, WARM_UP, 3)?;
    let runs = (BLOCK_MS / median(&warm)).round().clamp(1.0, 1000.0) as usize;
    let baseline_ms = reference.as_ref().map_or(f64::NAN, |r| r.baseline_ms);
    let mut look = || reference.as_mut().map_or(Ok(f64::NAN), |r| r.now());
    let start = Instant::now();
    let (mut blocks, mut corrected, mut drifts) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = look()?;
    loop {
        let mut samples = Vec::new();
        session.time(runs, &mut samples)?;
        let after = look()?;
        let (runs, median_ms) = (samples.len(), median(&samples));
        let reference_ms = (before + after) / 2.0;
        before = after;
        blocks.push(Block { runs, median_ms, reference_ms });
        let drift = reference_ms / baseline_ms;
        drifts.push(drift);
        corrected.push(if drift.is_nan() { median_ms } else { median_ms / drift });
        let latency_ms = median(&corrected);
        let error_ms = match blocks.len() {
            // Too few blocks to tell from: the samples of one, were they independent.
            1 | 2 => median_error(&samples),
            _ => median_error(&corrected),
        };
        let exact = 1.96 * error_ms <= settings.tolerance * latency_ms;
        let spent = start.elapsed().as_secs_f64() >= settings.budget_s;
        if blocks.len() >= settings.blocks && (exact || spent) {
            let runs = blocks.iter().map(|b| b.runs).sum();
            return Ok(Measurement { latency_ms, error_ms, runs, drift: median(&drifts), blocks });
        }
    }
}
