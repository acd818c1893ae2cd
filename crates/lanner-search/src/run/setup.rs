//! Makes the parts of a run that its job names: evaluator, meter and skeleton.

use std::sync::Arc;
use std::time::Duration;

use lanner_data::images;
use lanner_evaluate::evaluator::{
    CommandEvaluator, Evaluator, ProxyEvaluator, TableEvaluator, TrainEvaluator,
};
use lanner_evaluate::meter::{MachineMeter, Meter, ScriptMeter, TableMeter};
use lanner_evaluate::proxies::{self, Proxy};
use lanner_evaluate::script::Script;
use lanner_evaluate::{memory_limit, train};
use lanner_network::Skeleton;
use lanner_predict::accuracy::untrained::{MEMBERS, RANK};
use lanner_space::{Architecture, Space};

use super::columns::{Measure, named};
use super::ranked::RankEvaluator;
use super::tables::Tables;
use crate::job::LATENCY;
use crate::study::ANALYTIC;
use crate::{Evaluate, Job, SearchError, Setup};

/// Number of images on which proxies are computed.
const BATCH: usize = 64;
/// Number of networks that are tried to find out what a function measures.
const TRIES: usize = 20;
/// Fraction of the training images that is kept for validation.
const VALIDATION: f64 = 0.2;

/// Makes the evaluator that a setup names.
pub(super) fn evaluator(
    job: &Job,
    setup: &Setup,
    skeleton: &Skeleton,
    tables: &mut Tables,
) -> Result<Arc<dyn Evaluator>, SearchError> {
    if matches!(setup.evaluate, Evaluate::Train | Evaluate::Proxies) {
        Skeleton::trained(&skeleton.space)?;
    }
    let memory_limit = memory_limit(None).map(|bytes| bytes / setup.parallel.max(1) as u64);
    Ok(match &setup.evaluate {
        Evaluate::Command(line) => {
            let wrong = |e: lanner_evaluate::EvaluateError| SearchError::Setting {
                name: "evaluate",
                value: format!("'{}'", setup.evaluate),
                why: e.to_string(),
            };
            let mut script =
                Script::new(line, Duration::from_secs(setup.timeout)).map_err(wrong)?;
            script.folder = setup.folder.clone();
            script.check_program().map_err(wrong)?;
            Arc::new(CommandEvaluator { script, skeleton: skeleton.clone() })
        }
        Evaluate::Table(file) => {
            Arc::new(TableEvaluator { table: tables.read(file, &skeleton.space)? })
        }
        Evaluate::Proxies => {
            let set = image_set(setup, skeleton)?;
            let by_proxies = ProxyEvaluator {
                campaign: proxies::ProxyCampaign {
                    space: skeleton.space.clone(),
                    skeleton: skeleton.clone(),
                    pooling_norms: false,
                    proxies: needed_proxies(job),
                    batch: proxies::Batch::of_images(&set.train, BATCH, job.seed)?,
                    dataset: setup.dataset.clone(),
                    seeds: 1,
                    options: proxies::ProxyOptions {
                        seed: job.seed,
                        weights: proxies::ProxyWeights::of(&skeleton.space),
                        threads: 1,
                        memory_limit,
                    },
                },
            };
            match job.objectives.iter().any(|o| o.metric == RANK) {
                true => Arc::new(RankEvaluator::new(by_proxies, job.seed)),
                false => Arc::new(by_proxies),
            }
        }
        Evaluate::Train => Arc::new(TrainEvaluator {
            data: train::TrainData::new(image_set(setup, skeleton)?, VALIDATION, job.seed)?,
            dataset: setup.dataset.clone(),
            recipe: setup.recipe(),
            skeleton: skeleton.clone(),
            memory_limit,
        }),
        Evaluate::Function => {
            let why = "networks are evaluated by a function of the program that began the study; go \
                       on with it from there";
            return Err(SearchError::Nothing { why: why.into() });
        }
    })
}

/// Makes the meter that a setup names. `baseline_ms` is the reference network's latency in an earlier
/// part of the study.
pub(super) fn meter(
    setup: &Setup,
    skeleton: &Skeleton,
    script: Option<&Arc<ScriptMeter>>,
    baseline_ms: Option<f64>,
    tables: &mut Tables,
) -> Result<Box<dyn Meter>, SearchError> {
    Ok(match (setup.latency_column(), script) {
        (Some((file, column)), _) => {
            let table = tables.read(file, &skeleton.space)?;
            Box::new(TableMeter::new(table, column)?)
        }
        (None, Some(script)) if setup.measures(LATENCY) => Box::new(Arc::clone(script)),
        _ => {
            // A space without networks is refused here.
            Skeleton::of(&skeleton.space)?;
            Box::new(MachineMeter::new(&setup.device, skeleton.clone(), baseline_ms)?)
        }
    })
}

