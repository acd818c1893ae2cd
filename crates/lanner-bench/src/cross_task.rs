//! `lanner-bench cross-task` predicts accuracies on a new task from other tasks and spaces.

mod tasks;

use std::io::Write;
use std::path::PathBuf;

use crate::recipes::multi_predict::{MultiPredict, tasks::WIDTH};
use lanner_predict::accuracy::adapted::{
    AdaptedAccuracy, Inputs, Source, SourceRelation, TaskPrior,
};
use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel};
use lanner_predict::metrics::{mean_and_error, spearman};
use lanner_predict::regress::ridge::Ridge;
use rayon::prelude::*;

use super::Common;
use super::tables::shuffled;
use crate::output::{Row, print_rows, progress, usage};
use tasks::{Task, named};

#[derive(clap::Args)]
#[command(after_help = "\
Spearman correlations are over all networks of the target's table that were not trained on, for every \
ordered pair of data sets. Standard errors are over seeds: a seed draws the target's samples. default-prior \
and no-transfer-prior start from rank of the tables of --prior (one for each space, such as \
nasbench201.csv, written by `lanner proxies`), else of the proxies that the published tables have.

Examples:
  lanner-bench cross-task
  lanner-bench cross-task --set nasbench201-cifar100,micro-jigsaw \\
    --method default,no-transfer
  lanner-bench cross-task --csv > heat-map.csv
  lanner-bench cross-task --set dev --seed 1000")]
pub struct CrossTaskArgs {
    #[command(flatten)]
    common: Common,
    /// Data sets, of which all ordered pairs are compared: names as in the table, all (those of the 28 of
    /// NAS-Bench-Suite-Zero that the folder has), or dev (the ones used in development)
    #[arg(long, value_delimiter = ',', default_value = "all")]
    set: Vec<String>,
    /// Number of trained networks of the target
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..500))]
    samples: u32,
    /// default, default-proxies, default-graph, default-prior, no-transfer, no-transfer-prior,
    /// multi-predict, accuracy, ridge-proxies, best-proxy
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default,default-proxies,default-graph,no-transfer,multi-predict,accuracy,ridge-proxies,best-proxy"
    )]
    method: Vec<String>,
    /// Folder of tables of `lanner proxies`, one a space, in place of the published proxies; networks
    /// without are left out
    #[arg(long, value_name = "DIR")]
    proxies: Option<PathBuf>,
    /// Folder of tables of `lanner proxies`, one a space, for default-prior and no-transfer-prior
    #[arg(long, value_name = "DIR")]
    prior: Option<PathBuf>,
    /// Add rows for `default` with all other data sets together as sources, and with all of other
    /// spaces
    #[arg(long)]
    several: bool,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Print a line for each pair and method as CSV: source,target,method,spearman,spearman_se
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Default(Inputs),
    /// `default` beside `rank`.
    DefaultPrior,
    /// `default` without a source, beside `rank` or not.
    NoTransfer {
        prior: bool,
    },
    MultiPredict,
    /// The accuracy predictor `default`, which sees only graphs.
    Accuracy,
    RidgeProxies,
    /// The proxy that correlates best with the samples, with the sign of that correlation.
    BestProxy,
}

const METHODS: [(&str, Method); 10] = [
    ("default", Method::Default(Inputs::Both)),
    ("default-proxies", Method::Default(Inputs::Proxies)),
    ("default-graph", Method::Default(Inputs::Graph)),
    ("default-prior", Method::DefaultPrior),
    ("no-transfer", Method::NoTransfer { prior: false }),
    ("no-transfer-prior", Method::NoTransfer { prior: true }),
    ("multi-predict", Method::MultiPredict),
    ("accuracy", Method::Accuracy),
    ("ridge-proxies", Method::RidgeProxies),
    ("best-proxy", Method::BestProxy),
];

impl Method {
    fn has_source(self) -> bool {
        matches!(self, Method::Default(_) | Method::DefaultPrior | Method::MultiPredict)
    }

    fn has_prior(self) -> bool {
        matches!(self, Method::DefaultPrior | Method::NoTransfer { prior: true })
    }
}

