//! The loop of a run: ask, measure, evaluate on free workers, tell.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Place, Request};
use lanner_evaluate::meter::Effort;

use super::Run;
use super::control::{Control, Event, Phase, Stop};
use crate::SearchError;
use crate::study::{Outcome, Trial};

/// A trial to evaluate, with the metrics that are known before.
struct Task {
    trial: Trial,
    beside: BTreeMap<String, f64>,
}

/// A finished evaluation.
struct Ended {
    worker: usize,
    task: Task,
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
        std::thread::scope(|scope| {
            let (send, ended) = channel();
            loop {
                while failure.is_none()
                    && let Some(&worker) = free.last()
                {
                    let task = match self.next(&is_early) {
                        Ok(Some(task)) => task,
                        Ok(None) => break,
                        Err(error) => {
                            failure = Some(error);
                            break;
                        }
                    };
                    free.pop();
                    let (send, evaluator, quiet) = (send.clone(), &evaluator, &quiet);
                    let (needed, give_up) = (&needed, &give_up);
                    let out = networks.join(format!("{}.onnx", task.trial.id));
                    scope.spawn(move || {
                        let working = is_here.then(|| quiet.work());
                        let (arch, seed) = (&task.trial.arch, task.trial.seed);
                        let request =
                            Request { arch, seed, needed, out: &out, worker, stop: give_up };
                        // Without this, a worker that panicked would be waited for forever.
                        let evaluate = || evaluator.evaluate(&request);
                        let answer = catch_unwind(AssertUnwindSafe(evaluate))
                            .unwrap_or_else(|p| Ok(Answer::Failed(panic_message(&*p))));
                        drop(working);
                        // The receiver outlives the workers.
                        let _ = send.send(Ended { worker, task, answer });
                    });
                }
                if free.len() == workers {
                    break;
                }
                let Ok(Ended { worker, task, answer }) = ended.recv() else { break };
                free.push(worker);
                if let Err(error) = self.record(task, answer) {
                    failure.get_or_insert(error);
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

    /// Asks the strategy for trials, after measurements of networks that may be worth one.
    fn ask(&mut self) -> Result<Vec<Trial>, SearchError> {
        let each = self.measurements_each()?;
        let limited = self.limit().is_some();
        if limited && each > 0 {
            self.make_meter()?;
        }
        let Run { study, measuring, .. } = self;
        study.ask_measuring(study.job().budget, each, |study, archs| {
            for arch in archs {
                measuring.look_up(study, arch, None)?;
                if limited {
                    measuring.measure(study, arch, None, Effort::Quick)?;
                }
            }
            Ok(())
        })
    }

    /// Returns the next trial that is within the limits as far as can be measured, and asks the
    /// strategy if none waits. `None` if nothing is left, or `is_early` says so.
    fn next(&mut self, is_early: &dyn Fn() -> bool) -> Result<Option<Task>, SearchError> {
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
                    let beside = self.beside_the_evaluation(&trial.arch)?;
                    return Ok(Some(Task { trial, beside }));
                }
            }
        }
    }

    fn record(
        &mut self,
        task: Task,
        answer: Result<Answer, EvaluateError>,
    ) -> Result<(), SearchError> {
        let outcome = match answer? {
            Answer::Stopped => return Ok(()),
            Answer::Failed(why) => Outcome::Failed { why },
            Answer::Metrics(mut metrics) => {
                metrics.extend(task.beside);
                Outcome::Done { metrics }
            }
        };
        match self.study.tell(task.trial.id, outcome) {
            // If another process was faster, its result counts.
            Ok(_) | Err(SearchError::Told { .. } | SearchError::TakenOver { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
    format!("the evaluation panicked: {}", text.unwrap_or("without a message"))
}
