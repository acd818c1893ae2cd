//! Measures and looks up networks before their evaluation, and decides how many measurements a
//! training is worth.

use std::sync::Arc;
use std::time::Instant;

use lanner_evaluate::meter::{Effort, Latency, Meter};
use lanner_space::Architecture;

use super::Run;
use super::columns::{Columns, MEASURED};
use super::quiet::Quiet;
use crate::SearchError;
use crate::job::LATENCY;
use crate::study::{Measurement, Study};

/// Largest number of measurements for each training.
const MOST: usize = 20;
/// Share of a training's time that its measurements may take together.
const SHARE: f64 = 0.1;
/// How a cost of the user's network is known.
const COUNTED: &str = "counted";
/// Number of measurements after which one network is measured again, to learn the machine's drift.
const REPEAT: usize = 10;

/// The sources of values that are known before an evaluation.
pub(super) struct Measuring {
    pub meter: Option<Box<dyn Meter>>,
    pub columns: Columns,
    pub quiet: Arc<Quiet>,
    /// Number of quick measurements by this process, and their duration in seconds.
    count: usize,
    seconds: f64,
}

impl Measuring {
    pub fn new(meter: Option<Box<dyn Meter>>, columns: Columns) -> Measuring {
        Measuring { meter, columns, quiet: Arc::default(), count: 0, seconds: 0.0 }
    }

    /// Measures a network and stores its latency; `None` if it cannot be measured.
    pub fn measure(
        &mut self,
        study: &mut Study,
        arch: &Architecture,
        trial: Option<i64>,
        effort: Effort,
    ) -> Result<Option<Latency>, SearchError> {
        let latency = self.measure_once(study, arch, trial, effort)?;
        if effort == Effort::Quick
            && latency.is_some_and(|l| l.se > 0.0)
            && self.count.is_multiple_of(REPEAT)
            && let Some(again) = repeated(study)?
        {
            self.measure_once(study, &again, None, effort)?;
        }
        Ok(latency)
    }

    fn measure_once(
        &mut self,
        study: &mut Study,
        arch: &Architecture,
        trial: Option<i64>,
        effort: Effort,
    ) -> Result<Option<Latency>, SearchError> {
        let Some(meter) = &mut self.meter else { return Ok(None) };
        let start = Instant::now();
        let latency = self.quiet.during(|| meter.measure(arch, effort))?;
        if effort == Effort::Quick {
            self.count += 1;
            self.seconds += start.elapsed().as_secs_f64();
        }
        if let Some(latency) = latency {
            keep_latency(study, arch, latency, trial, effort)?;
            self.keep_costs(study, arch, trial)?;
        }
        Ok(latency)
    }

    /// Stores the costs of a network that was built to be measured.
    pub fn keep_costs(
        &self,
        study: &mut Study,
        arch: &Architecture,
        trial: Option<i64>,
    ) -> Result<(), SearchError> {
        let known = match self.columns.costs() {
            [] => return Ok(()),
            _ => study.measurements_of(arch)?,
        };
        for metric in self.columns.costs() {
            if !known.iter().any(|k| k.metric == *metric)
                && let Some(value) = self.columns.value(metric, arch)?
            {
                study.measured(&looked_up(arch, metric, value, trial, COUNTED))?;
            }
        }
        Ok(())
    }

    /// Looks up the columns that limits and objectives name, and stores those values of a network that are new.
    pub fn look_up(
        &mut self,
        study: &mut Study,
        arch: &Architecture,
        trial: Option<i64>,
    ) -> Result<(), SearchError> {
        let known = study.measurements_of(arch)?;
        for metric in self.columns.metrics() {
            if known.iter().any(|k| k.metric == metric) {
                continue;
            }
            let start = Instant::now();
            let value = self.columns.value(&metric, arch)?;
            let how = self.columns.how(&metric);
            if how == MEASURED {
                self.count += 1;
                self.seconds += start.elapsed().as_secs_f64();
            }
            if let Some(value) = value {
                study.measured(&looked_up(arch, &metric, value, trial, how))?;
            }
        }
        Ok(())
    }
}

impl Run {
    /// Measures a network and stores its latency; `None` if it cannot be measured.
    pub(super) fn measure(
        &mut self,
        arch: &Architecture,
        trial: Option<i64>,
        effort: Effort,
    ) -> Result<Option<Latency>, SearchError> {
        self.make_meter()?;
        self.measuring.measure(&mut self.study, arch, trial, effort)
    }

    /// Returns the number of networks to measure for each training beyond the trained one: as many as
    /// were asked for, else as many as a tenth of the training's time allows, at most 20. Where
    /// values are looked up they cost nothing.
    pub(super) fn measurements_each(&self) -> Result<usize, SearchError> {
        if let Some(each) = self.setup.measurements {
            return Ok(each);
        }
        if !self.needs_latency() && !self.measuring.columns.measures() {
            return Ok(MOST);
        }
        let training = self.study.seconds_each(MOST)?;
        let measuring = self.measuring.seconds / self.measuring.count as f64;
        let worth = SHARE * training / measuring;
        // Neither cost is known before there is one of each.
        Ok(if worth.is_finite() && training > 1.0 { (worth as usize).min(MOST) } else { 0 })
    }
}

pub(super) fn keep_latency(
    study: &mut Study,
    arch: &Architecture,
    latency: Latency,
    trial: Option<i64>,
    effort: Effort,
) -> Result<(), SearchError> {
    let device = study.job().setup.as_ref().map(|s| s.device.clone()).unwrap_or_default();
    study.measured(&Measurement {
        // A value that is looked up has no error.
        se: Some(latency.se).filter(|se| *se > 0.0),
        trial,
        budget: effort.describe(&device),
        ..Measurement::new(arch, LATENCY, latency.ms)
    })
}

pub(super) fn looked_up(
    arch: &Architecture,
    metric: &str,
    value: f64,
    trial: Option<i64>,
    how: &str,
) -> Measurement {
    Measurement { trial, budget: how.into(), ..Measurement::new(arch, metric, value) }
}

/// Returns the network to measure again. The first time, it is chosen: the measured one whose latency
/// is the nearest to the limit, or without a limit to the median.
fn repeated(study: &mut Study) -> Result<Option<Architecture>, SearchError> {
    if let Some(arch) = study.repeated()? {
        return Ok(Some(arch));
    }
    let mut known = study.measurements()?;
    known.retain(|m| m.metric == LATENCY && m.value > 0.0);
    known.sort_by(|a, b| a.value.total_cmp(&b.value));
    let Some(middle) = known.get(known.len() / 2) else { return Ok(None) };
    let aim = study.job().limit_of(LATENCY).unwrap_or(middle.value);
    let distance = |m: &Measurement| (m.value / aim).ln().abs();
    let nearest = known.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let arch = nearest.map(|m| m.arch.clone());
    arch.iter().try_for_each(|arch| study.set_repeated(arch))?;
    Ok(arch)
}
