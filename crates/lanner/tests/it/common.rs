//! Calls of the command.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

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

/// A call that goes on while the test does.
pub struct Running(Child);

pub fn start(args: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().expect("the binary runs"))
}

impl Running {
    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Tells whether the call has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub fn end(self) -> Output {
        self.0.wait_with_output().unwrap()
    }

    /// Exit code and message of a call that fails, waited for.
    pub fn fails(self) -> (Option<i32>, String) {
        let out = self.end();
        let message = text(&out.stderr);
        assert!(!out.status.success() && !message.contains("panicked"), "{message}");
        (out.status.code(), message)
    }

    /// Returns the next line that the call prints.
    pub fn line(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        let out = self.0.stdout.as_mut().expect("a pipe");
        while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            bytes.push(byte[0]);
        }
        text(&bytes)
    }
}

/// Waits for something that takes a moment.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A file for `sh`, to be evaluated with: `$1` is the architecture.
pub fn script(dir: &Path, text: &str) -> String {
    let file = dir.join("evaluate.sh");
    std::fs::write(&file, text).unwrap();
    format!("command:sh '{}' {{arch}}", file.display())
}

pub fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(String::from).collect()
}
