//! `lanner search` finds a network: from nothing to one that was measured and trained.

mod command;
mod file;
mod job;
mod summary;

use std::path::{Path, PathBuf};

use crate::device::DeviceArgs;

/// Find the best network for this machine, within limits
#[derive(clap::Args)]
#[command(
    args_override_self = true,
    after_help = "\
Without options, a search runs 40 trainings of NAS-Bench-201 at a small size on the built-in digits, \
for this machine's processor with one thread. The latency limit is the median of the first latencies \
measured, or 1.2 times the fastest if that is more. A few networks are measured to predict the latency \
of all. Each network is measured before it is trained. The best ones are measured again, with more \
effort, before one is returned. The results are in a folder (lanner-study): study.db, report.html, \
best.onnx, best.json and networks/.

Everything is on disk before it is used: after Ctrl-C, kill or a power cut, --resume goes on.

--evaluate command:'LINE' runs your own training. The line is split into words as by a shell. {arch}, \
{onnx} (a file with the untrained network), {out} (where your program may leave the trained network as \
ONNX), {seed} and {worker} (from 0, also in the environment as LANNER_WORKER) are filled in. It runs in \
the folder in which the search was begun. The last line of its output that is a JSON object has the \
metrics: {\"val_accuracy\": 93.1}. A trial fails if the exit code is not 0, if there is no such line, or if \
--timeout is over, and the search goes on; but it stops after three failures without a success. All output \
is kept in output/TRIAL.txt.

--evaluate table:FILE looks values up instead. With a limit, latencies are looked up for a few \
networks only, and predicted for the others. Without --out nothing is written.

--evaluate proxies trains nothing: --metric names the zero-cost proxy to make large, computed from 64 \
images of --dataset. By default it is rank, which combines nine, on the scale of 32 random networks.

Whether more or less of a metric is better is known from its name: less of latency, energy, params, \
loss, error, units such as _ms or _mJ; more of accuracy, acc, top1, score, _per_s. It is printed before \
anything runs. --minimise METRIC and --maximise METRIC say otherwise, or what a name does not tell.

Latencies are measured by ONNX Runtime where its library is found, else by rten, on one thread. \
--runtime, --command, --threads-measured, --precision, --batch and --cores choose the device as in \
`lanner measure`. --measure command:'LINE' runs your own program instead, for latency, energy, memory \
or whatever else: {arch} and {onnx} are filled in, and the last line of its output that is a JSON \
object has the metrics, with the unit at the end of the name: {\"latency_ms\": 7.3, \"energy_mJ\": \
12.5}. They may be limited and be objectives, before anything is trained.

--limit may be repeated. It may name a column of the table or of a --latency-table FILE (a second \
device), or a metric that a command prints. Values that are measured or looked up are predicted \
before a network is chosen; values that a command prints are known only after the evaluation, which \
counts against the budget.

--pareto METRIC searches the trade-offs between --metric and other ones: latency_ms, params, flops, \
macs, memory_bytes, a column, or a metric that the evaluation tells. Repeat it for up to four \
objectives in all. Then there is no limit without --limit. The latencies of the networks on the front \
are measured again. The printed table has the front, and its hypervolume from the worst values of all \
evaluated networks. best.onnx is the network on the front with the best --metric; \
networks/TRIAL.onnx are the others.

--warm-start SOURCE, for the default strategy, takes values from a table or another study of the same \
space. They may come from another task or a shorter training: they are not mixed with this study's \
values and cost no budget. Half of the first ten networks are the best by these values (five known \
networks or fewer are all among them), and this study's own trials teach how much the values say about \
all other networks. --accuracy-prior FILE takes the values from a saved predictor instead. --first FILE \
evaluates networks of your choice before all others.

Where measurements cost much less than evaluations, promising networks are measured even if they are \
probably over a limit: up to 20 for each evaluation, as long as they take less than a tenth of its \
time; --measurements N sets the number. Values of a table are looked up, which costs nothing.

--latency-predictor FILE spares measurements of networks over the limit: what the predictor thinks too \
slow is not measured, and the first measurements are of networks that it thinks fast enough. They show \
how far it is off, and measured values always count before predicted ones.

The table at the end compares the best network with two others. One has the most FLOPs within the \
limits; it is evaluated outside the budget (with a command, it is the largest of those evaluated). The \
other is the best of as many random networks: its exact mean with a table, else an estimate from the \
trials.

A file study.toml has the same options; the command line overrides it. examples/study.toml:
  evaluate = \"train\"
  limit = [\"latency_ms<=0.12\", \"params<=200000\"]
  budget = 60

Examples:
  lanner search
  lanner search --limit 'latency_ms<=0.2' --limit 'params<=200000' \\
      --budget 80 --out small
  lanner search --evaluate command:'python train.py {arch} --seed {seed}' \\
      --metric val_accuracy --limit 'latency_ms<=4' --timeout 3600 --budget 60
  lanner search --evaluate table:accuracy.csv --metric c100_test_200 \\
      --limit 'latency_ms<=5' --latency-table latency.csv:pixel3_ms
  lanner search --limit 'latency_ms<=0.2' --latency-predictor mine.lanner \\
      --latency-samples 5
  lanner search --measure command:'./board.sh {onnx}' \\
      --limit 'latency_ms<=8' --limit 'energy_mJ<=20'
  lanner search --pareto latency_ms --pareto params --budget 60 --out front
  lanner search --evaluate table:accuracy.csv --metric cifar100_test_200 \\
      --warm-start accuracy.csv:cifar10_test_200
  lanner search --evaluate proxies --limit 'params<=200000' --budget 200 \\
      --out untrained
  lanner search study.toml --resume"
)]
pub struct SearchArgs {
    /// A TOML file of options; the command line overrides it
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// The search space: a name or a .toml file
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// How networks are evaluated: train, proxies, command:LINE or table:FILE
    #[arg(long, value_name = "HOW", default_value = "train")]
    evaluate: String,
    /// The metric to optimise, in the direction that its name tells [default: val_accuracy for train and
    /// command, rank for proxies]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Another objective: searches the trade-offs between up to four; may be repeated
    #[arg(long, value_name = "METRIC")]
    pareto: Vec<String>,
    /// Make this objective as small as possible, whatever its name tells [default: the metric]
    #[arg(long, alias = "minimize", value_name = "METRIC", num_args = 0..=1, default_missing_value = "")]
    minimise: Vec<String>,
    /// Make this objective as large as possible [default: the metric]
    #[arg(long, alias = "maximize", value_name = "METRIC", num_args = 0..=1, default_missing_value = "")]
    maximise: Vec<String>,
    /// Start from the values of a table, FILE[:COLUMN], or of a study, STUDY[:METRIC]; may be repeated
    #[arg(long, value_name = "SOURCE")]
    warm_start: Vec<String>,
    /// Evaluate these networks before all others: a table, or a text file with one a line
    #[arg(long, value_name = "FILE")]
    first: Option<PathBuf>,
    /// A predictor of `lanner fit` or `lanner adapt` that tells which networks are likely within the limit
    /// of latency_ms before any is measured; measurements correct it
    #[arg(long, value_name = "FILE")]
    latency_predictor: Option<PathBuf>,
    /// A predictor of `lanner fit` or `lanner adapt` whose accuracies the search starts from, like values
    /// of --warm-start; may be repeated
    #[arg(long, value_name = "FILE")]
    accuracy_prior: Vec<PathBuf>,
    /// Number of networks to evaluate [default: 40]
    #[arg(long)]
    budget: Option<usize>,
    /// Begin no evaluation after this time, minutes
    #[arg(long, value_name = "MINUTES")]
    time: Option<f64>,
    /// NAME<=NUMBER or NAME>=NUMBER, a limit of latency_ms, params, flops, macs, memory_bytes, a column
    /// or a metric of the evaluation; may be repeated
    #[arg(long, value_name = "LIMIT")]
    limit: Vec<String>,
    /// FILE:COLUMN with latencies in milliseconds to use instead of this machine's, or FILE whose
    /// columns --limit may name; may be repeated
    #[arg(long, value_name = "FILE[:COLUMN]")]
    latency_table: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Number of threads that run a network while it is measured
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads_measured: u16,
    /// Measure metrics by your own program before a network is evaluated: command:LINE
    #[arg(long, value_name = "HOW")]
    measure: Option<String>,
    /// The longest that one call of --command or --measure may take, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    measure_timeout: u64,
    /// Number of latencies measured before the search starts, at least 5
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..))]
    latency_samples: u32,
    /// Networks measured for each training, besides the trained one, to find the best ones within
    /// the limits [default: as many as take a tenth of a training's time, at most 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    measurements: Option<u32>,
    /// default, brp-nas, weak-predictors, regularized-evolution or random
    #[arg(long, default_value = "default")]
    strategy: String,
    /// Seed of the search
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of evaluations at a time [default: all cores for train and proxies, 1 for a command or
    /// a table]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// The longest that a call of the command may take, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    timeout: u64,
    /// The data set for train and proxies
    #[arg(long, value_name = "NAME", default_value = "digits")]
    dataset: String,
    /// Passes over the training images
    #[arg(long, default_value_t = job::EPOCHS)]
    epochs: usize,
    /// The width that all others follow from [default: as published, 16 for nasbench201]
    #[arg(long)]
    channels: Option<usize>,
    /// Number of cells: in each stage, for darts in all [default: 3 for nasbench201, 5 for darts, else
    /// 1; for a command as published]
    #[arg(long)]
    cells: Option<usize>,
    /// Height and width of the input image, pixels [default: those of the data; for a command as
    /// published]
    #[arg(long)]
    resolution: Option<usize>,
    /// Number of classes, for a command [default: as published]
    #[arg(long)]
    classes: Option<usize>,
    /// The study's folder [default: lanner-study]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the study in --out, with its own options: --budget (larger or smaller), --time,
    /// --parallel, --retry-failed and --json may be others
    #[arg(long)]
    resume: bool,
    /// With --resume: evaluate failed networks again
    #[arg(long, requires = "resume")]
    retry_failed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: SearchArgs) -> anyhow::Result<()> {
    let (args, given) = match &args.file {
        Some(file) => file::with_file(file)?,
        None => (args, file::given()?),
    };
    // A search over a table takes seconds: its study is kept only with --out.
    if args.evaluate.starts_with("table:") && args.out.is_none() && !args.resume {
        let folder = tempfile::tempdir()?;
        return command::run(&args, given, &folder.path().join("study"), false);
    }
    command::run(&args, given, args.out.as_deref().unwrap_or(Path::new("lanner-study")), true)
}
