//! Jobs, which describe a search: its space, objectives, limits and evaluation.

mod goal;
mod setup;

use std::path::PathBuf;

use lanner_network::Skeleton;
use lanner_space::Space;
use serde::{Deserialize, Serialize};

use crate::{SearchError, StrategyName};
pub use goal::{Bound, Limit, Objective};
pub use setup::{Evaluate, Setup, TableColumn};

/// Name of the latency metric.
pub const LATENCY: &str = "latency_ms";
/// Largest number of objectives.
pub const OBJECTIVES: usize = 4;

/// Description of a search; fixed when its study is created, except for the budget.
///
/// ```
/// use lanner_search::Job;
/// let job = Job::new("nasbench201").maximise("val_accuracy").at_most("latency_ms", 5.0).budget(60);
/// assert_eq!(job.limits[0].to_string(), "latency_ms <= 5");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Name of the search space.
    pub space: String,
    /// Text of the space's file, if a user defined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_toml: Option<String>,
    /// Sizes of the network around an architecture; the published ones if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<Sizes>,
    /// One objective, or up to [`OBJECTIVES`] whose trade-offs are searched.
    pub objectives: Vec<Objective>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    pub strategy: StrategyName,
    pub seed: u64,
    /// Number of trials to evaluate, failed ones included; infeasible and imported trials cost
    /// nothing.
    pub budget: usize,
    /// File of a predictor of [`LATENCY`]: it tells which networks are likely within the limit before
    /// any is measured, and measurements correct it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_predictor: Option<PathBuf>,
    /// Files of predictors whose values the strategy starts from, as from values of earlier searches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accuracy_prior: Vec<PathBuf>,
    /// How networks are evaluated and measured; `None` if the caller does that itself.
    #[serde(default, rename = "driver", skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
}

/// Sizes of a [`Skeleton`].
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

impl Job {
    /// Makes a job of 40 evaluations by the default strategy, without objective.
    pub fn new(space: &str) -> Job {
        Job {
            space: space.into(),
            space_toml: None,
            skeleton: None,
            objectives: Vec::new(),
            limits: Vec::new(),
            strategy: StrategyName::Default,
            seed: 0,
            budget: 40,
            latency_predictor: None,
            accuracy_prior: Vec::new(),
            setup: None,
        }
    }

    /// Adds an objective to maximise.
    pub fn maximise(mut self, metric: &str) -> Job {
        self.objectives.push(Objective { metric: metric.into(), maximise: true });
        self
    }

    /// Adds an objective to minimise.
    pub fn minimise(mut self, metric: &str) -> Job {
        self.objectives.push(Objective { metric: metric.into(), maximise: false });
        self
    }

    /// Adds a limit to the largest value of a metric.
    pub fn at_most(mut self, metric: &str, value: f64) -> Job {
        self.limits.push(Limit::at_most(metric, value));
        self
    }

    /// Adds a limit to the smallest value of a metric.
    pub fn at_least(mut self, metric: &str, value: f64) -> Job {
        self.limits.push(Limit::at_least(metric, value));
        self
    }

