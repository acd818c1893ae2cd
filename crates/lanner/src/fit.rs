//! `lanner fit` and `lanner rank`: predictors of a user's own table.

use std::path::PathBuf;

use anyhow::Context;
use lanner_data::Table;
use lanner_predict::fitted::{Saved, Settings, Target, Views};
use lanner_predict::metrics::{coverage, kendall, spearman, within_of_truth};
use lanner_predict::model_file::ModelFile;
use lanner_predict::transfer::Adapted;
use lanner_predict::{Forecast, Pool};
use lanner_space::{Architecture, Space};
use rand::seq::SliceRandom;

use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lanner fit latency.csv --metric pixel_ms --out pixel.lanner
  lanner fit trained.csv --metric val_accuracy --out accuracy.lanner --json
  lanner fit latency.csv --metric pixel_ms --predictor ridge-counts")]
pub struct FitArgs {
    /// A table with a column of architectures and one of the metric
    table: PathBuf,
    /// The column to learn; a name that ends in _ms is a latency
    #[arg(long)]
    metric: String,
    /// Latency (positive, less is better) or accuracy (more is better) [default: by the name]
    #[arg(long, value_parser = ["latency", "accuracy"])]
    target: Option<String>,
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// default, flops, layer-wise, ridge-counts, ridge-onehot, ridge-pairs or extra-trees
    #[arg(long, default_value = "default")]
    predictor: String,
    /// Where to save the predictor, for `lanner rank`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Parts of the cross-validation that tells the quality; 0 for none
    #[arg(long, default_value_t = 5)]
    folds: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Each of two folds must leave the five rows that the latency predictor needs.
const FEWEST: usize = 10;

pub fn fit(args: FitArgs) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    let target = match args.target.as_deref() {
        Some("latency") => Target::Latency,
        Some(_) => Target::Accuracy,
        None if args.metric.ends_with("_ms") => Target::Latency,
        None => Target::Accuracy,
    };
    let (table, _) = Table::read(&args.table, &space)?;
    let pool = Pool::new(space.clone(), space.list()?);
    let (rows, values) = known(&table, &args.metric, &pool)?;
    if rows.len() < FEWEST {
        anyhow::bail!(
            "{}: {} networks have a '{}'; a predictor and its cross-validation need {FEWEST}",
            args.table.display(),
            rows.len(),
            args.metric
        );
    }
    let views = Views::new(&args.predictor, target, &pool).ok_or_else(|| {
        let names = Views::methods().join(", ");
        usage(format!("no predictor '{}'; there are: {names}", args.predictor))
    })?;
    let settings = Settings { method: args.predictor.clone(), target, metric: args.metric.clone() };
    let context = || format!("{} column '{}'", args.table.display(), args.metric);
    let mut row = Row::new()
        .with("metric", args.metric.as_str())
        .with("predictor", args.predictor.as_str())
        .with("train", rows.len());
    if args.folds > 1 {
        let forecast = cross_validated(&views, target, &rows, &values, args.folds, args.seed)
            .with_context(context)?;
        row = row
            .with("folds", args.folds)
            .with("spearman", spearman(&forecast.mean, &values))
            .with("kendall", kendall(&forecast.mean, &values));
        if target == Target::Latency {
            for percent in [1.0, 5.0, 10.0] {
                let share = 100.0 * within_of_truth(&forecast.mean, &values, percent);
                row = row.with(&format!("within_{percent}"), share);
            }
        }
        if !forecast.low.is_empty() {
            let share = 100.0 * coverage(&forecast.low, &forecast.high, &values);
            row = row.with("coverage_90", share);
        }
    }
    if let Some(out) = &args.out {
        let data = (rows.as_slice(), values.as_slice());
        let saved = Saved::fit(&pool, &views, settings, data, args.seed).with_context(context)?;
        saved.save(out)?;
        row = row.with("out", out.display().to_string());
    }
    print_rows(&[row], args.json)
}

/// Pool rows with a value of the metric, and the values.
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

