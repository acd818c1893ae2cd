//! `lanner search`: the main job, from nothing to a network that was measured and trained.

mod command;
mod file;
mod job;
mod summary;

use std::path::PathBuf;

/// Find the best network for this machine, within limits
#[derive(clap::Args)]
#[command(
    args_override_self = true,
    after_help = "\
Without options: NAS-Bench-201 at a small size on the built-in digits, for this machine's processor, one thread,
within the median latency of the first measurements (at least 1.2 times the fastest), 40 trainings. A few networks
are measured to predict the latency of all; each network is measured before it is trained, and the best ones again, with more effort, before
one is returned. What is found lies in a folder (lanner-study): study.db, report.html,
best.onnx, best.json and networks/.

Everything is on disk before it is used: after Ctrl-C, kill or a power cut `--resume` goes on.

--evaluate command:'LINE' runs your own training. The line is split into words as a shell does it; {arch}, {onnx}
(the network, untrained), {out} (where the trained ONNX file may be left) and {seed} are filled in. The last line
of its output that is a JSON object has the metrics: {\"val_accuracy\": 93.1}. Another exit code than 0, no such
line or a time-out makes the trial a failed one, with its last lines kept, and the search goes on.

--evaluate table:FILE looks values up instead. With a limit, latencies are looked up only for a few networks, the
others are predicted. Without --out nothing is written. --evaluate proxies trains nothing: --metric names the
zero-cost proxy (of 64 images of --dataset) that is to be large.

--limit may be given several times, also for columns of the table or of a --latency-table FILE (a second device), and
for metrics that a command prints. What is measured or looked up is predicted before; what a command prints is known
only after its evaluation, which then has cost budget.

--pareto METRIC searches the trade-offs of two metrics: latency_ms, params, flops, macs, memory_bytes, a column, or
what the evaluation tells. There is no limit then but those given. The latencies of the front are measured again; the
table has the front and its hypervolume from the worst values of all evaluated. best.onnx is the network with the best
--metric on it, networks/TRIAL.onnx are the others.

--warm-start SOURCE, for the default strategy, takes values from a table or another study of the same space. They may
be of another task or a shorter training: they are not mixed with this study's and cost no budget. Half of the first
ten networks are the best by them, and how much they say of the others is learned from this study's own trials.

Beside the best network stand the one with the most FLOPs within the limits, evaluated once more beside the budget (of a
command, the largest of those evaluated), and what the best of as many random networks would be: over a table the exact
mean, else what the trials let one expect.

A file study.toml has the same options; those of the command line go before its. examples/study.toml:
  evaluate = \"train\"
  limit = [\"latency_ms<=0.12\", \"params<=200000\"]
  budget = 60

Examples:
  lanner search
  lanner search --limit 'latency_ms<=0.2' --limit 'params<=200000' --budget 80 --out small
  lanner search --evaluate command:'python train.py --arch {arch} --onnx {onnx} --seed {seed}' \\
      --metric val_accuracy --limit 'latency_ms<=4' --timeout 3600 --budget 60
  lanner search --evaluate table:accuracy.csv --metric c100_test_200 --budget 60 \\
      --limit 'latency_ms<=5' --latency-table latency.csv:pixel3_ms
  lanner search --pareto latency_ms --budget 60 --out front
  lanner search --evaluate table:accuracy.csv --metric cifar100_test_200 --warm-start accuracy.csv:cifar10_test_200
  lanner search --evaluate proxies --metric nwot --limit 'params<=200000' --budget 200 --out untrained
  lanner search study.toml --resume"
)]
pub struct SearchArgs {
    /// A TOML file of options; those of the command line go before it
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// A space's name or TOML file
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// Where values come from: train, proxies, command:LINE or table:FILE
    #[arg(long, value_name = "HOW", default_value = "train")]
    evaluate: String,
    /// What is to be best [default: val_accuracy of train and command]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// A second metric, as small as possible: the trade-offs between the two are searched
    #[arg(long, value_name = "METRIC")]
    pareto: Option<String>,
    /// A table or an earlier study to start from, FILE[:COLUMN] or STUDY[:METRIC]; may be repeated
    #[arg(long, value_name = "SOURCE")]
    warm_start: Vec<String>,
    /// Less is better
    #[arg(long)]
    minimise: bool,
    /// Networks that are evaluated [default: 40]
    #[arg(long)]
    budget: Option<usize>,
    /// Begin no evaluation after so many minutes
    #[arg(long, value_name = "MINUTES")]
    time: Option<f64>,
    /// NAME<=NUMBER of latency_ms, params, flops, macs, memory_bytes or a column; may be repeated
    #[arg(long, value_name = "LIMIT")]
    limit: Vec<String>,
    /// FILE:COLUMN with latencies in milliseconds in place of this machine's, or FILE for --limit of
    /// its columns; may be repeated
    #[arg(long, value_name = "FILE[:COLUMN]")]
    latency_table: Vec<String>,
    /// Latencies measured before the search starts
    #[arg(long, default_value_t = 20)]
    latency_samples: usize,
    /// default, brp-nas, weak-predictors, regularized-evolution, random
    #[arg(long, default_value = "default")]
    strategy: String,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Evaluations at a time [default: all cores for train, 1 of a command]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// How long a call of the command may take, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    timeout: u64,
    /// What to train on
    #[arg(long, value_name = "NAME", default_value = "digits")]
    dataset: String,
    /// Passes over the training images
    #[arg(long, default_value_t = job::EPOCHS)]
    epochs: usize,
    /// A width that others follow from [default: as published, 16 of nasbench201]
    #[arg(long)]
    channels: Option<usize>,
    /// How often cells are repeated [default: 3 of nasbench201, 5 of darts, else 1; of a command as published]
    #[arg(long)]
    cells: Option<usize>,
    /// Height and width of the image, pixels [default: those of the data; of a command as published]
    #[arg(long)]
    resolution: Option<usize>,
    /// Length of the output, for a command [default: as published]
    #[arg(long)]
    classes: Option<usize>,
    /// The study's folder [default: lanner-study]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the study of the folder, by its own settings; --budget may raise its budget
    #[arg(long)]
    resume: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: SearchArgs) -> anyhow::Result<()> {
    let args = match &args.file {
        Some(file) => file::with_file(file)?,
        None => args,
    };
    // A search over a table takes seconds: without --out its study is of no use afterwards.
    if args.evaluate.starts_with("table:") && args.out.is_none() && !args.resume {
        let folder = tempfile::tempdir()?;
        return command::run(&args, &folder.path().join("study"), false);
    }
    let folder = args.out.clone().unwrap_or_else(|| "lanner-study".into());
    command::run(&args, &folder, true)
}