/// Spearman correlations, one a seed.
type Seeds = Vec<f64>;

/// The setting that is the same for all pairs.
struct Game {
    samples: usize,
    seeds: Vec<u64>,
}

impl Game {
    /// Scores the whole pool by `predict` for each draw of samples, and correlates the scores with the
    /// values of the rest.
    fn play(
        &self,
        target: &Task,
        predict: impl Fn(&[usize], &[f64], u64) -> anyhow::Result<Vec<f64>> + Sync,
    ) -> anyhow::Result<Seeds> {
        (self.seeds.par_iter())
            .map(|&seed| {
                let rows = shuffled(&target.values, seed);
                let (known, rest) = rows.split_at(self.samples);
                let of = |v: &[f64], rows: &[usize]| -> Vec<f64> {
                    rows.iter().map(|&r| v[r]).collect()
                };
                let scores = predict(known, &of(&target.values, known), seed)?;
                let rank = spearman(&of(&scores, rest), &of(&target.values, rest));
                // A constant prediction ranks nothing.
                Ok(if rank.is_finite() { rank } else { 0.0 })
            })
            .collect()
    }

    fn adapted(&self, target: &Task, sources: &[Source], inputs: Inputs) -> anyhow::Result<Seeds> {
        self.adapted_from(target, target.features.prior(sources, inputs))
    }

    /// The same beside an untrained score.
    fn adapted_beside_rank(&self, target: &Task, sources: &[Source]) -> anyhow::Result<Seeds> {
        let scores = target.untrained.as_ref();
        let scores = scores.ok_or_else(|| usage(format!("{}: no prior", target.name)))?;
        let prior = target.features.prior_with_untrained(sources, Inputs::Both, scores);
        self.adapted_from(target, prior)
    }

    fn adapted_from(&self, target: &Task, prior: TaskPrior) -> anyhow::Result<Seeds> {
        let all: Vec<usize> = (0..target.values.len()).collect();
        self.play(target, |rows, y, _| {
            Ok(AdaptedAccuracy::fit(&prior, rows, y)?.scores(&prior, &all))
        })
    }

    /// Runs a method that needs no source.
    fn alone(&self, method: Method, target: &Task) -> anyhow::Result<Seeds> {
        let proxies = target.features.proxy_scores();
        match method {
            Method::NoTransfer { prior: false } => self.adapted(target, &[], Inputs::Both),
            Method::NoTransfer { prior: true } => self.adapted_beside_rank(target, &[]),
            Method::Accuracy => {
                let features = AccuracyFeatures::new(&target.pool);
                let all: Vec<usize> = (0..target.values.len()).collect();
                self.play(target, |rows, y, seed| {
                    Ok(AccuracyModel::fit(&features, rows, y, seed)?.scores(&all))
                })
            }
            Method::RidgeProxies => self.play(target, |rows, y, _| {
                Ok(Ridge::fit(&proxies.select(rows), y)?.predict(proxies))
            }),
            _ => self.play(target, |rows, y, _| {
                let column = |j: usize| (0..proxies.rows).map(|i| proxies[(i, j)]).collect();
                let best = (0..proxies.cols)
                    .map(|j| {
                        let column: Vec<f64> = column(j);
                        let seen: Vec<f64> = rows.iter().map(|&r| column[r]).collect();
                        let rank = spearman(&seen, y);
                        (if rank.is_finite() { rank } else { 0.0 }, column)
                    })
                    .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
                Ok(best.map_or(vec![0.0; proxies.rows], |(rank, column)| {
                    column.iter().map(|v| rank.signum() * v).collect()
                }))
            }),
        }
    }
}

/// Largest number of networks of a source on which the recipe is pre-trained.
const PRE_TRAINED_ON: usize = 1000;

fn pre_trained(task: &Task, seeds: &[u64]) -> anyhow::Result<Vec<MultiPredict>> {
    (seeds.par_iter())
        .map(|&seed| {
            let mut rows = shuffled(&task.values, seed);
            rows.truncate(PRE_TRAINED_ON);
            let y: Vec<f64> = rows.iter().map(|&r| task.values[r]).collect();
            Ok(MultiPredict::pre_train(WIDTH, &task.normalised.select(&rows), &y, seed)?)
        })
        .collect()
}

