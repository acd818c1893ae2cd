//! `lanner adapt` fits a predictor to a few values of a latency or an accuracy, with the help of tables of
//! other devices, tasks and spaces.

mod device;
mod task;

use std::path::{Path, PathBuf};
use std::time::Instant;

use lanner_data::{MetricKind, Table, built_in, is_latency};
use lanner_predict::Forecast;
use lanner_predict::accuracy::adapted::PROXIES;
use lanner_predict::metrics::{coverage, spearman, within_of_truth};
use lanner_predict::predictor::Target;
use lanner_space::Space;

use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows, usage};
use crate::selection::read_table;
use lanner::say;

/// Predict a latency or an accuracy from a few values and tables of other devices, tasks and spaces
#[derive(clap::Args)]
#[command(after_help = "\
The metric's name tells whether it is a cost, such as a latency (less is better), a rate such as images_per_s \
(more is better; learnt as the cost whose reciprocal it is), or an accuracy (more is better); else --as does. \
The printed quality is leave-one-out: each value is predicted from the others.

LATENCIES. Every column of the sources that is named as a latency (pixel_ms) is a source device; for an energy (board_mJ, \
board_Wh) or a memory (board_MB), every column of that kind; rates (board_images_per_s) count as the \
latencies whose reciprocals they are. Without --sources, the \
prior is made of analytic costs of the networks only. `--sources built-in` is Lanner's own table of \
NAS-Bench-201: one server processor, two runtimes, two precisions. Ten measurements are enough for a \
start; choose them by `lanner measure --choose 10`. For a device that was measured in another space, \
give --from tables with its measurements there, and with those of at least two other devices that \
--sources has too, in columns with the same names.

ACCURACIES. Twenty trained networks are enough for a start. Each table of --sources and --from is \
another task, in this space or in --from-space. Its accuracies are in the column of TABLE:COLUMN, else \
in the column with the metric's name. Columns of zero-cost proxies (with the names that `lanner \
proxies` uses) in these tables and in --proxies are used too. --prior FILE:rank starts from the untrained \
score of a table of `lanner proxies` of this space, as `lanner search --warm-start FILE:rank` does: \
accuracies are expected to rise with it as far as the trained networks bear that out. A few hundred \
networks are enough; the score of others is predicted from theirs. Tables of --proxies are features alone unless \
--prior names them too.

Examples:
  lanner measure --choose 10 --out mine.csv
  lanner adapt --target mine.csv --out mine.lanner
  lanner rank mine.lanner --top 10
  lanner adapt --sources a.csv b.csv --target mine.csv --metric phone_ms \\
    --out phone.lanner --json
  lanner adapt --space darts --target mine.csv --archs candidates.txt \\
    --out mine.lanner
  lanner adapt --space fbnet --target three.csv --metric phone_ms \\
    --sources devices-fbnet.csv --from-space nasbench201 \\
    --from phone-201.csv devices-201.csv --out phone.lanner
  lanner adapt --target twenty.csv --metric val_accuracy \\
    --sources cifar10.csv:test_accuracy --proxies proxies.csv --out mine.lanner
  lanner adapt --target ten.csv --metric val_accuracy --prior proxies.csv:rank \
    --out mine.lanner
  lanner adapt --space darts --target twenty.csv --metric val_accuracy \\
    --from-space nasbench201 --from cifar10.csv:test_accuracy --out mine.lanner")]
