//! Ctrl-C in campaigns, and SIGTERM, which is what service managers and batch systems send.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{consts::SIGTERM, flag};

/// From here on the first Ctrl-C is what the returned function tells of, so that the network under way
/// is finished; a second one ends the process.
pub fn on_interrupt() -> impl Fn() -> bool {
    let pressed = count(1, |_| {});
    move || pressed() > 0
}

/// The same in three steps, for work with processes of its own: after the first Ctrl-C nothing new is
/// begun, after the second what is under way is ended, the third ends this process. Returns how often it
/// was pressed; `tell` is called with that each time.
pub fn interrupts(tell: impl Fn(usize) + Send + 'static) -> impl Fn() -> usize + Sync {
    count(2, tell)
}

/// Counts up to `patience`. Who sends SIGTERM kills soon: it counts as often as Ctrl-C is borne, and ends
/// the process the second time. SIGHUP is left alone for the sake of `nohup`.
fn count(patience: usize, tell: impl Fn(usize) + Send + 'static) -> impl Fn() -> usize + Sync {
    let count = Arc::new(AtomicUsize::new(0));
    let pressed = count.clone();
    // Without a handler a signal ends the process as ever, and loses no more than what is under way.
    let _ = ctrlc::set_handler(move || {
        let before = pressed.fetch_add(1, Ordering::Relaxed);
        if before >= patience {
            std::process::exit(130);
        }
        tell(before + 1);
    });
    let terminated = Arc::new(AtomicBool::new(false));
    // In this order: the first finds what the second has set the time before.
    let _ = flag::register_conditional_shutdown(SIGTERM, 143, terminated.clone());
    let _ = flag::register(SIGTERM, terminated.clone());
    move || {
        let of_terminate = if terminated.load(Ordering::Relaxed) { patience } else { 0 };
        count.load(Ordering::Relaxed) + of_terminate
    }
}
