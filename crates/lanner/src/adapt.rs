//! `lanner adapt`: a latency predictor for a device of which a few measurements exist.

use std::path::PathBuf;
use std::time::Instant;

use lanner_data::{Table, built_in};
use lanner_predict::latency::adapted::{AdaptedLatency, DeviceFeatures};
use lanner_predict::metrics::{coverage, spearman, within_of_truth};
use lanner_predict::predictor::Predictor;
use lanner_predict::regress::linalg::Mat;
use lanner_predict::{Pool, all_or_some};
use lanner_space::Space;

use crate::output::{Row, print_rows, usage};
use crate::skeleton;
use crate::which::read_archs;

/// Predict latencies on a device from a few of them and tables of other devices
#[derive(clap::Args)]
#[command(after_help = "\
Every column of the sources that ends in _ms is a source device. Without --sources, analytic costs of
the networks alone are the prior. `--sources built-in` is Lanner's own table of NAS-Bench-201: one server
processor, two runtimes, two precisions. Ten measurements are enough for a start; choose them by
`lanner measure --choose 10`. What is printed is leave-one-out: each measurement predicted from the
others.

Of a space of up to 200,000 architectures `lanner rank` then has all; of a larger one those of the
tables, of --archs, and --sample at random.

Examples:
  lanner measure --choose 10 --out mine.csv
  lanner adapt --target mine.csv --out mine.lanner
  lanner rank mine.lanner --top 10
  lanner adapt --sources a.csv b.csv --target mine.csv --metric phone_ms --out phone.lanner --json
  lanner adapt --space darts --target mine.csv --archs candidates.txt --out mine.lanner")]
pub struct AdaptArgs {
    /// Tables of other devices on the same space; built-in is Lanner's own of nasbench201
    #[arg(long, value_name = "TABLE", num_args = 1..)]
    sources: Vec<PathBuf>,
    /// The table of the own device's measurements
    #[arg(long, value_name = "TABLE")]
    target: PathBuf,
    /// The column of latencies [default: the one that ends in _ms]
    #[arg(long)]
    metric: Option<String>,
    /// A name, or a file .toml
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// Predict these too: an architecture a line, or a .csv or .parquet table
    #[arg(long, value_name = "FILE")]
    archs: Option<PathBuf>,
    /// Of a large space, predict so many at random
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    sample: usize,
    /// Of --sample
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to save the predictor, for `lanner rank`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Spaces of at most this many architectures are predicted whole: all are in memory.
const PREDICTED: u128 = 200_000;
/// Latencies of one space on one device are never so many times apart.
const WIDEST: f64 = 1e6;

pub fn run(args: AdaptArgs) -> anyhow::Result<()> {
    let start = Instant::now();
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    let (target, _) = Table::read(&args.target, &space)?;
    let metric = metric(&args, &target)?;
    skeleton::note_other(&args.target, &space)?;
    let tables = sources(&args, &space)?;
    let pool = pool(&args, &space, &target, &tables)?;
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for (path, table) in &tables {
        let before = names.len();
        for (name, values) in table.names.iter().zip(&table.columns) {
            if !name.ends_with("_ms") {
                continue;
            }
            let mut column = vec![f64::NAN; pool.len()];
            for (arch, value) in table.archs.iter().zip(values) {
                if let Some(row) = pool.row_of(arch) {
                    column[row] = *value;
                }
            }
            names.push(format!("{name} of {path}"));
            columns.push(column);
        }
        if names.len() == before {
            return Err(usage(format!("{path}: no column ends in _ms")));
        }
    }
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (arch, &value) in target.archs.iter().zip(target.column(&metric)?) {
        if let (Some(row), true) = (pool.row_of(arch), value.is_finite()) {
            rows.push(row);
            values.push(value);
        }
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    anyhow::ensure!(
        most <= WIDEST * least,
        "{} column '{metric}': latencies from {least} to {most} are not of one unit",
        args.target.display()
    );
    let views = DeviceFeatures::new(&pool);
    let functions = if columns.is_empty() {
        Mat::zeros(pool.len(), 0)
    } else {
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        views
            .smooth(&columns)
            .map_err(|e| anyhow::anyhow!("the sources {}: {e}", names.join(", ")))?
    };
    let data = (rows.clone(), values.clone());
    let adapted = AdaptedLatency::fit(pool, views, &metric, (names, functions), data)
        .map_err(|e| anyhow::anyhow!("{} column '{metric}': {e}", args.target.display()))?;
    let mut row = Row::new()
        .with("metric", metric.as_str())
        .with("measured", rows.len())
        .with("sources", columns.len())
        .with("architectures", adapted.candidates().map_or(0, <[_]>::len));
    if let Some(left_out) = adapted.leave_one_out() {
        let inside = 100.0 * coverage(&left_out.low, &left_out.high, &values);
        let within = 100.0 * within_of_truth(&left_out.mean, &values, 10.0);
        let rank = spearman(&left_out.mean, &values);
        if rank.is_finite() {
            row = row.with("spearman", rank);
        }
        row = row.with("within_10", within).with("coverage_90", inside);
    }
    if let Some(out) = &args.out {
        adapted.save(out)?;
        row = row.with("file", out.display().to_string());
    }
    print_rows(&[row.with("seconds", start.elapsed().as_secs_f64())], args.json)
}

/// The tables of other devices, with their names.
fn sources(args: &AdaptArgs, space: &Space) -> anyhow::Result<Vec<(String, Table)>> {
    (args.sources.iter())
        .map(|path| {
            let name = path.display().to_string();
            if name != built_in::NAME {
                return Ok((name, Table::read(path, space)?.0));
            }
            let table = built_in::table(space);
            Ok((name, table.map_err(|e| usage(format!("{e}: leave --sources out")))?))
        })
        .collect()
}

fn metric(args: &AdaptArgs, target: &Table) -> anyhow::Result<String> {
    if let Some(metric) = &args.metric {
        target.column(metric)?;
        return Ok(metric.clone());
    }
    let latencies: Vec<&String> = target.names.iter().filter(|n| n.ends_with("_ms")).collect();
    match latencies[..] {
        [one] => Ok(one.clone()),
        _ => Err(usage(format!(
            "{} has {} columns that end in _ms: say which with --metric; there are: {}",
            args.target.display(),
            latencies.len(),
            target.names.join(", ")
        ))),
    }
}

fn pool(
    args: &AdaptArgs,
    space: &Space,
    target: &Table,
    sources: &[(String, Table)],
) -> anyhow::Result<Pool> {
    let asked = match &args.archs {
        Some(file) => read_archs(file, space)?,
        None => Vec::new(),
    };
    let random = all_or_some(
        space,
        PREDICTED,
        args.sample,
        &mut lanner_nn::rng(args.seed, "sample to predict"),
    );
    if space.size() <= PREDICTED {
        return Ok(Pool::new(space.clone(), random));
    }
    let mut seen = std::collections::HashSet::new();
    let of_tables = sources.iter().map(|s| &s.1).chain([target]).flat_map(|t| &t.archs);
    let all = of_tables.chain(&asked).chain(&random);
    let archs = all.filter(|a| seen.insert((*a).clone())).cloned().collect();
    Ok(Pool::new(space.clone(), archs))
}
