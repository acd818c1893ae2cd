//! The record of a search: the trials that were asked for, who evaluates them, and their results.
//!
//! ```
//! use lanner_search::Job;
//! use lanner_search::study::{Outcome, Study};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path().join("my-study");
//! let job = Job::new("nasbench201").maximise("accuracy").budget(20);
//! let mut study = Study::create(&folder, &job)?;
//! // Ends when the budget is spent; after a crash, `Study::open` and the same loop go on.
//! loop {
//!     while let Some(trial) = study.claim()? {
//!         // Train the network here.
//!         let convolutions = trial.arch.codes().iter().filter(|&&code| code == 3).count();
//!         let metrics = [("accuracy".to_string(), convolutions as f64)].into();
//!         study.tell(trial.id, Outcome::Done { metrics })?;
//!     }
//!     if study.ask(4)?.is_empty() {
//!         break;
//!     }
//! }
//! assert_eq!(study.counts()?.done, 20);
//! # Ok::<(), lanner_search::SearchError>(())
//! ```
//!
//! **Rounds.** [`Study::ask`] lets the strategy choose, and commits the trials and the strategy's
//! state in one transaction. [`Study::claim`] hands out the trials one after the other;
//! [`Study::tell`] records a result. A caller who evaluates all trials before asking for more gets
//! the same trials from the same seed, whatever was killed in between.
//!
//! **Crashes.** A result is on disk when `tell` returns. Trials of a dead process are handed out
//! again with the same seed; after ten attempts they count as failed, since such a network kills
//! its process. On the same machine, a process is known by its number and its start time. A process
//! elsewhere, such as in another container, must give a sign of life every two minutes; a thread of
//! the study does so. Dropping a study gives back the trials that it runs.
//!
//! **Several processes** may work on one file. A claim is atomic; when all trials are claimed,
//! `ask` adds more, with networks unlike the pending ones. The file uses a write-ahead log, which
//! needs a local disk.
//!
//! **The file** is an SQLite database, documented by its schema: tables `trial`, `metric`,
//! `prediction`, `measurement`, `strategy` with the strategy's state, and `study` with the settings
//! as JSON.

mod ask;
mod best;
mod candidates;
mod checksum;
mod claim;
pub(crate) mod comparison;
pub(crate) mod costs;
mod database;
mod limits;
mod newest;
mod owner;
pub(crate) mod predictors;
mod read;
mod rescue;
mod schema;
mod snapshot;
mod types;
mod warm_start;
mod within;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lanner_space::{Architecture, Space};
use rusqlite::{Connection, OptionalExtension};

pub use crate::constrained::Belief;
use crate::job::LATENCY;
use crate::run::Comparison;
use crate::run::inputs::Input;
use crate::{Job, SearchError, Strategy};
pub use best::Drift;
use candidates::Candidates;
use claim::Heartbeat;
use database::Database;
pub use within::{ANALYTIC, analytic};

use limits::Limits;
pub use limits::PROBABLE;
pub use newest::Newest;
use owner::Owner;
use predictors::Predictors;
pub use rescue::Rescued;
pub use types::{Counts, Measurement, Outcome, State, Trial};

/// Name of the file in a study's folder.
pub const FILE: &str = "study.db";

/// An open study, for one thread at a time: share it behind a `Mutex`.
pub struct Study {
    database: Database,
    job: Job,
    space: Space,
    owner: Owner,
    heartbeat: Option<Heartbeat>,
    /// The strategy, and the round whose state it has.
    strategy: Option<(u32, Box<dyn Strategy + Send>)>,
    candidates: Candidates,
    limits: Limits,
    /// Warm-start values, read when a strategy is made.
    warm_start: Option<Vec<warm_start::Origin>>,
    /// The job's saved predictors, read when they are first needed.
    predictors: Option<Predictors>,
}

impl Study {
    /// Makes a study. `path` is a file `….db`, or a folder, which is made if there is none, for a
    /// file `study.db`.
    ///
    /// # Errors
    /// A study exists already, settings are wrong, or the file cannot be written.
    pub fn create(path: impl AsRef<Path>, job: &Job) -> Result<Study, SearchError> {
        Study::create_of(path, job, &[])
    }

    /// [`Study::create`] with these architectures only, such as those of a table; an empty list
    /// stands for all of the space.
    pub fn create_of(
        path: impl AsRef<Path>,
        job: &Job,
        archs: &[Architecture],
    ) -> Result<Study, SearchError> {
        Study::create_warm(path, job, archs, &[])
    }

    /// [`Study::create_of`] with values of networks that are known from earlier searches or tables:
    /// for each origin, by its name, values in the direction of the first objective, in any unit.
    /// Values that are not finite are left out. They are no trials and cost no budget; see
    /// [`Strategy::warm_start`].
    ///
    /// # Errors
    /// As [`Study::create`], or an origin is given twice.
    pub fn create_warm(
        path: impl AsRef<Path>,
        job: &Job,
        archs: &[Architecture],
        warm_start: &[(String, Vec<(Architecture, f64)>)],
    ) -> Result<Study, SearchError> {
        let is_limited = job.limit_of(LATENCY).is_some();
        let predictors = Predictors::load(job, &job.space()?, is_limited)?;
        Study::create_with(path, job, archs, &[], warm_start, predictors)
    }

