//! A reader of the name of this program: all targets are this file.

#![no_main]

#[path = "../../crates/lanner-bench/src/hostile/readers.rs"]
mod readers;
#[path = "../../crates/lanner-bench/src/hostile/seeds.rs"]
#[allow(dead_code)]
mod seeds;

use readers::READERS;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = env!("CARGO_BIN_NAME");
    let reader = READERS.iter().find(|reader| reader.name == name).expect("a reader of this name");
    // An error is a right answer; a panic is not.
    let _ = (reader.read)(bytes);
});
