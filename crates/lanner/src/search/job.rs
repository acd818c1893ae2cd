//! Makes a [`Job`] of the options.

use std::collections::BTreeMap;

use lanner_evaluate::measure::Device;
use lanner_network::Skeleton;
use lanner_predict::accuracy::untrained::RANK;
use lanner_search::run::{Tables, check_metrics, small_skeleton};
use lanner_search::{
    Evaluate, Job, LATENCY, Limit, OBJECTIVES, Objective, SearchError, Setup, Sizes, TableColumn,
};
use lanner_space::Space;

use super::SearchArgs;
use crate::output::{search_error, usage};
use lanner::say;

/// Default number of passes over the training images. After more passes, most networks classify nearly
/// all digits, and the differences are chance (docs/training.md).
pub const EPOCHS: usize = 1;

/// Makes a job of the options. With [`Setup::median_limit`], the latency limit is still to be
/// measured.
pub fn job(args: &SearchArgs) -> anyhow::Result<Job> {
    let wrong = |e: &dyn std::fmt::Display| usage(e.to_string());
    let space = Space::by_name(&args.space).map_err(|e| wrong(&e))?;
    let evaluate: Evaluate = args.evaluate.parse().map_err(search_error)?;
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
    let tables = tables(args)?;
    let names_latency = limits.iter().any(|l: &Limit| l.metric == LATENCY)
        || args.pareto.iter().any(|metric| metric == LATENCY);
    let is_looked_up = tables.iter().any(|t| t.column.is_some());
    // A space of parameters has no network to measure here. Transformers may take seconds a run: they are measured
    // if that is asked for.
    let has_network = Skeleton::is_known(&space);
    let usually = space.parameters().is_none() || is_looked_up;
    let median_limit = limits.is_empty() && args.pareto.is_empty() && !is_table && usually;
    let is_measured = (names_latency || median_limit) && !is_looked_up && has_network;
    let mut setup = Setup {
        command: command(),
        options: BTreeMap::new(),
        folder: None,
        dataset: args.dataset.clone(),
        epochs: args.epochs,
        timeout: args.timeout,
        parallel: parallel.max(1),
        tables,
        device: Device::default(),
        measure: measure(args)?,
        measured: Vec::new(),
        latency_samples: args.latency_samples as usize,
        median_limit,
        measurements: args.measurements.map(|n| n as usize),
        evaluate,
    };
    setup.recipe().check().map_err(|e| wrong(&e))?;
    let objectives = objectives(args, &setup)?;
    let threads = usize::from(args.threads_measured);
    setup.device = args.device.device(threads, args.measure_timeout, is_measured)?;
    let job = Job {
        space: args.space.clone(),
        space_toml: match args.space.ends_with(".toml") {
            true => Some(lanner_space::text::read(&args.space)?),
            false => None,
        },
        skeleton: skeleton(args, &space, is_here)?.as_ref().map(Sizes::from),
        objectives,
        limits,
        strategy: args.strategy.parse().map_err(|why: String| usage(why))?,
        seed: args.seed,
        budget: args.budget.unwrap_or(40),
        latency_predictor: args.latency_predictor.clone(),
        accuracy_prior: args.accuracy_prior.clone(),
        setup: None,
    };
    Ok(Job { setup: Some(setup), ..job })
}

/// Returns the command line of --measure.
fn measure(args: &SearchArgs) -> anyhow::Result<Option<String>> {
    let Some(how) = &args.measure else { return Ok(None) };
    match how.strip_prefix("command:").filter(|line| !line.trim().is_empty()) {
        Some(line) => Ok(Some(line.into())),
        None => Err(usage(format!(
            "--measure '{how}': expected command:LINE, as command:'./board.sh {{onnx}}'"
        ))),
    }
}

