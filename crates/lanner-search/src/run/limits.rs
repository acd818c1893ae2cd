//! Limits of a run: measures or looks up a network's metrics before its evaluation.

use std::collections::BTreeMap;

use lanner_evaluate::meter::{Effort, Latency};
use lanner_network::{Cost, View};
use lanner_space::Architecture;

use super::Run;
use crate::job::LATENCY;
use crate::study::{Measurement, Trial, analytic};
use crate::{Limit, Objective, SearchError};

type Metrics = BTreeMap<String, f64>;

impl Run {
    /// Returns the limit of the latency, where latencies are measured.
    pub(super) fn limit(&self) -> Option<f64> {
        self.study.job().limit_of(LATENCY).filter(|_| !self.tells_latency)
    }

    /// Tells whether latency is limited or an objective.
    pub(super) fn needs_latency(&self) -> bool {
        let objectives = &self.study.job().objectives;
        !self.tells_latency
            && (self.limit().is_some() || objectives.iter().any(|o| o.metric == LATENCY))
    }

    /// Returns the limits that are columns, or that the evaluation tells.
    fn other_limits(&self) -> Vec<Limit> {
        (self.study.job().limits.iter())
            .filter(|l| l.metric != LATENCY || self.tells_latency)
            .filter(|l| analytic(self.study.space(), &l.metric).is_none())
            .cloned()
            .collect()
    }

    pub(super) fn keep_latency(
        &mut self,
        arch: &Architecture,
        latency: Latency,
        trial: Option<i64>,
        effort: Effort,
    ) -> Result<(), SearchError> {
        self.study.measured(&Measurement {
            se: Some(latency.se),
            trial,
            budget: effort.describe(),
            ..Measurement::new(arch, LATENCY, latency.ms)
        })
    }

    /// Measures a network and stores its latency; `None` if it cannot be measured.
    pub(super) fn measure(
        &mut self,
        arch: &Architecture,
        trial: Option<i64>,
        effort: Effort,
    ) -> Result<Option<Latency>, SearchError> {
        let Some(meter) = &mut self.meter else { return Ok(None) };
        let latency = self.quiet.during(|| meter.measure(arch, effort))?;
        if let Some(latency) = latency {
            self.keep_latency(arch, latency, trial, effort)?;
        }
        Ok(latency)
    }

    /// Returns the last measured latency of a network.
    pub(super) fn known_latency(
        &self,
        arch: &Architecture,
    ) -> Result<Option<Latency>, SearchError> {
        let known = self.study.measurements_of(arch)?;
        let last = known.iter().rfind(|m| m.metric == LATENCY);
        Ok(last.map(|m| Latency { ms: m.value, se: m.se.unwrap_or(0.0) }))
    }

    pub(super) fn is_surely_within(&self, latency: Latency) -> bool {
        let repeatability = self.meter.as_ref().map_or(0.0, |m| m.repeatability());
        self.limit().is_none_or(|limit| latency.is_surely_within(limit, repeatability))
    }

    /// Returns the metrics of a trial's network if it is not surely within the limits, else `None`.
    pub(super) fn over(&mut self, trial: &Trial) -> Result<Option<Metrics>, SearchError> {
        if let Some(metrics) = self.over_a_column(Some(trial.id), &trial.arch)? {
            return Ok(Some(metrics));
        }
        if !self.needs_latency() {
            return Ok(None);
        }
        // A network that was measured before the search, or before a crash, is not measured again.
        let latency = match self.known_latency(&trial.arch)? {
            Some(latency) => Some(latency),
            None => self.measure(&trial.arch, Some(trial.id), Effort::Quick)?,
        };
        Ok(match latency {
            Some(latency) if self.is_surely_within(latency) => None,
            Some(latency) => Some([(LATENCY.to_string(), latency.ms)].into()),
            None => Some(Metrics::new()),
        })
    }

    /// Returns the metrics of a network that is over a limit of a column, or for which a column has
    /// no value; else `None`.
    pub(super) fn over_a_column(
        &mut self,
        trial: Option<i64>,
        arch: &Architecture,
    ) -> Result<Option<Metrics>, SearchError> {
        let mut limits = self.other_limits();
        limits.retain(|l| self.columns.has(&l.metric));
        if limits.is_empty() {
            return Ok(None);
        }
        let known = self.study.measurements_of(arch)?;
        for limit in limits {
            let metric = limit.metric.clone();
            let Some(value) = self.columns.value(&metric, arch) else {
                return Ok(Some(Metrics::new()));
            };
            if !known.iter().any(|m| m.metric == metric) {
                self.study.measured(&looked_up(arch, &metric, value, trial))?;
            }
            if !limit.holds(value) {
                return Ok(Some([(metric, value)].into()));
            }
        }
        Ok(None)
    }

    /// Looks up columns for the networks that tell most about all others.
    pub(super) fn look_up_first(&mut self) -> Result<(), SearchError> {
        let samples = self.setup.latency_samples;
        let limits = self.other_limits();
        let known = self.study.measurements()?;
        for Limit { metric, .. } in limits.iter().filter(|l| self.columns.has(&l.metric)) {
            let seen: Vec<&Architecture> =
                known.iter().filter(|m| m.metric == *metric).map(|m| &m.arch).collect();
            if seen.len() >= samples {
                continue;
            }
            for arch in self.study.first_measurements(samples)? {
                if !seen.contains(&&arch)
                    && let Some(value) = self.columns.value(metric, &arch)
                {
                    self.study.measured(&looked_up(&arch, metric, value, None))?;
                }
            }
        }
        Ok(())
    }

    /// Tells whether a trial keeps the limits that only its evaluation could tell.
    pub(super) fn keeps_evaluated_limits(&self, trial: &Trial) -> bool {
        let limits = self.other_limits();
        let mut evaluated = limits.iter().filter(|l| !self.columns.has(&l.metric));
        evaluated.all(|l| trial.metrics.get(&l.metric).is_some_and(|v| l.holds(*v)))
    }

    /// Metrics that the evaluation has to give: the first objective, and those that have no other
    /// source.
    pub fn needed(&self) -> Vec<String> {
        let job = self.study.job();
        let all =
            (job.objectives.iter().map(|o| &o.metric)).chain(job.limits.iter().map(|l| &l.metric));
        let elsewhere = |m: &str| {
            m == LATENCY && !self.tells_latency
                || analytic(self.study.space(), m).is_some()
                || self.columns.has(m)
        };
        let first = job.objectives.iter().map(|o| o.metric.clone()).take(1);
        first.chain(all.skip(1).filter(|m| !elsewhere(m)).cloned()).collect()
    }

    /// Returns the objectives after the first, as far as they are known without the evaluation.
    pub(super) fn beside_the_evaluation(
        &self,
        arch: &Architecture,
    ) -> Result<Metrics, SearchError> {
        let mut metrics = Metrics::new();
        for Objective { metric, .. } in self.study.job().objectives.iter().skip(1) {
            let value = if metric == LATENCY && !self.tells_latency {
                self.known_latency(arch)?.map(|l| l.ms)
            } else if let Some(part) = analytic(self.study.space(), metric) {
                Some(part(&Cost::of(&self.skeleton.build(arch, View::Pruned)?)) as f64)
            } else {
                self.columns.value(metric, arch)
            };
            metrics.extend(value.map(|v| (metric.clone(), v)));
        }
        Ok(metrics)
    }
}

fn looked_up(arch: &Architecture, metric: &str, value: f64, trial: Option<i64>) -> Measurement {
    Measurement { trial, budget: "looked up".into(), ..Measurement::new(arch, metric, value) }
}
