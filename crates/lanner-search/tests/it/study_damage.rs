//! Damaged and crafted files of studies: what is wrong is noticed, and what is sound is saved.

use std::path::Path;

use crate::common::{accuracy, go_on, job, some_archs, text};
use lanner_search::study::{Measurement, Outcome, Study, Trial};
use lanner_search::{Limit, SearchError, StrategyName};
use rand::RngExt;

/// A study with trials that are done, failed and pending, measurements and a list of architectures.
fn example(path: &Path) -> Vec<Trial> {
    let mut settings = job(StrategyName::Random, 60);
    settings.limits = vec![Limit::at_most("latency_ms", 9.0)];
    let mut study = Study::create_of(path, &settings, &some_archs()).unwrap();
    for trial in study.ask(40).unwrap() {
        let measured = Measurement {
            se: Some(0.01),
            trial: Some(trial.id),
            ..Measurement::new(&trial.arch, "latency_ms", trial.id as f64 / 10.0)
        };
        study.measured(&measured).unwrap();
        let metrics = [("accuracy".to_string(), accuracy(&text(&trial.arch)))].into();
        match trial.id % 10 {
            0 => study.tell(trial.id, Outcome::Failed { why: "no memory".into() }).map(drop),
            1 => Ok(()),
            _ => study.tell(trial.id, Outcome::Done { metrics }).map(drop),
        }
        .unwrap();
    }
    study.trials().unwrap()
}

fn execute(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

/// Makes a file of the schema before checksums.
fn to_version_5(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    for table in ["study", "strategy", "trial", "measurement"] {
        connection.execute(&format!("ALTER TABLE {table} DROP COLUMN checksum"), []).unwrap();
    }
    connection.pragma_update(None, "user_version", 5).unwrap();
}

#[test]
fn another_valid_value_is_noticed_and_its_row_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    example(&path);
    let whole = std::fs::read(&path).unwrap();
    let other = text(&some_archs()[0]);
    for (sql, row) in [
        (format!("UPDATE trial SET arch = '{other}' WHERE id = 3"), "trial 3"),
        ("UPDATE trial SET state = 'failed' WHERE id = 4".into(), "trial 4"),
        ("UPDATE trial SET value = value + 1 WHERE id = 5".into(), "trial 5"),
        ("UPDATE trial SET seed = seed + 1 WHERE id = 40".into(), "trial 40"),
        ("UPDATE metric SET value = 99 WHERE trial = 6".into(), "trial 6"),
        ("UPDATE metric SET trial = 1 WHERE trial = 7".into(), "trial 1"),
        ("DELETE FROM metric WHERE trial = 8".into(), "trial 8"),
        ("UPDATE measurement SET value = 1 WHERE id = 9".into(), "measurement 9"),
        ("DELETE FROM strategy".into(), ""),
        ("UPDATE strategy SET round = 7".into(), "strategy"),
        ("UPDATE study SET value = 5 WHERE key = 'lanner'".into(), "'lanner'"),
        ("UPDATE trial_count SET trials = trials + 1 WHERE state = 'done'".into(), "are done"),
    ] {
        std::fs::write(&path, &whole).unwrap();
        execute(&path, &sql);
        // A strategy without a state begins anew.
        let expected_damage = !row.is_empty();
        for opened in [Study::open(&path), Study::open_read_only(&path)] {
            match opened.err() {
                Some(error @ SearchError::Damaged { .. }) if expected_damage => {
                    let message = error.to_string();
                    assert!(message.contains(row) && message.contains("rescue"), "{message}");
                }
                None if !expected_damage => {}
                other => panic!("{sql}: {other:?}"),
            }
        }
    }
    // Signs of life and owners change without a result.
    std::fs::write(&path, &whole).unwrap();
    execute(&path, "UPDATE trial SET heartbeat = 1, owner = 'x', attempts = 2 WHERE id = 1");
    assert!(Study::open(&path).is_ok());
}

#[test]
fn flipped_bits_are_refused_or_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    let trials = example(&path);
    let whole = std::fs::read(&path).unwrap();
    let mut rng = lanner_nn::rng(3, "damage");
    let (mut refused, mut rescued) = (0, 0);
    for case in 0..150 {
        let mut bytes = whole.clone();
        match case % 5 {
            0 => bytes.truncate(rng.random_range(0..bytes.len())),
            1 => {
                let page = rng.random_range(0..bytes.len() / 4096);
                bytes[page * 4096..(page + 1) * 4096].fill(0);
            }
            n => (0..1 << (2 * n)).for_each(|_| {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }),
        }
        std::fs::write(&path, &bytes).unwrap();
        match Study::open_read_only(&path) {
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("study.db"), "{error}");
            }
            Ok(study) => assert_eq!(study.trials().unwrap(), trials, "case {case}"),
        }
        // What is saved is as it was.
        let saved = folder.path().join(format!("saved{case}"));
        let Ok(found) = Study::rescue(&path, &saved) else { continue };
        let Some(study) = &found.study else { continue };
        rescued += 1;
        let study = Study::open(study).unwrap();
        for trial in study.trials().unwrap() {
            assert_eq!(trial, trials[trial.id as usize - 1], "case {case}");
        }
        for m in study.measurements().unwrap() {
            let id = (m.value * 10.0).round() as usize;
            assert_eq!(m.arch, trials[id - 1].arch, "case {case}");
        }
    }
    assert!(refused > 100 && rescued > 20, "{refused} {rescued}");
}

