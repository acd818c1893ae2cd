//! Limits of a run: measures or looks up a network's metrics before its evaluation.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanner_evaluate::meter::{Effort, Latency};
use lanner_network::View;
use lanner_space::Architecture;

use super::Run;
use super::columns::MEASURED;
use super::measuring::looked_up;
use crate::job::LATENCY;
use crate::study::{Trial, analytic};
use crate::{Limit, Objective, SearchError};

/// Largest number of values that are taken from a table of few networks.
const TAUGHT: usize = 200;

type Metrics = BTreeMap<String, f64>;

impl Run {
    /// Returns the limit of the latency, where latencies are measured.
    pub(super) fn limit(&self) -> Option<f64> {
        self.study.job().limit_of(LATENCY).filter(|_| self.is_metered())
    }

    /// Tells whether a meter gives the latencies, neither a table nor the evaluation.
    fn is_metered(&self) -> bool {
        !self.tells_latency && !self.measuring.columns.has(LATENCY)
    }

    /// Tells whether latency is limited or an objective.
    pub(super) fn needs_latency(&self) -> bool {
        let objectives = &self.study.job().objectives;
        self.is_metered()
            && (self.limit().is_some() || objectives.iter().any(|o| o.metric == LATENCY))
    }

    /// Returns the limits that are columns, or that the evaluation tells.
    fn other_limits(&self) -> Vec<Limit> {
        (self.study.job().limits.iter())
            .filter(|l| l.metric != LATENCY || !self.is_metered())
            .filter(|l| analytic(self.study.space(), &l.metric).is_none())
            .cloned()
            .collect()
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

    /// Tells whether a measured latency is surely within the limit.
    pub(super) fn is_surely_within(&self, latency: Latency) -> Result<bool, SearchError> {
        // A value that is looked up has no error.
        let se = Some(latency.se).filter(|se| *se > 0.0);
        self.study.is_surely_within(LATENCY, latency.ms, se)
    }

    /// Returns the metrics of a trial's network if it is not surely within the limits, else `None`.
    pub(super) fn over(&mut self, trial: &Trial) -> Result<Option<Metrics>, SearchError> {
        if let Some(metrics) = self.over_a_column(Some(trial), &trial.arch)? {
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
            Some(latency) if self.is_surely_within(latency)? => None,
            Some(latency) => Some([(LATENCY.to_string(), latency.ms)].into()),
            None => Some(Metrics::new()),
        })
    }

    /// Returns the metrics of a network that is over a limit of a column; else `None`. Where the column
    /// has no value, the prediction decides.
    pub(super) fn over_a_column(
        &mut self,
        trial: Option<&Trial>,
        arch: &Architecture,
    ) -> Result<Option<Metrics>, SearchError> {
        let mut limits = self.other_limits();
        limits.retain(|l| self.measuring.columns.has(&l.metric));
        self.measuring.look_up(&mut self.study, arch, trial.map(|t| t.id))?;
        // The strategy asks only for what is predicted to be within the limits.
        let is_asked = trial.is_some_and(|t| t.round > 0);
        for limit in limits {
            let metric = limit.metric.clone();
            let known = self.study.measurements_of(arch)?;
            let value = match known.iter().rfind(|m| m.metric == metric) {
                Some(known) => known.value,
                // The device does not support the network.
                None if self.measuring.columns.how(&metric) == MEASURED => {
                    return Ok(Some(Metrics::new()));
                }
                None if is_asked || self.study.is_predicted_within(&metric, arch)? => continue,
                None => return Ok(Some(Metrics::new())),
            };
            if !limit.holds(value) {
                return Ok(Some([(metric, value)].into()));
            }
        }
        Ok(None)
    }

