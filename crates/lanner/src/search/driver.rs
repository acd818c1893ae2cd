//! The loop: measure, ask, evaluate, tell, and measure again what is returned.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context;
use lanner_network::Skeleton;
use lanner_search::study::{
    ANALYTIC, Limit, Measurement, Outcome, State, Study, StudyError, Trial,
};
use lanner_space::Architecture;

use super::{
    SearchArgs,
    columns::Columns,
    evaluator::Evaluator,
    first::{self, new_meter},
    job::{self, Job, LATENCY},
    latency::{Effort, Latency, Meter},
    summary,
    tables::Tables,
    warm_start,
};
use crate::{
    output::{progress, usage},
    stop::interrupts,
};

/// Networks that are measured again at most, until one is surely within the limit.
const FINALISTS: usize = 20;

/// A search under way.
pub struct Search {
    pub study: Study,
    pub job: Job,
    pub skeleton: Skeleton,
    pub folder: PathBuf,
    pub meter: Option<Meter>,
    pub evaluator: Evaluator,
    pub columns: Columns,
    pub tables: Tables,
}

/// Searches in `folder`, which is kept or, `kept` being false, gone afterwards.
pub fn run(args: &SearchArgs, folder: &Path, kept: bool) -> anyhow::Result<()> {
    let start = Instant::now();
    if let Some(minutes) = args.time.filter(|m| !(m.is_finite() && *m > 0.0)) {
        return Err(usage(format!("--time {minutes}: expected minutes, more than 0")));
    }
    let runs_commands = Arc::new(AtomicBool::new(false));
    let told = runs_commands.clone();
    let pressed = interrupts(move |times| {
        if times == 1 && told.load(Ordering::Relaxed) {
            eprintln!(
                "lanner: finishing what runs; Ctrl-C again ends it, to be run anew by --resume"
            );
        }
    });
    let stopped = || pressed() > 0;
    let mut search = match (args.resume, Study::is_there(folder)) {
        (true, _) => Search::resume(folder, args.budget)?,
        (false, true) => {
            let name = folder.display();
            return Err(usage(format!(
                "{name} has a study already: --resume goes on with it, --out DIR makes another"
            )));
        }
        (false, false) => Search::create(folder, args, &stopped)?,
    };
    search.first_measurements(&stopped)?;
    let is_long = search.job.evaluate.starts_with("command:");
    runs_commands.store(is_long, Ordering::Relaxed);
    let late = || args.time.is_some_and(|m| start.elapsed().as_secs_f64() > 60.0 * m);
    let ended_early = search.rounds(&|| stopped() || late(), &|| {
        // A training of seconds is given up at once, a command only when asked twice.
        pressed() > usize::from(is_long)
    })?;
    let c = search.study.counts()?;
    let (done, budget) = (c.done + c.failed, search.study.settings().budget);
    let way = match kept {
        true => {
            let name = job::quoted(&folder.display().to_string());
            format!("lanner search --resume --out {name} goes on from there")
        }
        false => "with --out DIR it would be kept, to go on with".into(),
    };
    if stopped() {
        anyhow::bail!("stopped after {done} of {budget} evaluations; {way}");
    }
    if ended_early && done < budget {
        let up = format!("the time is up after {done} of {budget} evaluations; {way}");
        if done == 0 {
            anyhow::bail!(up);
        }
        eprintln!("lanner: {up}");
    }
    let front = search.front()?;
    let on_front = front.as_ref().and_then(|f| f.points.first());
    let best = match on_front {
        Some(point) => Some((point.trial.clone(), point.latency)),
        None => search.finalist(&stopped)?,
    };
    let by_size = match front {
        None if best.is_some() => search.by_size(&stopped)?,
        _ => None,
    };
    if stopped() {
        anyhow::bail!("stopped before the best network was surely within the limit; {way}");
    }
    let counts = search.study.counts()?;
    let by_chance = search.by_chance(counts.done + counts.failed)?;
    let seconds = start.elapsed().as_secs_f64();
    let found = summary::Found { best, front, by_size, by_chance, seconds, kept };
    let told = summary::write(&search, found, args.json);
    // Of a search that found nothing, too: it shows why.
    if kept {
        crate::report::write(&search.study, &mut search.tables)?;
    }
    told
}

