//! Hands out trials, and records their results.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::read::{self, TrialRow};
use super::types::{Measurement, Outcome, State, Trial};
use super::{SearchError, Study, checksum, now};
use crate::job::{OBJECTIVES, is_metric_name};

/// Time between signs of life, and time without one after which a process that cannot be seen
/// counts as dead.
const BEAT: Duration = Duration::from_secs(20);
const LEASE: f64 = 120.0;
/// Largest number of times that a trial is handed out: a network may kill its process.
const ATTEMPTS: i64 = 10;

/// Objectives of a trial, with a sign by which larger is better.
type Values = [Option<f64>; OBJECTIVES];

impl Study {
    /// Claims the next trial to evaluate for this process; `None` if none waits. Those that were
    /// asked for first come first, also where their process died.
    pub fn claim(&mut self) -> Result<Option<Trial>, SearchError> {
        let (owner, time) = (&self.owner, now());
        let is_free = |other: Option<&str>, heartbeat: Option<f64>| match other {
            None => true,
            Some(other) if other == owner.text() => false,
            Some(other) => match owner.is_alive(other) {
                Some(alive) => !alive,
                None => heartbeat.is_none_or(|h| time - h > LEASE),
            },
        };
        let space = &self.space;
        let claimed = self.database.write(|c| {
            loop {
                let Some((id, attempts)) = first_free(c, &is_free)? else { return Ok(None) };
                if attempts >= ATTEMPTS {
                    let why = format!("the process that ran it died, {attempts} times");
                    finish(c, id, State::Failed, Values::default(), Some(&why), time)?;
                    continue;
                }
                c.execute(
                    "UPDATE trial SET state = 'running', owner = ?, heartbeat = ?, started_at = ?,
                     attempts = attempts + 1 WHERE id = ?",
                    (owner.text(), time, time, id),
                )?;
                return read::trial(c, space, id);
            }
        })?;
        if claimed.is_some() && self.heartbeat.is_none() {
            self.heartbeat = Heartbeat::start(self.path().into(), self.owner.text().into());
        }
        Ok(claimed)
    }

