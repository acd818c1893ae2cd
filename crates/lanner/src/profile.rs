//! `lanner profile` learns from small networks what operations cost on a device.

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use lanner_data::read_network_latencies;
use lanner_evaluate::measure::{self, Adaptive, Model, ModelSource, Protocol};
use lanner_network::onnx::{self, ReadOptions};
use lanner_predict::latency::any_network::{AnyLatency, Counted, Origin, Sample, probes};

use crate::{
    device::DeviceArgs,
    onnx_file,
    out_file::{self, Kind},
    output::{Row, print_rows, progress, usage},
    stop::on_interrupt,
};
use lanner::say;

/// Learn what operations cost on a device, to predict the latency of any network
#[derive(clap::Args)]
#[command(after_help = "\
Measures small random networks of convolutions, attention, recurrent layers and what stands between \
them, in at most --minutes, and fits a predictor for lanner latency, which takes some ten seconds more. \
Fewer than some 200 make a poor profile. Measurements are kept beside the profile: the same command \
goes on with them, and --with fits them again at once.

--with takes a table of networks of the kind to be predicted, as lanner measure writes it: columns \
network (the path of the ONNX file, from the table's folder) and latency_ms. Ten of them take \
the error for their like from 9.7 to 6.6 % on latbench (docs/benchmarks.md).

Examples:
  lanner profile --out cpu.lanner
  lanner measure a.onnx b.onnx c.onnx --out mine.csv
  lanner profile --out cpu.lanner --with mine.csv
  lanner latency d.onnx --predictor cpu.lanner
  lanner profile --runtime command --device board --command './bench.sh {onnx} {runs}' \\
    --minutes 60 --out board.lanner")]
pub struct ProfileArgs {
    /// The predictor to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The table of measurements [default: FILE.csv beside --out]
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// Table of measured networks of the kind to be predicted
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// For the files of --with: the size of an open dimension, such as sequence=128 [default: that in the
    /// table of lanner measure]
    #[arg(long, value_name = "NAME=SIZE", value_parser = onnx_file::dim, requires = "with")]
    dim: Vec<(String, u64)>,
    /// Number of small networks at most
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(20..=4000))]
    networks: u64,
    /// Longest time of measuring, minutes
    #[arg(long, value_name = "N", default_value_t = 9.0)]
    minutes: f64,
    #[command(flatten)]
    device: DeviceArgs,
    /// The longest that one call of the command may take, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Replace --out even if it is of another kind
    #[arg(long)]
    force: bool,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

pub fn run(args: ProfileArgs, threads: usize) -> anyhow::Result<()> {
    if !(args.minutes >= 0.0 && args.minutes.is_finite()) {
        return Err(usage(format!("--minutes is {}, expected 0 or more", args.minutes)));
    }
    out_file::check(&args.out, Kind::Predictor, &args.with, args.force)?;
    let table = args.measurements.clone().unwrap_or_else(|| args.out.with_added_extension("csv"));
    out_file::check(&table, Kind::Measurements, &args.with, false)?;
    let start = Instant::now();
    // Wrong tables are found before anything is measured.
    let (mut samples, left_out) = own(&args)?;
    let with = samples.len();
    if args.minutes == 0.0 && with == 0 && !table.exists() {
        let why =
            "--minutes is 0, and no network is measured yet: expected more minutes, or --with";
        return Err(usage(format!("{why} FILE")));
    }
    let device = args.device.for_files(threads, args.timeout, &[])?;
    if device.batch != 1 {
        let batch = device.batch;
        return Err(usage(format!(
            "--batch is {batch}, expected 1: the small networks have one input each; lanner latency --batch \
             {batch} predicts for more"
        )));
    }
    let probe =
        |number| Model { name: format!("probe-{number}"), source: ModelSource::Probe(number) };
    let models: Vec<Model> = probes(args.networks).into_iter().map(probe).collect();
    let usual = device.adaptive();
    // Many networks tell more than exact latencies of few.
    let short =
        Adaptive { tolerance: 0.02, budget_s: usual.budget_s.min(0.2), block_ms: 5.0, ..usual };
    let stopped = on_interrupt();
    let bar = progress(models.len() as u64, "measuring");
    let protocol = Protocol::Adaptive(short);
    let budget_s = 60.0 * args.minutes;
    let measured = device.bound(|| {
        measure::measure_models(&device, &protocol, &models, Some(&table), budget_s, |done| {
            bar.tell(done as u64, models.len() as u64);
            if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    bar.clear();
    let measured = measured??;
    if stopped() {
        anyhow::bail!(
            "stopped; {} has what is measured, the same command goes on",
            table.display()
        );
    }
    let refused = measured.iter().filter(|m| m.latency_ms.is_none()).count();
    for latency in &measured {
        let number = latency.name.strip_prefix("probe-").and_then(|n| n.parse().ok());
        if let (Some(number), Some(ms)) = (number, latency.latency_ms) {
            let graph = onnx::read(&onnx::probe(number), &ReadOptions::default())?;
            samples.push(Sample {
                network: Counted::of(&graph),
                latency: ms,
                origin: Origin::Probe,
            });
        }
    }
    let fitted = AnyLatency::fit(&samples, "latency_ms")?;
    fitted.save(&args.out)?;
    let row = Row::new()
        .with("file", args.out.display().to_string())
        .with("networks", samples.len() - with)
        .with("refused", refused)
        .with("own", with)
        .with("left_out", left_out)
        .with("seconds", start.elapsed().as_secs_f64());
    print_rows(&[row], args.json)
}

/// Reads the tables of --with, and tells how many of their networks are left out: one that cannot be read, or is
/// another by now, does not hide the others.
fn own(args: &ProfileArgs) -> anyhow::Result<(Vec<Sample>, usize)> {
    let (mut samples, mut left_out) = (Vec::new(), 0);
    for table in &args.with {
        let mut sizes = measure::measured_sizes(table).map_err(|e| usage(e.to_string()))?;
        sizes.dims.extend(args.dim.iter().cloned());
        for row in read_network_latencies(table, "latency_ms").map_err(|e| usage(e.to_string()))? {
            let folder = table.parent().unwrap_or(std::path::Path::new(""));
            let beside = folder.join(&row.network);
            let path = if beside.is_file() { beside } else { PathBuf::from(&row.network) };
            let is_same = row.fingerprint.is_none_or(|measured| {
                measure::fingerprint(&path).map_or(true, |now| now == measured)
            });
            if !is_same {
                say!(
                    "note: {}: it is another file than was measured, and left out; lanner measure measures it \
                     again",
                    path.display()
                );
                left_out += 1;
                continue;
            }
            let graph = match onnx_file::graph(&path, &sizes) {
                Ok(graph) => graph,
                Err(why) => {
                    say!("note: left out: {why:#}");
                    left_out += 1;
                    continue;
                }
            };
            samples.push(Sample {
                network: Counted::of(&graph),
                latency: row.latency_ms,
                origin: Origin::Own,
            });
        }
    }
    if samples.is_empty() && left_out > 0 {
        return Err(usage(format!("none of the {left_out} networks of --with can be used")));
    }
    Ok((samples, left_out))
}
