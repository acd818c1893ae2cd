//! Runs, which execute a [`Job`] from the first measurement to the best network.
//!
//! A [`Run`] measures a few networks, asks the strategy, measures and evaluates its choices, and
//! measures the best ones again before it returns one. All results are in the study before they are
//! used, so that a killed run can be resumed.
//!
//! ```
//! use lanner_evaluate::evaluator::{Answer, Request};
//! use lanner_search::{Job, run::{Control, Own, Run}};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path().join("study");
//! let mine = |request: &Request| {
//!     let convolutions = request.arch.codes().iter().filter(|&&code| code == 3).count();
//!     Ok(Answer::metric("score", convolutions as f64))
//! };
//! let job = Job::new("nasbench201").maximise("score").at_most("params", 2e5).budget(20);
//! let mut run = Run::create(&folder, &job, Own::evaluator(mine), &mut Control::default())?;
//! let found = run.finish(&mut Control::default())?;
//! let (best, _) = found.best.unwrap();
//! assert!(best.metrics["score"] >= 2.0);
//! # Ok::<(), lanner_search::SearchError>(())
//! ```
//!
//! **Workers.** Evaluations run on `parallel` threads. A free worker claims the next trial at once;
//! when none waits, the strategy is asked for more, and knows which trials still run. With one worker,
//! a seed gives one result; with several, the result also depends on which evaluation ends first.
//!
//! **Quiet.** Evaluations in this process pause while a latency is measured on this machine.

mod baseline;
mod columns;
mod comparison;
mod control;
mod finalists;
mod first;
mod front;
mod handover;
pub(crate) mod inputs;
mod limits;
mod measuring;
mod other_devices;
mod quiet;
mod ranked;
mod reachable;
mod rounds;
mod setup;
mod tables;
mod warm_start;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Evaluator, Request};
use lanner_evaluate::meter::{Effort, Meter, ScriptMeter};
use lanner_network::Skeleton;
use lanner_space::Architecture;

use crate::job::LATENCY;
use crate::study::predictors::Predictors;
use crate::study::{Study, Trial};
use crate::{Evaluate, Job, Limit, SearchError, Setup};
pub use baseline::{Baseline, spaced};
pub use columns::Measure;
use columns::{Columns, tells_latency};
pub use comparison::{Choice, Comparison, random_search};
pub use control::{Control, Event, Phase, Stop};
pub use front::{Front, Point};
pub use lanner_evaluate::meter::Latency;
use measuring::Measuring;
pub use setup::{check_metrics, small_skeleton};
pub use tables::Tables;

/// A search in progress.
pub struct Run {
    study: Study,
    setup: Setup,
    skeleton: Skeleton,
    folder: PathBuf,
    evaluator: Arc<dyn Evaluator>,
    measuring: Measuring,
    script: Option<Arc<ScriptMeter>>,
    /// Whether latencies are a metric that the evaluation tells.
    tells_latency: bool,
    tables: Tables,
    /// The metrics that are learnt with other devices, and the number of these.
    devices: Vec<(String, usize)>,
}

/// The caller's own parts of a run, which replace those that the job names.
#[derive(Default)]
pub struct Own {
    pub evaluator: Option<Arc<dyn Evaluator>>,
    pub meter: Option<Box<dyn Meter>>,
    /// Measures metrics other than the latency before the evaluation.
    pub measure: Option<Measure>,
    /// Tables and studies to start from: `FILE[:COLUMN]` or `STUDY[:METRIC]`.
    pub warm_start: Vec<String>,
    /// Networks to evaluate before the strategy chooses any.
    pub first: Vec<Architecture>,
}

/// Returns the architectures of a searched table that have a value of the first objective: the others
/// cannot be evaluated.
fn with_values(
    archs: &[Architecture],
    job: &Job,
    tables: &mut Tables,
) -> Result<Vec<Architecture>, SearchError> {
    let (Some(setup), Some(objective)) = (&job.setup, job.objectives.first()) else {
        return Ok(archs.to_vec());
    };
    let Evaluate::Table(file) = &setup.evaluate else { return Ok(archs.to_vec()) };
    let table = tables.read(file, &job.space()?)?;
    let known = |arch: &&Architecture| {
        table.value(&objective.metric, arch).is_ok_and(|value| value.is_some())
    };
    let archs: Vec<Architecture> = archs.iter().filter(known).cloned().collect();
    match archs.is_empty() {
        true => Err(SearchError::Nothing {
            why: format!("{}: no network has a value of {}", file.display(), objective.metric),
        }),
        false => Ok(archs),
    }
}

impl Own {
    /// Sets an evaluator of the caller's own, such as a closure over a [`Request`].
    pub fn evaluator<F>(evaluator: F) -> Own
    where
        F: Fn(&Request) -> Result<lanner_evaluate::evaluator::Answer, EvaluateError>,
        F: Send + Sync + 'static,
    {
        Own { evaluator: Some(Arc::new(evaluator)), ..Own::default() }
    }
}

