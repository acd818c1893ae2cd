//! Trials, measurements and their counts.

use std::collections::BTreeMap;

use lanner_space::{Architecture, Space};
use serde::Serialize;
use serde_json::{Value, json};

/// State of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The strategy asked for it; no process runs it.
    Asked,
    /// A process evaluates it.
    Running,
    /// Its metrics are known.
    Done,
    /// The evaluation gave no metrics.
    Failed,
    /// A limit was exceeded, as was measured before the evaluation.
    Infeasible,
}

impl State {
    pub const ALL: [State; 5] =
        [State::Asked, State::Running, State::Done, State::Failed, State::Infeasible];

    /// Returns the name in the database, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            State::Asked => "asked",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
            State::Infeasible => "infeasible",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Tells whether the result is still to come.
    pub fn is_pending(self) -> bool {
        matches!(self, State::Asked | State::Running)
    }
}

/// One architecture that the strategy asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Number of the trial, from 1, in the order of asking.
    pub id: i64,
    /// Number of the round, from 1; 0 for imported trials, and for those that a run was given first.
    pub round: u32,
    pub arch: Architecture,
    pub state: State,
    /// Seed for the evaluation, below 2³², so that any program can take it.
    pub seed: u64,
    /// Source of an imported trial, which costs no budget. Warm-start values
    /// ([`Study::create_warm`](super::Study::create_warm)) are not trials.
    pub origin: Option<String>,
    /// Process that runs or ran it: `host/boot/pid namespace/pid/start/number`.
    pub owner: Option<String>,
    /// Time when it was asked for, in Unix seconds like all times.
    pub asked_at: f64,
    /// Time when it was last claimed.
    pub started_at: Option<f64>,
    pub finished_at: Option<f64>,
    pub metrics: BTreeMap<String, f64>,
    /// Predictions from the time of asking: median and standard deviation of the objectives and of
    /// the limited metrics.
    pub predicted: BTreeMap<String, (f64, f64)>,
    /// Reason of a failure.
    pub note: Option<String>,
}

/// Result of a trial's evaluation.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Metrics of a successful evaluation. Values that are not finite count as missing, and a trial
    /// without an objective as failed.
    Done {
        metrics: BTreeMap<String, f64>,
    },
    Failed {
        why: String,
    },
    Infeasible {
        metrics: BTreeMap<String, f64>,
    },
}

/// A metric measured apart from a trial's evaluation, such as a latency.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub arch: Architecture,
    pub metric: String,
    pub value: f64,
    /// Standard error.
    pub se: Option<f64>,
    /// Trial for which it was made.
    pub trial: Option<i64>,
    pub seed: u64,
    /// Effort of the measurement, in the caller's words.
    pub budget: String,
    /// Whether it comes from an evaluation outside the budget, for comparison with the search.
    pub comparison: bool,
    pub unix_time: f64,
}

impl Measurement {
    /// Makes a measurement of now, without standard error, trial and effort.
    pub fn new(arch: &Architecture, metric: &str, value: f64) -> Measurement {
        Measurement {
            arch: arch.clone(),
            metric: metric.into(),
            value,
            se: None,
            trial: None,
            seed: 0,
            budget: String::new(),
            comparison: false,
            unix_time: super::now(),
        }
    }

    /// Effort of a value that a table gave.
    pub(crate) const LOOKED_UP: &str = "looked up";

    /// Tells whether a table gave the value, not a measurement.
    pub fn is_looked_up(&self) -> bool {
        self.budget == Measurement::LOOKED_UP
    }

    /// Returns the fields by name, with the architecture as text.
    pub fn json(&self, space: &Space) -> Value {
        json!({
            "arch": space.print(&self.arch), "metric": self.metric, "value": self.value,
            "se": self.se, "trial": self.trial, "seed": self.seed, "budget": self.budget,
            "unix_time": self.unix_time,
        })
    }
}

impl Trial {
    /// Returns the fields by name, with the architecture as text.
    pub fn json(&self, space: &Space) -> Value {
        json!({
            "id": self.id, "round": self.round, "arch": space.print(&self.arch),
            "state": self.state, "seed": self.seed, "origin": self.origin, "owner": self.owner,
            "asked_at": self.asked_at, "started_at": self.started_at,
            "finished_at": self.finished_at, "metrics": self.metrics,
            "predicted": self.predicted, "note": self.note,
        })
    }
}

/// Numbers of trials by state, and of imported ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub asked: usize,
    pub running: usize,
    pub done: usize,
    pub failed: usize,
    pub infeasible: usize,
    pub imported: usize,
}

impl Counts {
    pub fn all(&self) -> usize {
        self.asked + self.running + self.done + self.failed + self.infeasible
    }

    /// Returns the number of trials that cost budget, pending ones included.
    pub fn spent(&self) -> usize {
        (self.all() - self.infeasible).saturating_sub(self.imported)
    }
}
