//! `lanner-bench transformers` predicts latencies, energies and perplexities of transformers.

mod counts;
pub mod front;

use lanner_data::Table;
use lanner_data::import::{Format, read_where};
use lanner_predict::Pool;
use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel};
use lanner_predict::latency::adapted::{DeviceFeatures, FewShot};
use lanner_predict::metrics::{coverage, kendall, spearman, within_of_truth};
use lanner_predict::regress::linalg::Mat;
use lanner_predict::regress::ridge::Ridge;
use lanner_space::Space;
use rayon::prelude::*;

use super::Common;
use super::tables::shuffled;
use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
Tables: gpt-s and gpt-m (HW-GPT-Bench), hat-raspberrypi, hat-xeon, hat-titanxp (HAT, WMT'14 English-German), vit and \
pit (ViT-Bench-101). Costs (latencies and energies) are predicted from a few measurements, by `default` with the same \
metric of all other devices as sources, by `alone` without sources, and by ridge regression on counts. Qualities \
(perplexities and accuracies) are predicted by the accuracy predictor `default`, and by ridge. Rows are means over seeds, \
of all networks that were not measured; a seed draws those that are.

Examples:
  lanner-bench transformers --table gpt-s,gpt-m --samples 20
  lanner-bench transformers --table gpt-s --metric perplexity --samples 50,100,400
  lanner-bench transformers --table hat-raspberrypi,hat-xeon,hat-titanxp --samples 20,100
  lanner-bench transformers --table vit,pit --samples 30")]
pub struct TransformersArgs {
    #[command(flatten)]
    common: Common,
    /// The tables
    #[arg(long, value_delimiter = ',', default_value = "gpt-s,gpt-m")]
    table: Vec<String>,
    /// Metrics, by the end of their names: a100_ms, energy_Wh, _ms, perplexity, c100_base_acc
    /// [default: all latencies and energies, else all]
    #[arg(long, value_delimiter = ',')]
    metric: Vec<String>,
    /// Numbers of networks that are measured or trained
    #[arg(long, value_delimiter = ',', default_value = "20")]
    samples: Vec<usize>,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
}

/// A published table: its name, space, format, file, and the set of rows that are taken.
type Published = (&'static str, Space, Format, &'static str, Option<&'static str>);

const TABLES: [Published; 7] = [
    ("gpt-s", Space::HwGptS, Format::HwGpt, "hw-gpt-bench/gpt_s.csv", None),
    ("gpt-m", Space::HwGptM, Format::HwGpt, "hw-gpt-bench/gpt_m.csv", None),
    (
        "hat-raspberrypi",
        Space::HatAverages,
        Format::Hat,
        "hat/wmt14ende_cpu_raspberrypi_all.csv",
        None,
    ),
    ("hat-xeon", Space::HatAverages, Format::Hat, "hat/wmt14ende_cpu_xeon_all.csv", None),
    ("hat-titanxp", Space::HatAverages, Format::Hat, "hat/wmt14ende_gpu_titanxp_all.csv", None),
    ("vit", Space::AutoFormerTiny, Format::VitBench, VIT, Some("autoformer-tiny")),
    ("pit", Space::Pit, Format::VitBench, VIT, Some("pit")),
];
const VIT: &str = "vit-bench-101/vit_bench_101.csv";

pub fn run(args: TransformersArgs) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for name in &args.table {
        let Some((_, space, format, file, set)) = TABLES.iter().find(|t| t.0 == name) else {
            let names: Vec<&str> = TABLES.iter().map(|t| t.0).collect();
            return Err(usage(format!("no table '{name}'; there are: {}", names.join(", "))));
        };
        let only = set.map(|set| ("dataset", set));
        let files = [args.common.file(file)?];
        let table = read_where(*format, &files, space, only, &|_, _| {})?.table;
        rows.extend(World::new(name, table).rows(&args)?);
    }
    print_rows(&rows, args.common.json)
}

/// A table, and what is known of its networks before any is measured.
struct World<'a> {
    name: &'a str,
    table: Table,
    pool: Pool,
    counts: Mat,
}

fn is_cost(metric: &str) -> bool {
    metric.ends_with("_ms") || metric.ends_with("_Wh")
}

