//! Facts that the sections of the report share: each trial's values, the best trials, the front, and
//! the trials that are shown one by one.

use std::collections::{BTreeSet, HashMap};

use lanner_network::{Counts, View};
use lanner_search::study::{Measurement, State, Trial, analytic};
use lanner_search::{Job, Objective};
use lanner_space::{Architecture, Space};

use crate::columns::Columns;
use crate::unit::Unit;

/// Trials in the table of the best, and trials of a front that are marked and listed.
const BEST: usize = 25;
const FRONT: usize = 400;
/// Trials with details besides the best and the front: as many as a reader can still point at.
const SAMPLE: usize = 1000;
/// Largest number of improvements that are marked, the last ones.
const IMPROVEMENTS: usize = 200;
/// Largest number of failures that are listed with their notes, the last ones.
const FAILURES: usize = 50;

/// A metric on an axis of a plot.
#[derive(Debug, Clone)]
pub(crate) struct SecondAxis {
    pub metric: String,
    pub maximise: bool,
    /// Value of each trial; NaN where it is unknown.
    pub values: Vec<f64>,
    pub limit: Option<f64>,
}

pub(crate) struct Facts {
    pub job: Job,
    pub space: Space,
    pub trials: Columns,
    pub objective: Objective,
    /// Second axis of the plots beside the first objective.
    pub second: Option<SecondAxis>,
    /// Third and fourth objectives.
    pub others: Vec<SecondAxis>,
    /// The network to deploy, by [`lanner_search::study::Study::best`].
    pub chosen: Option<usize>,
    /// Numbers of trials by state, in the order of [`State::ALL`], without the imported ones.
    pub states: [usize; 5],
    pub imported: usize,
    /// Trials that cost budget and have ended, in the order of asking.
    pub evaluated: Vec<usize>,
    /// Trials within the limits that were better than all before, each with its position in
    /// `evaluated` (from 1).
    pub improvements: Vec<(usize, usize)>,
    /// Done trials within the limits, the best first.
    pub best: Vec<usize>,
    /// Trials that no other one beats on both axes, or in all of several objectives, by rising values
    /// on the second axis.
    pub front: Vec<usize>,
    /// Trials that the reader can point at.
    pub shown: BTreeSet<usize>,
    /// The last failed trials.
    pub failed: Vec<usize>,
    /// All trials that are shown or failed last.
    pub details: HashMap<usize, Trial>,
    /// Facts about the device on which latencies were measured, by name.
    pub device: Vec<(String, String)>,
    /// Measurements of these trials' architectures.
    pub measurements: HashMap<Architecture, Vec<Measurement>>,
    units: HashMap<String, Unit>,
}

impl Facts {
    /// Makes the facts without details, which the caller then fills in.
    ///
    /// `answer` is the trial that the study names as its answer; without one, it is the best that is
    /// known here.
    pub fn of(job: Job, space: Space, trials: Columns, answer: Option<i64>) -> Facts {
        let objective = (job.objectives.first().cloned())
            .unwrap_or(Objective { metric: "objective".into(), maximise: true });
        let mut facts = Facts {
            job,
            space,
            trials,
            objective,
            second: None,
            others: Vec::new(),
            chosen: None,
            states: [0; 5],
            imported: 0,
            evaluated: Vec::new(),
            improvements: Vec::new(),
            best: Vec::new(),
            front: Vec::new(),
            shown: BTreeSet::new(),
            failed: Vec::new(),
            details: HashMap::new(),
            device: Vec::new(),
            measurements: HashMap::new(),
            units: HashMap::new(),
        };
        facts.second = facts.find_second();
        let more = facts.job.objectives.iter().skip(2);
        facts.others = more.map(|o| facts.axis(&o.metric, o.maximise)).collect();
        facts.count();
        facts.rank();
        let named = answer.and_then(|id| facts.trials.id.binary_search(&id).ok());
        facts.chosen = named.or(facts.best.first().copied());
        facts.choose_shown();
        facts
    }

