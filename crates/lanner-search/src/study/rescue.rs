//! Saves the sound rows of a damaged study: into a new study or, without its settings, as tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lanner_space::Space;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::database::Database;
use super::schema::VALUES;
use super::{SearchError, Study, checksum, file, read};
use crate::Job;

/// Result of [`Study::rescue`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rescued {
    /// The new study; `None` where the old one's settings are lost. The rows are then in the folder's
    /// `trials.csv` and `measurements.csv`.
    pub study: Option<PathBuf>,
    pub trials: usize,
    pub measurements: usize,
    /// Numbers of the trials that are damaged.
    pub lost_trials: Vec<i64>,
    pub lost_measurements: Vec<i64>,
    /// Names of the damaged settings. Without `settings` and `architectures` there is no new study.
    pub lost_settings: Vec<String>,
}

/// Keys of the table `study`. Without the first two, nobody can go on with a study.
const KEYS: [&str; 10] = [
    "settings",
    "architectures",
    "created_unix_time",
    "lanner",
    "earlier",
    "baseline_ms",
    "repeated",
    "inputs",
    "device",
    "comparison",
];
const NEEDED: usize = 2;

const TRIAL: [&str; 16] = [
    "id",
    "round",
    "arch",
    "state",
    "seed",
    "origin",
    "owner",
    "attempts",
    "asked_at",
    "started_at",
    "finished_at",
    VALUES[0],
    VALUES[1],
    VALUES[2],
    VALUES[3],
    "note",
];
const MEASUREMENT: [&str; 10] =
    ["id", "arch", "metric", "value", "se", "trial", "seed", "budget", "comparison", "unix_time"];

/// Numbers that are tried one by one behind the last row that can be reached, where nothing tells how many
/// there are.
const BEYOND: i64 = 10_000;
/// Largest number of rows that are looked for.
const MOST: i64 = 20_000_000;

