//! Every reader of files and texts gets hostile inputs. The full runs are by hand:
//! `lanner-bench hostile --seconds 60`.

use std::process::Command;

use serde_json::Value;

fn rows(args: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner-bench"));
    let out = command.arg("hostile").args(args).arg("--json").output().expect("the binary runs");
    let message = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {message}");
    let value: Value = serde_json::from_slice(&out.stdout).expect("valid JSON");
    value["rows"].as_array().expect("rows").clone()
}

/// Any bytes give a value or an error, within a second and 256 MB: the command fails otherwise.
#[test]
fn hostile_inputs_end_with_a_value_or_an_error() {
    for (runs, seed) in [(["--runs", "150"], "3"), (["--damaged", "60"], "4")] {
        let rows = rows(&[&runs[..], &["--seed", seed]].concat());
        assert_eq!(rows.len(), 17);
        let mut read = 0;
        for row in rows {
            let count = |name: &str| row[name].as_u64().unwrap_or(0);
            assert_eq!(count("failures"), 0, "{row}");
            // Most are refused, not all of them.
            assert!(count("inputs") > count("values") + 10, "{row}");
            read += count("values");
        }
        assert!(read > 100, "{read}");
    }
}

/// Inputs that failed once do not fail again.
#[test]
fn inputs_that_failed_once_are_read_again() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile");
    let rows = rows(&["--replay", corpus]);
    assert!(!rows.is_empty() && rows.iter().all(|row| row["failures"] == 0), "{rows:?}");
}
