//! The loop of a run: ask, measure, evaluate on free workers, tell.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Place, Request};
use lanner_evaluate::meter::Effort;

use super::Run;
use super::control::{Control, Event, Phase, Stop};
use crate::SearchError;
use crate::job::LATENCY;
use crate::study::{Outcome, State, Trial};

/// Number of failures without a success at which a run stops.
const FAILURES: usize = 3;

/// A finished evaluation.
struct Ended {
    worker: usize,
    trial: Trial,
    answer: Result<Answer, EvaluateError>,
}

impl Run {
    /// Evaluates trials until the budget is spent; returns true if `control` ended it before. A
    /// result is written to the study at once, even if another evaluation's error ends the run.
    ///
    /// # Errors
    /// [`SearchError::Failing`] after three failures without a success in the study.
    pub(super) fn search(&mut self, control: &mut Control) -> Result<bool, SearchError> {
        // Programs run in other folders.
        let folder = std::path::absolute(&self.folder)
            .map_err(|source| SearchError::Io { path: self.folder.clone(), source })?;
        let (networks, output) = (folder.join("networks"), folder.join("output"));
        std::fs::create_dir_all(&networks)
            .map_err(|source| SearchError::Io { path: networks.clone(), source })?;
        let needed = self.needed();
        let (evaluator, quiet) = (Arc::clone(&self.evaluator), Arc::clone(&self.measuring.quiet));
        let is_here = evaluator.place() == Place::Here;
        // Workers ask whether to stop while this thread reports events.
        let Control { events, stop, deadline } = control;
        let (stop, deadline) = (&**stop, *deadline);
        let give_up = || {
            if is_here {
                quiet.pause();
            }
            stop() >= if is_here { Stop::Finish } else { Stop::Now }
        };
        let is_early = || stop() != Stop::No || deadline.is_some_and(|d| Instant::now() > d);
        let mut free: Vec<usize> = (0..self.setup.parallel.max(1)).rev().collect();
        let workers = free.len();
        let mut failure = None;
        // Results that could not be stored, failures of this run, and why it stops for them.
        let (mut unstored, mut failures, mut failing) = (Vec::new(), Vec::new(), None);
        self.tell_progress(events)?;
        std::thread::scope(|scope| {
            let (send, ended) = channel();
            loop {
                while failure.is_none()
                    && failing.is_none()
                    && let Some(&worker) = free.last()
                {
                    let trial = match self.claim(&is_early) {
                        Ok(Some(trial)) => trial,
                        Ok(None) => break,
                        Err(error) => {
                            failure = Some(error);
                            break;
                        }
                    };
                    let out = networks.join(format!("{}.onnx", trial.id));
                    let log = output.join(format!("{}.txt", trial.id));
                    free.pop();
                    let (send, evaluator, quiet) = (send.clone(), &evaluator, &quiet);
                    let (needed, give_up) = (&needed, &give_up);
                    scope.spawn(move || {
                        let working = is_here.then(|| quiet.work());
                        let (arch, seed) = (&trial.arch, trial.seed);
                        let (out, log, stop) = (out.as_path(), log.as_path(), give_up);
                        let request = Request { arch, seed, needed, out, log, worker, stop };
                        // Without this, a worker that panicked would be waited for forever.
                        let evaluate = || evaluator.evaluate(&request);
                        let answer = catch_unwind(AssertUnwindSafe(evaluate))
                            .unwrap_or_else(|p| Ok(Answer::Failed(panic_message(&*p))));
                        drop(working);
                        // The receiver outlives the workers.
                        let _ = send.send(Ended { worker, trial, answer });
                    });
                }
                if free.len() == workers {
                    break;
                }
                let Ok(Ended { worker, trial, answer }) = ended.recv() else { break };
                free.push(worker);
                let id = trial.id;
                let metrics = match &answer {
                    Ok(Answer::Metrics(metrics)) => Some(metrics.clone()),
                    _ => None,
                };
                let told =
                    match answer.map_err(SearchError::from).and_then(|a| self.tell(&trial, a)) {
                        Ok(state) => {
                            if state == State::Failed {
                                failures.push(id);
                            }
                            self.why_failing(&failures).and_then(|why| {
                                failing = why;
                                self.tell_progress(events)
                            })
                        }
                        // If another process was faster, its result counts.
                        Err(SearchError::Told { .. } | SearchError::TakenOver { .. }) => Ok(()),
                        Err(error) => {
                            let arch = self.study.space().print(&trial.arch);
                            unstored.extend(
                                metrics.map(|m| {
                                    format!("trial {id}, {arch}: {}", serde_json::json!(m))
                                }),
                            );
                            Err(error)
                        }
                    };
                if let Err(error) = told {
                    failure.get_or_insert(error);
                }
            }
        });
        events(Event::Ended(Phase::Searching));
        match (failure, failing) {
            (Some(source), _) if !unstored.is_empty() => {
                Err(SearchError::Unstored { results: unstored, source: Box::new(source) })
            }
            (Some(error), _) => Err(error),
            (None, Some(why)) => {
                Err(SearchError::Failing { failed: failures.len(), folder: output, why })
            }
            (None, None) => Ok(is_early()),
        }
    }

