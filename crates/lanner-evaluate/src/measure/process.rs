//! Another program, run within bounds of time and output.

use std::{
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// What a program may print; a latency takes about ten bytes.
const MOST_OUTPUT: usize = 4 << 20;
/// How much of the end of standard error is kept, and how many lines of that are told.
const LAST_BYTES: usize = 4096;
const LAST_LINES: usize = 5;
/// How long output is waited for after the program's end: what it printed is there, but another
/// process may have the pipe open still, as the master connection of ssh has.
const GRACE: Duration = Duration::from_millis(200);

/// A program that came to its end.
pub struct Ended {
    /// Its exit code, if no signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    /// The last lines, joined by ` | `.
    pub stderr: String,
}

/// Why there is no [`Ended`].
pub enum Failure {
    /// The program could not be started.
    Start(String),
    /// It was killed: out of time, or too much output.
    Running(String),
}

/// Runs a program in a process group of its own, so that it can be killed with all that it started.
/// It reads nothing.
pub fn run(words: &[String], timeout: Duration) -> Result<Ended, Failure> {
    let [program, arguments @ ..] = words else {
        return Err(Failure::Start("no program".into()));
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| Failure::Start(format!("cannot start {program}: {e}")))?;
    let mut group = Group { child, reaped: false };
    let stdout = Output::of(group.child.stdout.take(), |text| text.len() <= MOST_OUTPUT);
    let stderr = Output::of(group.child.stderr.take(), |text| {
        text.drain(..text.len().saturating_sub(LAST_BYTES));
        true
    });
    let end = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    loop {
        match group.has_ended() {
            Ok(true) => break,
            Ok(false) => {}
            Err(e) => return Err(Failure::Running(format!("cannot wait for {program}: {e}"))),
        }
        let now = Instant::now();
        if stdout.is_too_much() {
            return Err(too_much());
        }
        if now >= end {
            let mut why = format!("no answer within {} s", timeout.as_secs_f64());
            let _ = group.kill();
            let words = last_lines(&stderr.wait(GRACE));
            if !words.is_empty() {
                why += &format!(": {words}");
            }
            return Err(Failure::Running(why));
        }
        thread::sleep(pause.min(end - now));
        // Seldom enough not to be felt by a measurement on this machine.
        pause = (2 * pause).min(Duration::from_millis(50));
    }
    let text = stdout.wait(GRACE);
    if stdout.is_too_much() {
        return Err(too_much());
    }
    let status =
        group.kill().map_err(|e| Failure::Running(format!("cannot wait for {program}: {e}")))?;
    Ok(Ended {
        code: status.code(),
        signal: status.signal(),
        stdout: String::from_utf8_lossy(&text).into_owned(),
        stderr: last_lines(&stderr.wait(GRACE)),
    })
}

fn too_much() -> Failure {
    Failure::Running(format!("printed more than {} MiB", MOST_OUTPUT >> 20))
}

fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(LAST_LINES));
    lines.join(" | ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A program and what it started, which end when this does.
struct Group {
    child: Child,
    /// From then on its number may be another's.
    reaped: bool,
}

impl Group {
    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Asks without reaping the program, so that its number stays its own.
    fn has_ended(&self) -> rustix::io::Result<bool> {
        let Some(pid) = self.pid() else { return Ok(true) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(pid), options)?.is_some())
    }

    /// Ends what is left of the group, and tells how the program itself ended.
    fn kill(&mut self) -> std::io::Result<ExitStatus> {
        if !self.reaped
            && let Some(pid) = self.pid()
        {
            // An error says that nothing is left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.kill();
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
