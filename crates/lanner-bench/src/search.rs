//! `lanner-bench search` compares search strategies over a table of accuracies.

use std::path::PathBuf;
use std::time::Instant;

use lanner_predict::Pool;
use lanner_predict::accuracy::relation;
use lanner_predict::general::gcn;
use lanner_predict::select::iterative::Selection;
use lanner_search::{BrpNas, History, Ranker, Strategy, StrategyName};
use lanner_space::{Parameter, Parameters, Space};

use super::Common;
use super::published::SEARCH;
use super::tables::{Accuracies, Measured, untrained};
use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
best_N is the metric of the model that the strategy would deploy after N trainings: the best so far, \
or with --signal the one with the best signal. queries_to_optimum is the number of trainings until \
the best network of the whole space is trained; a search that does not find it counts as its budget, \
and `found` is the share of searches that find it. queries_within is the number of trainings until a \
network within 0.1 % of the best is trained (a relative difference: if the best has 45 %, one with \
44.955 %).

Examples:
  lanner-bench search --seeds 20
  lanner-bench search --metric c10_test_200 --signal c10_val_200_1seed
  lanner-bench search --strategy default --metric c100_test_200 \\
    --warm-start c10_test_12
  lanner-bench search --strategy brp-nas --recipe brp-nas --budget 100
  lanner-bench search --space transbench101-micro \\
    --strategy default,regularized-evolution,random")]
pub struct SearchArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    accuracies: Accuracies,
    /// Columns of the table [default: c10_test_200,c100_test_200; for other spaces each task's
    /// accuracy]
    #[arg(long, value_delimiter = ',')]
    metric: Vec<String>,
    /// Columns that the search sees instead of the metrics, one for each metric
    #[arg(long, value_delimiter = ',')]
    signal: Vec<String>,
    /// Columns whose values the search knows for all networks before (only default uses them)
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    warm_start: Vec<String>,
    /// Table of `lanner proxies` whose rank is the prior of the search (only default uses it)
    #[arg(long, value_name = "FILE")]
    prior: Option<PathBuf>,
    /// Search the choices of a cell as parameters without an order, without what is known of cells
    #[arg(long)]
    as_parameters: bool,
    /// Shuffle the values of --warm-start, so that they tell nothing
    #[arg(long, requires = "warm_start")]
    shuffled: bool,
    /// default, brp-nas, weak-predictors, regularized-evolution, random
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default,brp-nas,weak-predictors,regularized-evolution,random"
    )]
    strategy: Vec<String>,
    /// Largest number of trainings of a search
    #[arg(long, default_value_t = 200)]
    budget: usize,
    /// Number of models that brp-nas trains in phase 1
    #[arg(long, default_value_t = 100)]
    phase1: usize,
    /// Recipe of brp-nas: brp-nas or default
    #[arg(long, default_value = "default")]
    recipe: super::RecipeName,
    /// Ranker of brp-nas: binary or unary
    #[arg(long, default_value = "binary", value_parser = ["binary", "unary"])]
    predictor: String,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

/// Numbers of trainings after which the best so far is reported.
const MARKS: [usize; 8] = [20, 25, 40, 60, 80, 100, 130, 200];

/// Makes the strategy of a name; `brp-nas` by the recipe and the ranker that are compared.
fn strategy(
    name: &str,
    recipe: super::RecipeName,
    predictor: &str,
    phase1: usize,
    seed: u64,
) -> anyhow::Result<Box<dyn Strategy>> {
    if name != "brp-nas" {
        let name: StrategyName = name.parse().map_err(|why: String| usage(why))?;
        return Ok(name.make(&[1.0], phase1, seed));
    }
    let ranker = match (predictor, recipe) {
        ("unary", super::RecipeName::BrpNas) => Ranker::Unary(gcn::GcnRecipe::brp_nas_accuracy()),
        ("unary", _) => Ranker::Unary(gcn::GcnRecipe::default_accuracy()),
        (_, super::RecipeName::BrpNas) => Ranker::Binary(relation::RelationRecipe::brp_nas()),
        (_, _) => Ranker::Binary(relation::RelationRecipe::default_ranking()),
    };
    let threads = rayon::current_num_threads();
    Ok(Box::new(BrpNas::new(Selection::brp_nas(phase1), ranker, seed, threads)))
}

