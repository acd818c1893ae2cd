//! The record of a search: what is asked for, by whom it is evaluated, what came back.
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
//! **Rounds.** [`Study::ask`] lets the strategy choose and commits the trials and all that the
//! strategy remembers in one transaction. [`Study::claim`] hands them out one after the other,
//! [`Study::tell`] records what became of one. Whoever first evaluates all that was asked for and
//! then asks for more gets the same trials from the same seed, whatever was killed in between.
//!
//! **Crashes.** A result is on disk when `tell` returns. Trials of a process that is gone are handed
//! out again with the same seed (after ten attempts they count as failed: such a network kills its
//! process). A process is known by its number and its start on this machine; of one elsewhere, such
//! as in another container, a sign of life is expected every two minutes, which a thread of the study
//! gives. Dropping a study gives back what it runs.
//!
//! **Several processes** may work on one file: a claim is atomic, and where all that was asked for
//! is taken, `ask` gives more, with networks unlike the pending ones. The file uses a write-ahead log, which
//! needs a local disk.
//!
//! **The file** is an SQLite database, documented by its schema: tables `trial`, `metric`,
//! `prediction`, `measurement`, and `study` with the settings as JSON.

mod ask;
mod candidates;
mod claim;
mod comparison;
mod database;
mod earlier;
mod limits;
mod owner;
mod read;
mod types;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lanner_space::{Architecture, Space};
use rusqlite::OptionalExtension;

pub use crate::constrained::Belief;
use crate::{Job, SearchError, Strategy};
use candidates::Candidates;
pub use candidates::{ANALYTIC, analytic};
use claim::Heartbeat;
use database::Database;
use earlier::Earlier;
use limits::Limits;
pub use limits::PROBABLE;
use owner::Owner;
pub use types::{Counts, Measurement, Outcome, State, Trial};

/// The name of the file in a study's folder.
pub const FILE: &str = "study.db";

/// An open study. It is for one thread at a time: share it behind a `Mutex`.
pub struct Study {
    database: Database,
    job: Job,
    space: Space,
    owner: Owner,
    heartbeat: Option<Heartbeat>,
    /// With the round after which it stands so.
    strategy: Option<(u32, Box<dyn Strategy + Send>)>,
    candidates: Candidates,
    limits: Limits,
    /// Read when a strategy is made.
    earlier: Option<Vec<Earlier>>,
}

impl Study {
    /// Makes a study. `path` is a file `….db` or a folder, made if there is none, for `study.db` in it.
    ///
    /// # Errors
    /// A study is there already, wrong settings, or the file cannot be written.
    pub fn create(path: impl AsRef<Path>, job: &Job) -> Result<Study, SearchError> {
        Study::create_of(path, job, &[])
    }

    /// The same, of these architectures only, such as those of a table; none stand for all.
    pub fn create_of(
        path: impl AsRef<Path>,
        job: &Job,
        archs: &[Architecture],
    ) -> Result<Study, SearchError> {
        Study::create_warm(path, job, archs, &[])
    }

    /// The same, with what earlier searches or tables know of networks of the space: by the name of
    /// each origin, values of the first objective's direction, in any unit (those that are not finite are
    /// left out). They are no trials and cost no budget; see [`Strategy::warm_start`].
    ///
    /// # Errors
    /// As [`Study::create`], or an origin is there twice.
    pub fn create_warm(
        path: impl AsRef<Path>,
        job: &Job,
        archs: &[Architecture],
        earlier: &[(String, Vec<(Architecture, f64)>)],
    ) -> Result<Study, SearchError> {
        job.check()?;
        let space = job.space()?;
        for arch in archs {
            space.check(arch)?;
        }
        let candidates = Candidates::new(job, &space, archs.to_vec())?;
        let text = json(job)?;
        let archs = ask::pack(archs);
        let earlier = earlier::text(earlier, job, &space)?;
        let database = Database::create(&file(path.as_ref(), true), |c| {
            let mut insert = c.prepare("INSERT INTO study VALUES (?, ?)")?;
            insert.execute(("settings", text))?;
            insert.execute(("created_unix_time", now()))?;
            insert.execute(("lanner", env!("CARGO_PKG_VERSION")))?;
            if !archs.is_empty() {
                insert.execute(("architectures", archs))?;
            }
            if let Some(earlier) = earlier {
                insert.execute(("earlier", earlier))?;
            }
            Ok(())
        })?;
        Ok(Study::of(database, job.clone(), space, candidates))
    }

    /// Whether [`Study::create`] would find something in its way.
    pub fn is_there(path: impl AsRef<Path>) -> bool {
        Database::is_there(&file(path.as_ref(), true))
    }

    /// Opens a study to go on with.
    ///
    /// # Errors
    /// There is none, or the file is none, is damaged, of a newer version or cannot be written.
    pub fn open(path: impl AsRef<Path>) -> Result<Study, SearchError> {
        Study::read_settings(Database::open(&file(path.as_ref(), false))?)
    }

    /// Opens a study to look at; what writes fails.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Study, SearchError> {
        Study::read_settings(Database::open_read_only(&file(path.as_ref(), false))?)
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
            limits: Limits::of(&job.limits),
            candidates,
            database,
            job,
            space,
            owner: Owner::new(),
            heartbeat: None,
            strategy: None,
            earlier: None,
        }
    }

    pub fn job(&self) -> &Job {
        &self.job
    }

    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.database.path
    }

    /// Raises or lowers the budget of a study to go on with.
    pub fn set_budget(&mut self, budget: usize) -> Result<(), SearchError> {
        let job = Job { budget, ..self.job.clone() };
        let text = json(&job)?;
        self.database
            .write(|c| c.execute("UPDATE study SET value = ? WHERE key = 'settings'", [text]))?;
        self.job = job;
        Ok(())
    }

    /// Latency of the reference network that measurements are corrected to, milliseconds.
    pub fn baseline_ms(&self) -> Result<Option<f64>, SearchError> {
        self.database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'baseline_ms'", [], |r| r.get(0))
                .optional()
        })
    }

    /// Keeps the reference network's latency to go on with.
    pub fn set_baseline_ms(&mut self, ms: f64) -> Result<(), SearchError> {
        self.database.write(|c| {
            c.execute("INSERT OR REPLACE INTO study VALUES ('baseline_ms', ?)", [ms]).map(|_| ())
        })
    }
}

fn json(job: &Job) -> Result<String, SearchError> {
    serde_json::to_string(job).map_err(|e| SearchError::Settings { why: e.to_string() })
}

/// The file that a path stands for.
fn file(path: &Path, create: bool) -> PathBuf {
    let names_file = path.extension().is_some_and(|e| e == "db");
    if path.is_dir() || (create && !names_file) { path.join(FILE) } else { path.into() }
}

/// Unix seconds.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