#[test]
fn a_rescued_study_goes_on_and_says_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, saved) = (folder.path().join("study.db"), folder.path().join("saved"));
    let trials = example(&path);
    execute(&path, "UPDATE trial SET value = 1 WHERE id IN (12, 13)");
    execute(&path, "UPDATE measurement SET se = 1 WHERE id = 20");
    let found = Study::rescue(&path, &saved).unwrap();
    assert_eq!((found.trials, found.lost_trials), (38, vec![12, 13]));
    assert_eq!((found.measurements, found.lost_measurements), (39, vec![20]));
    assert_eq!((found.lost_settings.len(), found.study), (0, Some(saved.join("study.db"))));
    let again = Study::rescue(&path, &saved);
    assert!(matches!(again, Err(SearchError::Exists { .. })));
    let mut study = Study::open(&saved).unwrap();
    // A measurement of a lost trial is one of its network.
    assert_eq!(study.measurements().unwrap()[11].trial, None);
    assert_eq!(study.trial(14).unwrap(), trials[13]);
    go_on(&mut study);
    let counts = study.counts().unwrap();
    assert_eq!(counts.done + counts.failed, 60);

    // Without settings, tables are saved.
    execute(&path, "UPDATE study SET value = '{}' WHERE key = 'settings'");
    let tables = folder.path().join("tables");
    let found = Study::rescue(&path, &tables).unwrap();
    assert_eq!((found.study, found.lost_settings), (None, vec!["settings".to_string()]));
    let read = |name: &str| std::fs::read_to_string(tables.join(name)).unwrap();
    let rows = read("trials.csv");
    assert!(rows.starts_with("trial,arch,state,seed,metric,value,note\n"), "{rows:.200}");
    assert_eq!((rows.lines().count(), read("measurements.csv").lines().count()), (39, 40));
    assert_eq!(std::fs::read_dir(&tables).unwrap().count(), 2);
}

#[test]
fn a_study_without_checksums_gets_them_or_is_rescued() {
    let folder = tempfile::tempdir().unwrap();
    let (path, saved) = (folder.path().join("study.db"), folder.path().join("saved"));
    let trials = example(&path);
    to_version_5(&path);
    let old = std::fs::read(&path).unwrap();
    assert_eq!(Study::open_read_only(&path).unwrap().trials().unwrap(), trials);
    assert_eq!(std::fs::read(&path).unwrap(), old, "looking changes nothing");
    assert_eq!(Study::open(&path).unwrap().trials().unwrap(), trials);
    execute(&path, "UPDATE trial SET value = 1 WHERE id = 3");
    assert!(matches!(Study::open(&path), Err(SearchError::Damaged { .. })));
    // Nothing tells whether the rows of an old file are right, but texts that mean nothing are lost.
    std::fs::write(&path, &old).unwrap();
    execute(&path, "UPDATE trial SET arch = '|nor_conv_9x9~0|' WHERE id = 5");
    let found = Study::rescue(&path, &saved).unwrap();
    assert_eq!((found.trials, found.lost_trials), (39, vec![5]));
}

#[test]
fn what_lanner_does_not_make_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    example(&path);
    let whole = std::fs::read(&path).unwrap();
    // An endless view in place of a table, a trigger, and a table without a constraint.
    let endless = "ALTER TABLE trial RENAME TO hidden;
         CREATE VIEW trial AS WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
         SELECT id, 1 AS round, 'x' AS arch, 'done' AS state FROM n";
    let trigger = "CREATE TRIGGER mine AFTER INSERT ON metric BEGIN DELETE FROM trial; END";
    let column = "ALTER TABLE trial ADD COLUMN mine TEXT";
    for (sql, words) in
        [(endless, "'hidden'"), (trigger, "trigger 'mine'"), (column, "table 'trial'")]
    {
        std::fs::write(&path, &whole).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        for opened in [Study::open(&path), Study::open_read_only(&path)] {
            let error = opened.err().unwrap();
            assert!(matches!(error, SearchError::NoStudy { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        // A view is not even read to rescue it.
        let saved = folder.path().join(words);
        assert_eq!(Study::rescue(&path, &saved).is_ok(), sql != endless);
    }
    // Statistics of SQLite itself are no harm.
    std::fs::write(&path, &whole).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("ANALYZE").unwrap();
    assert!(Study::open(&path).is_ok());
}

#[test]
fn nothing_is_written_of_a_database_without_a_study() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE songs (name); INSERT INTO songs VALUES ('a')").unwrap();
    drop(foreign);
    let saved = folder.path().join("saved");
    let message = Study::rescue(&path, &saved).unwrap_err().to_string();
    assert!(message.contains("study.db: no settings, no trial and no measurement"), "{message}");
    assert!(!saved.exists());
}