/// Makes the measuring command that a setup names. If it is not known yet what the command prints, it
/// measures a reference network first.
///
/// # Errors
/// The command fails, or none of what it prints is limited or an objective.
pub(super) fn script(
    job: &Job,
    setup: &mut Setup,
    skeleton: &Skeleton,
) -> Result<Option<Arc<ScriptMeter>>, SearchError> {
    let Some(line) = setup.measure.clone() else { return Ok(None) };
    let wrong = |why: String| SearchError::Setting {
        name: "measure",
        value: format!("'command:{line}'"),
        why,
    };
    let script = ScriptMeter::new(&line, &setup.device, skeleton.clone());
    let script = Arc::new(script.map_err(|e| wrong(e.to_string()))?);
    if setup.measured.is_empty() {
        let arch = match Skeleton::is_known(&skeleton.space) {
            true => lanner_evaluate::measure::reference(&skeleton.space)?,
            false => skeleton.space.sample(&mut lanner_nn::rng(job.seed, "first measured")),
        };
        let Some(metrics) = script.metrics(&arch)? else {
            return Err(wrong("it does not support the first network that it was given".into()));
        };
        setup.measured = metrics.into_keys().collect();
        let named = job.limits.iter().map(|l| &l.metric);
        let mut named = named.chain(job.objectives.iter().skip(1).map(|o| &o.metric));
        let limits_latency = setup.median_limit && setup.measures(LATENCY);
        if !limits_latency && !named.any(|metric| setup.measures(metric)) {
            let printed = setup.measured.join(", ");
            return Err(wrong(format!("no --limit or --pareto names what it prints: {printed}")));
        }
    }
    Ok(Some(script))
}

/// Returns what measures metrics other than the latency: the caller's own function, else the command. If it
/// is not known yet what the function gives, and a limit or an objective may be among it, it measures a
/// first network.
///
/// # Errors
/// The function failed, or can measure none of the first networks.
pub(super) fn measure(
    job: &Job,
    setup: &mut Setup,
    space: &Space,
    own: Option<Measure>,
    script: Option<&Arc<ScriptMeter>>,
) -> Result<Option<Measure>, SearchError> {
    let Some(own) = own else {
        return Ok(script.map(|script| {
            let script = Arc::clone(script);
            Arc::new(move |arch: &Architecture| script.metrics(arch)) as Measure
        }));
    };
    if setup.measured.is_empty() && named(job, space).any(|m| m != LATENCY) {
        let mut rng = lanner_nn::rng(job.seed, "first measured");
        for _ in 0..TRIES {
            if let Some(metrics) = own(&space.sample(&mut rng))? {
                setup.measured = metrics.into_keys().collect();
                return Ok(Some(own));
            }
        }
        let why = format!("none of {TRIES} random networks can be measured");
        return Err(SearchError::Nothing { why });
    }
    Ok(Some(own))
}

/// Returns the proxies that objectives and limits name.
fn needed_proxies(job: &Job) -> Vec<Proxy> {
    let first = job.objectives.iter().map(|o| &o.metric).take(1);
    let others = (job.objectives.iter().skip(1).map(|o| &o.metric))
        .chain(job.limits.iter().map(|l| &l.metric))
        // These metrics of the network itself have other units.
        .filter(|m| !ANALYTIC.contains(&m.as_str()));
    let of_rank = job.objectives.iter().any(|o| o.metric == RANK);
    let members = MEMBERS.iter().filter(|_| of_rank).filter_map(|name| name.parse().ok());
    let mut all: Vec<Proxy> = Vec::new();
    for proxy in first.chain(others).filter_map(|m| m.parse().ok()).chain(members) {
        if !all.contains(&proxy) {
            all.push(proxy);
        }
    }
    all
}

/// Reads the data set, at the size of the network's input.
fn image_set(setup: &Setup, skeleton: &Skeleton) -> Result<images::DataSet, SearchError> {
    let set = images::by_name(&setup.dataset)?;
    let size = skeleton.resolution;
    match size == set.train.shape().height {
        true => Ok(set),
        false => set.reduced(size, size).map_err(|e| SearchError::Setting {
            name: "resolution",
            value: size.to_string(),
            why: e.to_string(),
        }),
    }
}

/// Returns the skeleton of trainings in this process: [`Skeleton::small`] for images of a data set.
///
/// # Errors
/// The data set cannot be read.
pub fn small_skeleton(space: &Space, dataset: &str) -> Result<Skeleton, SearchError> {
    let train = images::by_name(dataset)?.train;
    Ok(Skeleton::small(space, train.shape().height, train.classes.len())?)
}

/// Refuses a first objective that the evaluation will not give, before anything is measured.
///
/// # Errors
/// The metric is missing or unknown; the message lists the known ones.
pub fn check_metrics(job: &Job, setup: &Setup, tables: &mut Tables) -> Result<(), SearchError> {
    let metric = job.objectives.first().map_or("", |o| o.metric.as_str());
    let kind = setup.evaluate.kind();
    let unknown = |known: String| match metric {
        "" => SearchError::Setting {
            name: "evaluate",
            value: kind.into(),
            why: format!("needs --metric, one of: {known}"),
        },
        name => SearchError::Setting {
            name: "metric",
            value: name.into(),
            why: format!("not among those of --evaluate {kind}: {known}"),
        },
    };
    if let Some(known) = setup.evaluate.metrics()
        && !known.contains(&metric)
    {
        return Err(unknown(known.join(", ")));
    }
    if let Evaluate::Table(file) = &setup.evaluate {
        let table = tables.read(file, &job.space()?)?;
        if metric.is_empty() {
            return Err(unknown(table.names.join(", ")));
        }
        table.column(metric).map_err(|e| SearchError::Setting {
            name: "metric",
            value: metric.into(),
            why: e.to_string(),
        })?;
    }
    Ok(())
}
