//! A predictor of a user's own table: fitted, asked, saved and loaded by the name of its method.

use lanner_space::{Architecture, Space};
use serde::{Deserialize, Serialize};

use crate::accuracy::{AccuracyModel, AccuracyViews};
use crate::baselines::Baseline;
use crate::latency::{LatencyModel, LatencyViews};
use crate::linalg::Mat;
use crate::model_file::{Array, Header, ModelFile, training_hash};
use crate::{Forecast, Pool, PredictError};

/// What the numbers are: it decides how they are modelled and which end is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Positive, less is better, relative errors matter.
    Latency,
    /// More is better, the order matters.
    Accuracy,
}

/// The encodings of a pool that a method needs, made once for many fits.
pub enum Views {
    Latency(LatencyViews),
    Accuracy(AccuracyViews),
    Baseline(Baseline, Mat),
}

impl Views {
    /// For `default` or the name of a [`Baseline`]; `None` for any other name.
    pub fn new(method: &str, target: Target, pool: &Pool) -> Option<Views> {
        if method == "default" {
            return Some(match target {
                Target::Latency => Views::Latency(LatencyViews::new(pool)),
                Target::Accuracy => Views::Accuracy(AccuracyViews::new(pool)),
            });
        }
        let (_, baseline) = Baseline::ALL.iter().find(|b| b.0 == method)?;
        Some(Views::Baseline(*baseline, baseline.encode(pool)))
    }

    /// The methods that [`Views::new`] knows.
    pub fn methods() -> Vec<&'static str> {
        std::iter::once("default").chain(Baseline::ALL.iter().map(|b| b.0)).collect()
    }

    /// Fits values of pool rows and predicts other rows.
    pub fn fit_predict(
        &self,
        target: Target,
        (rows, values): (&[usize], &[f64]),
        ask: &[usize],
        seed: u64,
    ) -> Result<Forecast, PredictError> {
        match self {
            Views::Latency(views) => Ok(LatencyModel::fit(views, rows, values)?.predict(ask)),
            Views::Accuracy(views) => {
                Ok(AccuracyModel::fit(views, rows, values, seed)?.predict(ask))
            }
            Views::Baseline(baseline, x) => {
                baseline.fit_predict(x, (rows, values), ask, target == Target::Latency, seed)
            }
        }
    }
}

/// What a model file of this kind says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    pub method: String,
    pub target: Target,
    /// The column that was learnt.
    pub metric: String,
}

/// A predictor as it is saved: its training set, and the hyper-parameters where finding them is the
/// expensive part. Loading solves for the rest again.
#[derive(Debug, Clone)]
pub struct Saved {
    pub space: Space,
    pub settings: Settings,
    pub seed: u64,
    pub archs: Vec<Architecture>,
    pub values: Vec<f64>,
    /// Logarithms of hyper-parameters and noise precisions of the latency process.
    hyper: Vec<f64>,
    precisions: Vec<f64>,
}

/// The kind in the file's header.
const KIND: &str = "trained on a table";

impl Saved {
    /// Fits and keeps what is needed to predict again; the method must be one of
    /// [`Views::methods`].
    pub fn fit(
        pool: &Pool,
        views: &Views,
        settings: Settings,
        (rows, values): (&[usize], &[f64]),
        seed: u64,
    ) -> Result<Saved, PredictError> {
        let (hyper, precisions) = match views {
            Views::Latency(views) => LatencyModel::fit(views, rows, values)?.into_state(),
            // Fails now rather than when loaded.
            _ => {
                views.fit_predict(settings.target, (rows, values), &rows[..1], seed)?;
                (Vec::new(), Vec::new())
            }
        };
        Ok(Saved {
            space: pool.space.clone(),
            settings,
            seed,
            archs: rows.iter().map(|&r| pool.archs[r].clone()).collect(),
            values: values.to_vec(),
            hyper,
            precisions,
        })
    }

    /// Predictions for rows of a pool that holds the training architectures.
    pub fn predict(
        &self,
        pool: &Pool,
        views: &Views,
        ask: &[usize],
    ) -> Result<Forecast, PredictError> {
        let rows: Option<Vec<usize>> = self.archs.iter().map(|a| pool.row_of(a)).collect();
        let rows = rows.ok_or_else(|| PredictError::TooFew {
            what: "prediction by a saved predictor, a pool with its training networks,".into(),
            needed: self.archs.len(),
            got: pool.len(),
        })?;
        match views {
            Views::Latency(views) => {
                let state = (self.hyper.clone(), self.precisions.clone());
                Ok(LatencyModel::restore(views, &rows, &self.values, state)?.predict(ask))
            }
            _ => views.fit_predict(self.settings.target, (&rows, &self.values), ask, self.seed),
        }
    }

    /// Writes the file.
    pub fn save(&self, path: &std::path::Path) -> Result<(), PredictError> {
        let texts: Vec<String> = self.archs.iter().map(|a| self.space.print(a)).collect();
        let mut header = Header::new(KIND, self.space.name(), &self.settings.method, self.seed);
        header.training_hash =
            training_hash(texts.iter().map(String::as_str).zip(self.values.iter().copied()));
        header.settings = serde_json::json!(self.settings);
        let mut file = ModelFile::new(header);
        file.set_archs(&self.space, &self.archs);
        for (name, values) in
            [("values", &self.values), ("hyper", &self.hyper), ("precisions", &self.precisions)]
        {
            file.tensors.insert(name.into(), Array::f64(values.clone()));
        }
        file.save(path)
    }

    /// Reads a file that [`Saved::save`] wrote for this space.
    pub fn load(path: &std::path::Path, space: &Space) -> Result<Saved, PredictError> {
        let file = ModelFile::load(path, KIND, space.name())?;
        let bad = |what: String| PredictError::ModelFile { path: path.into(), why: what };
        let all = |name: &str| -> Result<Vec<f64>, PredictError> {
            match file.tensors.get(name) {
                Some(array) => Ok(file.f64(name, array.shape())?.to_vec()),
                None => Err(bad(format!("it lacks '{name}'"))),
            }
        };
        let (values, hyper, precisions) = (all("values")?, all("hyper")?, all("precisions")?);
        let archs = file.archs(space, values.len()).map_err(|e| bad(e.to_string()))?;
        Ok(Saved {
            space: space.clone(),
            settings: file.settings()?,
            seed: file.header.seed,
            archs,
            values,
            hyper,
            precisions,
        })
    }
}
