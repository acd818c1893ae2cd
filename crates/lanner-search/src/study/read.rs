//! Reads studies.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use lanner_space::{Architecture, Space};
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, OptionalExtension, Row, Rows};

use super::types::{Counts, Measurement, State, Trial};
use super::{SearchError, Study};

/// Columns that [`trial_of`] reads.
const COLUMNS: &str =
    "id, round, arch, state, seed, origin, owner, asked_at, started_at, finished_at, note";
/// Columns that [`measurement`] reads.
const MEASUREMENT: &str = "arch, metric, value, se, trial, seed, budget, comparison, unix_time";

impl Study {
    /// Returns all trials in the order of asking.
    pub fn trials(&self) -> Result<Vec<Trial>, SearchError> {
        let mut trials = Vec::new();
        self.for_each_trial(|trial| {
            trials.push(trial);
            Ok::<_, SearchError>(())
        })?;
        Ok(trials)
    }

    /// Calls `each` with all trials in the order of asking, without holding them in memory. All are
    /// of one moment's state; the first error ends it. During this call nothing else can be asked
    /// of this study.
    pub fn for_each_trial<E: From<SearchError>>(
        &self,
        mut each: impl FnMut(Trial) -> Result<(), E>,
    ) -> Result<(), E> {
        self.database.read(|c| {
            let mut select = c.prepare(&format!("SELECT {COLUMNS} FROM trial ORDER BY id"))?;
            let mut metrics = c.prepare("SELECT trial, name, value FROM metric ORDER BY trial")?;
            let mut predictions =
                c.prepare("SELECT trial, name, median, sd FROM prediction ORDER BY trial")?;
            let mut metrics = RowsByTrial::new(metrics.query([])?)?;
            let mut predictions = RowsByTrial::new(predictions.query([])?)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let mut trial = trial_of(row, &self.space)?;
                metrics.rows_of(trial.id, |r| {
                    trial.metrics.insert(r.get(1)?, r.get(2)?);
                    Ok(())
                })?;
                predictions.rows_of(trial.id, |r| {
                    trial.predicted.insert(r.get(1)?, (r.get(2)?, r.get(3)?));
                    Ok(())
                })?;
                if let Err(error) = each(trial) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })?
    }

    /// Returns one trial.
    pub fn trial(&self, id: i64) -> Result<Trial, SearchError> {
        self.database.read(|c| trial(c, &self.space, id))?.ok_or(SearchError::NoTrial { trial: id })
    }

