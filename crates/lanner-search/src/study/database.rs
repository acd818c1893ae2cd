//! The database file: opens it, keeps its schema, and explains errors of SQLite.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{APPLICATION, MIGRATIONS, VERSION, take_steps};
use super::{SearchError, schema};

/// Longest wait for another process that writes; a commit takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, and the file's path for messages.
pub(super) struct Database {
    pub path: PathBuf,
    pub connection: Connection,
}

impl Database {
    /// Makes a new file with what `fill` writes, in one transaction: a crash leaves an empty
    /// database, which counts as no file. An existing file stays as it is.
    pub fn create(
        path: &Path,
        fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Database, SearchError> {
        let exists = || SearchError::Exists { path: path.into() };
        let io = |source| SearchError::Io { path: path.into(), source };
        if Database::is_there(path) {
            return Err(exists());
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut database = Database::connect(path, flags)?;
        database.writable()?;
        let made = database.write(|c| {
            // Another process may have made the study meanwhile.
            if !is_empty(c)? {
                return Ok(false);
            }
            take_steps(c, &MIGRATIONS)?;
            fill(c)?;
            Ok(true)
        })?;
        if made { Ok(database) } else { Err(exists()) }
    }

    /// Tells whether there is a file, other than the empty one that a crash leaves.
    pub fn is_there(path: &Path) -> bool {
        path.exists()
            && !Database::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .is_ok_and(|database| database.run(is_empty).unwrap_or(false))
    }

    /// Opens a file to read and write, and migrates it to this program's schema.
    pub fn open(path: &Path) -> Result<Database, SearchError> {
        exists(path)?;
        let mut database = Database::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let version = database.version()?;
        database.writable()?;
        if version < VERSION {
            database.migrate(&MIGRATIONS)?;
        }
        Ok(database)
    }

    /// Opens a file to read, which another process may be writing.
    pub fn open_read_only(path: &Path) -> Result<Database, SearchError> {
        exists(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = Database::connect(path, flags)?;
        let version = match database.version() {
            // Where nothing can be written beside the file, there is no log to share with others:
            // the file is complete without one. SQLite cannot open its log on a disk that is
            // read-only, and calls a folder of somebody else a read-only database.
            Err(SearchError::Database { .. } | SearchError::ReadOnly { .. }) if !has_log(path) => {
                let uri = PathBuf::from(immutable(path));
                let connection =
                    Connection::open_with_flags(&uri, flags | OpenFlags::SQLITE_OPEN_URI)
                        .map_err(|e| explain(path, e))?;
                let database = Database { path: path.into(), connection };
                database.run(harden)?;
                return match database.version()? {
                    VERSION => Ok(database),
                    _ => database.up_to_date_in_memory(),
                };
            }
            other => other?,
        };
        match version {
            VERSION => Ok(database),
            _ => database.up_to_date_in_memory(),
        }
    }

    /// Copies a file with an older schema into memory, with this program's schema.
    fn up_to_date_in_memory(self) -> Result<Database, SearchError> {
        let mut copy = Connection::open_in_memory().map_err(|e| explain(&self.path, e))?;
        self.run(|c| Backup::new(c, &mut copy)?.run_to_completion(1000, Duration::ZERO, None))?;
        let mut copy = Database { path: self.path, connection: copy };
        copy.migrate(&MIGRATIONS)?;
        Ok(copy)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Database, SearchError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| explain(path, e))?;
        let database = Database { path: path.into(), connection };
        database.run(harden)?;
        Ok(database)
    }

    /// Returns the schema version of the file, and refuses a file that is no study.
    fn version(&self) -> Result<i64, SearchError> {
        let no = |why: &str| SearchError::NoStudy { path: self.path.clone(), why: why.into() };
        let pragma = |name| self.run(|c| c.pragma_query_value(None, name, |r| r.get::<_, i64>(0)));
        let application = pragma("application_id")?;
        let version = pragma("user_version")?;
        match (application, version) {
            (APPLICATION, 1..=VERSION) => match self.run(|c| schema::difference(c, version))? {
                None => Ok(version),
                Some(what) => Err(no(&format!(
                    "not a study as Lanner makes it: {what}; `lanner study rescue` makes one of \
                         what is sound in it"
                ))),
            },
            (APPLICATION, found) if found > VERSION => {
                Err(SearchError::Newer { path: self.path.clone(), found, known: VERSION })
            }
            (0, 0) if self.run(is_empty)? => {
                Err(no("this database is empty and not a study; delete it and start anew"))
            }
            _ => Err(no("this database belongs to another program and is not a study of Lanner")),
        }
    }

    fn writable(&mut self) -> Result<(), SearchError> {
        self.run(|c| {
            // A commit is on disk before it counts.
            c.pragma_update(None, "journal_mode", "wal")?;
            c.pragma_update(None, "synchronous", "full")?;
            c.pragma_update(None, "foreign_keys", true)
        })
    }

    /// Runs the migration steps that the file has not seen, in one transaction: all or none.
    fn migrate(&mut self, steps: &[&str]) -> Result<(), SearchError> {
        self.write(|c| take_steps(c, steps))
    }

    /// Reads from one moment's state.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SearchError> {
        self.run(|c| {
            let transaction = c.unchecked_transaction()?;
            work(&transaction)
        })
    }

    /// Writes in one transaction, which is on disk when this returns, and leaves no trace if it fails.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SearchError> {
        let path = self.path.clone();
        let run = || {
            let transaction = self
                .connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|e| explain(&path, e))
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SearchError> {
        work(&self.connection).map_err(|e| explain(&self.path, e))
    }
}

/// Makes a connection wait for others, and refuse what only a crafted file asks for.
fn harden(c: &Connection) -> rusqlite::Result<()> {
    c.busy_timeout(PATIENCE)?;
    c.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    c.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    c.pragma_update(None, "cell_size_check", true)
}

/// Removes the files of a database that is closed.
pub(super) fn remove(path: &Path) -> Result<(), SearchError> {
    for end in ["", "-wal", "-shm"] {
        let mut file = path.to_path_buf().into_os_string();
        file.push(end);
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(SearchError::Io { path: file.into(), source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a path where there is no file.
pub(super) fn exists(path: &Path) -> Result<(), SearchError> {
    match path.try_exists() {
        // To open a pipe would wait for its writer.
        Ok(true) if !path.is_file() => Err(SearchError::NoStudy {
            path: path.into(),
            why: "not a file, so not a study".into(),
        }),
        Ok(true) => Ok(()),
        Ok(false) => Err(SearchError::Missing { path: path.into() }),
        Err(source) => Err(SearchError::Io { path: path.into(), source }),
    }
}

/// Tells whether there is a write-ahead log that is not empty.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|m| m.len() > 0)
}

/// Makes the URI that tells SQLite that nobody changes the file.
fn immutable(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1")
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| Ok(r.get::<_, i64>(0)? == 0))
}

/// Converts an error of SQLite into one that says what it means.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> SearchError {
    let path = path.to_path_buf();
    let why = error.to_string();
    if let rusqlite::Error::FromSqlConversionFailure(_, _, source) = &error {
        return SearchError::Damaged { path, why: source.to_string() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            SearchError::NoStudy { path, why: "this file is not a database, so not a study".into() }
        }
        Some(ErrorCode::DatabaseCorrupt) => SearchError::Damaged { path, why },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            SearchError::ReadOnly { path, why }
        }
        Some(ErrorCode::DiskFull) => SearchError::Full { path },
        _ => SearchError::Database { path, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::FIRST;
    use super::*;

    fn count(database: &Database, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        database.connection.query_row(&sql, [], |r| r.get(0)).unwrap()
    }

    const TRIAL: &str = "INSERT INTO trial (round, arch, state, seed, asked_at)
                         VALUES (1, hex(randomblob(500)), 'done', 3, 0)";

    #[test]
    fn what_a_crash_leaves_of_a_new_file_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.db");
        for left in ["a file", "a log"] {
            std::fs::write(&path, "").unwrap();
            if left == "a log" {
                let connection = Connection::open(&path).unwrap();
                connection.pragma_update(None, "journal_mode", "wal").unwrap();
            }
            let fails = |c: &Connection| {
                c.execute("INSERT INTO study (key, value) VALUES ('settings', 1)", [])?;
                Err(rusqlite::Error::InvalidQuery)
            };
            assert!(!Database::is_there(&path), "{left}");
            assert!(Database::create(&path, fails).is_err());
            assert!(!Database::is_there(&path), "{left}");
            let database = Database::create(&path, |_| Ok(())).unwrap();
            assert_eq!(count(&database, "study"), 0);
            assert!(Database::is_there(&path));
            let again = Database::create(&path, |_| Ok(()));
            assert!(matches!(again, Err(SearchError::Exists { .. })));
            drop(database);
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::write(&path, "another's").unwrap();
        assert!(Database::is_there(&path));
    }

    /// Migrates to a made-up next version: the data stays, and a step that fails leaves no trace.
    #[test]
    fn migrations_keep_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.db");
        let mut database = Database::create(&path, |_| Ok(())).unwrap();
        database.connection.execute(TRIAL, []).unwrap();
        let next = "ALTER TABLE trial ADD COLUMN energy REAL; CREATE TABLE device (name TEXT);";
        let more = [next, "CREATE TABLE device (name TEXT);"];
        let broken = [&MIGRATIONS[..], &more].concat();
        let next = MIGRATIONS.len() + 1;
        assert!(database.migrate(&broken).is_err());
        assert_eq!(database.version().unwrap(), VERSION);
        assert!(database.connection.prepare("SELECT energy FROM trial").is_err());
        database.migrate(&broken[..next]).unwrap();
        assert_eq!((count(&database, "trial"), count(&database, "device")), (1, 0));
        assert!(database.connection.prepare("SELECT energy FROM trial").is_ok());
        // On a second run there is nothing left to do.
        database.migrate(&broken[..next]).unwrap();
        assert!(matches!(
            database.version(),
            Err(SearchError::Newer { found, known: VERSION, .. }) if found == next as i64
        ));
    }

    #[test]
    fn trials_are_counted_whatever_becomes_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut database = Database::connect(&folder.path().join("study.db"), flags).unwrap();
        let right = |database: &Database| {
            let wrong = "SELECT count(*) FROM trial_count AS c WHERE (trials, imported) <>
                 (SELECT count(*), count(origin) FROM trial WHERE trial.state = c.state)";
            let sql = format!("SELECT sum(trials), ({wrong}) FROM trial_count");
            let all = |r: &rusqlite::Row| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?));
            database.connection.query_row(&sql, [], all).unwrap()
        };
        database.migrate(&[FIRST]).unwrap();
        (0..3).for_each(|_| assert_eq!(database.connection.execute(TRIAL, []).unwrap(), 1));
        database.migrate(&MIGRATIONS).unwrap();
        assert_eq!(right(&database), (3, 0));
        for (sql, left) in [
            ("UPDATE trial SET origin = 'elsewhere' WHERE id = 1", 3),
            ("UPDATE trial SET state = 'failed' WHERE id < 3", 3),
            (TRIAL, 4),
            ("INSERT OR IGNORE INTO trial SELECT * FROM trial", 4),
            ("DELETE FROM trial WHERE id = 1", 3),
        ] {
            database.connection.execute(sql, []).unwrap();
            assert_eq!(right(&database), (left, 0), "{sql}");
        }
    }

    #[test]
    fn a_full_disk_and_a_file_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.db");
        let mut database = Database::create(&path, |_| Ok(())).unwrap();
        database.write(|c| c.execute(TRIAL, [])).unwrap();
        database.connection.pragma_update(None, "max_page_count", 1).unwrap();
        let fill = database.write(|c| (0..500).try_for_each(|_| c.execute(TRIAL, []).map(|_| ())));
        assert!(matches!(fill, Err(SearchError::Full { .. })), "{fill:?}");
        // The failed transaction left nothing.
        assert_eq!(count(&database, "trial"), 1);
        drop(database);
        let mut reader = Database::open_read_only(&path).unwrap();
        let error = reader.write(|c| c.execute(TRIAL, [])).unwrap_err();
        assert!(matches!(error, SearchError::ReadOnly { .. }));
        assert!(error.to_string().contains("study.db"));
        drop(reader);
        let connection = Connection::open_with_flags(
            PathBuf::from(immutable(&path)),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        );
        let database = Database { path, connection: connection.unwrap() };
        assert_eq!(count(&database, "trial"), 1);
    }
}
