//! What the sections of the report have in common: each trial's values, the best, the front, and the
//! trials that are shown one by one.

use std::collections::{BTreeSet, HashMap};

use lanner_search::study::{Objective, State, Trial};

use crate::Report;

/// Trials in the table of the best, and those of a front that are marked and listed.
const BEST: usize = 25;
const FRONT: usize = 400;
/// Trials with details, besides the best and the front: as many as one can still point at.
const SAMPLE: usize = 1000;
/// Improvements that are marked, if there are more: the last ones.
const IMPROVEMENTS: usize = 200;

/// The second dimension of the front.
pub(crate) struct Across {
    pub metric: String,
    pub maximise: bool,
    /// Of each trial; NaN where it is not known.
    pub values: Vec<f64>,
    pub limit: Option<f64>,
}

pub(crate) struct Facts<'a> {
    pub report: &'a Report,
    pub objective: Objective,
    /// The objective of each trial; NaN where it was not evaluated.
    pub value: Vec<f64>,
    pub across: Option<Across>,
    /// Whether each trial exceeds no limit as far as is known, as [`lanner_search::study::Study::best`].
    pub within: Vec<bool>,
    /// How many of each state, in the order of [`State::ALL`], without the imported ones.
    pub states: [usize; 5],
    pub imported: usize,
    /// Trials that cost budget and have ended, in the order in which they were asked for.
    pub evaluated: Vec<usize>,
    /// Positions in `evaluated` (from 1) of trials within the limits that were better than all before.
    pub improvements: Vec<(usize, usize)>,
    /// Done and within the limits, the best first.
    pub best: Vec<usize>,
    /// Those that no other beats in both dimensions, by the second dimension upwards.
    pub front: Vec<usize>,
    /// What can be pointed at.
    pub shown: BTreeSet<usize>,
    measured: HashMap<(&'a str, &'a str), f64>,
}

