//! Evaluates networks by the user's own training script, or any other program that prints metrics.
//!
//! The command is a line of words, split as by a shell, but run without one. In each word, `{arch}`
//! stands for the architecture, `{onnx}` for the path of an ONNX file with the untrained network,
//! `{out}` for a path where the program may leave the trained one, and `{seed}` for a number. The last
//! line of standard output that is a JSON object has the metrics: `{"val_accuracy": 93.1, "epochs":
//! 20}`. All other output is ignored.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    EvaluateError,
    evaluator::Answer,
    process::{Exit, KeepOutput, last_lines, run},
};

/// A command that evaluates one network per call.
#[derive(Debug, Clone)]
pub struct Script {
    words: Vec<String>,
    /// Time limit of a call; then it is killed, with all processes that it started.
    pub timeout: Duration,
}

/// Values that replace the placeholders in a call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub arch: &'a str,
    pub onnx: &'a Path,
    pub out: &'a Path,
    pub seed: u64,
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
        Ok(Script { words, timeout })
    }

    /// Checks that the program exists, before any work is done for it.
    ///
    /// # Errors
    /// When its path is not a file, or its name is in no folder of PATH.
    pub fn check_program(&self) -> Result<(), EvaluateError> {
        let program = &self.words[0];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = match program.contains('/') {
            // A path with placeholders cannot be checked yet.
            true => program.contains('{') || Path::new(program).is_file(),
            false => std::env::split_paths(&path).any(|folder| folder.join(program).is_file()),
        };
        match found {
            true => Ok(()),
            false => Err(EvaluateError::Value {
                name: "command",
                value: format!("'{program}'"),
                expected: "a program: the path of a file, or a name in a folder of PATH".into(),
            }),
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
        let words: Vec<String> = self
            .words
            .iter()
            .map(|word| {
                word.replace("{seed}", &call.seed.to_string())
                    .replace("{onnx}", &call.onnx.to_string_lossy())
                    .replace("{out}", &call.out.to_string_lossy())
                    .replace("{arch}", call.arch)
            })
            .collect();
        let ended = run(&words, self.timeout, KeepOutput::End, stop)
            .map_err(|why| EvaluateError::Runtime { runtime: self.words[0].clone(), why })?;
        let why = match ended.exit {
            Exit::Stopped => return Ok(Answer::Stopped),
            Exit::Code(0) => match metrics(&ended.stdout, needed) {
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

/// Reads the numbers of the last line that is a JSON object.
fn metrics(stdout: &str, needed: &[String]) -> Result<BTreeMap<String, f64>, String> {
    let object = stdout.lines().rev().find_map(|line| match serde_json::from_str(line.trim()) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    });
    let Some(object) = object else {
        return Err("no line of standard output is a JSON object with metrics".into());
    };
    let metrics: BTreeMap<String, f64> =
        object.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
    match needed.iter().find(|name| !metrics.get(*name).is_some_and(|v| v.is_finite())) {
        Some(name) => {
            let value = object.get(name).map_or("no value".into(), Value::to_string);
            Err(format!("'{name}' of the metrics is {value}, expected a number"))
        }
        None => Ok(metrics),
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
        assert!(failure("echo '{\"acc\": NaN}'").contains("no line"));
        let missing = Script::new("/nonexistent/train {arch}", Duration::MAX).unwrap();
        let path = Path::new("x");
        let call = Call { arch: "", onnx: path, out: path, seed: 0 };
        let error = missing.evaluate(call, &[], &|| false).unwrap_err().to_string();
        assert!(error.contains("cannot start /nonexistent/train"), "{error}");
        assert!(Script::new("train.py", Duration::MAX).unwrap_err().to_string().contains("{arch}"));
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