    /// [`Study::create_warm`] with trials that come before those of the strategy, and with the job's
    /// predictors, which were read before.
    pub(crate) fn create_with(
        path: impl AsRef<Path>,
        job: &Job,
        archs: &[Architecture],
        first: &[Architecture],
        warm_start: &[(String, Vec<(Architecture, f64)>)],
        predictors: Predictors,
    ) -> Result<Study, SearchError> {
        job.check()?;
        job.check_limits()?;
        let space = job.space()?;
        for arch in archs {
            space.check(arch)?;
        }
        let candidates = Candidates::new(job, &space, archs.to_vec())?;
        candidates.check_first(first, job.budget)?;
        let text = json(job)?;
        let archs = ask::pack(archs);
        let first: Vec<String> = first.iter().map(|arch| space.print(arch)).collect();
        let warm_start = warm_start::text(warm_start, job, &space)?;
        let database = Database::create(&file(path.as_ref(), true), |c| {
            set(c, "settings", text)?;
            set(c, "created_unix_time", now())?;
            set(c, "lanner", env!("CARGO_PKG_VERSION"))?;
            if !archs.is_empty() {
                set(c, "architectures", archs)?;
            }
            if let Some(text) = warm_start {
                set(c, "earlier", text)?;
            }
            for arch in first {
                c.execute(
                    "INSERT INTO trial (round, arch, state, seed, asked_at)
                     VALUES (0, ?, 'asked', ?, ?)",
                    (&arch, ask::seed_of(job.seed, &arch), now()),
                )?;
                checksum::add_to_trial(c, c.last_insert_rowid())?;
            }
            Ok(())
        })?;
        let mut study = Study::of(database, job.clone(), space, candidates);
        study.predictors = Some(predictors);
        Ok(study)
    }

    /// Tells whether there is a study at a path, so that [`Study::create`] would fail.
    pub fn is_there(path: impl AsRef<Path>) -> bool {
        Database::is_there(&file(path.as_ref(), true))
    }

    /// Opens a study to go on with. Its schema and the checksums of all rows are checked.
    ///
    /// # Errors
    /// There is no study; or the file is not a study, is damaged, has a newer schema, or cannot be
    /// written.
    pub fn open(path: impl AsRef<Path>) -> Result<Study, SearchError> {
        Study::checked(Database::open(&file(path.as_ref(), false))?)
    }

