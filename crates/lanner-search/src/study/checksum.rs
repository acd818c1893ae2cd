//! Checksums of the rows: a changed bit on the disk is noticed even where it makes another valid value.
//!
//! The sum of a trial covers its metrics and predictions too, but not who runs it, which changes without
//! a result. It is FNV-1a, in which every single changed byte changes the sum.

use std::cmp::Ordering;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Rows};

/// Columns that the sum of a trial covers.
const TRIAL: &str = "id, round, arch, CASE state WHEN 'running' THEN 'asked' ELSE state END, seed, \
                     origin, asked_at, finished_at, value, value2, value3, value4, note";
const METRIC: &str = "trial, name, value";
const PREDICTION: &str = "trial, name, median, sd";

/// A table whose rows have sums of their own columns: name, key, and the columns.
struct Summed {
    table: &'static str,
    key: &'static str,
    columns: &'static str,
}

const SETTING: Summed = Summed { table: "study", key: "key", columns: "key, value" };
const STRATEGY: Summed = Summed { table: "strategy", key: "id", columns: "id, round, state" };
const MEASUREMENT: Summed = Summed {
    table: "measurement",
    key: "id",
    columns: "id, arch, metric, value, se, trial, seed, budget, comparison, unix_time",
};

/// FNV-1a, 64 bits.
struct Sum(u64);

impl Sum {
    fn new() -> Sum {
        Sum(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds the first columns of a row, with their types.
    fn add_row(&mut self, row: &Row, columns: usize) -> rusqlite::Result<()> {
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => self.add(&[0]),
                ValueRef::Integer(n) => {
                    self.add(&[1]);
                    self.add(&n.to_le_bytes());
                }
                ValueRef::Real(x) => {
                    self.add(&[2]);
                    self.add(&x.to_bits().to_le_bytes());
                }
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    self.add(&[3]);
                    self.add(&(bytes.len() as u64).to_le_bytes());
                    self.add(bytes);
                }
            }
        }
        Ok(())
    }

    fn value(&self) -> i64 {
        self.0 as i64
    }
}

fn count(columns: &str) -> usize {
    columns.split(", ").count()
}

/// Stores the sum of a setting, after it was written.
pub(super) fn add_to_setting(c: &Connection, key: &str) -> rusqlite::Result<()> {
    SETTING.add(c, key)
}

/// Stores the sum of the strategy's state, after it was written.
pub(super) fn add_to_strategy(c: &Connection) -> rusqlite::Result<()> {
    STRATEGY.add(c, 1)
}

/// Stores the sum of a measurement, after it was written.
pub(super) fn add_to_measurement(c: &Connection, id: i64) -> rusqlite::Result<()> {
    MEASUREMENT.add(c, id)
}

/// Stores the sum of a trial, after the trial, its metrics or its predictions were written.
pub(super) fn add_to_trial(c: &Connection, id: i64) -> rusqlite::Result<()> {
    let Some((sum, _)) = of_trial(c, id)? else { return Ok(()) };
    c.prepare_cached("UPDATE trial SET checksum = ? WHERE id = ?")?.execute((sum, id)).map(|_| ())
}

/// Tells whether the sum of a trial is right.
pub(super) fn trial_is_right(c: &Connection, id: i64) -> rusqlite::Result<bool> {
    Ok(of_trial(c, id)?.is_some_and(|(sum, stored)| stored == Some(sum)))
}

pub(super) fn setting_is_right(c: &Connection, key: &str) -> rusqlite::Result<bool> {
    SETTING.is_right_at(c, key)
}

pub(super) fn strategy_is_right(c: &Connection) -> rusqlite::Result<bool> {
    STRATEGY.is_right_at(c, 1)
}

pub(super) fn measurement_is_right(c: &Connection, id: i64) -> rusqlite::Result<bool> {
    MEASUREMENT.is_right_at(c, id)
}

/// Returns the sum that a trial should have, and the stored one; `None` if there is no such trial.
fn of_trial(c: &Connection, id: i64) -> rusqlite::Result<Option<(i64, Option<i64>)>> {
    let mut sum = Sum::new();
    let select = |columns: &str, table: &str, key: &str| {
        format!("SELECT {columns}, checksum FROM {table} WHERE {key} = ?")
    };
    let stored = c
        .prepare_cached(&select(TRIAL, "trial", "id"))?
        .query_row([id], |row| {
            sum.add_row(row, count(TRIAL))?;
            row.get(count(TRIAL))
        })
        .optional()?;
    let Some(stored) = stored else { return Ok(None) };
    for (columns, table) in [(METRIC, "metric"), (PREDICTION, "prediction")] {
        let sql = format!("SELECT {columns} FROM {table} WHERE trial = ? ORDER BY name");
        let mut select = c.prepare_cached(&sql)?;
        let mut rows = select.query([id])?;
        while let Some(row) = rows.next()? {
            sum.add_row(row, count(columns))?;
        }
    }
    Ok(Some((sum.value(), stored)))
}

impl Summed {
    fn select(&self) -> String {
        format!("SELECT {}, checksum FROM {}", self.columns, self.table)
    }

