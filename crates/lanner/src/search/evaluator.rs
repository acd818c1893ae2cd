//! What tells how good a network is: a training here, a command, or a table.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc, time::Duration};

use lanner_data::{Table, images, write_file};
use lanner_evaluate::{
    EvaluateError,
    proxies::{self, Proxy},
    script::{Answer, Call, Script},
    train::{self, Data, Options},
};
use lanner_network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};
use lanner_search::study::{ANALYTIC, Outcome, Settings};
use lanner_space::Architecture;

use super::{job::Job, tables::Tables};
use crate::{memory, output::usage, proxies::batch_of};

/// Images that proxies are computed on.
const BATCH: usize = 64;

pub enum Evaluator {
    Proxies(Box<proxies::Table>),
    Train { data: Box<Data>, job: Job },
    Command(Script),
    Table(Arc<Table>),
}

impl Evaluator {
    pub fn new(
        settings: &Settings,
        job: &Job,
        skeleton: &Skeleton,
        tables: &mut Tables,
    ) -> anyhow::Result<Evaluator> {
        let (kind, rest) = job.evaluate.split_once(':').unwrap_or((&job.evaluate, ""));
        Ok(match kind {
            "command" => {
                let script = Script::new(rest, Duration::from_secs(job.timeout));
                let script = script.map_err(|e| usage(e.to_string()))?;
                script.check_program().map_err(|e| usage(e.to_string()))?;
                Evaluator::Command(script)
            }
            "table" => Evaluator::Table(tables.read(Path::new(rest), &settings.space()?)?),
            "proxies" => {
                let set = image_set(job, skeleton)?;
                let batch = batch_of(&set.train, BATCH, settings.seed)?;
                let memory_limit = memory::limit(None).map(|b| b / job.parallel as u64);
                let weights = proxies::Weights::of(&skeleton.space);
                Evaluator::Proxies(Box::new(proxies::Table {
                    space: skeleton.space.clone(),
                    skeleton: skeleton.clone(),
                    pooling_norms: false,
                    proxies: told(settings),
                    batch,
                    dataset: job.dataset.clone(),
                    seeds: 1,
                    options: proxies::Options {
                        seed: settings.seed,
                        weights,
                        threads: 1,
                        memory_limit,
                    },
                }))
            }
            _ => {
                let set = image_set(job, skeleton)?;
                let data = Data::new(set, 0.2, settings.seed)?;
                Evaluator::Train { data: Box::new(data), job: job.clone() }
            }
        })
    }

    /// `None` if `stop` said so. A trained network is written to `out`.
    pub fn evaluate(
        &self,
        arch: &Architecture,
        seed: u64,
        skeleton: &Skeleton,
        needed: &[String],
        out: &Path,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<Option<Outcome>> {
        let text = skeleton.space.print(arch);
        match self {
            Evaluator::Proxies(table) => {
                let mut metrics = BTreeMap::new();
                for (proxy, score) in table.one(arch)? {
                    match score {
                        Ok(value) => metrics.insert(proxy.name().to_string(), value),
                        Err(absence) => {
                            let why = format!("{}: {absence}", proxy.name());
                            return Ok(Some(Outcome::Failed { why }));
                        }
                    };
                }
                Ok(Some(Outcome::Done { metrics }))
            }
            Evaluator::Table(table) => {
                let row = table.row_of(arch);
                let values = |row: usize| table.columns.iter().map(move |c| c[row]);
                let metrics = row.map_or(BTreeMap::new(), |r| {
                    table.names.iter().cloned().zip(values(r)).collect()
                });
                Ok(Some(Outcome::Done { metrics }))
            }
            Evaluator::Command(script) => {
                let folder = tempfile::tempdir()?;
                let path = folder.path().join("network.onnx");
                if script.wants_onnx() {
                    let network = skeleton.build(arch, View::Pruned)?;
                    let weights = Weights::init(&network, Init::default());
                    let model = onnx::encode(&network, &weights, OnnxOptions::default())?;
                    write_file(&path, &model)?;
                }
                let call = Call { arch: &text, onnx: &path, out, seed };
                Ok(match script.evaluate(call, needed, &|| stop())? {
                    Answer::Metrics(metrics) => Some(Outcome::Done { metrics }),
                    Answer::Failed(why) => Some(Outcome::Failed { why }),
                    Answer::Stopped => None,
                })
            }
            Evaluator::Train { data, job } => {
                let network = skeleton.build(arch, View::Pruned)?;
                let memory_limit = memory::limit(None).map(|bytes| bytes / job.parallel as u64);
                let options = Options { seed, threads: 1, memory_limit };
                let trained = train::train(&network, data, &job.recipe(), &options, |_| {
                    if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let trained = match trained {
                    Err(e @ EvaluateError::Diverged { .. }) => {
                        return Ok(Some(Outcome::Failed { why: e.to_string() }));
                    }
                    other => other?,
                };
                if trained.epochs < job.epochs {
                    return Ok(None);
                }
                let (network, weights) = trained.weights.fold(&network)?;
                write_file(out, &onnx::encode(&network, &weights, OnnxOptions::default())?)?;
                let metrics = [
                    ("val_accuracy", trained.validation.accuracy),
                    ("test_accuracy", trained.test.accuracy),
                    ("val_loss", trained.validation.loss),
                    ("test_loss", trained.test.loss),
                    ("train_loss", trained.train_loss),
                    ("seconds", trained.seconds),
                ];
                let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
                Ok(Some(Outcome::Done { metrics }))
            }
        }
    }
}

/// The proxies that objectives and limits are about.
fn told(settings: &Settings) -> Vec<Proxy> {
    let first = settings.objectives.iter().map(|o| &o.metric).take(1);
    let others = (settings.objectives.iter().skip(1).map(|o| &o.metric))
        .chain(settings.limits.iter().map(|l| &l.metric))
        // These are the network's own, in other units.
        .filter(|m| !ANALYTIC.contains(&m.as_str()));
    let mut all: Vec<Proxy> = Vec::new();
    for proxy in first.chain(others).filter_map(|m| m.parse().ok()) {
        if !all.contains(&proxy) {
            all.push(proxy);
        }
    }
    all
}

/// The data set at the size of the network's input.
fn image_set(job: &Job, skeleton: &Skeleton) -> anyhow::Result<images::DataSet> {
    let set = images::by_name(&job.dataset)?;
    let size = skeleton.resolution;
    match size == set.train.shape().height {
        true => Ok(set),
        false => set.reduced(size, size).map_err(|e| usage(format!("--resolution: {e}"))),
    }
}
