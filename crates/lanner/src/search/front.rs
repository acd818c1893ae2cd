//! Two objectives: what is known of the second, and the front, measured again.

use std::collections::BTreeMap;

use lanner_network::{Cost, View};
use lanner_search::hypervolume;
use lanner_search::study::{ANALYTIC, State, Trial};
use lanner_space::Architecture;

use super::{
    driver::Search,
    job::LATENCY,
    latency::{Effort, Latency},
};
use crate::output::progress;

/// Trials none of which beats another in both objectives.
pub struct Front {
    pub points: Vec<Point>,
    /// The area between the front and the reference point.
    pub hypervolume: f64,
    /// The worst value of each objective among all trials that are done.
    pub reference: [f64; 2],
}

pub struct Point {
    pub trial: Trial,
    /// Of both objectives, as last measured.
    pub values: [f64; 2],
    pub latency: Option<Latency>,
}

/// A metric that a network has by what it is.
pub fn analytic(cost: &Cost, metric: &str) -> Option<f64> {
    let value = match metric {
        "params" => cost.params,
        "flops" => cost.flops,
        "macs" => cost.macs,
        "memory_bytes" => cost.peak_bytes,
        _ => return None,
    };
    Some(value as f64)
}

impl Search {
    /// What is known of a network without its evaluation: the second objective.
    pub fn beside_the_evaluation(
        &self,
        arch: &Architecture,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let Some(second) = self.study.settings().objectives.get(1) else {
            return Ok(BTreeMap::new());
        };
        let metric = second.metric.as_str();
        let value = if metric == LATENCY {
            self.known_latency(&self.study.space().print(arch))?.map(|l| l.ms)
        } else if ANALYTIC.contains(&metric) {
            analytic(&Cost::of(&self.skeleton.build(arch, View::Pruned)?), metric)
        } else {
            self.columns.value(metric, arch)
        };
        Ok(value.map(|v| (metric.to_string(), v)).into_iter().collect())
    }

    /// The front of two objectives. Latencies are measured with more effort, one after the other, until
    /// all networks of what is the front then have been.
    pub fn front(&mut self) -> anyhow::Result<Option<Front>> {
        let objectives = self.study.settings().objectives.clone();
        let [first, second] = &objectives[..] else { return Ok(None) };
        let mut again: BTreeMap<i64, Latency> = BTreeMap::new();
        let bar = progress(0, "measuring the front");
        let front = loop {
            let mut front = self.study.front()?;
            front.retain(|t| self.keeps_evaluated_limits(t));
            let next = front.iter().find(|t| !again.contains_key(&t.id)).cloned();
            let Some(trial) = next.filter(|_| self.needs_latency()) else { break front };
            let arch = self.study.space().parse(&trial.arch)?;
            // What can no longer be measured stays as it was.
            let lost = Latency { ms: f64::NAN, se: f64::NAN };
            let latency = self.measure(&arch, Some(trial.id), Effort::Final)?.unwrap_or(lost);
            again.insert(trial.id, latency);
            bar.tell(again.len() as u64, front.len().max(again.len()) as u64);
        };
        bar.clear();
        let measurements = self.study.measurements()?;
        let value = |t: &Trial, metric: &str| {
            let last = measurements.iter().rfind(|m| m.metric == metric && m.arch == t.arch);
            last.map(|m| m.value).or(t.metrics.get(metric).copied()).unwrap_or(f64::NAN)
        };
        let points: Vec<Point> = (front.into_iter())
            .map(|trial| Point {
                values: [value(&trial, &first.metric), value(&trial, &second.metric)],
                latency: again.get(&trial.id).copied().filter(|l| l.ms.is_finite()),
                trial,
            })
            .filter(|p| p.latency.is_none_or(|l| self.is_surely_within(l)))
            .collect();
        let signs = [first, second].map(|o| if o.maximise { 1.0 } else { -1.0 });
        let signed = |values: [f64; 2]| [signs[0] * values[0], signs[1] * values[1]];
        let mut worst = [f64::INFINITY; 2];
        for t in self.study.trials()?.iter().filter(|t| t.state == State::Done) {
            let at = signed([value(t, &first.metric), value(t, &second.metric)]);
            worst = [worst[0].min(at[0]), worst[1].min(at[1])];
        }
        let all: Vec<[f64; 2]> = points.iter().map(|p| signed(p.values)).collect();
        Ok(Some(Front { hypervolume: hypervolume(&all, worst), reference: signed(worst), points }))
    }
}