/// Returns the objectives, the metric first, each with the direction that is given or known.
fn objectives(args: &SearchArgs, setup: &Setup) -> anyhow::Result<Vec<Objective>> {
    let directed = || {
        let minimised = args.minimise.iter().map(|name| (name, false));
        minimised.chain(args.maximise.iter().map(|name| (name, true)))
    };
    let usual = match setup.evaluate {
        Evaluate::Train | Evaluate::Command(_) => "val_accuracy",
        Evaluate::Proxies => RANK,
        _ => "",
    };
    let named =
        directed().map(|d| d.0).find(|name| !name.is_empty() && !args.pareto.contains(name));
    let metric = args.metric.as_ref().or(named).map_or(usual, String::as_str);
    let first = Job::new(&args.space).maximise(metric);
    check_metrics(&first, setup, &mut Tables::default()).map_err(search_error)?;
    let names: Vec<&str> =
        std::iter::once(metric).chain(args.pareto.iter().map(String::as_str)).collect();
    let option = |maximise: bool| if maximise { "--maximise" } else { "--minimise" };
    for (name, maximise) in directed() {
        if !name.is_empty() && !names.contains(&name.as_str()) {
            let known = names.join(", ");
            let option = option(maximise);
            return Err(usage(format!("{option} {name}: no objective; there are: {known}")));
        }
    }
    let mut objectives = Vec::new();
    for (number, name) in names.iter().enumerate() {
        if names[..number].contains(name) {
            return Err(usage(format!("--pareto {name}: that is an objective already")));
        }
        let is_it = |given: &str| given == *name || (given.is_empty() && number == 0);
        let given: Vec<bool> = directed().filter(|d| is_it(d.0)).map(|d| d.1).collect();
        if given.contains(&true) && given.contains(&false) {
            return Err(usage(format!("--minimise and --maximise {name}: give one of them")));
        }
        // More of a zero-cost proxy promises more accuracy, of params and flops too.
        let by_custom = setup.evaluate == Evaluate::Proxies && number == 0;
        let given = given.first().copied().or(by_custom.then_some(true));
        objectives.push(Objective::named(name, given).map_err(search_error)?);
    }
    match objectives.len() > OBJECTIVES {
        true => Err(usage(format!("{} objectives, expected up to {OBJECTIVES}", names.len()))),
        false => Ok(objectives),
    }
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

/// Returns the skeleton of the networks: small for evaluations in this process, else as published; none
/// for parameters.
fn skeleton(args: &SearchArgs, space: &Space, is_here: bool) -> anyhow::Result<Option<Skeleton>> {
    if !Skeleton::is_known(space) && !is_here {
        let sizes = [args.channels, args.cells, args.resolution, args.classes];
        let names = ["--channels", "--cells", "--resolution", "--classes"];
        if let Some((name, size)) = names.iter().zip(sizes).find_map(|(n, s)| Some((n, s?))) {
            return Err(usage(format!(
                "{name} {size}: {space} is a space of parameters, whose networks a program of yours makes"
            )));
        }
        return Ok(None);
    }
    let usual = match is_here {
        true => small_skeleton(space, &args.dataset).map_err(search_error)?,
        false => Skeleton::of(space).map_err(|e| usage(e.to_string()))?,
    };
    if let (true, Some(classes)) = (is_here, args.classes) {
        let why = "the classes are those of --dataset; the option is for a command or a table";
        return Err(usage(format!("--classes {classes}: {why}")));
    }
    let skeleton = Skeleton {
        channels: args.channels.unwrap_or(usual.channels),
        cells: args.cells.unwrap_or(usual.cells),
        resolution: args.resolution.unwrap_or(usual.resolution),
        classes: args.classes.unwrap_or(usual.classes),
        ..usual
    };
    skeleton.check().map_err(|e| usage(e.to_string()))?;
    if let (true, Ok(own)) = (args.space.ends_with(".toml"), Skeleton::of(space)) {
        let sizes = |s: &Skeleton| format!("{} pixels and {} classes", s.resolution, s.classes);
        let (here, file) = (sizes(&skeleton), sizes(&own));
        if here != file {
            say!("lanner: networks of {} have {here} here, its file says {file}", args.space);
        }
    }
    Ok(Some(skeleton))
}