pub struct AdaptArgs {
    /// The table of your own measurements or trainings
    #[arg(long, value_name = "TABLE")]
    target: PathBuf,
    /// The column to predict [default: the only latency, else the only one]
    #[arg(long)]
    metric: Option<String>,
    /// latency (a cost: positive, less is better), rate (the reciprocal of one: more is better) or accuracy
    /// (more is better) [default: what the metric's name tells]
    #[arg(long = "as", value_parser = ["latency", "rate", "accuracy"])]
    target_as: Option<String>,
    /// The search space: a name or a .toml file
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// Tables of other devices or tasks in the same space; built-in is Lanner's own for nasbench201
    #[arg(long, value_name = "TABLE[:COLUMN]", num_args = 1..)]
    sources: Vec<String>,
    /// The search space of the tables of --from, another one than --space
    #[arg(long, value_name = "SPACE", requires = "from")]
    from_space: Option<String>,
    /// Tables in --from-space: of other tasks, or for a latency of your own device and of other devices
    #[arg(long, value_name = "TABLE[:COLUMN]", num_args = 1.., requires = "from_space")]
    from: Vec<String>,
    /// For latencies: your own device's column in the tables of --from [default: as --metric]
    #[arg(long, value_name = "COLUMN", requires = "from")]
    from_metric: Option<String>,
    /// For accuracies: a table of zero-cost proxies of networks, as `lanner proxies` writes it
    #[arg(long, value_name = "TABLE")]
    proxies: Option<PathBuf>,
    /// For accuracies: untrained scores, larger is better, from which predictions start: a column of a
    /// table, or rank of a table of `lanner proxies` [default column: rank]
    #[arg(long, value_name = "TABLE[:COLUMN]")]
    prior: Option<String>,
    /// For latencies: predict also the networks of this file, one architecture a line, or a .csv or
    /// .parquet table
    #[arg(long, value_name = "FILE")]
    archs: Option<PathBuf>,
    /// For latencies in a large space: predict N networks at random
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sample: u64,
    /// Seed of --sample
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to save the predictor, for `lanner rank`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file of --out even if it is of another kind
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A table from the command line: its name there, its content, and the column if one was named.
struct Source {
    name: String,
    table: Table,
    column: Option<String>,
}

pub fn run(args: AdaptArgs) -> anyhow::Result<()> {
    let start = Instant::now();
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    if let Some(out) = &args.out {
        let tables = args.sources.iter().chain(&args.from).chain(&args.prior);
        let tables = tables.map(|text| Path::new(parts(text).0));
        let files = [&args.proxies, &args.archs].into_iter().flatten().map(PathBuf::as_path);
        let own = [args.target.as_path(), Path::new(&args.space)];
        let inputs: Vec<&Path> = tables.chain(files).chain(own).collect();
        out_file::check(out, Kind::Predictor, &inputs, args.force)?;
    }
    let target = read_table(&args.target, &space)?;
    let metric = metric(&args, &target)?;
    let sources = sources(&args.sources, &space)?;
    let from = match &args.from_space {
        None => Vec::new(),
        Some(name) => {
            let other = Space::by_name(name).map_err(|e| usage(e.to_string()))?;
            if other == space {
                let why =
                    format!("--from-space is {name}, the target's own: give --from to --sources");
                return Err(usage(why));
            }
            self::sources(&args.from, &other)?
        }
    };
    let kind = target_of(&args, &metric)?;
    let better = if kind.is_minimised() { "less" } else { "more" };
    say!("lanner: {metric}: {better} is better, as of {}", kind.words());
    let (predictor, row) = match kind.is_relative() {
        true => device::adapt(&args, (&target, &metric, kind), &sources, &from)?,
        false => task::adapt(&args, (&target, &metric), &sources, &from)?,
    };
    let row = match &args.out {
        Some(out) => {
            predictor.save(out)?;
            row.with("file", out.display().to_string())
        }
        None => row,
    };
    print_rows(&[row.with("seconds", start.elapsed().as_secs_f64())], args.json)
}

/// Tells as what the metric is learned: a latency, a rate or an accuracy.
fn target_of(args: &AdaptArgs, metric: &str) -> anyhow::Result<Target> {
    match (args.target_as.as_deref(), MetricKind::of(metric).map(Target::of)) {
        (Some("latency"), _) => Ok(Target::Latency),
        (Some("rate"), _) => Ok(Target::Rate),
        (Some(_), _) => Ok(Target::Accuracy),
        (None, Some(Target::Error)) => Err(usage(format!(
            "--metric {metric}: less is better, but it is no cost: `lanner fit` learns it, or give a \
             column with the other sign, named neg_{metric}"
        ))),
        (None, Some(known)) => Ok(known),
        (None, None) => Err(usage(format!(
            "--metric {metric}: its name does not tell whether less or more is better: --as latency \
             (less), --as rate or --as accuracy (more)"
        ))),
    }
}

fn metric(args: &AdaptArgs, target: &Table) -> anyhow::Result<String> {
    if let Some(metric) = &args.metric {
        target.column(metric).map_err(|e| usage(format!("{}: {e}", args.target.display())))?;
        return Ok(metric.clone());
    }
    let latencies: Vec<&String> = target.names.iter().filter(|n| is_latency(n)).collect();
    let others: Vec<&String> =
        target.names.iter().filter(|n| !PROXIES.contains(&n.as_str())).collect();
    match (&latencies[..], &others[..]) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        ([], []) => Err(usage(format!(
            "{}: no column of numbers beside the architectures; a number has a decimal point, and neither \
             a unit nor thousands separators (`lanner table describe` names the columns left out)",
            args.target.display()
        ))),
        _ => Err(usage(format!(
            "{} has {} columns of latencies: say which with --metric; there are: {}",
            args.target.display(),
            latencies.len(),
            target.names.join(", ")
        ))),
    }
}

/// Splits TABLE:COLUMN; the name of a file that exists may have colons.
fn parts(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((file, column)) if !Path::new(text).exists() => (file, Some(column)),
        _ => (text, None),
    }
}

/// Reads the tables of TABLE or TABLE:COLUMN.
fn sources(texts: &[String], space: &Space) -> anyhow::Result<Vec<Source>> {
    let read = |text: &String| -> anyhow::Result<Source> {
        if text == built_in::NAME {
            let table = built_in::table(space);
            let table = table.map_err(|e| usage(format!("{e}: leave it out")))?;
            return Ok(Source { name: text.clone(), table, column: None });
        }
        let (file, column) = parts(text);
        let table = read_table(file, space)?;
        if let Some(column) = column {
            table.column(column).map_err(|e| usage(format!("{file}: {e}")))?;
        }
        Ok(Source { name: file.into(), table, column: column.map(String::from) })
    };
    texts.iter().map(read).collect()
}

/// Adds to a row how well values were predicted from all others.
fn with_quality(mut row: Row, target: Target, forecast: Option<Forecast>, truth: &[f64]) -> Row {
    let Some(Forecast { mean, low, high }) = forecast else { return row };
    let rank = spearman(&mean, truth);
    if rank.is_finite() {
        row = row.with("spearman", rank);
    }
    if target.is_relative() {
        row = row.with("within_10", 100.0 * within_of_truth(&mean, truth, 10.0));
    }
    row.with("coverage_90", 100.0 * coverage(&low, &high, truth))
}
