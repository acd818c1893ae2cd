//! `lanner-bench latency` predicts latencies on known devices.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use lanner_predict::general::baselines::Baseline;
use lanner_predict::general::gcn::{self, Samples};
use lanner_predict::latency::{LatencyFeatures, LatencyModel};
use lanner_predict::metrics::{
    coverage, relative_width, spearman, within_of_prediction, within_of_truth,
};
use lanner_predict::regress::linalg::Mat;
use lanner_predict::{Forecast, Pool};
use lanner_space::{Architecture, View};

use super::published::LATENCY;
use super::tables::{Measured, shuffled};
use super::{Common, RecipeName};
use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
Percentages are of the networks that were not measured for training or validation; within_X is \
relative to the truth, hit_X to the prediction (as the BRP-NAS code counts). `twin` is not a \
predictor: its answer is the median of all other networks that compute the same, where there are \
any, which shows how well the device repeats itself. width_90 is the mean width of the 90 % intervals \
in percent of the prediction.

Examples:
  lanner-bench latency
  lanner-bench latency --device desktop-gpu-gtx-1080ti-fp32 \\
    --train 100,500,900 --seeds 10
  lanner-bench latency --device help --predictor default,ridge-pairs --json
  lanner-bench latency --table mine.csv \\
    --predictor default,flops,table:layer-wise.csv
  # a table of thirty networks: tested on the ten that are left
  lanner-bench latency --table mine.csv --train 20 --seeds 20")]
pub struct LatencyArgs {
    #[command(flatten)]
    common: Common,
    /// A table of your own instead of the published ones; each column in milliseconds is a device
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Devices: names, 'latbench' (all eleven), 'help' (HELP's six test devices) or 'all' [default:
    /// latbench, with --table all]
    #[arg(long, value_delimiter = ',')]
    device: Vec<String>,
    /// Number of training networks [default: 900, of a smaller table four fifths]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(5..15000))]
    train: Vec<u32>,
    /// Train on the most informative networks, as `measure --choose` picks them, instead of random
    /// ones
    #[arg(long)]
    choose: bool,
    /// Number of validation networks for recipes that stop early; they are never trained on, nor tested
    /// on [default: 100, of a table with too few networks none unless gcn is asked for]
    #[arg(long)]
    validation: Option<usize>,
    /// default, gcn, twin, flops, layer-wise, ridge-counts, ridge-onehot, ridge-pairs, extra-trees, or
    /// table:FILE with predictions in a column with the device's name
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default,ridge-pairs,ridge-counts,layer-wise,flops,extra-trees"
    )]
    predictor: Vec<String>,
    /// Recipe of the GCN: brp-nas or default
    #[arg(long, default_value = "brp-nas")]
    recipe: RecipeName,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

/// HELP's six test devices on NAS-Bench-201.
const HELP_TEST: [&str; 6] = ["titan_rtx_256", "gold_6226", "fpga", "pixel2", "raspi4", "eyeriss"];

/// Fewest networks to test on.
const TESTED: usize = 5;

const METRICS: [&str; 10] = [
    "within_1",
    "within_5",
    "within_10",
    "hit_1",
    "hit_5",
    "hit_10",
    "spearman",
    "coverage_90",
    "width_90",
    "seconds",
];

/// A predictor with the features of the pool that it needs.
enum Ready {
    Default(LatencyFeatures),
    Gcn(gcn::GcnRecipe),
    /// Class of each network: those with isomorphic pruned cells compute the same.
    Twin(Vec<usize>),
    /// Predictions made elsewhere.
    Table(Measured),
    Baseline(Baseline, Mat),
}