/// Makes a source from a task, for a target.
fn source(of: &Task, target: &Task, inputs: Inputs) -> anyhow::Result<Source> {
    let rows: Vec<usize> = (0..of.values.len()).collect();
    Ok(Source::new(&of.features, &rows, &of.values, &target.features, inputs)?)
}

/// An ordered pair of source and target.
struct Pair<'a> {
    source: &'a str,
    target: &'a str,
    relation: SourceRelation,
    /// Results, one a method.
    results: Vec<Seeds>,
}

pub fn run(args: CrossTaskArgs) -> anyhow::Result<()> {
    let methods: Vec<(&str, Method)> = (args.method.iter())
        .map(|name| {
            METHODS.iter().find(|m| m.0 == name).copied().ok_or_else(|| {
                let names: Vec<&str> = METHODS.iter().map(|m| m.0).collect();
                usage(format!("no method '{name}'; there are: {}", names.join(", ")))
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let (chosen, absent) = named(&args.common, &args.set)?;
    if !absent.is_empty() {
        eprintln!("note: the folder of tables does not have {}", absent.join(", "));
    }
    let mut tasks: Vec<Task> = chosen
        .iter()
        .map(|n| Task::read(&args.common, n, args.proxies.as_deref()))
        .collect::<Result<_, _>>()?;
    if methods.iter().any(|m| m.1.has_prior()) {
        for task in &mut tasks {
            task.read_prior(args.prior.as_deref())?;
        }
    }
    let tasks = tasks;
    if tasks.len() < 2 {
        return Err(usage("--set: a pair needs two data sets"));
    }
    let game = Game {
        samples: args.samples as usize,
        seeds: (args.common.seed..args.common.seed + args.seeds).collect(),
    };
    if let Some(task) = tasks.iter().find(|t| t.values.len() < game.samples + 10) {
        return Err(usage(format!(
            "--samples {}: {} has only {} networks",
            game.samples,
            task.name,
            task.values.len()
        )));
    }
    let bar = progress((tasks.len() * tasks.len()) as u64, "pairs");
    let mut networks: Vec<Vec<MultiPredict>> = Vec::new();
    if methods.iter().any(|m| m.1 == Method::MultiPredict) {
        for task in &tasks {
            networks.push(pre_trained(task, &game.seeds)?);
            bar.inc(1);
        }
    }
    let mut pairs = Vec::new();
    let mut of_several = Vec::new();
    for target in &tasks {
        let alone: Vec<Option<Seeds>> = (methods.iter())
            .map(|m| if m.1.has_source() { Ok(None) } else { game.alone(m.1, target).map(Some) })
            .collect::<anyhow::Result<_>>()?;
        for (s, from) in tasks.iter().enumerate().filter(|t| t.1.name != target.name) {
            let mut relation = SourceRelation::ProxiesAlone;
            let mut results = Vec::new();
            for ((_, method), alone) in methods.iter().zip(&alone) {
                results.push(match (method, alone) {
                    (_, Some(alone)) => alone.clone(),
                    (Method::Default(inputs), _) => {
                        let source = source(from, target, *inputs)?;
                        relation = source.relation;
                        game.adapted(target, &[source], *inputs)?
                    }
                    (Method::DefaultPrior, _) => {
                        let source = source(from, target, Inputs::Both)?;
                        relation = source.relation;
                        game.adapted_beside_rank(target, &[source])?
                    }
                    _ => game.play(target, |rows, y, seed| {
                        let first = &networks[s][(seed - args.common.seed) as usize];
                        let x = &target.normalised;
                        Ok(first.fine_tuned(&x.select(rows), y, seed)?.predict(x))
                    })?,
                });
            }
            pairs.push(Pair { source: &from.name, target: &target.name, relation, results });
            bar.inc(1);
        }
        if args.several {
            let others = tasks.iter().filter(|t| t.name != target.name);
            let all: Vec<Source> =
                others.map(|t| source(t, target, Inputs::Both)).collect::<anyhow::Result<_>>()?;
            let other_spaces: Vec<Source> =
                all.iter().filter(|s| s.relation != SourceRelation::SameSpace).cloned().collect();
            of_several.push(
                Row::new()
                    .with("target", target.name.as_str())
                    .with_mean("no-transfer", &game.adapted(target, &[], Inputs::Both)?)
                    .with_mean("other_spaces", &game.adapted(target, &other_spaces, Inputs::Both)?)
                    .with_mean("all_others", &game.adapted(target, &all, Inputs::Both)?),
            );
        }
    }
    bar.clear();
    let names: Vec<&str> = methods.iter().map(|m| m.0).collect();
    if args.csv {
        return print_csv(&pairs, &names);
    }
    let mut rows: Vec<Row> = pairs.iter().map(|p| pair_row(p, &names)).collect();
    rows.extend(summary(&pairs, &names));
    rows.extend(of_several.into_iter().map(|r| r.with("source", "several")));
    print_rows(&rows, args.common.json)
}

fn pair_row(pair: &Pair, names: &[&str]) -> Row {
    let mut row = Row::new().with("source", pair.source).with("target", pair.target);
    for (name, seeds) in names.iter().zip(&pair.results) {
        row = row.with_mean(name, seeds);
    }
    row
}

fn print_csv(pairs: &[Pair], names: &[&str]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "source,target,method,spearman,spearman_se")?;
    for pair in pairs {
        for (name, seeds) in names.iter().zip(&pair.results) {
            let (mean, error) = mean_and_error(seeds);
            writeln!(out, "{},{},{name},{mean},{error}", pair.source, pair.target)?;
        }
    }
    Ok(())
}

/// Averages over pairs, with errors over seeds. Then tells on how many % of the pairs the first method
/// is above each other one, and above or below by more than two standard errors of the difference.
fn summary(pairs: &[Pair], names: &[&str]) -> Vec<Row> {
    let groups: [(&str, Option<SourceRelation>); 4] = [
        ("all pairs", None),
        ("one space", Some(SourceRelation::SameSpace)),
        ("cells of two spaces", Some(SourceRelation::OtherCells)),
        ("cell and chain", Some(SourceRelation::ProxiesAlone)),
    ];
    let mut rows = Vec::new();
    for (group, relation) in groups {
        let some: Vec<&Pair> =
            pairs.iter().filter(|p| relation.is_none_or(|r| r == p.relation)).collect();
        if some.is_empty() {
            continue;
        }
        let of = |what: &str| Row::new().with("source", what).with("target", group);
        let mut mean = of("mean").with("pairs", some.len());
        let mut shares = [of("% above"), of("% clearly above"), of("% clearly below")];
        for (m, name) in names.iter().enumerate() {
            let seeds = some[0].results[m].len();
            let by_seed: Vec<f64> = (0..seeds)
                .map(|s| some.iter().map(|p| p.results[m][s]).sum::<f64>() / some.len() as f64)
                .collect();
            mean = mean.with_mean(name, &by_seed);
            if m == 0 {
                continue;
            }
            let differences: Vec<(f64, f64)> = (some.iter())
                .map(|p| {
                    let of_seed = p.results[0].iter().zip(&p.results[m]).map(|(a, b)| a - b);
                    mean_and_error(&of_seed.collect::<Vec<_>>())
                })
                .collect();
            let share = |holds: &dyn Fn(f64, f64) -> bool| {
                let count = differences.iter().filter(|d| holds(d.0, d.1)).count();
                100.0 * count as f64 / some.len() as f64
            };
            let [above, clearly, below] = shares;
            shares = [
                above.with(name, share(&|d, _| d > 0.0)),
                clearly.with(name, share(&|d, error| d > 2.0 * error)),
                below.with(name, share(&|d, error| d < -2.0 * error)),
            ];
        }
        rows.push(mean);
        rows.extend(shares);
    }
    rows
}
