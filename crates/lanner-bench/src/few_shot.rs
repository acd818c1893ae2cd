//! `lanner-bench few-shot` predicts latencies on a new device from a few measurements.

mod method;
mod world;

use std::collections::{HashMap, HashSet};

use crate::recipes::{help, multi_predict::devices, nasflat};
use lanner_predict::metrics::{coverage, relative_width, spearman};
use lanner_space::Space;

use super::Common;
use super::device_sets::{DEVELOPMENT, DeviceSet, HALVES, MOBILE, PUBLISHERS, SETS, SOURCE};
use super::processor;
use super::tables::shuffled;
use crate::output::{Row, print_rows, progress, usage};
use method::{Learned, Method};
pub(super) use world::World;

#[derive(clap::Args)]
#[command(after_help = "\
Spearman correlations are over all architectures that were not measured; a row is the mean over a \
set's target devices. Standard errors are over seeds: a seed draws the measured architectures. \
processor_s is the processor time to fit and to predict all other architectures; sources_processor_s \
is the time to learn from the set's sources: default smooths those that no set before had, while \
multi-predict, nasflat and help are pre-trained once a set, by --seed. Both times need --threads 1. \
width_90 is the mean width of the 90 % intervals in percent of the prediction.

ridge-sources, grouped-gp and nearest-source read the sources' own measurements of the networks that \
they are asked for; default has the sources' tables too, but predicts any network.

help measures its ten reference networks first: with 20 samples, only ten are drawn.

Examples:
  lanner-bench few-shot
  lanner-bench few-shot --set ND,F1 --samples 5,10,20,50 --devices
  lanner-bench few-shot --set all --method default --choose
  lanner-bench few-shot --set M --method default,ridge-sources,ridge-counts
  lanner-bench few-shot --set ND,FD --help-slice --method default
  # half a minute a set
  lanner-bench few-shot --set ND,FD --method multi-predict --samples 10,20
  # minutes a set
  lanner-bench few-shot --set N1,F1 --method multi-predict,nasflat --devices
  # the best that the devices' noise allows
  lanner-bench few-shot --set FA,F4 --samples 2500 --method ridge-one-hots
  # the cost of the samples' noise
  lanner-bench few-shot --set F4 --samples 10 --method default --noiseless
  # processor seconds
  lanner-bench few-shot --set ND --samples 10 --method default --threads 1
  lanner-bench few-shot --set N-even,N-odd --samples 10 --sources built-in
  lanner-bench few-shot --set dev --seed 1000")]
pub struct FewShotArgs {
    #[command(flatten)]
    common: Common,
    /// ND, NA, N1 to N4 (NAS-Bench-201), FD, FA, F1 to F4 (FBNet), all of these, dev (the ones used in
    /// development), N-even and N-odd (all devices of NAS-Bench-201, without sources), or M (mobilenetv3:
    /// each of nine devices, the other eight are sources)
    #[arg(long, value_delimiter = ',', default_value = "all")]
    set: Vec<String>,
    /// Numbers of measurements of the target device
    #[arg(long, value_delimiter = ',', default_value = "20", value_parser = clap::value_parser!(u32).range(3..10_000))]
    samples: Vec<u32>,
    /// default, multi-predict, nasflat, help, ridge-counts, ridge-sources, ridge-one-hots, grouped-gp,
    /// nearest-source
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default,grouped-gp,ridge-sources,ridge-counts,nearest-source"
    )]
    method: Vec<String>,
    /// Measure the most informative architectures instead of random ones
    #[arg(long)]
    choose: bool,
    /// Choose architectures as HELP does: measure those below 900; of 900 to 1899, test those between
    /// the device's 5 % and 95 % quantiles
    #[arg(long)]
    help_slice: bool,
    /// Use samples without noise, from a smooth function fitted to all measurements of the device.
    /// Shows the cost of the samples' noise; intervals leave it out
    #[arg(long)]
    noiseless: bool,
    /// Source devices: those of the set, none, or Lanner's own built-in table
    #[arg(long, value_enum, default_value = "set")]
    sources: Sources,
    /// Add a row for every device
    #[arg(long)]
    devices: bool,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq)]