impl Ready {
    fn new(name: &str, recipe: RecipeName, pool: &Pool) -> anyhow::Result<Ready> {
        if name == "gcn" {
            return Ok(Ready::Gcn(match recipe {
                RecipeName::BrpNas => gcn::GcnRecipe::brp_nas_latency(),
                RecipeName::Default => gcn::GcnRecipe::default_latency(),
            }));
        }
        if name == "default" {
            return Ok(Ready::Default(LatencyFeatures::new(pool)));
        }
        if name == "twin" {
            let mut classes = HashMap::new();
            let class = |arch| {
                let next = classes.len();
                *classes.entry(pool.space.graph(arch, View::Pruned).canonical()).or_insert(next)
            };
            return Ok(Ready::Twin(pool.archs.iter().map(class).collect()));
        }
        if let Some(file) = name.strip_prefix("table:") {
            return Ok(Ready::Table(Measured::read_paths(&[file.into()])?));
        }
        let known = Baseline::ALL.iter().find(|b| b.0 == name);
        let (_, baseline) = known.ok_or_else(|| {
            let names: Vec<&str> = Baseline::ALL.iter().map(|b| b.0).collect();
            usage(format!(
                "no predictor '{name}'; there are: default, gcn, twin, table:FILE, {}",
                names.join(", ")
            ))
        })?;
        Ok(Ready::Baseline(*baseline, baseline.encode(pool)))
    }

    /// Fits to `known` and predicts; `judged` may decide when to stop.
    fn fit_predict(
        &self,
        pool: &Pool,
        device: &str,
        (known, judged): (&[usize], &[usize]),
        values: &[f64],
        ask: &[usize],
        seed: u64,
    ) -> anyhow::Result<Forecast> {
        let pick = |rows: &[usize]| -> Vec<f64> { rows.iter().map(|&r| values[r]).collect() };
        let y = pick(known);
        match self {
            Ready::Default(views) => Ok(LatencyModel::fit(views, known, &y)?.predict(ask)),
            Ready::Baseline(baseline, x) => {
                Ok(baseline.fit_predict(x, (known, &y), ask, true, seed)?)
            }
            Ready::Twin(classes) => {
                let mean = ask.iter().map(|&r| twins(classes, values, r).unwrap_or(f64::NAN));
                Ok(Forecast { mean: mean.collect(), ..Forecast::default() })
            }
            Ready::Table(table) => {
                let column = table.column(device)?.1;
                let mean = ask.iter().map(|&r| column[r]).collect();
                Ok(Forecast { mean, ..Forecast::default() })
            }
            Ready::Gcn(recipe) => {
                let archs = |rows: &[usize]| -> Vec<Architecture> {
                    rows.iter().map(|&r| pool.archs[r].clone()).collect()
                };
                let (train, held) = (archs(known), archs(judged));
                let judged_y = pick(judged);
                let threads = rayon::current_num_threads();
                let fitted = gcn::fit(
                    &pool.space,
                    Samples { architectures: &train, targets: &y },
                    Some(Samples { architectures: &held, targets: &judged_y }),
                    recipe,
                    None,
                    seed,
                    threads,
                    &mut |_| ControlFlow::Continue(()),
                )?;
                let asked = fitted.prepare(&pool.space, ask.iter().map(|&r| &pool.archs[r]));
                Ok(Forecast { mean: fitted.predict(&asked, threads), ..Forecast::default() })
            }
        }
    }
}

