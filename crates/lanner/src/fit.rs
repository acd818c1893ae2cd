//! `lanner fit` fits a predictor to a user's own table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use lanner_data::{MetricKind, Table};
use lanner_predict::accuracy::untrained::UntrainedScores;
use lanner_predict::metrics::{coverage, kendall, spearman, within_of_truth};
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::{Predictor, Target, cross_validated};
use lanner_predict::{Forecast, Pool, reference};
use lanner_search::TableColumn;
use lanner_space::Space;

use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows, progress, usage};
use crate::prior::read_prior;
use crate::selection::read_table;
use crate::skeleton;
use lanner::say;

#[derive(clap::Args)]
#[command(after_help = "\
For accuracies and errors, --prior FILE:rank starts from the untrained score of a table of `lanner proxies` \
of this space, as `lanner adapt` and `lanner search --warm-start FILE:rank` do: networks are expected to be \
the better the higher it is, as far as the trained ones bear that out, and after some ten trainings a \
score that tells nothing is forgotten. A few hundred networks are enough; the score of others is predicted \
from theirs.

Examples:
  lanner fit latency.csv --metric pixel_ms --out pixel.lanner
  lanner fit trained.csv --metric val_accuracy --out accuracy.lanner --json
  lanner fit ten.csv --metric val_accuracy --prior proxies.csv:rank --out accuracy.lanner
  lanner fit latency.csv --metric pixel_ms --predictor ridge-counts
  lanner fit trained.csv --metric val_accuracy --space darts --predictor gcn \\
    --out darts.lanner
  lanner fit latency.csv --metric pixel_ms --predictor operations \\
    --out pixel-operations.lanner
  lanner fit mine.csv --metric board_ms --space my.toml --out board.lanner")]