enum Sources {
    Set,
    None,
    BuiltIn,
}

/// Results of a method on a device with one number of samples, one value a seed.
#[derive(Default, Clone)]
struct Results {
    spearman: Vec<f64>,
    coverage: Vec<f64>,
    width: Vec<f64>,
    /// Seconds of processor time to fit and to predict all other architectures.
    processor: Vec<f64>,
}

pub fn run(args: FewShotArgs) -> anyhow::Result<()> {
    let sets = wanted(&args.set)?;
    let methods: Vec<(&str, Method)> = args
        .method
        .iter()
        .map(|name| Ok((name.as_str(), Method::by_name(name)?)))
        .collect::<anyhow::Result<_>>()?;
    let targets: usize = sets.iter().map(|s| s.targets.split(' ').count()).sum();
    let asked = |method: Method| methods.iter().any(|m| m.1 == method);
    let (joint, nasflat) = (asked(Method::MultiPredict), asked(Method::Nasflat));
    let help = asked(Method::Help);
    let without = args.sources != Sources::Set || sets.iter().any(|s| s.sources.is_empty());
    if (joint || nasflat || help) && sets.iter().any(|s| s.space() == Space::MobileNetV3) {
        return Err(usage("multi-predict, nasflat and help have no recipe for mobilenetv3"));
    }
    if (joint || nasflat || help) && without {
        return Err(usage(
            "multi-predict, nasflat and help are pre-trained on a set's sources: take a set that has some, and leave out --sources",
        ));
    }
    if let Some(few) = args.samples.iter().find(|n| help && **n < 10) {
        return Err(usage(format!(
            "--samples {few}: help measures ten references, expected 10 or more"
        )));
    }
    let epochs = sets.len()
        * (usize::from(joint) * devices::PreTrained::EPOCHS
            + usize::from(nasflat) * nasflat::PreTrained::EPOCHS
            + usize::from(help) * help::PreTrained::EPISODES);
    let bar = progress(targets as u64 * args.seeds + epochs as u64, "few-shot");
    let mut worlds: Vec<(Space, World)> = Vec::new();
    let mut rows = Vec::new();
    // Means over seeds for each set: by method, then number of samples.
    let mut means = vec![vec![Vec::new(); args.samples.len()]; methods.len()];
    for set in &sets {
        let space = set.space();
        if !worlds.iter().any(|w| w.0 == space) {
            worlds.push((space.clone(), World::new(&args.common, &space)?));
        }
        let Some((_, world)) = worlds.iter_mut().find(|w| w.0 == space) else { continue };
        let mut sources: Vec<usize> =
            set.sources.split_whitespace().map(|d| world.place(d)).collect::<Result<_, _>>()?;
        if args.sources != Sources::Set {
            sources.clear();
        }
        let start = processor::seconds();
        let functions = match args.sources {
            Sources::BuiltIn => world.built_in()?,
            _ => world.functions(&sources)?,
        };
        let prior = world.features.with_sources(&functions);
        let mut learning = vec![("default", since(start))];
        let start = processor::seconds();
        let joint = match joint {
            true => Some(world.multi_predict(&args.common, &sources, || bar.inc(1))?),
            false => None,
        };
        learning.push(("multi-predict", since(start)));
        let start = processor::seconds();
        let nasflat = match nasflat {
            true => Some(world.nasflat(&args.common, &sources, || bar.inc(1))?),
            false => None,
        };
        learning.push(("nasflat", since(start)));
        let start = processor::seconds();
        let help = match help {
            true => Some(world.help(&args.common, &sources, || bar.inc(1))?),
            false => None,
        };
        learning.push(("help", since(start)));
        let learned = Learned { prior, joint, nasflat, help };
        let mut chosen = Chosen::new();
        // By device, method, number of samples.
        let mut all = Vec::new();
        let names: Vec<&str> = set.targets.split_whitespace().collect();
        for device in &names {
            let mut results = vec![vec![Results::default(); args.samples.len()]; methods.len()];
            let target = world.place(device)?;
            let noiseless = args.noiseless.then(|| world.noiseless(target)).transpose()?;
            for seed in args.common.seed..args.common.seed + args.seeds {
                let draw = Draw { target, seed, noiseless: noiseless.as_deref() };
                one_seed(
                    &args,
                    world,
                    (&sources, &learned),
                    draw,
                    &methods,
                    &mut chosen,
                    &mut results,
                )?;
                bar.inc(1);
            }
            all.push(results);
        }
        for (m, (method, _)) in methods.iter().enumerate() {
            for (s, &samples) in args.samples.iter().enumerate() {
                let of: Vec<&Results> = all.iter().map(|r| &r[m][s]).collect();
                if args.devices {
                    for (device, results) in names.iter().zip(&of) {
                        rows.push(
                            row(set, method, samples).with("device", *device).with_results(results),
                        );
                    }
                }
                let mean = mean_of(&of);
                means[m][s].push(mean.clone());
                let mut row = row(set, method, samples).with_results(&mean);
                if let Some((_, Some(seconds))) = learning.iter().find(|l| l.0 == *method) {
                    row = row.with("sources_processor_s", *seconds);
                }
                rows.push(row);
            }
        }
        for (publisher, value) in PUBLISHERS.iter().zip(set.published) {
            if value.is_finite() && !args.help_slice {
                let published = row(set, publisher, 20).with("spearman", value);
                rows.push(published.with("source", SOURCE));
            }
        }
    }
    bar.clear();
    for (m, (method, _)) in methods.iter().enumerate() {
        for (s, &samples) in args.samples.iter().enumerate() {
            let of: Vec<&Results> = means[m][s].iter().collect();
            let row = Row::new()
                .with("set", format!("mean of {}", sets.len()))
                .with("method", *method)
                .with("samples", samples);
            rows.push(row.with_results(&mean_of(&of)));
        }
    }
    print_rows(&rows, args.common.json)
}