/// The result of a run.
pub struct Found {
    /// The best trial, with its last measured latency if latencies matter.
    pub best: Option<(Trial, Option<Latency>)>,
    /// The trade-offs between two objectives.
    pub front: Option<Front>,
    /// The best network beside choices without learning.
    pub comparison: Comparison,
    /// Whether the time was up before the budget was spent.
    pub is_early: bool,
    /// Duration of this run.
    pub seconds: f64,
}

impl Run {
    /// Begins a study in `folder`. With [`Setup::median_limit`], it measures the first networks
    /// before, since their median is the study's limit.
    ///
    /// # Errors
    /// A study exists already, or a setting is wrong (the error names it); then nothing is written.
    pub fn create(
        folder: &Path,
        job: &Job,
        own: Own,
        control: &mut Control,
    ) -> Result<Run, SearchError> {
        // Before a table says that no network keeps them.
        job.check_limits()?;
        let mut job = job.clone();
        let mut setup = job.setup.take().unwrap_or_else(|| Setup::new(Evaluate::Function));
        let runs_command = matches!(setup.evaluate, Evaluate::Command(_))
            || setup.measure.is_some()
            || setup.device.command.is_some();
        if runs_command && setup.folder.is_none() {
            setup.folder = std::env::current_dir().ok();
        }
        setup.device.folder = setup.folder.clone();
        let space = job.space()?;
        let skeleton = job.skeleton(&space)?;
        inputs::resolve(&mut job, &mut setup)?;
        let mut tables = Tables::default();
        let evaluator = match own.evaluator {
            Some(own) => own,
            None => setup::evaluator(&job, &setup, &skeleton, &mut tables)?,
        };
        let has_meter = own.meter.is_some();
        let script = setup::script(&job, &mut setup, &skeleton)?;
        let measure = setup::measure(&job, &mut setup, &space, own.measure, script.as_ref())?;
        let of_tables = |job: &Job, setup: &Setup, tables: &mut Tables| {
            Columns::of(job, setup, &*evaluator, &space, measure.as_ref(), has_meter, tables)
        };
        let mut columns = of_tables(&job, &setup, &mut tables)?;
        let tells_latency = own.meter.is_none() && tells_latency(&space, &setup);
        let warm_start = warm_start::read(&own.warm_start, &job, &space, &mut tables)?;
        let is_limited = setup.median_limit || job.limit_of(LATENCY).is_some();
        let predictors = Predictors::load(&job, &space, is_limited)?;
        let mut meter = own.meter;
        let is_own = meter.is_some();
        let mut first = Vec::new();
        if setup.median_limit {
            let mut usable = match meter {
                Some(own) => own,
                None => setup::meter(&setup, &skeleton, script.as_ref(), None, &mut tables)?,
            };
            let measured = first::median_limit(&mut *usable, &setup, &space, job.seed, control)?;
            job.limits.push(Limit::at_most(LATENCY, measured.1));
            (first, meter) = (measured.0, Some(usable));
            columns = of_tables(&job, &setup, &mut tables)?;
        }
        let is_objective = job.objectives.iter().any(|o| o.metric == LATENCY);
        let is_metered = !tells_latency && !columns.has(LATENCY);
        if meter.is_none() && is_metered && (job.limit_of(LATENCY).is_some() || is_objective) {
            // A device that cannot be used is told before anything is written.
            let usable = setup::meter(&setup, &skeleton, script.as_ref(), None, &mut tables)?;
            meter = Some(usable);
        }
        job.setup = Some(setup.clone());
        let inputs = inputs::of(&job, &setup)?;
        let archs = with_values(evaluator.listed().unwrap_or_default(), &job, &mut tables)?;
        reachable::check(&job.limits, &columns, &space, &archs)?;
        let study = Study::create_with(folder, &job, &archs, &own.first, &warm_start, predictors)?;
        let mut run = Run {
            study,
            setup,
            skeleton,
            folder: folder.into(),
            evaluator,
            measuring: Measuring::new(meter, columns),
            script,
            tells_latency,
            tables,
            devices: Vec::new(),
        };
        run.name_sources();
        run.learn_with_other_devices()?;
        run.study.set_inputs(&inputs)?;
        if run.setup.median_limit || is_own {
            run.keep_baseline()?;
        }
        for (arch, latency) in first {
            measuring::keep_latency(&mut run.study, &arch, latency, None, Effort::Quick)?;
        }
        Ok(run)
    }

