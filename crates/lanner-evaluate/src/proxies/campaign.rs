//! Computes proxies of many networks into one file, each network on disk before the next begins.

use std::{collections::HashSet, ops::ControlFlow, path::Path, time::Instant};

use lanner_network::{Skeleton, View};
use lanner_space::{Architecture, Space};

use super::{Batch, Proxy, ProxyOptions, Score, average};
use crate::{
    EvaluateError, Header,
    journal::{FileKind, Journal, Opened},
};

const KIND: FileKind = FileKind {
    title: "lanner proxy table",
    version: "1",
    command: "proxies",
    doing: "computing proxies",
};

/// Settings of the proxies of many networks.
#[derive(Debug, Clone)]
pub struct ProxyCampaign {
    pub space: Space,
    pub skeleton: Skeleton,
    /// Whether to add a batch norm behind each pooling, see
    /// [`Network::with_pooling_norms`](lanner_network::Network::with_pooling_norms).
    pub pooling_norms: bool,
    /// Proxies to compute, in the order of the columns.
    pub proxies: Vec<Proxy>,
    pub batch: Batch,
    /// Origin of the batch, for the file's header.
    pub dataset: String,
    /// Number of initialisations, over which values are averaged.
    pub seeds: usize,
    pub options: ProxyOptions,
}

/// Summary of a run over many networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxySummary {
    /// Number of networks computed now.
    pub computed: usize,
    /// Number of networks that were in the file already.
    pub found: usize,
    /// Number of absent values of the networks computed now.
    pub absent: usize,
    /// Whether the caller stopped the run.
    pub stopped: bool,
}

impl ProxyCampaign {
    /// Header of the file: settings that all its rows must share.
    pub fn header(&self) -> Header {
        let norms = if self.pooling_norms { ", batch norms behind poolings" } else { "" };
        Header::now([
            ("space", self.space.identity()),
            ("skeleton", self.skeleton.describe() + norms),
            ("dataset", self.dataset.clone()),
            ("batch", self.batch.len().to_string()),
            (
                "weights",
                format!(
                    "{}, seed {}, {} of them",
                    self.options.weights.describe(),
                    self.options.seed,
                    self.seeds
                ),
            ),
        ])
    }

    /// Computes the proxies of one network as published: layers that lead nowhere count.
    ///
    /// # Errors
    /// As for [`compute`](super::compute).
    pub fn one(&self, arch: &Architecture) -> Result<Vec<(Proxy, Score)>, EvaluateError> {
        let mut network = self.skeleton.build(arch, View::Raw)?;
        if self.pooling_norms {
            network = network.with_pooling_norms();
        }
        average(&network, &self.batch, &self.proxies, self.seeds, &self.options)
    }

    /// Computes the networks that are not in the file yet. `on_progress(done, all)` is called before
    /// each network and may stop the run.
    ///
    /// # Errors
    /// When the file was made with other settings or is not such a file, or a network cannot be
    /// computed.
    pub fn run(
        &self,
        archs: &[Architecture],
        out: &Path,
        mut on_progress: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<ProxySummary, EvaluateError> {
        let mut columns = vec!["arch"];
        columns.extend(self.proxies.iter().map(|p| p.name()));
        columns.extend(["seconds", "note"]);
        let Opened { mut journal, records, .. } =
            Journal::open(out, KIND, &columns, &self.header())?;
        let mut known = HashSet::new();
        for (line, record) in &records {
            let wrong = |why: String| EvaluateError::File { path: out.into(), line: *line, why };
            known.insert(self.space.parse(&record[0]).map_err(|e| wrong(e.to_string()))?);
        }
        let mut outcome = ProxySummary::default();
        for (done, arch) in archs.iter().enumerate() {
            if on_progress(done, archs.len()).is_break() {
                outcome.stopped = true;
                return Ok(outcome);
            }
            if !known.insert(arch.clone()) {
                outcome.found += 1;
                continue;
            }
            let start = Instant::now();
            let scores = self.one(arch)?;
            let row = self.row(arch, &scores, start.elapsed().as_secs_f64());
            journal.write(&[row])?;
            outcome.computed += 1;
            outcome.absent += scores.iter().filter(|(_, s)| s.is_err()).count();
        }
        let _ = on_progress(archs.len(), archs.len());
        Ok(outcome)
    }

    /// Fields of a row; absent values are empty, and the note has their reasons.
    fn row(&self, arch: &Architecture, scores: &[(Proxy, Score)], seconds: f64) -> Vec<String> {
        let mut row = vec![self.space.print(arch)];
        let mut notes = Vec::new();
        for (proxy, score) in scores {
            row.push(score.map_or(String::new(), |v| v.to_string()));
            if let Err(absence) = score {
                notes.push(format!("{proxy}: {absence}"));
            }
        }
        row.extend([format!("{seconds:.3}"), notes.join("; ")]);
        row
    }
}
