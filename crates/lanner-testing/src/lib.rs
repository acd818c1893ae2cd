//! Help for Lanner's own tests: published data, and tests that are skipped.

use std::{env, fmt::Display, fs::File, io::Write, path::PathBuf, thread};

/// Says that the running test, or the rest of it, is skipped, and why.
///
/// The test harness knows no tests that skip themselves and counts them as passed. Hence a line is
/// added to the file that `$LANNER_SKIPPED` names, where `make test` finds it.
///
/// # Panics
/// When that file cannot be written: a skipped test must not pass in silence.
pub fn skip(why: impl Display) {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let thread = thread::current();
    let line = format!("{package} {}: {why}\n", thread.name().unwrap_or("test"));
    eprint!("skipped: {line}");
    if let Some(path) = env::var_os("LANNER_SKIPPED") {
        let file = File::options().append(true).create(true).open(path);
        // In one write: tests run side by side.
        file.and_then(|mut f| f.write_all(line.as_bytes())).expect("$LANNER_SKIPPED is writable");
    }
}

/// The path of a file or folder of published data: below `$LANNER_DATA`, or below `../shared/data`
/// beside the checkout. Where it is absent, the test is [skipped](skip).
pub fn published(name: &str) -> Option<PathBuf> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into();
    let path = PathBuf::from(env::var_os("LANNER_DATA").unwrap_or_else(beside)).join(name);
    if path.exists() {
        return Some(path);
    }
    skip(format_args!("no {}; $LANNER_DATA may name the folder of published data", path.display()));
    None
}
