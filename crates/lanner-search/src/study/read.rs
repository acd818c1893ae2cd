//! Looking at a study.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, OptionalExtension, Row, Rows};

use super::types::{Counts, Measurement, State, Trial};
use super::{Study, StudyError};
use crate::front;

/// Columns of [`trial_of`].
const COLUMNS: &str =
    "id, round, arch, state, seed, origin, owner, asked_at, started_at, finished_at, note";
/// Columns of [`measurement`].
const MEASUREMENT: &str = "arch, metric, value, se, trial, seed, budget, unix_time";

impl Study {
    /// All trials in the order of asking.
    pub fn trials(&self) -> Result<Vec<Trial>, StudyError> {
        let mut trials = Vec::new();
        self.for_each_trial(|trial| {
            trials.push(trial);
            Ok::<_, StudyError>(())
        })?;
        Ok(trials)
    }

    /// Gives all trials in the order of asking, of one moment's state, without holding them; ends at
    /// the first error. Meanwhile nothing else can be asked of this study.
    pub fn for_each_trial<E: From<StudyError>>(
        &self,
        mut each: impl FnMut(Trial) -> Result<(), E>,
    ) -> Result<(), E> {
        self.database.read(|c| {
            let mut select = c.prepare(&format!("SELECT {COLUMNS} FROM trial ORDER BY id"))?;
            let mut metrics = c.prepare("SELECT trial, name, value FROM metric ORDER BY trial")?;
            let mut predictions =
                c.prepare("SELECT trial, name, median, sd FROM prediction ORDER BY trial")?;
            let mut metrics = Beside::new(metrics.query([])?)?;
            let mut predictions = Beside::new(predictions.query([])?)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let mut trial = trial_of(row)?;
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

    /// One trial.
    pub fn trial(&self, id: i64) -> Result<Trial, StudyError> {
        self.database.read(|c| trial(c, id))?.ok_or(StudyError::NoTrial { trial: id })
    }

    /// The last so many trials that failed, in the order of asking.
    pub fn failures(&self, count: usize) -> Result<Vec<Trial>, StudyError> {
        self.database.read(|c| {
            let ids = c
                .prepare("SELECT id FROM trial WHERE state = 'failed' ORDER BY id DESC LIMIT ?")?
                .query_map([count as i64], |r| r.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?;
            ids.into_iter().rev().filter_map(|id| trial(c, id).transpose()).collect()
        })
    }

    /// All measurements in the order in which they were made.
    pub fn measurements(&self) -> Result<Vec<Measurement>, StudyError> {
        let mut measurements = Vec::new();
        self.for_each_measurement(|m| measurements.push(m))?;
        Ok(measurements)
    }

    /// The same, without holding them.
    pub fn for_each_measurement(
        &self,
        mut each: impl FnMut(Measurement),
    ) -> Result<(), StudyError> {
        self.database.read(|c| {
            let mut select =
                c.prepare(&format!("SELECT {MEASUREMENT} FROM measurement ORDER BY id"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                each(measurement(row)?);
            }
            Ok(())
        })
    }

    /// The measurements of one architecture in the order in which they were made.
    pub fn measurements_of(&self, arch: &str) -> Result<Vec<Measurement>, StudyError> {
        self.database.read(|c| {
            c.prepare_cached(&format!(
                "SELECT {MEASUREMENT} FROM measurement WHERE arch = ? ORDER BY id"
            ))?
            .query_map([arch], measurement)?
            .collect()
        })
    }

    /// How many trials there are of each state.
    pub fn counts(&self) -> Result<Counts, StudyError> {
        self.database.read(counts)
    }

    /// The best trial by the first objective that is done and exceeds no limit as far as its metrics
    /// and the last measurements of its architecture tell; the earliest of equals.
    pub fn best(&self) -> Result<Option<Trial>, StudyError> {
        self.database.read(|c| {
            let mut select = c.prepare_cached(
                "SELECT id FROM trial WHERE value IS NOT NULL ORDER BY value DESC, id",
            )?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let Some(trial) = trial(c, row.get(0)?)? else { continue };
                if self.within_limits(c, &trial)? {
                    return Ok(Some(trial));
                }
            }
            Ok(None)
        })
    }

    /// The trials of [`Study::best`]'s kind that no other one beats in both objectives, by the first
    /// from the best; with one objective the best alone. Of an objective that was measured apart from
    /// the trial, such as a latency, the architecture's last measurement counts.
    pub fn front(&self) -> Result<Vec<Trial>, StudyError> {
        if self.settings.objectives.len() < 2 {
            return Ok(self.best()?.into_iter().collect());
        }
        self.database.read(|c| {
            let last = (self.settings.objectives.iter())
                .map(|o| last_measured(c, &o.metric))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut within: Vec<(i64, [f64; 2])> = Vec::new();
            let mut select = c.prepare_cached(
                "SELECT id, value, value2, arch FROM trial
                 WHERE value IS NOT NULL AND value2 IS NOT NULL ORDER BY id",
            )?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let mut values = [row.get(1)?, row.get(2)?];
                for (i, objective) in self.settings.objectives.iter().enumerate() {
                    if !last[i].is_empty()
                        && let Some(measured) = last[i].get(row.get_ref(3)?.as_str()?)
                    {
                        values[i] = objective.signed(*measured);
                    }
                }
                within.push((row.get(0)?, values));
            }
            // Of those on the front, the ones over a limit go, until none is.
            loop {
                let points: Vec<[f64; 2]> = within.iter().map(|d| d.1).collect();
                let ids: Vec<i64> = front(&points).into_iter().map(|i| within[i].0).collect();
                let mut trials = Vec::new();
                let mut over = std::collections::HashSet::new();
                for id in ids {
                    let Some(trial) = trial(c, id)? else { continue };
                    if self.within_limits(c, &trial)? {
                        trials.push(trial);
                    } else {
                        over.insert(id);
                    }
                }
                if over.is_empty() {
                    return Ok(trials);
                }
                within.retain(|d| !over.contains(&d.0));
            }
        })
    }

    fn within_limits(&self, c: &Connection, trial: &Trial) -> rusqlite::Result<bool> {
        for limit in &self.settings.limits {
            let measured: Option<f64> = c
                .prepare_cached(
                    "SELECT value FROM measurement WHERE metric = ? AND arch = ?
                     ORDER BY id DESC LIMIT 1",
                )?
                .query_row((&limit.metric, &trial.arch), |r| r.get(0))
                .optional()?;
            let value = measured.or(trial.metrics.get(&limit.metric).copied());
            if value.is_some_and(|v| v > limit.at_most) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The last value of a metric that was measured of each architecture.
fn last_measured(c: &Connection, metric: &str) -> rusqlite::Result<HashMap<String, f64>> {
    c.prepare_cached("SELECT arch, value FROM measurement WHERE metric = ? ORDER BY id")?
        .query_map([metric], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect()
}

/// Rows of another table in the order of their trials, taken in trial by trial.
struct Beside<'s> {
    rows: Rows<'s>,
}

impl<'s> Beside<'s> {
    fn new(mut rows: Rows<'s>) -> rusqlite::Result<Beside<'s>> {
        rows.advance()?;
        Ok(Beside { rows })
    }

    /// Those of a trial, later than the trial before.
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

/// A trial without metrics and predictions.
fn trial_of(row: &Row) -> rusqlite::Result<Trial> {
    Ok(Trial {
        id: row.get(0)?,
        round: row.get(1)?,
        arch: row.get(2)?,
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

fn state(row: &Row, column: usize) -> rusqlite::Result<State> {
    let name: String = row.get(column)?;
    State::by_name(&name).ok_or_else(|| {
        let why = format!("'{name}' is no state of a trial").into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why)
    })
}

pub(super) fn trial(connection: &Connection, id: i64) -> rusqlite::Result<Option<Trial>> {
    let sql = format!("SELECT {COLUMNS} FROM trial WHERE id = ?");
    let found = connection.prepare_cached(&sql)?.query_row([id], trial_of).optional()?;
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

fn measurement(row: &Row) -> rusqlite::Result<Measurement> {
    Ok(Measurement {
        arch: row.get(0)?,
        metric: row.get(1)?,
        value: row.get(2)?,
        se: row.get(3)?,
        trial: row.get(4)?,
        seed: row.get::<_, i64>(5)? as u64,
        budget: row.get(6)?,
        unix_time: row.get(7)?,
    })
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut select = connection
        .prepare_cached("SELECT state, count(*), count(origin) FROM trial GROUP BY state")?;
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

/// What decides whether a result may be told.
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
