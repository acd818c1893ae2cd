//! `lanner-bench limited` searches accuracies of NAS-Bench-201 within latency limits on HELP's devices.

use std::path::Path;

use lanner_data::Table;
use lanner_search::run::{Control, Own, Run};
use lanner_search::study::State;
use lanner_search::{Evaluate, Job, Setup, TableColumn};
use lanner_space::{Architecture, Space};

use super::Common;
use crate::output::{Row, print_rows, progress, usage};

#[derive(clap::Args)]
#[command(after_help = "\
The same search as `lanner search --evaluate table:accuracy.csv --metric c100_test_200 --limit \
'DEVICE_ms<=LIMIT' --latency-table latency_help.csv`. The limit is a percentile of the device's \
latencies. regret_N is the accuracy by which the best network evaluated within the limit after N \
evaluations is below the best one of the table within the limit. `violations` are evaluated networks \
that are over the limit in the table, `measurements` all latencies that were looked up.

Examples:
  lanner-bench limited
  lanner-bench limited --device raspi4 --percentile 50 --seeds 10")]
pub struct LimitedArgs {
    #[command(flatten)]
    common: Common,
    /// Devices of HELP's table [default: all 27]
    #[arg(long, value_delimiter = ',')]
    device: Vec<String>,
    /// Percentiles of the device's latencies that are its limits
    #[arg(long, value_delimiter = ',', default_values_t = [25, 50, 75],
        value_parser = clap::value_parser!(u32).range(1..=100))]
    percentile: Vec<u32>,
    /// Column of accuracies
    #[arg(long, default_value = "c100_test_200")]
    metric: String,
    /// Number of evaluations of a search
    #[arg(long, default_value_t = 100)]
    budget: usize,
    /// Largest number of measurements for each evaluation [default: 20]
    #[arg(long)]
    measurements: Option<usize>,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
}

/// Numbers of evaluations after which the regret is reported.
const MARKS: [usize; 2] = [40, 100];

pub fn run(args: LimitedArgs) -> anyhow::Result<()> {
    let space = Space::NasBench201;
    let accuracies = args.common.file("nasbench201/accuracy.csv")?;
    let latencies = args.common.file("nasbench201/latency_help.csv")?;
    let (accuracy, _) = Table::read(&accuracies, &space)?;
    let (latency, _) = Table::read(&latencies, &space)?;
    accuracy.column(&args.metric)?;
    let devices: Vec<String> = match args.device.is_empty() {
        true => latency.names.clone(),
        false => args.device.iter().map(|d| format!("{d}_ms")).collect(),
    };
    let total = (devices.len() * args.percentile.len()) as u64 * args.seeds;
    let bar = progress(total, "limited");
    let folder = std::env::temp_dir().join(format!("lanner-bench-{}", std::process::id()));
    let mut rows = Vec::new();
    let mut all: [Vec<f64>; MARKS.len()] = Default::default();
    for device in &devices {
        let of_device = latency.column(device)?;
        for &percentile in &args.percentile {
            let limit = quantile(of_device, percentile);
            let within = |arch: &Architecture| {
                latency.value(device, arch).is_ok_and(|v| v.is_some_and(|v| v <= limit))
            };
            let value = |arch: &Architecture| {
                accuracy.value(&args.metric, arch).ok().flatten().unwrap_or(f64::NAN)
            };
            let possible = accuracy.archs.iter().filter(|a| within(a)).map(value);
            let optimum = possible.fold(f64::NEG_INFINITY, f64::max);
            let mut regrets: [Vec<f64>; MARKS.len()] = Default::default();
            let (mut violations, mut measurements) = (Vec::new(), Vec::new());
            for seed in args.common.seed..args.common.seed + args.seeds {
                let searched = search(&args, &accuracies, &latencies, device, limit, seed, &folder);
                // A folder that stays in the way would end the next search.
                let _ = std::fs::remove_dir_all(&folder);
                let searched = searched?;
                let over = searched.evaluated.iter().filter(|arch| !within(arch)).count();
                violations.push(over as f64);
                measurements.push(searched.measurements as f64);
                for (mark, regrets) in MARKS.iter().zip(&mut regrets) {
                    let so_far = searched.evaluated.iter().take(*mark).filter(|a| within(a));
                    regrets.push(optimum - so_far.map(value).fold(0.0, f64::max));
                }
                bar.inc(1);
            }
            all.iter_mut().zip(&regrets).for_each(|(all, regrets)| all.extend(regrets));
            let mut row = Row::new()
                .with("device", device.trim_end_matches("_ms"))
                .with("percentile", percentile)
                .with("limit_ms", limit)
                .with("optimum", optimum)
                .with("seeds", args.seeds);
            for (mark, regrets) in MARKS.iter().zip(&regrets) {
                row = row.with_mean(&format!("regret_{mark}"), regrets);
            }
            rows.push(
                row.with_mean("violations", &violations).with_mean("measurements", &measurements),
            );
        }
    }
    let mut row = Row::new().with("device", "all").with("seeds", args.seeds);
    for (mark, regrets) in MARKS.iter().zip(&all) {
        row = row.with_mean(&format!("regret_{mark}"), regrets);
    }
    rows.push(row);
    bar.clear();
    print_rows(&rows, args.common.json)
}

/// Returns the value that `percentile` % of the values do not exceed.
fn quantile(values: &[f64], percentile: u32) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percentile as usize / 100).copied().unwrap_or(f64::NAN)
}

struct Searched {
    /// Networks in the order of their evaluations.
    evaluated: Vec<Architecture>,
    measurements: usize,
}

fn search(
    args: &LimitedArgs,
    accuracies: &Path,
    latencies: &Path,
    device: &str,
    limit: f64,
    seed: u64,
    folder: &Path,
) -> anyhow::Result<Searched> {
    let setup = Setup {
        tables: vec![TableColumn { file: latencies.into(), column: None }],
        measurements: args.measurements,
        ..Setup::new(Evaluate::Table(accuracies.into()))
    };
    let job = Job::new("nasbench201").maximise(&args.metric).at_most(device, limit);
    let job = Job { setup: Some(setup), ..job.budget(args.budget).seed(seed) };
    let mut run = Run::create(folder, &job, Own::default(), &mut Control::default())
        .map_err(|e| usage(e.to_string()))?;
    run.finish(&mut Control::default())?;
    let trials = run.study().trials()?.into_iter().filter(|t| t.state == State::Done);
    Ok(Searched {
        evaluated: trials.map(|t| t.arch).collect(),
        measurements: run.study().measurements()?.len(),
    })
}
