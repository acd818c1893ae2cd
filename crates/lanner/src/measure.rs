//! `lanner measure`: latencies of networks on a device, into a table.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use clap::ValueEnum;
use lanner_data::Table;
use lanner_evaluate::{
    EvaluateError,
    measure::{self, Adaptive, Campaign, Outcome, Protocol, Runtime, machine},
};
use lanner_network::OnnxOptions;
use lanner_space::{Architecture, Space};

use crate::{
    output::{Row, print_rows, progress, usage},
    skeleton::SkeletonArgs,
};

/// Measure latencies of networks on a device, into a table
#[derive(clap::Args)]
#[command(after_help = "\
Each network is on disk before the next is begun: the same command again goes on where it was stopped,
by Ctrl-C, a crash or a device that does not answer. A file of other settings is refused. The header
of the table says how was measured; FILE.blocks.csv beside it has each block of runs.

The default protocol measures short blocks, with looks at a reference network between them to correct
for a machine that becomes faster or slower, until the 95 % interval of the median is within
--tolerance or --budget is spent. The protocol latbench is that of the paper: 10 blocks of 100 runs,
the interquartile mean of their interquartile means.

Networks run on one thread unless --threads says otherwise.

Examples:
  lanner measure --sample 100 --out mine.csv
  lanner measure --unique --threads 2 --out two-threads.csv
  lanner measure --archs my.txt --precision int8 --out int8.csv
  lanner measure --sample 50 --cores 3 --protocol latbench --out pinned.csv
  lanner fit mine.csv --metric latency_ms --out mine.lanner")]
