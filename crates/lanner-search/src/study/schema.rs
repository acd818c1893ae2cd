//! The schema of the database file: its versions, and the check that a file has one of them.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::checksum;
use crate::job::OBJECTIVES;

/// Marks the file as ours: "LNNR".
pub(super) const APPLICATION: i64 = 0x4c4e_4e52;

/// Steps from each schema version to the next; the first one makes the schema.
pub(super) const MIGRATIONS: [&str; 6] = [FIRST, MEASURED, TYPED, COUNTED, SEVERAL, SUMMED];

pub(super) const FIRST: &str = "
CREATE TABLE study (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
-- What the strategy remembers since it asked for the last round.
CREATE TABLE strategy (
    id INTEGER PRIMARY KEY CHECK (id = 1), round INTEGER NOT NULL, state BLOB NOT NULL
);
CREATE TABLE trial (
    id INTEGER PRIMARY KEY,
    round INTEGER NOT NULL,
    arch TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL
        CHECK (state IN ('asked', 'running', 'done', 'failed', 'infeasible')),
    seed INTEGER NOT NULL,
    origin TEXT,
    owner TEXT,
    heartbeat REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    asked_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    -- The first objective with a sign by which more is better.
    value REAL,
    -- The second, if there are two.
    value2 REAL,
    note TEXT
);
CREATE INDEX trial_state ON trial (state, origin);
CREATE INDEX trial_value ON trial (value DESC, id) WHERE value IS NOT NULL;
CREATE INDEX trial_value2 ON trial (value2 DESC, id) WHERE value2 IS NOT NULL;
CREATE TABLE metric (
    trial INTEGER NOT NULL REFERENCES trial (id), name TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (trial, name)
) WITHOUT ROWID;
CREATE TABLE prediction (
    trial INTEGER NOT NULL REFERENCES trial (id), name TEXT NOT NULL,
    median REAL NOT NULL, sd REAL NOT NULL,
    PRIMARY KEY (trial, name)
) WITHOUT ROWID;
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY, arch TEXT NOT NULL, metric TEXT NOT NULL, value REAL NOT NULL, se REAL,
    trial INTEGER REFERENCES trial (id), seed INTEGER NOT NULL, budget TEXT NOT NULL,
    unix_time REAL NOT NULL
);
CREATE INDEX measurement_metric ON measurement (metric);
";

/// The index for the last measurement of an architecture, which every query of the best trial needs.
const MEASURED: &str = "CREATE INDEX measurement_arch ON measurement (arch, metric)";

/// Moves the reference network's latency out of the measurements, where it had no architecture, and
/// marks comparisons by a column instead of a text.
const TYPED: &str = "
ALTER TABLE measurement ADD COLUMN comparison INTEGER NOT NULL DEFAULT 0;
UPDATE measurement SET comparison = 1 WHERE budget = 'the most FLOPs, beside the budget';
INSERT INTO study SELECT 'baseline_ms', value FROM measurement
    WHERE metric = 'reference_ms' AND arch = 'reference' ORDER BY id LIMIT 1;
DELETE FROM measurement WHERE metric = 'reference_ms' AND arch = 'reference';
";