impl Search {
    fn create(folder: &Path, args: &SearchArgs, stop: &dyn Fn() -> bool) -> anyhow::Result<Search> {
        let mut tables = Tables::default();
        let (mut settings, job) = job::settings(args, &mut tables)?;
        let space = settings.space()?;
        let skeleton = settings.skeleton(&space)?;
        let evaluator = Evaluator::new(&settings, &job, &skeleton, &mut tables)?;
        let columns = Columns::of(&settings, &job, &space, &mut tables)?;
        let earlier = warm_start::read(args, &settings, &space, &mut tables)?;
        let archs = match &evaluator {
            Evaluator::Table(table) => table.archs.clone(),
            _ => Vec::new(),
        };
        let mut meter = None;
        let mut first = Vec::new();
        if job.median_limit {
            // The limit belongs to the study's settings, so these come before there is a study.
            let mut machine = new_meter(&job, &skeleton, None, &mut tables)?;
            let limit;
            (first, limit) = first::median_limit(&mut machine, &job, &space, settings.seed, stop)?;
            settings.limits.push(Limit { metric: LATENCY.into(), at_most: limit });
            meter = Some(machine);
        }
        let study = Study::create_warm(folder, &settings, &archs, &earlier)?;
        let folder = folder.into();
        let mut search = Search { study, job, skeleton, folder, meter, evaluator, columns, tables };
        search.note_reference()?;
        for (arch, latency) in first {
            search.note(&arch, latency, None, Effort::Quick)?;
        }
        Ok(search)
    }

    fn resume(folder: &Path, budget: Option<usize>) -> anyhow::Result<Search> {
        let mut study = Study::open(folder)?;
        if let Some(budget) = budget {
            study.set_budget(budget)?;
        }
        let settings = study.settings().clone();
        let job: Job = serde_json::from_value(settings.driver.clone())
            .with_context(|| format!("{}: no study of lanner search", study.path().display()))?;
        let skeleton = settings.skeleton(study.space())?;
        let mut tables = Tables::default();
        let evaluator = Evaluator::new(&settings, &job, &skeleton, &mut tables)?;
        let columns = Columns::of(&settings, &job, study.space(), &mut tables)?;
        let folder = folder.into();
        Ok(Search { study, job, skeleton, folder, meter: None, evaluator, columns, tables })
    }

    /// The limit of a metric.
    pub fn limit(&self) -> Option<f64> {
        let limits = self.study.settings().limits.iter().filter(|l| l.metric == LATENCY);
        limits.map(|l| l.at_most).reduce(f64::min)
    }

    /// Whether latencies are limited or an objective.
    pub fn needs_latency(&self) -> bool {
        let objectives = &self.study.settings().objectives;
        self.limit().is_some() || objectives.iter().any(|o| o.metric == LATENCY)
    }

    pub fn note(
        &mut self,
        arch: &Architecture,
        latency: Latency,
        trial: Option<i64>,
        effort: Effort,
    ) -> anyhow::Result<()> {
        let text = self.study.space().print(arch);
        let Latency { ms, se } = latency;
        let m = measurement(text, LATENCY, ms, Some(se), trial, effort.describe());
        Ok(self.study.measured(&m)?)
    }

    pub fn measure(
        &mut self,
        arch: &Architecture,
        trial: Option<i64>,
        effort: Effort,
    ) -> anyhow::Result<Option<Latency>> {
        let Some(meter) = &mut self.meter else { return Ok(None) };
        let latency = meter.measure(arch, effort)?;
        if let Some(latency) = latency {
            self.note(arch, latency, trial, effort)?;
        }
        Ok(latency)
    }

    /// What a network took when it was last measured.
    pub fn known_latency(&self, arch: &str) -> anyhow::Result<Option<Latency>> {
        let known = self.study.measurements_of(arch)?;
        let last = known.iter().rfind(|m| m.metric == LATENCY);
        Ok(last.map(|m| Latency { ms: m.value, se: m.se.unwrap_or(0.0) }))
    }

    pub fn is_surely_within(&self, latency: Latency) -> bool {
        let machine = self.meter.as_ref().is_some_and(Meter::is_machine);
        self.limit().is_none_or(|limit| latency.is_surely_within(limit, machine))
    }

