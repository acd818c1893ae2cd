//! The model in a [`Fitted`](super::fitted::Fitted) predictor, one kind a family of methods.

use std::sync::Arc;

use lanner_network::Skeleton;
use lanner_space::{Architecture, Space, View};

use crate::accuracy::relation::{Margins, Relation};
use crate::accuracy::untrained::UntrainedScores;
use crate::accuracy::{AccuracyFeatures, AccuracyModel};
use crate::encode::{counts, operations as counted};
use crate::general::baselines::{Baseline, BaselineModel};
use crate::general::gcn::GcnPredictor;
use crate::latency::operations::OperationsModel;
use crate::latency::{LatencyFeatures, LatencyModel};
use crate::{Forecast, PredictError};

pub(super) enum FittedModel {
    /// The model, with features of no architectures, which make those of others.
    Latency(Box<LatencyModel>, LatencyFeatures),
    Accuracy(Box<AccuracyModel>, AccuracyFeatures, Option<Arc<UntrainedScores>>),
    /// The model, with the pairs of columns whose products it sees.
    Baseline(Baseline, Box<BaselineModel>, Vec<(usize, usize)>),
    Gcn(GcnPredictor),
    Binary(Relation),
    Operations(OperationsModel),
}

impl FittedModel {
    /// Number of architectures at a time that keeps memory within some hundred megabytes a thread.
    /// Graph networks compute equal states of a block once, so they take more.
    pub fn block(&self) -> usize {
        match self {
            FittedModel::Gcn(_) => 1 << 14,
            FittedModel::Baseline(Baseline::RidgePairs, ..) => 1 << 10,
            _ => 1 << 11,
        }
    }

    pub fn predict(&self, space: &Space, archs: &[Architecture]) -> Forecast {
        match self {
            FittedModel::Latency(model, features) => model.predict_others(&features.of(archs)),
            FittedModel::Accuracy(model, features, prior) => {
                let features = features.of(archs);
                model.predict_others(&match prior {
                    Some(scores) => features.with_prior(&scores.of(archs)),
                    None => features,
                })
            }
            FittedModel::Baseline(baseline, model, pairs) => {
                let mut x = baseline.columns(space, archs);
                if *baseline == Baseline::RidgePairs {
                    x = counts::with_these_pairs(&x, pairs);
                }
                model.predict(&x)
            }
            FittedModel::Gcn(gcn) => {
                let mean = gcn.predict(&gcn.prepare(space, archs), 1);
                Forecast { mean, ..Forecast::default() }
            }
            FittedModel::Binary(relation) => {
                let margins = relation.margins(&relation.prepare(space, archs), 1);
                let mean = margins.first().map(Margins::scores).unwrap_or_default();
                Forecast { mean, ..Forecast::default() }
            }
            FittedModel::Operations(model) => {
                let view = *model.seen(counted::views(space)).unwrap_or(&View::Raw);
                let counted = published(space).and_then(|s| counted::count(&s, archs, view));
                // Architectures of the space make networks; what did not would have no latency.
                let mean = counted
                    .map_or_else(|_| vec![f64::NAN; archs.len()], |all| model.latencies(&all));
                Forecast { mean, ..Forecast::default() }
            }
        }
    }
}

/// The published skeleton, whose operations are counted.
pub(super) fn published(space: &Space) -> Result<Skeleton, PredictError> {
    Skeleton::of(space).map_err(|e| PredictError::Model { why: e.to_string() })
}
