//! How a run evaluates and measures networks.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lanner_data::converted;
use lanner_evaluate::evaluator::TRAINED;
use lanner_evaluate::measure::Device;
#[cfg(doc)]
use lanner_evaluate::meter::ScriptMeter;
use lanner_evaluate::proxies::Proxy;
use lanner_evaluate::train::TrainRecipe;
use lanner_predict::accuracy::untrained::RANK;
use serde::{Deserialize, Serialize};

use crate::SearchError;

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
            Evaluate::Proxies => {
                Some(std::iter::once(RANK).chain(Proxy::ALL.map(Proxy::name)).collect())
            }
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
    /// Options of this command line and of its file, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Vec<String>>,
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
    /// Tables of latencies and other metrics to look up. The first one with a column gives [`LATENCY`](crate::LATENCY)
    /// instead of this machine.
    #[serde(default)]
    pub tables: Vec<TableColumn>,
    /// Device on which latencies are measured.
    #[serde(default)]
    pub device: Device,
    /// Command line that measures metrics before the evaluation, in the form of [`ScriptMeter`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// Metrics that this command prints, or the caller's own function gives; a run finds them when it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<String>,
    /// Number of latencies measured before the search starts.
    pub latency_samples: usize,
    /// Whether the limit is the median of the first measurements.
    pub median_limit: bool,
    /// Number of networks that may be measured for each training to find the best ones within the
    /// limits; `None` if the costs of both decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurements: Option<usize>,
}

impl Setup {
    /// Makes the settings for an evaluator, with one evaluation at a time.
    pub fn new(evaluate: Evaluate) -> Setup {
        Setup {
            command: String::new(),
            options: BTreeMap::new(),
            evaluate,
            folder: None,
            dataset: "digits".into(),
            epochs: 1,
            timeout: 86_400,
            parallel: 1,
            tables: Vec::new(),
            device: Device::default(),
            measure: None,
            measured: Vec::new(),
            latency_samples: 20,
            median_limit: false,
            measurements: None,
        }
    }

    /// Returns the training recipe. An epoch has few steps, so they are small ones with little
    /// warm-up.
    pub fn recipe(&self) -> TrainRecipe {
        TrainRecipe { epochs: self.epochs, batch: 32, warm_up: 0.3, ..TrainRecipe::default() }
    }

    /// Tells whether the measuring command gives a metric, in whatever unit.
    pub fn measures(&self, metric: &str) -> bool {
        self.measured.iter().any(|name| converted(1.0, name, metric).is_some())
    }

    /// Returns the column that gives [`LATENCY`](super::LATENCY) instead of this machine.
    pub fn latency_column(&self) -> Option<(&Path, &str)> {
        self.tables.iter().find_map(|t| Some((t.file.as_path(), t.column.as_deref()?)))
    }
}
