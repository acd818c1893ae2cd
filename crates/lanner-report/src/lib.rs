//! The report of a search: one HTML file that anyone can open, print and keep.
//!
//! ```
//! use lanner_report::Report;
//! use lanner_search::Job;
//! use lanner_search::study::{Outcome, Study};
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("study");
//! let job = Job::new("nasbench201").maximise("accuracy").budget(5);
//! let mut study = Study::create(&path, &job)?;
//! study.ask(5)?;
//! while let Some(trial) = study.claim()? {
//!     let accuracy = trial.arch.codes().iter().filter(|&&code| code == 3).count() as f64;
//!     study.tell(trial.id, Outcome::Done { metrics: [("accuracy".into(), accuracy)].into() })?;
//! }
//! let report = Report::of(&study)?;
//! report.write(path.join("report.html"))?;
//! # Ok::<(), lanner_report::ReportError>(())
//! ```
//!
//! **Content.** The network to deploy with its drawing, costs and latency, what else was in question,
//! and the table that the command prints ([`Comparison`]); the search curve beside that of random
//! search, as far as that is known ([`Baseline`]); the objectives against each other, or against
//! latency; the predictor's values against the actual ones, and how well it ranked over the rounds;
//! tables of the best and of the failed trials; the settings, and the command to run the search again.
//! Parts that are not there yet take no room.
//! Plots are SVG drawn here, with a small script to point at marks and to sort tables; without
//! scripts, all but the details is there.
//!
//! **Self-contained.** The file has no address in it that a browser would load, and forbids loading
//! by a content security policy. All text of a study (architectures, names, the output of failed
//! programs) is escaped; drawings are images, in which nothing runs.
//!
//! **Size.** A report of 20,000 trials or more has about 3.4 MB: the best trials, the front, the
//! improvements and an even sample of the others are shown one by one; counts, correlations and curves
//! are over all. A study is read trial by trial; of most trials only numbers stay in memory.
//!
//! **Live.** [`serve`] shows a study while a search writes to it, on this machine only.

#![forbid(unsafe_code)]

mod answer;
mod columns;
mod curve;
mod data;
mod drawing;
mod error;
mod facts;
mod figure;
mod front;
mod page;
mod plot;
mod predicted;
mod runners_up;
mod serve;
mod tables;
mod text;
mod unit;

use std::path::Path;

use columns::Columns;
pub use error::ReportError;
use facts::Facts;
use lanner_search::Job;
pub use lanner_search::run::{Baseline, Choice, Comparison};
use lanner_search::study::{Drift, Measurement, Study, Trial};
use lanner_space::Space;
pub use serve::{Server, serve};

/// Name of the file in a study's folder.
pub const FILE: &str = "report.html";

/// A report of a study.
pub struct Report {
    /// The title: the name of the study's folder, else of the space.
    pub name: Option<String>,
    /// Whether `best.onnx` beside the page has the trained weights of the answer.
    pub is_handed_over: bool,
    /// The table that the search ended with.
    pub comparison: Option<Comparison>,
    /// The curve of random search, as far as it is known.
    pub baseline: Option<Baseline>,
    /// The command that makes such a study, taken from the job's setup if it has one.
    pub command: Option<String>,
    /// Whether the page asks its server for news.
    pub live: bool,
    facts: Facts,
}

impl Report {
    /// Reads a study.
    pub fn of(study: &Study) -> Result<Report, ReportError> {
        let limits = study.job().limits.iter();
        let drifts = limits.map(|l| study.drift(&l.metric)).collect::<Result<_, _>>()?;
        let mut columns = Columns::new(study.job(), drifts);
        study.for_each_measurement(|m| columns.add_measurement(m))?;
        study.for_each_trial(|t| {
            columns.add_trial(&t);
            Ok::<_, ReportError>(())
        })?;
        let answer = study.front()?.first().map(|t| t.id);
        let (job, space) = (study.job().clone(), study.space().clone());
        let mut facts = Facts::of(job, space, columns.finish(), answer);
        facts.device = study.device()?;
        for i in facts.detailed() {
            let trial = study.trial(facts.trials.id[i])?;
            if !facts.measurements.contains_key(&trial.arch) {
                let all = study.measurements_of(&trial.arch)?;
                facts.measurements.insert(trial.arch.clone(), all);
            }
            facts.details.insert(i, trial);
        }
        let mut report = Report::with(facts);
        let folder = study.path().parent().and_then(|p| p.canonicalize().ok());
        let name = folder.as_deref().and_then(Path::file_name);
        report.name = name.map(|n| n.to_string_lossy().into_owned());
        report.is_handed_over = study.path().with_file_name("best.onnx").is_file();
        report.comparison = study.comparison()?;
        // A version with another answer may have stored it.
        let answer = report.facts.chosen.and_then(|i| report.facts.details.get(&i));
        let answer = answer.map(|t| study.space().print(&t.arch));
        report.comparison = report
            .comparison
            .filter(|c| c.rows.first().is_none_or(|row| row.arch.is_none() || row.arch == answer));
        report.baseline = report.comparison.as_mut().and_then(|c| c.by_chance.take());
        Ok(report)
    }

    /// Makes a report of trials (in the order of asking) and measurements (in the order of measuring)
    /// that are not in a file.
    pub fn of_trials(
        job: Job,
        space: Space,
        trials: &[Trial],
        measurements: &[Measurement],
    ) -> Report {
        let drifts = vec![Drift::of(&[]); job.limits.len()];
        let mut columns = Columns::new(&job, drifts);
        measurements.iter().for_each(|m| columns.add_measurement(m.clone()));
        trials.iter().for_each(|t| columns.add_trial(t));
        let mut facts = Facts::of(job, space, columns.finish(), None);
        facts.details = facts.detailed().into_iter().map(|i| (i, trials[i].clone())).collect();
        for m in measurements {
            facts.measurements.entry(m.arch.clone()).or_default().push(m.clone());
        }
        Report::with(facts)
    }

    fn with(mut facts: Facts) -> Report {
        facts.choose_units();
        let command = facts.job.setup.as_ref().map(|s| s.command.clone());
        let command = command.filter(|c| !c.is_empty());
        let (name, comparison, baseline) = (None, None, None);
        Report { name, is_handed_over: false, comparison, baseline, command, live: false, facts }
    }

    pub fn job(&self) -> &Job {
        &self.facts.job
    }

    /// Returns the number of trials.
    pub fn trials(&self) -> usize {
        self.facts.trials.len()
    }

    /// Returns the page; the same study gives the same bytes.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// Writes the page as a whole or not at all, and returns its size in bytes.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<usize, ReportError> {
        let path = path.as_ref();
        let html = self.html();
        lanner_data::write_file(path, html.as_bytes())
            .map_err(|e| ReportError::Write { path: path.into(), why: e.to_string() })?;
        Ok(html.len())
    }
}
