//! A predictor of a user's own table, by the name of its method.
//!
//! A [`Fitted`] predictor answers for any architectures of its space, each for itself, so that a space
//! of any size can be predicted in blocks. [`MethodFeatures`] are what a method sees of a *reference*: the whole
//! space where that is small, else random architectures beside the table's own; the accuracy predictor
//! measures its features and scores by it.

use std::ops::ControlFlow;
use std::sync::Arc;

use lanner_space::{Architecture, Space};
use serde::{Deserialize, Serialize};

use crate::accuracy::relation;
use crate::accuracy::untrained::{UntrainedScores, said};
use crate::accuracy::{AccuracyFeatures, AccuracyModel};
use crate::encode::{counts, operations as counted};
use crate::general::baselines::Baseline;
use crate::general::gcn::{self, GcnPredictor, Samples};
use crate::latency::operations::{OPERATIONS, OperationsModel};
use crate::latency::{LatencyFeatures, LatencyModel};
use crate::predictor::file::{Array, Header, ModelFile, training_hash};
use crate::predictor::fitted_model::{FittedModel, published};
use crate::predictor::{Predictor, Target};
use crate::regress::linalg::Mat;
use crate::{Forecast, Pool, PredictError, reference};

/// The encodings of a pool that a method needs, made once for many fits.
pub enum MethodFeatures {
    Latency(LatencyFeatures),
    /// Features of accuracies, and the prior if there is one.
    Accuracy(AccuracyFeatures, Option<Arc<UntrainedScores>>),
    Baseline(Baseline, Mat),
    /// A regression by a graph network, of these architectures.
    Gcn(Box<gcn::GcnRecipe>, Vec<Architecture>),
    /// Worths from Thurstone's model, of these architectures.
    Binary(Vec<Architecture>),
    /// Sums over operations, of these architectures.
    Operations(Vec<Architecture>),
}

/// The methods beside `default` and the baselines. Those of a GCN are for both targets.
const GCN: &str = "gcn";
const GCN_BRP_NAS: &str = "gcn-brp-nas";
const BINARY: &str = "binary";

impl MethodFeatures {
    /// Computes the features for one of [`MethodFeatures::methods`]; `None` for any other name.
    pub fn new(method: &str, target: Target, pool: &Pool) -> Option<MethodFeatures> {
        let target = target.modelled();
        if method == "default" {
            return Some(match target {
                Target::Latency => MethodFeatures::Latency(LatencyFeatures::new(pool)),
                _ => MethodFeatures::Accuracy(AccuracyFeatures::new(pool), None),
            });
        }
        let recipe = match (method, target) {
            (GCN, Target::Latency) => Some(gcn::GcnRecipe::default_latency()),
            (GCN, Target::Accuracy) => Some(gcn::GcnRecipe::default_accuracy()),
            (GCN_BRP_NAS, Target::Latency) => Some(gcn::GcnRecipe::brp_nas_latency()),
            (GCN_BRP_NAS, Target::Accuracy) => Some(gcn::GcnRecipe::brp_nas_accuracy()),
            _ => None,
        };
        if let Some(recipe) = recipe {
            return Some(MethodFeatures::Gcn(Box::new(recipe), pool.archs.clone()));
        }
        if method == BINARY && target == Target::Accuracy {
            return Some(MethodFeatures::Binary(pool.archs.clone()));
        }
        if method == OPERATIONS && target == Target::Latency {
            return Some(MethodFeatures::Operations(pool.archs.clone()));
        }
        let (_, baseline) = Baseline::ALL.iter().find(|b| b.0 == method)?;
        Some(MethodFeatures::Baseline(*baseline, baseline.columns(&pool.space, &pool.archs)))
    }

    /// The same beside untrained scores such as [`rank`](crate::accuracy::untrained::rank), larger is
    /// better, from which predictions start: of accuracies and errors by `default` alone. The pool is that
    /// of [`MethodFeatures::new`].
    pub fn with_prior(
        self,
        pool: &Pool,
        scores: Arc<UntrainedScores>,
    ) -> Result<MethodFeatures, PredictError> {
        let MethodFeatures::Accuracy(features, _) = self else {
            let why = "a prior is for accuracies, by the method default".into();
            return Err(PredictError::Model { why });
        };
        let features = features.with_prior(&scores.of(&pool.archs));
        Ok(MethodFeatures::Accuracy(features, Some(scores)))
    }

