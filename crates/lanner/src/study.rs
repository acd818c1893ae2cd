//! `lanner study` lists, shows and exports the records of searches, and saves what is sound in a damaged
//! one.

mod rescue;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use lanner_data::{Table, write_file};
use lanner_search::Bound;
use lanner_search::study::{FILE, Newest, Study, Trial};
use lanner_space::Architecture;
use serde_json::{Value, json};

use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows, shown, usage};

/// Look at studies: the records of searches
#[derive(Args)]
pub struct StudyArgs {
    #[command(subcommand)]
    command: StudyCommand,
}

#[derive(Subcommand)]
enum StudyCommand {
    List(ListArgs),
    Show(ShowArgs),
    Export(ExportArgs),
    Rescue(rescue::RescueArgs),
}

/// List the studies in a folder and those below it
#[derive(Args)]
#[command(after_help = "Examples:
  lanner study list
  lanner study list ~/searches --json | jq '.rows[].best'")]
struct ListArgs {
    /// The folder to look in
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show the settings of a study, its progress, why trials failed, and its best network, or for two
/// objectives all networks on the front
#[derive(Args)]
#[command(after_help = "Examples:
  lanner study show lanner-study
  lanner study show lanner-study --json | jq .best.arch")]
struct ShowArgs {
    /// Folder of the study, or its .db file
    study: PathBuf,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// Write the trials or the measurements of a study to a file
#[derive(Args)]
#[command(after_help = "\
A .csv file has one line a trial: what was evaluated, when and by which process, each metric, and its \
prediction before the evaluation. Metrics that were measured apart, such as a latency, are the newest \
ones of the network. A .json file has the same. A .parquet file is a table of numbers, \
one row an architecture that has metrics (the last of several measurements). Other commands read the \
.csv and .parquet files as tables.

Examples:
  lanner study export lanner-study --out trials.csv
  lanner study export lanner-study --out trials.json
  lanner study export lanner-study --measurements --out latencies.csv")]
struct ExportArgs {
    /// Folder of the study, or its .db file
    study: PathBuf,
    /// The file to write: .csv, .json or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file of --out even if it is of another kind
    #[arg(long)]
    force: bool,
    /// Write the measurements instead of the trials
    #[arg(long)]
    measurements: bool,
}

pub fn run(args: StudyArgs) -> anyhow::Result<()> {
    match args.command {
        StudyCommand::List(args) => list(&args),
        StudyCommand::Show(args) => show(&args),
        StudyCommand::Export(args) => export(&args),
        StudyCommand::Rescue(args) => rescue::run(&args),
    }
}

/// Levels of folders below the given one in which studies are looked for.
const DEPTH: usize = 4;

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let mut files = Vec::new();
    find(&args.folder, DEPTH, &mut files).with_context(|| format!("{}", args.folder.display()))?;
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        let row = Row::new().with("study", place(&file).display().to_string());
        // A study that cannot be read does not hide the others.
        rows.push(match summary(&file, row.clone()) {
            Ok(row) => row,
            Err(error) => row.with("error", error.to_string()),
        });
    }
    if rows.is_empty() && !args.json {
        println!("no study in {}; `lanner search` makes one", args.folder.display());
        return Ok(());
    }
    print_rows(&rows, args.json)
}

/// Shortens the path of a study's database to its folder, where the file has the usual name.
fn place(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if file.ends_with(FILE) && folder.file_name().is_some() => folder.into(),
        _ => file.into(),
    }
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth > 0 {
            // A folder that cannot be read is skipped.
            let _ = find(&path, depth - 1, files);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "db") {
            files.push(path);
        }
    }
    Ok(())
}

