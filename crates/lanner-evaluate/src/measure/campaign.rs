//! Measures many networks one after the other, each on disk before the next, so that it can be stopped
//! and resumed at any time.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use lanner_network::{Init, OnnxOptions, Precision, Skeleton, Weights, onnx};
use lanner_space::{Architecture, Space, View};
use rand::seq::SliceRandom;

use super::{
    DOUBTFUL, Header, LatencyRow, LatencyTable, Measurement, Protocol, Reference, Runtime,
    latency_table::{BASELINE, baseline_of},
    machine, median, relative_half_width,
};
use crate::EvaluateError;

/// Settings of the measurement of many networks.
#[derive(Debug, Clone)]
pub struct LatencyCampaign {
    pub space: Space,
    pub skeleton: Skeleton,
    /// Batch and precision of the measured models.
    pub onnx: OnnxOptions,
    pub protocol: Protocol,
    /// Seed of the order in which networks are measured.
    pub seed: u64,
    /// Reference network that is measured beside the others, if any.
    pub reference: Option<Architecture>,
    /// Latency of the reference, from an earlier table, in the state of the machine that latencies are
    /// corrected to. `None`: the usual state during this campaign.
    pub baseline_ms: Option<f64>,
}

/// State of a running campaign.
struct Progress {
    log: LatencyTable,
    rows: Vec<LatencyRow>,
    outcome: LatencySummary,
}

/// Summary of a run of a campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencySummary {
    /// Number of networks measured now.
    pub measured: usize,
    /// Number of networks that were in the file already.
    pub found: usize,
    /// Number of networks that the runtime refused; the file has the reasons.
    pub refused: usize,
    /// Whether the caller stopped the run.
    pub stopped: bool,
}

impl LatencyCampaign {
    /// Header of the file: settings that all its rows must share, and facts about machine and time.
    /// `more` are settings of the caller, such as threads, device and processors.
    pub fn header(&self, runtime: &dyn Runtime, more: &[(&str, String)]) -> Header {
        let pair = |(k, v): (&str, String)| (k.to_string(), v);
        let reference = match &self.reference {
            Some(arch) => self.space.print(arch),
            None => "none".into(),
        };
        let settings = [
            ("space", self.space.identity()),
            ("skeleton", self.skeleton.describe()),
            ("runtime", runtime.describe()),
            ("precision", self.onnx.precision.to_string()),
            ("batch", self.onnx.batch.map_or("open".into(), |b| b.to_string())),
            ("protocol", self.protocol.describe()),
            ("weights", "He, seed 0, batch norms folded".into()),
            ("reference", reference),
        ];
        let settings: Vec<_> = settings.into_iter().chain(more.iter().cloned()).map(pair).collect();
        let facts = [
            ("governor", machine::governor()),
            ("os", machine::os()),
            ("lanner", env!("CARGO_PKG_VERSION").into()),
            ("started_unix_time", unix_time().to_string()),
        ];
        Header { settings, facts: facts.into_iter().map(pair).collect() }
    }

    /// Encodes the model that is measured: the pruned network with fresh weights and folded batch
    /// norms. A cell whose output no path reaches is zeros between stem and residual blocks.
    pub fn model(&self, arch: &Architecture) -> Result<Vec<u8>, EvaluateError> {
        deployed(&self.skeleton, arch, self.onnx)
    }