impl World<'_> {
    fn new(name: &str, table: Table) -> World<'_> {
        let pool = Pool::new(table.space.clone(), table.archs.clone());
        let counts = counts::of(&table.space, &table.archs);
        World { name, table, pool, counts }
    }

    fn rows(&self, args: &TransformersArgs) -> anyhow::Result<Vec<Row>> {
        let is_named = |name: &&String| match args.metric.is_empty() {
            true => is_cost(name) || !self.table.names.iter().any(|n| is_cost(n)),
            false => args.metric.iter().any(|end| name.ends_with(end.as_str())),
        };
        let metrics: Vec<&String> = self.table.names.iter().filter(is_named).collect();
        if metrics.is_empty() {
            let there = self.table.names.join(", ");
            return Err(usage(format!("{} has no such metric; there are: {there}", self.name)));
        }
        let seeds: Vec<u64> = (args.common.seed..args.common.seed + args.seeds).collect();
        let bar = progress((metrics.len() * args.samples.len()) as u64, "metrics");
        let mut rows = Vec::new();
        let views = DeviceFeatures::new(&self.pool);
        let qualities = AccuracyFeatures::new(&self.pool);
        for metric in metrics {
            let values = self.table.column(metric)?;
            let functions = match is_cost(metric) {
                true => Some(self.sources(&views, metric)?),
                false => None,
            };
            for &samples in &args.samples {
                let known = values.iter().filter(|v| v.is_finite()).count();
                if samples < 5 || samples + 10 > known {
                    let why = format!("--samples {samples}: {} has {known} networks", self.name);
                    return Err(usage(why));
                }
                let row = Row::new()
                    .with("table", self.name)
                    .with("metric", metric.as_str())
                    .with("samples", samples);
                rows.push(match &functions {
                    Some(functions) => {
                        self.cost(row, (&views, functions), values, samples, &seeds)?
                    }
                    None => self.quality(row, &qualities, values, samples, &seeds)?,
                });
                bar.inc(1);
            }
        }
        bar.clear();
        Ok(rows)
    }

    /// Smooths the same metric of all other devices.
    fn sources(&self, views: &DeviceFeatures, metric: &str) -> anyhow::Result<Mat> {
        let unit = metric.rsplit_once('_').map_or("", |m| m.1);
        let is_other = |name: &&String| name.rsplit_once('_').is_some_and(|n| n.1 == unit);
        // Encoder, decoder and their sum are one device.
        let is_device = |name: &&String| self.table.space != Space::HatAverages && *name != metric;
        let others: Vec<&[f64]> = (self.table.names.iter())
            .filter(|name| is_other(name) && is_device(name))
            .map(|name| self.table.column(name))
            .collect::<Result<_, _>>()?;
        Ok(views.smooth(&others)?)
    }

    fn cost(
        &self,
        row: Row,
        (views, functions): (&DeviceFeatures, &Mat),
        values: &[f64],
        samples: usize,
        seeds: &[u64],
    ) -> anyhow::Result<Row> {
        let with = views.with_sources(functions);
        let alone = views.with_sources(&Mat::zeros(values.len(), 0));
        let results: Vec<[f64; 7]> = (seeds.par_iter())
            .map(|&seed| {
                let rows = shuffled(values, seed);
                let (known, rest) = rows.split_at(samples);
                let of = |rows: &[usize]| rows.iter().map(|&r| values[r]).collect::<Vec<f64>>();
                let (y, truth) = (of(known), of(rest));
                let by_default = FewShot::fit(&with, known, &y)?.predict(&with, rest);
                let by_alone = match functions.cols {
                    0 => by_default.mean.clone(),
                    _ => FewShot::fit(&alone, known, &y)?.latencies(&alone, rest),
                };
                let logs: Vec<f64> = y.iter().map(|v| v.ln()).collect();
                let ridge = Ridge::fit(&self.counts.select(known), &logs)?;
                let ridge = ridge.predict(&self.counts.select(rest));
                let ridge: Vec<f64> = ridge.iter().map(|v| v.exp()).collect();
                let near = |predicted: &[f64]| 100.0 * within_of_truth(predicted, &truth, 10.0);
                Ok([
                    spearman(&by_default.mean, &truth),
                    near(&by_default.mean),
                    100.0 * coverage(&by_default.low, &by_default.high, &truth),
                    spearman(&by_alone, &truth),
                    near(&by_alone),
                    spearman(&ridge, &truth),
                    near(&ridge),
                ])
            })
            .collect::<anyhow::Result<_>>()?;
        let names =
            ["default", "default_10", "coverage_90", "alone", "alone_10", "ridge", "ridge_10"];
        Ok(with_means(row, &names, &results))
    }

    fn quality(
        &self,
        row: Row,
        features: &AccuracyFeatures,
        values: &[f64],
        samples: usize,
        seeds: &[u64],
    ) -> anyhow::Result<Row> {
        let all: Vec<usize> = (0..values.len()).collect();
        let results: Vec<[f64; 3]> = (seeds.par_iter())
            .map(|&seed| {
                let rows = shuffled(values, seed);
                let (known, rest) = rows.split_at(samples);
                let of =
                    |v: &[f64], rows: &[usize]| rows.iter().map(|&r| v[r]).collect::<Vec<f64>>();
                let (y, truth) = (of(values, known), of(values, rest));
                let scores = AccuracyModel::fit(features, known, &y, seed)?.scores(&all);
                let logs: Vec<f64> = y.iter().map(|v| v.ln()).collect();
                let ridge = Ridge::fit(&self.counts.select(known), &logs)?;
                let ridge = ridge.predict(&self.counts.select(rest));
                // The last column is the logarithm of the parameters.
                let params: Vec<f64> =
                    rest.iter().map(|&r| self.counts[(r, self.counts.cols - 1)]).collect();
                Ok([
                    kendall(&of(&scores, rest), &truth),
                    kendall(&ridge, &truth),
                    kendall(&params, &truth).abs(),
                ])
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(with_means(row, &["default_tau", "ridge_tau", "params_tau"], &results))
    }
}

fn with_means<const N: usize>(mut row: Row, names: &[&str; N], results: &[[f64; N]]) -> Row {
    for (i, name) in names.iter().enumerate() {
        let of_seeds: Vec<f64> = results.iter().map(|r| r[i]).collect();
        row = row.with_mean(name, &of_seeds);
    }
    row
}
