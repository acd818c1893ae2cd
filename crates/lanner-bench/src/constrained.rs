//! `lanner-bench constrained` searches within latency limits.

use std::time::Instant;

use lanner_data::Table;
use lanner_predict::Pool;
use lanner_search::constrained::best_within;
use lanner_space::Space;

use super::Common;
use super::published::CONSTRAINED;
use super::tables::Measured;
use crate::output::{Row, print_rows, progress};

#[derive(clap::Args)]
#[command(after_help = "\
The pool is MetaD2A's 500 candidates with their CIFAR-100 accuracies; latencies are known only where \
measured. `samples` counts every measurement, also those that check the answer. `violations` is the \
share of answers that are over their limit in the published table.

Examples:
  lanner-bench constrained
  lanner-bench constrained --device pixel2 --samples 10 --seeds 50")]
pub struct ConstrainedArgs {
    #[command(flatten)]
    common: Common,
    /// Target devices [default: all with published figures]
    #[arg(long, value_delimiter = ',')]
    device: Vec<String>,
    /// Number of networks measured before the first choice
    #[arg(long, default_value_t = 20)]
    samples: usize,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

pub fn run(args: ConstrainedArgs) -> anyhow::Result<()> {
    let space = Space::NasBench201;
    let file = args.common.file("nasbench201/metad2a_candidates.csv")?;
    let (table, _) = Table::read(file, &space)?;
    let accuracy = table.column("cifar100_test_accuracy")?;
    let pool = Pool::new(space, table.archs.clone());
    let files = ["nasbench201/latency_help.csv", "nasbench201/latency_latbench.csv"];
    let measured = Measured::read(&args.common, &files)?;
    let place: Vec<usize> = pool.archs.iter().filter_map(|a| measured.pool.row_of(a)).collect();
    let limits: Vec<_> = CONSTRAINED
        .iter()
        .filter(|p| args.device.is_empty() || args.device.iter().any(|d| d == p.of))
        .collect();
    for device in &args.device {
        if !limits.iter().any(|p| p.of == device) {
            return Err(crate::output::usage(format!("no published limits for device '{device}'")));
        }
    }
    let bar = progress(limits.len() as u64 * args.seeds, "constrained");
    let mut rows = Vec::new();
    for p in &limits {
        let limit = p.size as f64;
        let latency: Vec<f64> = {
            let (_, all) = measured.column(p.of)?;
            place.iter().map(|&r| all[r]).collect()
        };
        let (mut best, mut used, mut over, mut got, mut seconds) =
            (Vec::new(), Vec::new(), 0, Vec::new(), Vec::new());
        for seed in args.common.seed..args.common.seed + args.seeds {
            let start = Instant::now();
            let found =
                best_within(&pool, accuracy, limit, args.samples, &mut |row| latency[row], seed);
            seconds.push(start.elapsed().as_secs_f64());
            bar.inc(1);
            if let Some(found) = found {
                best.push(accuracy[found.row]);
                got.push(latency[found.row]);
                used.push(found.measurements as f64);
                over += u32::from(latency[found.row] > limit);
            }
        }
        let possible = (0..pool.len()).filter(|&r| latency[r] <= limit).map(|r| accuracy[r]);
        rows.push(
            Row::new()
                .with("device", p.of)
                .with("limit_ms", limit)
                .with("strategy", "default")
                .with("seeds", args.seeds)
                .with_mean("samples", &used)
                .with_mean("latency_ms", &got)
                .with_mean("best", &best)
                .with("violations", f64::from(over) / args.seeds as f64)
                .with("optimum", possible.fold(f64::NAN, f64::max))
                .with_mean("seconds", &seconds),
        );
        let mut row =
            Row::new().with("device", p.of).with("limit_ms", limit).with("strategy", p.predictor);
        for (name, value) in p.values {
            row = row.with(name, *value);
        }
        let violated = p.values.iter().any(|v| v.0 == "latency_ms" && v.1 > limit);
        rows.push(row.with("violations", f64::from(u8::from(violated))).with("source", p.source));
    }
    bar.clear();
    print_rows(&rows, args.common.json)
}
