//! Makes a [`Job`] of the options.

use lanner_network::Skeleton;
use lanner_search::run::{Tables, check_metrics, small_skeleton};
use lanner_search::{Evaluate, Job, Objective, SearchError, Setup, Sizes, TableColumn};
use lanner_space::Space;

use super::SearchArgs;
use crate::output::{search_error, usage};

/// Default number of passes over the training images. After more passes, most networks classify nearly
/// all digits, and the differences are chance (docs/training.md).
pub const EPOCHS: usize = 1;

/// Makes a job of the options. With [`Setup::median_limit`], the latency limit is still to be
/// measured.
pub fn job(args: &SearchArgs) -> anyhow::Result<Job> {
    let wrong = |e: &dyn std::fmt::Display| usage(e.to_string());
    let space = Space::by_name(&args.space).map_err(|e| wrong(&e))?;
    let evaluate: Evaluate = args.evaluate.parse().map_err(search_error)?;
    let usual = match evaluate {
        Evaluate::Train | Evaluate::Command(_) => "val_accuracy",
        _ => "",
    };
    let metric = args.metric.clone().unwrap_or(usual.into());
    if args.pareto.as_ref().is_some_and(|second| *second == metric) {
        return Err(usage(format!("--pareto {metric}: that is the first objective already")));
    }
    if args.budget == Some(0) {
        return Err(usage("--budget is 0, expected 1 or more"));
    }
    let limits = args.limit.iter().map(|l| l.parse()).collect::<Result<Vec<_>, SearchError>>();
    let limits = limits.map_err(search_error)?;
    let is_here = matches!(evaluate, Evaluate::Train | Evaluate::Proxies);
    let parallel = args.parallel.unwrap_or_else(|| match is_here {
        true => std::thread::available_parallelism().map_or(1, usize::from),
        false => 1,
    });
    let is_table = matches!(evaluate, Evaluate::Table(_));
    let setup = Setup {
        command: command(),
        folder: None,
        dataset: args.dataset.clone(),
        epochs: args.epochs,
        timeout: args.timeout,
        parallel: parallel.max(1),
        tables: tables(args)?,
        latency_samples: args.latency_samples as usize,
        median_limit: limits.is_empty() && args.pareto.is_none() && !is_table,
        evaluate,
    };
    setup.recipe().check().map_err(|e| wrong(&e))?;
    // A smaller loss is better, with or without --minimise.
    let is_loss = setup.evaluate == Evaluate::Train && metric.ends_with("_loss");
    let mut objectives = vec![Objective { metric, maximise: !(args.minimise || is_loss) }];
    if let Some(second) = &args.pareto {
        objectives.push(Objective { metric: second.clone(), maximise: false });
    }
    let job = Job {
        space: args.space.clone(),
        space_toml: match args.space.ends_with(".toml") {
            true => Some(lanner_space::text::read(&args.space)?),
            false => None,
        },
        skeleton: Some(Sizes::from(&skeleton(args, &space, is_here)?)),
        objectives,
        limits,
        strategy: args.strategy.parse().map_err(|why: String| usage(why))?,
        seed: args.seed,
        budget: args.budget.unwrap_or(40),
        latency_predictor: args.latency_predictor.clone(),
        accuracy_prior: args.accuracy_prior.clone(),
        setup: None,
    };
    check_metrics(&job, &setup, &mut Tables::default()).map_err(search_error)?;
    Ok(Job { setup: Some(setup), ..job })
}

/// Returns the command line of this process, quoted for a shell.
fn command() -> String {
    let words = std::env::args().skip(1).map(|word| quoted(&word));
    std::iter::once("lanner".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell, where it needs quotes.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Parses the tables in which metrics are looked up; at most one may name a column.
fn tables(args: &SearchArgs) -> anyhow::Result<Vec<TableColumn>> {
    let all: Vec<TableColumn> = args.latency_table.iter().map(|t| TableColumn::parse(t)).collect();
    match all.iter().filter(|t| t.column.is_some()).nth(1) {
        Some(second) => Err(usage(format!(
            "--latency-table {second}: another table's column is {} already; give this file without a \
             column, and limit its columns by their names",
            lanner_search::LATENCY
        ))),
        None => Ok(all),
    }
}

/// Returns the skeleton of the networks: small for evaluations in this process, else as published.
fn skeleton(args: &SearchArgs, space: &Space, is_here: bool) -> anyhow::Result<Skeleton> {
    let usual = match is_here {
        true => small_skeleton(space, &args.dataset).map_err(search_error)?,
        false => Skeleton::of(space).map_err(|e| usage(e.to_string()))?,
    };
    Ok(Skeleton {
        channels: args.channels.unwrap_or(usual.channels),
        cells: args.cells.unwrap_or(usual.cells),
        resolution: args.resolution.unwrap_or(usual.resolution),
        classes: args.classes.filter(|_| !is_here).unwrap_or(usual.classes),
        ..usual
    })
}