pub fn run(args: LatencyArgs) -> anyhow::Result<()> {
    let files = ["nasbench201/latency_latbench.csv", "nasbench201/latency_help.csv"];
    let measured = match &args.table {
        Some(table) => Measured::read_paths(std::slice::from_ref(table))?,
        None => Measured::read(&args.common, &files)?,
    };
    let devices = devices(&args, &measured)?;
    let ready: Vec<(&String, Ready)> = args
        .predictor
        .iter()
        .map(|name| Ok((name, Ready::new(name, args.recipe, &measured.pool)?)))
        .collect::<anyhow::Result<_>>()?;
    let (sizes, validation) = sizes(&args, &devices, &measured)?;
    let total = devices.len() as u64 * sizes.len() as u64 * ready.len() as u64 * args.seeds;
    let features = args.choose.then(|| LatencyFeatures::new(&measured.pool));
    let bar = progress(total, "latency");
    let mut rows = Vec::new();
    for device in &devices {
        let (name, values) = measured.column(device)?;
        let device = name.trim_end_matches("_ms");
        for &train in &sizes {
            for (predictor, ready) in &ready {
                let mut results: Vec<Vec<f64>> = vec![Vec::new(); METRICS.len()];
                for seed in args.common.seed..args.common.seed + args.seeds {
                    let one = one_seed(
                        ready,
                        &measured.pool,
                        (device, values),
                        (train as usize, validation),
                        features.as_ref(),
                        seed,
                    )?;
                    results.iter_mut().zip(one).for_each(|(all, v)| all.push(v));
                    bar.inc(1);
                }
                let mut row =
                    Row::new().with("device", device).with("predictor", predictor.as_str());
                if matches!(ready, Ready::Gcn(_)) {
                    row = row.with("recipe", args.recipe.name());
                }
                row = row.with("train", train).with("seeds", args.seeds);
                for (metric, values) in METRICS.iter().zip(&results) {
                    row = row.with_mean(metric, values);
                }
                rows.push(row);
            }
            for p in LATENCY.iter().filter(|p| p.of == device && p.size == train as usize) {
                let mut row = Row::new()
                    .with("device", device)
                    .with("predictor", p.predictor)
                    .with("train", train);
                for (metric, value) in p.values {
                    row = row.with(metric, *value);
                }
                rows.push(row.with("source", p.source));
            }
        }
    }
    bar.clear();
    if rows.len() > 1 {
        rows.extend(means(&args.predictor, &sizes, &rows));
    }
    print_rows(&rows, args.common.json)
}

fn devices(args: &LatencyArgs, measured: &Measured) -> anyhow::Result<Vec<String>> {
    let mut devices = Vec::new();
    if args.device.is_empty() && args.table.is_some() {
        let names = measured.columns.iter().map(|c| c.0.clone());
        return Ok(names.filter(|n| n.ends_with("_ms")).collect());
    }
    let wanted = match args.device.is_empty() {
        true => &["latbench".to_string()][..],
        false => &args.device,
    };
    for device in wanted {
        match device.as_str() {
            "help" => devices.extend(HELP_TEST.map(String::from)),
            "latbench" | "all" => {
                let all = device == "all";
                // Names of LatBench say the precision; those of HELP do not.
                let wanted = |n: &str| all || n.contains("-fp") || n.contains("-int8");
                devices.extend(measured.columns.iter().map(|c| c.0.clone()).filter(|n| wanted(n)));
            }
            name => devices.push(measured.column(name)?.0.to_string()),
        }
    }
    Ok(devices)
}

/// The sizes of the training sets, and the number of validation networks: those that were asked for, else
/// what the device with the fewest measurements allows.
fn sizes(
    args: &LatencyArgs,
    devices: &[String],
    measured: &Measured,
) -> anyhow::Result<(Vec<u32>, usize)> {
    let mut fewest = (usize::MAX, "");
    for device in devices {
        let (name, values) = measured.column(device)?;
        fewest = fewest.min((values.iter().filter(|v| v.is_finite()).count(), name));
    }
    let (rows, name) = fewest;
    let needs_validation = args.predictor.iter().any(|p| p == "gcn");
    let validation =
        args.validation.unwrap_or(if rows >= 1100 || needs_validation { 100 } else { 0 });
    let train = match args.train.is_empty() {
        true => vec![if rows >= 1100 { 900 } else { rows * 4 / 5 } as u32],
        false => args.train.clone(),
    };
    let most = train.iter().max().map_or(0, |&n| n as usize);
    if train[0] < 5 || most + validation + TESTED > rows {
        return Err(usage(format!(
            "{name}: {rows} measured networks are too few for {most} to train, {validation} to validate and \
             {TESTED} to test: give a smaller --train or --validation, or a larger table"
        )));
    }
    Ok((train, validation))
}

