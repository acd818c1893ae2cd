//! Measures on any other device, by a command that reads an ONNX file and prints latencies.

use std::{path::PathBuf, thread, time::Duration};

use lanner_data::TemporaryFolder;

use super::{
    Runtime, Session,
    command_output::{self, DeviceAnswer},
    median,
};
use crate::{
    EvaluateError,
    process::{Exit, Finished, KeepOutput, Program, last_lines, run},
};

/// A device behind a command: a phone over adb, a board over ssh, another engine.
///
/// The command is a line of words, split as by a shell, quotes included, but run without one; use
/// `sh -c '…'` for a shell. In each word, `{onnx}` stands for the path of the model, and `{batch}`,
/// `{threads}` and `{runs}` for numbers. The command prints latencies of single runs to its standard
/// output: milliseconds separated by spaces, commas or line ends, or JSON, see [`command_output`].
///
/// The command has a process group of its own; processes that it leaves running there are killed.
///
/// A call fails if it ends with another exit code than 0, takes longer than
/// [`CommandOptions::timeout`] (then it is killed) or prints something else. It is repeated
/// [`CommandOptions::retries`] times; then the campaign stops.
///
/// The command should warm up before it takes times. The first call for a network asks for ten runs at
/// least, to see whether the first ones are slower. Then as many are left out of each call, and more
/// are asked for instead; the note of the network says so.
///
/// A line `unsupported: reason` says that
/// the device cannot run this network, whatever the exit code: the network is refused at once.
pub struct Command {
    template: String,
    words: Vec<String>,
    options: CommandOptions,
    folder: Option<PathBuf>,
}

/// Values that a [`Command`] gets, and limits of time and retries.
#[derive(Debug, Clone, Copy)]
pub struct CommandOptions {
    /// Value of `{batch}`; the shapes of the model have it already.
    pub batch: u32,
    /// Value of `{threads}`.
    pub threads: usize,
    /// Time limit of a call.
    pub timeout: Duration,
    /// Number of repetitions of a failed call.
    pub retries: u32,
    /// Pause before a repetition.
    pub pause: Duration,
}

impl Default for CommandOptions {
    /// Batch 1, one thread, five minutes a call, two repetitions with pauses of five seconds.
    fn default() -> Self {
        CommandOptions {
            batch: 1,
            threads: 1,
            timeout: Duration::from_secs(300),
            retries: 2,
            pause: Duration::from_secs(5),
        }
    }
}

/// Number of the last lines of standard error that a message shows.
const LAST_LINES: usize = 5;
/// Placeholder of the model's path.
const MODEL: &str = "{onnx}";

impl Command {
    /// Parses a command line such as `./run-on-board {onnx} {threads} {runs}`; there are no
    /// redirections, which only a shell has.
    ///
    /// # Errors
    /// When a quote is not closed, the line is empty or lacks `{onnx}`.
    pub fn new(template: &str, options: CommandOptions) -> Result<Command, EvaluateError> {
        let wrong = |expected: &str| EvaluateError::Value {
            name: "command",
            value: format!("'{template}'"),
            expected: expected.into(),
        };
        let words = shlex::split(template).ok_or_else(|| wrong("every quote to be closed"))?;
        if words.is_empty() {
            return Err(wrong("a program and its arguments"));
        }
        if !words.iter().any(|word| word.contains(MODEL)) {
            return Err(wrong("{onnx} in it, where the path of the model belongs"));
        }
        Ok(Command { template: template.into(), words, options, folder: None })
    }

    /// Sets the folder in which the command runs.
    pub fn in_folder(mut self, folder: Option<PathBuf>) -> Command {
        self.folder = folder;
        self
    }
}

impl Runtime for Command {
    fn describe(&self) -> String {
        format!("command {}", self.template)
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let folder = TemporaryFolder::new()
            .map_err(EvaluateError::io(std::env::temp_dir(), "make a folder in"))?;
        let model = folder.path().join("network.onnx");
        std::fs::write(&model, onnx).map_err(EvaluateError::io(&model, "write"))?;
        Ok(Box::new(Call { command: self, model, _folder: folder, cold: None }))
    }
}

/// A network to run by the command, in a temporary file.
struct Call<'a> {
    command: &'a Command,
    model: PathBuf,
    _folder: TemporaryFolder,
    /// Slow runs at the beginning of a call, known after the first one.
    cold: Option<Cold>,
}

/// The first runs of a call, if they are slower than the others.
#[derive(Clone, Copy)]
struct Cold {
    runs: usize,
    /// Latency of the slowest, divided by that of the last runs.
    ratio: f64,
}

impl Cold {
    /// Number of runs of the first call, which shows the slow ones.
    const LOOK: usize = 10;
    /// Ratio to the last runs from which a run counts as slow.
    const SLOW: f64 = 1.2;

