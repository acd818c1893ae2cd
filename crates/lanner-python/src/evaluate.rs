//! Evaluations without a search: zero-cost proxies and trainings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use lanner::data::images;
use lanner::evaluate::evaluator::{Answer, Evaluator, Request, TrainEvaluator};
use lanner::evaluate::memory_limit;
use lanner::evaluate::proxies::{Batch, Proxy, ProxyCampaign, ProxyOptions, ProxyWeights};
use lanner::evaluate::train::{TrainData, TrainRecipe};
use lanner::network::{Skeleton, View};
use lanner::space::Space as InnerSpace;
use pyo3::prelude::*;

use crate::error::{InputError, OrException, TrainError};
use crate::network::skeleton;
use crate::space::Space;

/// Fraction of the training images that is kept for validation, as in `lanner train`.
const VALIDATION: f64 = 0.2;
/// Resolution of the images where the architecture chooses that of its network.
const RESOLUTION: usize = 224;

/// Computes proxies of one network after the other, all on the same images.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Proxies(ProxyCampaign);

#[pymethods]
impl Proxies {
    /// `names` are those of [`Proxy::ALL`], all if there are none; `dataset` is `random` or one of
    /// images.
    #[new]
    fn new(
        py: Python,
        space: &Space,
        names: Vec<String>,
        dataset: String,
        batch: usize,
        seed: u64,
        threads: usize,
        channels: Option<usize>,
        cells: Option<usize>,
    ) -> PyResult<Proxies> {
        let space = &space.0;
        let mut proxies = Vec::new();
        for name in names {
            let proxy: Proxy = name.parse().map_err(|e| InputError::new_err(format!("{e}")))?;
            proxies.push(proxy);
        }
        if proxies.is_empty() {
            proxies = Proxy::ALL.to_vec();
        }
        let mut skeleton = skeleton(of_images(space)?, channels, cells, None, None)?;
        if skeleton.resolution == 0 {
            skeleton.resolution = RESOLUTION;
        }
        let batch = py.detach(|| images_of(&dataset, batch, seed, space, &mut skeleton))?;
        Ok(Proxies(ProxyCampaign {
            space: space.clone(),
            skeleton,
            pooling_norms: false,
            proxies,
            batch,
            dataset,
            seeds: 1,
            options: ProxyOptions {
                seed,
                weights: ProxyWeights::of(space),
                threads,
                memory_limit: memory_limit(None),
            },
        }))
    }

    /// Returns name and value of each proxy; `None` where it does not exist.
    fn compute(&self, py: Python, arch: &str) -> PyResult<Vec<(&'static str, Option<f64>)>> {
        let arch = self.0.space.parse(arch).or_exception()?;
        let scores = py.detach(|| self.0.one(&arch)).or_exception()?;
        Ok(scores.into_iter().map(|(proxy, score)| (proxy.name(), score.ok())).collect())
    }
}

/// Refuses a space whose networks take signals, or images of one form only.
fn of_images(space: &InnerSpace) -> PyResult<&InnerSpace> {
    match space.chain().is_some_and(|chain| chain.skeleton.width > 0) {
        true => Err(InputError::new_err(format!(
            "networks of {space} take signals or images of one form, which are not trained here: train \
             lanner.Network(arch, space).to_torch(), and score it by lanner.torch.proxies"
        ))),
        false => Ok(space),
    }
}

/// Takes the minibatch, and gives the skeleton its sizes.
fn images_of(
    dataset: &str,
    count: usize,
    seed: u64,
    space: &InnerSpace,
    skeleton: &mut Skeleton,
) -> PyResult<Batch> {
    if dataset == "random" {
        let network = skeleton.build(&space.at(0).or_exception()?, View::Raw).or_exception()?;
        return Ok(Batch::random(count, network.input().len(), skeleton.classes, seed));
    }
    let images = images::by_name(dataset).or_exception()?.train;
    (skeleton.resolution, skeleton.classes) = (images.height, images.classes.len());
    Batch::of_images(&images, count, seed).or_exception()
}

/// Trains networks on a data set, each on one thread.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Training {
    space: InnerSpace,
    evaluator: TrainEvaluator,
}

#[pymethods]
impl Training {
    /// Sizes and settings that are `None` are those of `lanner train`.
    #[new]
    fn new(
        py: Python,
        space: &Space,
        dataset: String,
        split: u64,
        epochs: Option<usize>,
        batch: Option<usize>,
        learning_rate: Option<f32>,
        channels: Option<usize>,
        cells: Option<usize>,
    ) -> PyResult<Training> {
        let space = of_images(&space.0)?;
        let default = TrainRecipe::default();
        let recipe = TrainRecipe {
            epochs: epochs.unwrap_or(default.epochs),
            batch: batch.unwrap_or(default.batch),
            learning_rate: learning_rate.unwrap_or(default.learning_rate),
            ..default
        };
        recipe.check().or_exception()?;
        let data = py.detach(|| {
            TrainData::new(images::by_name(&dataset).or_exception()?, VALIDATION, split)
                .or_exception()
        })?;
        let few = cells.unwrap_or(space.few_cells().trained);
        let (side, classes) = (data.shape().height, data.classes().len());
        let mut skeleton = skeleton(space, channels, cells, Some(side), Some(classes))?;
        if cells.is_none() {
            skeleton = skeleton.with_cells(few);
        }
        let evaluator =
            TrainEvaluator { data, dataset, recipe, skeleton, memory_limit: memory_limit(None) };
        Ok(Training { space: space.clone(), evaluator })
    }

    /// Trains a network, writes it to `out` as ONNX, and returns its metrics.
    fn train(
        &self,
        py: Python,
        arch: &str,
        seed: u64,
        out: PathBuf,
    ) -> PyResult<BTreeMap<String, f64>> {
        let arch = self.space.parse(arch).or_exception()?;
        let interrupted = Mutex::new(None);
        let stop = || match Python::attach(|py| py.check_signals()) {
            Ok(()) => false,
            Err(error) => {
                if let Ok(mut kept) = interrupted.lock() {
                    kept.get_or_insert(error);
                }
                true
            }
        };
        let answer = py.detach(|| {
            self.evaluator.evaluate(&Request {
                arch: &arch,
                seed,
                needed: &[],
                out: &out,
                log: &out,
                worker: 0,
                stop: &stop,
            })
        });
        if let Ok(Some(error)) = interrupted.into_inner() {
            return Err(error);
        }
        match answer.or_exception()? {
            Answer::Metrics(metrics) => Ok(metrics),
            Answer::Failed(why) => Err(TrainError::new_err(why)),
            Answer::Stopped => Err(TrainError::new_err("the training was stopped")),
        }
    }
}
