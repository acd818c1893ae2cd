//! Runs a search with Ctrl-C and a progress bar, and prints its rows and writes its files at the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanner_evaluate::evaluator::Place;
use lanner_search::run::{Control, Event, Found, Own, Phase, Run, Stop};
use lanner_search::study::Study;
use lanner_search::{LATENCY, SearchError};

use super::file::{Given, check_resumed};
use super::{SearchArgs, job, summary};
use crate::output::{Progress, number, progress, search_error, usage};
use crate::selection::read_archs;
use crate::stop::interrupts;
use lanner::say;

/// Searches with the study in `folder`; `kept` tells whether the caller keeps the folder afterwards.
pub fn run(args: &SearchArgs, given: Given, folder: &Path, kept: bool) -> anyhow::Result<()> {
    let start = Instant::now();
    if let Some(minutes) = args.time.filter(|m| !(m.is_finite() && *m > 0.0)) {
        return Err(usage(format!("--time {minutes}: expected minutes, more than 0")));
    }
    if folder.is_file() && folder.extension().is_none_or(|e| e != "db") {
        return Err(usage(format!("--out {} is a file, expected a folder", folder.display())));
    }
    let waits = Arc::new(AtomicBool::new(false));
    let is_waiting = Arc::clone(&waits);
    let pressed = interrupts(move |times| {
        if times == 1 && is_waiting.load(Ordering::Relaxed) {
            say!(
                "lanner: waiting for the running evaluations; Ctrl-C again ends them, and --resume runs \
                 them anew"
            );
        }
    });
    let stop = || match pressed() {
        0 => Stop::No,
        1 => Stop::Finish,
        _ => Stop::Now,
    };
    let mut bar = Bar::default();
    let mut control = Control {
        events: Box::new(|event| bar.show(event)),
        stop: Box::new(stop),
        // More minutes than an `Instant` can hold are no limit.
        deadline: (args.time.map(|m| Duration::try_from_secs_f64(60.0 * m)))
            .and_then(|time| start.checked_add(time.ok()?)),
    };
    let mut run = match (args.resume, Study::is_there(folder)) {
        (true, _) => {
            let begun = Study::open_read_only(folder).map_err(search_error)?;
            let begun = begun.job().setup.as_ref().map(|s| s.options.clone()).unwrap_or_default();
            let unknown = check_resumed(&given, &begun)?;
            if !unknown.is_empty() {
                let names = unknown.join(", --");
                say!("lanner: --{names}: left aside, the study goes on with its own options");
            }
            let mut run = Run::resume(folder, Own::default()).map_err(search_error)?;
            args.budget.map_or(Ok(()), |budget| run.set_budget(budget))?;
            args.parallel.into_iter().for_each(|parallel| run.set_parallel(parallel));
            if args.retry_failed {
                let again = run.retry_failed()?;
                say!("note: {again} failed networks are evaluated again");
            }
            say!("lanner: {}", run.study().job().aim());
            run
        }
        (false, true) => {
            return Err(usage(format!(
                "{} has a study already: --resume goes on with it, --out DIR makes another",
                folder.display()
            )));
        }
        (false, false) => {
            let mut job = job::job(args)?;
            job.setup.iter_mut().for_each(|setup| setup.options = given.clone());
            let first = match &args.first {
                Some(file) => read_archs(file, &job.space()?)?,
                None => Vec::new(),
            };
            let own = Own { warm_start: args.warm_start.clone(), first, ..Own::default() };
            let median = match job.setup.as_ref().is_some_and(|s| s.median_limit) {
                true => format!("; {LATENCY} <= the median of the first measurements"),
                false => String::new(),
            };
            say!("lanner: {}{median}", job.aim());
            Run::create(folder, &job, own, &mut control).map_err(search_error)?
        }
    };
    run.table_notes().iter().for_each(|sentence| say!("note: {sentence}"));
    let way = match kept {
        true => {
            let name = job::quoted(&folder.display().to_string());
            format!("lanner search --resume --out {name} goes on from there")
        }
        false => "with --out DIR the study is kept, and --resume goes on with it".into(),
    };
    waits.store(run.evaluator().place() == Place::Elsewhere, Ordering::Relaxed);
    run.partial_tables().iter().for_each(|note| say!("lanner: {note}"));
    let found = run.finish(&mut control);
    drop(control);
    let found = match found {
        Err(e @ SearchError::Stopped { .. }) if !args.resume && run.is_empty()? => {
            run.remove()?;
            anyhow::bail!("{e}; no study is left")
        }
        Err(e @ SearchError::Stopped { .. }) => anyhow::bail!("{e}; {way}"),
        other => other.map_err(search_error)?,
    };
    let counts = run.study().counts()?;
    let (done, budget) = (counts.done + counts.failed, run.study().job().budget);
    if found.is_early {
        let up = format!("the time is up after {done} of {budget} evaluations; {way}");
        if !args.resume && run.is_empty()? {
            run.remove()?;
            anyhow::bail!("the time was up before anything was measured; no study is left");
        }
        anyhow::ensure!(done > 0, "{up}");
        say!("lanner: {up}");
    }
    warn_of_chance(&run, &found);
    let about = run.hand_over(&found)?;
    if about.is_none() && done == 0 {
        let why = run.why_nothing()?;
        // With limits that no network meets, nobody would go on.
        if !args.resume && counts.running == 0 {
            run.remove()?;
        }
        anyhow::bail!(why);
    }
    // A search that found nothing has a report too: it shows why.
    if kept {
        crate::report::write(&run)?;
    }
    match about {
        Some(about) => summary::print(&run, &found, &about, kept, args.json),
        None => anyhow::bail!(run.why_nothing()?),
    }
}

/// Warns where the best network's accuracy is hardly better than chance.
fn warn_of_chance(run: &Run, found: &Found) {
    let (Some((trial, _)), Some(images)) = (&found.best, run.evaluator().images()) else { return };
    let chance = 100.0 / images.classes.len() as f64;
    if let Some(accuracy) = trial.metrics.get("val_accuracy").filter(|a| **a < 2.0 * chance) {
        say!(
            "lanner: a validation accuracy of {accuracy:.1} % is hardly better than chance \
             ({chance:.1} %): with more --epochs the networks would differ by more than luck"
        );
    }
}

/// The progress bar of the current phase.
#[derive(Default)]
struct Bar {
    current: Option<(Phase, Progress)>,
    best: Option<f64>,
}

impl Bar {
    fn show(&mut self, event: Event) {
        match event {
            Event::Best(value) => self.best = Some(value),
            Event::Progress { phase, done, total } => {
                if self.current.as_ref().is_none_or(|b| b.0 != phase) {
                    self.current = Some((phase, progress(total as u64, phase.describe())));
                }
                if let Some((_, bar)) = &self.current {
                    bar.tell(done as u64, total as u64);
                    if let Some(best) = self.best {
                        bar.note(format!("best {}", number(best)));
                    }
                }
            }
            Event::Ended(_) => {
                if let Some((_, bar)) = self.current.take() {
                    bar.clear();
                }
            }
        }
    }
}