/// Returns the processor time since `start`.
fn since(start: Option<f64>) -> Option<f64> {
    start.zip(processor::seconds()).map(|(from, to)| to - from)
}

fn wanted(names: &[String]) -> anyhow::Result<Vec<&'static DeviceSet>> {
    let mut sets = Vec::new();
    for name in names {
        match name.as_str() {
            "all" => sets.extend(&SETS),
            "dev" => sets.extend(&DEVELOPMENT),
            "M" => sets.extend(&MOBILE),
            name => match SETS
                .iter()
                .chain(&DEVELOPMENT)
                .chain(&HALVES)
                .chain(&MOBILE)
                .find(|s| s.name == name)
            {
                Some(set) => sets.push(set),
                None => {
                    let known: Vec<&str> = SETS.iter().chain(&HALVES).map(|s| s.name).collect();
                    let known = known.join(", ");
                    return Err(usage(format!("no set '{name}'; there are: {known}, M, all, dev")));
                }
            },
        }
    }
    Ok(sets)
}

fn row(set: &DeviceSet, method: &str, samples: u32) -> Row {
    Row::new().with("set", set.name).with("method", method).with("samples", samples)
}

trait WithResults {
    fn with_results(self, results: &Results) -> Self;
}

impl WithResults for Row {
    fn with_results(self, results: &Results) -> Row {
        self.with_mean("spearman", &results.spearman)
            .with_mean("coverage_90", &results.coverage)
            .with_mean("width_90", &results.width)
            .with_mean("processor_s", &results.processor)
    }
}

/// Averages over devices, seed by seed.
fn mean_of(devices: &[&Results]) -> Results {
    let mean = |of: fn(&Results) -> &Vec<f64>| -> Vec<f64> {
        let seeds = devices.iter().map(|d| of(d).len()).min().unwrap_or(0);
        let sum = |seed: usize| devices.iter().map(|d| of(d)[seed]).sum::<f64>();
        (0..seeds).map(|seed| sum(seed) / devices.len() as f64).collect()
    };
    Results {
        spearman: mean(|r| &r.spearman),
        coverage: mean(|r| &r.coverage),
        width: mean(|r| &r.width),
        processor: mean(|r| &r.processor),
    }
}