    /// Counts the slow runs at the beginning; none where there are too few to tell.
    fn of(samples: &[f64]) -> Cold {
        let Some(first) = samples.len().checked_sub(3).filter(|n| *n >= 3) else {
            return Cold { runs: 0, ratio: 1.0 };
        };
        let usual = median(&samples[first..]);
        let runs = samples[..first].iter().take_while(|ms| **ms > Cold::SLOW * usual).count();
        let slowest = samples[..runs].iter().copied().fold(usual, f64::max);
        Cold { runs, ratio: slowest / usual }
    }
}

impl Call<'_> {
    fn words(&self, runs: usize) -> Vec<String> {
        let CommandOptions { batch, threads, .. } = self.command.options;
        let model = self.model.to_string_lossy();
        let fill = |word: &String| {
            word.replace("{batch}", &batch.to_string())
                .replace("{threads}", &threads.to_string())
                .replace("{runs}", &runs.to_string())
                .replace(MODEL, &model)
        };
        self.command.words.iter().map(fill).collect()
    }

    fn once(&self, runs: usize) -> Result<DeviceAnswer, Trouble> {
        let timeout = self.command.options.timeout;
        let mut words = self.words(runs);
        // A relative path may mean this process's folder or the program's.
        if let (Some(folder), true) = (&self.command.folder, words[0].contains('/')) {
            words[0] = folder.join(&words[0]).to_string_lossy().into_owned();
        }
        let program = Program {
            words: &words,
            folder: self.command.folder.as_deref(),
            variables: &[],
            log: None,
            timeout,
            keep: KeepOutput::All,
        };
        let Finished { exit, stdout, stderr, .. } =
            run(&program, &|| false).map_err(Trouble::Start)?;
        if let (Exit::Code(_) | Exit::Signal(_), Some(why)) =
            (&exit, command_output::refusal(&stdout))
        {
            return Ok(DeviceAnswer::Unsupported(why));
        }
        let last_words = match last_lines(&stderr, LAST_LINES).join(" | ") {
            words if words.is_empty() => words,
            words => format!(": {words}"),
        };
        if !matches!(exit, Exit::Code(0)) {
            return Err(Trouble::Silent(format!("{}{last_words}", exit.describe())));
        }
        let read = command_output::parse(&stdout);
        read.map(DeviceAnswer::Samples)
            .map_err(|why| Trouble::Garbage(format!("{why}{last_words}")))
    }
}

/// Failure of a call.
enum Trouble {
    /// The program cannot be started; repetitions are of no use.
    Start(String),
    /// The program failed or gave no answer.
    Silent(String),
    /// The program printed something other than latencies.
    Garbage(String),
}

impl Session for Call<'_> {
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError> {
        let asked = match self.cold {
            Some(cold) => runs + cold.runs,
            None => runs.max(Cold::LOOK),
        };
        let new = self.repeated(asked, runs)?;
        let cold = *self.cold.get_or_insert_with(|| Cold::of(&new));
        // A device may print fewer latencies than were asked for.
        samples.extend(&new[cold.runs.min(new.len().saturating_sub(1))..]);
        Ok(())
    }

    fn doubt(&self) -> Option<String> {
        let Cold { runs, ratio } = self.cold.filter(|cold| cold.runs > 0)?;
        Some(format!(
            "the first {runs} runs of a call took up to {ratio:.1} times as long and are left out: let \
             the command warm up"
        ))
    }
}

