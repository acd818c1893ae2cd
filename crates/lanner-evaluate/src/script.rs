//! Evaluates networks by the user's own training script, or any other program that prints metrics.
//!
//! The command is a line of words, split as by a shell, but run without one. In each word, `{arch}`
//! stands for the architecture, `{onnx}` for the path of an ONNX file with the untrained network,
//! `{out}` for a path where the program may leave the trained one, `{seed}` for a number, and
//! `{worker}` for the number of the worker from 0, which is also in the environment as
//! `LANNER_WORKER`.
//!
//! The last line of standard output that is a JSON object has the metrics: `{"val_accuracy": 93.1,
//! "epochs": 20}`. A progress bar before it may end with a carriage return. Values that are no
//! finite number, such as Python's NaN, are left out; where one is needed, the evaluation fails. So it
//! does if a later line has a needed metric in braces but is no JSON object: numbers are read whole or
//! not at all. All other output is ignored.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use lanner_data::converted;
use serde_json::Value;

use crate::{
    EvaluateError,
    evaluator::Answer,
    json_numbers,
    plausible::contradiction,
    process::{Exit, KeepOutput, Program, last_lines, run},
};

/// A command that evaluates one network per call.
#[derive(Debug, Clone)]
pub struct Script {
    words: Vec<String>,
    /// Time limit of a call; then it is killed, with all processes that it started.
    pub timeout: Duration,
    /// Folder in which the program runs; this process's own if `None`.
    pub folder: Option<PathBuf>,
}

/// Values that replace the placeholders in a call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub arch: &'a str,
    pub onnx: &'a Path,
    pub out: &'a Path,
    pub seed: u64,
    /// Number of the worker, from 0.
    pub worker: usize,
    /// File for all that the program prints.
    pub log: Option<&'a Path>,
}

/// Number of the last lines of output that are kept with a failure.
const LAST_LINES: usize = 20;

impl Script {
    /// Parses a command line.
    ///
    /// # Errors
    /// When a quote is not closed, or the line has neither `{arch}` nor `{onnx}`.
    pub fn new(line: &str, timeout: Duration) -> Result<Script, EvaluateError> {
        let wrong = |expected: &str| EvaluateError::Value {
            name: "command",
            value: format!("'{line}'"),
            expected: expected.into(),
        };
        let words = shlex::split(line).ok_or_else(|| wrong("every quote to be closed"))?;
        if words.is_empty() {
            return Err(wrong("a program and its arguments"));
        }
        if !words.iter().any(|word| word.contains("{arch}") || word.contains("{onnx}")) {
            return Err(wrong("{arch} or {onnx} in it, which say what network is meant"));
        }
        Ok(Script { words, timeout, folder: None })
    }