/// Rows that were chosen by a seed among these architectures: the same for all devices of a set that
/// were measured on the same ones.
type Chosen = HashMap<(u64, Vec<usize>), Vec<usize>>;

/// A draw of samples of a device.
struct Draw<'a> {
    target: usize,
    seed: u64,
    /// Latencies without noise, which replace those of the samples.
    noiseless: Option<&'a [f64]>,
}

/// Runs all methods on one draw: on its first samples, for each number of them.
fn one_seed(
    args: &FewShotArgs,
    world: &World,
    (sources, learned): (&[usize], &Learned),
    Draw { target, seed, noiseless }: Draw,
    methods: &[(&str, Method)],
    chosen: &mut Chosen,
    results: &mut [Vec<Results>],
) -> anyhow::Result<()> {
    let values = &world.measured.columns[target].1;
    let columns = world.measured.values(sources);
    // Only rows at which all sources were measured too: the peers need them.
    let mut rows = shuffled(values, seed);
    rows.retain(|&r| columns.iter().all(|c| c[r].is_finite()));
    let (mut measurable, tested) = if args.help_slice {
        let mut test: Vec<usize> =
            rows.iter().copied().filter(|r| (900..1900).contains(r)).collect();
        test.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let cut = test.len() / 20;
        let test = test[cut..test.len() - cut].to_vec();
        (rows.into_iter().filter(|&r| r < 900).collect::<Vec<_>>(), test)
    } else {
        (rows.clone(), rows)
    };
    let most = args.samples.iter().copied().max().unwrap_or(0) as usize;
    if measurable.len() < most {
        return Err(usage(format!("{most} samples of {} architectures", measurable.len())));
    }
    if args.choose {
        measurable.sort_unstable();
        let of = chosen.entry((seed, measurable));
        measurable = of.or_insert_with_key(|key| learned.prior.choose(&key.1, most, seed)).clone();
    }
    let references = world.references();
    let others = measurable.iter().filter(|r| !references.contains(r));
    let after_references: Vec<usize> = references.iter().chain(others).copied().collect();
    let split = |order: &[usize]| {
        let known_set: HashSet<usize> = order.iter().copied().collect();
        let ask: Vec<usize> = tested.iter().copied().filter(|r| !known_set.contains(r)).collect();
        let sampled = noiseless.unwrap_or(values);
        let y: Vec<f64> = order.iter().map(|&r| sampled[r]).collect();
        let truth: Vec<f64> = ask.iter().map(|&r| values[r]).collect();
        (order.to_vec(), y, ask, truth)
    };
    let asks_help = methods.iter().any(|m| m.1 == Method::Help);
    for (s, &samples) in args.samples.iter().enumerate() {
        let drawn = split(&measurable[..samples as usize]);
        let with_references = asks_help.then(|| split(&after_references[..samples as usize]));
        for ((_, method), results) in methods.iter().zip(&mut *results) {
            let with_references = with_references.as_ref().filter(|_| *method == Method::Help);
            let (known, y, ask, truth) = with_references.unwrap_or(&drawn);
            let start = processor::seconds();
            let forecast =
                method.forecast(&world.peers, learned, &columns, (known, y), ask, seed)?;
            let results = &mut results[s];
            results.processor.extend(since(start));
            // A constant prediction ranks nothing.
            let quality = spearman(&forecast.mean, truth);
            results.spearman.push(if quality.is_finite() { quality } else { 0.0 });
            if !forecast.low.is_empty() {
                results.coverage.push(100.0 * coverage(&forecast.low, &forecast.high, truth));
                let width = relative_width(&forecast.low, &forecast.high, &forecast.mean);
                results.width.push(100.0 * width);
            }
        }
    }
    Ok(())
}