    /// Asks the strategy for trials, after measurements of networks that may be worth one.
    fn ask(&mut self) -> Result<Vec<Trial>, SearchError> {
        let each = self.measurements_each()?;
        let limited = self.limit().is_some();
        let mut metrics: Vec<String> =
            self.study.job().limits.iter().map(|l| l.metric.clone()).collect();
        metrics.retain(|m| self.measuring.columns.has(m) || limited && m == LATENCY);
        if limited && each > 0 {
            self.make_meter()?;
        }
        let Run { study, measuring, .. } = self;
        study.ask_measuring(study.job().budget, each, &metrics, |study, archs| {
            for arch in archs {
                measuring.look_up(study, arch, None)?;
                if limited {
                    measuring.measure(study, arch, None, Effort::Quick)?;
                }
            }
            Ok(())
        })
    }

    /// Tells the caller how many evaluations are done, and the best value.
    fn tell_progress(&self, events: &mut dyn FnMut(Event)) -> Result<(), SearchError> {
        let (counts, job) = (self.study.counts()?, self.study.job());
        if let (Some(objective), Some(best)) = (job.objectives.first(), self.study.best()?)
            && let Some(value) = best.metrics.get(&objective.metric)
        {
            events(Event::Best(*value));
        }
        let done = counts.done + counts.failed;
        events(Event::Progress { phase: Phase::Searching, done, total: job.budget });
        Ok(())
    }

    /// Returns the first of these failures, if there are enough to stop and nothing has succeeded.
    fn why_failing(&self, failures: &[i64]) -> Result<Option<String>, SearchError> {
        // A table may lack values, which tells nothing about the others.
        let is_table = self.evaluator.place() == Place::Table;
        match is_table || failures.len() < FAILURES || self.study.counts()?.done > 0 {
            true => Ok(None),
            false => Ok(self.study.trial(failures[0])?.note),
        }
    }

    /// Claims the next trial that is within the limits as far as can be measured, and asks the strategy
    /// if none waits: for callers who evaluate networks themselves, after
    /// [`Run::first_measurements`]. `None` if nothing is left, or `is_early` says so.
    pub fn claim(&mut self, is_early: &dyn Fn() -> bool) -> Result<Option<Trial>, SearchError> {
        loop {
            if is_early() {
                return Ok(None);
            }
            let Some(trial) = self.study.claim()? else {
                if self.ask()?.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            match self.over(&trial)? {
                Some(metrics) => {
                    self.study.tell(trial.id, Outcome::Infeasible { metrics })?;
                }
                None => {
                    let network = format!("{}.onnx", trial.id);
                    clear(&self.folder.join("networks").join(network))?;
                    return Ok(Some(trial));
                }
            }
        }
    }

    /// Records the evaluation of a claimed trial, and returns its new state. A stopped one stays
    /// claimed until this run ends.
    ///
    /// # Errors
    /// The trial has ended before, or another process took it over; then the other result counts.
    pub fn tell(&mut self, trial: &Trial, answer: Answer) -> Result<State, SearchError> {
        let outcome = match answer {
            Answer::Stopped => return Ok(State::Running),
            Answer::Failed(why) => Outcome::Failed { why },
            Answer::Metrics(mut metrics) => {
                metrics.extend(self.beside_the_evaluation(&trial.arch)?);
                Outcome::Done { metrics }
            }
        };
        self.study.tell(trial.id, outcome)
    }
}

/// Removes what an earlier evaluation left at the path of a network: it is of another one.
pub(super) fn clear(network: &Path) -> Result<(), SearchError> {
    let removed = match network.is_dir() && !network.is_symlink() {
        true => std::fs::remove_dir_all(network),
        false => std::fs::remove_file(network),
    };
    match removed {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(SearchError::Io { path: network.into(), source })
        }
        _ => Ok(()),
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
    format!("the evaluation panicked: {}", text.unwrap_or("without a message"))
}