    /// Opens the study in `folder` to resume it. If none of its trials has succeeded, failed ones are
    /// tried again, up to three times.
    ///
    /// # Errors
    /// There is no study, it was not made by a run, or a file that it names is gone.
    pub fn resume(folder: &Path, own: Own) -> Result<Run, SearchError> {
        let mut study = Study::open(folder)?;
        let job = study.job().clone();
        let Some(mut setup) = job.setup.clone() else {
            let why = "no study of lanner search".into();
            return Err(SearchError::NoStudy { path: study.path().into(), why });
        };
        inputs::check(&study.inputs()?)?;
        let skeleton = job.skeleton(study.space())?;
        let mut tables = Tables::default();
        let evaluator = match own.evaluator {
            Some(own) => own,
            None => setup::evaluator(&job, &setup, &skeleton, &mut tables)?,
        };
        let script = setup::script(&job, &mut setup, &skeleton)?;
        let measure =
            setup::measure(&job, &mut setup, study.space(), own.measure, script.as_ref())?;
        let columns = Columns::of(
            &job,
            &setup,
            &*evaluator,
            study.space(),
            measure.as_ref(),
            own.meter.is_some(),
            &mut tables,
        )?;
        if study.counts()?.done == 0 {
            study.retry_failed(2)?;
        }
        if let Some(meter) = &own.meter {
            study.set_device(&meter.facts())?;
        }
        let tells_latency = own.meter.is_none() && tells_latency(study.space(), &setup);
        let mut run = Run {
            study,
            setup,
            skeleton,
            folder: folder.into(),
            evaluator,
            measuring: Measuring::new(own.meter, columns),
            script,
            tells_latency,
            tables,
            devices: Vec::new(),
        };
        run.name_sources();
        run.learn_with_other_devices()?;
        Ok(run)
    }

    /// Sentences about cells of the tables that have no number, such as `nan`, and about rows that disagree.
    pub fn table_notes(&self) -> &[String] {
        &self.tables.notes
    }

    pub fn study(&self) -> &Study {
        &self.study
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub fn skeleton(&self) -> &Skeleton {
        &self.skeleton
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn evaluator(&self) -> &dyn Evaluator {
        &*self.evaluator
    }

    /// Gives back a trial that was claimed and will not be told.
    pub fn give_back(&mut self, trial: &Trial) -> Result<(), SearchError> {
        self.study.give_back(trial.id)
    }

    /// Sets the number of evaluations at a time, for this run.
    pub fn set_parallel(&mut self, parallel: usize) {
        self.setup.parallel = parallel.max(1);
    }

    /// Raises or lowers the budget.
    pub fn set_budget(&mut self, budget: usize) -> Result<(), SearchError> {
        self.study.set_budget(budget)
    }

    /// Tries all failed trials again; returns their number.
    pub fn retry_failed(&mut self) -> Result<usize, SearchError> {
        self.study.retry_failed(u32::MAX)
    }

    /// Tells whether the study has nothing worth to keep: no trial and no measurement.
    pub fn is_empty(&self) -> Result<bool, SearchError> {
        Ok(self.study.counts()?.all() == 0 && self.study.measurements()?.is_empty())
    }

    /// Removes the study, so that it does not block another one in its folder.
    pub fn remove(self) -> Result<(), SearchError> {
        let Run { study, folder, .. } = self;
        study.remove()?;
        // Folders with other files stay.
        for path in [folder.join("networks"), folder] {
            let _ = std::fs::remove_dir(path);
        }
        Ok(())
    }

    /// Searches until the budget is spent, and chooses the best network.
    ///
    /// # Errors
    /// [`SearchError::Stopped`] if `control` said so; a later call goes on.
    pub fn finish(&mut self, control: &mut Control) -> Result<Found, SearchError> {
        let start = Instant::now();
        self.first_measurements(control)?;
        let is_early = self.search(control)?;
        let found = self.found(control)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Found { is_early: is_early && found.is_early, seconds, ..found })
    }

    /// Chooses the best network of the trials so far: measures the best ones again, and evaluates the one to
    /// compare it with.
    ///
    /// # Errors
    /// As [`Run::finish`].
    pub fn found(&mut self, control: &mut Control) -> Result<Found, SearchError> {
        let start = Instant::now();
        let counts = self.study.counts()?;
        let (done, budget) = (counts.done + counts.failed, self.study.job().budget);
        if control.is_stopped() {
            return Err(SearchError::Stopped {
                when: format!("after {done} of {budget} evaluations"),
            });
        }
        let front = self.front(control)?;
        let best = match front.as_ref().and_then(|f| f.points.first()) {
            Some(point) => Some((point.trial.clone(), point.latency)),
            None => self.finalist(control)?,
        };
        let by_size = match front {
            None if best.is_some() => self.by_size(control)?,
            _ => None,
        };
        if control.is_stopped() {
            let when = "before the best network was surely within the limit".into();
            return Err(SearchError::Stopped { when });
        }
        Ok(Found {
            comparison: self.compare(&best, by_size, done)?,
            best,
            front,
            is_early: done < budget,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}
