//! `lanner-bench ranking` predicts accuracies from few trained networks.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use lanner_predict::accuracy::relation;
use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel, GraphGp};
use lanner_predict::general::baselines::Baseline;
use lanner_predict::general::gcn::{self, GcnPredictor, Samples};
use lanner_predict::metrics::{coverage, kendall, mean_and_error, spearman, top_k_regret};
use lanner_predict::regress::linalg::Mat;
use lanner_predict::{Forecast, Pool};

use super::Common;
use super::published::RANKING;
use super::tables::{Accuracies, shuffled, untrained};
use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
For NAS-Bench-201, correlations are over all networks of the space, including those trained on, as in \
publications. For other tables they are over all networks that were not trained on. first_ahead is \
the lead of the first predictor's kendall on the same draws. width_90 is the mean width of the 90 % \
intervals in the metric's unit.

Examples:
  lanner-bench ranking --train 78,156,781
  lanner-bench ranking --metric c100_test_200 --predictor default,gp --seeds 10
  lanner-bench ranking --train 100 --predictor binary --recipe brp-nas \\
    --seeds 1
  lanner-bench ranking --space darts --train 100
  lanner-bench ranking --space nasbench201 --table mine.csv \\
    --metric accuracy --train 50")]
pub struct RankingArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    accuracies: Accuracies,
    /// Columns of the table [default: c10_test_200; for other spaces each task's accuracy]
    #[arg(long, value_delimiter = ',')]
    metric: Vec<String>,
    /// Numbers of trained networks
    #[arg(long, value_delimiter = ',', default_value = "78,156,781", value_parser = clap::value_parser!(u32).range(0..15000))]
    train: Vec<u32>,
    /// default, gp, binary, binary-networks, unary, transfer, flops, ridge-counts, ridge-onehot,
    /// ridge-pairs, extra-trees
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default,gp,extra-trees,ridge-onehot,ridge-counts,flops"
    )]
    predictor: Vec<String>,
    /// Recipe of binary, unary and transfer: brp-nas or default
    #[arg(long, default_value = "default")]
    recipe: super::RecipeName,
    /// Table of `lanner proxies` whose rank is the prior of default, which is then compared with and
    /// without it; with --train 0, the rank alone
    #[arg(long, value_name = "FILE")]
    prior: Option<PathBuf>,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

const METRICS: [&str; 7] =
    ["kendall", "spearman", "regret_1", "regret_10", "coverage_90", "width_90", "seconds"];

/// A predictor with the features of the pool that it needs.
enum Ready {
    Default(AccuracyFeatures),
    Gp(AccuracyFeatures),
    /// `default` with a prior, and that alone.
    Prior(AccuracyFeatures, Vec<f64>),
    Binary(relation::RelationRecipe),
    Unary(gcn::GcnRecipe),
    /// A unary GCN whose weights begin as those of a predictor of FLOPs.
    Transfer(gcn::GcnRecipe),
    Baseline(Baseline, Mat),
}

impl Ready {
    fn new(name: &str, recipe: super::RecipeName, pool: &Pool) -> anyhow::Result<Ready> {
        let unary = match recipe {
            super::RecipeName::BrpNas => gcn::GcnRecipe::brp_nas_accuracy(),
            super::RecipeName::Default => gcn::GcnRecipe::default_accuracy(),
        };
        Ok(match name {
            "default" => Ready::Default(AccuracyFeatures::new(pool)),
            "gp" => Ready::Gp(AccuracyFeatures::new(pool)),
            "binary" => Ready::Binary(match recipe {
                super::RecipeName::BrpNas => relation::RelationRecipe::brp_nas(),
                super::RecipeName::Default => relation::RelationRecipe::default_ranking(),
            }),
            "binary-networks" => Ready::Binary(relation::RelationRecipe::Networks(
                relation::NetworkRecipe::networks(),
            )),
            "unary" => Ready::Unary(unary),
            "transfer" => Ready::Transfer(unary),
            _ => match Baseline::ALL.iter().find(|b| b.0 == name && b.1 != Baseline::LayerWise) {
                Some((_, baseline)) => Ready::Baseline(*baseline, baseline.encode(pool)),
                None => {
                    return Err(usage(format!(
                        "no ranking predictor '{name}'; `lanner-bench ranking --help` lists them"
                    )));
                }
            },
        })
    }

