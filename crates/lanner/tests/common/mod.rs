//! Calls of the command.

use std::process::{Command, Output};

use serde_json::Value;

pub fn lanner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanner")).args(args).output().expect("the binary runs")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output of a call that must succeed.
pub fn ok(args: &[&str]) -> String {
    let out = lanner(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

/// Exit code and message of a call that must fail.
pub fn fails(args: &[&str]) -> (i32, String) {
    let out = lanner(args);
    assert!(!out.status.success(), "{args:?}: {}", text(&out.stdout));
    let message = text(&out.stderr);
    assert!(!message.contains("panicked"), "{message}");
    (out.status.code().expect("no signal"), message)
}

pub fn rows(json: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(json).expect("valid JSON");
    value["rows"].as_array().expect("rows").clone()
}
