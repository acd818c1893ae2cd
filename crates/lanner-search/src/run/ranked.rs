//! Evaluation by `rank`, the untrained score that combines proxies.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Evaluator, Place, ProxyEvaluator, Request};
use lanner_predict::accuracy::untrained::{RANK, UntrainedRank};
use lanner_predict::distinct;
use lanner_space::Architecture;

/// Number of random networks that give the scale of `rank`.
const SCALE: usize = 32;

/// Evaluates networks by their proxies and their `rank` among random networks of the space, which are
/// computed before the first evaluation.
pub(super) struct RankEvaluator {
    proxies: ProxyEvaluator,
    scale: Mutex<Scale>,
}

/// The random networks, and the proxies of those that were computed so far.
struct Scale {
    archs: Vec<Architecture>,
    columns: Vec<(String, Vec<f64>)>,
}

impl RankEvaluator {
    pub(super) fn new(proxies: ProxyEvaluator, seed: u64) -> RankEvaluator {
        let space = &proxies.campaign.space;
        let count = SCALE.min(usize::try_from(space.size()).unwrap_or(SCALE));
        let archs = distinct(space, count, &mut lanner_nn::rng(seed, "scale of rank"));
        let names = proxies.campaign.proxies.iter().map(|p| p.name().to_string());
        let columns = names.map(|name| (name, Vec::new())).collect();
        RankEvaluator { proxies, scale: Mutex::new(Scale { archs, columns }) }
    }

    /// Returns the scale, and computes what is missing of it; `None` if that was stopped.
    fn scale(&self, request: &Request) -> Result<Option<UntrainedRank>, EvaluateError> {
        let mut scale = self.scale.lock().unwrap_or_else(PoisonError::into_inner);
        let Scale { archs, columns } = &mut *scale;
        let known = columns.first().map_or(0, |c| c.1.len());
        for arch in &archs[known..] {
            if (request.stop)() {
                return Ok(None);
            }
            let scores = self.proxies.campaign.one(arch)?;
            for ((_, column), (_, score)) in columns.iter_mut().zip(scores) {
                column.push(score.unwrap_or(f64::NAN));
            }
        }
        Ok(UntrainedRank::new(columns))
    }
}

impl Evaluator for RankEvaluator {
    /// A proxy that the network lacks is left out, and counts in its rank as the lowest.
    fn evaluate(&self, request: &Request) -> Result<Answer, EvaluateError> {
        let scale = self.scale(request)?;
        if (request.stop)() {
            return Ok(Answer::Stopped);
        }
        let Some(scale) = scale else {
            return Ok(Answer::Failed("all networks of the space have the same proxies".into()));
        };
        let scores = self.proxies.campaign.one(request.arch)?;
        let columns: Vec<(String, Vec<f64>)> = (scores.iter())
            .map(|(proxy, score)| (proxy.name().into(), vec![score.unwrap_or(f64::NAN)]))
            .collect();
        let known = scores.iter().filter_map(|(proxy, score)| Some((proxy.name(), score.ok()?)));
        let mut metrics: BTreeMap<String, f64> = known.map(|(name, v)| (name.into(), v)).collect();
        metrics.insert(RANK.into(), scale.scores(&columns, 1)[0]);
        Ok(Answer::Metrics(metrics))
    }

    fn may_tell(&self, metric: &str) -> bool {
        metric == RANK || self.proxies.may_tell(metric)
    }

    fn place(&self) -> Place {
        self.proxies.place()
    }
}