    fn fit_predict(
        &self,
        pool: &Pool,
        rows: &[usize],
        y: &[f64],
        seed: u64,
    ) -> anyhow::Result<Forecast> {
        let all: Vec<usize> = (0..pool.len()).collect();
        let archs: Vec<_> = rows.iter().map(|&r| pool.archs[r].clone()).collect();
        let samples = Samples { architectures: &archs, targets: y };
        let threads = rayon::current_num_threads();
        let go_on = &mut |_| ControlFlow::Continue(());
        let plain = |mean| Forecast { mean, ..Forecast::default() };
        let predict =
            |p: GcnPredictor| plain(p.predict(&p.prepare(&pool.space, &pool.archs), threads));
        Ok(match self {
            Ready::Default(views) => AccuracyModel::fit(views, rows, y, seed)?.predict(&all),
            Ready::Prior(_, scores) if rows.is_empty() => plain(scores.clone()),
            Ready::Prior(views, _) => AccuracyModel::fit(views, rows, y, seed)?.predict(&all),
            Ready::Gp(views) => GraphGp::fit(views, rows, y)?.predict(&all),
            Ready::Baseline(baseline, x) => {
                baseline.fit_predict(x, (rows, y), &all, false, seed)?
            }
            Ready::Binary(recipe) => {
                let r = relation::fit(&pool.space, samples, recipe, None, seed, threads, go_on)?;
                plain(r.scores(&r.prepare(&pool.space, &pool.archs), threads))
            }
            Ready::Unary(recipe) => {
                predict(gcn::fit(&pool.space, samples, None, recipe, None, seed, threads, go_on)?)
            }
            Ready::Transfer(recipe) => {
                // FLOPs cost nothing: the first network learns those of 900 other networks.
                let other = shuffled(&vec![0.0; pool.len()], seed ^ 1);
                let other: Vec<_> =
                    other.iter().take(900).map(|&r| pool.archs[r].clone()).collect();
                let flops: Vec<f64> = other
                    .iter()
                    .map(|a| pool.space.flops_and_params(a).map_or(0.0, |f| f.0))
                    .collect();
                let source = Samples { architectures: &other, targets: &flops };
                let first =
                    gcn::fit(&pool.space, source, None, recipe, None, seed, threads, go_on)?;
                predict(gcn::fit(
                    &pool.space,
                    samples,
                    None,
                    recipe,
                    Some(&first),
                    seed,
                    threads,
                    go_on,
                )?)
            }
        })
    }
}

