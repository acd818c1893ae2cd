//! Reads what a strategy chooses by.

use std::collections::HashMap;

use lanner_space::{Architecture, Space};
use rusqlite::{Connection, OptionalExtension};

use super::candidates::Current;
use super::limits::{Known, Measured};
use super::schema::VALUES;
use super::types::Counts;
use super::{costs, read};
use crate::{History, Job};

/// Beyond `BEST` + `LATEST` trials, strategies see only the best and the latest ones: a Gaussian process
/// of all would take hours.
const BEST: usize = 150;
const LATEST: usize = 150;
/// The file's content at the time when a round is chosen.
pub(super) struct Snapshot {
    pub round: u32,
    pub counts: Counts,
    pub state: Option<Vec<u8>>,
    /// Trials with values, in the order of asking.
    pub done: Vec<(Architecture, Vec<f64>)>,
    pub pending: Vec<Architecture>,
    /// Metric that is measured for each limit.
    pub measured: Vec<Measured>,
    /// Costs of networks that the user's program counted.
    pub costs: Vec<Known>,
}

impl Snapshot {
    pub fn read(c: &Connection, job: &Job, space: &Space) -> rusqlite::Result<Snapshot> {
        let latest = "SELECT id FROM (SELECT id FROM trial WHERE value IS NOT NULL
                      ORDER BY id DESC LIMIT ?)";
        let best = |column: &str| {
            format!(
                "SELECT id FROM (SELECT id FROM trial WHERE {column} IS NOT NULL
                 ORDER BY {column} DESC, id LIMIT ?)"
            )
        };
        let values = &VALUES[..job.objectives.len().clamp(1, VALUES.len())];
        let mut sources = vec![latest.to_string()];
        sources.extend(values.iter().map(|column| best(column)));
        let sql = format!(
            "SELECT arch, {} FROM trial WHERE id IN ({}) ORDER BY id",
            values.join(", "),
            sources.join(" UNION ")
        );
        let mut limits = vec![BEST as i64; sources.len()];
        limits[0] = LATEST as i64;
        let done = c
            .prepare_cached(&sql)?
            .query_map(rusqlite::params_from_iter(limits), |r| {
                let value = |i| Ok(r.get::<_, Option<f64>>(i)?.unwrap_or(0.0));
                let values = (1..=values.len()).map(value).collect::<rusqlite::Result<_>>()?;
                Ok((read::parsed(r, 0, space)?, values))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let pending = c
            .prepare_cached(
                "SELECT arch FROM trial WHERE state IN ('asked', 'running') ORDER BY id",
            )?
            .query_map([], |r| read::parsed(r, 0, space))?
            .collect::<rusqlite::Result<_>>()?;
        let measured = (job.limits.iter())
            .map(|l| Measured::read(c, space, &l.metric))
            .collect::<rusqlite::Result<_>>()?;
        let costs = costs::read(c, job, space)?;
        let state = c.query_row("SELECT state FROM strategy", [], |r| r.get(0)).optional()?;
        Ok(Snapshot {
            round: last_round(c)?,
            counts: read::counts(c)?,
            state,
            done,
            pending,
            measured,
            costs,
        })
    }
}

/// Returns the last round that was asked for.
pub(super) fn last_round(connection: &Connection) -> rusqlite::Result<u32> {
    let round = connection.query_row("SELECT round FROM strategy", [], |r| r.get(0)).optional()?;
    Ok(round.unwrap_or(0))
}

/// Notes a trial without a value in the strategy's record.
fn note(history: &mut History, row: usize, over: bool) {
    match over {
        true => history.exclude(row),
        false => history.tell(row, None),
    }
}

/// Makes the record that the strategy is shown.
pub(super) fn history(
    c: &Connection,
    current: &Current,
    counts: &Counts,
    done: &[(Architecture, Vec<f64>)],
    pending: &[Architecture],
) -> rusqlite::Result<History> {
    let mut history = History::default();
    for (arch, values) in done {
        match current.pool.row_of(arch) {
            Some(row) if values.len() > 1 => history.tell_all(row, values),
            Some(row) => history.tell(row, Some(values[0])),
            None => {}
        }
    }
    pending.iter().filter_map(|a| current.pool.row_of(a)).for_each(|row| history.wait_for(row));
    if counts.all() < current.texts.len() {
        let rows: HashMap<&str, usize> =
            current.texts.iter().enumerate().map(|(row, text)| (text.as_str(), row)).collect();
        let mut select = c.prepare_cached("SELECT arch, state = 'infeasible' FROM trial")?;
        let mut trials = select.query([])?;
        while let Some(trial) = trials.next()? {
            if let Some(&row) = rows.get(trial.get_ref(0)?.as_str()?) {
                note(&mut history, row, trial.get(1)?);
            }
        }
    } else {
        let mut select =
            c.prepare_cached("SELECT state = 'infeasible' FROM trial WHERE arch = ?")?;
        for (row, text) in current.texts.iter().enumerate() {
            if let Some(over) = select.query_row([text], |r| r.get(0)).optional()? {
                note(&mut history, row, over);
            }
        }
    }
    history.elsewhere = (counts.all() - counts.infeasible).saturating_sub(history.asked());
    Ok(history)
}