    /// Hands out failed trials again, those that were handed out at most `attempts` times; returns their
    /// number.
    pub fn retry_failed(&mut self, attempts: u32) -> Result<usize, SearchError> {
        self.database.write(|c| {
            let ids = c
                .prepare(
                    "UPDATE trial SET state = 'asked', owner = NULL, note = NULL, started_at = NULL,
                     finished_at = NULL WHERE state = 'failed' AND attempts <= ? RETURNING id",
                )?
                .query_map([attempts], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?;
            ids.iter().try_for_each(|&id| checksum::add_to_trial(c, id))?;
            Ok(ids.len())
        })
    }

    /// Records the result of a trial, and returns its new state; both are on disk when this returns.
    ///
    /// # Errors
    /// The trial has ended before, or another process took it over; then the other result counts.
    pub fn tell(&mut self, trial: i64, outcome: Outcome) -> Result<State, SearchError> {
        let (state, metrics, note) = self.judged(outcome);
        let values = match state {
            State::Done => self.values(&metrics),
            _ => Values::default(),
        };
        let (owner, time) = (self.owner.text(), now());
        let refused = self.database.write(|c| {
            let Some(row) = TrialRow::read(c, trial)? else {
                return Ok(Some(SearchError::NoTrial { trial }));
            };
            if !row.state.is_pending() {
                return Ok(Some(SearchError::Told { trial, state: row.state.name() }));
            }
            if let Some(other) = row.owner.filter(|o| row.state == State::Running && o != owner) {
                return Ok(Some(SearchError::TakenOver { trial, owner: other }));
            }
            insert_metrics(c, trial, &metrics)?;
            finish(c, trial, state, values, note.as_deref(), time)?;
            Ok(None)
        })?;
        match refused {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    /// Gives a trial back that this process claimed: it is handed out again, with the same seed. Another one
    /// stays as it is.
    pub fn give_back(&mut self, trial: i64) -> Result<(), SearchError> {
        let owner = self.owner.text();
        self.database.write(|c| give_back(c, owner, Some(trial)))
    }

    /// Returns state, finite metrics and note for an outcome.
    fn judged(&self, outcome: Outcome) -> (State, BTreeMap<String, f64>, Option<String>) {
        let finite = |mut metrics: BTreeMap<String, f64>| {
            let before = metrics.len();
            metrics.retain(|name, _| is_metric_name(name));
            let left_out = before - metrics.len();
            metrics.retain(|_, v| v.is_finite());
            let why = "left out, since their names are empty, too long or have control characters";
            let note = (left_out > 0).then(|| format!("{left_out} metrics {why}"));
            (metrics, note)
        };
        match outcome {
            Outcome::Failed { why } => (State::Failed, BTreeMap::new(), Some(plain(&why))),
            Outcome::Infeasible { metrics } => {
                let (metrics, note) = finite(metrics);
                (State::Infeasible, metrics, note)
            }
            Outcome::Done { metrics } => {
                let (metrics, note) = finite(metrics);
                let objectives = self.job.objectives.iter();
                match objectives.map(|o| &o.metric).find(|m| !metrics.contains_key(*m)) {
                    None => (State::Done, metrics, note),
                    Some(missing) => {
                        let why = format!("the evaluation gave no number for {missing}");
                        (State::Failed, metrics, Some(why))
                    }
                }
            }
        }
    }

    /// Returns the objectives with a sign by which larger is better.
    pub(super) fn values(&self, metrics: &BTreeMap<String, f64>) -> Values {
        std::array::from_fn(|i| {
            let objective = self.job.objectives.get(i)?;
            metrics.get(&objective.metric).map(|v| objective.signed(*v))
        })
    }

    /// Stores a measurement, which is on disk when this returns. One that is not finite is left out.
    ///
    /// # Errors
    /// The metric's name is empty, longer than 1,000 bytes or has control characters.
    pub fn measured(&mut self, m: &Measurement) -> Result<(), SearchError> {
        if !is_metric_name(&m.metric) {
            let why = format!("a metric cannot be called {:?}", m.metric);
            return Err(SearchError::Settings { why });
        }
        if !m.value.is_finite() {
            return Ok(());
        }
        let se = m.se.filter(|se| se.is_finite());
        let text = self.space.print(&m.arch);
        self.database.write(|c| {
            c.prepare_cached(
                "INSERT INTO measurement
                 (arch, metric, value, se, trial, seed, budget, comparison, unix_time)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                &text,
                &m.metric,
                m.value,
                se,
                m.trial,
                m.seed as i64,
                &m.budget,
                m.comparison,
                m.unix_time,
            ))?;
            checksum::add_to_measurement(c, c.last_insert_rowid())
        })
    }
}

impl Drop for Study {
    fn drop(&mut self) {
        if self.heartbeat.take().is_some() {
            let owner = self.owner.text();
            // If this fails, others take the trials over once this process is gone.
            let _ = self.database.write(|c| give_back(c, owner, None));
        }
    }
}

/// Gives back one trial of an owner, or all of them.
fn give_back(connection: &Connection, owner: &str, trial: Option<i64>) -> rusqlite::Result<()> {
    connection
        .execute(
            "UPDATE trial SET state = 'asked', owner = NULL, heartbeat = NULL, attempts = attempts - 1
             WHERE state = 'running' AND owner = ?1 AND (?2 IS NULL OR id = ?2)",
            (owner, trial),
        )
        .map(|_| ())
}

/// Returns the first trial that waits or whose owner is dead, and how often it was handed out.
fn first_free(
    connection: &Connection,
    is_free: &dyn Fn(Option<&str>, Option<f64>) -> bool,
) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut found: Option<(i64, i64)> = connection
        .prepare_cached("SELECT id, attempts FROM trial WHERE state = 'asked' ORDER BY id LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let mut running = connection.prepare_cached(
        "SELECT id, attempts, owner, heartbeat FROM trial WHERE state = 'running' ORDER BY id",
    )?;
    let mut rows = running.query([])?;
    while let Some(row) = rows.next()? {
        let (id, owner): (i64, Option<String>) = (row.get(0)?, row.get(2)?);
        if found.is_some_and(|f| f.0 < id) {
            break;
        }
        if is_free(owner.as_deref(), row.get(3)?) {
            found = Some((id, row.get(1)?));
            break;
        }
    }
    Ok(found)
}

fn finish(
    connection: &Connection,
    trial: i64,
    state: State,
    [first, second, third, fourth]: Values,
    note: Option<&str>,
    time: f64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE trial SET state = ?, value = ?, value2 = ?, value3 = ?, value4 = ?, note = ?,
             finished_at = ?, heartbeat = NULL WHERE id = ?",
        )?
        .execute((state.name(), first, second, third, fourth, note, time, trial))?;
    checksum::add_to_trial(connection, trial)
}

/// Returns a text without the control characters that a terminal would obey, lines kept.
fn plain(text: &str) -> String {
    let replaced = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.chars().map(|c| if replaced(c) { ' ' } else { c }).collect()
}

pub(super) fn insert_metrics(
    connection: &Connection,
    trial: i64,
    metrics: &BTreeMap<String, f64>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO metric VALUES (?, ?, ?)")?;
    for (name, value) in metrics {
        insert.execute((trial, name, value))?;
    }
    Ok(())
}

/// A thread that gives signs of life while a study runs trials; it ends when this is dropped.
pub(super) struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    fn start(path: std::path::PathBuf, owner: String) -> Option<Heartbeat> {
        let (stop, stopped) = channel::<()>();
        let beat = move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // If one sign is missed, the next one makes up for it.
                let Ok(connection) = Connection::open(&path) else { continue };
                let _ = connection.busy_timeout(BEAT).and_then(|()| {
                    connection.execute(
                        "UPDATE trial SET heartbeat = ? WHERE state = 'running' AND owner = ?",
                        (now(), &owner),
                    )
                });
            }
        };
        let thread = std::thread::Builder::new().name("heartbeat".into()).spawn(beat).ok()?;
        Some(Heartbeat { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