    fn add(&self, c: &Connection, key: impl rusqlite::ToSql) -> rusqlite::Result<()> {
        let Summed { table, key: column, .. } = self;
        let sql = self.select_one();
        let sum = c.prepare_cached(&sql)?.query_row([&key], |row| self.of(row))?;
        let sql = format!("UPDATE {table} SET checksum = ? WHERE {column} = ?");
        c.prepare_cached(&sql)?.execute((sum, &key)).map(|_| ())
    }

    fn select_one(&self) -> String {
        format!("{} WHERE {} = ?", self.select(), self.key)
    }

    fn is_right_at(&self, c: &Connection, key: impl rusqlite::ToSql) -> rusqlite::Result<bool> {
        c.prepare_cached(&self.select_one())?.query_row([key], |row| self.is_right(row))
    }

    fn of(&self, row: &Row) -> rusqlite::Result<i64> {
        let mut sum = Sum::new();
        sum.add_row(row, count(self.columns))?;
        Ok(sum.value())
    }

    /// Tells whether the stored sum of a row is right.
    fn is_right(&self, row: &Row) -> rusqlite::Result<bool> {
        Ok(row.get::<_, Option<i64>>(count(self.columns))? == Some(self.of(row)?))
    }

    /// Returns the key of the first row whose sum is wrong.
    fn first_wrong(&self, c: &Connection) -> rusqlite::Result<Option<String>> {
        let mut select = c.prepare(&self.select())?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if !self.is_right(row)? {
                let key = row.get_ref(0)?;
                return Ok(Some(match key {
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    ValueRef::Integer(n) => n.to_string(),
                    _ => "without a name".into(),
                }));
            }
        }
        Ok(None)
    }
}

/// Stores the sums of all rows of a file that had none.
pub(super) fn add_all(c: &Connection) -> rusqlite::Result<()> {
    for id in ids(c, "SELECT id FROM trial")? {
        add_to_trial(c, id)?;
    }
    for id in ids(c, "SELECT id FROM measurement")? {
        add_to_measurement(c, id)?;
    }
    if !ids(c, "SELECT id FROM strategy")?.is_empty() {
        add_to_strategy(c)?;
    }
    let keys = c
        .prepare("SELECT key FROM study")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    keys.iter().try_for_each(|key| add_to_setting(c, key))
}

fn ids(c: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    c.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Says which row is damaged, if one is: its sum is wrong, or it is not where others look for it.
pub(super) fn first_damage(c: &Connection) -> rusqlite::Result<Option<String>> {
    // 64 MB: keys are looked up in indexes in the order of their tables, page after page.
    c.pragma_update(None, "cache_size", -65_536)?;
    // Before any other query: pages that point to each other could make one endless.
    let pages: String = c.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if pages != "ok" {
        return Ok(Some(pages.trim_start_matches("*** in database main ***").trim().into()));
    }
    if let Some(key) = SETTING.first_wrong(c)? {
        return Ok(Some(format!("its setting '{key}': the checksum is wrong")));
    }
    if STRATEGY.first_wrong(c)?.is_some() {
        return Ok(Some("the strategy's state: the checksum is wrong".into()));
    }
    if let Some(id) = first_wrong_trial(c)? {
        return Ok(Some(format!("trial {id}: the checksum is wrong")));
    }
    if let Some(id) = MEASUREMENT.first_wrong(c)? {
        return Ok(Some(format!("measurement {id}: the checksum is wrong")));
    }
    let counts = "SELECT state FROM trial_count AS c WHERE (trials, imported) <>
                  (SELECT count(*), count(origin) FROM trial WHERE trial.state = c.state)";
    let state: Option<String> = c.query_row(counts, [], |row| row.get(0)).optional()?;
    Ok(state.map(|state| format!("trials that are {state}: their number is wrong")))
}

/// Returns the first trial whose sum is wrong. Reads all tables once, side by side.
fn first_wrong_trial(c: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut trials = c.prepare(&format!("SELECT {TRIAL}, checksum FROM trial ORDER BY id"))?;
    let of = |columns: &str, table: &str| {
        c.prepare(&format!("SELECT {columns} FROM {table} ORDER BY trial, name"))
    };
    let (mut metrics, mut predictions) = (of(METRIC, "metric")?, of(PREDICTION, "prediction")?);
    let mut parts = [(metrics.query([])?, METRIC), (predictions.query([])?, PREDICTION)];
    for (rows, _) in &mut parts {
        rows.advance()?;
    }
    let mut rows = trials.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut sum = Sum::new();
        sum.add_row(row, count(TRIAL))?;
        let mut has_strangers = false;
        for (rows, columns) in &mut parts {
            has_strangers |= add_parts(&mut sum, rows, columns, id)?;
        }
        if has_strangers || row.get::<_, Option<i64>>(count(TRIAL))? != Some(sum.value()) {
            return Ok(Some(id));
        }
    }
    for (rows, _) in &parts {
        if let Some(row) = rows.get() {
            return row.get(0).map(Some);
        }
    }
    Ok(None)
}

/// Adds the rows of a trial; returns whether there are some of an earlier trial, which does not exist.
fn add_parts(sum: &mut Sum, rows: &mut Rows, columns: &str, id: i64) -> rusqlite::Result<bool> {
    while let Some(row) = rows.get() {
        match row.get::<_, i64>(0)?.cmp(&id) {
            Ordering::Less => return Ok(true),
            Ordering::Equal => sum.add_row(row, count(columns))?,
            Ordering::Greater => break,
        }
        rows.advance()?;
    }
    Ok(false)
}