/// Returns the median measurement of all other networks of the same class.
fn twins(classes: &[usize], values: &[f64], row: usize) -> Option<f64> {
    let same = |r: &usize| *r != row && classes[*r] == classes[row] && values[*r].is_finite();
    let mut others: Vec<f64> = (0..values.len()).filter(same).map(|r| values[r]).collect();
    others.sort_by(f64::total_cmp);
    let n = others.len();
    (n > 0).then(|| (others[(n - 1) / 2] + others[n / 2]) / 2.0)
}

/// Returns all metrics of one draw, in the order of [`METRICS`].
fn one_seed(
    ready: &Ready,
    pool: &Pool,
    (device, values): (&str, &[f64]),
    (train, validation): (usize, usize),
    choose: Option<&LatencyFeatures>,
    seed: u64,
) -> anyhow::Result<Vec<f64>> {
    let mut rows = shuffled(values, seed);
    if let Some(views) = choose {
        let mut chosen = lanner_predict::choose(views, &rows, train, seed);
        let taken: HashSet<usize> = chosen.iter().copied().collect();
        chosen.extend(rows.into_iter().filter(|r| !taken.contains(r)));
        rows = chosen;
    }
    let (known, rest) = rows.split_at(train);
    let known = &with_single_layers(ready, known, values);
    let mut ask = rest[validation..].to_vec();
    if let Ready::Twin(classes) = ready {
        ask.retain(|&r| twins(classes, values, r).is_some());
    }
    if let Ready::Table(table) = ready {
        let column = table.column(device)?.1;
        ask.retain(|&r| column[r].is_finite());
    }
    let ask = &ask;
    let truth: Vec<f64> = ask.iter().map(|&r| values[r]).collect();
    let start = Instant::now();
    let forecast =
        ready.fit_predict(pool, device, (known, &rest[..validation]), values, ask, seed)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut out = Vec::new();
    for percent in [1.0, 5.0, 10.0] {
        out.push(100.0 * within_of_truth(&forecast.mean, &truth, percent));
    }
    for percent in [1.0, 5.0, 10.0] {
        out.push(100.0 * within_of_prediction(&forecast.mean, &truth, percent));
    }
    out.push(spearman(&forecast.mean, &truth));
    out.push(if forecast.low.is_empty() {
        f64::NAN
    } else {
        100.0 * coverage(&forecast.low, &forecast.high, &truth)
    });
    out.push(if forecast.low.is_empty() {
        f64::NAN
    } else {
        100.0 * relative_width(&forecast.low, &forecast.high, &forecast.mean)
    });
    out.push(seconds);
    Ok(out)
}

/// Returns the rows to train on: for the layer-wise sum, which measures single layers instead of
/// random networks, networks of single layers.
fn with_single_layers(ready: &Ready, known: &[usize], values: &[f64]) -> Vec<usize> {
    let Ready::Baseline(Baseline::LayerWise, x) = ready else {
        return known.to_vec();
    };
    let half = x.cols / 2;
    let layers = |r: usize| x.row(r)[half..2 * half - 2].iter().sum::<f64>();
    (0..x.rows).filter(|&r| values[r].is_finite() && layers(r) <= 1.0).collect()
}

/// Averages each predictor and size over devices, without an error over devices, since they are not
/// random draws.
fn means(predictors: &[String], sizes: &[u32], rows: &[Row]) -> Vec<Row> {
    let mut out = Vec::new();
    for predictor in predictors {
        for &train in sizes {
            let of: Vec<&Row> = rows
                .iter()
                .filter(|r| {
                    r.text("predictor") == Some(predictor) && r.get("train") == Some(train.into())
                })
                .collect();
            let mut row = Row::new()
                .with("device", format!("mean of {}", of.len()))
                .with("predictor", predictor.as_str())
                .with("train", train);
            for metric in METRICS {
                let values: Vec<f64> = of.iter().filter_map(|r| r.get(metric)).collect();
                if !values.is_empty() {
                    row = row.with(metric, values.iter().sum::<f64>() / values.len() as f64);
                }
            }
            out.push(row);
        }
    }
    out
}
