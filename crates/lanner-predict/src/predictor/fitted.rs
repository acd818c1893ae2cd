//! A predictor of a user's own table: fitted, asked, saved and loaded by the name of its method.
//!
//! A [`Fitted`] predictor answers for any architectures of its space, each for itself, so that a space
//! of any size can be predicted in blocks. [`MethodFeatures`] are what a method sees of a *reference*: the whole
//! space where that is small, else random architectures beside the table's own; the accuracy predictor
//! measures its features and scores by it. [`Saved`] is a predictor's content on disk.

use std::ops::ControlFlow;

use lanner_network::Skeleton;
use lanner_space::{Architecture, SMALL_SPACE, Space, View};
use serde::{Deserialize, Serialize};

use crate::accuracy::relation::{self, Margins, Relation};
use crate::accuracy::{AccuracyFeatures, AccuracyModel};
use crate::encode::{counts, operations as counted};
use crate::general::baselines::{Baseline, BaselineModel};
use crate::general::gcn::{self, GcnPredictor, Samples};
use crate::latency::operations::{OPERATIONS, OperationsModel};
use crate::latency::{LatencyFeatures, LatencyModel};
use crate::predictor::file::{Array, Header, ModelFile, training_hash};
use crate::regress::linalg::Mat;
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

/// Size of the random reference of a space that is not small.
const SAMPLE: usize = 2_000;

/// The architectures by which a predictor of a table measures what it sees: the whole space if it is
/// small, else the table's own and random ones, always the same.
pub fn reference(space: &Space, archs: &[Architecture]) -> Pool {
    let mut rng = lanner_nn::rng(0, "reference of a space");
    let all: Vec<Architecture> = match space.size() <= SMALL_SPACE {
        true => space.iter().collect(),
        false => space.shuffled(&mut rng).take(SAMPLE).collect(),
    };
    let mut seen: std::collections::HashSet<Architecture> = all.iter().cloned().collect();
    let others = archs.iter().filter(|a| seen.insert((*a).clone()));
    let all = all.iter().chain(others).cloned().collect();
    Pool::new(space.clone(), all)
}