    /// Asks, measures and evaluates until the budget is spent; true if `stop` ended it before.
    /// `give_up` ends what is under way.
    fn rounds(
        &mut self,
        stop: &dyn Fn() -> bool,
        give_up: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<bool> {
        let budget = self.study.settings().budget;
        let bar = progress(budget as u64, "searching");
        std::fs::create_dir_all(self.folder.join("networks"))?;
        loop {
            let mut batch = Vec::new();
            while batch.len() < self.job.parallel {
                if stop() {
                    bar.clear();
                    return Ok(true);
                }
                let Some(trial) = self.study.claim()? else { break };
                let arch = self.study.space().parse(&trial.arch)?;
                if let Some(metrics) = self.over(&trial, &arch)? {
                    self.study.tell(trial.id, Outcome::Infeasible { metrics })?;
                } else {
                    batch.push((trial, arch));
                }
            }
            if batch.is_empty() && self.study.ask(budget)?.is_empty() {
                break;
            }
            self.evaluate(batch, give_up)?;
            let counts = self.study.counts()?;
            bar.tell((counts.done + counts.failed) as u64, budget as u64);
        }
        bar.clear();
        Ok(false)
    }

    /// The metrics of a network that is not surely within the limit of latency.
    fn over(
        &mut self,
        trial: &Trial,
        arch: &Architecture,
    ) -> anyhow::Result<Option<BTreeMap<String, f64>>> {
        if let Some(metrics) = self.over_a_column(Some(trial.id), arch)? {
            return Ok(Some(metrics));
        }
        if !self.needs_latency() {
            return Ok(None);
        }
        // One that was measured before the search, or before a crash, is not measured twice.
        let latency = match self.known_latency(&trial.arch)? {
            Some(latency) => Some(latency),
            None => self.measure(arch, Some(trial.id), Effort::Quick)?,
        };
        Ok(match latency {
            Some(latency) if self.is_surely_within(latency) => None,
            Some(latency) => Some([(LATENCY.to_string(), latency.ms)].into()),
            None => Some(Default::default()),
        })
    }

    /// What the evaluation has to tell: the objectives and limits that nothing else does.
    pub fn needed(&self) -> Vec<String> {
        let settings = self.study.settings();
        let all = (settings.objectives.iter().map(|o| &o.metric))
            .chain(settings.limits.iter().map(|l| &l.metric));
        let elsewhere = |m: &str| m == LATENCY || ANALYTIC.contains(&m) || self.columns.has(m);
        let first = settings.objectives[0].metric.clone();
        std::iter::once(first).chain(all.skip(1).filter(|m| !elsewhere(m)).cloned()).collect()
    }

    fn evaluate(
        &mut self,
        batch: Vec<(Trial, Architecture)>,
        give_up: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<()> {
        let needed = self.needed();
        let mut beside = BTreeMap::new();
        for (trial, arch) in &batch {
            beside.insert(trial.id, self.beside_the_evaluation(arch)?);
        }
        let (evaluator, skeleton) = (&self.evaluator, &self.skeleton);
        let networks = self.folder.join("networks");
        let study = &mut self.study;
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::channel();
            for (trial, arch) in &batch {
                let (send, needed) = (send.clone(), &needed);
                let out = networks.join(format!("{}.onnx", trial.id));
                scope.spawn(move || {
                    let done =
                        evaluator.evaluate(arch, trial.seed, skeleton, needed, &out, give_up);
                    // The receiver outlives the workers.
                    let _ = send.send((trial.id, done));
                });
            }
            drop(send);
            for (id, done) in receive {
                let Some(mut outcome) = done? else { continue };
                if let Outcome::Done { metrics } = &mut outcome {
                    metrics.extend(beside.remove(&id).unwrap_or_default());
                }
                match study.tell(id, outcome) {
                    // Another process was faster: its result counts.
                    Ok(_) | Err(StudyError::Told { .. } | StudyError::TakenOver { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            anyhow::Ok(())
        })
    }

    /// The best trial by validation that is surely within the limit when measured with more effort.
    fn finalist(
        &mut self,
        stop: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<(Trial, Option<Latency>)>> {
        let objective = self.study.settings().objectives[0].clone();
        let sign = if objective.maximise { 1.0 } else { -1.0 };
        let mut done: Vec<Trial> = self.study.trials()?;
        done.retain(|t| t.state == State::Done && t.metrics.contains_key(&objective.metric));
        done.retain(|t| self.keeps_evaluated_limits(t));
        done.sort_by(|a, b| {
            let value = |t: &Trial| sign * t.metrics[&objective.metric];
            value(b).total_cmp(&value(a)).then(a.id.cmp(&b.id))
        });
        done.truncate(FINALISTS);
        if self.limit().is_none() {
            return Ok(done.into_iter().next().map(|trial| (trial, None)));
        }
        let bar = progress(done.len() as u64, "measuring again");
        let mut found = None;
        for trial in done {
            if stop() {
                break;
            }
            let arch = self.study.space().parse(&trial.arch)?;
            if let Some(latency) = self.measure(&arch, Some(trial.id), Effort::Final)?
                && self.is_surely_within(latency)
            {
                found = Some((trial, Some(latency)));
                break;
            }
            bar.inc(1);
        }
        bar.clear();
        Ok(found)
    }
}

pub fn measurement(
    arch: String,
    metric: &str,
    value: f64,
    se: Option<f64>,
    trial: Option<i64>,
    budget: String,
) -> Measurement {
    let unix_time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64());
    Measurement { arch, metric: metric.into(), value, se, trial, seed: 0, budget, unix_time }
}