fn summary(file: &Path, row: Row) -> anyhow::Result<Row> {
    let study = Study::open_read_only(file)?;
    let (job, counts) = (study.job(), study.counts()?);
    let mut row = row
        .with("space", job.space.as_str())
        .with("strategy", job.strategy.text())
        .with("seed", job.seed)
        .with("done", counts.done)
        .with("failed", counts.failed)
        .with("infeasible", counts.infeasible)
        .with("pending", counts.asked + counts.running)
        .with("budget", job.budget);
    if let (Some(objective), Some(best)) = (job.objectives.first(), study.best()?)
        && let Some(value) = best.metrics.get(&objective.metric)
    {
        row = row.with("objective", objective.metric.as_str()).with("best", *value);
    }
    Ok(row)
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let study = Study::open_read_only(&args.study)?;
    let (job, counts) = (study.job(), study.counts()?);
    let (best, front) = (study.best()?, study.front()?);
    let failures = study.failures(FAILURES)?;
    if args.json {
        let json_of =
            |trials: &[Trial]| -> Value { trials.iter().map(|t| t.json(study.space())).collect() };
        let front = if job.objectives.len() > 1 { json_of(&front) } else { Value::Null };
        let all = json!({
            "study": study.path(), "settings": job, "counts": counts,
            "best": best.map(|t| t.json(study.space())), "front": front,
            "failures": json_of(&failures), "warm_start": study.origins()?,
        });
        println!("{all}");
        return Ok(());
    }
    let mut facts: Vec<(String, String)> = vec![
        ("study".into(), study.path().display().to_string()),
        ("space".into(), job.space.clone()),
    ];
    for o in &job.objectives {
        let aim = if o.maximise { "as large as possible" } else { "as small as possible" };
        facts.push((o.metric.clone(), aim.into()));
    }
    for l in &job.limits {
        let side = if matches!(l.bound, Bound::AtMost(_)) { "at most" } else { "at least" };
        facts.push((l.metric.clone(), format!("{side} {}", l.value())));
    }
    facts.push(("strategy".into(), job.strategy.to_string()));
    facts.push(("seed".into(), job.seed.to_string()));
    facts.push(("budget".into(), job.budget.to_string()));
    if let Some(Value::Object(setup)) = job.setup.as_ref().map(|s| json!(s)) {
        let own = setup.iter().filter(|(name, _)| !["options", "device"].contains(&name.as_str()));
        facts.extend(own.map(|(name, v)| (name.clone(), short(v))));
    }
    facts.extend(study.device()?.into_iter().map(|(name, v)| (format!("measured, {name}"), v)));
    let over = match study.done_over_a_limit()? {
        0 => String::new(),
        over => format!(", of which {over} over a limit"),
    };
    facts.push(("done".into(), format!("{}{over}", counts.done)));
    let (measured, looked_up) = study.measured_and_looked_up()?;
    for (name, count) in [
        ("failed", counts.failed),
        ("infeasible", counts.infeasible),
        ("asked for", counts.asked),
        ("running", counts.running),
        ("imported", counts.imported),
        ("measurements", measured),
        ("values looked up", looked_up),
    ] {
        facts.push((name.into(), count.to_string()));
    }
    for (origin, values) in study.origins()? {
        facts.push((format!("known from {origin}"), format!("{values} networks")));
    }
    let row = |(fact, value): (String, String)| Row::new().with("fact", fact).with("value", value);
    print_rows(&facts.into_iter().map(row).collect::<Vec<_>>(), false)?;
    println!();
    if counts.failed > failures.len() {
        println!("the last {} of {} failures:", failures.len(), counts.failed);
    }
    for trial in &failures {
        println!("trial {} failed, {}", trial.id, study.space().print(&trial.arch));
        let why = trial.note.as_deref().unwrap_or_default();
        why.lines().for_each(|line| println!("    {}", shown(line)));
    }
    if !failures.is_empty() {
        println!();
    }
    let chosen = if job.objectives.len() > 1 { front } else { best.into_iter().collect() };
    if chosen.is_empty() {
        println!("no trial is done yet within the limits");
        return Ok(());
    }
    let rows: Vec<Row> = chosen.iter().map(|t| trial_row(&study, t)).collect();
    print_rows(&rows, false)
}

/// Number of failed trials that are shown; an export has all.
const FAILURES: usize = 20;

/// Shortens a value of the settings to one line.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn trial_row(study: &Study, trial: &Trial) -> Row {
    let row = Row::new().with("trial", trial.id);
    let row = trial.metrics.iter().fold(row, |row, (name, value)| row.with(name, *value));
    row.with("arch", study.space().print(&trial.arch))
}

fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let study = Study::open_read_only(&args.study)?;
    let extension = args.out.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let kind = match extension {
        "json" => Kind::Json,
        "csv" | "parquet" => Kind::Table,
        _ => {
            let out = args.out.display();
            return Err(usage(format!("--out {out}: expected a file .csv, .json or .parquet")));
        }
    };
    out_file::check(&args.out, kind, &[study.path()], args.force)?;
    match (extension, args.measurements) {
        ("csv", false) => write_file(&args.out, &trials_csv(&study)?)?,
        ("csv", true) => write_file(&args.out, &measurements_csv(&study)?)?,
        ("json", false) => write_file(&args.out, &trials_json(&study)?)?,
        ("json", true) => {
            let all: Vec<Value> =
                study.measurements()?.iter().map(|m| m.json(study.space())).collect();
            write_file(&args.out, &serde_json::to_vec(&all)?)?
        }
        (_, false) => {
            let mut columns = Columns::default();
            for_each_trial(&study, &study.newest()?, |t| {
                if !t.metrics.is_empty() {
                    let row = columns.row_of(&t.arch);
                    columns.set(row, "trial", t.id as f64);
                    columns.set(row, "round", t.round.into());
                    t.metrics.iter().for_each(|(name, value)| columns.set(row, name, *value));
                }
                anyhow::Ok(())
            })?;
            columns.table(&study)?.write(&args.out)?;
        }
        (_, true) => {
            let mut columns = Columns::default();
            for m in study.measurements()? {
                let row = columns.row_of(&m.arch);
                columns.set(row, &m.metric, m.value);
            }
            columns.table(&study)?.write(&args.out)?;
        }
    }
    Ok(())
}