pub fn run(args: RankingArgs) -> anyhow::Result<()> {
    let (measured, metrics) = args.accuracies.read(&args.common)?;
    let whole = args.accuracies.is_nasbench201();
    let metrics: Vec<String> = match (args.metric.is_empty(), metrics) {
        (false, _) => args.metric.clone(),
        (true, []) => return Err(usage("--table needs --metric")),
        (true, all) => all[..if whole { 1 } else { all.len() }].iter().map(|&m| m.into()).collect(),
    };
    let ready: Vec<(&String, Ready)> = args
        .predictor
        .iter()
        .map(|name| Ok((name, Ready::new(name, args.recipe, &measured.pool)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut ready = ready;
    let with_prior = String::from("default with prior");
    if let Some(path) = &args.prior {
        let scores = untrained(path, &measured.pool)?;
        let features = AccuracyFeatures::new(&measured.pool).with_prior(&scores);
        ready.insert(0, (&with_prior, Ready::Prior(features, scores)));
    }
    let total = (metrics.len() * args.train.len() * ready.len()) as u64 * args.seeds;
    let bar = progress(total, "ranking");
    let mut rows = Vec::new();
    for metric in &metrics {
        let (metric, values) = measured.column(metric)?;
        let measured_rows = values.iter().filter(|v| v.is_finite()).count();
        for &train in &args.train {
            if (1..5).contains(&train) || (train == 0 && args.prior.is_none()) {
                return Err(usage(format!(
                    "--train {train}: expected 5 or more, or 0 with --prior"
                )));
            }
            if train as usize + 2 > measured_rows {
                return Err(usage(format!(
                    "--train {train}: only {measured_rows} networks have a value of {metric}"
                )));
            }
            let mut first: Option<Vec<f64>> = None;
            let some = |r: &&(&String, Ready)| train >= 5 || matches!(r.1, Ready::Prior(..));
            for (predictor, ready) in ready.iter().filter(some) {
                let mut results: Vec<Vec<f64>> = vec![Vec::new(); METRICS.len()];
                for seed in args.common.seed..args.common.seed + args.seeds {
                    let one =
                        one_seed(ready, (&measured.pool, values), train as usize, whole, seed)?;
                    results.iter_mut().zip(one).for_each(|(all, v)| all.push(v));
                    bar.inc(1);
                }
                let mut row = Row::new();
                if !whole {
                    row = row.with("space", args.accuracies.space.as_str());
                }
                row = row.with("metric", metric).with("predictor", predictor.as_str());
                match ready {
                    Ready::Binary(recipe) => row = row.with("recipe", recipe.name()),
                    Ready::Unary(_) | Ready::Transfer(_) => {
                        row = row.with("recipe", args.recipe.name());
                    }
                    _ => {}
                }
                row = row.with("train", train).with("seeds", args.seeds);
                for (name, values) in METRICS.iter().zip(&results) {
                    row = row.with_mean(name, values);
                }
                match &first {
                    None => first = Some(results[0].clone()),
                    Some(first) => {
                        let ahead = first.iter().zip(&results[0]).map(|(a, b)| a - b);
                        row = row.with_mean("first_ahead", &ahead.collect::<Vec<_>>());
                    }
                }
                rows.push(row);
            }
            for p in RANKING.iter().filter(|p| whole && p.of == metric && p.size == train as usize)
            {
                let mut row = Row::new()
                    .with("metric", metric)
                    .with("predictor", p.predictor)
                    .with("train", train);
                for (name, value) in p.values {
                    row = row.with(name, *value);
                }
                rows.push(row.with("source", p.source));
            }
        }
    }
    bar.clear();
    print_rows(&rows, args.common.json)
}

/// Returns all metrics of one draw, in the order of [`METRICS`]: rank correlations over all networks
/// with a value if `whole`, else over those that were not trained on; regrets over all.
fn one_seed(
    ready: &Ready,
    (pool, values): (&Pool, &[f64]),
    train: usize,
    whole: bool,
    seed: u64,
) -> anyhow::Result<Vec<f64>> {
    let rows = shuffled(values, seed);
    let known = &rows[..train];
    let y: Vec<f64> = known.iter().map(|&r| values[r]).collect();
    let start = Instant::now();
    let forecast = ready.fit_predict(pool, known, &y, seed)?;
    let seconds = start.elapsed().as_secs_f64();
    let of = |v: &[f64]| -> Vec<f64> { rows.iter().map(|&r| v[r]).collect() };
    let (scores, truth) = (of(&forecast.mean), of(values));
    let unseen = &rows[known.len()..];
    let pick = |v: &[f64]| -> Vec<f64> { unseen.iter().map(|&r| v[r]).collect() };
    let from = if whole { 0 } else { known.len() };
    Ok(vec![
        kendall(&scores[from..], &truth[from..]),
        spearman(&scores[from..], &truth[from..]),
        top_k_regret(&scores, &truth, 1),
        top_k_regret(&scores, &truth, 10),
        if forecast.low.is_empty() {
            f64::NAN
        } else {
            100.0 * coverage(&pick(&forecast.low), &pick(&forecast.high), &pick(values))
        },
        if forecast.low.is_empty() {
            f64::NAN
        } else {
            mean_and_error(
                &unseen.iter().map(|&r| forecast.high[r] - forecast.low[r]).collect::<Vec<_>>(),
            )
            .0
        },
        seconds,
    ])
}
