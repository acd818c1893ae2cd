//! `lanner-bench cross-space` predicts latencies in a space in which the device is new.

use crate::recipes::multi_predict::MultiPredict;
use crate::recipes::multi_predict::spaces::{WIDTH, encoding};
use crate::recipes::peers::Peer;
use lanner_predict::encode::operations::Counted;
use lanner_predict::latency::adapted::{Bridge, DevicePrior, FewShot, Guess};
use lanner_predict::latency::operations::OperationsModel;
use lanner_predict::metrics::{mean_and_error, spearman};
use lanner_predict::regress::linalg::Mat;
use rayon::prelude::*;

use super::Common;
use super::few_shot::World;
use super::tables::shuffled;
use lanner_space::Space;

use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
A device was measured in one space and is new in another: --measured 65+20 means 65 latencies in the \
source space and 20 in the target space. The references are other devices that were measured in both: \
by default the 16 (of 21) that correlate least with the device in the source space, as in \
Multi-Predict. Spearman correlations are over all other architectures of the target space; errors are \
over seeds. `gain` is the first method's lead over no-transfer on the same draws.

  transfer             the few-shot predictor, with what the source space tells
  no-transfer          the same without the source space
  references           only a mixture of the references, with weights from
                       the source space
  simulated            only a mixture of simulated devices, with weights from
                       the source space
  operations           only sums over operations, fitted in the source space,
                       without references
  flops                FLOPs of the target space
  multi-predict        the recipe: a network on the references' latencies,
                       trained on the source space, then on the samples
  multi-predict-new    the same network trained on the samples only
  ridge-sources        ridge on the references' latencies and operation counts
  ridge-counts         ridge on operation counts

Examples:
  lanner-bench cross-space
  lanner-bench cross-space --to fbnet --device pixel3,fpga --measured 900+10
  lanner-bench cross-space --method transfer,no-transfer --seeds 5 --json")]
pub struct CrossSpaceArgs {
    #[command(flatten)]
    common: Common,
    /// Target spaces, fbnet or nasbench201; the other one is the source
    #[arg(long, value_delimiter = ',', default_value = "fbnet,nasbench201")]
    to: Vec<String>,
    /// Target devices [default: all 22 that were measured in both spaces]
    #[arg(long, value_delimiter = ',')]
    device: Vec<String>,
    /// Numbers of measurements of the device in the source and in the target space
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N+N",
        default_value = "82+3,80+5,65+20,17+3,15+5,10+10"
    )]
    measured: Vec<String>,
    /// Number of reference devices, which were measured in both spaces
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=21))]
    references: u32,
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "transfer,no-transfer,multi-predict,multi-predict-new,ridge-sources,ridge-counts"
    )]
    method: Vec<String>,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Transfer,
    NoTransfer,
    References,
    Simulated,
    Operations,
    Flops,
    MultiPredict,
    MultiPredictNew,
    Peer(Peer),
}

impl Method {
    const ALL: [(&str, Method); 10] = [
        ("transfer", Method::Transfer),
        ("no-transfer", Method::NoTransfer),
        ("references", Method::References),
        ("simulated", Method::Simulated),
        ("operations", Method::Operations),
        ("flops", Method::Flops),
        ("multi-predict", Method::MultiPredict),
        ("multi-predict-new", Method::MultiPredictNew),
        ("ridge-sources", Method::Peer(Peer::RidgeSources)),
        ("ridge-counts", Method::Peer(Peer::RidgeCounts)),
    ];

    fn by_name(name: &str) -> anyhow::Result<Method> {
        Method::ALL.iter().find(|m| m.0 == name).map(|m| m.1).ok_or_else(|| {
            let names: Vec<&str> = Method::ALL.iter().map(|m| m.0).collect();
            usage(format!("no method '{name}'; there are: {}", names.join(", ")))
        })
    }
}

/// Numbers of measurements of the device in the source and in the target space.
#[derive(Clone, Copy)]
struct Budget {
    source: usize,
    target: usize,
}

impl Budget {
    fn parse(text: &str) -> anyhow::Result<Budget> {
        let parts = text.split_once('+').map(|(a, b)| (a.trim().parse(), b.trim().parse()));
        match parts {
            Some((Ok(source), Ok(target))) if source >= 3 && target >= 3 => {
                Ok(Budget { source, target })
            }
            _ => Err(usage(format!(
                "--measured {text}: expected two numbers of at least 3, as in 65+20"
            ))),
        }
    }
}

