//! Runs another program within limits of time and output.

use std::{
    fs::File,
    io::{PipeReader, PipeWriter, Read, Write},
    os::fd::AsFd,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// Largest output in bytes that is kept whole; a latency takes about ten.
const MOST_OUTPUT: usize = 4 << 20;
/// Number of the last bytes of standard error that are kept.
const LAST_BYTES: usize = 64 << 10;
/// Size in bytes at which a log ends; a program may print without end.
const LONGEST_LOG: usize = 16 << 20;
/// Time between two looks at `stop` and the output: rare enough not to disturb a measurement on this machine.
const POLL: Duration = Duration::from_millis(50);
/// Time to wait for the end of the output after the program's end. What it printed has arrived by
/// then, but another process may still have the pipe open, such as the master connection of ssh.
const GRACE: Duration = Duration::from_millis(200);

/// Result of a program that has ended.
pub struct Finished {
    pub exit: Exit,
    pub stdout: String,
    /// Whether the beginning of `stdout` is missing, since the program printed more than is kept.
    pub is_cut: bool,
    /// The last part of standard error.
    pub stderr: String,
}

/// End of a program.
pub enum Exit {
    Code(i32),
    /// It was ended by a signal that was not ours; the number if known.
    Signal(Option<i32>),
    /// It was killed because it took longer than this.
    TimedOut(Duration),
    /// It was killed because it printed too much.
    TooMuch,
    /// It was killed because the caller stopped it.
    Stopped,
}

impl Exit {
    /// Describes the end in words, for all but exit code 0.
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

/// Part of a program's standard output that is kept.
#[derive(Clone, Copy, PartialEq)]
pub enum KeepOutput {
    /// All of it; a program that prints more than 4 MiB is killed.
    All,
    /// At least the last 4 MiB.
    End,
}

/// A program to run.
pub struct Program<'a> {
    /// Its name or path, and its arguments.
    pub words: &'a [String],
    /// Folder in which it runs; this process's own if `None`.
    pub folder: Option<&'a Path>,
    /// Variables to add to its environment.
    pub variables: &'a [(&'a str, String)],
    /// File for all that it prints, up to 16 MiB.
    pub log: Option<&'a Path>,
    pub timeout: Duration,
    pub keep: KeepOutput,
}

/// Runs a program in a process group of its own, which is killed with all that the program started if
/// need be, also when this process dies. Its standard input is empty. `stop` is polled; when it
/// returns true, the program is killed.
///
/// # Errors
/// The reason, when the program cannot be started.
pub fn run(asked: &Program, stop: &dyn Fn() -> bool) -> Result<Finished, String> {
    let &Program { words, timeout, keep, .. } = asked;
    let [program, arguments @ ..] = words else { return Err("no program".into()) };
    let log = asked.log.map(Log::new).transpose()?;
    let mut group = Group::new()?;
    let mut command = Command::new(program);
    if let Some(folder) = asked.folder {
        if !folder.is_dir() {
            return Err(format!("there is no folder {} to run {program} in", folder.display()));
        }
        command.current_dir(folder);
    }
    command.envs(asked.variables.iter().map(|(name, value)| (name, value)));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(group.number());
    let mut child = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
    let end_of = |text: &mut Vec<u8>| keep_last(text, LAST_BYTES);
    let stdout = Output::of(
        child.stdout.take(),
        match keep {
            KeepOutput::All => |text| text.len() <= MOST_OUTPUT,
            KeepOutput::End => |text| keep_last(text, MOST_OUTPUT),
        },
        log.clone(),
    );
    let stderr = Output::of(child.stderr.take(), end_of, log);
    let start = Instant::now();
    // A thread notices the end at once; looking for it now and then would delay short programs.
    let (teller, ended) = channel();
    thread::spawn(move || teller.send(child.wait()));
    let mut status = None;
    let killed = loop {
        let left = timeout.saturating_sub(start.elapsed());
        if let Ok(end) = ended.recv_timeout(POLL.min(left)) {
            status = Some(end);
            break None;
        }
        if keep == KeepOutput::All && stdout.is_too_much() {
            break Some(Exit::TooMuch);
        } else if stop() {
            break Some(Exit::Stopped);
        } else if left.is_zero() {
            break Some(Exit::TimedOut(timeout));
        }
    };
    if killed.is_some() {
        group.kill();
    }
    let (text, is_cut) = stdout.wait(GRACE);
    let too_much = keep == KeepOutput::All && text.len() > MOST_OUTPUT;
    group.kill();
    let lost = |_| Err(std::io::Error::other("the thread that waits has ended"));
    let status = (status.unwrap_or_else(|| ended.recv().unwrap_or_else(lost)))
        .map_err(|e| format!("cannot wait for {program}: {e}"))?;
    let ended = match status.code() {
        _ if too_much => Exit::TooMuch,
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.signal()),
    };
    Ok(Finished {
        exit: killed.unwrap_or(ended),
        stdout: String::from_utf8_lossy(&text).into_owned(),
        is_cut,
        stderr: String::from_utf8_lossy(&stderr.wait(GRACE).0).into_owned(),
    })
}

