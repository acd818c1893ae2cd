//! Feeds hostile inputs to every reader: none may panic, take long or need much memory.
//!
//! The inputs are good ones that are changed at random; those with a result or an error of a new kind are
//! changed further. All follows from the seed, so that a run can be repeated. `fuzz/` has the same
//! readers for libFuzzer, which looks at the code that an input reaches.

mod mutate;
mod readers;
mod seeds;

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lanner::output::{Row, print_rows, usage};
use lanner_nn::Rng;
use readers::{READERS, Reader};

/// Feed hostile inputs to every reader of files and texts
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lanner-bench hostile --seconds 60
  lanner-bench hostile --damaged 10000
  lanner-bench hostile --reader csv --reader toml --runs 1000000 --seed 7 --failures found
  lanner-bench hostile --replay found
  lanner-bench hostile --write fuzz/corpus")]
pub struct HostileArgs {
    /// The readers to try [default: all]
    #[arg(long, value_name = "NAME")]
    reader: Vec<String>,
    /// Seconds for each reader
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    seconds: f64,
    /// Number of inputs for each reader, instead of a time
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    runs: Option<u64>,
    /// Number of inputs that are good ones with flipped bits, zeroed pages, or cut off
    #[arg(long, value_name = "N", conflicts_with_all = ["seconds", "runs"])]
    damaged: Option<u64>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the inputs that failed, one folder a reader
    #[arg(long, value_name = "DIR")]
    failures: Option<PathBuf>,
    /// Read the files DIR/READER/* again instead of making inputs
    #[arg(long, value_name = "DIR")]
    replay: Option<PathBuf>,
    /// Write the good inputs to DIR/READER/ instead of making hostile ones: the corpus that fuzz/ begins with
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    write: Option<PathBuf>,
    /// Write each input to this file before it is read: the last one is what ended the process
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

/// Longest time for an input of at most a megabyte, and most memory, bytes.
const MOST_TIME: Duration = Duration::from_secs(1);
const MOST_MEMORY: u64 = 256 << 20;
/// Largest number of inputs that are changed further.
const MOST_KEPT: usize = 2000;
/// Number of inputs between two looks at the memory.
const BATCH: u64 = 64;
/// Time between two lines of progress.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Result of trying a reader with many inputs.
#[derive(Default)]
struct Tally {
    runs: u64,
    values: u64,
    slowest: Duration,
    memory: u64,
    kinds: HashSet<String>,
    failures: Vec<String>,
}

pub fn run(args: HostileArgs) -> anyhow::Result<()> {
    let known: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
    if let Some(name) = args.reader.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(usage(format!("--reader {name}: expected one of {}", known.join(", "))));
    }
    let is_parquet = cfg!(feature = "parquet");
    if !is_parquet && args.reader.iter().any(|name| name == "parquet") {
        return Err(usage(
            "--reader parquet: this build has no such reader; build with --features parquet",
        ));
    }
    thread_local!(static PLACE: RefCell<String> = const { RefCell::new(String::new()) });
    panic::set_hook(Box::new(|info| PLACE.set(info.to_string())));
    let mut rows = Vec::new();
    let mut failed = 0;
    for reader in &READERS {
        if !args.reader.is_empty() && !args.reader.iter().any(|name| name == reader.name) {
            continue;
        }
        if reader.name == "parquet" && !is_parquet {
            eprintln!(
                "parquet: left out, for this build has no such reader; build with --features parquet"
            );
            continue;
        }
        if let Some(folder) = args.write.as_ref().map(|folder| folder.join(reader.name)) {
            fs::create_dir_all(&folder)?;
            for (number, bytes) in seeds::of(reader.name).iter().enumerate() {
                fs::write(folder.join(format!("{number:05}")), bytes)?;
            }
            continue;
        }
        let start = Instant::now();
        let mut tally = Tally::default();
        let mut feed = |tally: &mut Tally, bytes: &[u8]| -> anyhow::Result<bool> {
            if let Some(path) = &args.trace {
                fs::write(path, bytes)?;
            }
            let before = tally.failures.len();
            let is_new = one(reader, bytes, tally, &|| PLACE.take());
            if let Some(folder) = args.failures.as_ref().filter(|_| tally.failures.len() > before) {
                let folder = folder.join(reader.name);
                fs::create_dir_all(&folder)?;
                fs::write(folder.join(format!("{:05}", tally.runs)), bytes)?;
            }
            Ok(is_new)
        };
        match &args.replay {
            Some(folder) => {
                let Ok(entries) = fs::read_dir(folder.join(reader.name)) else { continue };
                for entry in entries {
                    feed(&mut tally, &fs::read(entry?.path())?)?;
                }
            }
            None => make(&args, reader, &mut tally, &mut feed)?,
        }
        failed += tally.failures.len();
        for failure in tally.failures.iter().take(5) {
            eprintln!("{}: {failure}", reader.name);
        }
        rows.push(
            Row::new()
                .with("reader", reader.name)
                .with("inputs", tally.runs)
                .with("values", tally.values)
                .with("kinds", tally.kinds.len())
                .with("slowest_ms", tally.slowest.as_secs_f64() * 1e3)
                .with("most_mb", tally.memory as f64 / 1e6)
                .with("failures", tally.failures.len())
                .with("seconds", start.elapsed().as_secs_f64()),
        );
    }
    let _ = panic::take_hook();
    if let Some(folder) = readers::file("x", &[]).parent() {
        let _ = fs::remove_dir_all(folder);
    }
    if args.write.is_none() {
        print_rows(&rows, args.json)?;
    }
    match failed {
        0 => Ok(()),
        n => anyhow::bail!("{n} inputs failed"),
    }
}

