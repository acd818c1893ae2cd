//! Jobs, which describe a search: its space, objectives, limits and evaluation.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lanner_evaluate::evaluator::TRAINED;
use lanner_evaluate::proxies::Proxy;
use lanner_evaluate::train::TrainRecipe;
use lanner_network::Skeleton;
use lanner_space::Space;
use serde::{Deserialize, Serialize};

use crate::{SearchError, StrategyName};

/// Name of the latency metric.
pub const LATENCY: &str = "latency_ms";

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
    /// One objective, or two whose trade-offs are searched.
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

/// A metric to make as large or as small as possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    pub metric: String,
    pub maximise: bool,
}

impl Objective {
    /// Returns the value with a sign by which larger is better.
    pub fn signed(&self, value: f64) -> f64 {
        if self.maximise { value } else { -value }
    }
}

/// Largest allowed value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub metric: String,
    pub at_most: f64,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <= {}", self.metric, self.at_most)
    }
}

impl FromStr for Limit {
    type Err = SearchError;

    /// Reads `NAME<=NUMBER`.
    fn from_str(text: &str) -> Result<Limit, SearchError> {
        let wrong = || SearchError::Setting {
            name: "limit",
            value: format!("'{text}'"),
            why: format!("expected NAME<=NUMBER, as {LATENCY}<=4"),
        };
        let (metric, number) = text.split_once("<=").ok_or_else(wrong)?;
        let at_most = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
        match (metric.trim(), at_most) {
            ("", _) | (_, None) => Err(wrong()),
            (metric, Some(at_most)) => Ok(Limit { metric: metric.into(), at_most }),
        }
    }
}

/// Source of a network's metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Evaluate {
    /// Trainings in this process.
    Train,
    /// Zero-cost proxies, without training.
    Proxies,
    /// A command line, in the form of [`lanner_evaluate::script`].
    Command(String),
    /// A table of networks that were trained before.
    Table(PathBuf),
    /// A function of the program that began the study.
    Function,
}

impl fmt::Display for Evaluate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evaluate::Train => f.write_str("train"),
            Evaluate::Proxies => f.write_str("proxies"),
            Evaluate::Command(line) => write!(f, "command:{line}"),
            Evaluate::Table(file) => write!(f, "table:{}", file.display()),
            Evaluate::Function => f.write_str("function"),
        }
    }
}

impl FromStr for Evaluate {
    type Err = SearchError;

    fn from_str(text: &str) -> Result<Evaluate, SearchError> {
        Ok(match text.split_once(':').unwrap_or((text, "")) {
            ("train", "") => Evaluate::Train,
            ("proxies", "") => Evaluate::Proxies,
            ("function", "") => Evaluate::Function,
            ("command", line) if !line.is_empty() => Evaluate::Command(line.into()),
            ("table", file) if !file.is_empty() => Evaluate::Table(file.into()),
            _ => {
                return Err(SearchError::Setting {
                    name: "evaluate",
                    value: format!("'{text}'"),
                    why: "expected train, proxies, command:LINE or table:FILE".into(),
                });
            }
        })
    }
}

impl TryFrom<String> for Evaluate {
    type Error = SearchError;

    fn try_from(text: String) -> Result<Evaluate, SearchError> {
        text.parse()
    }
}

impl From<Evaluate> for String {
    fn from(evaluate: Evaluate) -> String {
        evaluate.to_string()
    }
}

impl Evaluate {
    /// Returns the first word of the text form.
    pub fn kind(&self) -> &'static str {
        match self {
            Evaluate::Train => "train",
            Evaluate::Proxies => "proxies",
            Evaluate::Command(_) => "command",
            Evaluate::Table(_) => "table",
            Evaluate::Function => "function",
        }
    }

    /// Returns the metrics that it can give; `None` where any is possible, or the file has to be read.
    pub fn metrics(&self) -> Option<Vec<&'static str>> {
        match self {
            Evaluate::Train => Some(TRAINED.to_vec()),
            Evaluate::Proxies => Some(Proxy::ALL.map(|p| p.name()).to_vec()),
            _ => None,
        }
    }
}

/// A table, or one column of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredColumn")]
pub struct TableColumn {
    pub file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

/// Forms in which a study may store it: a text, before version 3 of the schema.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredColumn {
    Text(String),
    Parts { file: PathBuf, column: Option<String> },
}

impl From<StoredColumn> for TableColumn {
    fn from(stored: StoredColumn) -> TableColumn {
        match stored {
            StoredColumn::Text(text) => TableColumn::parse(&text),
            StoredColumn::Parts { file, column } => TableColumn { file, column },
        }
    }
}

