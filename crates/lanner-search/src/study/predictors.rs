//! Saved predictors that a job names: they predict before this study has measured or evaluated
//! anything.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lanner_predict::latency::Expected;
use lanner_predict::predictor::{Predictor, Target, load_for};
use lanner_space::{Architecture, Space};
use rayon::prelude::*;

use crate::job::LATENCY;
use crate::{Job, SearchError};

/// Names of the settings, as on the command line.
const LATENCY_PREDICTOR: &str = "latency-predictor";
const ACCURACY_PRIOR: &str = "accuracy-prior";

/// The saved predictors of a job, each read once.
#[derive(Default)]
pub(crate) struct Predictors {
    pub latency: Option<Asked>,
    /// Predictors of accuracies, in the order of the job.
    pub accuracies: Vec<Asked>,
}

impl Predictors {
    /// Reads the predictors that a job names.
    ///
    /// # Errors
    /// A file cannot be read, is for another space or target, or would not be used.
    pub fn load(job: &Job, space: &Space, is_limited: bool) -> Result<Predictors, SearchError> {
        let latency = match &job.latency_predictor {
            None => None,
            Some(file) if !is_limited => {
                let why = format!("there is no limit of {LATENCY} for it to predict: add one");
                return Err(wrong(LATENCY_PREDICTOR, file, why));
            }
            Some(file) => Some(Asked::load(LATENCY_PREDICTOR, file, space, Target::Latency)?),
        };
        if let (Some(file), false) = (job.accuracy_prior.first(), job.strategy.takes_warm_start()) {
            let why = format!("only --strategy default takes it, not {}", job.strategy);
            return Err(wrong(ACCURACY_PRIOR, file, why));
        }
        let accuracies = job.accuracy_prior.iter();
        let load = |file: &PathBuf| Asked::load(ACCURACY_PRIOR, file, space, Target::Accuracy);
        Ok(Predictors { latency, accuracies: accuracies.map(load).collect::<Result<_, _>>()? })
    }
}

/// A predictor and its predictions so far: candidates change a little with every round.
pub(crate) struct Asked {
    predictor: Box<dyn Predictor>,
    known: HashMap<Architecture, Predicted>,
}

/// A median and, if the predictor has one, a 90 % interval.
#[derive(Clone, Copy)]
struct Predicted {
    median: f64,
    interval: Option<(f64, f64)>,
}

impl From<Predicted> for Expected {
    fn from(predicted: Predicted) -> Expected {
        Expected::new(predicted.median, predicted.interval)
    }
}

impl Asked {
    fn load(
        setting: &'static str,
        file: &Path,
        space: &Space,
        target: Target,
    ) -> Result<Asked, SearchError> {
        let predictor = load_for(file, space).map_err(|e| wrong(setting, file, e.to_string()))?;
        if predictor.target() != target {
            let why = format!(
                "it predicts {} ({}), expected {}",
                predictor.target().words(),
                predictor.metric(),
                target.words()
            );
            return Err(wrong(setting, file, why));
        }
        Ok(Asked::new(predictor))
    }

    pub fn new(predictor: Box<dyn Predictor>) -> Asked {
        Asked { predictor, known: HashMap::new() }
    }

    /// Returns the predicted latencies of architectures that are not asked for again.
    pub fn latencies_once(&self, archs: &[Architecture]) -> Vec<Expected> {
        self.predict(archs).into_iter().map(Expected::from).collect()
    }

    fn predict(&self, archs: &[Architecture]) -> Vec<Predicted> {
        let forecast = self.predictor.predict(archs);
        let interval = |i: usize| Some((*forecast.low.get(i)?, *forecast.high.get(i)?));
        let medians = forecast.mean.iter().enumerate();
        medians.map(|(i, &median)| Predicted { median, interval: interval(i) }).collect()
    }

    fn of(&mut self, archs: &[Architecture]) -> Vec<Predicted> {
        let missing: Vec<Architecture> =
            archs.iter().filter(|arch| !self.known.contains_key(*arch)).cloned().collect();
        let blocks = missing.par_chunks(self.predictor.block());
        let blocks: Vec<Vec<Predicted>> = blocks.map(|block| self.predict(block)).collect();
        self.known.extend(missing.into_iter().zip(blocks.into_iter().flatten()));
        archs.iter().map(|arch| self.known[arch]).collect()
    }

    /// Returns the predicted latencies of architectures.
    pub fn latencies(&mut self, archs: &[Architecture]) -> Vec<Expected> {
        self.of(archs).into_iter().map(Expected::from).collect()
    }

    /// Returns a predicted value for each architecture; larger is better.
    pub fn accuracies(&mut self, archs: &[Architecture]) -> Vec<f64> {
        self.of(archs).iter().map(|p| p.median).collect()
    }
}

fn wrong(name: &'static str, file: &Path, why: String) -> SearchError {
    SearchError::Setting { name, value: file.display().to_string(), why }
}
