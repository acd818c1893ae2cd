//! Another program, run within bounds of time and output.

use std::{
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// What a program may print that is read as a whole; a latency takes about ten bytes.
const MOST_OUTPUT: usize = 4 << 20;
/// Exit much of the end is kept of what is not.
const LAST_BYTES: usize = 64 << 10;
/// Exit long output is waited for after the program's end: what it printed is there, but another
/// process may have the pipe open still, as the master connection of ssh has.
const GRACE: Duration = Duration::from_millis(200);

/// A program that came to its end.
pub struct Finished {
    pub exit: Exit,
    pub stdout: String,
    /// The end of it.
    pub stderr: String,
}

/// Exit a program ended.
pub enum Exit {
    Code(i32),
    /// By a signal that was not ours, if it is known which.
    Signal(Option<i32>),
    /// It was killed: it took longer than this, or printed more.
    TimedOut(Duration),
    TooMuch,
    /// It was killed because the caller said so.
    Stopped,
}

impl Exit {
    /// In words, for all but exit code 0.
    pub fn describe(&self) -> String {
        match self {
            Exit::Code(code) => format!("exit code {code}"),
            Exit::Signal(Some(signal)) => format!("ended by signal {signal}"),
            Exit::Signal(None) => "ended by signal unknown".into(),
            Exit::TimedOut(after) => format!("no answer within {} s", after.as_secs_f64()),
            Exit::TooMuch => format!("printed more than {} MiB", MOST_OUTPUT >> 20),
            Exit::Stopped => "stopped".into(),
        }
    }
}

/// What is kept of a program's standard output.
#[derive(Clone, Copy, PartialEq)]
pub enum KeepOutput {
    /// All of it; a program that prints more than 4 MiB is killed.
    All,
    /// The last 64 KiB.
    End,
}

/// Runs a program in a process group of its own, so that it can be killed with all that it started,
/// which also happens when this process dies. It reads nothing. `stop` is asked every now and then
/// whether to go on.
///
/// # Errors
/// When the program cannot be started: why.
pub fn run(
    words: &[String],
    timeout: Duration,
    keep: KeepOutput,
    stop: &dyn Fn() -> bool,
) -> Result<Finished, String> {
    let [program, arguments @ ..] = words else { return Err("no program".into()) };
    let mut group = Group::new()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(group.number());
    let mut child = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
    let end_of = |text: &mut Vec<u8>| {
        text.drain(..text.len().saturating_sub(LAST_BYTES));
        true
    };
    let stdout = Output::of(
        child.stdout.take(),
        if keep == KeepOutput::All { |text| text.len() <= MOST_OUTPUT } else { end_of },
    );
    let stderr = Output::of(child.stderr.take(), end_of);
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    let killed = loop {
        if child.try_wait().map_err(|e| format!("cannot wait for {program}: {e}"))?.is_some() {
            break None;
        }
        let left = timeout.saturating_sub(start.elapsed());
        if keep == KeepOutput::All && stdout.is_too_much() {
            break Some(Exit::TooMuch);
        } else if stop() {
            break Some(Exit::Stopped);
        } else if left.is_zero() {
            break Some(Exit::TimedOut(timeout));
        }
        thread::sleep(pause.min(left));
        // Seldom enough not to be felt by a measurement on this machine.
        pause = (2 * pause).min(Duration::from_millis(50));
    };
    if killed.is_some() {
        group.kill();
    }
    let text = stdout.wait(GRACE);
    let too_much = keep == KeepOutput::All && text.len() > MOST_OUTPUT;
    group.kill();
    let status = child.wait().map_err(|e| format!("cannot wait for {program}: {e}"))?;
    let ended = match status.code() {
        _ if too_much => Exit::TooMuch,
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.signal()),
    };
    Ok(Finished {
        exit: killed.unwrap_or(ended),
        stdout: String::from_utf8_lossy(&text).into_owned(),
        stderr: String::from_utf8_lossy(&stderr.wait(GRACE)).into_owned(),
    })
}

/// The last so many lines that are not empty, without control characters.
pub fn last_lines(text: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(count));
    let clean = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    lines.into_iter().map(clean).collect()
}

/// A process group, whose processes end when this does.
struct Group {
    /// The first process of the group, which gives it its number. It does nothing but wait for the end
    /// of a pipe that this process alone has open: that comes at our death too, be it by SIGKILL, and then
    /// it kills the group. The signal that Linux sends at the death of a parent would reach the program, but
    /// not what that started.
    guard: Child,
    /// From then on its number may be another's.
    reaped: bool,
}

impl Group {
    fn new() -> Result<Group, String> {
        let guard = Command::new("sh")
            .args(["-c", "read line; kill -KILL 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start sh: {e}"))?;
        Ok(Group { guard, reaped: false })
    }

    fn number(&self) -> i32 {
        // A process's number is positive and fits.
        self.guard.id() as i32
    }

    /// Ends what is in the group.
    fn kill(&mut self) {
        if !self.reaped
            && let Some(group) = Pid::from_raw(self.number())
        {
            // An error says that nothing is left.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.guard.wait();
        }
        self.reaped = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What is read from a pipe by a thread of its own, which ends with the last writer.
struct Output {
    text: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when the thread ends.
    reading: Receiver<()>,
}

impl Output {
    /// Reads until the end, or until `keep`, which may shorten what was read, says no.
    fn of<P>(pipe: Option<P>, keep: fn(&mut Vec<u8>) -> bool) -> Output
    where
        P: Read + Send + 'static,
    {
        let text = Arc::new(Mutex::new(Vec::new()));
        let (ends_with_the_thread, reading) = channel();
        if let Some(mut pipe) = pipe {
            let text = text.clone();
            thread::spawn(move || {
                let _held = ends_with_the_thread;
                let mut buffer = [0; 8192];
                while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                    text.extend_from_slice(&buffer[..n]);
                    if !keep(&mut text) {
                        return;
                    }
                }
            });
        }
        Output { text, reading }
    }

    /// What was read, at the end of the pipe or after so long.
    fn wait(&self, longest: Duration) -> Vec<u8> {
        let _ = self.reading.recv_timeout(longest);
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_too_much(&self) -> bool {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).len() > MOST_OUTPUT
    }
}