impl<'a> Facts<'a> {
    pub fn of(report: &'a Report) -> Facts<'a> {
        let objective = (report.settings.objectives.first().cloned())
            .unwrap_or(Objective { metric: "objective".into(), maximise: true });
        // Measured again later means measured better: the last one counts.
        let measured = report.measurements.iter().filter(|m| m.value.is_finite());
        let measured: HashMap<_, _> =
            measured.map(|m| ((m.arch.as_str(), m.metric.as_str()), m.value)).collect();
        let trials = &report.trials;
        let value: Vec<f64> = (trials.iter())
            .map(|t| match t.state {
                State::Done => t.metrics.get(&objective.metric).copied().unwrap_or(f64::NAN),
                _ => f64::NAN,
            })
            .collect();
        let mut facts = Facts {
            report,
            objective,
            value,
            across: None,
            within: Vec::new(),
            states: [0; 5],
            imported: 0,
            evaluated: Vec::new(),
            improvements: Vec::new(),
            best: Vec::new(),
            front: Vec::new(),
            shown: BTreeSet::new(),
            measured,
        };
        let limits = &report.settings.limits;
        let ok = |t: &Trial| {
            limits.iter().all(|l| facts.metric(t, &l.metric).is_none_or(|v| v <= l.at_most))
        };
        facts.within = trials.iter().map(ok).collect();
        facts.across = facts.second_dimension();
        facts.count();
        facts.rank();
        facts.choose();
        facts
    }

    /// A metric of a trial's architecture: as last measured, or as the trial's evaluation gave it.
    pub fn metric(&self, trial: &Trial, metric: &str) -> Option<f64> {
        let measured = match self.measured.is_empty() {
            true => None,
            false => self.measured.get(&(trial.arch.as_str(), metric)).copied(),
        };
        measured.or_else(|| trial.metrics.get(metric).copied()).filter(|v| v.is_finite())
    }

    /// Whether the objective `a` is better than `b`. NaN is worse than all.
    pub fn better(&self, a: f64, b: f64) -> bool {
        match self.objective.maximise {
            _ if b.is_nan() => !a.is_nan(),
            true => a > b,
            false => a < b,
        }
    }

    /// The second objective; else what is limited; else a latency or a size that the trials have.
    fn second_dimension(&self) -> Option<Across> {
        let settings = &self.report.settings;
        let trials = &self.report.trials;
        let known = |m: &str| trials.iter().any(|t| self.metric(t, m).is_some());
        let limited = settings.limits.iter().map(|l| l.metric.clone());
        let (metric, maximise) = match settings.objectives.get(1) {
            Some(second) => (second.metric.clone(), second.maximise),
            None => {
                // Names from a few trials: all of a search have the same metrics.
                let done = trials.iter().filter(|t| t.state == State::Done).take(100);
                let names: BTreeSet<&String> = done.flat_map(|t| t.metrics.keys()).collect();
                let measured = self.report.measurements.iter().take(100).map(|m| &m.metric);
                let names: BTreeSet<&String> = names.into_iter().chain(measured).collect();
                let usual = names.iter().filter(|n| n.ends_with("_ms")).map(|n| n.to_string());
                let sizes = ["flops", "params", "peak_memory"].map(String::from);
                let sizes = sizes.into_iter().filter(|s| names.contains(s));
                let mut all = limited.chain(usual).chain(sizes);
                (all.find(|m| *m != self.objective.metric && known(m))?, false)
            }
        };
        let values = trials.iter().map(|t| self.metric(t, &metric).unwrap_or(f64::NAN)).collect();
        let limit = settings.limits.iter().find(|l| l.metric == metric).map(|l| l.at_most);
        Some(Across { metric, maximise, values, limit })
    }

    fn count(&mut self) {
        let mut best = f64::NAN;
        for (i, t) in self.report.trials.iter().enumerate() {
            if t.origin.is_some() {
                self.imported += 1;
                continue;
            }
            if let Some(s) = State::ALL.iter().position(|s| *s == t.state) {
                self.states[s] += 1;
            }
            if !matches!(t.state, State::Done | State::Failed) {
                continue;
            }
            self.evaluated.push(i);
            if self.within[i] && self.better(self.value[i], best) {
                best = self.value[i];
                self.improvements.push((self.evaluated.len(), i));
            }
        }
    }

    /// Imported trials are not of this search: they are neither the best nor on the front.
    fn rank(&mut self) {
        let all = self.evaluated.iter().copied();
        let sign = if self.objective.maximise { -1.0 } else { 1.0 };
        let mut done: Vec<usize> =
            all.filter(|&i| self.within[i] && self.value[i].is_finite()).collect();
        let value = &self.value;
        // Equal ones in the order in which they were asked for.
        done.sort_by(|&a, &b| (sign * value[a]).total_cmp(&(sign * value[b])).then(a.cmp(&b)));
        if let Some(across) = &self.across {
            let towards = if across.maximise { -1.0 } else { 1.0 };
            let mut least = f64::INFINITY;
            let mut front: Vec<usize> = Vec::new();
            for &i in &done {
                let x = towards * across.values[i];
                if x < least {
                    // The better of two with one and the same objective.
                    if front.last().is_some_and(|&f| value[f] == value[i]) {
                        front.pop();
                    }
                    front.push(i);
                    least = x;
                }
            }
            front.sort_by(|&a, &b| across.values[a].total_cmp(&across.values[b]));
            self.front = front;
        }
        self.best = done;
    }

    fn choose(&mut self) {
        let mut shown: BTreeSet<usize> = self.listed().iter().copied().collect();
        shown.extend(self.marked_front());
        shown.extend(self.marked_improvements().iter().map(|p| p.1));
        let others: Vec<usize> = (self.evaluated.iter().copied())
            .filter(|&i| self.value[i].is_finite() && !shown.contains(&i))
            .collect();
        let step = others.len().div_ceil(SAMPLE).max(1);
        shown.extend(others.into_iter().step_by(step));
        let infeasible = |&i: &usize| self.report.trials[i].state == State::Infeasible;
        let over: Vec<usize> = (0..self.report.trials.len()).filter(infeasible).collect();
        let step = over.len().div_ceil(SAMPLE / 4).max(1);
        shown.extend(over.into_iter().step_by(step));
        self.shown = shown;
    }

    /// The trials of the table: the front of two objectives, else the best.
    pub fn listed(&self) -> &[usize] {
        match self.report.settings.objectives.len() {
            2 => &self.front[..self.front.len().min(2 * BEST)],
            _ => &self.best[..self.best.len().min(BEST)],
        }
    }

    /// The front, or evenly some of it.
    pub fn marked_front(&self) -> Vec<usize> {
        let step = self.front.len().div_ceil(FRONT).max(1);
        self.front.iter().copied().step_by(step).collect()
    }

    pub fn marked_improvements(&self) -> &[(usize, usize)] {
        &self.improvements[self.improvements.len().saturating_sub(IMPROVEMENTS)..]
    }

    pub fn trial(&self, i: usize) -> &'a Trial {
        &self.report.trials[i]
    }

    pub fn state(&self, state: State) -> usize {
        State::ALL.iter().position(|s| *s == state).map_or(0, |s| self.states[s])
    }

    /// The share of its final hypervolume that the front had after some evaluations, in percent, over
    /// the box between the best and the worst values of the front's two ends.
    pub fn hypervolume(&self) -> Vec<(usize, f64)> {
        let Some(across) = &self.across else { return Vec::new() };
        let (sx, sy) = (
            if across.maximise { 1.0 } else { -1.0 },
            if self.objective.maximise { 1.0 } else { -1.0 },
        );
        // The reference point: the worst of all that were evaluated, in each dimension.
        let known = |&&i: &&usize| self.within[i] && self.value[i].is_finite();
        let points = || self.evaluated.iter().filter(known);
        let x0 = points().map(|&i| sx * across.values[i]).fold(f64::INFINITY, f64::min);
        let y0 = points().map(|&i| sy * self.value[i]).fold(f64::INFINITY, f64::min);
        // The front so far: x upwards, y downwards.
        let mut front: Vec<(f64, f64)> = Vec::new();
        let mut volume = Vec::new();
        for (n, &i) in self.evaluated.iter().enumerate() {
            let (x, y) = (sx * across.values[i], sy * self.value[i]);
            if !self.within[i] || !x.is_finite() || !y.is_finite() {
                continue;
            }
            let at = front.partition_point(|p| p.0 < x);
            if front[at..].iter().any(|p| p.1 >= y) {
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
}
