//! Ctrl-C in campaigns.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
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
