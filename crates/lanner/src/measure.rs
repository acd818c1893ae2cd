//! `lanner measure` measures latencies of networks on a device, into a table.

use std::{
    collections::HashSet,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::ValueEnum;
use lanner_data::{Table, write_file};
use lanner_evaluate::{
    EvaluateError,
    measure::{
        self, Adaptive, Device, Header, LatencyCampaign, LatencySummary, LayerLatency, LayerWise,
        Protocol, RuntimeName, machine,
    },
};
use lanner_space::Space;

use crate::{
    device::DeviceArgs,
    onnx_file::{self, OpenDims},
    out_file::{self, Kind},
    output::{Row, print_rows, progress, usage},
    selection::Selection,
    skeleton::SkeletonArgs,
    stop::on_interrupt,
};
use lanner::say;

/// Measure latencies of networks on a device, into a table
#[derive(clap::Args)]
#[command(after_help = "\
Each network is on disk before the next one begins: the same command again goes on where it was \
stopped, by Ctrl-C, a crash or a device that does not answer. A file with other settings is refused. \
The header of the table tells how latencies were measured; FILE.blocks.csv beside it has each block \
of runs.

The default protocol runs a network in short blocks until the 95 % interval of the median is within \
--tolerance, or --budget is spent. Between the blocks it runs a reference network, to correct for a \
machine that becomes faster or slower. The protocol latbench is that of the paper: 10 blocks of 100 \
runs, the interquartile mean of their interquartile means.

Networks run on one thread unless --threads says otherwise. With --unique, the networks of a group \
that computes the same get the latency of the one that is measured.

Examples:
  lanner measure --sample 100 --out mine.csv
  lanner measure --choose 20 --out first.csv
  lanner measure --unique --threads 2 --out two-threads.csv
  lanner measure --archs my.txt --precision int8 --out int8.csv
  lanner measure --all --layer-wise --out sums.csv
  lanner measure model.onnx nets/ --out own.csv
  lanner measure bert.onnx --dim sequence=128 --batch 4 --out bert.csv
  lanner measure --sample 50 --cores 3 --protocol latbench --out pinned.csv
  lanner measure --sample 50 --runtime command --device board \\
    --command './bench.sh {onnx} {runs}' --out board.csv
  lanner fit mine.csv --metric latency_ms --out mine.lanner")]
pub struct MeasureArgs {
    /// ONNX files of your own, or folders of them, instead of networks of a space
    #[arg(value_name = "FILE.onnx|DIR", conflicts_with = "Selection")]
    models: Vec<PathBuf>,
    #[command(flatten)]
    selection: Option<Selection>,
    /// Seed of --sample, --choose and the order of measurement
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The table to write, or to go on with where it exists
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For ONNX files: the size of an open dimension, such as sequence=128
    #[arg(long, value_name = "NAME=SIZE", value_parser = onnx_file::dim, requires = "models")]
    dim: Vec<(String, u64)>,
    #[command(flatten)]
    device: DeviceArgs,
    /// The longest that one call of the command may take, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// How latencies are measured (see below)
    #[arg(long, value_enum, default_value_t = ProtocolName::Default)]
    protocol: ProtocolName,
    /// The default protocol ends when half the width of the median's 95 % interval is at most this
    /// share of the median, %
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, allow_negative_numbers = true)]
    tolerance: f64,
    /// The default protocol ends after this time for a network in any case, seconds [default: 2,
    /// with a command 20]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    budget: Option<f64>,
    /// An earlier table of the same settings: correct for the machine's drift since then, so that both
    /// can be compared
    #[arg(long, value_name = "FILE", conflicts_with = "no_reference")]
    baseline: Option<PathBuf>,
    /// Predict instead of measuring networks: measure each distinct layer alone (FILE.layers.csv) and
    /// sum up the layers of a network
    #[arg(long)]
    layer_wise: bool,
    #[command(flatten)]
    skeleton: SkeletonArgs,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ProtocolName {
    Default,
    Latbench,
}

