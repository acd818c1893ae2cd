//! Methods of `lanner-bench few-shot`.

use crate::recipes::peers::{Peer, PeerViews};
use crate::recipes::{help, multi_predict::devices, nasflat};
use lanner_predict::Forecast;
use lanner_predict::latency::adapted::{DevicePrior, FewShot};

use crate::output::usage;

#[derive(Clone, Copy, PartialEq)]
pub enum Method {
    Default,
    MultiPredict,
    Nasflat,
    Help,
    Peer(Peer),
}

/// Models that methods learn from a set's sources.
pub struct Learned {
    pub prior: DevicePrior,
    /// Present if multi-predict was asked for.
    pub joint: Option<devices::PreTrained>,
    /// Present if nasflat was asked for.
    pub nasflat: Option<nasflat::PreTrained>,
    /// Present if help was asked for.
    pub help: Option<help::PreTrained>,
}

impl Method {
    pub fn by_name(name: &str) -> anyhow::Result<Method> {
        let own = [
            ("default", Method::Default),
            ("multi-predict", Method::MultiPredict),
            ("nasflat", Method::Nasflat),
            ("help", Method::Help),
        ];
        let all: Vec<(&str, Method)> = own
            .into_iter()
            .chain(Peer::ALL.map(|(name, peer)| (name, Method::Peer(peer))))
            .collect();
        all.iter().find(|m| m.0 == name).map(|m| m.1).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|m| m.0).collect();
            usage(format!("no method '{name}'; there are: {}", names.join(", ")))
        })
    }

    /// Predicts the rows `ask` from latencies of other rows.
    pub fn forecast(
        self,
        peers: &PeerViews,
        learned: &Learned,
        sources: &[&[f64]],
        known: (&[usize], &[f64]),
        ask: &[usize],
        seed: u64,
    ) -> anyhow::Result<Forecast> {
        let plain = |mean| Forecast { mean, ..Forecast::default() };
        let missing = || usage("a recipe that is pre-trained needs sources");
        Ok(match self {
            Method::Default => {
                let Learned { prior, .. } = learned;
                FewShot::fit(prior, known.0, known.1)?.predict(prior, ask)
            }
            Method::MultiPredict => {
                let joint = learned.joint.as_ref().ok_or_else(missing)?;
                plain(joint.adapt(sources, known, seed)?.predict(ask))
            }
            Method::Nasflat => {
                let nasflat = learned.nasflat.as_ref().ok_or_else(missing)?;
                plain(nasflat.adapt(sources, known, seed)?.predict(ask))
            }
            Method::Help => {
                let help = learned.help.as_ref().ok_or_else(missing)?;
                plain(help.adapt(known.0, known.1)?.predict(ask))
            }
            Method::Peer(peer) => plain(peers.fit_predict(peer, sources, known, ask)?),
        })
    }
}