/// Counters of trials by state, kept by triggers: every round needs them, and counting a million trials
/// would take longer than all else.
const COUNTED: &str = "
CREATE TABLE trial_count (
    state TEXT PRIMARY KEY, trials INTEGER NOT NULL, imported INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO trial_count SELECT column1, 0, 0
    FROM (VALUES ('asked'), ('running'), ('done'), ('failed'), ('infeasible'));
UPDATE trial_count SET (trials, imported) =
    (SELECT count(*), count(origin) FROM trial WHERE trial.state = trial_count.state);
CREATE TRIGGER trial_added AFTER INSERT ON trial BEGIN
    UPDATE trial_count SET trials = trials + 1, imported = imported + (NEW.origin IS NOT NULL)
        WHERE state = NEW.state;
END;
CREATE TRIGGER trial_removed AFTER DELETE ON trial BEGIN
    UPDATE trial_count SET trials = trials - 1, imported = imported - (OLD.origin IS NOT NULL)
        WHERE state = OLD.state;
END;
CREATE TRIGGER trial_moved AFTER UPDATE OF state, origin ON trial BEGIN
    UPDATE trial_count SET trials = trials - 1, imported = imported - (OLD.origin IS NOT NULL)
        WHERE state = OLD.state;
    UPDATE trial_count SET trials = trials + 1, imported = imported + (NEW.origin IS NOT NULL)
        WHERE state = NEW.state;
END;
";

/// Columns of the third and the fourth objective.
const SEVERAL: &str = "
ALTER TABLE trial ADD COLUMN value3 REAL;
ALTER TABLE trial ADD COLUMN value4 REAL;
CREATE INDEX trial_value3 ON trial (value3 DESC, id) WHERE value3 IS NOT NULL;
CREATE INDEX trial_value4 ON trial (value4 DESC, id) WHERE value4 IS NOT NULL;
";

/// Checksums of the rows, see [`checksum`]; what was stored before gets them as it is.
const SUMMED: &str = "
ALTER TABLE study ADD COLUMN checksum INTEGER;
ALTER TABLE strategy ADD COLUMN checksum INTEGER;
ALTER TABLE trial ADD COLUMN checksum INTEGER;
ALTER TABLE measurement ADD COLUMN checksum INTEGER;
";
/// The first schema version with checksums.
pub(super) const WITH_CHECKSUMS: i64 = 6;

/// Columns of a trial's objectives, in their order.
pub(super) const VALUES: [&str; OBJECTIVES] = ["value", "value2", "value3", "value4"];

/// The schema version of this program.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Runs the steps that a file has not seen.
pub(super) fn take_steps(c: &Connection, steps: &[&str]) -> rusqlite::Result<()> {
    // Another process may have migrated the file meanwhile.
    let seen: i64 = c.pragma_query_value(None, "user_version", |r| r.get(0))?;
    for (version, step) in (1..).zip(steps).skip(seen as usize) {
        c.execute_batch(step)?;
        if version == WITH_CHECKSUMS {
            checksum::add_all(c)?;
        }
    }
    c.pragma_update(None, "application_id", APPLICATION)?;
    c.pragma_update(None, "user_version", steps.len() as i64)
}

/// Says what is in a file that Lanner does not make, or what is missing. A view or a trigger of others
/// could make any query endless, or change what it reads.
pub(super) fn difference(c: &Connection, version: i64) -> rusqlite::Result<Option<String>> {
    let own = Connection::open_in_memory()?;
    take_steps(&own, &MIGRATIONS[..version.clamp(0, VERSION) as usize])?;
    let (mut expected, found) = (objects(&own)?, objects(c)?);
    for (name, (kind, sql)) in found {
        match expected.remove(&name) {
            Some(own) if own == (kind.clone(), sql) => {}
            // Statistics of `ANALYZE`, which somebody may have run.
            None if name.starts_with("sqlite_stat") => {}
            Some(_) => return Ok(Some(format!("its {kind} '{name}' is not as Lanner makes it"))),
            None => {
                return Ok(Some(format!("it has a {kind} '{name}', which Lanner does not make")));
            }
        }
    }
    Ok(expected.into_iter().next().map(|(name, (kind, _))| format!("it has no {kind} '{name}'")))
}

/// Returns kind and definition of all tables, indices, views and triggers, by name.
fn objects(c: &Connection) -> rusqlite::Result<BTreeMap<String, (String, String)>> {
    let mut select = c.prepare("SELECT name, type, coalesce(sql, '') FROM sqlite_schema")?;
    let mut rows = select.query([])?;
    let mut objects = BTreeMap::new();
    while let Some(row) = rows.next()? {
        objects.insert(row.get(0)?, (row.get(1)?, plain(&row.get::<_, String>(2)?)));
    }
    Ok(objects)
}

/// Returns SQL without comments and blanks.
fn plain(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()
}
