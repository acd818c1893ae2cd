//! What a search is about: the options, resolved once and kept in the study.

use std::path::Path;

use lanner_data::images;
use lanner_evaluate::proxies::Proxy;
use lanner_evaluate::train::Recipe;
use lanner_network::Skeleton;
use lanner_search::study::{Limit, Objective, Settings, Sizes};
use lanner_space::Space;
use serde::{Deserialize, Serialize};

use super::{SearchArgs, columns::file_and_column, tables::Tables};
use crate::output::usage;

/// Passes over the training images of the default job: after more, most networks classify nearly all digits,
/// and what differs is chance (docs/training.md).
pub const EPOCHS: usize = 1;
/// What is measured on this machine.
pub const LATENCY: &str = "latency_ms";

/// What a training tells.
pub const TRAINED: [&str; 6] =
    ["val_accuracy", "test_accuracy", "val_loss", "test_loss", "train_loss", "seconds"];

/// What the driver needs to go on, as it stands in the study.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The line that began the study.
    pub command: String,
    /// As on the command line.
    pub evaluate: String,
    pub dataset: String,
    pub epochs: usize,
    pub timeout: u64,
    pub parallel: usize,
    pub latency_table: Option<String>,
    /// All `--latency-table`, for columns other than the latency.
    #[serde(default)]
    pub tables: Vec<String>,
    pub latency_samples: usize,
    /// Whether the limit is the median of the first measurements.
    pub median_limit: bool,
}

impl Job {
    pub fn recipe(&self) -> Recipe {
        // So few steps want to be many small ones, with little time to warm up.
        Recipe { epochs: self.epochs, batch: 32, warm_up: 0.3, ..Recipe::default() }
    }
}

impl Job {
    /// Whether an evaluation may tell of a metric: a program may of any.
    pub fn tells(&self, metric: &str) -> bool {
        match self.evaluate.split_once(':').map_or(self.evaluate.as_str(), |e| e.0) {
            "command" => true,
            "train" => TRAINED.contains(&metric),
            "proxies" => Proxy::ALL.iter().any(|p| p.name() == metric),
            _ => false,
        }
    }
}

/// The study's settings by the options; without `--limit` that of the median is still to be added.
pub fn settings(args: &SearchArgs, tables: &mut Tables) -> anyhow::Result<(Settings, Job)> {
    let wrong = |e: &dyn std::fmt::Display| usage(e.to_string());
    let space = Space::by_name(&args.space).map_err(|e| wrong(&e))?;
    let space_toml = match args.space.ends_with(".toml") {
        true => Some(std::fs::read_to_string(&args.space)?),
        false => None,
    };
    let (kind, rest) = args.evaluate.split_once(':').unwrap_or((&args.evaluate, ""));
    let usual = match (kind, rest) {
        ("train", "") => Some("val_accuracy"),
        ("command", line) if !line.is_empty() => Some("val_accuracy"),
        ("proxies", "") => None,
        ("table", file) if !file.is_empty() => None,
        _ => {
            let expected = "expected train, proxies, command:LINE or table:FILE";
            return Err(usage(format!("--evaluate '{}': {expected}", args.evaluate)));
        }
    };
    let metric = args.metric.clone().or(usual.map(String::from)).unwrap_or_default();
    check_metric(kind, rest, &metric, &space, tables)?;
    if args.pareto.as_ref().is_some_and(|second| *second == metric) {
        return Err(usage(format!("--pareto {metric}: that is the first objective already")));
    }
    // Before anything is measured.
    lanner_search::by_name(&args.strategy, 1, args.seed).map_err(usage)?;
    let limits = args.limit.iter().map(|l| limit(l)).collect::<anyhow::Result<Vec<_>>>()?;
    let here = ["train", "proxies"].contains(&kind);
    let skeleton = skeleton(args, &space, here)?;
    let parallel = args.parallel.unwrap_or_else(|| match kind {
        "train" | "proxies" => std::thread::available_parallelism().map_or(1, usize::from),
        _ => 1,
    });
    let job = Job {
        command: command(),
        evaluate: args.evaluate.clone(),
        dataset: args.dataset.clone(),
        epochs: args.epochs,
        timeout: args.timeout,
        parallel: parallel.max(1),
        latency_table: latency_table(args)?,
        tables: args.latency_table.clone(),
        latency_samples: args.latency_samples.max(5),
        median_limit: limits.is_empty() && args.pareto.is_none() && kind != "table",
    };
    job.recipe().check().map_err(|e| wrong(&e))?;
    // Losses are better when smaller, whatever was said.
    let is_loss = kind == "train" && metric.ends_with("_loss");
    let maximise = !(args.minimise || is_loss);
    let mut objectives = vec![Objective { metric, maximise }];
    if let Some(second) = &args.pareto {
        objectives.push(Objective { metric: second.clone(), maximise: false });
    }
    let settings = Settings {
        space: args.space.clone(),
        space_toml,
        skeleton: Some(Sizes::from(&skeleton)),
        objectives,
        limits,
        strategy: args.strategy.clone(),
        seed: args.seed,
        budget: args.budget.unwrap_or(40),
        driver: serde_json::to_value(&job)?,
    };
    Ok((settings, job))
}

