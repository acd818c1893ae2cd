//! Handles Ctrl-C during long work, and SIGTERM, which service managers and batch systems send.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{consts::SIGTERM, flag};

/// Catches Ctrl-C: after the first one, the returned function says true, so that the caller finishes
/// the current network and stops. A second one ends the process.
pub fn on_interrupt() -> impl Fn() -> bool {
    let pressed = count(1, |_| {});
    move || pressed() > 0
}

/// Catches Ctrl-C in three steps, for work that runs other processes: after the first one the caller
/// begins nothing new, after the second it ends what is running, and the third ends this process. The
/// returned function tells how often Ctrl-C was pressed; `tell` is called with that number each time.
pub fn interrupts(tell: impl Fn(usize) + Send + 'static) -> impl Fn() -> usize + Sync {
    count(2, tell)
}

/// Counts presses of Ctrl-C; one more than `patience` ends the process. A SIGTERM counts as `patience`
/// presses, since its sender soon kills, and a second one ends the process. SIGHUP is not handled, so
/// that `nohup` works.
fn count(patience: usize, tell: impl Fn(usize) + Send + 'static) -> impl Fn() -> usize + Sync {
    let count = Arc::new(AtomicUsize::new(0));
    let pressed = count.clone();
    // If no handler can be set, a signal just ends the process; only the current work is lost.
    let _ = ctrlc::set_handler(move || {
        let before = pressed.fetch_add(1, Ordering::Relaxed);
        if before >= patience {
            std::process::exit(130);
        }
        tell(before + 1);
    });
    let terminated = Arc::new(AtomicBool::new(false));
    // The order matters: at the second SIGTERM the shutdown finds the flag that the first one set.
    let _ = flag::register_conditional_shutdown(SIGTERM, 143, terminated.clone());
    let _ = flag::register(SIGTERM, terminated.clone());
    move || {
        let from_sigterm = if terminated.load(Ordering::Relaxed) { patience } else { 0 };
        count.load(Ordering::Relaxed) + from_sigterm
    }
}
