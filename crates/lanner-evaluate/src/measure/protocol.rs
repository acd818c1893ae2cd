//! Protocols: how often a network is run, and which samples count.

use std::time::Instant;

use super::{
    Session,
    drift::{Corrected, correct},
    statistics::{interquartile_mean, median, median_error},
};
use crate::EvaluateError;

/// Measured latency of a network.
#[derive(Debug, Clone)]
pub struct Measurement {
    pub latency_ms: f64,
    /// Standard error of `latency_ms`; NaN if there were too few samples.
    pub error_ms: f64,
    /// Number of runs that count, without the warm-up.
    pub runs: usize,
    /// Slowdown of the reference network during the measurement, relative to its first second: 1.02 is
    /// 2 %. The latency of the adaptive protocol is already divided by it. NaN without a reference.
    pub drift: f64,
    /// Whether the readings of the reference agreed well enough. If not, `drift` is the usual one.
    pub steady: bool,
    /// Doubt of the session about its times.
    pub doubt: Option<String>,
    pub blocks: Vec<Block>,
}

/// A block of runs without a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    pub runs: usize,
    /// Median latency of the network, not corrected for drift.
    pub median_ms: f64,
    /// Mean latency of the reference network just before and after; NaN without a reference.
    pub reference_ms: f64,
}

/// A network whose own latency does not change. Its measured changes are drift of the machine (clock
/// frequency, neighbours), for which the latencies measured beside it are corrected.
pub struct Reference<'a> {
    session: Box<dyn Session + 'a>,
    /// Latency at first, in milliseconds.
    pub baseline_ms: f64,
    /// Drifts of the networks measured so far, if their readings agreed.
    drifts: Vec<f64>,
}

impl<'a> Reference<'a> {
    /// Runs the network for a second to learn its latency. A given `baseline_ms`, from an earlier run
    /// of the campaign, replaces that.
    pub fn new(
        mut session: Box<dyn Session + 'a>,
        baseline_ms: Option<f64>,
    ) -> Result<Reference<'a>, EvaluateError> {
        let samples = run_for(&mut *session, 1000.0, 10)?;
        let baseline_ms = baseline_ms.unwrap_or_else(|| median(&samples));
        Ok(Reference { session, baseline_ms, drifts: Vec::new() })
    }

    /// Multiplies the baseline by `factor`.
    pub fn rebase(&mut self, factor: f64) {
        self.baseline_ms *= factor;
        self.drifts.iter_mut().for_each(|d| *d /= factor);
    }

    /// Usual drift: how much slower than at first the reference usually is.
    fn usual(&self) -> f64 {
        if self.drifts.is_empty() { 1.0 } else { median(&self.drifts) }
    }

    /// Measures the present latency, by runs of about `time_ms` in all.
    fn read(&mut self, time_ms: f64) -> Result<f64, EvaluateError> {
        let mut samples = Vec::new();
        self.session.time(runs_for(time_ms, self.baseline_ms), &mut samples)?;
        Ok(median(&samples))
    }
}

/// Protocol of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// LatBench's protocol (Dudziak et al. 2020): ten blocks of 100 runs, the interquartile mean of
    /// each, and the interquartile mean of these. The reference is read before and after, but not
    /// used.
    Latbench,
    Adaptive(Adaptive),
}

/// Measures blocks of a few milliseconds between readings of the reference network, until their median
/// is known well enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Adaptive {
    /// Relative half-width of the median's 95 % interval at which the measurement ends.
    pub tolerance: f64,
    /// Time limit in seconds, without the warm-up.
    pub budget_s: f64,
    /// Least number of blocks.
    pub blocks: usize,
    /// Duration of a block in milliseconds, if a run is not longer; readings of the reference take
    /// half as long.
    pub block_ms: f64,
}

impl Default for Adaptive {
    fn default() -> Self {
        Adaptive { tolerance: 0.01, budget_s: 2.0, blocks: 5, block_ms: 10.0 }
    }
}

impl Adaptive {
    /// Fewer and longer blocks, for devices where each block is a call that costs more than its runs.
    pub fn for_calls() -> Adaptive {
        Adaptive { blocks: 3, block_ms: 300.0, budget_s: 20.0, ..Adaptive::default() }
    }
}

/// Duration of the warm-up in milliseconds; it has at least three runs.
const WARM_UP_MS: f64 = 20.0;
/// Largest number of runs at once.
const MOST_RUNS: usize = 10_000;

/// Number of runs of `each_ms` that take about `time_ms`.
fn runs_for(time_ms: f64, each_ms: f64) -> usize {
    (time_ms / each_ms).round().clamp(1.0, MOST_RUNS as f64) as usize
}

/// Runs for about `time_ms`, but at least `at_least` times, in at most two calls, since a call may be
/// expensive.
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
    /// Describes the protocol in words, for the header of a table.
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

    /// Measures a loaded network.
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
        doubt: session.doubt(),
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
            // Too few blocks for an error: take that of the last block's samples, as if independent.
            error_ms = median_error(&samples);
        }
        let exact = 1.96 * error_ms <= settings.tolerance * latency_ms;
        let spent = start.elapsed().as_secs_f64() >= settings.budget_s;
        if blocks.len() >= settings.blocks && (exact || spent) {
            if let (Some(reference), true) = (reference, steady) {
                reference.drifts.push(drift);
            }
            let runs = blocks.iter().map(|b| b.runs).sum();
            let doubt = session.doubt();
            return Ok(Measurement { latency_ms, error_ms, runs, drift, steady, doubt, blocks });
        }
    }
}
