//! Files of studies: files of others, damaged ones, wrong settings, and large ones.

use crate::common::{go_on, job};
use lanner_search::study::Study;
use lanner_search::{Job, Limit, SearchError, StrategyName};

#[test]
fn files_that_are_no_study_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    let error = |what: &str| {
        let error = Study::open(&path).err().unwrap_or_else(|| panic!("{what}"));
        let text = error.to_string();
        assert!(text.contains("study.db"), "{what}: {text}");
        assert!(Study::open_read_only(&path).is_err(), "{what}");
        error
    };
    assert!(matches!(error("none"), SearchError::Missing { .. }));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(error("an empty file"), SearchError::NoStudy { .. }));
    std::fs::write(&path, "arch,accuracy\n".repeat(1000)).unwrap();
    assert!(matches!(error("a table"), SearchError::NoStudy { .. }));
    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(error("another database"), SearchError::NoStudy { .. }));
    std::fs::remove_file(&path).unwrap();

    let mut study = Study::create(&path, &job(StrategyName::Random, 300)).unwrap();
    assert!(matches!(
        Study::create(folder.path(), &job(StrategyName::Random, 3)),
        Err(SearchError::Exists { .. })
    ));
    go_on(&mut study);
    drop(study);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    assert!(matches!(error("a truncated file"), SearchError::Damaged { .. }));
    let mut garbled = whole.clone();
    garbled[4096..].iter_mut().for_each(|b| *b ^= 0x5a);
    std::fs::write(&path, &garbled).unwrap();
    assert!(matches!(error("a garbled file"), SearchError::Damaged { .. }));
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(Study::open(&path).unwrap().counts().unwrap().done, 300);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newer = error("a newer one");
    assert!(
        matches!(newer, SearchError::Newer { found: 99, .. })
            && newer.to_string().contains("update")
    );
}

#[test]
fn wrong_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut Job), word: &str| {
        let mut job = job(StrategyName::Default, 5);
        change(&mut job);
        let error = Study::create(folder.path().join("x"), &job).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
        assert!(!folder.path().join("x").exists());
    };
    let unknown = "best".parse::<StrategyName>().unwrap_err();
    assert!(unknown.contains("no strategy 'best'") && unknown.contains("brp-nas"), "{unknown}");
    refused(|s| s.space = "nasbench999".into(), "nasbench999");
    refused(|s| s.objectives.clear(), "0 objectives");
    refused(|s| s.objectives.push(s.objectives[0].clone()), "two objectives");
    refused(|s| s.limits.push(Limit::at_most("x", f64::NAN)), "NaN");
    refused(
        |s| s.limits.extend([Limit::at_most("x", 5.0), Limit::at_most("x", 6.0)]),
        "x <= 5 and x <= 6: give one",
    );
    refused(
        |s| s.limits.extend([Limit::at_least("x", 6.0), Limit::at_most("x", 5.0)]),
        "no value keeps both",
    );
}