/// The encodings of a pool that a method needs, made once for many fits.
pub enum MethodFeatures {
    Latency(LatencyFeatures),
    Accuracy(AccuracyFeatures),
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
    /// For one of [`MethodFeatures::methods`]; `None` for any other name.
    pub fn new(method: &str, target: Target, pool: &Pool) -> Option<MethodFeatures> {
        if method == "default" {
            return Some(match target {
                Target::Latency => MethodFeatures::Latency(LatencyFeatures::new(pool)),
                Target::Accuracy => MethodFeatures::Accuracy(AccuracyFeatures::new(pool)),
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

    /// The methods that [`MethodFeatures::new`] knows and that have something to go by in a space.
    pub fn methods(space: &Space, target: Target) -> Vec<&'static str> {
        let mut all = vec!["default", GCN, GCN_BRP_NAS];
        all.push(match target {
            Target::Accuracy => BINARY,
            Target::Latency => OPERATIONS,
        });
        all.extend(Baseline::ALL.iter().filter(|b| b.1.fits(space)).map(|b| b.0));
        all
    }

    /// Fits values of pool rows.
    pub fn fit(
        &self,
        space: &Space,
        target: Target,
        (rows, values): (&[usize], &[f64]),
        seed: u64,
    ) -> Result<Fitted, PredictError> {
        self.fitted(space, target, (rows, values), seed, None)
    }

    /// `state` is that of a latency predictor that was fitted before.
    fn fitted(
        &self,
        space: &Space,
        target: Target,
        (rows, values): (&[usize], &[f64]),
        seed: u64,
        state: Option<(Vec<f64>, Vec<f64>)>,
    ) -> Result<Fitted, PredictError> {
        let model = match self {
            MethodFeatures::Latency(views) => {
                let model = match state {
                    Some(state) => LatencyModel::restore(views, rows, values, state)?,
                    None => LatencyModel::fit(views, rows, values)?,
                };
                Model::Latency(Box::new(model), views.of(&[]))
            }
            MethodFeatures::Accuracy(views) => {
                let model = AccuracyModel::fit(views, rows, values, seed)?;
                Model::Accuracy(Box::new(model), views.of(&[]))
            }
            MethodFeatures::Baseline(baseline, x) => {
                let mut known = x.select(rows);
                let mut pairs = Vec::new();
                if *baseline == Baseline::RidgePairs {
                    pairs = counts::pairs(&known);
                    known = counts::with_these_pairs(&known, &pairs);
                }
                let model = baseline.fit(&known, values, target == Target::Latency, seed)?;
                Model::Baseline(*baseline, Box::new(model), pairs)
            }
            MethodFeatures::Gcn(recipe, archs) => {
                let archs: Vec<_> = rows.iter().map(|&r| archs[r].clone()).collect();
                let samples = Samples { architectures: &archs, targets: values };
                let (threads, go_on) =
                    (rayon::current_num_threads(), &mut |_| ControlFlow::Continue(()));
                Model::Gcn(gcn::fit(space, samples, None, recipe, None, seed, threads, go_on)?)
            }
            MethodFeatures::Binary(archs) => {
                let archs: Vec<_> = rows.iter().map(|&r| archs[r].clone()).collect();
                let samples = Samples { architectures: &archs, targets: values };
                let go_on = &mut |_| ControlFlow::Continue(());
                let recipe = relation::RelationRecipe::Thurstone;
                Model::Binary(relation::fit(space, samples, &recipe, None, seed, 1, go_on)?)
            }
            MethodFeatures::Operations(archs) => {
                let archs: Vec<_> = rows.iter().map(|&r| archs[r].clone()).collect();
                let skeleton = published(space)?;
                let views: Vec<_> = (counted::views(space).iter())
                    .map(|&view| counted::count(&skeleton, &archs, view))
                    .collect::<Result<_, _>>()?;
                Model::Operations(OperationsModel::fit(&views, values)?)
            }
        };
        Ok(Fitted { space: space.clone(), model })
    }
}

fn published(space: &Space) -> Result<Skeleton, PredictError> {
    Skeleton::of(space).map_err(|e| PredictError::Model { why: e.to_string() })
}

/// A fitted predictor, for any architectures of its space.
pub struct Fitted {
    space: Space,
    model: Model,
}

enum Model {
    /// With features of no architectures, which make those of others.
    Latency(Box<LatencyModel>, LatencyFeatures),
    Accuracy(Box<AccuracyModel>, AccuracyFeatures),
    /// With the pairs of columns whose products it sees.
    Baseline(Baseline, Box<BaselineModel>, Vec<(usize, usize)>),
    Gcn(GcnPredictor),
    Binary(Relation),
    Operations(OperationsModel),
}

impl Fitted {
    /// So many architectures at a time keep memory within some hundred megabytes a thread. Graph networks
    /// compute equal states of a block once, so they take more.
    pub fn block(&self) -> usize {
        match &self.model {
            Model::Gcn(_) => 1 << 14,
            Model::Baseline(Baseline::RidgePairs, ..) => 1 << 10,
            _ => 1 << 11,
        }
    }

    /// The same predictor for the networks of another space, if it goes by operations alone.
    pub fn elsewhere(self, space: &Space) -> Option<Fitted> {
        matches!(self.model, Model::Operations(_)).then(|| Fitted { space: space.clone(), ..self })
    }

    /// A forecast for each architecture, whatever the others are. Features are held for all of them
    /// at once: ask in blocks of some thousands.
    pub fn predict(&self, archs: &[Architecture]) -> Forecast {
        match &self.model {
            Model::Latency(model, views) => model.predict_others(&views.of(archs)),
            Model::Accuracy(model, views) => model.predict_others(&views.of(archs)),
            Model::Baseline(baseline, model, pairs) => {
                let mut x = baseline.columns(&self.space, archs);
                if *baseline == Baseline::RidgePairs {
                    x = counts::with_these_pairs(&x, pairs);
                }
                model.predict(&x)
            }
            Model::Gcn(gcn) => {
                let mean = gcn.predict(&gcn.prepare(&self.space, archs), 1);
                Forecast { mean, ..Forecast::default() }
            }
            Model::Binary(relation) => {
                let margins = relation.margins(&relation.prepare(&self.space, archs), 1);
                let mean = margins.first().map(Margins::scores).unwrap_or_default();
                Forecast { mean, ..Forecast::default() }
            }
            Model::Operations(model) => {
                let view = *model.seen(counted::views(&self.space)).unwrap_or(&View::Raw);
                let counted = published(&self.space).and_then(|s| counted::count(&s, archs, view));
                // Architectures of the space make networks; what did not would have no latency.
                let mean = counted
                    .map_or_else(|_| vec![f64::NAN; archs.len()], |all| model.latencies(&all));
                Forecast { mean, ..Forecast::default() }
            }
        }
    }
}

/// What a model file says about how it was learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    gcn: Option<GcnPredictor>,
    operations: Option<OperationsModel>,
}

impl Saved {
    /// The kind in the file's header.
    pub const KIND: &str = "trained on a table";

    /// Fits and keeps what is needed to predict again; the method must be one of
    /// [`MethodFeatures::methods`].
    pub fn fit(
        pool: &Pool,
        views: &MethodFeatures,
        settings: Settings,
        (rows, values): (&[usize], &[f64]),
        seed: u64,
    ) -> Result<Saved, PredictError> {
        let fitted = views.fit(&pool.space, settings.target, (rows, values), seed)?;
        let (mut hyper, mut precisions) = Default::default();
        let (mut gcn, mut operations) = (None, None);
        match fitted.model {
            Model::Latency(model, _) => (hyper, precisions) = model.into_state(),
            Model::Gcn(model) => gcn = Some(model),
            Model::Operations(model) => operations = Some(model),
            _ => (),
        }
        Ok(Saved {
            space: pool.space.clone(),
            settings,
            seed,
            archs: rows.iter().map(|&r| pool.archs[r].clone()).collect(),
            values: values.to_vec(),
            hyper,
            precisions,
            gcn,
            operations,
        })
    }

    /// The predictor again.
    pub fn restore(&self) -> Result<Fitted, PredictError> {
        if let Some(gcn) = &self.gcn {
            return Ok(Fitted { space: self.space.clone(), model: Model::Gcn(gcn.clone()) });
        }
        if let Some(model) = &self.operations {
            return Ok(Fitted {
                space: self.space.clone(),
                model: Model::Operations(model.clone()),
            });
        }
        let Settings { method, target, .. } = &self.settings;
        let pool = match target {
            // Latencies and baselines see their training set alone.
            Target::Accuracy if method == "default" => reference(&self.space, &self.archs),
            _ => Pool::new(self.space.clone(), self.archs.clone()),
        };
        let views = MethodFeatures::new(method, *target, &pool)
            .ok_or_else(|| PredictError::Model { why: format!("unknown method '{method}'") })?;
        let rows: Vec<usize> = self.archs.iter().filter_map(|a| pool.row_of(a)).collect();
        let state = (self.hyper.clone(), self.precisions.clone());
        views.fitted(&self.space, *target, (&rows, &self.values), self.seed, Some(state))
    }

    /// Writes the file.
    pub fn save(&self, path: &std::path::Path) -> Result<(), PredictError> {
        let texts: Vec<String> = self.archs.iter().map(|a| self.space.print(a)).collect();
        let mut header =
            Header::new(Saved::KIND, &self.space.identity(), &self.settings.method, self.seed);
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
        if let Some(gcn) = &self.gcn {
            let inner = gcn.to_model(&self.space, self.seed, String::new());
            file.header.settings[GCN] = inner.header.settings;
            file.tensors.extend(inner.tensors);
        }
        if let Some(model) = &self.operations {
            model.store(&mut file);
        }
        file.save(path)
    }

    /// Reads a file that [`Saved::save`] wrote for this space.
    pub fn load(path: &std::path::Path, space: &Space) -> Result<Saved, PredictError> {
        let file = ModelFile::load(path, Saved::KIND, &space.identity())?;
        let bad = |what: String| PredictError::ModelFile { path: path.into(), why: what };
        let all = |name: &str| -> Result<Vec<f64>, PredictError> {
            match file.tensors.get(name) {
                Some(array) => Ok(file.f64(name, array.shape())?.to_vec()),
                None => Err(bad(format!("it lacks '{name}'"))),
            }
        };
        let (values, hyper, precisions) = (all("values")?, all("hyper")?, all("precisions")?);
        let archs = file.archs(space, values.len()).map_err(|e| bad(e.to_string()))?;
        let gcn = match file.header.settings.get(GCN) {
            None => None,
            Some(settings) => {
                let mut header = Header::new(GCN, &file.header.space, "", file.header.seed);
                header.settings = settings.clone();
                let mut inner = ModelFile::new(header);
                let members = file.tensors.iter().filter(|t| t.0.starts_with("member"));
                inner.tensors = members.map(|(n, a)| (n.clone(), a.clone())).collect();
                let gcn = GcnPredictor::from_model(&inner, space);
                Some(gcn.map_err(|e| bad(e.to_string()))?)
            }
        };
        let operations = OperationsModel::read(&file).map_err(|e| bad(e.to_string()))?;
        Ok(Saved {
            space: space.clone(),
            settings: file.settings()?,
            seed: file.header.seed,
            archs,
            values,
            hyper,
            precisions,
            gcn,
            operations,
        })
    }
}
