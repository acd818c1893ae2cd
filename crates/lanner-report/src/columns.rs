//! Columns with what the page needs of every trial. As text and maps, a study of a million trials
//! takes gigabytes; of most trials the page shows a number or two.

use std::collections::{BTreeMap, HashMap};

use lanner_search::study::{Drift, Measurement, State, Trial};
use lanner_search::{Job, Limit};
use lanner_space::Architecture;

use crate::text::last_line;

/// Largest number of different causes of failures that are counted.
const CAUSES: usize = 1000;

/// Columns with one value a trial, in the order of asking. Numbers are NaN where a value is unknown.
pub(crate) struct Columns {
    pub id: Vec<i64>,
    pub round: Vec<u32>,
    pub state: Vec<State>,
    pub imported: Vec<bool>,
    /// First objective of done trials, as evaluated.
    pub value: Vec<f64>,
    /// Objectives, limited metrics, latencies and sizes: as last measured, else as evaluated.
    pub known: BTreeMap<String, Vec<f64>>,
    /// Predictions from the time of asking: median and standard deviation.
    pub predicted: BTreeMap<String, Vec<(f64, f64)>>,
    /// Whether each trial is surely within all limits as far as is known, as in
    /// [`lanner_search::study::Study::best`].
    pub within: Vec<bool>,
    /// Number of measurements, without those of the comparison.
    pub measurements: usize,
    /// Number of values that tables gave.
    pub looked_up: usize,
    /// Time when the first trial of this search was asked for, and when the last one ended.
    pub begin: f64,
    pub end: f64,
    /// Last lines of the notes of failed trials, counted.
    pub causes: BTreeMap<String, usize>,
    objective: String,
    named: Vec<String>,
    /// Measured values by metric and architecture, until all trials are added.
    measured: HashMap<String, HashMap<Architecture, (f64, Option<f64>)>>,
    limits: Vec<(Limit, Drift)>,
}

impl Columns {
    /// Makes empty columns; `drifts` has one for each limit of the job.
    pub fn new(job: &Job, drifts: Vec<Drift>) -> Columns {
        let objectives = job.objectives.iter().map(|o| o.metric.clone());
        let limits = job.limits.iter().map(|l| l.metric.clone());
        Columns {
            id: Vec::new(),
            round: Vec::new(),
            state: Vec::new(),
            imported: Vec::new(),
            value: Vec::new(),
            known: BTreeMap::new(),
            predicted: BTreeMap::new(),
            measurements: 0,
            looked_up: 0,
            begin: f64::INFINITY,
            end: f64::NEG_INFINITY,
            causes: BTreeMap::new(),
            objective: job.objectives.first().map_or("".into(), |o| o.metric.clone()),
            named: objectives.chain(limits).collect(),
            within: Vec::new(),
            measured: HashMap::new(),
            limits: job.limits.iter().cloned().zip(drifts).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.id.len()
    }

    fn is_kept(&self, metric: &str) -> bool {
        self.named.iter().any(|n| n == metric)
            || metric.ends_with("_ms")
            || ["flops", "params", "peak_memory"].contains(&metric)
    }

    /// Adds a measurement: before all trials, and in the order of measuring. A later measurement of
    /// the same network is the better one, so the last one counts.
    pub fn add_measurement(&mut self, m: Measurement) {
        match m.is_looked_up() {
            true => self.looked_up += 1,
            false => self.measurements += usize::from(!m.comparison),
        }
        if m.value.is_finite() && self.is_kept(&m.metric) {
            self.measured.entry(m.metric).or_default().insert(m.arch, (m.value, m.se));
        }
    }

    pub fn add_trial(&mut self, t: &Trial) {
        let n = self.len();
        for (metric, v) in &t.metrics {
            if v.is_finite() && self.is_kept(metric) {
                put(&mut self.known, metric, n, *v, f64::NAN);
            }
        }
        for (metric, archs) in &self.measured {
            if let Some((v, _)) = archs.get(&t.arch) {
                put(&mut self.known, metric, n, *v, f64::NAN);
            }
        }
        self.within.push(self.limits.iter().all(|(limit, drift)| {
            let measured = self.measured.get(&limit.metric).and_then(|archs| archs.get(&t.arch));
            let last = measured.copied().or(t.metrics.get(&limit.metric).map(|v| (*v, None)));
            last.is_none_or(|(value, se)| drift.surely_holds(limit, value, se))
        }));
        for (metric, belief) in &t.predicted {
            put(&mut self.predicted, metric, n, *belief, (f64::NAN, f64::NAN));
        }
        let done = t.state == State::Done;
        let value = t.metrics.get(&self.objective).filter(|_| done);
        self.value.push(value.copied().unwrap_or(f64::NAN));
        self.id.push(t.id);
        self.round.push(t.round);
        self.state.push(t.state);
        self.imported.push(t.origin.is_some());
        if t.origin.is_none() {
            self.begin = self.begin.min(t.asked_at);
            self.end = self.end.max(t.finished_at.unwrap_or(f64::NEG_INFINITY));
        }
        if t.state == State::Failed {
            let cause = last_line(t.note.as_deref());
            if self.causes.len() < CAUSES || self.causes.contains_key(&cause) {
                *self.causes.entry(cause).or_default() += 1;
            }
        }
    }

    /// Ends the columns after all trials.
    pub fn finish(mut self) -> Columns {
        self.measured = HashMap::new();
        let n = self.len();
        self.known.values_mut().for_each(|c| c.resize(n, f64::NAN));
        self.predicted.values_mut().for_each(|c| c.resize(n, (f64::NAN, f64::NAN)));
        self
    }
}

/// Sets row `n`, which is the last one, of a column that may be new or shorter.
fn put<T: Copy>(columns: &mut BTreeMap<String, Vec<T>>, name: &str, n: usize, v: T, none: T) {
    if !columns.contains_key(name) {
        columns.insert(name.into(), Vec::new());
    }
    if let Some(column) = columns.get_mut(name) {
        column.resize(n, none);
        column.push(v);
    }
}