impl TableColumn {
    /// Reads `FILE` or `FILE:COLUMN`. The name of a file that exists may have colons.
    pub fn parse(text: &str) -> TableColumn {
        match text.rsplit_once(':') {
            Some((file, column)) if !Path::new(text).exists() => {
                TableColumn { file: file.into(), column: Some(column.into()) }
            }
            _ => TableColumn { file: text.into(), column: None },
        }
    }
}

impl fmt::Display for TableColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.column.iter().try_for_each(|column| write!(f, ":{column}"))
    }
}

/// Settings of evaluations and measurements, which a run needs to go on with a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Command line that began the study, for people.
    #[serde(default)]
    pub command: String,
    pub evaluate: Evaluate,
    /// Folder in which the study was begun, and in which its command runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Name of the images to train on.
    pub dataset: String,
    /// Passes over the training images.
    pub epochs: usize,
    /// Time limit for one call of the command, seconds.
    pub timeout: u64,
    /// Number of evaluations at a time.
    pub parallel: usize,
    /// Tables of latencies and other metrics to look up. The first one with a column gives [`LATENCY`]
    /// instead of this machine.
    #[serde(default)]
    pub tables: Vec<TableColumn>,
    /// Number of latencies measured before the search starts.
    pub latency_samples: usize,
    /// Whether the limit is the median of the first measurements.
    pub median_limit: bool,
}

impl Setup {
    /// Makes the settings for an evaluator, with one evaluation at a time.
    pub fn new(evaluate: Evaluate) -> Setup {
        Setup {
            command: String::new(),
            evaluate,
            folder: None,
            dataset: "digits".into(),
            epochs: 1,
            timeout: 86_400,
            parallel: 1,
            tables: Vec::new(),
            latency_samples: 20,
            median_limit: false,
        }
    }

    /// Returns the training recipe. An epoch has few steps, so they are small ones with little
    /// warm-up.
    pub fn recipe(&self) -> TrainRecipe {
        TrainRecipe { epochs: self.epochs, batch: 32, warm_up: 0.3, ..TrainRecipe::default() }
    }

    /// Returns the column that gives [`LATENCY`] instead of this machine.
    pub fn latency_column(&self) -> Option<(&Path, &str)> {
        self.tables.iter().find_map(|t| Some((t.file.as_path(), t.column.as_deref()?)))
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

    /// Adds a limit.
    pub fn at_most(mut self, metric: &str, at_most: f64) -> Job {
        self.limits.push(Limit { metric: metric.into(), at_most });
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

    /// Returns the search space, from the user's file if there is one.
    pub fn space(&self) -> Result<Space, SearchError> {
        let wrong = |why: String| SearchError::Settings { why };
        match &self.space_toml {
            Some(text) => Space::from_toml(text)
                .map_err(|why| wrong(format!("space '{}': {why}", self.space))),
            None => Space::by_name(&self.space).map_err(|e| wrong(e.to_string())),
        }
    }

    /// Returns the skeleton of the networks in this space.
    pub fn skeleton(&self, space: &Space) -> Result<Skeleton, SearchError> {
        let published = Skeleton::of(space)?;
        Ok(match self.skeleton {
            None => published,
            Some(Sizes { channels, cells, resolution, classes }) => {
                Skeleton { channels, cells, resolution, classes, ..published }
            }
        })
    }

    /// Returns the smallest limit of a metric.
    pub fn limit_of(&self, metric: &str) -> Option<f64> {
        let limits = self.limits.iter().filter(|l| l.metric == metric);
        limits.map(|l| l.at_most).reduce(f64::min)
    }

    /// Returns the signs by which larger is better, for each objective.
    pub(crate) fn signs(&self) -> Vec<f64> {
        self.objectives.iter().map(|o| o.signed(1.0)).collect()
    }

    pub(crate) fn check(&self) -> Result<(), SearchError> {
        let wrong = |why: String| Err(SearchError::Settings { why });
        match &self.objectives[..] {
            [_] => {}
            [a, b] if a.metric != b.metric => {}
            [a, _] => return wrong(format!("both objectives are '{}'", a.metric)),
            all => return wrong(format!("{} objectives, expected one or two", all.len())),
        }
        match self.limits.iter().find(|l| !l.at_most.is_finite()) {
            Some(l) => wrong(format!("the limit of {} is {}", l.metric, l.at_most)),
            None => Ok(()),
        }
    }
}
