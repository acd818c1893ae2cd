//! Beside the network that the search found: what one would have chosen by size, and by chance.

use std::collections::BTreeMap;
use std::path::Path;

use lanner_network::{Cost, View};
use lanner_report::Baseline;
use lanner_search::study::{ANALYTIC, Outcome, Settings, State};
use lanner_space::Architecture;
use rayon::prelude::*;

use super::{
    columns::{Columns, file_and_column},
    driver::{Search, measurement},
    evaluator::Evaluator,
    job::{Job, LATENCY},
    latency::{Effort, Latency},
    tables::Tables,
};

/// Networks that are looked at, the largest first, until one is within the limits.
const LOOK: usize = 10;
/// Marks what was evaluated beside the budget.
const BESIDE: &str = "the most FLOPs, beside the budget";

/// A network that is chosen without learning anything.
pub struct BySize {
    pub arch: String,
    pub metrics: BTreeMap<String, f64>,
    pub latency: Option<Latency>,
    /// How its metrics came to be known.
    pub how: &'static str,
}

impl Search {
    /// The network with the most FLOPs of those within the limits. If the search did not evaluate it,
    /// that is done now, once and beside the budget; but for a command, whose trainings may take
    /// hours: then it is the largest that the search did evaluate, and so it is if of the largest
    /// that are likely to be within the limits none is.
    pub fn by_size(
        &mut self,
        give_up: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<Option<BySize>> {
        let trials = self.study.trials()?;
        let done = |text: &str| trials.iter().find(|t| t.state == State::Done && t.arch == text);
        let mut candidates = match &self.evaluator {
            Evaluator::Command(_) => Vec::new(),
            _ => self.study.largest(LOOK)?,
        };
        candidates.extend(self.evaluated_by_size()?);
        for text in candidates {
            let arch = self.study.space().parse(&text)?;
            if done(&text).is_some_and(|t| !self.keeps_evaluated_limits(t)) {
                continue;
            }
            let latency = match self.known_latency(&text)? {
                _ if !self.needs_latency() => None,
                Some(latency) => Some(latency),
                None => match self.measure(&arch, None, Effort::Quick)? {
                    Some(latency) => Some(latency),
                    None => continue,
                },
            };
            let within = latency.is_none_or(|l| self.is_surely_within(l));
            if !within || self.over_a_column(None, &arch)?.is_some() {
                continue;
            }
            if let Some(trial) = done(&text) {
                let how = "evaluated by the search";
                let metrics = trial.metrics.clone();
                return Ok(Some(BySize { arch: text, metrics, latency, how }));
            }
            let known = self.study.measurements_of(&text)?;
            let earlier = known.into_iter().filter(|m| m.budget == BESIDE);
            let mut metrics: BTreeMap<String, f64> = earlier.map(|m| (m.metric, m.value)).collect();
            if metrics.is_empty() {
                let seed = self.study.seed_of(&text);
                let out = self.folder.join("networks").join("most-flops.onnx");
                let needed = self.needed();
                let outcome =
                    self.evaluator.evaluate(&arch, seed, &self.skeleton, &needed, &out, give_up)?;
                let Some(Outcome::Done { metrics: told }) = outcome else { return Ok(None) };
                for (metric, value) in &told {
                    let m = measurement(text.clone(), metric, *value, None, None, BESIDE.into());
                    self.study.measured(&m)?;
                }
                metrics = told;
            }
            let how = "one evaluation beside the budget";
            return Ok(Some(BySize { arch: text, metrics, latency, how }));
        }
        Ok(None)
    }

    /// Trials that are done, those with the most FLOPs first.
    fn evaluated_by_size(&self) -> anyhow::Result<Vec<String>> {
        let mut sized = Vec::new();
        for t in self.study.trials()?.into_iter().filter(|t| t.state == State::Done) {
            let network = self.skeleton.build(&self.study.space().parse(&t.arch)?, View::Pruned)?;
            sized.push((std::cmp::Reverse(Cost::of(&network).flops), t.id, t.arch));
        }
        sized.sort();
        Ok(sized.into_iter().map(|s| s.2).collect())
    }
}

impl Search {
    /// What the best of as many random networks as were evaluated is expected to be, and how that is
    /// known: over a table exactly, else by what the trials let one expect.
    pub fn by_chance(&mut self, evaluated: usize) -> anyhow::Result<Option<(f64, String)>> {
        let settings = self.study.settings();
        if let Some(exact) = by_chance(settings, evaluated, &mut self.tables) {
            let of =
                |&(n, value): &(usize, f64)| (value, format!("mean of all searches, {n} networks"));
            return Ok(exact.curve.last().map(of));
        }
        if settings.strategy == "random" {
            return Ok(None);
        }
        let value = self.study.by_chance(evaluated)?;
        Ok(value.map(|v| (v, format!("predicted from the trials, {evaluated} networks"))))
    }
}

/// What random search over a table is expected to reach, within the limits; nothing if there is no table
/// or there are two objectives.
pub fn by_chance(settings: &Settings, most: usize, tables: &mut Tables) -> Option<Baseline> {
    let job: Job = serde_json::from_value(settings.driver.clone()).ok()?;
    let file = Path::new(job.evaluate.strip_prefix("table:")?);
    let [objective] = &settings.objectives[..] else { return None };
    // A table may be gone since: then nothing is known.
    let space = settings.space().ok()?;
    let skeleton = settings.skeleton(&space).ok()?;
    let table = tables.read(file, &space).ok()?;
    let columns = Columns::of(settings, &job, &space, tables).ok()?;
    let latency = match &job.latency_table {
        Some(source) => {
            let (file, column) = file_and_column(source);
            Some((tables.read(&file, &space).ok()?, column?))
        }
        None => None,
    };
    let within = |arch: &Architecture| {
        settings.limits.iter().all(|limit| {
            let value = match (limit.metric.as_str(), &latency) {
                (LATENCY, Some((table, column))) => table.value(column, arch).ok().flatten(),
                (metric, _) if ANALYTIC.contains(&metric) => {
                    let cost = skeleton.build(arch, View::Pruned).ok().map(|n| Cost::of(&n));
                    cost.and_then(|c| super::front::analytic(&c, metric))
                }
                (metric, _) => columns.value(metric, arch),
            };
            value.is_some_and(|v| v <= limit.at_most)
        })
    };
    let values = table.column(&objective.metric).ok()?;
    let values: Vec<f64> = (table.archs.par_iter().zip(values))
        .map(|(arch, &value)| if within(arch) { value } else { f64::NAN })
        .collect();
    let what = "random search, expected over the table";
    Baseline::expected(what, &values, objective.maximise, most)
}