pub struct FitArgs {
    /// A table with a column of architectures and one of the metric
    table: PathBuf,
    /// The column to learn
    #[arg(long)]
    metric: String,
    /// latency (a cost: positive, less is better), rate (the reciprocal of one, such as images a second:
    /// more is better), error (less is better) or accuracy (more is better) [default: what the metric's
    /// name tells]
    #[arg(long, visible_alias = "as", value_parser = ["latency", "rate", "error", "accuracy"])]
    target: Option<String>,
    /// The search space: a name or a .toml file
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// default, gcn, gcn-brp-nas, binary (an order, for accuracies), operations (latencies as sums
    /// over operations, which `lanner rank --space` takes to any other space), flops, layer-wise,
    /// ridge-counts, ridge-onehot, ridge-pairs or extra-trees
    #[arg(long, default_value = "default")]
    predictor: String,
    /// For accuracies by `default`: untrained scores, larger is better, from which predictions start: a
    /// column of a table, or rank of a table of `lanner proxies` [default column: rank]
    #[arg(long, value_name = "TABLE[:COLUMN]")]
    prior: Option<String>,
    /// Where to save the predictor, for `lanner rank`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file of --out even if it is of another kind
    #[arg(long)]
    force: bool,
    /// Number of parts of the cross-validation that tells the quality; 0 for none. With more than
    /// 2,000 rows, only the first part is held out, since it is large enough
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed of the folds and of the predictor
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Least number of rows: each of two folds must leave the five that the latency predictor needs.
const FEWEST: usize = 10;

pub fn fit(args: FitArgs) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    if let Some(out) = &args.out {
        let prior = args.prior.iter().map(|text| TableColumn::parse(text).file);
        let inputs = [args.table.clone(), PathBuf::from(&args.space)].into_iter().chain(prior);
        let inputs: Vec<PathBuf> = inputs.collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        out_file::check(out, Kind::Predictor, &inputs, args.force)?;
    }
    let table = read_table(&args.table, &space)?;
    table.column(&args.metric).map_err(|e| usage(e.to_string()))?;
    let target = match args.target.as_deref() {
        Some("latency") => Target::Latency,
        Some("error") => Target::Error,
        Some("rate") => Target::Rate,
        Some(_) => Target::Accuracy,
        None => Target::of(MetricKind::of(&args.metric).ok_or_else(|| {
            usage(format!(
                "--metric {}: its name does not tell whether less or more is better: --target latency \
                 (a cost, less), rate (more), error (less) or accuracy (more)",
                args.metric
            ))
        })?),
    };
    let better = if target.is_minimised() { "less" } else { "more" };
    say!("lanner: {}: {better} is better, as of {}", args.metric, target.words());
    let space = match target.is_relative() {
        true => skeleton::measured(&args.table, &args.metric, &space)?,
        false => space,
    };
    let pool = reference(&space, &table.archs);
    let (rows, values) = known(&table, &args.metric, &pool)?;
    if rows.len() < FEWEST {
        anyhow::bail!(
            "{}: {} networks have a '{}'; a predictor and its cross-validation need {FEWEST}",
            args.table.display(),
            rows.len(),
            args.metric
        );
    }
    if args.folds > rows.len() {
        let most = rows.len();
        return Err(usage(format!("--folds is {}, expected 0 to {most}, the rows", args.folds)));
    }
    if values.iter().all(|v| *v == values[0]) {
        anyhow::bail!(
            "{} column '{}': all {} values are {}: they tell nothing",
            args.table.display(),
            args.metric,
            values.len(),
            values[0]
        );
    }
    let names = MethodFeatures::methods(&space, target);
    let known = names.contains(&args.predictor.as_str());
    let features = known.then(|| MethodFeatures::new(&args.predictor, target, &pool)).flatten();
    let features = features.ok_or_else(|| {
        let what = target.words();
        let there = names.join(", ");
        usage(format!("no predictor '{}' of {what} on {space}; there are: {there}", args.predictor))
    })?;
    let prior = args.prior.as_ref().map(|text| read_prior(text, &space)).transpose()?;
    let features = match (&args.prior, &prior) {
        (Some(text), Some(known)) => {
            let refused = |e| usage(format!("--prior {text}: {e}"));
            let scores = UntrainedScores::new(&space, known).map_err(refused)?;
            features.with_prior(&pool, Arc::new(scores)).map_err(refused)?
        }
        _ => features,
    };
    let settings =
        FitSettings { method: args.predictor.clone(), target, metric: args.metric.clone() };
    let context = || format!("{} column '{}'", args.table.display(), args.metric);
    let mut row = Row::new()
        .with("metric", args.metric.as_str())
        .with("predictor", args.predictor.as_str())
        .with("train", rows.len());
    if let Some(known) = &prior {
        row = row.with("untrained", known.len());
    }
    let data = (rows.as_slice(), values.as_slice());
    if args.folds > 1 {
        let bar = progress(0, "cross-validation");
        let mut tell = |done, parts| bar.tell(done, parts);
        let (forecast, truth) =
            cross_validated(&pool, &features, &settings, data, args.folds, args.seed, &mut tell)
                .with_context(context)?;
        bar.clear();
        row = row.with("folds", args.folds);
        if truth.len() < rows.len() {
            row = row.with("checked", truth.len());
        }
        row = with_quality(row, target, &forecast, &truth);
    }
    if let Some(out) = &args.out {
        let bar = progress(1, "fitting");
        let fitted =
            Fitted::fit(&pool, &features, settings, data, args.seed).with_context(context)?;
        bar.clear();
        fitted.save(out)?;
        row = row.with("out", out.display().to_string());
    }
    print_rows(&[row], args.json)
}

/// Adds to a row how well predictions agree with the truth.
pub fn with_quality(row: Row, target: Target, forecast: &Forecast, truth: &[f64]) -> Row {
    let mut row = row
        .with("spearman", spearman(&forecast.mean, truth))
        .with("kendall", kendall(&forecast.mean, truth));
    if target.is_relative() {
        for percent in [1.0, 5.0, 10.0] {
            let share = 100.0 * within_of_truth(&forecast.mean, truth, percent);
            row = row.with(&format!("within_{percent}"), share);
        }
    }
    if !forecast.low.is_empty() {
        let share = 100.0 * coverage(&forecast.low, &forecast.high, truth);
        row = row.with("coverage_90", share);
    }
    row
}

/// Returns the pool's rows with a value of the metric, and the values.
fn known(table: &Table, metric: &str, pool: &Pool) -> anyhow::Result<(Vec<usize>, Vec<f64>)> {
    let column = table.column(metric).map_err(|e| usage(e.to_string()))?;
    Ok(table
        .archs
        .iter()
        .zip(column)
        .filter(|(_, v)| v.is_finite())
        .filter_map(|(arch, v)| Some((pool.row_of(arch)?, *v)))
        .unzip())
}