/// Each value predicted by a fit that did not see its part.
fn cross_validated(
    views: &Views,
    target: Target,
    rows: &[usize],
    values: &[f64],
    folds: usize,
    seed: u64,
) -> anyhow::Result<Forecast> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(&mut lanner_nn::rng(seed, "cross-validation"));
    let n = rows.len();
    let mut all =
        Forecast { mean: vec![f64::NAN; n], low: vec![f64::NAN; n], high: vec![f64::NAN; n] };
    let bar = progress(folds as u64, "cross-validation");
    for fold in 0..folds {
        let part = |inside: bool| -> Vec<usize> {
            (0..n).filter(|k| (k % folds == fold) == inside).map(|k| order[k]).collect()
        };
        let (held, rest) = (part(true), part(false));
        if held.is_empty() {
            continue;
        }
        let train: Vec<usize> = rest.iter().map(|&i| rows[i]).collect();
        let y: Vec<f64> = rest.iter().map(|&i| values[i]).collect();
        let ask: Vec<usize> = held.iter().map(|&i| rows[i]).collect();
        let got = views.fit_predict(target, (&train, &y), &ask, seed)?;
        for (k, &i) in held.iter().enumerate() {
            all.mean[i] = got.mean[k];
            if got.low.is_empty() {
                all.low.clear();
            } else if !all.low.is_empty() {
                (all.low[i], all.high[i]) = (got.low[k], got.high[k]);
            }
        }
        bar.inc(1);
    }
    bar.clear();
    Ok(all)
}

#[derive(clap::Args)]
#[command(after_help = "\
The best first: the fastest for a latency, the most accurate for an accuracy.

Examples:
  lanner rank pixel.lanner --top 10
  lanner rank accuracy.lanner --out all.csv")]
pub struct RankArgs {
    /// A file that `lanner fit --out` or `lanner adapt --out` wrote
    predictor: PathBuf,
    /// How many to print
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// Write the predictions of the whole space to this table
    #[arg(long, value_name = "TABLE")]
    out: Option<PathBuf>,
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `lanner rank` needs of a predictor, whatever made it.
struct Ranked {
    pool: Pool,
    metric: String,
    target: Target,
    forecast: Forecast,
    measured: Vec<Architecture>,
}

fn predicted(args: &RankArgs) -> anyhow::Result<Ranked> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    if ModelFile::kind(&args.predictor)? == Adapted::KIND {
        let adapted = Adapted::load(&args.predictor, &space)?;
        let forecast = adapted.predict()?;
        let measured = adapted.rows.iter().map(|&r| adapted.pool.archs[r].clone()).collect();
        let Adapted { pool, metric, .. } = adapted;
        return Ok(Ranked { pool, metric, target: Target::Latency, forecast, measured });
    }
    let saved = Saved::load(&args.predictor, &space)?;
    let pool = Pool::new(space.clone(), space.list()?);
    let Settings { method, target, metric } = saved.settings.clone();
    let views = Views::new(&method, target, &pool)
        .with_context(|| format!("{}: unknown method '{method}'", args.predictor.display()))?;
    let all: Vec<usize> = (0..pool.len()).collect();
    let forecast = saved.predict(&pool, &views, &all)?;
    Ok(Ranked { pool, metric, target, forecast, measured: saved.archs })
}

pub fn rank(args: RankArgs) -> anyhow::Result<()> {
    let Ranked { pool, metric, target, forecast, measured } = predicted(&args)?;
    if let Some(out) = &args.out {
        let mut names = vec![metric.clone()];
        let mut columns = vec![forecast.mean.clone()];
        if !forecast.low.is_empty() {
            // The unit stays at the end of the name.
            let (stem, unit) = match metric.strip_suffix("_ms") {
                Some(stem) => (stem, "_ms"),
                None => (metric.as_str(), ""),
            };
            names.extend([format!("{stem}_low{unit}"), format!("{stem}_high{unit}")]);
            columns.extend([forecast.low.clone(), forecast.high.clone()]);
        }
        Table::new(pool.space.clone(), pool.archs.clone(), names, columns)?.write(out)?;
    }
    let mut order: Vec<usize> = (0..pool.len()).collect();
    let better = |a: f64, b: f64| match target {
        Target::Latency => a.total_cmp(&b),
        Target::Accuracy => b.total_cmp(&a),
    };
    order.sort_by(|&a, &b| better(forecast.mean[a], forecast.mean[b]));
    let rows: Vec<Row> = order
        .iter()
        .take(args.top)
        .enumerate()
        .map(|(i, &r)| {
            let mut row = Row::new().with("rank", i + 1).with(&metric, forecast.mean[r]);
            if !forecast.low.is_empty() {
                row = row.with("low_90", forecast.low[r]).with("high_90", forecast.high[r]);
            }
            row.with("measured", measured.contains(&pool.archs[r]))
                .with("arch", pool.space.print(&pool.archs[r]))
        })
        .collect();
    print_rows(&rows, args.json)
}
