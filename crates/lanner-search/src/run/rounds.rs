//! The loop of a run: ask, measure, evaluate on free workers, tell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Place, Request};

use super::Run;
use super::control::{Control, Event, Phase, Stop};
use crate::SearchError;
use crate::study::{Outcome, State, Trial};

/// A finished evaluation.
struct Ended {
    worker: usize,
    trial: Trial,
    answer: Result<Answer, EvaluateError>,
}

impl Run {
    /// Evaluates trials until the budget is spent; returns true if `control` ended it before. A
    /// result is written to the study at once, even if another evaluation's error ends the run.
    pub(super) fn search(&mut self, control: &mut Control) -> Result<bool, SearchError> {
        let networks = self.folder.join("networks");
        std::fs::create_dir_all(&networks)
            .map_err(|source| SearchError::Io { path: networks.clone(), source })?;
        let (needed, budget) = (self.needed(), self.study.job().budget);
        let (evaluator, quiet) = (Arc::clone(&self.evaluator), Arc::clone(&self.quiet));
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
        std::thread::scope(|scope| {
            let (send, ended) = channel();
            loop {
                while failure.is_none()
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
                    free.pop();
                    let (send, evaluator, quiet) = (send.clone(), &evaluator, &quiet);
                    let (needed, give_up) = (&needed, &give_up);
                    let out = networks.join(format!("{}.onnx", trial.id));
                    scope.spawn(move || {
                        let working = is_here.then(|| quiet.work());
                        let (arch, seed) = (&trial.arch, trial.seed);
                        let request =
                            Request { arch, seed, needed, out: &out, worker, stop: give_up };
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
                match answer.map_err(SearchError::from).and_then(|a| self.tell(&trial, a)) {
                    // If another process was faster, its result counts.
                    Ok(_) | Err(SearchError::Told { .. } | SearchError::TakenOver { .. }) => {}
                    Err(error) => drop(failure.get_or_insert(error)),
                }
                match self.study.counts() {
                    Ok(c) => events(Event::Progress {
                        phase: Phase::Searching,
                        done: c.done + c.failed,
                        total: budget,
                    }),
                    Err(error) => drop(failure.get_or_insert(error)),
                }
            }
        });
        events(Event::Ended(Phase::Searching));
        match failure {
            Some(error) => Err(error),
            None => Ok(is_early()),
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
                if self.study.ask(self.study.job().budget)?.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            match self.over(&trial)? {
                Some(metrics) => {
                    self.study.tell(trial.id, Outcome::Infeasible { metrics })?;
                }
                None => return Ok(Some(trial)),
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

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
    format!("the evaluation panicked: {}", text.unwrap_or("without a message"))
}
