//! Networks chosen without learning, to compare with the one that the search found.

use std::collections::BTreeMap;

use lanner_evaluate::evaluator::{Answer, Place, Request};
use lanner_evaluate::meter::{Effort, Latency};
use lanner_network::{Skeleton, View};
use lanner_space::Architecture;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::columns::Columns;
use super::control::{Control, Stop};
use super::rounds::clear;
use super::{Run, Tables, setup};
use crate::job::LATENCY;
use crate::study::comparison::flops;
use crate::study::{Measurement, State, Trial, analytic};
use crate::{Evaluate, Job, SearchError};

/// Name of the choice by size.
const MOST_FLOPS: &str = "most FLOPs";
/// Number of largest networks that are tried until one is within the limits.
const LOOK: usize = 10;

/// Table that a search ends with: its choice beside choices without learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Number of evaluations after which it was made.
    pub evaluations: usize,
    /// The search, the network with the most FLOPs within the limits, and random search, as far as
    /// they are known.
    pub rows: Vec<Choice>,
    /// The curve of random search.
    pub by_chance: Option<Baseline>,
}

/// A row of a [`Comparison`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// `the search`, `most FLOPs` or `random search`.
    pub choice: String,
    /// Text of the architecture; random search has none.
    pub arch: Option<String>,
    /// The objectives, and the accuracies of a training.
    pub metrics: BTreeMap<String, f64>,
    pub latency: Option<Latency>,
    /// Latency that was predicted when the network was asked for, milliseconds.
    pub predicted_ms: Option<f64>,
    /// How the metrics were found.
    pub how: Option<String>,
}

/// The network that is chosen by its size.
pub(super) struct BySize {
    arch: Architecture,
    metrics: BTreeMap<String, f64>,
    latency: Option<Latency>,
    how: &'static str,
}

impl Run {
    /// Returns the network with the most FLOPs within the limits. If the search did not evaluate
    /// it, it is evaluated now, once and outside the budget. Evaluations elsewhere may take hours:
    /// then it is the largest network that the search evaluated. The same holds if none of the
    /// largest networks that are likely to be within the limits is within them.
    /// A finished study keeps its choice.
    pub(super) fn by_size(&mut self, control: &mut Control) -> Result<Option<BySize>, SearchError> {
        let counts = self.study.counts()?;
        let stored = self.study.comparison()?;
        let chosen = match stored.filter(|c| c.evaluations == counts.done + counts.failed) {
            Some(stored) => {
                let row = stored.rows.into_iter().find(|row| row.choice == MOST_FLOPS);
                let text = row.and_then(|row| row.arch);
                Some(text.map(|text| self.study.space().parse(&text)).transpose()?)
            }
            None => None,
        };
        self.choose_by_size(chosen, control)
    }

    fn choose_by_size(
        &mut self,
        chosen: Option<Option<Architecture>>,
        control: &mut Control,
    ) -> Result<Option<BySize>, SearchError> {
        let trials = self.study.trials()?;
        let done =
            |arch: &Architecture| trials.iter().find(|t| t.state == State::Done && t.arch == *arch);
        let mut candidates = match (&chosen, self.evaluator.place()) {
            (Some(chosen), _) => chosen.iter().cloned().collect(),
            (None, Place::Elsewhere) => Vec::new(),
            (None, _) => self.study.largest(LOOK)?,
        };
        if chosen.is_none() {
            candidates.extend(self.evaluated_by_size()?);
        }
        for arch in candidates {
            if done(&arch).is_some_and(|t| !self.keeps_evaluated_limits(t)) {
                continue;
            }
            let latency = match self.known_latency(&arch)? {
                known if !self.needs_latency() => known,
                Some(latency) => Some(latency),
                None => match self.measure(&arch, None, Effort::Quick)? {
                    Some(latency) => Some(latency),
                    None => continue,
                },
            };
            let within = latency.map_or(Ok(true), |l| self.is_surely_within(l))?;
            if !within || self.over_a_column(None, &arch)?.is_some() {
                continue;
            }
            let latency = latency.map_or_else(|| self.known_latency(&arch), |l| Ok(Some(l)))?;
            if let Some(trial) = done(&arch) {
                let how = "evaluated by the search";
                return Ok(Some(BySize { metrics: trial.metrics.clone(), arch, latency, how }));
            }
            let Some(metrics) = self.evaluated_beside(&arch, control)? else { return Ok(None) };
            let how = "one evaluation beside the budget";
            return Ok(Some(BySize { arch, metrics, latency, how }));
        }
        Ok(None)
    }

    /// Returns the metrics of an evaluation outside the budget, which is made now unless it was
    /// made before.
    fn evaluated_beside(
        &mut self,
        arch: &Architecture,
        control: &Control,
    ) -> Result<Option<BTreeMap<String, f64>>, SearchError> {
        let known = self.study.measurements_of(arch)?;
        let stored: BTreeMap<String, f64> =
            known.into_iter().filter(|m| m.comparison).map(|m| (m.metric, m.value)).collect();
        if !stored.is_empty() {
            return Ok(Some(stored));
        }
        let stop = &*control.stop;
        let out = self.folder.join("networks").join("most-flops.onnx");
        clear(&out)?;
        let answer = self.evaluator.evaluate(&Request {
            arch,
            seed: self.study.seed_of(arch),
            needed: &self.needed(),
            out: &out,
            log: &self.folder.join("output").join("most-flops.txt"),
            worker: 0,
            stop: &|| stop() != Stop::No,
        })?;
        let Answer::Metrics(metrics) = answer else { return Ok(None) };
        for (metric, value) in &metrics {
            self.study.measured(&Measurement {
                budget: "the most FLOPs, beside the budget".into(),
                comparison: true,
                ..Measurement::new(arch, metric, *value)
            })?;
        }
        Ok(Some(metrics))
    }

