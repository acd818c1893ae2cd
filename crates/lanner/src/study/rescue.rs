//! `lanner study rescue` saves what is sound in a damaged study.

use std::path::PathBuf;

use clap::Args;
use lanner_search::study::Study;
use serde_json::json;

use crate::output::{Row, print_rows};

/// Save what is sound in a damaged study to a new one
#[derive(Args)]
#[command(after_help = "\
Each trial and each measurement has a checksum; those that can be read and have the right one are saved. \
The damaged study stays as it is. Where its settings are lost, the folder gets trials.csv and \
measurements.csv instead of a study.

Examples:
  lanner study rescue lanner-study --out saved
  lanner search --resume --out saved")]
pub struct RescueArgs {
    /// Folder of the study, or its .db file
    study: PathBuf,
    /// The folder for the new study
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// Number of damaged rows that are named; JSON has all.
const NAMED: usize = 20;

pub fn run(args: &RescueArgs) -> anyhow::Result<()> {
    let rescued = Study::rescue(&args.study, &args.out)?;
    if args.json {
        println!("{}", json!(rescued));
        return Ok(());
    }
    let numbers = |lost: &[i64]| {
        let mut words: Vec<String> = lost.iter().take(NAMED).map(i64::to_string).collect();
        if lost.len() > NAMED {
            words.push(format!("and {} more", lost.len() - NAMED));
        }
        if words.is_empty() { "none".into() } else { words.join(", ") }
    };
    let out = args.out.display();
    let made = match &rescued.study {
        Some(study) => study.display().to_string(),
        None => format!("none: its settings are lost; {out} has trials.csv and measurements.csv"),
    };
    let settings = match rescued.lost_settings.as_slice() {
        [] => "none".into(),
        lost => lost.join(", "),
    };
    let facts = [
        ("new study", made),
        ("trials saved", rescued.trials.to_string()),
        ("trials lost", numbers(&rescued.lost_trials)),
        ("measurements saved", rescued.measurements.to_string()),
        ("measurements lost", numbers(&rescued.lost_measurements)),
        ("settings lost", settings),
    ];
    let row = |(fact, value): (&str, String)| Row::new().with("fact", fact).with("value", value);
    print_rows(&facts.map(row), false)
}
