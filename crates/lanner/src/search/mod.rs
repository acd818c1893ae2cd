//! `lanner search`: the main job, from nothing to a network that was measured and trained.

mod driver;
mod evaluator;
mod job;
mod latency;
mod summary;
mod table;

use std::path::PathBuf;

use crate::{bench::RecipeName, output::usage};

/// Find the best network for this machine, within limits
#[derive(clap::Args)]
#[command(
    args_override_self = true,
    after_help = "\
Without options: NAS-Bench-201 at a small size on the built-in digits, for this machine's processor, one thread,
within the median latency of the first measurements, 40 trainings. A few networks are measured to predict the
latency of all; each network is measured before it is trained, and the best ones again, with more effort, before
one is returned. What is found lies in a folder (lanner-study): study.db, report.html,
best.onnx, best.json and networks/.

Everything is on disk before it is used: after Ctrl-C, kill or a power cut `--resume` goes on.

--evaluate command:'LINE' runs your own training. The line is split into words as a shell does it; {arch}, {onnx}
(the network, untrained), {out} (where the trained ONNX file may be left) and {seed} are filled in. The last line
of its output that is a JSON object has the metrics: {\"val_accuracy\": 93.1}. Another exit code than 0, no such
line or a time-out makes the trial a failed one, with its last lines kept, and the search goes on.

--evaluate table:FILE looks values up instead. With a limit, latencies are looked up only for a few networks, the
others are predicted. Without --out nothing is written.

A file study.toml has the same options: budget = 60, limit = [\"latency_ms<=4\", \"params<=1e6\"], resume = true.

Examples:
  lanner search
  lanner search --limit 'latency_ms<=0.12' --limit 'params<=50000' --budget 80 --out small
  lanner search --evaluate command:'python train.py --arch {arch} --onnx {onnx} --seed {seed}' \\
      --metric val_accuracy --limit 'latency_ms<=4' --timeout 3600 --budget 60
  lanner search --evaluate table:accuracy.csv --metric c100_test_200 --budget 60 \\
      --limit 'latency_ms<=5' --latency-table latency.csv:pixel3_ms
  lanner search study.toml --resume"
)]
pub struct SearchArgs {
    /// A TOML file of options; those of the command line go before it
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// A space's name or TOML file
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// Where values come from: train, command:LINE or table:FILE
    #[arg(long, value_name = "HOW", default_value = "train")]
    evaluate: String,
    /// What is to be best [default: val_accuracy, but of a table]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Less is better
    #[arg(long)]
    minimise: bool,
    /// Networks that are evaluated [default: 40, of a table 60]
    #[arg(long)]
    budget: Option<usize>,
    /// Begin no evaluation after so many minutes
    #[arg(long, value_name = "MINUTES")]
    time: Option<f64>,
    /// NAME<=NUMBER of latency_ms, params, flops, macs or memory_bytes; may be repeated
    #[arg(long, value_name = "LIMIT")]
    limit: Vec<String>,
    /// FILE:COLUMN with measured latencies in milliseconds, in place of this machine
    #[arg(long, value_name = "FILE:COLUMN")]
    latency_table: Option<String>,
    /// Latencies measured before the search starts
    #[arg(long, default_value_t = 20)]
    latency_samples: usize,
    /// default, brp-nas, weak-predictors, regularized-evolution, random
    #[arg(long, default_value = "default")]
    strategy: String,
    /// Recipe of brp-nas over a table
    #[arg(long, default_value = "default", hide = true)]
    recipe: RecipeName,
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
        Some(file) => with_file(file)?,
        None => args,
    };
    match args.evaluate.strip_prefix("table:") {
        Some(_) if args.out.is_none() && !args.resume => table::run(&args),
        _ => driver::run(&args),
    }
}

/// The options of a file, and those of the command line after them.
fn with_file(file: &std::path::Path) -> anyhow::Result<SearchArgs> {
    use clap::{Args, Command, FromArgMatches};
    let name = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|e| anyhow::anyhow!("cannot read {name}: {e}"))?;
    let options: toml::Table = text.parse().map_err(|e| usage(format!("{name}: {e}")))?;
    let mut words = vec!["lanner search".to_string()];
    for (key, value) in options {
        let values = match value {
            toml::Value::Array(values) => values,
            one => vec![one],
        };
        for value in values {
            match value {
                toml::Value::Boolean(true) => words.push(format!("--{key}")),
                toml::Value::Boolean(false) => {}
                toml::Value::String(text) => words.push(format!("--{key}={text}")),
                toml::Value::Integer(n) => words.push(format!("--{key}={n}")),
                toml::Value::Float(n) => words.push(format!("--{key}={n}")),
                other => {
                    return Err(usage(format!(
                        "{name}: {key} is a {}, expected text or a number",
                        other.type_str()
                    )));
                }
            }
        }
    }
    let given = std::env::args().skip_while(|a| a != "search").skip(1);
    words.extend(given.filter(|word| std::path::Path::new(word) != file));
    let threads = clap::Arg::new("threads").long("threads");
    let command = SearchArgs::augment_args(Command::new("lanner search")).arg(threads);
    let matches = command.try_get_matches_from(words).map_err(|e| usage(format!("{name}: {e}")))?;
    SearchArgs::from_arg_matches(&matches).map_err(|e| usage(format!("{name}: {e}")))
}
