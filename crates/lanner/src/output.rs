//! Prints what commands tell: rows as a table or as JSON, progress, usage errors, exit codes.

use std::cell::RefCell;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lanner_search::SearchError;
use serde_json::{Map, Value};

use crate::say;

/// A wrong combination of options: exit code 2, like those that the parser finds.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Makes an error of wrong usage.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Converts an error of a search: a wrong setting becomes wrong usage of the option of that name.
pub fn search_error(error: SearchError) -> anyhow::Error {
    match error {
        SearchError::Setting { .. } => usage(format!("--{error}")),
        other => other.into(),
    }
}

/// Makes the process end without an error when nobody reads any more what `println!` prints, as behind
/// `| head -1`, and with one when it cannot be written, as on a full disk.
pub fn end_where_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload().downcast_ref::<String>();
        match message.and_then(|m| m.strip_prefix("failed printing to stdout: ")) {
            Some(why) if why.contains("pipe") => std::process::exit(0),
            Some(why) => {
                say!("lanner: {STDOUT}: {why}");
                std::process::exit(1);
            }
            None => usual(info),
        }
    }));
}

/// Beginning of the message about output that cannot be written.
const STDOUT: &str = "cannot write to standard output";

/// Prints what the parser of the command line says: help and version to standard output, with exit code 0,
/// or wrong usage to standard error, with exit code 2.
pub fn usage_code(said: &clap::Error) -> ExitCode {
    match said.print().and_then(|()| std::io::stdout().flush()) {
        Err(error) if said.exit_code() == 0 && error.kind() != std::io::ErrorKind::BrokenPipe => {
            say!("lanner: {STDOUT}: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::from(said.exit_code() as u8),
    }
}

/// Prints the error of the command `name`, and returns its exit code: 2 for wrong usage, 1 for other
/// errors, 0 for none.
pub fn exit_code(name: &str, done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say!("{name}: {}", message(&error));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// Joins an error and its causes; a cause that the message before it tells already is left out.
fn message(error: &anyhow::Error) -> String {
    // Files are named by their errors; only rows are written without one.
    if error.is::<std::io::Error>() && error.chain().count() == 1 {
        return format!("{STDOUT}: {error}");
    }
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// Tells whether the reader of our output went away, as `| head` does, which is no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Formats a number with at most six significant digits, those of whole numbers below 10¹² kept.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        return "-".into();
    }
    if x == 0.0 || (x.fract() == 0.0 && size < 1e12) {
        return format!("{x}");
    }
    let (text, exponent) = match (1e-4..1e7).contains(&size) {
        true => (format!("{x:.*}", (5 - size.log10().floor() as i32).max(0) as usize), None),
        false => (format!("{x:.5e}"), Some('e')),
    };
    let (digits, end) = text.split_at(exponent.and_then(|e| text.find(e)).unwrap_or(text.len()));
    match digits.contains('.') {
        true => format!("{}{end}", digits.trim_end_matches('0').trim_end_matches('.')),
        false => text,
    }
}

/// Formats a number ± its standard error, which has two significant digits; the number has as
/// many decimals.
pub fn with_error(x: f64, error: f64) -> String {
    if !(error > 0.0 && error.is_finite() && x.is_finite()) {
        return number(x);
    }
    let size = x.abs().max(error);
    let digits = (size.log10().floor() - error.log10().floor()) as usize;
    if !(1e-4..1e7).contains(&size) {
        return format!("{x:.*e} ± {error:.1e}", (1 + digits).min(12));
    }
    let decimals = (1 - error.log10().floor() as i32).clamp(0, 9) as usize;
    format!("{x:.decimals$} ± {error:.decimals$}")
}

/// Makes a text fit to be shown: without control characters, which a terminal would obey, and cut where
/// it is longer than any that is read.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 10_000;
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut cut: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() {
        cut.push('…');
    }
    cut
}

/// Makes a text of several lines fit to be shown: without the control characters that a terminal would
/// obey, such as those of a file's names in an error.
pub fn clean(text: &str) -> String {
    let replaced = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.chars().map(|c| if replaced(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Prints a message to standard error, [`clean`]. Takes the arguments of `eprintln`.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { eprintln!("{}", $crate::output::clean(&format!($($argument)*))) };
}

/// A row of results: names to values, in order. A mean `x` and its standard error `x_se` are shown
/// as `x ± x_se` in a table and as two numbers in JSON.
#[derive(Debug, Clone, Default)]
pub struct Row(Map<String, Value>);

impl Row {
    pub fn new() -> Row {
        Row::default()
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Row {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Adds mean and standard error over seeds; nothing where there are no values or one is not
    /// finite.
    pub fn with_mean(mut self, name: &str, values: &[f64]) -> Row {
        if !values.is_empty() && values.iter().all(|v| v.is_finite()) {
            let (mean, error) = lanner_predict::metrics::mean_and_error(values);
            self.0.insert(name.into(), mean.into());
            self.0.insert(format!("{name}_se"), error.into());
        }
        self
    }

    /// Returns the row without the fields whose name the closure accepts.
    pub fn without(&self, name: impl Fn(&str) -> bool) -> Row {
        let rest = self.0.iter().filter(|(n, _)| !name(n)).map(|(n, v)| (n.clone(), v.clone()));
        Row(rest.collect())
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn cell(&self, name: &str) -> String {
        match (self.0.get(name), self.get(&format!("{name}_se"))) {
            (None, _) => String::new(),
            (Some(Value::Number(v)), Some(se)) if se > 0.0 => {
                with_error(v.as_f64().unwrap_or(f64::NAN), se)
            }
            (Some(Value::Number(v)), _) => number(v.as_f64().unwrap_or(f64::NAN)),
            (Some(Value::String(s)), _) => shown(s),
            (Some(v), _) => shown(&v.to_string()),
        }
    }
}

impl From<Map<String, Value>> for Row {
    fn from(fields: Map<String, Value>) -> Row {
        Row(fields)
    }
}

/// Prints `{"rows": [...]}` with other fields beside the rows.
pub fn print_rows_with(rows: &[Row], more: Vec<(&str, Value)>) -> anyhow::Result<()> {
    let mut all = Map::new();
    all.insert("rows".into(), rows.iter().map(|r| Value::from(r.0.clone())).collect());
    all.extend(more.into_iter().map(|(name, value)| (name.to_string(), value)));
    writeln!(std::io::stdout().lock(), "{}", Value::from(all))?;
    Ok(())
}

/// Prints `{"rows": [...]}`, or a table with a column for each name that occurs.
pub fn print_rows(rows: &[Row], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let all: Vec<&Map<String, Value>> = rows.iter().map(|r| &r.0).collect();
        writeln!(out, "{}", serde_json::json!({ "rows": all }))?;
        return Ok(());
    }
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        for name in row.0.keys() {
            let is_error = name.strip_suffix("_se").is_some_and(|n| row.0.contains_key(n));
            if !is_error && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    // A source is long: it stands last, where its length does no harm.
    if let Some(at) = names.iter().position(|n| *n == "source") {
        let source = names.remove(at);
        names.push(source);
    }
    let cells: Vec<Vec<String>> = std::iter::once(names.iter().map(|n| shown(n)).collect())
        .chain(rows.iter().map(|r| names.iter().map(|n| r.cell(n)).collect()))
        .collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|j| cells.iter().map(|r: &Vec<String>| r[j].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &cells {
        let line: Vec<String> = row.iter().zip(&widths).map(|(c, &w)| format!("{c:w$}")).collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

/// Progress on standard error while something runs: on a terminal a bar that appears after two seconds,
/// elsewhere a line a minute.
pub struct Progress {
    state: Arc<Steps>,
    /// The drawing thread, which ends when the sender is dropped.
    running: RefCell<Option<(Sender<()>, JoinHandle<()>)>>,
}

/// Contents of a progress bar.
#[derive(Default)]
struct Steps {
    done: AtomicU64,
    total: AtomicU64,
    /// A few words behind the numbers.
    note: Mutex<String>,
}

impl Steps {
    fn note(&self) -> String {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes a progress bar towards `total`, which is 0 where it will only be known later.
pub fn progress(total: u64, what: &'static str) -> Progress {
    let state = Arc::new(Steps { total: AtomicU64::new(total), ..Steps::default() });
    let (sender, stopped) = channel();
    let seen = state.clone();
    let thread = std::thread::Builder::new().name("progress".into());
    // If no thread can be started, the work goes on without a bar.
    let thread = thread.spawn(move || draw(what, &seen, &stopped)).ok();
    Progress { state, running: RefCell::new(thread.map(|thread| (sender, thread))) }
}

/// Draws progress until the sender of `stopped` is dropped.
fn draw(what: &'static str, state: &Steps, stopped: &Receiver<()>) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let start = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    let mut wait = if terminal { PATIENCE } else { Duration::from_secs(60) };
    let mut bar = None;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let [done, total] = [&state.done, &state.total].map(|n| n.load(Ordering::Relaxed));
        let note = match state.note() {
            note if note.is_empty() => note,
            note => format!(", {note}"),
        };
        if !terminal {
            let minutes = start.elapsed().as_secs() / 60;
            match total {
                0 => eprintln!("{what}: {minutes} min{note}"),
                _ => eprintln!("{what}: {done} of {total}, {minutes} min{note}"),
            }
            continue;
        }
        wait = Duration::from_millis(100);
        let bar = bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template("{msg} {bar:30} {percent} %, {eta} left{prefix}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
            .with_message(what)
            .with_elapsed(start.elapsed())
        });
        bar.set_prefix(note);
        bar.set_length(total);
        bar.set_position(done);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

impl Progress {
    pub fn inc(&self, more: u64) {
        self.state.done.fetch_add(more, Ordering::Relaxed);
    }

    pub fn tell(&self, done: u64, total: u64) {
        self.state.done.store(done, Ordering::Relaxed);
        self.state.total.store(total, Ordering::Relaxed);
    }

    /// Sets a few words to show behind the numbers.
    pub fn note(&self, note: String) {
        *self.state.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Removes the bar; dropping does so too.
    pub fn clear(&self) {
        if let Some((sender, thread)) = self.running.borrow_mut().take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_sent_no_commands() {
        assert_eq!(shown("a\u{1b}[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(clean("a\u{1b}[2J\u{9b}\nb\tc"), "a\u{fffd}[2J\u{fffd}\nb\tc");
        let long = shown(&"é".repeat(70_000));
        assert!(long.chars().count() == 10_001 && long.ends_with('…'));
        // Wider than the widths of Rust's own formatting.
        print_rows(&[Row::new().with(&"a".repeat(70_000), 1)], false).unwrap();
    }

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("denied").context("a.csv: denied").context("no table");
        assert_eq!(message(&error), "no table: a.csv: denied");
        assert_eq!(message(&anyhow::anyhow!("denied").context("a.csv")), "a.csv: denied");
    }

    #[test]
    fn numbers_are_short_but_whole() {
        for (x, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (15.17923, "15.1792"),
            (-0.5, "-0.5"),
            (123456.7, "123457"),
            (124_126_912.0, "124126912"),
            (6.16e-6, "6.16e-6"),
            (8.4e-4, "0.00084"),
            (1.306e51, "1.306e51"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(number(x), text);
        }
        for (x, error, text) in [
            (97.4713, 0.4358, "97.47 ± 0.44"),
            (0.12219, 0.00652, "0.1222 ± 0.0065"),
            (0.044, 0.000012, "0.044000 ± 0.000012"),
            (1234.5, 30.0, "1234 ± 30"),
            (6.2e-6, 1e-7, "6.20e-6 ± 1.0e-7"),
            (3.0, 0.0, "3"),
        ] {
            assert_eq!(with_error(x, error), text);
        }
    }
}
