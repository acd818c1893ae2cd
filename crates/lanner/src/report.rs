//! `lanner report` writes a study as a page; `lanner watch` serves it live.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lanner_report::{FILE, Report, serve};
use lanner_search::run::{Run, Tables, random_search};
use lanner_search::study::Study;

use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows};

/// Write the report of a search: one HTML file with plots, tables and drawings
#[derive(clap::Args)]
#[command(after_help = "\
The file needs no other file and no network.

Examples:
  lanner report lanner-study
  lanner report lanner-study --open
  lanner report lanner-study --out monday.html --json")]
pub struct ReportArgs {
    /// Folder of the study, or its database
    #[arg(value_name = "STUDY")]
    study: PathBuf,
    /// The file to write [default: report.html beside the study]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file of --out even if it is of another kind
    #[arg(long)]
    force: bool,
    /// Show the report in the browser
    #[arg(long)]
    open: bool,
    /// Print the file's name and size as JSON
    #[arg(long)]
    json: bool,
}

/// Show the report of a search while it runs, in a browser on this machine
#[derive(clap::Args)]
#[command(after_help = "\
The page follows the study by itself and keeps the reader's place. The study is only read. Only \
programs on this machine can reach the page. Ctrl-C ends it.

Examples:
  lanner watch lanner-study
  lanner watch lanner-study --port 8080 --open")]
pub struct WatchArgs {
    /// Folder of the study, or its database
    #[arg(value_name = "STUDY")]
    study: PathBuf,
    /// The port of 127.0.0.1 to serve the page on [default: a free one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Show the page in the browser
    #[arg(long)]
    open: bool,
}

pub fn run(args: ReportArgs) -> anyhow::Result<()> {
    let study = Study::open_read_only(&args.study)?;
    let out = args.out.unwrap_or_else(|| beside(study.path()));
    out_file::check(&out, Kind::Report, &[study.path()], args.force)?;
    let mut report = Report::of(&study)?;
    add_baseline(&mut report);
    let bytes = report.write(&out)?;
    if args.json {
        let row = Row::new()
            .with("report", out.display().to_string())
            .with("bytes", bytes)
            .with("trials", report.trials());
        print_rows(&[row], true)?;
    } else {
        println!("{}", out.display());
    }
    if args.open {
        open(&out.display().to_string())?;
    }
    Ok(())
}

pub fn watch(args: WatchArgs) -> anyhow::Result<()> {
    let server = serve(&args.study, args.port, add_baseline)?;
    let address = format!("http://{}/", server.address());
    let shows = match args.study.exists() {
        true => "shows",
        false => "waits for a study in",
    };
    println!("{address} {shows} {}; Ctrl-C ends it", args.study.display());
    if args.open {
        open(&address)?;
    }
    server.run();
    Ok(())
}

/// Writes the report of a run beside its study.
pub fn write(run: &Run) -> anyhow::Result<()> {
    let report = Report::of(run.study())?;
    report.write(beside(run.study().path()))?;
    Ok(())
}

/// Returns the report's path, beside the study's database.
fn beside(study: &Path) -> PathBuf {
    study.with_file_name(FILE)
}

/// Adds the curve of random search, which is known where a table replaces trainings.
fn add_baseline(report: &mut Report) {
    if report.baseline.is_some() {
        return;
    }
    report.baseline = random_search(report.job(), report.trials(), &mut Tables::default());
}

/// Opens a file or an address with the desktop's program for it.
fn open(what: &str) -> anyhow::Result<()> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started =
        Command::new(program).arg(what).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            anyhow::bail!("{program} cannot show {what} ({status}); open it in a browser")
        }
        Err(e) => anyhow::bail!("cannot run {program} ({e}); open {what} in a browser"),
    }
}
