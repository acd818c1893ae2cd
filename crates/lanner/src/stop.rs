//! Ctrl-C in campaigns.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// From here on the first Ctrl-C is what the returned function tells of, so that the network under way
/// is finished; a second one ends the process.
pub fn on_interrupt() -> impl Fn() -> bool {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // Without a handler Ctrl-C ends the process as ever, and loses no more than a network.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    move || stop.load(Ordering::Relaxed)
}

/// The same in three steps, for work with processes of its own: after the first Ctrl-C nothing new is
/// begun, after the second what is under way is ended, the third ends this process. Returns how often it
/// was pressed.
pub fn interrupts() -> impl Fn() -> usize + Clone + Send + Sync {
    let count = Arc::new(AtomicUsize::new(0));
    let pressed = count.clone();
    let _ = ctrlc::set_handler(move || {
        if pressed.fetch_add(1, Ordering::Relaxed) >= 2 {
            std::process::exit(130);
        }
    });
    move || count.load(Ordering::Relaxed)
}
