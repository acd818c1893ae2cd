//! Makes computations of this process pause while a latency is measured.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for a computation to pause; after it, the measurement begins anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pauses workers while another thread measures.
#[derive(Default)]
pub(super) struct Quiet {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether a thread measures or is about to.
    is_wanted: bool,
    working: usize,
    paused: usize,
}

impl Quiet {
    fn state(&self) -> MutexGuard<'_, State> {
        // The counts are right even after a worker panicked, since guards count back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the caller among the workers until the guard is dropped.
    pub fn work(&self) -> Working<'_> {
        self.state().working += 1;
        Working(self)
    }

    /// Waits while quiet is wanted. Workers call this often.
    pub fn pause(&self) {
        let mut state = self.state();
        if !state.is_wanted {
            return;
        }
        state.paused += 1;
        self.changed.notify_all();
        while state.is_wanted {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.paused -= 1;
    }

    /// Runs `measure` while all workers pause.
    pub fn during<T>(&self, measure: impl FnOnce() -> T) -> T {
        struct Reset<'a>(&'a Quiet);
        impl Drop for Reset<'_> {
            fn drop(&mut self) {
                self.0.state().is_wanted = false;
                self.0.changed.notify_all();
            }
        }
        let mut state = self.state();
        state.is_wanted = true;
        let reset = Reset(self);
        let wait = self.changed.wait_timeout_while(state, PATIENCE, |s| s.paused < s.working);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
        let result = measure();
        drop(reset);
        result
    }
}

/// A guard of a working worker.
pub(super) struct Working<'a>(&'a Quiet);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.state().working -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

    use super::*;

    #[test]
    fn workers_pause_while_something_is_measured() {
        let (quiet, steps, end) = (Quiet::default(), AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let _working = quiet.work();
                    while !end.load(SeqCst) {
                        quiet.pause();
                        steps.fetch_add(1, SeqCst);
                    }
                });
            }
            for _ in 0..5 {
                while steps.load(SeqCst) < 10 {
                    std::thread::yield_now();
                }
                quiet.during(|| {
                    let before = steps.load(SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    assert_eq!(steps.load(SeqCst), before);
                    steps.store(0, SeqCst);
                });
            }
            end.store(true, SeqCst);
        });
        assert_eq!(quiet.state().working, 0);
        // Without workers there is nothing to wait for.
        assert_eq!(quiet.during(|| 7), 7);
    }
}