    /// Checks that the program exists, before any work is done for it.
    ///
    /// # Errors
    /// When its folder is gone, its path is not a file, or its name is in no folder of PATH.
    pub fn check_program(&self) -> Result<(), EvaluateError> {
        let wrong = |name, value: String, expected: &str| {
            Err(EvaluateError::Value {
                name,
                value: format!("'{value}'"),
                expected: expected.into(),
            })
        };
        if let Some(folder) = self.folder.as_ref().filter(|f| !f.is_dir()) {
            let expected = "the folder in which the study was begun: the command runs there";
            return wrong("folder", folder.display().to_string(), expected);
        }
        let program = self.program(&self.words[0]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = match program.contains('/') {
            // A path with placeholders cannot be checked yet.
            true => program.contains('{') || Path::new(&program).is_file(),
            false => std::env::split_paths(&path).any(|folder| folder.join(&program).is_file()),
        };
        match found {
            true => Ok(()),
            false => {
                let expected = "a program: the path of a file, or a name in a folder of PATH";
                wrong("command", program, expected)
            }
        }
    }

    /// Returns the program's path where it has one: whole, since a relative one may mean this process's
    /// folder or the program's.
    fn program(&self, word: &str) -> String {
        match &self.folder {
            Some(folder) if word.contains('/') => folder.join(word).to_string_lossy().into_owned(),
            _ => word.into(),
        }
    }

    /// Whether the program reads the ONNX file.
    pub fn wants_onnx(&self) -> bool {
        self.words.iter().any(|word| word.contains("{onnx}"))
    }

    /// Runs the program and reads the metrics, which must include all of `needed`. `stop` is polled;
    /// when it returns true, the program is killed.
    ///
    /// # Errors
    /// When the program cannot be started, so that the next call would fail too.
    pub fn evaluate(
        &self,
        call: Call,
        needed: &[String],
        stop: &dyn Fn() -> bool,
    ) -> Result<Answer, EvaluateError> {
        let worker = call.worker.to_string();
        let fill = |word: &String| {
            word.replace("{seed}", &call.seed.to_string())
                .replace("{worker}", &worker)
                .replace("{onnx}", &call.onnx.to_string_lossy())
                .replace("{out}", &call.out.to_string_lossy())
                .replace("{arch}", call.arch)
        };
        let mut words: Vec<String> = self.words.iter().map(fill).collect();
        words[0] = self.program(&words[0]);
        let program = Program {
            words: &words,
            folder: self.folder.as_deref(),
            variables: &[("LANNER_WORKER", worker.clone())],
            log: call.log,
            timeout: self.timeout,
            keep: KeepOutput::End,
        };
        let ended = run(&program, stop)
            .map_err(|why| EvaluateError::Runtime { runtime: self.words[0].clone(), why })?;
        let why = match ended.exit {
            Exit::Stopped => return Ok(Answer::Stopped),
            Exit::Code(0) => match metrics(&ended.stdout, ended.is_cut, needed) {
                Ok(metrics) => return Ok(Answer::Metrics(metrics)),
                Err(why) => why,
            },
            exit => exit.describe(),
        };
        let mut lines = vec![why];
        lines.extend(last_lines(&ended.stdout, LAST_LINES));
        lines.extend(last_lines(&ended.stderr, LAST_LINES));
        Ok(Answer::Failed(lines.join("\n")))
    }
}

/// Reads the numbers of the last line of a script's output that is a JSON object. Where the beginning of the
/// output is missing (`is_cut`), its first line is no whole one.
///
/// # Errors
/// There is no such line, it lacks a number that is `needed`, or has one in two units that contradict.
pub fn metrics(
    stdout: &str,
    is_cut: bool,
    needed: &[String],
) -> Result<BTreeMap<String, f64>, String> {
    // A progress bar goes back to the beginning of its line, by a carriage return or backspaces.
    let mut lines: Vec<&str> = stdout.split(['\n', '\r', '\u{8}']).map(plain).collect();
    if is_cut && lines.len() > 1 {
        lines.remove(0);
    }
    let mut object = None;
    for line in lines.iter().rev() {
        let braces = line.find('{').map_or("", |at| &line[at..]);
        let parsed = json_numbers::parse(line);
        if let Ok(Value::Object(found)) = parsed {
            object = Some(found);
            break;
        }
        let named = |name: &&String| {
            // The second form is a line of an object that is printed over several lines.
            braces.contains(name.as_str()) || line.contains(&format!("\"{name}\":"))
        };
        if let Some(name) = needed.iter().find(named) {
            let why = match parsed {
                Err(e) if line.starts_with('{') => format!("no JSON object: {e}"),
                _ => "not a JSON object alone".into(),
            };
            let line = last_lines(line, 1).concat();
            let mut shown: String = line.chars().take(200).collect();
            if shown.len() < line.len() {
                shown.push('…');
            }
            return Err(format!(
                "the last line of standard output with '{name}' is {why}: {shown}"
            ));
        }
    }
    let Some(object) = object else {
        let cut = match is_cut {
            true => " (its last 4 MiB were looked at; a longer line cannot be read)",
            false => "",
        };
        return Err(format!("no line of standard output is a JSON object with metrics{cut}"));
    };
    let metrics: BTreeMap<String, f64> =
        object.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
    match needed.iter().find(|name| !metrics.get(*name).is_some_and(|v| v.is_finite())) {
        Some(name) => {
            let value = object.get(name).map_or("no value".into(), json_numbers::shown);
            Err(format!("'{name}' of the metrics is {value}, expected a number"))
        }
        None => {
            // Where nothing in particular is needed, everything may be used.
            let related = |name: &str| {
                needed.is_empty() || needed.iter().any(|n| converted(1.0, name, n).is_some())
            };
            let used = metrics.iter().map(|(name, value)| (name.as_str(), *value));
            match contradiction(used.filter(|(name, _)| related(name))) {
                Some(why) => Err(why),
                None => Ok(metrics),
            }
        }
    }
}

/// Returns a line without the escape sequences of a terminal and the blanks around it.
fn plain(line: &str) -> &str {
    let mut line = line.trim();
    while let Some(rest) = line.strip_prefix("\u{1b}[") {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).map_or(rest.len(), |at| at + 1);
        line = rest[end..].trim_start();
    }
    // One after the object, which resets a colour.
    match line.rfind("\u{1b}[") {
        Some(at) if line[..at].ends_with('}') => &line[..at],
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn answer(script: &str, timeout: f64, stop: &dyn Fn() -> bool) -> Answer {
        let quoted = shlex::try_quote(script).unwrap();
        let line = format!("sh -c {quoted} sh {{arch}} {{onnx}} {{seed}} {{out}}");
        let script = Script::new(&line, Duration::from_secs_f64(timeout)).unwrap();
        let call = Call {
            arch: "|a~0|+{seed}",
            onnx: Path::new("/tmp/a b.onnx"),
            out: Path::new("/tmp/trained.onnx"),
            seed: 7,
            worker: 2,
            log: None,
        };
        script.evaluate(call, &["acc".into()], stop).unwrap()
    }

    fn failure(script: &str) -> String {
        match answer(script, 20.0, &|| false) {
            Answer::Failed(why) => why,
            other => panic!("{script}: {other:?}"),
        }
    }

    #[test]
    fn the_last_object_counts() {
        let script = r#"echo '{"acc": 1}'; echo; echo '{"acc": 2.5, "of": "x", "n": 3}'; echo bye"#;
        let expected = BTreeMap::from([("acc".into(), 2.5), ("n".into(), 3.0)]);
        assert_eq!(answer(script, 20.0, &|| false), Answer::Metrics(expected));
        // Text like a placeholder within an architecture is not replaced.
        let script = r#"test "$1$2$3$4" = '|a~0|+{se''ed}/tmp/a b.onnx7/tmp/trained.onnx' && echo '{"acc": 1}'"#;
        assert!(matches!(answer(script, 20.0, &|| false), Answer::Metrics(_)));
        // More output than is kept does no harm.
        let long = r#"seq 200000; echo '{"acc": 3}'"#;
        assert!(matches!(answer(long, 20.0, &|| false), Answer::Metrics(_)));
    }

    #[test]
    fn failures_keep_the_last_lines() {
        let text = failure("seq 100; echo Traceback >&2; exit 3");
        assert!(
            text.starts_with("exit code 3\n81\n") && text.ends_with("100\nTraceback"),
            "{text}"
        );
        assert!(failure("kill -9 $$").starts_with("ended by signal 9"));
        assert!(failure("echo 93.1").contains("no line of standard output"));
        assert!(failure("echo '{\"accuracy\": 1}'").contains("'acc' of the metrics is no value"));
        assert!(failure("echo '{\"acc\": \"1\"}'").contains("'acc' of the metrics is \"1\""));
        let missing = Script::new("/nonexistent/train {arch}", Duration::MAX).unwrap();
        let path = Path::new("x");
        let call = Call { arch: "", onnx: path, out: path, seed: 0, worker: 0, log: None };
        let error = missing.evaluate(call, &[], &|| false).unwrap_err().to_string();
        assert!(error.contains("cannot start /nonexistent/train"), "{error}");
        assert!(Script::new("train.py", Duration::MAX).unwrap_err().to_string().contains("{arch}"));
    }

    fn read(stdout: &str) -> Result<f64, String> {
        let needed = ["acc".to_string()];
        metrics(stdout, false, &needed).map(|m| m["acc"])
    }

    #[test]
    fn numbers_are_read_whole_or_refused_with_the_line() {
        let epoch = "{\"acc\": 55}\n";
        for (last, acc) in [
            // A metric that nobody needs may be anything.
            ("{\"acc\": 93.1, \"loss\": NaN, \"low\": -Infinity}", 93.1),
            ("{\"acc\": 93.1, \"loss\": \"1,5\", \"of\": [NaN, {\"acc\": 1}]}", 93.1),
            ("\r 10/10 [====]\r{\"acc\": 93.1}\r\n", 93.1),
            ("9/10\u{8}\u{8}\u{8}\u{8}{\"acc\": 93.1}", 93.1),
            ("\u{1b}[0m\u{1b}[32m{\"acc\": 93.1}\u{1b}[0m", 93.1),
            // Lines that do not name the metric are no business of ours.
            ("{'loss': 3}\nset {loss}\n100%|###|\nacc 12", 55.0),
        ] {
            assert_eq!(read(&format!("{epoch}{last}")), Ok(acc), "{last}");
        }
        for (last, why) in [
            ("{\"acc\": NaN}", "'acc' of the metrics is NaN, expected a number"),
            ("{\"acc\": Infinity}", "is Infinity"),
            ("{\"acc\": \"93,1\"}", "is \"93,1\""),
            ("{\"acc\": \"93.1 %\"}", "is \"93.1 %\""),
            ("{\"acc\": 93,1}", "no JSON object: "),
            ("{\"acc\": 1,234.5}", "{\"acc\": 1,234.5}"),
            ("{\"acc\": 93.1 %}", "no JSON object"),
            ("{\"acc\": 1e999}", "out of range"),
            ("{'acc': 93.1}", "no JSON object"),
            ("100%|###| {\"acc\": 93.1}", "not a JSON object alone: 100%|###|"),
            ("{\n  \"acc\": 93.1\n}", "not a JSON object alone: \"acc\": 93.1"),
        ] {
            let message = read(&format!("{epoch}{last}")).unwrap_err();
            assert!(message.contains(why), "{last}: {message}");
        }
    }

    #[test]
    fn a_needed_metric_in_two_units_has_one_value() {
        let line = "{\"latency_ms\": 2, \"latency_us\": 3000, \"acc\": 1}";
        let read = |needed: &[&str]| {
            metrics(line, false, &needed.iter().map(|n| n.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(read(&["acc"]).unwrap()["latency_us"], 3000.0);
        for needed in [&["acc", "latency_ms"][..], &[]] {
            let why = read(needed).unwrap_err();
            assert!(why.contains("'latency_ms' 2.0 and 'latency_us' 3000.0 contradict"), "{why}");
        }
    }

    #[test]
    fn a_line_of_megabytes_is_read_and_a_longer_one_named() {
        let line = |n: u32| {
            format!(
                "printf '{{\"acc\": 3, \"curve\": [1'; seq -f ,%.0f {n} | tr -d '\\n'; echo ']}}'"
            )
        };
        assert!(matches!(answer(&line(400_000), 20.0, &|| false), Answer::Metrics(_)));
        let text = failure(&line(2_000_000));
        assert!(text.starts_with("no line") && text.contains("last 4 MiB"), "{text:.300}");
    }

    #[test]
    fn workers_have_numbers_and_output_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("output/3.txt");
        let call = Call { arch: "a", onnx: &log, out: &log, seed: 0, worker: 2, log: Some(&log) };
        std::fs::write(folder.path().join("mine.sh"), "pwd; echo $1 $LANNER_WORKER; echo no >&2")
            .unwrap();
        let mut script =
            Script::new("sh mine.sh {worker} {arch}", Duration::from_secs(20)).unwrap();
        script.folder = Some(folder.path().into());
        for _ in 0..2 {
            assert!(matches!(script.evaluate(call, &[], &|| false), Ok(Answer::Failed(_))));
            let text = std::fs::read_to_string(&log).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            let here = folder.path().canonicalize().unwrap().display().to_string();
            assert_eq!(lines, [here.as_str(), "2 2", "no"]);
        }
        // A program that never stops printing does not fill the disk.
        let endless =
            Script::new("head -c 40000000 /dev/zero {arch}", Duration::from_secs(20)).unwrap();
        endless.evaluate(call, &[], &|| false).unwrap();
        assert!(std::fs::metadata(&log).unwrap().len() < 17 << 20);
        script.folder = Some(folder.path().join("gone"));
        assert!(script.check_program().unwrap_err().to_string().contains("/gone'"));
    }

    #[test]
    fn time_outs_and_stops_end_what_was_started() {
        let start = Instant::now();
        let answered = answer("echo epoch 1; sleep 60 & sleep 60", 0.3, &|| false);
        assert_eq!(answered, Answer::Failed("no answer within 0.3 s\nepoch 1".into()));
        let soon = || start.elapsed() > Duration::from_millis(800);
        assert_eq!(answer("sleep 60", 60.0, &soon), Answer::Stopped);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