pub fn run(args: SearchArgs) -> anyhow::Result<()> {
    let (mut measured, metrics) = args.accuracies.read(&args.common)?;
    if args.as_parameters {
        measured.pool = as_parameters(&measured.pool)?;
    }
    let metrics: Vec<String> = match (args.metric.is_empty(), metrics) {
        (false, _) => args.metric.clone(),
        (true, []) => return Err(usage("--table needs --metric")),
        (true, all) => all.iter().map(|&m| m.into()).collect(),
    };
    if !args.signal.is_empty() && args.signal.len() != metrics.len() {
        return Err(usage("--signal needs as many columns as --metric"));
    }
    let prior = args.prior.as_ref().map(|path| untrained(path, &measured.pool)).transpose()?;
    let total = (metrics.len() * args.strategy.len()) as u64 * args.seeds;
    let bar = progress(total, "search");
    let mut rows = Vec::new();
    for (i, metric) in metrics.iter().enumerate() {
        let (metric, truth) = measured.column(metric)?;
        let signal = match args.signal.get(i) {
            Some(name) => measured.column(name)?.1,
            None => truth,
        };
        let optimum = truth.iter().copied().filter(|v| v.is_finite()).fold(f64::MIN, f64::max);
        for name in &args.strategy {
            let mut queries = Vec::new();
            let mut near = Vec::new();
            let mut found = 0;
            let mut seconds = Vec::new();
            let mut best: Vec<Vec<f64>> = vec![Vec::new(); MARKS.len()];
            for seed in args.common.seed..args.common.seed + args.seeds {
                let mut strategy = strategy(name, args.recipe, &args.predictor, args.phase1, seed)?;
                let start = Instant::now();
                strategy.warm_start(&measured.pool, &warm_start(&args, &measured, seed)?);
                if let Some(prior) = &prior {
                    strategy.prior(&measured.pool, prior);
                }
                let run =
                    one_search(&mut *strategy, &measured, truth, signal, optimum, args.budget);
                seconds.push(start.elapsed().as_secs_f64());
                queries.push(run.queries.unwrap_or(args.budget) as f64);
                near.push(run.near.unwrap_or(args.budget) as f64);
                found += u32::from(run.queries.is_some());
                best.iter_mut().zip(run.best).for_each(|(all, v)| all.extend(v));
                bar.inc(1);
            }
            let mut row = Row::new();
            if !args.accuracies.is_nasbench201() {
                row = row.with("space", args.accuracies.space.as_str());
            }
            row = row.with("metric", metric);
            if let Some(signal) = args.signal.get(i) {
                row = row.with("signal", signal.as_str());
            }
            if !args.warm_start.is_empty() {
                let mixed = if args.shuffled { " shuffled" } else { "" };
                row = row.with("warm_start", args.warm_start.join(",") + mixed);
            }
            if args.prior.is_some() {
                row = row.with("prior", "rank");
            }
            row = row.with("strategy", name.as_str());
            if name == "brp-nas" {
                row = row
                    .with("recipe", args.recipe.name())
                    .with("predictor", args.predictor.as_str());
            }
            row = row
                .with("budget", args.budget)
                .with("seeds", args.seeds)
                .with_mean("queries_to_optimum", &queries)
                .with("worst", queries.iter().copied().fold(0.0, f64::max))
                .with("found", f64::from(found) / args.seeds as f64)
                .with_mean("queries_within", &near);
            for (mark, values) in MARKS.iter().zip(&best) {
                row = row.with_mean(&format!("best_{mark}"), values);
            }
            rows.push(row.with_mean("seconds", &seconds));
        }
        for p in SEARCH.iter().filter(|p| {
            p.of == metric && args.signal.is_empty() && args.accuracies.is_nasbench201()
        }) {
            let mut row = Row::new().with("metric", metric).with("strategy", p.predictor);
            for (name, value) in p.values {
                row = row.with(name, *value);
            }
            rows.push(row.with("source", p.source));
        }
    }
    bar.clear();
    print_rows(&rows, args.common.json)
}

/// Returns the same pool in a space of parameters, whose codes are those of the cell.
fn as_parameters(pool: &Pool) -> anyhow::Result<Pool> {
    let choices = pool.space.choices().ok_or_else(|| {
        usage(format!("--as-parameters: the choices of {} depend on each other", pool.space))
    })?;
    let parameter = |(i, &count): (usize, &u8)| {
        let values = (0..count).map(|code| format!("op{code}"));
        Parameter::choice(&format!("edge{i}"), values)
    };
    let parameters = Parameters {
        name: format!("{}-parameters", pool.space),
        parameter: choices.iter().enumerate().map(parameter).collect(),
    };
    Ok(Pool::new(Space::of_parameters(&parameters)?, pool.archs.clone()))
}

/// Returns the columns of `--warm-start`.
fn warm_start(args: &SearchArgs, measured: &Measured, seed: u64) -> anyhow::Result<Vec<Vec<f64>>> {
    use rand::seq::SliceRandom;
    let mut rng = lanner_nn::rng(seed, "shuffled");
    let columns = args.warm_start.iter().map(|name| {
        let mut values = measured.column(name)?.1.to_vec();
        if args.shuffled {
            values.shuffle(&mut rng);
        }
        Ok(values)
    });
    columns.collect()
}

/// Fraction of the optimum that counts as near it.
const NEAR: f64 = 0.999;

struct Run {
    /// Number of trainings until the optimum was found.
    queries: Option<usize>,
    /// Number of trainings until one within [`NEAR`] of the optimum was found.
    near: Option<usize>,
    /// Metric of the deployed model at each mark within the budget.
    best: Vec<Option<f64>>,
}

fn one_search(
    strategy: &mut dyn Strategy,
    measured: &Measured,
    truth: &[f64],
    signal: &[f64],
    optimum: f64,
    budget: usize,
) -> Run {
    let pool = &measured.pool;
    let mut history = History::default();
    let mut run = Run { queries: None, near: None, best: vec![None; MARKS.len()] };
    'search: while history.asked() < budget {
        let rows = strategy.ask(pool, &history, None, budget - history.asked());
        if rows.is_empty() {
            break;
        }
        for row in rows {
            history.tell(row, Some(signal[row]).filter(|v| v.is_finite()));
            let asked = history.asked();
            if truth[row] >= NEAR * optimum && run.near.is_none() {
                run.near = Some(asked);
            }
            if truth[row] == optimum && run.queries.is_none() {
                run.queries = Some(asked);
            }
            if let Some(at) = MARKS.iter().position(|&m| m == asked) {
                run.best[at] = strategy.recommend(pool, &history).map(|t| truth[t.row]);
            }
            // Without noise, nothing changes once the optimum is known.
            if std::ptr::eq(signal, truth) && run.queries.is_some() {
                for (mark, best) in MARKS.iter().zip(&mut run.best) {
                    if (asked..=budget).contains(mark) {
                        *best = Some(optimum);
                    }
                }
                break 'search;
            }
        }
    }
    run
}