impl Study {
    /// Saves what is sound in the study at `from`, which stays as it is, to the folder `to`. A row is sound
    /// if it can be read and its checksum is right; rows of a schema before 6 have none.
    ///
    /// # Errors
    /// There is no database at `from`, nothing in it is sound, something is at `to` already, or it cannot
    /// be written.
    pub fn rescue(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Rescued, SearchError> {
        let (from, to) = (file(from.as_ref(), false), file(to.as_ref(), true));
        if to.exists() {
            return Err(SearchError::Exists { path: to });
        }
        let damaged = Damaged::open(&from)?;
        let mut rescued = Rescued::default();
        let made = Database::create(&to, |c| damaged.copy(c, &mut rescued))?;
        if rescued.lost_settings.iter().any(|key| KEYS[..NEEDED].contains(&key.as_str())) {
            if rescued.trials == 0 && rescued.measurements == 0 {
                drop(made);
                super::database::remove(&to)?;
                // Only a folder that holds nothing else goes with it.
                let _ = to.parent().map(std::fs::remove_dir);
                let why = "no settings, no trial and no measurement of a study can be read in it; nothing \
                           was written";
                return Err(SearchError::NoStudy { path: from, why: why.into() });
            }
            let folder = to.parent().unwrap_or(Path::new(".")).to_path_buf();
            let tables = [("trials.csv", TRIALS), ("measurements.csv", MEASUREMENTS)];
            for (name, sql) in tables {
                let text = made.read(|c| csv(c, sql))?;
                lanner_data::write_file(folder.join(name), text.as_bytes())?;
            }
            drop(made);
            super::database::remove(&to)?;
            return Ok(rescued);
        }
        drop(made);
        rescued.study = Some(to.clone());
        // What was read must be a study.
        Study::open(&to)?;
        Ok(rescued)
    }
}

/// A database of which any part may be unreadable.
struct Damaged {
    connection: Connection,
    /// Whether rows have checksums.
    is_summed: bool,
    /// Whether measurements tell those of comparisons.
    has_comparisons: bool,
    /// Whether trials have a third and a fourth value.
    has_four_values: bool,
}

impl Damaged {
    fn open(path: &Path) -> Result<Damaged, SearchError> {
        super::database::exists(path)?;
        let explain = |e| super::database::explain(path, e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(explain)?;
        let prepare = || {
            // Else SQLite refuses a file that is shorter than its header says.
            connection.pragma_update(None, "writable_schema", true)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        };
        prepare().map_err(explain)?;
        let is_view = "SELECT name FROM sqlite_schema WHERE type <> 'table' AND name IN
                       ('study', 'strategy', 'trial', 'metric', 'prediction', 'measurement')";
        let view = connection.query_row(is_view, [], |row| row.get::<_, String>(0)).optional();
        if let Some(name) = view.map_err(explain)? {
            let why = format!("not a study: '{name}' in it is no table");
            return Err(SearchError::NoStudy { path: path.into(), why });
        }
        let is_summed = has_column(&connection, "trial", "checksum");
        let has_comparisons = has_column(&connection, "measurement", "comparison");
        let has_four_values = has_column(&connection, "trial", VALUES[3]);
        Ok(Damaged { connection, is_summed, has_comparisons, has_four_values })
    }

    /// Copies the sound rows into a new database.
    fn copy(&self, to: &Connection, rescued: &mut Rescued) -> rusqlite::Result<()> {
        for key in KEYS {
            match self.row("study", &["key", "value"], "key", key) {
                Ok(Some(row)) if self.is_sound(|c| checksum::setting_is_right(c, key)) => {
                    insert(to, "study", &["key", "value"], &row)?;
                    checksum::add_to_setting(to, key)?;
                }
                Ok(None) => {}
                _ => rescued.lost_settings.push(key.into()),
            }
        }
        // Every study has settings.
        if !to.prepare("SELECT 1 FROM study WHERE key = 'settings'")?.exists([])? {
            rescued.lost_settings.push("settings".into());
            rescued.lost_settings.dedup();
        }
        let space = space(to);
        let is_arch = |value: &Value| match (value, &space) {
            (Value::Text(text), Some(space)) => space.parse(text).is_ok(),
            (Value::Text(_), None) => true,
            _ => false,
        };
        let (ids, last) = self.ids("trial");
        for id in ids {
            let copied = self.copy_trial(to, id, &is_arch);
            let reads = |space| read::trial(to, space, id).is_ok();
            match copied {
                Ok(Some(true)) if !space.as_ref().is_none_or(reads) => {
                    for table in ["metric", "prediction"] {
                        to.execute(&format!("DELETE FROM {table} WHERE trial = ?"), [id])?;
                    }
                    to.execute("DELETE FROM trial WHERE id = ?", [id])?;
                    rescued.lost_trials.push(id);
                }
                Ok(Some(true)) => rescued.trials += 1,
                Ok(None) => {}
                Err(_) if id > last => {}
                _ => rescued.lost_trials.push(id),
            }
        }
        let (ids, last) = self.ids("measurement");
        for id in ids {
            let row = self.row("measurement", &MEASUREMENT, "id", id);
            let Ok(Some(mut row)) = row else {
                if row.is_err() && id <= last {
                    rescued.lost_measurements.push(id);
                }
                continue;
            };
            // Before schema 3, the reference network was among the measurements.
            if row[1] == Value::Text("reference".into()) {
                continue;
            }
            let known = to.prepare_cached("SELECT 1 FROM trial WHERE id = ?")?.exists([&row[5]])?;
            if !known {
                row[5] = Value::Null;
            }
            let sound =
                is_arch(&row[1]) && self.is_sound(|c| checksum::measurement_is_right(c, id));
            let saved = sound && insert(to, "measurement", &MEASUREMENT, &row).is_ok();
            // Without checksums, a cell may be of another type.
            let reads = |space| read::measurement_of_id(to, space, id).is_ok();
            if saved && !space.as_ref().is_none_or(reads) {
                to.execute("DELETE FROM measurement WHERE id = ?", [id])?;
                rescued.lost_measurements.push(id);
            } else if saved {
                checksum::add_to_measurement(to, id)?;
                rescued.measurements += 1;
            } else {
                rescued.lost_measurements.push(id);
            }
        }
        let columns = ["id", "round", "state"];
        if let Ok(Some(row)) = self.row("strategy", &columns, "id", 1)
            && self.is_sound(checksum::strategy_is_right)
            && insert(to, "strategy", &columns, &row).is_ok()
        {
            checksum::add_to_strategy(to)?;
        }
        Ok(())
    }

    /// Copies a trial with its metrics and predictions; false if it is damaged, `None` if there is none.
    fn copy_trial(
        &self,
        to: &Connection,
        id: i64,
        is_arch: &dyn Fn(&Value) -> bool,
    ) -> rusqlite::Result<Option<bool>> {
        let Some(mut row) = self.row("trial", &TRIAL, "id", id)? else { return Ok(None) };
        if !is_arch(&row[2]) || !self.is_sound(|c| checksum::trial_is_right(c, id)) {
            return Ok(Some(false));
        }
        // Nobody runs it in the new study.
        if row[3] == Value::Text("running".into()) {
            row[3] = Value::Text("asked".into());
            row[6] = Value::Null;
        }
        let parts = [
            ("metric", &["trial", "name", "value"][..]),
            ("prediction", &["trial", "name", "median", "sd"]),
        ];
        let read = |(table, columns)| Ok((table, columns, self.rows(table, columns, id)?));
        let parts = parts.map(read).into_iter().collect::<rusqlite::Result<Vec<_>>>()?;
        if insert(to, "trial", &TRIAL, &row).is_err() {
            return Ok(Some(false));
        }
        for (table, columns, rows) in parts {
            rows.iter().try_for_each(|row| insert(to, table, columns, row))?;
        }
        checksum::add_to_trial(to, id)?;
        Ok(Some(true))
    }

    fn is_sound(&self, check: impl Fn(&Connection) -> rusqlite::Result<bool>) -> bool {
        !self.is_summed || check(&self.connection).unwrap_or(false)
    }

    /// Reads the row of a key. Columns that the file's schema does not have yet are their defaults.
    fn row(
        &self,
        table: &str,
        columns: &[&str],
        key: &str,
        value: impl rusqlite::ToSql,
    ) -> rusqlite::Result<Option<Vec<Value>>> {
        let known = |column: &&str| match *column {
            "comparison" if !self.has_comparisons => "0".to_string(),
            column if VALUES[2..].contains(&column) && !self.has_four_values => "NULL".into(),
            column => column.into(),
        };
        let list = columns.iter().map(known).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {list} FROM {table} WHERE {key} = ?");
        self.connection
            .prepare_cached(&sql)?
            .query_row([value], |row| values(row, columns.len()))
            .optional()
    }

    fn rows(&self, table: &str, columns: &[&str], trial: i64) -> rusqlite::Result<Vec<Vec<Value>>> {
        let sql = format!("SELECT {} FROM {table} WHERE trial = ?", columns.join(", "));
        let mut select = self.connection.prepare_cached(&sql)?;
        select.query_map([trial], |row| values(row, columns.len()))?.collect()
    }

    /// Returns the numbers of rows of a table that may be there: those that a walk from either end
    /// reaches, and all between, since a walk ends at the first damaged page. The second number is the
    /// last one that was there for certain.
    fn ids(&self, table: &str) -> (BTreeSet<i64>, i64) {
        let (up, is_whole) = self.walk(table, "ASC");
        let (down, _) = if is_whole { Default::default() } else { self.walk(table, "DESC") };
        let counted = match table {
            "trial" if !is_whole => self.number("SELECT sum(trials) FROM trial_count"),
            _ => 0,
        };
        let last = [up.last(), down.last(), Some(&counted)].into_iter().flatten().max();
        let last = last.copied().unwrap_or(0).min(MOST);
        if is_whole {
            return (up, last);
        }
        let first = up.last().map_or(1, |last| last + 1);
        let end = match down.first() {
            Some(first_of_end) => *first_of_end,
            None if counted > 0 => counted + 1,
            None => first.saturating_add(BEYOND),
        };
        let between = first..end.min(first.saturating_add(MOST));
        (up.into_iter().chain(between).chain(down).collect(), last)
    }

    /// Returns a number, 0 where it cannot be read.
    fn number(&self, sql: &str) -> i64 {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
    }

    /// Returns the numbers of rows up to the first that cannot be read, and whether all can.
    fn walk(&self, table: &str, order: &str) -> (BTreeSet<i64>, bool) {
        let mut ids = BTreeSet::new();
        let mut walk = || -> rusqlite::Result<()> {
            let sql = format!("SELECT id FROM {table} ORDER BY id {order}");
            let mut select = self.connection.prepare(&sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                // A number that comes again is of pages that point to each other.
                if !ids.insert(row.get(0)?) || ids.len() as i64 > MOST {
                    return Err(rusqlite::Error::InvalidQuery);
                }
            }
            Ok(())
        };
        let is_whole = walk().is_ok();
        (ids, is_whole)
    }
}

/// Returns the search space by the settings, if they were saved.
fn space(c: &Connection) -> Option<Space> {
    let sql = "SELECT value FROM study WHERE key = 'settings'";
    let text: String = c.query_row(sql, [], |row| row.get(0)).ok()?;
    serde_json::from_str::<Job>(&text).ok()?.space().ok()
}

fn has_column(c: &Connection, table: &str, column: &str) -> bool {
    let sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?";
    c.prepare_cached(sql).and_then(|mut select| select.exists([table, column])).unwrap_or(false)
}

fn values(row: &rusqlite::Row, columns: usize) -> rusqlite::Result<Vec<Value>> {
    (0..columns).map(|column| row.get(column)).collect()
}

fn insert(c: &Connection, table: &str, columns: &[&str], row: &[Value]) -> rusqlite::Result<()> {
    let places = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(", "));
    c.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(row)).map(|_| ())
}

/// One row a metric of a trial: without the settings, the objectives are not known.
const TRIALS: &str = "SELECT trial.id AS trial, arch, state, seed, name AS metric, metric.value, note
                      FROM trial LEFT JOIN metric ON metric.trial = trial.id ORDER BY trial.id, name";
const MEASUREMENTS: &str = "SELECT arch, metric, value, se, trial, seed, budget, unix_time
                            FROM measurement ORDER BY id";

fn csv(c: &Connection, sql: &str) -> rusqlite::Result<String> {
    let mut select = c.prepare(sql)?;
    let count = select.column_count();
    let mut text = select.column_names().collect::<Vec<_>>().join(",") + "\n";
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let cells = values(row, count)?.into_iter().map(|value| match value {
            Value::Null | Value::Blob(_) => String::new(),
            Value::Integer(n) => n.to_string(),
            Value::Real(x) => x.to_string(),
            Value::Text(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        });
        text += &(cells.collect::<Vec<_>>().join(",") + "\n");
    }
    Ok(text)
}