    /// The methods that [`MethodFeatures::new`] knows and that have something to go by in a space.
    pub fn methods(space: &Space, target: Target) -> Vec<&'static str> {
        let mut all = vec!["default"];
        // Parameters are no graph, and have no network of operations.
        let has_network = space.parameters().is_none();
        all.extend([GCN, GCN_BRP_NAS].into_iter().filter(|_| has_network));
        match target.modelled() {
            Target::Latency => all.extend(has_network.then_some(OPERATIONS)),
            _ => all.push(BINARY),
        }
        all.extend(Baseline::ALL.iter().filter(|b| b.1.fits(space)).map(|b| b.0));
        all
    }

    /// A model of pool rows and their values. `state` is that of a latency predictor that was fitted before.
    fn model(
        &self,
        space: &Space,
        target: Target,
        (rows, values): (&[usize], &[f64]),
        seed: u64,
        state: Option<(Vec<f64>, Vec<f64>)>,
    ) -> Result<FittedModel, PredictError> {
        if let (Target::Rate, Some(row)) = (target, values.iter().position(|v| !is_rate(*v))) {
            return Err(PredictError::Rate { row, value: values[row] });
        }
        let values = &values.iter().map(|v| target.turned(*v)).collect::<Vec<f64>>()[..];
        let target = target.modelled();
        Ok(match self {
            MethodFeatures::Latency(features) => {
                let model = match state {
                    Some(state) => LatencyModel::restore(features, rows, values, state)?,
                    None => LatencyModel::fit(features, rows, values)?,
                };
                FittedModel::Latency(Box::new(model), features.of(&[]))
            }
            MethodFeatures::Accuracy(features, prior) => {
                let model = AccuracyModel::fit(features, rows, values, seed)?;
                FittedModel::Accuracy(Box::new(model), features.of(&[]), prior.clone())
            }
            MethodFeatures::Baseline(baseline, x) => {
                let mut known = x.select(rows);
                let mut pairs = Vec::new();
                if *baseline == Baseline::RidgePairs {
                    pairs = counts::pairs(&known);
                    known = counts::with_these_pairs(&known, &pairs);
                }
                let model = baseline.fit(&known, values, target == Target::Latency, seed)?;
                FittedModel::Baseline(*baseline, Box::new(model), pairs)
            }
            MethodFeatures::Gcn(recipe, archs) => {
                let archs: Vec<_> = rows.iter().map(|&r| archs[r].clone()).collect();
                let samples = Samples { architectures: &archs, targets: values };
                let (threads, go_on) =
                    (rayon::current_num_threads(), &mut |_| ControlFlow::Continue(()));
                FittedModel::Gcn(gcn::fit(
                    space, samples, None, recipe, None, seed, threads, go_on,
                )?)
            }
            MethodFeatures::Binary(archs) => {
                let archs: Vec<_> = rows.iter().map(|&r| archs[r].clone()).collect();
                let samples = Samples { architectures: &archs, targets: values };
                let go_on = &mut |_| ControlFlow::Continue(());
                let recipe = relation::RelationRecipe::Thurstone;
                FittedModel::Binary(relation::fit(space, samples, &recipe, None, seed, 1, go_on)?)
            }
            MethodFeatures::Operations(archs) => {
                let archs: Vec<_> = rows.iter().map(|&r| archs[r].clone()).collect();
                let skeleton = published(space)?;
                let views: Vec<_> = (counted::views(space).iter())
                    .map(|&view| counted::count(&skeleton, &archs, view))
                    .collect::<Result<_, _>>()?;
                FittedModel::Operations(OperationsModel::fit(&views, values)?)
            }
        })
    }
}

/// Tells whether a value and its reciprocal are positive numbers.
fn is_rate(value: f64) -> bool {
    value > 0.0 && value.is_finite() && value.recip().is_finite()
}

/// Origin of a predictor, as its file states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitSettings {
    pub method: String,
    pub target: Target,
    /// The column that was learnt.
    pub metric: String,
}

/// A predictor of a table. Its file holds the training set, and the hyper-parameters where finding them
/// is the expensive part: loading solves for the rest again.
pub struct Fitted {
    space: Space,
    pub settings: FitSettings,
    seed: u64,
    /// The training set.
    pub archs: Vec<Architecture>,
    pub values: Vec<f64>,
    model: FittedModel,
}

impl Fitted {
    /// The kind in the file's header.
    pub(super) const KIND: &str = "trained on a table";

    /// Fits values of the pool's `rows`; the method must be one of [`MethodFeatures::methods`].
    pub fn fit(
        pool: &Pool,
        features: &MethodFeatures,
        settings: FitSettings,
        (rows, values): (&[usize], &[f64]),
        seed: u64,
    ) -> Result<Fitted, PredictError> {
        let model = features.model(&pool.space, settings.target, (rows, values), seed, None)?;
        Ok(Fitted {
            space: pool.space.clone(),
            settings,
            seed,
            archs: rows.iter().map(|&r| pool.archs[r].clone()).collect(),
            values: values.to_vec(),
            model,
        })
    }

