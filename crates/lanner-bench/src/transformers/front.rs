//! `lanner-bench front` searches perplexity and latency of GPT-like networks on a surrogate.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::Arc;

use lanner_data::Table;
use lanner_data::import::{Format, read_where};
use lanner_evaluate::evaluator::{Answer, Request};
use lanner_predict::metrics::spearman;
use lanner_predict::regress::linalg::Mat;
use lanner_predict::regress::ridge::Ridge;
use lanner_search::run::{Control, Own, Run};
use lanner_search::strategy::hypervolume;
use lanner_search::study::State;
use lanner_search::{Job, StrategyName};
use lanner_space::{Architecture, Space};

use super::super::Common;
use super::super::tables::shuffled;
use super::counts::Counts;
use crate::output::{Row, print_rows, progress, usage};

/// Options of the bench.
#[derive(clap::Args)]
#[command(after_help = "\
The table of HW-GPT-Bench has 10,000 of 10^16 networks, so a surrogate stands for it: ridge regression on counts \
of logarithms, fitted to all rows; its error on a tenth that is left out is printed. Both objectives are scaled: 0 is the \
least logarithm of the table, 1 the greatest, which is the point from which hypervolumes are measured.

--serve answers programs of others, benches/peers/front_optuna.py: each line of standard input is a network as \
{\"embed_dim\": 768, …}; each line of the output has the two scaled objectives.

Examples:
  lanner-bench front --latency a100_ms,cpu_meta_ms --seeds 10
  lanner-bench front --latency a100_ms --serve")]
pub struct FrontArgs {
    #[command(flatten)]
    common: Common,
    /// Columns of latencies, each with the perplexity
    #[arg(long, value_delimiter = ',', default_value = "a100_ms,cpu_meta_ms")]
    latency: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "default,regularized-evolution,random")]
    strategy: Vec<String>,
    /// Number of evaluations of a search
    #[arg(long, default_value_t = 100)]
    budget: usize,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Answer networks on standard input by their objectives
    #[arg(long)]
    serve: bool,
}

const QUALITY: &str = "perplexity";

pub fn run(args: FrontArgs) -> anyhow::Result<()> {
    let space = Space::HwGptS;
    let files = [args.common.file("hw-gpt-bench/gpt_s.csv")?];
    let table = read_where(Format::HwGpt, &files, &space, None, &|_, _| {})?.table;
    if args.serve {
        let surrogate = Surrogate::fit(&table, &args.latency[0])?;
        return serve(&space, &surrogate);
    }
    let mut rows = Vec::new();
    let bar = progress((args.latency.len() * args.strategy.len()) as u64 * args.seeds, "searches");
    let folder = std::env::temp_dir().join(format!("lanner-front-{}", std::process::id()));
    for latency in &args.latency {
        let surrogate = Arc::new(Surrogate::fit(&table, latency)?);
        for strategy in &args.strategy {
            let name: StrategyName = strategy.parse().map_err(|why: String| usage(why))?;
            let mut volumes = [Vec::new(), Vec::new()];
            for seed in args.common.seed..args.common.seed + args.seeds {
                let found = search(&space, latency, &surrogate, name, args.budget, seed, &folder);
                // A folder that stays in the way would end the next search.
                let _ = std::fs::remove_dir_all(&folder);
                let found = found?;
                for (volumes, count) in volumes.iter_mut().zip([args.budget / 2, args.budget]) {
                    let points: Vec<[f64; 2]> =
                        found.iter().take(count).map(|p| [-p[0], -p[1]]).collect();
                    volumes.push(hypervolume(&points, &[-1.0, -1.0]));
                }
                bar.inc(1);
            }
            let mut row = Row::new()
                .with("latency", latency.as_str())
                .with("strategy", strategy.as_str())
                .with("budget", args.budget)
                .with("seeds", args.seeds);
            for (volumes, count) in volumes.iter().zip([args.budget / 2, args.budget]) {
                row = row.with_mean(&format!("hypervolume_{count}"), volumes);
            }
            for (what, errors) in [QUALITY, "latency"].iter().zip(surrogate.errors) {
                row = row
                    .with(&format!("{what}_spearman"), errors[0])
                    .with(&format!("{what}_mape"), errors[1]);
            }
            rows.push(row);
        }
    }
    bar.clear();
    print_rows(&rows, args.common.json)
}

