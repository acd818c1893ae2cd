//! What a study is made of.

use std::collections::BTreeMap;

use lanner_network::Skeleton;
use lanner_space::Space;
use serde::{Deserialize, Serialize};

use super::StudyError;

/// What a search is to find and how, fixed when the study is created (but for the budget).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The name of a search space.
    pub space: String,
    /// The text of the space's file, if a user defined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_toml: Option<String>,
    /// The network around an architecture, by which analytic metrics are counted; the published one
    /// if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<Sizes>,
    /// One, or two between which the study finds the trade-offs.
    pub objectives: Vec<Objective>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// A name that [`crate::by_name`] knows.
    pub strategy: String,
    pub seed: u64,
    /// Trials that are evaluated, failed ones included; infeasible and imported ones cost nothing.
    pub budget: usize,
    /// What the caller needs to go on: its evaluator, data set, runtime. The study only keeps it.
    #[serde(default)]
    pub driver: serde_json::Value,
}

/// The sizes of a [`Skeleton`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    pub channels: usize,
    pub cells: usize,
    pub resolution: usize,
    pub classes: usize,
}

impl From<&Skeleton> for Sizes {
    fn from(s: &Skeleton) -> Sizes {
        let &Skeleton { channels, cells, resolution, classes, .. } = s;
        Sizes { channels, cells, resolution, classes }
    }
}

/// A metric to make as large or as small as possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    pub metric: String,
    pub maximise: bool,
}

impl Objective {
    /// The value with a sign by which more is better.
    pub(crate) fn signed(&self, value: f64) -> f64 {
        if self.maximise { value } else { -value }
    }
}

/// What a metric may be at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub metric: String,
    pub at_most: f64,
}

/// What has become of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The strategy asked for it; nobody runs it.
    Asked,
    /// A process evaluates it.
    Running,
    /// Its metrics are known.
    Done,
    /// The evaluation gave nothing.
    Failed,
    /// A limit is exceeded, as was measured before the evaluation.
    Infeasible,
}

impl State {
    pub const ALL: [State; 5] =
        [State::Asked, State::Running, State::Done, State::Failed, State::Infeasible];

    /// As in the database, lower case.
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

    /// Whether its result is awaited.
    pub fn is_pending(self) -> bool {
        matches!(self, State::Asked | State::Running)
    }
}

/// One architecture that the strategy asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1, in the order of asking.
    pub id: i64,
    /// The batch, from 1; 0 of imported ones.
    pub round: u32,
    /// In the space's text form.
    pub arch: String,
    pub state: State,
    /// For the evaluation; below 2³², so that any program takes it.
    pub seed: u64,
    /// Where it was imported from; such trials cost no budget. What a study is given to start from
    /// ([`Study::create_warm`](super::Study::create_warm)) are no trials.
    pub origin: Option<String>,
    /// Who runs it or did: `host/boot/pid namespace/pid/start/number`.
    pub owner: Option<String>,
    /// Unix seconds, as all times.
    pub asked_at: f64,
    /// When it was claimed, the last time if the process before died.
    pub started_at: Option<f64>,
    pub finished_at: Option<f64>,
    pub metrics: BTreeMap<String, f64>,
    /// What was believed when it was asked for: median and standard deviation of the objectives and
    /// the metrics that are limited.
    pub predicted: BTreeMap<String, (f64, f64)>,
    /// Why it failed.
    pub note: Option<String>,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Values that are not finite count as missing, and a trial without an objective as failed.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub arch: String,
    pub metric: String,
    pub value: f64,
    /// Standard error.
    pub se: Option<f64>,
    /// The trial that it was made for.
    pub trial: Option<i64>,
    pub seed: u64,
    /// The effort, in the caller's words.
    pub budget: String,
    pub unix_time: f64,
}

/// How many trials there are of each state, and how many of all were imported.
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

    /// Trials that cost budget, pending ones included.
    pub fn spent(&self) -> usize {
        (self.all() - self.infeasible).saturating_sub(self.imported)
    }
}

impl Settings {
    /// The search space, that of the user's file if there is one.
    pub fn space(&self) -> Result<Space, StudyError> {
        let wrong = |why: String| StudyError::Settings { why };
        match &self.space_toml {
            Some(text) => Space::from_toml(text)
                .map_err(|why| wrong(format!("space '{}': {why}", self.space))),
            None => Space::by_name(&self.space).map_err(|e| wrong(e.to_string())),
        }
    }

    /// The network around an architecture of this space.
    pub fn skeleton(&self, space: &Space) -> Result<Skeleton, StudyError> {
        let published = Skeleton::of(space)?;
        Ok(match self.skeleton {
            None => published,
            Some(Sizes { channels, cells, resolution, classes }) => {
                Skeleton { channels, cells, resolution, classes, ..published }
            }
        })
    }

    pub(super) fn check(&self) -> Result<(), StudyError> {
        let wrong = |why: String| Err(StudyError::Settings { why });
        match &self.objectives[..] {
            [_] => {}
            [a, b] if a.metric != b.metric => {}
            [a, _] => return wrong(format!("both objectives are '{}'", a.metric)),
            all => return wrong(format!("{} objectives, expected one or two", all.len())),
        }
        if let Some(l) = self.limits.iter().find(|l| !l.at_most.is_finite()) {
            return wrong(format!("the limit of {} is {}", l.metric, l.at_most));
        }
        crate::by_name(&self.strategy, self.budget, self.seed)
            .map(|_| ())
            .map_err(|why| StudyError::Settings { why })
    }
}