pub fn run(args: MeasureArgs, threads: usize) -> anyhow::Result<()> {
    if !args.models.is_empty() {
        return files(&args, threads);
    }
    let Some(selection) = &args.selection else {
        let why = "which networks? ONNX files, or --sample, --choose, --all, --unique or --archs";
        return Err(usage(why));
    };
    let space = Space::by_name(&args.skeleton.space).map_err(|e| usage(e.to_string()))?;
    let skeleton = args.skeleton.skeleton(&space).map_err(|e| usage(e.to_string()))?;
    for (name, value) in [("--tolerance", args.tolerance), ("--budget", args.budget.unwrap_or(1.0))]
    {
        if !(value > 0.0 && value.is_finite()) {
            return Err(usage(format!("{name} is {value}, expected a number above 0")));
        }
    }
    let inputs: Vec<&Path> = selection.files().chain(args.baseline.as_deref()).collect();
    out_file::check(&args.out, Kind::Measurements, &inputs, false)?;
    let groups = selection.groups(&space, args.seed)?;
    let device = args.device.device(threads, args.timeout, true)?;
    if device.runtime == RuntimeName::Command && device.name.is_none() {
        return Err(usage("--runtime command: expected --device NAME as well, for the header"));
    }
    if !device.cores.is_empty() {
        machine::pin(&device.cores).map_err(|why| usage(format!("--cores: {why}")))?;
    }
    let runtime = device.runtime().map_err(|e| match e {
        EvaluateError::Value { .. } => usage(e.to_string()),
        other => other.into(),
    })?;
    let protocol = protocol(&args, &device);
    let mut campaign = LatencyCampaign {
        space: space.clone(),
        skeleton,
        onnx: device.onnx(),
        protocol,
        seed: args.seed,
        reference: match device.reference {
            true => Some(measure::reference(&space)?),
            false => None,
        },
        baseline_ms: None,
    };
    // Finds wrong options of the skeleton before a file is made.
    campaign.model(&groups[0][0]).map_err(|e| usage(e.to_string()))?;
    let header = campaign.header(&*runtime, &device.facts());
    if let Some(earlier) = &args.baseline {
        campaign.baseline_ms = Some(measure::read_baseline(earlier, &header)?);
    }

    let stopped = on_interrupt();
    let bar = progress(groups.len() as u64, "measuring");
    let tell = |done, total| {
        bar.tell(done as u64, total as u64);
        match stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let start = Instant::now();
    if args.layer_wise {
        measure::check_beside(&measure::layers_path(&args.out), measure::LAYERS)?;
        let archs = groups.concat();
        let done = campaign.layerwise(&*runtime, &archs, tell);
        bar.clear();
        let Some(done) = done? else { anyhow::bail!("stopped; nothing is written") };
        return layer_wise(&args, &space, &header, &done);
    }
    let outcome = campaign.run(&*runtime, &groups, &args.out, &header, tell);
    bar.clear();
    let outcome = outcome.map_err(|error| paused(error, &args.out))?;
    report(&args, &space, &outcome, groups.len(), start.elapsed().as_secs_f64())
}

fn protocol(args: &MeasureArgs, device: &Device) -> Protocol {
    match args.protocol {
        ProtocolName::Latbench => Protocol::Latbench,
        ProtocolName::Default => {
            let usual = device.adaptive();
            let budget_s = args.budget.unwrap_or(usual.budget_s);
            Protocol::Adaptive(Adaptive { tolerance: args.tolerance / 100.0, budget_s, ..usual })
        }
    }
}

/// Measures ONNX files into a table of their paths.
fn files(args: &MeasureArgs, threads: usize) -> anyhow::Result<()> {
    if args.layer_wise || args.baseline.is_some() {
        return Err(usage("--layer-wise and --baseline are for networks of a space"));
    }
    let models = onnx_file::models(&args.models)?;
    out_file::check(&args.out, Kind::Measurements, &args.models, false)?;
    let device = args.device.for_files(threads, args.timeout, &args.dim)?;
    let files: Vec<&Path> = models.iter().map(|model| Path::new(&model.name)).collect();
    let open = OpenDims { batch: None, dim: args.dim.clone() };
    open.check(&files)?;
    let stopped = on_interrupt();
    let bar = progress(models.len() as u64, "measuring");
    let done = device.bound(|| {
        let protocol = protocol(args, &device);
        measure::measure_models(
            &device,
            &protocol,
            &models,
            Some(&args.out),
            f64::INFINITY,
            |done| {
                bar.tell(done as u64, models.len() as u64);
                if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        )
    });
    bar.clear();
    let done = done?.map_err(|error| paused(error, &args.out))?;
    let rows: Vec<Row> = done
        .iter()
        .map(|m| {
            let row = Row::new().with("network", m.name.as_str());
            let row = match m.latency_ms {
                Some(ms) => row.with("latency_ms", ms).with("latency_ms_se", m.error_ms),
                None => row,
            };
            row.with("note", m.note.as_str())
        })
        .collect();
    print_rows(&rows, args.json)?;
    // The table may have further networks.
    let names: HashSet<&str> = done.iter().map(|m| m.name.as_str()).collect();
    let count = models.iter().filter(|m| names.contains(m.name.as_str())).count();
    if count < models.len() {
        anyhow::bail!("stopped at {count} of {}; the same command goes on", models.len());
    }
    Ok(())
}

/// Writes the sums over layers to the table, and the latencies of the layers to a file beside it.
fn layer_wise(
    args: &MeasureArgs,
    space: &Space,
    header: &Header,
    done: &LayerWise,
) -> anyhow::Result<()> {
    let mut header = header.clone();
    header.set("protocol", format!("layer-wise sum, {}", header.value("protocol").unwrap_or("")));
    let (mut log, known, _) = measure::LatencyTable::open(&args.out, space, &header)?;
    if !known.is_empty() {
        let file = args.out.display();
        return Err(usage(format!("{file} has rows already: give another --out")));
    }
    log.write(&done.rows)?;
    let mut text = format!("{}\n", measure::LAYERS);
    let mut shown = Vec::new();
    for layer in &done.layers {
        let LayerLatency { op, inputs, input, output, latency_ms, error_ms, runs } = layer;
        let [ms, se] = [*latency_ms, *error_ms].map(measure::milliseconds);
        text += &format!("{op},{inputs},{input},{output},{ms},{se},{runs}\n");
        shown.push(
            Row::new()
                .with("layer", op.as_str())
                .with("inputs", *inputs)
                .with("input", input.to_string())
                .with("output", output.to_string())
                .with("latency_ms", *latency_ms)
                .with("latency_ms_se", *error_ms)
                .with("runs", *runs),
        );
    }
    write_file(measure::layers_path(&args.out), text.as_bytes())?;
    print_rows(&shown, args.json)
}

/// Adds to an error of the device that what is measured is kept, and how to go on.
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
    outcome: &LatencySummary,
    groups: usize,
    seconds: f64,
) -> anyhow::Result<()> {
    let table = Table::read(&args.out, space)?.0;
    let valid = |name: &str| -> anyhow::Result<Vec<f64>> {
        Ok(table.column(name)?.iter().copied().filter(|v| !v.is_nan()).collect())
    };
    let (latency, drift) = (valid("latency_ms")?, valid("drift")?);
    let both = table.column("latency_ms_se")?.iter().zip(table.column("latency_ms")?);
    let errors: Vec<f64> = both.map(|(e, l)| 100.0 * e / l).filter(|v| !v.is_nan()).collect();
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
    let unsure = errors
        .iter()
        .filter(|e| measure::relative_half_width(100.0, **e) > measure::DOUBTFUL)
        .count();
    if unsure > 0 {
        say!(
            "note: {unsure} of {} latencies are not known to within {:.0} % (see the column note): is the \
             machine busy? An idle processor (--cores) or more time (--budget) helps",
            latency.len(),
            100.0 * measure::DOUBTFUL
        );
    }
    if outcome.stopped {
        let done = outcome.measured + outcome.found + outcome.refused;
        anyhow::bail!("stopped at {done} of {groups}; the same command goes on from there");
    }
    Ok(())
}