/// A device as the target in one direction.
struct Game<'a> {
    source: &'a World,
    target: &'a World,
    /// Columns of the device in each space.
    own: [usize; 2],
    /// Columns of the references in each space.
    references: [Vec<usize>; 2],
    bridge: Bridge,
    /// The references' functions in the target space.
    to_functions: Mat,
    prior: DevicePrior,
    /// Encodings of the recipe in each space.
    encodings: [Mat; 2],
}

pub fn run(args: CrossSpaceArgs) -> anyhow::Result<()> {
    let methods: Vec<(&str, Method)> = (args.method.iter())
        .map(|name| Ok((name.as_str(), Method::by_name(name)?)))
        .collect::<anyhow::Result<_>>()?;
    let budgets: Vec<Budget> =
        args.measured.iter().map(|text| Budget::parse(text)).collect::<anyhow::Result<_>>()?;
    for name in &args.to {
        if !["nasbench201", "fbnet"].contains(&name.as_str()) {
            return Err(usage(format!("no space '{name}'; there are: fbnet, nasbench201")));
        }
    }
    let world = |space| World::new(&args.common, &space);
    let mut worlds = [world(Space::NasBench201)?, world(Space::Fbnet)?];
    let common = common(&worlds);
    if common.len() < 3 {
        return Err(usage(format!(
            "transfer needs 3 devices measured in both spaces; these tables share {}",
            if common.is_empty() { "none".into() } else { common.join(", ") }
        )));
    }
    let devices: Vec<&String> = if args.device.is_empty() {
        common.iter().collect()
    } else {
        (args.device.iter())
            .map(|name| {
                common.iter().find(|c| *c == name).ok_or_else(|| {
                    usage(format!(
                        "no device '{name}' in both spaces; there are: {}",
                        common.join(", ")
                    ))
                })
            })
            .collect::<anyhow::Result<_>>()?
    };
    let bar = progress((args.to.len() * devices.len()) as u64 * args.seeds, "cross-space");
    // All devices together, since those with the same architectures share the expensive part.
    for world in &mut worlds {
        let places: Vec<usize> =
            common.iter().map(|name| world.place(name)).collect::<anyhow::Result<_>>()?;
        world.functions(&places)?;
    }
    let mut rows = Vec::new();
    for to in &args.to {
        let fbnet = to == "fbnet";
        // By method, then budget: for each device one value a seed.
        let mut all = vec![vec![Vec::new(); budgets.len()]; methods.len()];
        for device in &devices {
            let game = Game::new(&mut worlds, fbnet, device, &common, args.references as usize)?;
            let seeds: Vec<u64> = (args.common.seed..args.common.seed + args.seeds).collect();
            // By seed, then method, then budget.
            let mut played: Vec<Vec<Vec<f64>>> = Vec::new();
            for some in seeds.chunks(rayon::current_num_threads()) {
                let play = |&seed: &u64| -> anyhow::Result<Vec<Vec<f64>>> {
                    let of = |method| budgets.iter().map(|b| game.play(method, *b, seed)).collect();
                    methods.iter().map(|m| of(m.1)).collect()
                };
                played.extend(some.par_iter().map(play).collect::<anyhow::Result<Vec<_>>>()?);
                bar.inc(some.len() as u64);
            }
            let of = |m: usize, b: usize| played.iter().map(|seed| seed[m][b]).collect();
            let results: Vec<Vec<Vec<f64>>> = (0..methods.len())
                .map(|m| (0..budgets.len()).map(|b| of(m, b)).collect())
                .collect();
            for (b, budget) in args.measured.iter().enumerate() {
                let of: Vec<&Vec<f64>> = results.iter().map(|r| &r[b]).collect();
                rows.push(row(to, device, budget, &methods, &of));
            }
            for (all, results) in all.iter_mut().zip(results) {
                all.iter_mut().zip(results).for_each(|(all, r)| all.push(r));
            }
        }
        for (b, budget) in args.measured.iter().enumerate() {
            rows.push(summary(
                to,
                budget,
                &methods,
                &all.iter().map(|m| &m[b]).collect::<Vec<_>>(),
            ));
        }
    }
    bar.clear();
    print_rows(&rows, args.common.json)
}