    /// Returns the architectures of done trials, those with the most FLOPs first.
    fn evaluated_by_size(&self) -> Result<Vec<Architecture>, SearchError> {
        let mut sized = Vec::new();
        if !Skeleton::is_known(self.study.space()) {
            return Ok(Vec::new());
        }
        for t in self.study.trials()?.into_iter().filter(|t| t.state == State::Done) {
            let flops = flops(&self.skeleton, &t.arch).unwrap_or_default();
            sized.push((std::cmp::Reverse(flops), t.id, t.arch));
        }
        sized.sort_by_key(|s| (s.0, s.1));
        Ok(sized.into_iter().map(|s| s.2).collect())
    }

    /// Returns the expected best of as many random networks as were evaluated: exactly over a table,
    /// else predicted from the trials.
    pub(super) fn by_chance(&mut self, evaluated: usize) -> Result<Option<Baseline>, SearchError> {
        match random_search(self.study.job(), evaluated, &mut self.tables) {
            Some(exact) => Ok(Some(exact)),
            None if self.study.job().strategy.learns() => self.study.by_chance(evaluated),
            None => Ok(None),
        }
    }

    /// Compares the best network with those that were chosen without learning, and stores the
    /// result, so that a report tells the same.
    pub(super) fn compare(
        &mut self,
        best: &Option<(Trial, Option<Latency>)>,
        by_size: Option<BySize>,
        evaluations: usize,
    ) -> Result<Comparison, SearchError> {
        let by_chance = self.by_chance(evaluations)?;
        let (job, space) = (self.study.job(), self.study.space());
        let chosen = |metrics: &BTreeMap<String, f64>| -> BTreeMap<String, f64> {
            let objectives = job.objectives.iter().map(|o| o.metric.as_str());
            let shown = objectives.chain(["val_accuracy", "test_accuracy"]);
            shown.filter_map(|name| Some((name.into(), *metrics.get(name)?))).collect()
        };
        let mut rows = Vec::new();
        if let Some((trial, latency)) = best {
            // A value that was never measured is said to be predicted.
            let known = self.study.measurements_of(&trial.arch)?;
            let unknown =
                |m: &str| !known.iter().any(|k| k.metric == m) && self.measuring.columns.has(m);
            let predicted: Vec<String> = (trial.predicted.iter())
                .filter(|(metric, _)| unknown(metric))
                .map(|(metric, (median, sd))| format!("{metric} predicted: {median:.4} ± {sd:.2}"))
                .collect();
            let how = (!predicted.is_empty()).then(|| predicted.join(", "));
            let predicted_ms = trial.predicted.get(LATENCY).map(|p| p.0);
            rows.push(Choice {
                choice: "the search".into(),
                arch: Some(space.print(&trial.arch)),
                metrics: chosen(&trial.metrics),
                latency: *latency,
                predicted_ms: predicted_ms.filter(|_| latency.is_some()),
                how,
            });
        }
        if let Some(size) = by_size {
            rows.push(Choice {
                choice: MOST_FLOPS.into(),
                arch: Some(space.print(&size.arch)),
                metrics: chosen(&size.metrics),
                latency: size.latency,
                predicted_ms: None,
                how: Some(size.how.into()),
            });
        }
        let last = by_chance.as_ref().and_then(|b| Some((b.curve.last().copied()?, &b.what)));
        if let (Some(((n, value), what)), Some(objective)) = (last, job.objectives.first()) {
            rows.push(Choice {
                choice: "random search".into(),
                arch: None,
                metrics: [(objective.metric.clone(), value)].into(),
                latency: None,
                predicted_ms: None,
                how: Some(format!("the expected best of {n} random networks, {what}")),
            });
        }
        let comparison = Comparison { evaluations, rows, by_chance };
        self.study.set_comparison(&comparison)?;
        Ok(comparison)
    }
}

/// Computes the expected curve of random search over a table within the limits; `None` if there is
/// no table, or there are two objectives.
pub fn random_search(job: &Job, most: usize, tables: &mut Tables) -> Option<Baseline> {
    let job_setup = job.setup.as_ref()?;
    let Evaluate::Table(file) = &job_setup.evaluate else { return None };
    let [objective] = &job.objectives[..] else { return None };
    // The table may be gone by now: then the curve is unknown.
    let space = job.space().ok()?;
    let skeleton = job.skeleton(&space).ok()?;
    let table = tables.read(file, &space).ok()?;
    let evaluator = setup::evaluator(job, job_setup, &skeleton, tables).ok()?;
    let columns = Columns::of(job, job_setup, &*evaluator, &space, None, false, tables).ok()?;
    let within = |arch: &Architecture| {
        job.limits.iter().all(|limit| {
            let value = match analytic(&space, &limit.metric) {
                Some(part) => {
                    let cost = skeleton.counts(arch, View::Pruned).ok();
                    cost.map(|cost| part(&cost) as f64)
                }
                None => columns.value(&limit.metric, arch).ok().flatten(),
            };
            value.is_some_and(|v| limit.holds(v))
        })
    };
    let values = table.column(&objective.metric).ok()?;
    let values: Vec<f64> = (table.archs.par_iter().zip(values))
        .map(|(arch, &value)| if within(arch) { value } else { f64::NAN })
        .collect();
    Baseline::expected("exact over the table", &values, objective.maximise, most)
}
