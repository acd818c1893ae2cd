//! Makes a study of a million trials in a folder (2.3 GB), or goes on with the one that is there, and
//! prints the times of the next rounds:
//! `cargo run --release -p lanner-search --example million -- FOLDER [TRIALS]`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use lanner_search::Job;
use lanner_search::study::{Measurement, Outcome, Study};
use rand::RngExt;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("expected a folder")?);
    let trials = args.next().map_or(Ok(1_000_000), |n| n.parse::<usize>())?;
    let job = Job::new("darts").maximise("accuracy").at_most("latency_ms", 5.0).budget(2 * trials);
    if !folder.exists() {
        fill(&Study::create(&folder, &job)?, trials)?;
    }

    let mut study = timed("open", || Study::open(&folder))?;
    for round in 1..=8 {
        // The first is of a process that has just begun.
        let asked = timed(&format!("ask, round {round}"), || study.ask(4))?;
        if asked.is_empty() {
            return Err("nothing was asked for".into());
        }
        timed("claim, measure and tell", || -> Result<(), Box<dyn Error>> {
            while let Some(trial) = study.claim()? {
                study.measured(&Measurement {
                    se: Some(0.02),
                    trial: Some(trial.id),
                    ..Measurement::new(&trial.arch, "latency_ms", 3.0)
                })?;
                let metrics = [("accuracy".to_string(), 91.0)].into();
                study.tell(trial.id, Outcome::Done { metrics })?;
            }
            Ok(())
        })?;
    }
    timed("best", || study.best())?.ok_or("no trial is the best")?;
    Ok(())
}

/// Writes the record of a search with as many rounds: predictions, a measurement of each trial, and in
/// a hundred trials one that failed with its output and some over the limit.
fn fill(study: &Study, trials: usize) -> Result<(), Box<dyn Error>> {
    let space = study.space();
    let mut connection = rusqlite::Connection::open(study.path())?;
    let transaction = connection.transaction()?;
    {
        let mut trial = transaction.prepare(
            "INSERT OR IGNORE INTO trial
             (round, arch, state, seed, owner, asked_at, started_at, finished_at, value, note)
             VALUES (?, ?, ?, ?, 'host/3f9c1a52-boot/417/1700000000', ?, ?, ?, ?, ?)",
        )?;
        let mut metric = transaction.prepare("INSERT INTO metric VALUES (?, ?, ?)")?;
        let mut prediction = transaction.prepare("INSERT INTO prediction VALUES (?, ?, ?, ?)")?;
        let mut measurement = transaction.prepare(
            "INSERT INTO measurement (arch, metric, value, se, trial, seed, budget, unix_time)
             VALUES (?, 'latency_ms', ?, 0.02, ?, 1, '20 blocks', ?)",
        )?;
        let mut rng = lanner_nn::rng(1, "million");
        let mut count = 0;
        while count < trials {
            let arch = space.sample(&mut rng);
            let text = space.print(&arch);
            let work = arch.codes().iter().filter(|c| **c % 3 == 1).count() as f64;
            let mut noise = || rng.random::<f64>() - 0.5;
            let latency = 1.5 + 0.35 * work + 0.4 * noise();
            let accuracy = 96.0 - 20.0 / (2.0 + work) + noise();
            let (round, time) = (1 + count as i64 / 4, 1.7e9 + 2.0 * count as f64);
            let state = match count % 100 {
                7 => "failed",
                _ if latency > 5.0 => "infeasible",
                _ => "done",
            };
            let value = (state == "done").then_some(accuracy);
            let note = (state == "failed").then(|| {
                let frame = "  File \"train.py\", line 41, in step\n    loss.backward()\n";
                format!("{}RuntimeError: loss is nan in epoch {}", frame.repeat(12), count % 7)
            });
            let row = (round, &text, state, 1, time, time + 1.0, time + 9.0, value, note);
            if trial.execute(row)? == 0 {
                continue;
            }
            count += 1;
            let id = transaction.last_insert_rowid();
            if state != "failed" {
                measurement.execute((&text, latency, id, time))?;
            }
            if let Some(value) = value {
                metric.execute((id, "accuracy", value))?;
                metric.execute((id, "test_accuracy", value - 1.0))?;
                metric.execute((id, "seconds", 8.0))?;
            }
            prediction.execute((id, "accuracy", accuracy + noise(), 0.4))?;
            prediction.execute((id, "latency_ms", latency + 0.3 * noise(), 0.1))?;
        }
    }
    // The next one who opens it adds the checksums of the rows.
    for table in ["study", "strategy", "trial", "measurement"] {
        transaction.execute(&format!("ALTER TABLE {table} DROP COLUMN checksum"), [])?;
    }
    transaction.pragma_update(None, "user_version", 5)?;
    transaction.commit()?;
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}