    /// Returns the first objective of a trial; NaN if it was not evaluated.
    pub fn value(&self, i: usize) -> f64 {
        self.trials.value[i]
    }

    /// Returns a metric of a trial's architecture as last measured, else as the trial's evaluation
    /// gave it.
    pub fn metric(&self, i: usize, metric: &str) -> f64 {
        let known = self.trials.known.get(metric).map_or(f64::NAN, |values| values[i]);
        match self.details.get(&i) {
            Some(trial) if known.is_nan() => {
                match (trial.metrics.get(metric), analytic(&self.space, metric)) {
                    (Some(v), _) => *v,
                    // Costs are counted, as the search counts them for its limits.
                    (None, Some(part)) => self.cost(trial).map_or(f64::NAN, |c| part(&c) as f64),
                    (None, None) => f64::NAN,
                }
            }
            _ => known,
        }
    }

    /// Returns the architecture of a trial as text.
    pub fn text(&self, trial: &Trial) -> String {
        self.space.print(&trial.arch)
    }

    /// Returns the format for values of a metric.
    pub fn unit(&self, metric: &str) -> Unit {
        self.units.get(metric).copied().unwrap_or_else(|| Unit::of(metric, []))
    }

    /// Chooses the formats by the values that are shown; needs the details.
    pub fn choose_units(&mut self) {
        let names: BTreeSet<&String> = (self.trials.known.keys())
            .chain(self.details.values().flat_map(|t| t.metrics.keys()))
            .chain(self.job.limits.iter().map(|l| &l.metric))
            .collect();
        let unit = |m: &str| Unit::of(m, self.shown.iter().map(|&i| self.metric(i, m)));
        self.units = names.into_iter().map(|m| (m.clone(), unit(m))).collect();
    }

    /// Tells whether the objective `a` is better than `b`. NaN is worse than all numbers.
    pub fn better(&self, a: f64, b: f64) -> bool {
        match self.objective.maximise {
            _ if b.is_nan() => !a.is_nan(),
            true => a > b,
            false => a < b,
        }
    }

    /// Finds the metric of the second axis: the second objective, else a limited metric, else a
    /// latency or a size that the trials have.
    fn find_second(&self) -> Option<SecondAxis> {
        let job = &self.job;
        let known = &self.trials.known;
        let (metric, maximise) = match job.objectives.get(1) {
            Some(second) => (second.metric.clone(), second.maximise),
            None => {
                let limited = job.limits.iter().map(|l| l.metric.as_str());
                let usual = known.keys().map(String::as_str).filter(|n| n.ends_with("_ms"));
                let mut all = limited.chain(usual).chain(["flops", "params", "peak_memory"]);
                let it = all.find(|m| *m != self.objective.metric && known.contains_key(*m))?;
                (it.to_string(), false)
            }
        };
        Some(self.axis(&metric, maximise))
    }

    /// Makes an axis of a metric other than the first objective.
    fn axis(&self, metric: &str, maximise: bool) -> SecondAxis {
        let unknown = || vec![f64::NAN; self.trials.len()];
        let values = self.trials.known.get(metric).cloned().unwrap_or_else(unknown);
        let limit = self.job.limits.iter().find(|l| l.metric == metric).map(|l| l.value());
        SecondAxis { metric: metric.into(), maximise, values, limit }
    }

    /// Makes the axis of the first objective.
    pub fn first_axis(&self) -> SecondAxis {
        let Objective { metric, maximise } = &self.objective;
        SecondAxis { values: self.trials.value.clone(), ..self.axis(metric, *maximise) }
    }

    /// Counts the costs of a trial's network; `None` if it cannot be built.
    pub fn cost(&self, trial: &Trial) -> Option<Counts> {
        let skeleton = self.job.skeleton(&self.space).ok()?;
        skeleton.counts(&trial.arch, View::Pruned).ok()
    }