/// The command line of this process, for a shell.
fn command() -> String {
    let words = std::env::args().skip(1).map(|word| quoted(&word));
    std::iter::once("lanner".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn limit(text: &str) -> anyhow::Result<Limit> {
    let expected = || usage(format!("--limit '{text}': expected NAME<=NUMBER, as {LATENCY}<=4"));
    let (metric, number) = text.split_once("<=").ok_or_else(expected)?;
    let (metric, number) = (metric.trim(), number.trim().parse::<f64>());
    let at_most = number.ok().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(expected)?;
    match metric.is_empty() {
        true => Err(expected()),
        false => Ok(Limit { metric: metric.into(), at_most }),
    }
}

/// Refuses a metric that the evaluation will not tell, before anything is measured.
fn check_metric(
    kind: &str,
    file: &str,
    metric: &str,
    space: &Space,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let unknown = |known: &str| match metric {
        "" => usage(format!("--evaluate {kind}: needs --metric, one of: {known}")),
        name => usage(format!("--metric {name}: not among those of --evaluate {kind}: {known}")),
    };
    match kind {
        "train" if !TRAINED.contains(&metric) => Err(unknown(&TRAINED.join(", "))),
        "proxies" if !Proxy::ALL.iter().any(|p| p.name() == metric) => {
            Err(unknown(&Proxy::ALL.map(|p| p.name()).join(", ")))
        }
        "table" => {
            let table = tables.read(Path::new(file), space)?;
            match metric {
                "" => Err(unknown(&table.names.join(", "))),
                name => table.column(name).map(|_| ()).map_err(|e| usage(format!("--metric: {e}"))),
            }
        }
        _ => Ok(()),
    }
}

/// The FILE:COLUMN that stands for this machine's latency, of all `--latency-table`.
fn latency_table(args: &SearchArgs) -> anyhow::Result<Option<String>> {
    let mut with_column = args.latency_table.iter().filter(|t| file_and_column(t).1.is_some());
    let first = with_column.next().cloned();
    match with_column.next() {
        Some(second) => Err(usage(format!(
            "--latency-table {second}: {LATENCY} is a column already; of other files give the name alone and \
             limit their columns by name"
        ))),
        None => Ok(first),
    }
}

/// The network around an architecture: small for trainings of ours, as published for others'.
fn skeleton(args: &SearchArgs, space: &Space, small: bool) -> anyhow::Result<Skeleton> {
    let published = Skeleton::of(space).map_err(|e| usage(e.to_string()))?;
    let (mut cells, mut resolution, mut classes) =
        (published.cells, published.resolution, published.classes);
    if small {
        let set = images::by_name(&args.dataset)?;
        cells = space.few_cells().searched.min(cells);
        resolution = set.train.shape().height;
        classes = set.train.classes.len();
    }
    Ok(Skeleton {
        channels: args.channels.unwrap_or(published.channels),
        cells: args.cells.unwrap_or(cells),
        resolution: args.resolution.unwrap_or(resolution),
        classes: args.classes.filter(|_| !small).unwrap_or(classes),
        ..published
    })
}
