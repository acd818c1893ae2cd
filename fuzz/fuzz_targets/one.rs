//! A reader of the name of this program: all targets are this file.

#![no_main]

#[path = "../../crates/lanner-bench/src/hostile/readers.rs"]
mod readers;
#[path = "../../crates/lanner-bench/src/hostile/seeds.rs"]
#[allow(dead_code)]
mod seeds;

use readers::READERS;

/// Lets panics unwind, which libfuzzer-sys ends at once: those of the Parquet library are caught and become errors.
/// One that nobody catches still ends the process.
fn let_panics_unwind() {
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
}

libfuzzer_sys::fuzz_target!(init: let_panics_unwind(), |bytes: &[u8]| {
    let name = env!("CARGO_BIN_NAME");
    let reader = READERS.iter().find(|reader| reader.name == name).expect("a reader of this name");
    // An error is a right answer; a panic is not.
    let _ = (reader.read)(bytes);
});