/// Returns the names of the devices that were measured in both spaces.
fn common(worlds: &[World; 2]) -> Vec<String> {
    let names = |world: &World| -> Vec<String> {
        let latencies = world.measured.columns.iter().filter_map(|c| c.0.strip_suffix("_ms"));
        latencies.map(String::from).collect()
    };
    let other = names(&worlds[1]);
    names(&worlds[0]).into_iter().filter(|name| other.contains(name)).collect()
}

impl<'a> Game<'a> {
    fn new(
        worlds: &'a mut [World; 2],
        to_fbnet: bool,
        device: &str,
        common: &[String],
        references: usize,
    ) -> anyhow::Result<Game<'a>> {
        let (from, to) = (usize::from(!to_fbnet), usize::from(to_fbnet));
        let place = |worlds: &[World; 2], name: &str| -> anyhow::Result<[usize; 2]> {
            Ok([worlds[from].place(name)?, worlds[to].place(name)?])
        };
        let own = place(worlds, device)?;
        let mut others = Vec::new();
        for name in common.iter().filter(|name| *name != device) {
            let places = place(worlds, name)?;
            let columns = &worlds[from].measured.columns;
            others.push((spearman(&columns[own[0]].1, &columns[places[0]].1), places));
        }
        others.sort_by(|a, b| a.0.total_cmp(&b.0));
        others.truncate(references);
        let references = [0, 1].map(|i| others.iter().map(|o| o.1[i]).collect::<Vec<usize>>());
        let functions =
            [worlds[from].functions(&references[0])?, worlds[to].functions(&references[1])?];
        let (source, target) = (&worlds[from], &worlds[to]);
        let columns = [columns(source, &references[0]), columns(target, &references[1])];
        let [from_functions, to_functions] = functions;
        let prior = target.features.with_sources(&to_functions);
        let bridge = Bridge::new(&source.features, &from_functions)?;
        let encodings = [encoding(&columns[0]), encoding(&columns[1])];
        Ok(Game { source, target, own, references, bridge, to_functions, prior, encodings })
    }

    /// Guesses from latencies of these rows of the source space.
    fn guesses(&self, rows: &[usize], latencies: &[f64]) -> anyhow::Result<Vec<Guess>> {
        let carried = self.bridge.carry(rows, latencies)?;
        Ok(carried.guesses(&self.target.features, &self.to_functions)?)
    }

    /// Returns the Spearman correlation of a method on one draw of samples.
    fn play(&self, method: Method, budget: Budget, seed: u64) -> anyhow::Result<f64> {
        let values = &self.target.measured.columns[self.own[1]].1;
        let rows = shuffled(values, seed);
        let of_source = &self.source.measured.columns[self.own[0]].1;
        let mut source_rows = shuffled(of_source, seed);
        for (space, wanted, there) in [
            ("source", budget.source, source_rows.len()),
            ("target", budget.target + 2, rows.len()),
        ] {
            if wanted > there {
                return Err(usage(format!("{wanted} samples of {there} in the {space} space")));
            }
        }
        source_rows.truncate(budget.source);
        let (known, ask) = rows.split_at(budget.target);
        let pick = |v: &[f64], rows: &[usize]| rows.iter().map(|&r| v[r]).collect::<Vec<f64>>();
        let (y, truth) = (pick(values, known), pick(values, ask));
        let scores = match method {
            Method::Transfer => {
                let carried = self.guesses(&source_rows, &pick(of_source, &source_rows))?;
                let prior = self.prior.clone().with_carried(&carried);
                FewShot::fit(&prior, known, &y)?.latencies(&prior, ask)
            }
            Method::NoTransfer => FewShot::fit(&self.prior, known, &y)?.latencies(&self.prior, ask),
            Method::MultiPredict => {
                let [from, to] = &self.encodings;
                let known_there = pick(of_source, &source_rows);
                MultiPredict::pre_train(WIDTH, &from.select(&source_rows), &known_there, seed)?
                    .fine_tuned(&to.select(known), &y, seed)?
                    .predict(&to.select(ask))
            }
            Method::MultiPredictNew => {
                let to = &self.encodings[1];
                MultiPredict::pre_train(WIDTH, &to.select(known), &y, seed)?
                    .predict(&to.select(ask))
            }
            Method::References | Method::Simulated => {
                let known_there = pick(of_source, &source_rows);
                let guesses = self.guesses(&source_rows, &known_there)?;
                let place = if method == Method::References { 0 } else { guesses.len() - 1 };
                let of = &guesses[place].latencies;
                ask.iter().map(|&r| of.row(r)[of.cols - 1]).collect()
            }
            Method::Operations => {
                let known_there = pick(of_source, &source_rows);
                let pick = |view: &Vec<Counted>| -> Vec<Counted> {
                    source_rows.iter().map(|&r| view[r].clone()).collect()
                };
                let (from, to) = (self.source.counted()?, self.target.counted()?);
                let known: Vec<_> = from.iter().map(pick).collect();
                let model = OperationsModel::fit(&known, &known_there)?;
                let there = model.seen(to).into_iter();
                let asked: Vec<Counted> =
                    there.flat_map(|view| ask.iter().map(|&r| view[r].clone())).collect();
                model.latencies(&asked)
            }
            Method::Flops => {
                let to = &self.target.counted()?[0];
                let flops = |n: &Counted| -> f64 {
                    n.operations.iter().map(|(op, count)| count * op.flops as f64).sum()
                };
                ask.iter().map(|&r| flops(&to[r])).collect()
            }
            Method::Peer(peer) => {
                let columns = columns(self.target, &self.references[1]);
                self.target.peers.fit_predict(peer, &columns, (known, &y), ask)?
            }
        };
        let rank = spearman(&scores, &truth);
        // A constant prediction ranks nothing.
        Ok(if rank.is_finite() { rank } else { 0.0 })
    }
}