    /// Sets the number of evaluations.
    pub fn budget(mut self, budget: usize) -> Job {
        self.budget = budget;
        self
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Job {
        self.seed = seed;
        self
    }

    /// Describes objectives and limits: `val_accuracy as large as possible; latency_ms <= 4`.
    pub fn aim(&self) -> String {
        let objectives = self.objectives.iter().map(Objective::to_string);
        objectives.chain(self.limits.iter().map(Limit::to_string)).collect::<Vec<_>>().join("; ")
    }

    /// Returns the search space, from the user's file if there is one.
    pub fn space(&self) -> Result<Space, SearchError> {
        let wrong = |why: String| SearchError::Settings { why };
        match &self.space_toml {
            Some(text) => Space::from_toml(text)
                .map_err(|why| wrong(format!("space '{}': {why}", self.space))),
            None => Space::by_name(&self.space).map_err(|e| wrong(e.to_string())),
        }
    }

    /// Returns the skeleton of the networks in this space; one that builds nothing in a space of parameters.
    pub fn skeleton(&self, space: &Space) -> Result<Skeleton, SearchError> {
        if !Skeleton::is_known(space) {
            return Ok(Skeleton::none(space));
        }
        let published = Skeleton::of(space)?;
        Ok(match self.skeleton {
            None => published,
            Some(Sizes { channels, cells, resolution, classes }) => {
                Skeleton { channels, cells, resolution, classes, ..published }
            }
        })
    }

    /// Returns the smallest of a metric's limits to its largest value.
    pub fn limit_of(&self, metric: &str) -> Option<f64> {
        let limits = self.limits.iter().filter(|l| l.metric == metric);
        let most = limits.filter_map(|l| match l.bound {
            Bound::AtMost(value) => Some(value),
            Bound::AtLeast(_) => None,
        });
        most.reduce(f64::min)
    }

    /// Returns the smallest of a metric's limits to its largest value, and the largest of those to its smallest.
    pub(crate) fn bounds_of(&self, metric: &str) -> Vec<Limit> {
        let least = self.limits.iter().filter_map(|l| match l.bound {
            Bound::AtLeast(value) if l.metric == metric => Some(value),
            _ => None,
        });
        let least = least.reduce(f64::max).map(|value| Limit::at_least(metric, value));
        self.limit_of(metric)
            .map(|value| Limit::at_most(metric, value))
            .into_iter()
            .chain(least)
            .collect()
    }

    /// Refuses limits of which one says less than another of the same metric, or that no value keeps.
    pub(crate) fn check_limits(&self) -> Result<(), SearchError> {
        for (i, limit) in self.limits.iter().enumerate() {
            let wrong = |other: &Limit, why: &str| {
                Err(SearchError::Settings { why: format!("limits {other} and {limit}: {why}") })
            };
            for other in self.limits[..i].iter().filter(|l| l.metric == limit.metric) {
                match (other.bound, limit.bound) {
                    (Bound::AtMost(_), Bound::AtMost(_))
                    | (Bound::AtLeast(_), Bound::AtLeast(_)) => {
                        return wrong(other, "give one of them");
                    }
                    (Bound::AtMost(most), Bound::AtLeast(least))
                    | (Bound::AtLeast(least), Bound::AtMost(most))
                        if least > most =>
                    {
                        return wrong(other, "no value keeps both");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Returns the signs by which larger is better, for each objective.
    pub(crate) fn signs(&self) -> Vec<f64> {
        self.objectives.iter().map(|o| o.signed(1.0)).collect()
    }

    pub(crate) fn check(&self) -> Result<(), SearchError> {
        let wrong = |why: String| Err(SearchError::Settings { why });
        let all = &self.objectives;
        if !(1..=OBJECTIVES).contains(&all.len()) {
            return wrong(format!("{} objectives, expected 1 to {OBJECTIVES}", all.len()));
        }
        let metrics = all.iter().map(|o| &o.metric).chain(self.limits.iter().map(|l| &l.metric));
        if let Some(name) = metrics.into_iter().find(|name| !is_metric_name(name)) {
            return wrong(format!("a metric cannot be called {name:?}"));
        }
        let again = |i: &usize| all[..*i].iter().any(|o| o.metric == all[*i].metric);
        if let Some(i) = (1..all.len()).find(again) {
            return wrong(format!("two objectives are '{}'", all[i].metric));
        }
        let least = |l: &&Limit| l.metric == LATENCY && matches!(l.bound, Bound::AtLeast(_));
        if let Some(l) = self.limits.iter().find(least) {
            return wrong(format!(
                "the limit {l}: a latency has a largest value only, {LATENCY}<=4"
            ));
        }
        if let Some(l) = self.limits.iter().find(|l| !l.value().is_finite()) {
            return wrong(format!("the limit of {} is {}", l.metric, l.value()));
        }
        Ok(())
    }
}

/// Tells whether a metric's name can be shown and written to a table.
pub(crate) fn is_metric_name(name: &str) -> bool {
    let is_short = !name.is_empty() && name.len() <= 1000;
    is_short && name.trim() == name && !name.chars().any(char::is_control)
}
