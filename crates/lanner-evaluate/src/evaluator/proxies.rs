//! Evaluation without training: zero-cost proxies.

use std::collections::BTreeMap;

use super::{Answer, Evaluator, Place, Request};
use crate::{
    EvaluateError,
    proxies::{Proxy, ProxyCampaign},
};

/// Evaluates networks by proxies.
pub struct ProxyEvaluator {
    pub campaign: ProxyCampaign,
}

impl Evaluator for ProxyEvaluator {
    fn evaluate(&self, request: &Request) -> Result<Answer, EvaluateError> {
        if (request.stop)() {
            return Ok(Answer::Stopped);
        }
        let mut metrics = BTreeMap::new();
        for (proxy, score) in self.campaign.one(request.arch)? {
            match score {
                Ok(value) => metrics.insert(proxy.name().to_string(), value),
                Err(absence) => {
                    return Ok(Answer::Failed(format!("{}: {absence}", proxy.name())));
                }
            };
        }
        Ok(Answer::Metrics(metrics))
    }

    fn may_tell(&self, metric: &str) -> bool {
        Proxy::ALL.iter().any(|p| p.name() == metric)
    }

    fn place(&self) -> Place {
        Place::Here
    }
}
