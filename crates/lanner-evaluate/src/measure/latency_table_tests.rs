use std::fs;

use super::*;
use proptest::prelude::*;

const SPACE: Space = Space::NasBench201;

fn header() -> Header {
    let pair = |k: &str, v: &str| (k.to_string(), v.to_string());
    Header {
        settings: vec![pair("space", "nasbench201"), pair("runtime", "a clock 1.0")],
        facts: vec![pair("os", "none"), pair("reference_ms", "2.5")],
    }
}

fn row(index: u128, latency_ms: Option<f64>) -> LatencyRow {
    let note = if latency_ms.is_none() { "lacks \"Conv\", says it".into() } else { String::new() };
    LatencyRow {
        arch: SPACE.at(index).unwrap(),
        latency_ms,
        error_ms: 0.01,
        runs: 25,
        drift: 1.02,
        unix_time: 1_700_000_000,
        note,
    }
}

fn open(path: &Path) -> Result<(LatencyTable, Vec<LatencyRow>, Header), EvaluateError> {
    LatencyTable::open(path, &SPACE, &header())
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let (mut log, rows, _) = open(&path).unwrap();
    assert!(rows.is_empty());
    log.write(&[row(0, Some(1.25)), row(7, None)]).unwrap();
    log.write(&[row(9, Some(0.012345)), row(11, Some(1.5e-9))]).unwrap();
    drop(log);
    let (log, rows, found) = open(&path).unwrap();
    assert_eq!(found.value("reference_ms"), Some("2.5"));
    let seen: Vec<_> = rows.iter().map(|r| (SPACE.index_of(&r.arch), r.latency_ms)).collect();
    let expected = [(0, Some(1.25)), (7, None), (9, Some(0.012345)), (11, Some(1.5e-9))];
    assert_eq!(seen, expected.map(|(index, ms)| (Some(index), ms)));
    assert_eq!(rows[1].note, "lacks \"Conv\", says it");
    // The reader of tables reads it, too.
    let mut changed = found.clone();
    changed.set("reference_ms", "5".into());
    log.replace(&changed, &rows).unwrap();
    let (_, rows, found) = open(&path).unwrap();
    assert_eq!((rows.len(), found.value("reference_ms")), (4, Some("5")));
    assert_eq!(found.value("os"), Some("none"));
}

#[test]
fn files_of_others_beside_the_table_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let beside = folder.path().join("t.blocks.csv");
    for text in [
        "precious data, no newline",
        "arch,block\nprecious tail",
        "arch,block,runs,median_ms,refer\nx",
    ] {
        fs::write(&beside, text).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(
            error.contains("t.blocks.csv, line 1") && error.contains("another --out"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&beside).unwrap(), text);
        assert!(!path.exists());
    }
    // A crash may leave a part of the first line.
    for text in ["", "arch,blo"] {
        fs::write(&beside, text).unwrap();
        open(&path).unwrap();
        assert_eq!(fs::read_to_string(&beside).unwrap(), format!("{BLOCKS}\n"));
    }
    let name = |path: &str| blocks_path(Path::new(path));
    assert_eq!(name("a.csv"), Path::new("a.blocks.csv"));
    assert_eq!(name("a.txt"), Path::new("a.txt.blocks.csv"));
    assert_eq!(name("a"), Path::new("a.blocks.csv"));
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    for (text, expected) in [
        ("arch,latency_ms\n", "line 1: not a table that 'lanner measure' wrote"),
        ("# lanner latency table: 9\n", "line 1: a table of version 9"),
        ("# lanner latency table: 1\n# nonsense\n", "line 2: expected '# key: value'"),
        (
            "# lanner latency table: 1\n# space: nasbench201\n# runtime: a clock 2.0\n",
            "line 3: made with other settings: runtime is 'a clock 1.0' now, and the file has 'a clock 2.0'",
        ),
        ("# lanner latency table: 1\n# space: nasbench201\n", "the file has nothing about it"),
        (
            "# lanner latency table: 1\n# space: nasbench201\n# runtime: a clock 1.0\nx,y\n",
            "line 4: expected the columns arch,",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let message = open(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let good = "# lanner latency table: 1\n# space: nasbench201\n# runtime: a clock 1.0\n\
                arch,latency_ms,latency_ms_se,runs,drift,unix_time,note\n";
    for (line, expected) in [
        ("000000,-1,,5,,1,\n", "line 5: latency_ms is '-1'"),
        ("000000,NaN,,5,,1,\n", "line 5: latency_ms is 'NaN'"),
        ("000000,1,,many,,1,\n", "line 5: runs is 'many'"),
        ("000009,1,,5,,1,\n", "line 5: "),
        ("000000,1\n", "line 5: not a row"),
    ] {
        fs::write(&path, format!("{good}{line}")).unwrap();
        let message = open(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn two_processes_do_not_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let first = open(&path).unwrap();
    let message = open(&path).unwrap_err().to_string();
    assert!(message.contains("another process"), "{message}");
    drop(first);
    open(&path).unwrap();
}

proptest! {
    /// Wherever a crash cuts the file, the whole rows are found, and the file can be continued.
    #[test]
    fn a_torn_file_keeps_its_whole_rows(cut in 0.0f64..1.0, rows in 1usize..6) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let (mut log, _, _) = open(&path).unwrap();
        let begun = fs::read(&path).unwrap().len();
        for i in 0..rows {
            log.write(&[row(i as u128, Some(1.0 + i as f64))]).unwrap();
        }
        drop(log);
        let bytes = fs::read(&path).unwrap();
        let at = begun + ((bytes.len() - begun) as f64 * cut) as usize;
        fs::write(&path, &bytes[..at]).unwrap();
        let whole = bytes[begun..at].iter().filter(|&&b| b == b'\n').count();
        let (mut log, found, _) = open(&path).unwrap();
        prop_assert_eq!(found.len(), whole);
        log.write(&[row(100, Some(3.0))]).unwrap();
        drop(log);
        let (_, found, _) = open(&path).unwrap();
        prop_assert_eq!(found.len(), whole + 1);
        prop_assert_eq!(found[whole].latency_ms, Some(3.0));
    }

    #[test]
    fn nothing_that_is_read_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let mut text = b"# lanner latency table: 1\n# space: nasbench201\n# runtime: a clock 1.0\n".to_vec();
        text.extend(&bytes);
        fs::write(&path, &text).unwrap();
        let _ = open(&path);
        fs::write(&path, &bytes).unwrap();
        let _ = open(&path);
    }
}
