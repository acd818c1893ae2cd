//! Runs a network by rten as often as each line of the standard input says, and answers each line with the
//! mean milliseconds of a run: `runs FILE THREADS`. `latbench/measure_paired.py` alternates it with
//! another runtime.

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::path::Path;

use lanner_evaluate::measure::{Rten, Runtime};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, threads] = &args[..] else {
        return Err("expected: runs FILE THREADS".into());
    };
    let runtime = Rten::new(threads.parse()?);
    let mut session = runtime.load_file(Path::new(file))?;
    for line in stdin().lines() {
        let mut samples = Vec::new();
        session.time(line?.trim().parse()?, &mut samples)?;
        println!("{}", samples.iter().sum::<f64>() / samples.len() as f64);
        stdout().flush()?;
    }
    Ok(())
}
