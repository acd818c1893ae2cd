//! What a network takes: measured on this machine, or looked up.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use lanner_data::Table;
use lanner_evaluate::measure::{
    self, Adaptive, Campaign, Protocol, Reference, Rten, Runtime, median,
};
use lanner_network::{OnnxOptions, Skeleton};
use lanner_space::{Architecture, Space};

use super::tables::Tables;
use crate::output::usage;

/// How much of a latency is not told again by another process at another time, as a standard
/// deviation: the reference network takes out what slows all alike, as far as it did while it was watched
/// (docs/benchmarks.md, "How well the tables repeat": 4.4 % in the median without a common baseline).
const REPEATABILITY: f64 = 0.045;
/// The normal distribution's quantile of 95 %.
const SURE: f64 = 1.645;

/// A latency and its standard error, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub ms: f64,
    pub se: f64,
}

impl Latency {
    /// Whether another measurement will be within the limit with 95 % probability.
    pub fn is_surely_within(&self, limit: f64, measured: bool) -> bool {
        let se = if self.se.is_finite() { self.se } else { 0.0 };
        let again = if measured { REPEATABILITY * self.ms } else { 0.0 };
        self.ms + SURE * se.hypot(again) <= limit
    }
}

/// How much effort a measurement is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effort {
    /// Before a network is trained.
    Quick,
    /// Before it is returned.
    Final,
}

impl Effort {
    fn adaptive(self) -> Adaptive {
        match self {
            Effort::Quick => Adaptive { budget_s: 0.4, ..Adaptive::default() },
            Effort::Final => {
                Adaptive { tolerance: 0.005, budget_s: 3.0, blocks: 40, ..Adaptive::default() }
            }
        }
    }

    /// In words, for the study.
    pub fn describe(self) -> String {
        Protocol::Adaptive(self.adaptive()).describe()
    }
}

/// What tells latencies.
pub enum Meter {
    Machine {
        campaign: Box<Campaign>,
        runtime: &'static Rten,
        reference: Box<Reference<'static>>,
        /// How much slower than its baseline the reference was, at each measurement.
        drifts: Vec<f64>,
    },
    Table {
        table: Arc<Table>,
        column: String,
    },
}

impl Meter {
    /// This machine's processor, one thread. `baseline_ms` is what the reference network took in an
    /// earlier part of the study.
    pub fn machine(skeleton: Skeleton, baseline_ms: Option<f64>) -> anyhow::Result<Meter> {
        let space = skeleton.space.clone();
        let onnx = OnnxOptions { explicit_padding: true, ..OnnxOptions::default() };
        let campaign = Campaign {
            reference: Some(measure::reference(&space)?),
            protocol: Protocol::Adaptive(Effort::Quick.adaptive()),
            baseline_ms: None,
            seed: 0,
            skeleton,
            space,
            onnx,
        };
        // One for the life of the process: sessions borrow it.
        let runtime: &'static Rten = Box::leak(Box::new(Rten::new(1)));
        let arch = campaign.reference.clone().context("a reference network")?;
        let session = runtime.load(&campaign.model(&arch)?)?;
        let reference = Box::new(Reference::new(session, baseline_ms)?);
        Ok(Meter::Machine { campaign: Box::new(campaign), runtime, reference, drifts: Vec::new() })
    }

    /// FILE:COLUMN.
    pub fn table(source: &str, space: &Space, tables: &mut Tables) -> anyhow::Result<Meter> {
        let (file, column) = source
            .rsplit_once(':')
            .ok_or_else(|| usage(format!("--latency-table '{source}': expected FILE:COLUMN")))?;
        let table = tables.read(Path::new(file), space)?;
        table.column(column).map_err(|e| usage(e.to_string()))?;
        Ok(Meter::Table { table, column: column.into() })
    }

    /// What the reference network took at first.
    pub fn baseline_ms(&self) -> Option<f64> {
        match self {
            Meter::Machine { reference, .. } => Some(reference.baseline_ms),
            Meter::Table { .. } => None,
        }
    }

    /// Makes the usual state of the machine up to here the baseline: of the second in which it was measured,
    /// the machine may have been faster or slower than most of the time. What was measured up to here is
    /// to be multiplied by what this returns.
    pub fn settle(&mut self) -> f64 {
        let Meter::Machine { reference, drifts, .. } = self else { return 1.0 };
        let usual = median(drifts);
        drifts.clear();
        if !usual.is_finite() {
            return 1.0;
        }
        reference.rebase(usual);
        usual
    }

    pub fn is_machine(&self) -> bool {
        matches!(self, Meter::Machine { .. })
    }

    /// `None` if the runtime refuses the network or the table has no value.
    pub fn measure(
        &mut self,
        arch: &Architecture,
        effort: Effort,
    ) -> anyhow::Result<Option<Latency>> {
        match self {
            Meter::Machine { campaign, runtime, reference, drifts } => {
                let model = campaign.model(arch)?;
                let mut session = match runtime.load(&model) {
                    Err(lanner_evaluate::EvaluateError::Refused { .. }) => return Ok(None),
                    other => other?,
                };
                let protocol = Protocol::Adaptive(effort.adaptive());
                let m = protocol.measure(&mut *session, Some(reference))?;
                drifts.push(m.drift);
                // The baseline may be of a faster moment than most: what is returned is told as it is
                // in the machine's usual state.
                let usual = match effort {
                    Effort::Quick => 1.0,
                    Effort::Final => median(drifts).max(1.0),
                };
                Ok(Some(Latency { ms: usual * m.latency_ms, se: usual * m.error_ms }))
            }
            Meter::Table { table, column } => {
                let ms = table.value(column, arch)?;
                Ok(ms.map(|ms| Latency { ms, se: 0.0 }))
            }
        }
    }
}