/// Calls `each` with all trials; their metrics include the newest measurements of their networks.
fn for_each_trial(
    study: &Study,
    newest: &Newest,
    mut each: impl FnMut(Trial) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    study.for_each_trial(|trial| each(newest.complete(trial)))
}

/// Writes trial by trial: all of them at once would take more memory than the file.
fn trials_csv(study: &Study) -> anyhow::Result<Vec<u8>> {
    let (mut metrics, mut believed) = (BTreeSet::new(), BTreeSet::new());
    let newest = study.newest()?;
    for_each_trial(study, &newest, |t| {
        for (names, of_trial) in [
            (&mut metrics, t.metrics.into_keys().collect::<Vec<_>>()),
            (&mut believed, t.predicted.into_keys().collect()),
        ] {
            names.extend(of_trial);
        }
        anyhow::Ok(())
    })?;
    let mut out = csv::Writer::from_writer(Vec::new());
    let facts = ["arch", "trial", "round", "state", "seed"];
    let about = ["origin", "owner", "asked_at", "started_at", "finished_at", "note"];
    let mut header: Vec<String> = facts.map(String::from).into();
    // A metric with the name of another column gets a prefix.
    let taken = |name: &str| facts.contains(&name) || about.contains(&name);
    let named = |name: &String| if taken(name) { format!("metric_{name}") } else { name.clone() };
    header.extend(metrics.iter().map(named));
    header.extend(
        believed.iter().flat_map(|n| [format!("{n}_believed"), format!("{n}_believed_sd")]),
    );
    header.extend(about.map(String::from));
    out.write_record(&header)?;
    let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    for_each_trial(study, &newest, |t| {
        let mut line = vec![
            study.space().print(&t.arch),
            t.id.to_string(),
            t.round.to_string(),
            t.state.name().to_string(),
            t.seed.to_string(),
        ];
        line.extend(metrics.iter().map(|m| number(t.metrics.get(m).copied())));
        for name in &believed {
            let belief = t.predicted.get(name);
            line.extend([number(belief.map(|b| b.0)), number(belief.map(|b| b.1))]);
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        line.extend([text(&t.origin), text(&t.owner), t.asked_at.to_string()]);
        line.extend([number(t.started_at), number(t.finished_at), text(&t.note)]);
        out.write_record(&line)?;
        anyhow::Ok(())
    })?;
    Ok(out.into_inner()?)
}

fn trials_json(study: &Study) -> anyhow::Result<Vec<u8>> {
    let mut out = vec![b'['];
    for_each_trial(study, &study.newest()?, |t| {
        if out.len() > 1 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, &t.json(study.space()))?;
        anyhow::Ok(())
    })?;
    out.push(b']');
    Ok(out)
}

fn measurements_csv(study: &Study) -> anyhow::Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["arch", "metric", "value", "se", "trial", "seed", "budget", "unix_time"])?;
    for m in study.measurements()? {
        let optional = |text: Option<String>| text.unwrap_or_default();
        out.write_record([
            study.space().print(&m.arch),
            m.metric.clone(),
            m.value.to_string(),
            optional(m.se.map(|se| se.to_string())),
            optional(m.trial.map(|t| t.to_string())),
            m.seed.to_string(),
            m.budget.clone(),
            m.unix_time.to_string(),
        ])?;
    }
    Ok(out.into_inner()?)
}

/// Columns of numbers, one row an architecture; the last of several values counts.
#[derive(Default)]
struct Columns {
    rows: HashMap<Architecture, usize>,
    archs: Vec<Architecture>,
    names: Vec<String>,
    /// Columns of values; one may be shorter than `archs` until [`Columns::table`] fills it up.
    values: Vec<Vec<f64>>,
}

impl Columns {
    fn row_of(&mut self, arch: &Architecture) -> usize {
        *self.rows.entry(arch.clone()).or_insert_with(|| {
            self.archs.push(arch.clone());
            self.archs.len() - 1
        })
    }

    fn set(&mut self, row: usize, name: &str, value: f64) {
        // A table refuses latencies that are not above 0.
        if name.ends_with("_ms") && value <= 0.0 {
            return;
        }
        let column = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.values.push(Vec::new());
            self.names.len() - 1
        });
        let values = &mut self.values[column];
        values.resize(values.len().max(row + 1), f64::NAN);
        values[row] = value;
    }

    fn table(mut self, study: &Study) -> anyhow::Result<Table> {
        self.values.iter_mut().for_each(|v| v.resize(self.archs.len(), f64::NAN));
        Ok(Table::new(study.space().clone(), self.archs, self.names, self.values)?)
    }
}