    fn count(&mut self) {
        let mut best = f64::NAN;
        for i in 0..self.trials.len() {
            let state = self.trials.state[i];
            if self.trials.imported[i] {
                self.imported += 1;
                continue;
            }
            if let Some(s) = State::ALL.iter().position(|s| *s == state) {
                self.states[s] += 1;
            }
            if !matches!(state, State::Done | State::Failed) {
                continue;
            }
            self.evaluated.push(i);
            if self.trials.within[i] && self.better(self.value(i), best) {
                best = self.value(i);
                self.improvements.push((self.evaluated.len(), i));
            }
        }
    }

    /// Returns all objectives of a trial, with the sign by which larger is better.
    fn signed(&self, i: usize) -> Vec<f64> {
        let value = |metric: &str| match metric == self.objective.metric {
            true => self.value(i),
            false => self.trials.known.get(metric).map_or(f64::NAN, |values| values[i]),
        };
        self.job.objectives.iter().map(|o| o.signed(value(&o.metric))).collect()
    }

    /// Ranks the trials of this search; imported ones are neither among the best nor on the front.
    fn rank(&mut self) {
        let all = self.evaluated.iter().copied();
        let sign = if self.objective.maximise { -1.0 } else { 1.0 };
        let mut done: Vec<usize> =
            all.filter(|&i| self.trials.within[i] && self.value(i).is_finite()).collect();
        let value = &self.trials.value;
        // Equal trials keep the order of asking.
        done.sort_by(|&a, &b| (sign * value[a]).total_cmp(&(sign * value[b])).then(a.cmp(&b)));
        if let Some(second) = &self.second {
            let towards = if second.maximise { -1.0 } else { 1.0 };
            let mut least = f64::INFINITY;
            let mut front: Vec<usize> = Vec::new();
            for &i in &done {
                let x = towards * second.values[i];
                if x < least {
                    // Of two trials with the same objective, the better one stays.
                    if front.last().is_some_and(|&f| value[f] == value[i]) {
                        front.pop();
                    }
                    front.push(i);
                    least = x;
                }
            }
            if self.job.objectives.len() > 2 {
                let points: Vec<Vec<f64>> = done.iter().map(|&i| self.signed(i)).collect();
                front = lanner_search::front(&points).into_iter().map(|k| done[k]).collect();
            }
            front.sort_by(|&a, &b| second.values[a].total_cmp(&second.values[b]));
            self.front = front;
        }
        self.best = done;
    }

    fn choose_shown(&mut self) {
        let mut shown: BTreeSet<usize> = self.listed().iter().copied().collect();
        shown.extend(self.marked_front());
        shown.extend(self.chosen);
        shown.extend(self.best.iter().take(BEST));
        shown.extend(self.marked_improvements().iter().map(|p| p.1));
        // A failed trial may have been measured before.
        let measured = |i: usize| self.second.as_ref().is_some_and(|a| a.values[i].is_finite());
        let others: Vec<usize> = (self.evaluated.iter().copied())
            .filter(|&i| (self.value(i).is_finite() || measured(i)) && !shown.contains(&i))
            .collect();
        let step = others.len().div_ceil(SAMPLE).max(1);
        shown.extend(others.into_iter().step_by(step));
        let infeasible = |&i: &usize| self.trials.state[i] == State::Infeasible;
        let over: Vec<usize> = (0..self.trials.len()).filter(infeasible).collect();
        let step = over.len().div_ceil(SAMPLE / 4).max(1);
        shown.extend(over.into_iter().step_by(step));
        self.shown = shown;
        let failed = |i: &&usize| self.trials.state[**i] == State::Failed;
        self.failed = self.evaluated.iter().rev().filter(failed).take(FAILURES).copied().collect();
        self.failed.reverse();
    }

    /// Returns the trials of which the page has details.
    pub fn detailed(&self) -> Vec<usize> {
        self.shown.iter().chain(&self.failed).copied().collect()
    }

    /// Returns the trials of the table: the front of several objectives, else the best ones.
    pub fn listed(&self) -> &[usize] {
        match self.job.objectives.len() {
            0 | 1 => &self.best[..self.best.len().min(BEST)],
            _ => &self.front[..self.front.len().min(2 * BEST)],
        }
    }