impl Call<'_> {
    /// Calls the command until it answers: first for `runs` runs, then for `fewer`, which may fit into
    /// the time limit where more did not.
    fn repeated(&self, runs: usize, fewer: usize) -> Result<Vec<f64>, EvaluateError> {
        let CommandOptions { retries, pause, .. } = self.command.options;
        let runtime = || self.command.describe();
        let (mut runs, mut left) = (runs, retries);
        loop {
            let trouble = match self.once(runs) {
                Ok(DeviceAnswer::Samples(new)) => return Ok(new),
                Ok(DeviceAnswer::Unsupported(why)) => {
                    return Err(EvaluateError::Refused { runtime: runtime(), why });
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Start(why) => {
                    return Err(EvaluateError::Runtime { runtime: runtime(), why });
                }
                _ if left > 0 => {
                    left -= 1;
                    runs = fewer;
                    thread::sleep(pause);
                }
                Trouble::Garbage(why) => {
                    return Err(EvaluateError::Runtime { runtime: runtime(), why });
                }
                Trouble::Silent(why) => {
                    let tries = match retries {
                        0 => String::new(),
                        n => format!(", {} times in a row", n + 1),
                    };
                    let command = &self.command.template;
                    return Err(EvaluateError::Device(format!("{command}{tries}: {why}")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const QUICK: CommandOptions = CommandOptions {
        batch: 4,
        threads: 2,
        timeout: Duration::from_secs(20),
        retries: 2,
        pause: Duration::from_millis(1),
    };

    /// Runs a shell script; its `$1` is the model, `$2` the runs, and `$3`, `$4` batch and threads.
    fn answer(script: &str, options: CommandOptions) -> Result<Vec<f64>, EvaluateError> {
        let quoted = shlex::try_quote(script).unwrap();
        let template = format!("sh -c {quoted} sh {{onnx}} {{runs}} {{batch}} {{threads}}");
        let command = Command::new(&template, options)?;
        let mut session = command.load(b"a model")?;
        let mut samples = vec![0.5];
        session.time(3, &mut samples)?;
        Ok(samples)
    }

    fn message(script: &str) -> String {
        answer(script, QUICK).unwrap_err().to_string()
    }

    #[test]
    fn the_model_and_the_numbers_arrive() {
        let script = r#"test "$(cat "$1")" = "a model" && echo $2 $3, $4"#;
        assert_eq!(answer(script, QUICK).unwrap(), [0.5, 10.0, 4.0, 2.0]);
        assert_eq!(answer("echo '{\"latency_us\": [1500]}'", QUICK).unwrap(), [0.5, 1.5]);
    }

    #[test]
    fn slow_first_runs_of_a_call_are_left_out_and_told() {
        let script = "for i in $(seq $2); do test $i -le 3 && echo 600 || echo 34; done";
        let template = format!("sh -c '{script}' sh {{onnx}} {{runs}}");
        let command = Command::new(&template, QUICK).unwrap();
        let mut session = command.load(b"a model").unwrap();
        let mut samples = Vec::new();
        session.time(3, &mut samples).unwrap();
        session.time(1, &mut samples).unwrap();
        assert_eq!(samples, [34.0; 8]);
        assert!(session.doubt().unwrap().contains("first 3 runs of a call took up to 17.6 times"));
        for steady in [&[5.0, 5.1, 4.9, 5.0, 5.2, 5.0][..], &[9.0, 1.0, 1.0], &[4.0], &[]] {
            assert_eq!(Cold::of(steady).runs, 0, "{steady:?}");
        }
    }

    #[test]
    fn a_call_that_fails_is_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("calls").display().to_string();
        let script = |good: u32| {
            format!("echo x >> {count}; test $(wc -l < {count}) -ge {good} || exit 7; echo 2.5")
        };
        assert_eq!(answer(&script(3), QUICK).unwrap(), [0.5, 2.5]);
        std::fs::remove_file(&count).unwrap();
        let none = CommandOptions { retries: 0, ..QUICK };
        assert!(matches!(answer(&script(2), none), Err(EvaluateError::Device(_))));
    }

    #[test]
    fn a_dead_device_is_told_with_its_last_words() {
        let error = answer("echo first >&2; echo no devices found >&2; exit 1", QUICK).unwrap_err();
        assert!(matches!(error, EvaluateError::Device(_)));
        let text = error.to_string();
        assert!(text.contains("3 times in a row: exit code 1"), "{text}");
        assert!(text.contains("no devices found"), "{text}");
        assert!(message("kill -9 $$").contains("ended by signal 9"));
    }

    #[test]
    fn a_network_that_is_not_supported_is_refused_at_once() {
        for code in [0, 5] {
            let script = format!("echo 'unsupported: no kernel for Clip'; exit {code}");
            let error = answer(&script, QUICK).unwrap_err();
            assert!(matches!(error, EvaluateError::Refused { .. }), "{error}");
            assert!(error.to_string().contains("no kernel for Clip"), "{error}");
        }
    }

    #[test]
    fn what_is_no_latency_is_shown() {
        for (script, shown) in [
            ("echo 1.5 fast", "'fast'"),
            ("echo -2", "-2"),
            ("echo 0", "'0'"),
            ("echo nan", "'nan'"),
            ("true", "printed nothing"),
            ("head -c 5000000 /dev/zero", "more than"),
        ] {
            let text = message(script);
            assert!(text.contains(shown), "{text}");
        }
    }

    #[test]
    fn time_outs_end_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("grandchild");
        let script = format!("(sleep 2; touch {}) & sleep 60", file.display());
        let options = CommandOptions { timeout: Duration::from_millis(200), retries: 0, ..QUICK };
        let start = Instant::now();
        let error = answer(&script, options).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert!(error.to_string().contains("no answer within 0.2 s"), "{error}");
        thread::sleep(Duration::from_millis(2500));
        assert!(!file.exists());
    }

    #[test]
    fn a_process_left_behind_does_not_hold_up() {
        let start = Instant::now();
        assert_eq!(answer("sleep 60 & echo 7", QUICK).unwrap(), [0.5, 7.0]);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn templates_are_checked() {
        let error = |template| Command::new(template, QUICK).err().unwrap().to_string();
        assert!(error("bench").contains("expected {onnx} in it"));
        assert!(error("").contains("expected a program"));
        assert!(error("bench '{onnx}").contains("every quote"));
        let missing = Command::new("/nonexistent/bench {onnx}", QUICK).unwrap();
        let error = missing.load(b"").unwrap().time(1, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, EvaluateError::Runtime { .. }));
        assert!(error.to_string().contains("cannot start /nonexistent/bench"), "{error}");
    }
}