    /// Looks up columns for the networks that tell most about all others. Of a table that has few of
    /// them, all values are taken, at most 200.
    pub(super) fn look_up_first(&mut self) -> Result<(), SearchError> {
        let samples = self.setup.latency_samples;
        let known = self.study.measurements()?;
        for metric in self.measuring.columns.metrics() {
            let columns = &self.measuring.columns;
            let is_limited = self.study.job().limits.iter().any(|l| l.metric == metric);
            // The networks of a table that have a value, if they are few.
            let few: Option<Vec<Architecture>> =
                columns.table(&metric).and_then(|(table, column)| {
                    let has_value = |row: &usize| table.columns[column][*row].is_finite();
                    let rows: Vec<usize> = (0..table.len()).filter(has_value).collect();
                    let is_few = (rows.len() as u128) < self.study.space().size() / 2;
                    let step = rows.len().div_ceil(TAUGHT).max(1);
                    is_few.then(|| {
                        rows.iter().step_by(step).map(|&r| table.archs[r].clone()).collect()
                    })
                });
            let enough = few.as_ref().map_or(samples, |few| few.len().min(samples));
            let seen = known.iter().filter(|m| m.metric == metric).count();
            // A second objective that is known of all networks needs no predictor.
            if seen >= enough || !is_limited && few.is_none() {
                continue;
            }
            let mut archs = self.study.first_measurements(samples)?;
            if let Some(few) = few {
                let has_value = |arch: &&Architecture| {
                    let (table, column) = self.measuring.columns.table(&metric)?;
                    table.row_of(arch).filter(|&row| table.columns[column][row].is_finite())
                };
                if 2 * archs.iter().filter(|arch| has_value(arch).is_some()).count() < archs.len() {
                    archs = few;
                }
            }
            for arch in archs {
                if !known.iter().any(|m| m.metric == metric && m.arch == arch)
                    && let Some(value) = self.measuring.columns.value(&metric, &arch)?
                {
                    let how = self.measuring.columns.how(&metric);
                    self.study.measured(&looked_up(&arch, &metric, value, None, how))?;
                }
            }
        }
        Ok(())
    }

    /// Returns the predicted value of a metric; `None` if too little is known.
    fn predicted(&self, metric: &str, arch: &Architecture) -> Result<Option<f64>, SearchError> {
        match self.study.forecast(metric, std::slice::from_ref(arch)) {
            Ok(beliefs) => Ok(beliefs.first().map(|b| b.median)),
            Err(SearchError::Predict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells the study which networks have values of the looked-up metrics.
    pub(super) fn name_sources(&mut self) {
        for (metric, table, column) in self.measuring.columns.sources() {
            let table = Arc::clone(table);
            let has_value = move |arch: &Architecture| {
                table.row_of(arch).is_some_and(|row| table.columns[column][row].is_finite())
            };
            self.study.set_source(metric, Arc::new(has_value));
        }
    }

    /// Tells whether a trial keeps the limits that only its evaluation could tell.
    pub(super) fn keeps_evaluated_limits(&self, trial: &Trial) -> bool {
        let limits = self.other_limits();
        let mut evaluated = limits.iter().filter(|l| !self.measuring.columns.has(&l.metric));
        evaluated.all(|l| trial.metrics.get(&l.metric).is_some_and(|v| l.holds(*v)))
    }

    /// Metrics that the evaluation has to give: the first objective, and those that have no other
    /// source.
    pub fn needed(&self) -> Vec<String> {
        let job = self.study.job();
        let all =
            (job.objectives.iter().map(|o| &o.metric)).chain(job.limits.iter().map(|l| &l.metric));
        let elsewhere = |m: &str| {
            m == LATENCY && self.is_metered()
                || analytic(self.study.space(), m).is_some()
                || self.measuring.columns.has(m)
        };
        let first = job.objectives.iter().map(|o| o.metric.clone()).take(1);
        first.chain(all.skip(1).filter(|m| !elsewhere(m)).cloned()).collect()
    }

    /// Returns the objectives after the first, as far as they are known without the evaluation.
    pub(super) fn beside_the_evaluation(
        &mut self,
        arch: &Architecture,
    ) -> Result<Metrics, SearchError> {
        let mut metrics = Metrics::new();
        for Objective { metric, .. } in &self.study.job().objectives.clone()[1..] {
            let value = if metric == LATENCY && self.is_metered() {
                self.known_latency(arch)?.map(|l| l.ms)
            } else if let Some(part) = analytic(self.study.space(), metric) {
                Some(part(&self.skeleton.counts(arch, View::Pruned)?) as f64)
            } else if self.measuring.columns.has(metric) {
                self.measuring.look_up(&mut self.study, arch, None)?;
                let known = self.study.measurements_of(arch)?;
                match known.iter().rfind(|m| m.metric == *metric) {
                    Some(known) => Some(known.value),
                    None => self.predicted(metric, arch)?,
                }
            } else {
                None
            };
            metrics.extend(value.map(|v| (metric.clone(), v)));
        }
        Ok(metrics)
    }
}