    /// Returns the front, or an even sample of it.
    pub fn marked_front(&self) -> Vec<usize> {
        let step = self.front.len().div_ceil(FRONT).max(1);
        self.front.iter().copied().step_by(step).collect()
    }

    pub fn marked_improvements(&self) -> &[(usize, usize)] {
        &self.improvements[self.improvements.len().saturating_sub(IMPROVEMENTS)..]
    }

    pub fn state(&self, state: State) -> usize {
        State::ALL.iter().position(|s| *s == state).map_or(0, |s| self.states[s])
    }

    /// Returns the share of its final hypervolume that the front had after each evaluation that
    /// widened it, in percent. The hypervolume begins at the worst values of all evaluated trials.
    pub fn hypervolume(&self) -> Vec<(usize, f64)> {
        let Some(second) = &self.second else { return Vec::new() };
        if self.job.objectives.len() > 2 {
            return self.volumes();
        }
        let (sx, sy) = (
            if second.maximise { 1.0 } else { -1.0 },
            if self.objective.maximise { 1.0 } else { -1.0 },
        );
        // The reference point is the worst value of all evaluated trials on each axis.
        let known = |&&i: &&usize| self.trials.within[i] && self.value(i).is_finite();
        let points = || self.evaluated.iter().filter(known);
        let x0 = points().map(|&i| sx * second.values[i]).fold(f64::INFINITY, f64::min);
        let y0 = points().map(|&i| sy * self.value(i)).fold(f64::INFINITY, f64::min);
        // The front so far, with x rising and y falling.
        let mut front: Vec<(f64, f64)> = Vec::new();
        let mut volume = Vec::new();
        for (n, &i) in self.evaluated.iter().enumerate() {
            let (x, y) = (sx * second.values[i], sy * self.value(i));
            if !self.trials.within[i] || !x.is_finite() || !y.is_finite() {
                continue;
            }
            let at = front.partition_point(|p| p.0 < x);
            // Of the points to the right, the next one has the largest y.
            if front.get(at).is_some_and(|p| p.1 >= y) {
                continue;
            }
            front.retain(|p| p.0 > x || p.1 > y);
            front.insert(front.partition_point(|p| p.0 < x), (x, y));
            let mut sum = 0.0;
            let mut left = x0;
            for &(x, y) in &front {
                sum += (x - left) * (y - y0);
                left = x;
            }
            volume.push((n + 1, sum));
        }
        let last = volume.last().map_or(0.0, |v| v.1);
        if last > 0.0 {
            volume.iter_mut().for_each(|v| v.1 *= 100.0 / last);
            return volume;
        }
        Vec::new()
    }

    /// [`Facts::hypervolume`] of more than two objectives, after up to 160 numbers of evaluations.
    fn volumes(&self) -> Vec<(usize, f64)> {
        let finite = |p: &Vec<f64>| p.iter().all(|v| v.is_finite());
        let all = self.evaluated.iter().enumerate().filter(|(_, i)| self.trials.within[**i]);
        let all: Vec<(usize, Vec<f64>)> =
            all.map(|(n, &i)| (n + 1, self.signed(i))).filter(|p| finite(&p.1)).collect();
        let least = |j: usize| all.iter().map(|p| p.1[j]).fold(f64::INFINITY, f64::min);
        let worst: Vec<f64> = (0..self.job.objectives.len()).map(least).collect();
        let mut volume: Vec<(usize, f64)> = Vec::new();
        for k in lanner_search::run::spaced(all.len()) {
            let points: Vec<&[f64]> = all[..k].iter().map(|p| p.1.as_slice()).collect();
            let v = lanner_search::hypervolume(&points, &worst);
            if volume.last().is_none_or(|last| v > last.1) {
                volume.push((all[k - 1].0, v));
            }
        }
        let last = volume.last().map_or(0.0, |v| v.1);
        volume.iter_mut().for_each(|v| v.1 *= 100.0 / last);
        if last > 0.0 { volume } else { Vec::new() }
    }
}