    /// Opens a study to read; methods that write fail. Checks as [`Study::open`] does.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Study, SearchError> {
        Study::checked(Database::open_read_only(&file(path.as_ref(), false))?)
    }

    /// Opens a study to count its trials ([`Study::counts`]), without a check of the rows, which takes
    /// seconds for a million trials.
    pub fn open_to_count(path: impl AsRef<Path>) -> Result<Study, SearchError> {
        Study::read_settings(Database::open_read_only(&file(path.as_ref(), false))?)
    }

    fn checked(database: Database) -> Result<Study, SearchError> {
        match database.read(checksum::first_damage)? {
            Some(why) => Err(SearchError::Damaged { path: database.path, why }),
            None => Study::read_settings(database),
        }
    }

    fn read_settings(database: Database) -> Result<Study, SearchError> {
        let text = database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'settings'", [], |r| {
                r.get::<_, String>(0)
            })
        });
        let damaged = |why: String| SearchError::Damaged { path: database.path.clone(), why };
        let text = match text {
            Err(SearchError::Database { source: rusqlite::Error::QueryReturnedNoRows, .. }) => {
                return Err(damaged("it has no settings".into()));
            }
            other => other?,
        };
        let job: Job =
            serde_json::from_str(&text).map_err(|e| damaged(format!("settings: {e}")))?;
        job.check()?;
        let space = job.space()?;
        let list: Option<Vec<u8>> = database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'architectures'", [], |r| r.get(0))
                .optional()
        })?;
        let list = ask::unpack(&list.unwrap_or_default());
        if let Some(error) = list.iter().find_map(|arch| space.check(arch).err()) {
            let why = format!("its list of architectures: {error}");
            return Err(SearchError::Damaged { path: database.path, why });
        }
        let candidates = Candidates::new(&job, &space, list)?;
        Ok(Study::of(database, job, space, candidates))
    }

    fn of(database: Database, job: Job, space: Space, candidates: Candidates) -> Study {
        Study {
            limits: Limits::of(&job, &space),
            candidates,
            database,
            job,
            space,
            owner: Owner::new(),
            heartbeat: None,
            strategy: None,
            warm_start: None,
            predictors: None,
        }
    }

    /// Reads the saved predictors that the job names, if they were not read before.
    fn load_predictors(&mut self) -> Result<(), SearchError> {
        if self.predictors.is_none() {
            self.predictors = Some(Predictors::load(&self.job, &self.space, true)?);
        }
        Ok(())
    }

    pub fn job(&self) -> &Job {
        &self.job
    }

    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Returns the path of the database file.
    pub fn path(&self) -> &Path {
        &self.database.path
    }

    /// Removes the study's files.
    pub(crate) fn remove(self) -> Result<(), SearchError> {
        let path = self.path().to_path_buf();
        drop(self);
        database::remove(&path)
    }

    /// Raises or lowers the budget.
    pub fn set_budget(&mut self, budget: usize) -> Result<(), SearchError> {
        let job = Job { budget, ..self.job.clone() };
        let text = json(&job)?;
        self.database.write(|c| set(c, "settings", text))?;
        self.job = job;
        Ok(())
    }

    /// Returns the reference network's latency to which measurements are corrected, milliseconds.
    pub fn baseline_ms(&self) -> Result<Option<f64>, SearchError> {
        self.database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'baseline_ms'", [], |r| r.get(0))
                .optional()
        })
    }

    /// Returns the files that a run depends on; none before they were known.
    pub(crate) fn inputs(&self) -> Result<Vec<Input>, SearchError> {
        self.json_of("inputs").map(Option::unwrap_or_default)
    }

    pub(crate) fn set_inputs(&mut self, inputs: &[Input]) -> Result<(), SearchError> {
        self.set_json("inputs", &inputs)
    }

    /// Reads a value of the table `study` that was stored as JSON.
    fn json_of<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SearchError> {
        let text: Option<String> = self.database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = ?", [key], |r| r.get(0)).optional()
        })?;
        let path = || self.path().into();
        let damaged = |e: serde_json::Error| SearchError::Damaged {
            path: path(),
            why: format!("{key}: {e}"),
        };
        text.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
    }

    fn set_json(&mut self, key: &str, value: &impl serde::Serialize) -> Result<(), SearchError> {
        let text = serde_json::to_string(value)
            .map_err(|e| SearchError::Settings { why: e.to_string() })?;
        self.database.write(|c| set(c, key, text))
    }

    /// Returns facts about the device on which latencies are measured, by name: processor, runtime,
    /// threads. Empty before the first measurement.
    pub fn device(&self) -> Result<Vec<(String, String)>, SearchError> {
        self.json_of("device").map(Option::unwrap_or_default)
    }

    /// Stores facts about the device; refuses others than those of earlier measurements, which could
    /// not be compared.
    pub fn set_device(&mut self, facts: &[(String, String)]) -> Result<(), SearchError> {
        let known = if facts.is_empty() { Vec::new() } else { self.device()? };
        let value = |name: &str| facts.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
        let differs = |(name, before): &&(String, String)| value(name) != Some(before);
        if let Some((name, before)) = known.iter().find(differs) {
            return Err(SearchError::Settings {
                why: format!(
                    "latencies of this study were measured with {name} {before}, now it is {}: go on \
                     there, or begin another study",
                    value(name).unwrap_or("unknown")
                ),
            });
        }
        if known.is_empty() && !facts.is_empty() {
            self.set_json("device", &facts)?;
        }
        Ok(())
    }

    /// Returns the comparison that the last run ended with, if nothing was evaluated since.
    pub fn comparison(&self) -> Result<Option<Comparison>, SearchError> {
        let text: Option<String> = self.database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'comparison'", [], |r| r.get(0))
                .optional()
        })?;
        let Counts { done, failed, .. } = self.counts()?;
        // A later version may have stored another form.
        let stored = text.and_then(|text| serde_json::from_str::<Comparison>(&text).ok());
        Ok(stored.filter(|c| c.evaluations == done + failed))
    }

    /// Stores the comparison that a run ends with.
    pub(crate) fn set_comparison(&mut self, comparison: &Comparison) -> Result<(), SearchError> {
        self.set_json("comparison", comparison)
    }

    /// Stores the reference network's latency.
    pub fn set_baseline_ms(&mut self, ms: f64) -> Result<(), SearchError> {
        self.database.write(|c| set(c, "baseline_ms", ms))
    }
}

/// Writes a value of the table `study`.
fn set(c: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    c.execute("INSERT OR REPLACE INTO study (key, value) VALUES (?, ?)", (key, value))?;
    checksum::add_to_setting(c, key)
}

fn json(job: &Job) -> Result<String, SearchError> {
    serde_json::to_string(job).map_err(|e| SearchError::Settings { why: e.to_string() })
}

/// Returns the database file for a path, which may be a folder.
fn file(path: &Path, create: bool) -> PathBuf {
    let names_file = path.extension().is_some_and(|e| e == "db");
    if path.is_dir() || (create && !names_file) { path.join(FILE) } else { path.into() }
}

/// Returns the time in Unix seconds.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
