//! Tells which process runs a trial, and whether it is alive.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

/// One open study of one process, as text in the file.
pub(super) struct Owner {
    /// `host/boot/pid namespace/`: processes with equal texts see each other.
    machine: String,
    text: String,
}

impl Owner {
    pub fn new() -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let pid = std::process::id();
        let start = start_of(pid).unwrap_or(0);
        let machine = machine();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Owner { text: format!("{machine}{pid}/{start}/{number}"), machine }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether the process of another owner still runs; `None` if that cannot be seen from here.
    pub fn is_alive(&self, other: &str) -> Option<bool> {
        let mut numbers = other.strip_prefix(&self.machine)?.split('/');
        let pid = numbers.next()?.parse().ok()?;
        let start: u64 = numbers.next()?.parse().ok()?;
        // If this process's own start cannot be seen, neither can another's.
        start_of(std::process::id())?;
        Some(start_of(pid) == Some(start))
    }
}

fn machine() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().replace('/', "_");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot: String = boot.chars().take(8).collect();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let space: String = space.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{host}/{boot}/{space}/")
}

/// Returns the start time of a process, in ticks since the machine's start, as Linux tells; `None`
/// if there is no such process. A zombie, which ended but was not waited for, counts as none.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold any character.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    // The iterator begins at field 3; the start is field 22.
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_living_and_the_dead() {
        let here = Owner::new();
        assert_eq!(here.is_alive(Owner::new().text()), Some(true));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_of(child.id()).unwrap();
        let text = format!("{}{}/{start}/1", here.machine, child.id());
        assert_eq!(here.is_alive(&text), Some(true));
        // Another process got the same number.
        let other = format!("{}{}/{}/1", here.machine, child.id(), start + 1);
        assert_eq!(here.is_alive(&other), Some(false));
        child.kill().unwrap();
        // The child is a zombie until it is waited for.
        while start_of(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(here.is_alive(&text), Some(false));
        child.wait().unwrap();
        assert_eq!(here.is_alive(&text), Some(false));
        assert_eq!(here.is_alive("elsewhere/1234/5/77/88/1"), None);
        assert_eq!(here.is_alive("nonsense"), None);
    }
}
