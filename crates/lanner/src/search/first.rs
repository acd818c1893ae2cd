//! The latencies from which the limit, or the first predictor, is learned.

use lanner_evaluate::measure::median;
use lanner_network::Skeleton;
use lanner_predict::{Pool, choose, latency::LatencyFeatures};
use lanner_space::{Architecture, Space};

use super::{
    driver::{Search, measurement},
    job::{Job, LATENCY},
    latency::{Effort, Latency, Meter},
    tables::Tables,
};
use crate::output::progress;
use crate::which::to_choose_from;

/// The reference network's latency of the first measurement, kept to go on with.
const REFERENCE: &str = "reference_ms";

/// Networks and what they took.
type Measured = Vec<(Architecture, Latency)>;

impl Search {
    pub fn note_reference(&mut self) -> anyhow::Result<()> {
        if let Some(ms) = self.meter.as_ref().and_then(Meter::baseline_ms) {
            let m = measurement("reference".into(), REFERENCE, ms, None, None, "a second".into());
            self.study.measured(&m)?;
        }
        Ok(())
    }

    pub fn first_measurements(&mut self, stop: &dyn Fn() -> bool) -> anyhow::Result<()> {
        self.look_up_first()?;
        if !self.needs_latency() {
            return Ok(());
        }
        let known = self.study.measurements()?;
        let earlier = known.iter().find(|m| m.metric == REFERENCE).map(|m| m.value);
        let mut meter = match self.meter.take() {
            Some(meter) => meter,
            None => new_meter(&self.job, &self.skeleton, earlier, &mut self.tables)?,
        };
        let mut first = Vec::new();
        let measured = known.iter().filter(|m| m.metric == LATENCY).count();
        if self.limit().is_some() && measured < self.job.latency_samples {
            let mut missing = self.study.first_measurements(self.job.latency_samples)?;
            missing.retain(|t| !known.iter().any(|m| m.metric == LATENCY && m.arch == *t));
            let archs = missing.iter().map(|text| self.study.space().parse(text));
            let archs = archs.collect::<Result<Vec<_>, _>>()?;
            first = first_latencies(&mut meter, archs.into_iter(), stop)?;
        }
        if earlier.is_none() {
            scale(&mut first, meter.settle());
        }
        self.meter = Some(meter);
        if earlier.is_none() {
            self.note_reference()?;
        }
        for (arch, latency) in first {
            self.note(&arch, latency, None, Effort::Quick)?;
        }
        Ok(())
    }
}

/// Measures the first networks of a study to be, and their median, which is its limit.
pub fn median_limit(
    meter: &mut Meter,
    job: &Job,
    space: &Space,
    seed: u64,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<(Measured, f64)> {
    let mut rng = lanner_nn::rng(seed, "first measurements");
    let pool = Pool::new(space.clone(), to_choose_from(space, job.latency_samples, &mut rng));
    let rows: Vec<usize> = (0..pool.len()).collect();
    let views = LatencyFeatures::new(&pool);
    let chosen = choose(&views, &rows, job.latency_samples, seed);
    let chosen = chosen.iter().map(|&r| pool.archs[r].clone());
    let mut first = first_latencies(meter, chosen, stop)?;
    if stop() {
        anyhow::bail!("stopped before the limit was known; nothing is written");
    }
    scale(&mut first, meter.settle());
    let values: Vec<f64> = first.iter().map(|f| f.1.ms).collect();
    let limit = default_limit(&values);
    if !limit.is_finite() {
        anyhow::bail!("no network could be measured");
    }
    Ok((first, limit))
}

/// The limit is at least so many times what the fastest network took: where all take about the same, as in
/// a space of two, none would be surely within their median.
const ROOM: f64 = 1.2;

/// The median, and of networks that are as fast as each other a little more.
fn default_limit(latencies: &[f64]) -> f64 {
    let fastest = latencies.iter().copied().fold(f64::INFINITY, f64::min);
    three_digits(median(latencies).max(ROOM * fastest))
}

/// Rounded down to three digits, which are what can be repeated.
fn three_digits(value: f64) -> f64 {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.get(..4).unwrap_or(digits);
    format!("{digits}e{exponent}").parse().unwrap_or(value)
}

pub fn new_meter(
    job: &Job,
    skeleton: &Skeleton,
    baseline_ms: Option<f64>,
    tables: &mut Tables,
) -> anyhow::Result<Meter> {
    match &job.latency_table {
        Some(source) => Meter::table(source, &skeleton.space, tables),
        None => Meter::machine(skeleton.clone(), baseline_ms),
    }
}

fn first_latencies(
    meter: &mut Meter,
    archs: impl ExactSizeIterator<Item = Architecture>,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Measured> {
    let bar = progress(archs.len() as u64, "measuring");
    let mut first = Vec::new();
    for arch in archs {
        if stop() {
            break;
        }
        if let Some(latency) = meter.measure(&arch, Effort::Quick)? {
            first.push((arch, latency));
        }
        bar.inc(1);
    }
    bar.clear();
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
    use super::{default_limit, three_digits};
    use crate::search::latency::Latency;

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
            // Also when it is measured again, and takes 5 % more.
            let again = Latency { ms: 1.05 * fastest, se: 0.01 * fastest };
            assert!(again.is_surely_within(limit, true), "{latencies:?}");
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