    /// Measures the first network of each group, and gives the others its latency; groups that are in
    /// the file already are skipped. `on_progress(done, all)` is called before each group and may stop
    /// the campaign.
    pub fn run(
        &self,
        runtime: &dyn Runtime,
        groups: &[Vec<Architecture>],
        out: &Path,
        header: &Header,
        mut on_progress: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<LatencySummary, EvaluateError> {
        let mut header = header.clone();
        let mut reference = None;
        if let (Some(arch), false) = (&self.reference, file_has_rows(out)) {
            // In a new file, all rows are corrected to the reference's latency of now.
            let session = runtime.load(&self.model(arch)?)?;
            let loaded = Reference::new(session, self.baseline_ms)?;
            header.facts.push((BASELINE.into(), baseline_text(loaded.baseline_ms)));
            reference = Some(loaded);
        }
        let (log, rows, mut header) = LatencyTable::open(out, &self.space, &header)?;
        if let (Some(arch), None) = (&self.reference, &reference) {
            let baseline = baseline_of(out, &header)?;
            reference = Some(Reference::new(runtime.load(&self.model(arch)?)?, Some(baseline))?);
        }
        let mut progress = Progress { log, rows, outcome: LatencySummary::default() };
        self.measure(runtime, groups, &mut progress, reference.as_mut(), &mut on_progress)?;
        let Progress { log, mut rows, outcome } = progress;
        let corrected = matches!(self.protocol, Protocol::Adaptive(_));
        let usual = self.baseline_ms.is_none();
        let complete = corrected && usual && !outcome.stopped && outcome.measured > 0;
        if let (Some(reference), true) = (reference, complete) {
            let usual = rebase_to_usual(&mut rows);
            header.set(BASELINE, baseline_text(usual * reference.baseline_ms));
            log.replace(&header, &rows)?;
        }
        Ok(outcome)
    }

    fn measure(
        &self,
        runtime: &dyn Runtime,
        groups: &[Vec<Architecture>],
        progress: &mut Progress,
        mut reference: Option<&mut Reference>,
        on_progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<(), EvaluateError> {
        let mut row_of: HashMap<Architecture, usize> =
            progress.rows.iter().enumerate().map(|(i, r)| (r.arch.clone(), i)).collect();
        // In random order, so that a slow hour of the machine does not hit one kind of network.
        let mut order: Vec<&Vec<Architecture>> = groups.iter().filter(|g| !g.is_empty()).collect();
        order.shuffle(&mut lanner_nn::rng(self.seed, "order of measurement"));
        for (done, group) in order.iter().enumerate() {
            if on_progress(done, order.len()).is_break() {
                progress.outcome.stopped = true;
                return Ok(());
            }
            let row = match group.iter().find_map(|a| row_of.get(a)) {
                Some(&known) => {
                    progress.outcome.found += 1;
                    progress.rows[known].clone()
                }
                None => {
                    let reference = reference.as_deref_mut();
                    let row = self.measure_one(runtime, &group[0], &mut progress.log, reference)?;
                    match row.latency_ms {
                        Some(_) => progress.outcome.measured += 1,
                        None => progress.outcome.refused += 1,
                    }
                    row
                }
            };
            let fresh: Vec<LatencyRow> = group
                .iter()
                .filter(|a| !row_of.contains_key(a))
                .map(|a| LatencyRow {
                    arch: a.clone(),
                    runs: if *a == row.arch { row.runs } else { 0 },
                    ..row.clone()
                })
                .collect();
            if !fresh.is_empty() {
                progress.log.write(&fresh)?;
            }
            for row in fresh {
                row_of.insert(row.arch.clone(), progress.rows.len());
                progress.rows.push(row);
            }
        }
        let _ = on_progress(order.len(), order.len());
        Ok(())
    }

    fn measure_one(
        &self,
        runtime: &dyn Runtime,
        arch: &Architecture,
        log: &mut LatencyTable,
        reference: Option<&mut Reference>,
    ) -> Result<LatencyRow, EvaluateError> {
        let model = self.model(arch)?;
        let measured = runtime
            .load(&model)
            .and_then(|mut session| self.protocol.measure(&mut *session, reference));
        let mut row = LatencyRow {
            arch: arch.clone(),
            latency_ms: None,
            error_ms: f64::NAN,
            runs: 0,
            drift: f64::NAN,
            unix_time: unix_time(),
            note: String::new(),
        };
        match measured {
            Ok(m) => {
                log.write_blocks(arch, &m)?;
                row = LatencyRow {
                    latency_ms: Some(m.latency_ms),
                    error_ms: m.error_ms,
                    runs: m.runs,
                    drift: m.drift,
                    note: doubts(&m),
                    ..row
                };
            }
            Err(EvaluateError::Refused { why, .. }) => row.note = one_line(&why),
            Err(error) => return Err(error),
        }
        Ok(row)
    }
}

/// Encodes a network as it is deployed: pruned, batch norms folded, with fresh weights.
pub(crate) fn deployed(
    skeleton: &Skeleton,
    arch: &Architecture,
    options: OnnxOptions,
) -> Result<Vec<u8>, EvaluateError> {
    if skeleton.is_transformer() {
        if options.precision == Precision::Int8 {
            return Err(EvaluateError::Value {
                name: "precision",
                value: "int8".into(),
                expected: "f32 for transformers; quantise files of `lanner network --onnx` with \
                           onnxruntime.quantization, and measure these"
                    .into(),
            });
        }
        return Ok(skeleton.tensors(arch)?.encode(Init::default(), options.batch)?);
    }
    let network = skeleton.build(arch, View::Pruned)?;
    onnx::fits(&network)?;
    let weights = Weights::init(&network, Init::default());
    let (network, weights) = weights.fold(&network)?;
    Ok(onnx::encode(&network, &weights, options)?)
}

/// Doubts about a latency, for its note; empty if there are none.
pub(super) fn doubts(m: &Measurement) -> String {
    let mut doubts = Vec::new();
    if !m.steady {
        doubts.push("reference unsteady: drift is the usual one".into());
    }
    doubts.extend(m.doubt.clone());
    let width = relative_half_width(m.latency_ms, m.error_ms);
    if width > DOUBTFUL {
        doubts.push(format!("95 % interval ±{:.0} %", 100.0 * width));
    }
    doubts.join("; ")
}

/// Reference network of a space, always the same: of 101 random networks the median by FLOPs. Transformers
/// may take seconds a run, so that theirs is the smallest.
pub fn reference(space: &Space) -> Result<Architecture, EvaluateError> {
    let skeleton = Skeleton::of(space)?;
    let mut generator = lanner_nn::rng(0, "reference network");
    let mut archs = Vec::with_capacity(101);
    for _ in 0..101 {
        let arch = space.sample(&mut generator);
        let flops = match skeleton.is_transformer() {
            true => space.flops_and_params(&arch).map_or(0, |costs| (1e6 * costs.0) as u64),
            false => skeleton.counts(&arch, View::Raw)?.flops,
        };
        archs.push((flops, arch));
    }
    archs.sort_by_key(|(flops, _)| *flops);
    Ok(archs.swap_remove(if skeleton.is_transformer() { 0 } else { 50 }).1)
}

/// Groups architectures that compute the same: equal pruned cells up to isomorphism. Groups are in the
/// order of their first architectures.
pub fn equivalent_groups(space: &Space, archs: &[Architecture]) -> Vec<Vec<Architecture>> {
    let mut at = HashMap::new();
    let mut groups: Vec<Vec<Architecture>> = Vec::new();
    let mut seen = HashSet::new();
    for arch in archs.iter().filter(|a| seen.insert(*a)) {
        let cell = space.graph(arch, View::Pruned).canonical();
        let group = *at.entry(cell).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(arch.clone());
    }
    groups
}

/// Corrects all latencies from the state of the machine in the first second of a campaign to its usual
/// state, by the median drift of the reference network. Returns that drift: how much slower the
/// machine usually was than at first.
fn rebase_to_usual(rows: &mut [LatencyRow]) -> f64 {
    let drifts: Vec<f64> = rows.iter().filter(|r| r.runs > 0).map(|r| r.drift).collect();
    let usual = median(&drifts);
    if !(usual.is_finite() && usual > 0.0) {
        return 1.0;
    }
    for row in rows {
        row.latency_ms = row.latency_ms.map(|ms| ms * usual);
        row.error_ms *= usual;
        row.drift /= usual;
    }
    usual
}

/// Formats the latency of the reference network; a header needs one above 0.
fn baseline_text(ms: f64) -> String {
    if ms >= 1e-3 { format!("{ms:.6}") } else { format!("{ms:.6e}") }
}

fn file_has_rows(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() > 0)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
#[path = "campaign_tests.rs"]
mod tests;