    /// Reads what [`Predictor::to_file`] wrote for this space.
    pub(super) fn read(
        file: &ModelFile,
        space: &Space,
    ) -> Result<Box<dyn Predictor>, PredictError> {
        let bad = |why: String| PredictError::Model { why };
        let all = |name: &str| -> Result<Vec<f64>, PredictError> {
            match file.tensors.get(name) {
                Some(array) => Ok(file.f64(name, array.shape())?.to_vec()),
                None => Err(bad(format!("it lacks '{name}'"))),
            }
        };
        let values = all("values")?;
        let state = (all("hyper")?, all("precisions")?);
        let archs = file.archs(space, values.len())?;
        let settings: FitSettings = file.settings()?;
        let seed = file.header.seed;
        let model = if let Some(settings) = file.header.settings.get(GCN) {
            let mut header = Header::new(GCN, &file.header.space, "", seed);
            header.settings = settings.clone();
            let mut inner = ModelFile::new(header);
            let members = file.tensors.iter().filter(|t| t.0.starts_with("member"));
            inner.tensors = members.map(|(n, a)| (n.clone(), a.clone())).collect();
            FittedModel::Gcn(GcnPredictor::from_model(&inner, space)?)
        } else if let Some(model) = OperationsModel::read(file)? {
            FittedModel::Operations(model)
        } else {
            let FitSettings { method, target, .. } = &settings;
            let pool = match target {
                // Latencies and baselines see their training set alone.
                Target::Accuracy | Target::Error if method == "default" => reference(space, &archs),
                _ => Pool::new(space.clone(), archs.clone()),
            };
            let features = MethodFeatures::new(method, *target, &pool)
                .ok_or_else(|| bad(format!("unknown method '{method}'")))?;
            let features = match UntrainedScores::read(file, space)? {
                Some(scores) => features.with_prior(&pool, Arc::new(scores))?,
                None => features,
            };
            let rows: Vec<usize> = archs.iter().filter_map(|a| pool.row_of(a)).collect();
            features.model(space, *target, (&rows, &values), seed, Some(state))?
        };
        Ok(Box::new(Fitted { space: space.clone(), settings, seed, archs, values, model }))
    }
}

impl Predictor for Fitted {
    fn space(&self) -> &Space {
        &self.space
    }

    fn metric(&self) -> &str {
        &self.settings.metric
    }

    fn target(&self) -> Target {
        self.settings.target
    }

    fn predict(&self, archs: &[Architecture]) -> Forecast {
        self.settings.target.forecast(self.model.predict(&self.space, archs))
    }

    fn block(&self) -> usize {
        self.model.block()
    }

    fn measured(&self) -> &[Architecture] {
        &self.archs
    }

    fn elsewhere(&self, space: &Space) -> Option<Box<dyn Predictor>> {
        let FittedModel::Operations(model) = &self.model else { return None };
        Some(Box::new(Fitted {
            space: space.clone(),
            settings: self.settings.clone(),
            seed: self.seed,
            archs: Vec::new(),
            values: Vec::new(),
            model: FittedModel::Operations(model.clone()),
        }))
    }

    fn describe(&self) -> String {
        let (metric, method, known) = (self.metric(), &self.settings.method, self.archs.len());
        let prior = match &self.model {
            FittedModel::Accuracy(_, _, prior) => said(prior.as_deref()),
            _ => String::new(),
        };
        format!("{metric} by {method} of {known} networks{prior}")
    }

    fn to_file(&self) -> ModelFile {
        let texts: Vec<String> = self.archs.iter().map(|a| self.space.print(a)).collect();
        let mut header =
            Header::new(Fitted::KIND, &self.space.identity(), &self.settings.method, self.seed);
        header.training_hash =
            training_hash(texts.iter().map(String::as_str).zip(self.values.iter().copied()));
        header.settings = serde_json::json!(self.settings);
        let mut file = ModelFile::new(header);
        file.set_archs(&self.space, &self.archs);
        let (hyper, precisions) = match &self.model {
            FittedModel::Latency(model, _) => model.state(),
            _ => Default::default(),
        };
        for (name, values) in
            [("values", self.values.as_slice()), ("hyper", hyper), ("precisions", precisions)]
        {
            file.tensors.insert(name.into(), Array::f64(values.to_vec()));
        }
        match &self.model {
            FittedModel::Gcn(gcn) => {
                let inner = gcn.to_model(&self.space, self.seed, String::new());
                file.header.settings[GCN] = inner.header.settings;
                file.tensors.extend(inner.tensors);
            }
            FittedModel::Operations(model) => model.store(&mut file),
            FittedModel::Accuracy(_, _, Some(scores)) => scores.store(&self.space, &mut file),
            _ => (),
        }
        file
    }
}