fn columns<'a>(world: &'a World, places: &[usize]) -> Vec<&'a [f64]> {
    places.iter().map(|&p| world.measured.columns[p].1.as_slice()).collect()
}

fn row(to: &str, device: &str, budget: &str, methods: &[(&str, Method)], of: &[&Vec<f64>]) -> Row {
    let mut row = Row::new().with("to", to).with("device", device).with("measured", budget);
    for ((name, _), values) in methods.iter().zip(of) {
        row = row.with_mean(name, values);
    }
    match gain(methods, of) {
        Some(gain) => row.with_mean("gain", &gain),
        None => row,
    }
}

/// Returns the lead of the first method over no-transfer, one value a seed.
fn gain(methods: &[(&str, Method)], of: &[&Vec<f64>]) -> Option<Vec<f64>> {
    let without = methods.iter().position(|m| m.1 == Method::NoTransfer).filter(|m| *m > 0)?;
    Some(of[0].iter().zip(of[without]).map(|(a, b)| a - b).collect())
}

/// Averages over devices, seed by seed, and counts the devices on which the first method leads.
fn summary(to: &str, budget: &str, methods: &[(&str, Method)], of: &[&Vec<Vec<f64>>]) -> Row {
    let means: Vec<Vec<f64>> = (of.iter())
        .map(|devices| {
            let seeds = devices.first().map_or(0, Vec::len);
            let sum = |s: usize| devices.iter().map(|d| d[s]).sum::<f64>();
            (0..seeds).map(|s| sum(s) / devices.len() as f64).collect()
        })
        .collect();
    let count = of.first().map_or(0, |d| d.len());
    let row =
        row(to, &format!("mean of {count}"), budget, methods, &means.iter().collect::<Vec<_>>());
    let gains: Vec<(f64, f64)> = (0..count)
        .filter_map(|d| gain(methods, &of.iter().map(|m| &m[d]).collect::<Vec<_>>()))
        .map(|g| mean_and_error(&g))
        .collect();
    if gains.is_empty() {
        return row;
    }
    let share = |holds: &dyn Fn(&&(f64, f64)) -> bool| gains.iter().filter(holds).count();
    row.with("above", share(&|g| g.0 > 0.0))
        .with("clearly_above", share(&|g| g.0 > 2.0 * g.1))
        .with("clearly_below", share(&|g| g.0 < -2.0 * g.1))
}
