//! Measures the first latencies, from which the limit or the first predictor is learned.

use lanner_evaluate::measure::median;
use lanner_evaluate::meter::{Effort, Latency, Meter};
use lanner_predict::{Pool, choose, latency::LatencyFeatures};
use lanner_space::{Architecture, Space};

use super::control::{Control, Phase};
use super::measuring::keep_latency;
use super::{Run, setup};
use crate::job::LATENCY;
use crate::{SearchError, Setup};

/// Measured networks with their latencies.
pub(super) type Measured = Vec<(Architecture, Latency)>;

impl Run {
    /// Stores what the meter tells of its device, and the latency of its reference network.
    pub(super) fn keep_baseline(&mut self) -> Result<(), SearchError> {
        let facts = self.measuring.meter.as_ref().map_or_else(Vec::new, |m| m.facts());
        self.study.set_device(&facts)?;
        match self.measuring.meter.as_ref().and_then(|m| m.baseline_ms()) {
            Some(ms) => self.study.set_baseline_ms(ms),
            None => Ok(()),
        }
    }

    /// Makes the meter, if there is none yet: a finished study is resumed without one.
    pub(super) fn make_meter(&mut self) -> Result<(), SearchError> {
        if self.measuring.meter.is_some() || !self.needs_latency() {
            return Ok(());
        }
        let baseline = self.study.baseline_ms()?;
        let (skeleton, script) = (&self.skeleton, self.script.as_ref());
        let meter = setup::meter(&self.setup, skeleton, script, baseline, &mut self.tables)?;
        self.study.set_device(&meter.facts())?;
        self.measuring.meter = Some(meter);
        if baseline.is_none() { self.keep_baseline() } else { Ok(()) }
    }

    /// Measures or looks up the first networks, except those that the study has already.
    ///
    /// # Errors
    /// The device does not answer, or the study cannot be written.
    pub fn first_measurements(&mut self, control: &mut Control) -> Result<(), SearchError> {
        self.look_up_first()?;
        if self.limit().is_none() {
            return Ok(());
        }
        let known = self.study.measurements()?;
        let measured: Vec<&Architecture> =
            known.iter().filter(|m| m.metric == LATENCY).map(|m| &m.arch).collect();
        let samples = self.setup.latency_samples;
        if measured.len() >= samples {
            return Ok(());
        }
        let mut missing = self.study.first_measurements(samples)?;
        missing.retain(|arch| !measured.contains(&arch));
        if missing.is_empty() {
            return Ok(());
        }
        let is_new = self.study.baseline_ms()?.is_none();
        self.make_meter()?;
        let Some(meter) = &mut self.measuring.meter else { return Ok(()) };
        let mut first = latencies(&mut **meter, missing, control)?;
        if is_new {
            scale(&mut first, meter.settle());
            self.keep_baseline()?;
        }
        for (arch, latency) in first {
            keep_latency(&mut self.study, &arch, latency, None, Effort::Quick)?;
            self.measuring.keep_costs(&mut self.study, &arch, None)?;
        }
        Ok(())
    }
}

/// Measures the first networks of a future study, and returns them with their median, its limit.
pub(super) fn median_limit(
    meter: &mut dyn Meter,
    setup: &Setup,
    space: &Space,
    seed: u64,
    control: &mut Control,
) -> Result<(Measured, f64), SearchError> {
    let mut rng = lanner_nn::rng(seed, "first measurements");
    let archs = lanner_predict::candidates_to_measure(space, setup.latency_samples, &mut rng);
    let pool = Pool::new(space.clone(), archs);
    let rows: Vec<usize> = (0..pool.len()).collect();
    let views = LatencyFeatures::new(&pool);
    let chosen = choose(&views, &rows, setup.latency_samples, seed);
    let chosen = chosen.iter().map(|&r| pool.archs[r].clone()).collect();
    let mut first = latencies(meter, chosen, control)?;
    if control.is_stopped() {
        let when = "before the limit was known; nothing is written".into();
        return Err(SearchError::Stopped { when });
    }
    scale(&mut first, meter.settle());
    let values: Vec<f64> = first.iter().map(|f| f.1.ms).collect();
    let limit = default_limit(&values);
    match limit.is_finite() {
        true => Ok((first, limit)),
        false => Err(SearchError::Nothing { why: "no network could be measured".into() }),
    }
}

/// Smallest ratio of the limit to the latency of the fastest network. Where all networks are about
/// equally fast, as in a space of two, none would be surely within their median.
const ROOM: f64 = 1.2;

/// Returns the median, or a little more where the networks are about equally fast.
fn default_limit(latencies: &[f64]) -> f64 {
    let fastest = latencies.iter().copied().fold(f64::INFINITY, f64::min);
    three_digits(median(latencies).max(ROOM * fastest))
}

/// Rounds down to three digits, as many as can be measured again.
fn three_digits(value: f64) -> f64 {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.get(..4).unwrap_or(digits);
    format!("{digits}e{exponent}").parse().unwrap_or(value)
}

fn latencies(
    meter: &mut dyn Meter,
    archs: Vec<Architecture>,
    control: &mut Control,
) -> Result<Measured, SearchError> {
    let total = archs.len();
    let mut first = Vec::new();
    for (done, arch) in archs.into_iter().enumerate() {
        if control.is_stopped() {
            break;
        }
        if let Some(latency) = meter.measure(&arch, Effort::Quick)? {
            first.push((arch, latency));
        }
        control.progress(Phase::Measuring, done + 1, total);
    }
    control.ended(Phase::Measuring);
    Ok(first)
}

fn scale(latencies: &mut [(Architecture, Latency)], factor: f64) {
    for (_, latency) in latencies {
        latency.ms *= factor;
        latency.se *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;
    use crate::study::Drift;

    #[test]
    fn the_fastest_is_surely_within_the_default_limit() {
        for (latencies, limit) in [
            (&[1.0, 2.0, 3.0][..], 2.0),
            (&[0.0118], 0.0141),
            (&[1.01, 1.0], 1.2),
            (&[1.0, 1.0, 1.1, 5.0], 1.2),
        ] {
            assert_eq!(default_limit(latencies), limit, "{latencies:?}");
            let fastest = latencies.iter().copied().fold(f64::INFINITY, f64::min);
            // It stays within the limit when it is measured again and takes 5 % more.
            let again = Latency { ms: 1.05 * fastest, se: 0.01 * fastest };
            let (drift, at_most) = (Drift::of(&[]), Limit::at_most(LATENCY, limit));
            assert!(drift.surely_holds(&at_most, again.ms, Some(again.se)), "{latencies:?}");
        }
        assert!(!default_limit(&[]).is_finite());
    }

    #[test]
    fn three_digits_and_no_more() {
        for (value, expected) in
            [(0.142999, 0.142), (0.142, 0.142), (12.3456, 12.3), (2.0, 2.0), (99999.0, 99900.0)]
        {
            assert_eq!(three_digits(value), expected);
        }
        assert!((1..5000).map(|i| f64::from(i) / 7e3).all(|v| {
            let rounded = three_digits(v);
            rounded <= v && rounded > 0.99 * v
        }));
    }
}