/// Waits until there is something to read, or nobody wants it any more: then true.
fn is_stopped(pipe: &impl AsFd, stopped: &PipeReader) -> bool {
    let mut both = [PollFd::new(pipe, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
    loop {
        match poll(&mut both, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return !both[1].revents().is_empty(),
        }
    }
}

/// Keeps at least the last `most` bytes; shortened rarely, since that moves them. Always true, since all
/// that comes is wanted.
fn keep_last(text: &mut Vec<u8>, most: usize) -> bool {
    if text.len() > 2 * most {
        text.drain(..text.len() - most);
    }
    true
}

/// A file for what a program prints.
struct Log {
    file: File,
    left: usize,
}

impl Log {
    /// Makes the file, which replaces an earlier one.
    fn new(path: &Path) -> Result<Arc<Mutex<Log>>, String> {
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let file = folder.and_then(|()| File::create(path));
        let file = file.map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(Arc::new(Mutex::new(Log { file, left: LONGEST_LOG })))
    }

    /// Appends bytes. If they cannot be written, only the log lacks them.
    fn add(&mut self, bytes: &[u8]) {
        let fits = &bytes[..bytes.len().min(self.left)];
        let _ = self.file.write_all(fits);
        if !fits.is_empty() && fits.len() == self.left {
            let _ = self.file.write_all(b"\n... the log ends here: more output is not kept\n");
        }
        self.left -= fits.len();
    }
}

/// The last `count` lines that are not empty, without control characters.
pub fn last_lines(text: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(count));
    let clean = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    lines.into_iter().map(clean).collect()
}

/// A process group, whose processes are killed when this is dropped.
struct Group {
    /// First process of the group, which gives it its number. It waits for the end of a pipe that only
    /// this process has open, and then kills the group. So the group ends even when this process is
    /// killed by SIGKILL. (The signal that Linux can send at the death of a parent would reach the
    /// program, but not the processes that it started.)
    guard: Child,
    /// Whether the guard was waited for; its number may belong to another process then.
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
        // The number of a process is positive and fits.
        self.guard.id() as i32
    }

    /// Kills all processes of the group.
    fn kill(&mut self) {
        if !self.reaped
            && let Some(group) = Pid::from_raw(self.number())
        {
            // An error means that no process is left.
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

/// Output of a pipe, read by a thread of its own until the last writer closes the pipe, or until this is
/// dropped: a process that the program left behind may keep the pipe open for ever.
struct Output {
    /// The bytes that are kept, and the number of those that were read.
    text: Arc<Mutex<(Vec<u8>, u64)>>,
    /// A channel that is disconnected when the thread ends.
    reading: Receiver<()>,
    /// The thread looks at the other end, which is closed when this is dropped.
    _stop: Option<PipeWriter>,
}

impl Output {
    /// Reads until the end, or until `keep` returns false; `keep` may shorten the text.
    fn of<P>(
        pipe: Option<P>,
        keep: fn(&mut Vec<u8>) -> bool,
        log: Option<Arc<Mutex<Log>>>,
    ) -> Output
    where
        P: Read + AsFd + Send + 'static,
    {
        let text = Arc::new(Mutex::new((Vec::new(), 0)));
        let (ends_with_the_thread, reading) = channel();
        // Without a free descriptor, the thread reads to the end.
        let (stopped, stop) = std::io::pipe().map_or((None, None), |(r, w)| (Some(r), Some(w)));
        if let Some(mut pipe) = pipe {
            let text = text.clone();
            thread::spawn(move || {
                let _held = ends_with_the_thread;
                let mut buffer = [0; 8192];
                while !stopped.as_ref().is_some_and(|stopped| is_stopped(&pipe, stopped))
                    && let Ok(n @ 1..) = pipe.read(&mut buffer)
                {
                    if let Some(log) = &log {
                        log.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..n]);
                    }
                    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                    text.0.extend_from_slice(&buffer[..n]);
                    text.1 += n as u64;
                    if !keep(&mut text.0) {
                        return;
                    }
                }
            });
        }
        Output { text, reading, _stop: stop }
    }

    /// Waits for the end of the pipe, at most `longest`; returns the text, and whether its beginning
    /// is missing.
    fn wait(&self, longest: Duration) -> (Vec<u8>, bool) {
        let _ = self.reading.recv_timeout(longest);
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        (text.0.clone(), text.1 > text.0.len() as u64)
    }

    fn is_too_much(&self) -> bool {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).0.len() > MOST_OUTPUT
    }
}