pub struct MeasureArgs {
    #[command(flatten)]
    which: Which,
    /// Of --sample, of the order of measurement and of the networks' weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The table: made, or gone on with
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[arg(long, value_enum, default_value_t = RuntimeName::Rten)]
    runtime: RuntimeName,
    /// Images at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Run on these processors only, as 0 or 2,3 (Linux)
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    /// The device, if not this machine; stands in the table's header
    #[arg(long)]
    device: Option<String>,
    #[arg(long, value_enum, default_value_t = ProtocolName::Default)]
    protocol: ProtocolName,
    /// Half the width of the median's 95 % interval at which the default protocol is content, %
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    tolerance: f64,
    /// Time for a network after which the default protocol is content anyway, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    budget: f64,
    /// Measure without a reference network: twice as fast, but drift of the machine stays in
    #[arg(long)]
    no_reference: bool,
    #[command(flatten)]
    skeleton: SkeletonArgs,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

/// Which networks.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Every network of the space
    #[arg(long)]
    all: bool,
    /// One network of each kind that computes the same; the others get its latency
    #[arg(long)]
    unique: bool,
    /// So many at random
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Those of a file: an architecture a line, or a .csv or .parquet table
    #[arg(long, value_name = "FILE")]
    archs: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RuntimeName {
    /// The runtime in pure Rust, in this process
    Rten,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ProtocolName {
    Default,
    Latbench,
}

pub fn run(args: MeasureArgs, threads: usize) -> anyhow::Result<()> {
    let space = Space::by_name(&args.skeleton.space).map_err(|e| usage(e.to_string()))?;
    let skeleton = args.skeleton.skeleton(&space)?;
    for (name, value) in [("--tolerance", args.tolerance), ("--budget", args.budget)] {
        if !(value > 0.0 && value.is_finite()) {
            return Err(usage(format!("{name} is {value}, expected a number above 0")));
        }
    }
    let groups = choose(&args, &space)?;
    if !args.cores.is_empty() {
        machine::pin(&args.cores).map_err(|why| usage(format!("--cores: {why}")))?;
    }
    let runtime: Box<dyn Runtime> = match args.runtime {
        RuntimeName::Rten => Box::new(measure::Rten::new(threads)),
    };
    let protocol = match args.protocol {
        ProtocolName::Latbench => Protocol::Latbench,
        ProtocolName::Default => Protocol::Adaptive(Adaptive {
            tolerance: args.tolerance / 100.0,
            budget_s: args.budget,
            ..Adaptive::default()
        }),
    };
    let campaign = Campaign {
        space: space.clone(),
        skeleton,
        onnx: OnnxOptions { batch: Some(args.batch), ..OnnxOptions::default() },
        protocol,
        seed: args.seed,
        reference: (!args.no_reference).then(|| measure::reference(&space)),
    };
    // Wrong options of the skeleton are found before a file is made.
    campaign.model(&groups[0][0]).map_err(|e| usage(e.to_string()))?;
    let cores = match args.cores.as_slice() {
        [] => "any".into(),
        cores => cores.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
    };
    let device = args.device.clone().unwrap_or_else(machine::cpu);
    let more =
        [("device", device), ("threads", threads.to_string()), ("cores", cores)];
    let header = campaign.header(&*runtime, &more);

    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // Without a handler Ctrl-C ends the process as ever, and loses no more than a network.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = progress(groups.len() as u64, "measuring");
    let start = Instant::now();
    let outcome = campaign.run(&*runtime, &groups, &args.out, &header, |done, total| {
        bar.tell(done as u64, total as u64);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    bar.clear();
    let outcome = outcome.map_err(|error| paused(error, &args.out))?;
    report(&args, &space, &outcome, groups.len(), start.elapsed().as_secs_f64())
}

/// The networks to measure, in groups of which the first is measured.
fn choose(args: &MeasureArgs, space: &Space) -> anyhow::Result<Vec<Vec<Architecture>>> {
    let Which { all, unique, sample, archs } = &args.which;
    if (*all || *unique) && space.size() > 10_000_000 {
        return Err(usage(format!("space {space} is too large to measure whole: use --sample")));
    }
    let archs: Vec<Architecture> = if *all || *unique {
        space.iter().collect()
    } else if let Some(file) = archs {
        read_archs(file, space)?
    } else {
        let count = sample.unwrap_or(0);
        if count as u128 > space.size() || count == 0 {
            let size = space.size();
            return Err(usage(format!("--sample is {count}, expected 1 to {size}")));
        }
        let mut generator = lanner_nn::rng(args.seed, "sample of networks");
        let mut seen = std::collections::HashSet::new();
        let mut archs = Vec::with_capacity(count);
        while archs.len() < count {
            let arch = space.sample(&mut generator);
            if seen.insert(arch.clone()) {
                archs.push(arch);
            }
        }
        archs
    };
    Ok(match unique {
        true => measure::groups(space, &archs),
        false => archs.into_iter().map(|a| vec![a]).collect(),
    })
}

fn read_archs(file: &Path, space: &Space) -> anyhow::Result<Vec<Architecture>> {
    let table = file.extension().is_some_and(|e| e == "csv" || e == "parquet");
    let mut archs = Vec::new();
    if table {
        archs = Table::read(file, space)?.0.archs;
    } else {
        let text = std::fs::read_to_string(file)
            .map_err(|e| anyhow::anyhow!("cannot read {}: {e}", file.display()))?;
        let mut seen = std::collections::HashSet::new();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let arch = space
                .parse(line.trim())
                .map_err(|e| anyhow::anyhow!("{}, line {}: {e}", file.display(), i + 1))?;
            if seen.insert(arch.clone()) {
                archs.push(arch);
            }
        }
    }
    match archs.is_empty() {
        true => anyhow::bail!("{}: no architecture in it", file.display()),
        false => Ok(archs),
    }
}

/// What is measured is kept: the way on belongs to the message.
fn paused(error: EvaluateError, out: &Path) -> anyhow::Error {
    match error {
        EvaluateError::Device(_) => anyhow::anyhow!(
            "{error}\nPaused: what is measured is in {}; the same command goes on from there",
            out.display()
        ),
        error => error.into(),
    }
}

fn report(
    args: &MeasureArgs,
    space: &Space,
    outcome: &Outcome,
    groups: usize,
    seconds: f64,
) -> anyhow::Result<()> {
    let table = Table::read(&args.out, space)?.0;
    let valid = |name: &str| -> anyhow::Result<Vec<f64>> {
        Ok(table.column(name)?.iter().copied().filter(|v| !v.is_nan()).collect())
    };
    let (latency, drift) = (valid("latency_ms")?, valid("drift")?);
    let errors: Vec<f64> = table
        .column("latency_ms_se")?
        .iter()
        .zip(table.column("latency_ms")?)
        .map(|(e, l)| 100.0 * e / l)
        .filter(|v| !v.is_nan())
        .collect();
    let mut row = Row::new()
        .with("file", args.out.display().to_string())
        .with("networks", groups)
        .with("measured", outcome.measured)
        .with("found", outcome.found)
        .with("refused", outcome.refused);
    let shown = [
        ("median_ms", measure::median(&latency)),
        ("min_ms", measure::quantile(&latency, 0.0)),
        ("max_ms", measure::quantile(&latency, 1.0)),
        ("median_error_percent", measure::median(&errors)),
        ("median_drift", measure::median(&drift)),
    ];
    for (name, value) in shown.into_iter().filter(|(_, v)| v.is_finite()) {
        row = row.with(name, value);
    }
    print_rows(&[row.with("seconds", seconds)], args.json)?;
    if outcome.stopped {
        let done = outcome.measured + outcome.found + outcome.refused;
        anyhow::bail!("stopped at {done} of {groups}; the same command goes on from there");
    }
    Ok(())
}
