//! The methods of `lanner bench few-shot`.

use lanner_predict::Forecast;
use lanner_predict::transfer::joint::PreTrained;
use lanner_predict::transfer::peers::{Peer, PeerViews};
use lanner_predict::transfer::{FewShot, Prior};

use crate::output::usage;

#[derive(Clone, Copy, PartialEq)]
pub enum Method {
    Default,
    MultiPredict,
    Peer(Peer),
}

/// What methods know of a set's sources.
pub struct Learned {
    pub prior: Prior,
    /// Where multi-predict is asked for.
    pub joint: Option<PreTrained>,
}

impl Method {
    pub fn by_name(name: &str) -> anyhow::Result<Method> {
        let own = [("default", Method::Default), ("multi-predict", Method::MultiPredict)];
        let all: Vec<(&str, Method)> = own
            .into_iter()
            .chain(Peer::ALL.map(|(name, peer)| (name, Method::Peer(peer))))
            .collect();
        all.iter().find(|m| m.0 == name).map(|m| m.1).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|m| m.0).collect();
            usage(format!("no method '{name}'; there are: {}", names.join(", ")))
        })
    }

    /// For the rows `ask`, from latencies of others.
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
        Ok(match (self, &learned.joint) {
            (Method::Peer(peer), _) => plain(peers.fit_predict(peer, sources, known, ask)?),
            (Method::MultiPredict, Some(joint)) => {
                plain(joint.adapt(sources, known, seed)?.predict(ask))
            }
            _ => {
                let Learned { prior, .. } = learned;
                FewShot::fit(prior, known.0, known.1)?.predict(prior, ask)
            }
        })
    }
}