/// Makes inputs until the time or the number of runs is up.
fn make(
    args: &HostileArgs,
    reader: &Reader,
    tally: &mut Tally,
    feed: &mut impl FnMut(&mut Tally, &[u8]) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut corpus = seeds::of(reader.name);
    let good = corpus.len();
    for bytes in corpus.clone() {
        feed(tally, &bytes)?;
    }
    let mut rng = lanner_nn::rng(args.seed, reader.name);
    let start = Instant::now();
    let mut told = start;
    let input = |rng: &mut Rng, corpus: &[Vec<u8>], number: u64| match args.damaged {
        Some(_) => mutate::damaged(rng, &corpus[number as usize % good]),
        None => mutate::mutated(rng, corpus),
    };
    let mut made = 0;
    let is_over = |made: u64| match args.damaged.or(args.runs) {
        Some(runs) => made >= runs,
        None => start.elapsed().as_secs_f64() >= args.seconds,
    };
    while !is_over(made) {
        let before = (rng.clone(), made);
        let kept = corpus.len();
        let floor = memory::forget();
        while made < before.1 + BATCH && !is_over(made) {
            let bytes = input(&mut rng, &corpus[..kept], made);
            made += 1;
            if feed(tally, &bytes)? && corpus.len() < MOST_KEPT && args.damaged.is_none() {
                corpus.push(bytes);
            }
        }
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            eprintln!("{}: {} inputs, {} failures", reader.name, tally.runs, tally.failures.len());
        }
        let needed = memory::peak().saturating_sub(floor);
        if needed <= MOST_MEMORY {
            tally.memory = tally.memory.max(needed);
            continue;
        }
        // Looks for the input that needed so much.
        let (mut again, first) = before;
        for number in first..made {
            let bytes = input(&mut again, &corpus[..kept], number);
            let floor = memory::forget();
            feed(tally, &bytes)?;
            let needed = memory::peak().saturating_sub(floor);
            tally.memory = tally.memory.max(needed);
            if needed > MOST_MEMORY {
                tally
                    .failures
                    .push(format!("input {number} of seed {} needs {needed} bytes", args.seed));
            }
        }
    }
    Ok(())
}

/// Reads one input; returns whether its outcome is of a new kind.
fn one(reader: &Reader, bytes: &[u8], tally: &mut Tally, place: &dyn Fn() -> String) -> bool {
    let read = || {
        let start = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes)));
        (outcome, start.elapsed())
    };
    let (mut outcome, mut took) = read();
    if took > MOST_TIME {
        // Other processes may have held the processor: time off it counts a tenth, so that a wait without end is
        // still found.
        let before = on_processor();
        let again = read();
        let busy = on_processor().saturating_sub(before).max(again.1 / 10);
        (outcome, took) = (again.0, again.1.min(busy));
    }
    tally.runs += 1;
    tally.slowest = tally.slowest.max(took);
    if took > MOST_TIME && bytes.len() <= 1 << 20 {
        tally.failures.push(format!("{:.1} s for {} bytes", took.as_secs_f64(), bytes.len()));
    }
    let words = match outcome {
        Ok(Ok(value)) => {
            tally.values += 1;
            value
        }
        Ok(Err(why)) => why,
        Err(_) => {
            tally.failures.push(place());
            return false;
        }
    };
    // Numbers and quoted texts are of the input, not of the kind.
    let mut kind = String::new();
    let mut is_quoted = false;
    for c in words.chars().take(300) {
        is_quoted ^= c == '\'';
        if !is_quoted && !c.is_numeric() {
            kind.push(c);
        }
    }
    tally.kinds.len() < MOST_KEPT && tally.kinds.insert(kind)
}

/// Time that this thread has had a processor, as Linux tells; elsewhere, the time of day.
fn on_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match text.split(' ').next().and_then(|ns| ns.parse().ok()) {
        Some(ns) => Duration::from_nanos(ns),
        None => std::time::UNIX_EPOCH.elapsed().unwrap_or_default(),
    }
}

/// Memory of this process, as Linux tells; 0 elsewhere.
mod memory {
    use std::fs;

    /// Forgets the peak, and returns the memory that is held now, in bytes.
    pub fn forget() -> u64 {
        let _ = fs::write("/proc/self/clear_refs", "5");
        of("VmRSS:")
    }

    /// Returns the most memory since the last [`forget`], in bytes.
    pub fn peak() -> u64 {
        of("VmHWM:")
    }

    fn of(name: &str) -> u64 {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    }
}