    /// Returns the last `count` failed trials, in the order of asking.
    pub fn failures(&self, count: usize) -> Result<Vec<Trial>, SearchError> {
        self.database.read(|c| {
            let ids = c
                .prepare("SELECT id FROM trial WHERE state = 'failed' ORDER BY id DESC LIMIT ?")?
                .query_map([count as i64], |r| r.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?;
            ids.into_iter().rev().filter_map(|id| trial(c, &self.space, id).transpose()).collect()
        })
    }

    /// Returns all measurements in the order in which they were made.
    pub fn measurements(&self) -> Result<Vec<Measurement>, SearchError> {
        let mut measurements = Vec::new();
        self.for_each_measurement(|m| measurements.push(m))?;
        Ok(measurements)
    }

    /// Calls the closure with all measurements in the order in which they were made, without
    /// holding them in memory.
    pub fn for_each_measurement(
        &self,
        mut each: impl FnMut(Measurement),
    ) -> Result<(), SearchError> {
        self.database.read(|c| {
            let mut select =
                c.prepare(&format!("SELECT {MEASUREMENT} FROM measurement ORDER BY id"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                each(measurement(row, &self.space)?);
            }
            Ok(())
        })
    }

    /// Returns the measurements of one architecture in the order in which they were made.
    pub fn measurements_of(&self, arch: &Architecture) -> Result<Vec<Measurement>, SearchError> {
        let text = self.space.print(arch);
        self.database.read(|c| {
            c.prepare_cached(&format!(
                "SELECT {MEASUREMENT} FROM measurement WHERE arch = ? ORDER BY id"
            ))?
            .query_map([text], |row| measurement(row, &self.space))?
            .collect()
        })
    }

    /// Counts the values that were measured, and those that were looked up in tables, without those of the
    /// comparison's own evaluation.
    pub fn measured_and_looked_up(&self) -> Result<(usize, usize), SearchError> {
        let (mut measured, mut looked_up) = (0, 0);
        self.for_each_measurement(|m| match (m.comparison, m.is_looked_up()) {
            (true, _) => {}
            (false, true) => looked_up += 1,
            (false, false) => measured += 1,
        })?;
        Ok((measured, looked_up))
    }

    /// Returns the mean duration of the latest `most` evaluations, seconds; NaN if there are none.
    pub fn seconds_each(&self, most: usize) -> Result<f64, SearchError> {
        self.database.read(|c| {
            c.prepare_cached(
                "SELECT avg(finished_at - started_at) FROM
                 (SELECT started_at, finished_at FROM trial
                  WHERE state = 'done' AND origin IS NULL ORDER BY id DESC LIMIT ?)",
            )?
            .query_row([most as i64], |r| Ok(r.get::<_, Option<f64>>(0)?.unwrap_or(f64::NAN)))
        })
    }

    /// Counts trials by state.
    pub fn counts(&self) -> Result<Counts, SearchError> {
        self.database.read(counts)
    }

    /// Counts the done trials over a limit, as only their evaluation could tell.
    pub fn done_over_a_limit(&self) -> Result<usize, SearchError> {
        self.database.read(|c| {
            let mut over = std::collections::HashSet::new();
            let mut select = c.prepare_cached(
                "SELECT trial, metric.value FROM metric JOIN trial ON trial.id = trial
                 WHERE state = 'done' AND metric.name = ?",
            )?;
            for limit in &self.job.limits {
                let mut rows = select.query([&limit.metric])?;
                while let Some(row) = rows.next()? {
                    if !limit.holds(row.get(1)?) {
                        over.insert(row.get::<_, i64>(0)?);
                    }
                }
            }
            Ok(over.len())
        })
    }
}

/// Rows of another table in the order of their trials, read trial by trial.
struct RowsByTrial<'s> {
    rows: Rows<'s>,
}

impl<'s> RowsByTrial<'s> {
    fn new(mut rows: Rows<'s>) -> rusqlite::Result<RowsByTrial<'s>> {
        rows.advance()?;
        Ok(RowsByTrial { rows })
    }

    /// Passes the rows of a trial to `add`; each call needs a later trial than the call before.
    fn rows_of(
        &mut self,
        trial: i64,
        mut add: impl FnMut(&Row) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        while let Some(row) = self.rows.get() {
            match row.get::<_, i64>(0)?.cmp(&trial) {
                Ordering::Less => {}
                Ordering::Equal => add(row)?,
                Ordering::Greater => break,
            }
            self.rows.advance()?;
        }
        Ok(())
    }
}

/// Reads a trial without metrics and predictions.
fn trial_of(row: &Row, space: &Space) -> rusqlite::Result<Trial> {
    Ok(Trial {
        id: row.get(0)?,
        round: row.get(1)?,
        arch: parsed(row, 2, space)?,
        state: state(row, 3)?,
        seed: row.get::<_, i64>(4)? as u64,
        origin: row.get(5)?,
        owner: row.get(6)?,
        asked_at: row.get(7)?,
        started_at: row.get(8)?,
        finished_at: row.get(9)?,
        metrics: BTreeMap::new(),
        predicted: BTreeMap::new(),
        note: row.get(10)?,
    })
}

/// Parses the architecture in a text column; an error names the text.
pub(super) fn parsed(row: &Row, column: usize, space: &Space) -> rusqlite::Result<Architecture> {
    let text = row.get_ref(column)?.as_str()?;
    space.parse(text).map_err(|e| unreadable(column, e.to_string()))
}

/// Makes the error of a column whose text means nothing.
pub(super) fn unreadable(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}

fn state(row: &Row, column: usize) -> rusqlite::Result<State> {
    let name: String = row.get(column)?;
    State::by_name(&name)
        .ok_or_else(|| unreadable(column, format!("'{name}' is not a state of a trial")))
}

pub(super) fn trial(
    connection: &Connection,
    space: &Space,
    id: i64,
) -> rusqlite::Result<Option<Trial>> {
    let sql = format!("SELECT {COLUMNS} FROM trial WHERE id = ?");
    let found =
        connection.prepare_cached(&sql)?.query_row([id], |row| trial_of(row, space)).optional()?;
    let Some(mut trial) = found else { return Ok(None) };
    trial.metrics = connection
        .prepare_cached("SELECT name, value FROM metric WHERE trial = ?")?
        .query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    trial.predicted = connection
        .prepare_cached("SELECT name, median, sd FROM prediction WHERE trial = ?")?
        .query_map([id], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(trial))
}

/// Reads the measurement of a number; `None` if there is none.
pub(super) fn measurement_of_id(
    connection: &Connection,
    space: &Space,
    id: i64,
) -> rusqlite::Result<Option<Measurement>> {
    connection
        .prepare_cached(&format!("SELECT {MEASUREMENT} FROM measurement WHERE id = ?"))?
        .query_row([id], |row| measurement(row, space))
        .optional()
}

fn measurement(row: &Row, space: &Space) -> rusqlite::Result<Measurement> {
    Ok(Measurement {
        arch: parsed(row, 0, space)?,
        metric: row.get(1)?,
        value: row.get(2)?,
        se: row.get(3)?,
        trial: row.get(4)?,
        seed: row.get::<_, i64>(5)? as u64,
        budget: row.get(6)?,
        comparison: row.get(7)?,
        unix_time: row.get(8)?,
    })
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut select =
        connection.prepare_cached("SELECT state, trials, imported FROM trial_count")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(1)? as usize;
        match state(row, 0)? {
            State::Asked => counts.asked = count,
            State::Running => counts.running = count,
            State::Done => counts.done = count,
            State::Failed => counts.failed = count,
            State::Infeasible => counts.infeasible = count,
        }
        counts.imported += row.get::<_, i64>(2)? as usize;
    }
    Ok(counts)
}

/// State and owner of a trial, which decide whether a result is accepted.
pub(super) struct TrialRow {
    pub state: State,
    pub owner: Option<String>,
}

impl TrialRow {
    pub fn read(connection: &Connection, id: i64) -> rusqlite::Result<Option<TrialRow>> {
        connection
            .prepare_cached("SELECT state, owner FROM trial WHERE id = ?")?
            .query_row([id], |r| Ok(TrialRow { state: state(r, 0)?, owner: r.get(1)? }))
            .optional()
    }
}