/// A search's objectives in the order of evaluations.
fn search(
    space: &Space,
    latency: &str,
    surrogate: &Arc<Surrogate>,
    strategy: StrategyName,
    budget: usize,
    seed: u64,
    folder: &std::path::Path,
) -> anyhow::Result<Vec<[f64; 2]>> {
    let job = Job::new(space.name()).minimise(QUALITY).minimise(latency);
    let job = Job { strategy, ..job.budget(budget).seed(seed) };
    let (of, name) = (surrogate.clone(), latency.to_string());
    let evaluator = move |request: &Request| {
        let [quality, latency] = of.logs(request.arch);
        let metrics = [(QUALITY.to_string(), quality.exp()), (name.clone(), latency.exp())];
        Ok(Answer::Metrics(BTreeMap::from(metrics)))
    };
    let mut run = Run::create(folder, &job, Own::evaluator(evaluator), &mut Control::default())
        .map_err(|e| usage(e.to_string()))?;
    run.finish(&mut Control::default())?;
    let trials = run.study().trials()?.into_iter().filter(|t| t.state == State::Done);
    Ok(trials.map(|t| surrogate.scaled(&t.arch)).collect())
}

fn serve(space: &Space, surrogate: &Surrogate) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let [quality, latency] = surrogate.scaled(&space.parse(line?.trim())?);
        writeln!(out, "{quality} {latency}")?;
        out.flush()?;
    }
    Ok(())
}

/// Logarithms of perplexity and latency of any network of the space.
struct Surrogate {
    space: Space,
    counts: Counts,
    models: [Ridge; 2],
    /// Least and greatest logarithm in the table.
    ranges: [[f64; 2]; 2],
    /// Spearman correlation and mean absolute percentage error on rows that were left out.
    errors: [[f64; 2]; 2],
}

impl Surrogate {
    fn fit(table: &Table, latency: &str) -> anyhow::Result<Surrogate> {
        let space = table.space.clone();
        let counts = Counts::new(&space, &table.archs);
        let x = counts.of(&space, &table.archs);
        let fit = |name: &str| -> anyhow::Result<(Ridge, [f64; 2], [f64; 2])> {
            let values = table.column(name)?;
            let rows = shuffled(values, 0);
            let logs = |rows: &[usize]| rows.iter().map(|&r| values[r].ln()).collect::<Vec<f64>>();
            let (test, train) = rows.split_at(rows.len() / 10);
            let checked = Ridge::fit(&x.select(train), &logs(train))?.predict(&x.select(test));
            let truth = logs(test);
            let relative = checked.iter().zip(&truth).map(|(p, t)| ((p - t).exp() - 1.0).abs());
            let mape = 100.0 * relative.sum::<f64>() / truth.len() as f64;
            let all = logs(&rows);
            let range = [
                all.iter().copied().fold(f64::INFINITY, f64::min),
                all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ];
            let errors = [spearman(&checked, &truth), mape];
            Ok((Ridge::fit(&x.select(&rows), &all)?, range, errors))
        };
        let (quality, latency) = (fit(QUALITY)?, fit(latency)?);
        Ok(Surrogate {
            space,
            counts,
            models: [quality.0, latency.0],
            ranges: [quality.1, latency.1],
            errors: [quality.2, latency.2],
        })
    }

    fn logs(&self, arch: &Architecture) -> [f64; 2] {
        let x: Mat = self.counts.of(&self.space, std::slice::from_ref(arch));
        [0, 1].map(|i| self.models[i].predict(&x)[0])
    }

    fn scaled(&self, arch: &Architecture) -> [f64; 2] {
        let logs = self.logs(arch);
        [0, 1].map(|i| {
            let [low, high] = self.ranges[i];
            (logs[i] - low) / (high - low)
        })
    }
}
