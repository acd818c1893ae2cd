//! The `lanner-bench` command compares predictors and strategies on published tables with plain
//! baselines and published figures.

#![forbid(unsafe_code)]

mod constrained;
mod cross_space;
mod cross_task;
mod device_sets;
mod few_shot;
mod hostile;
mod latency;
mod limited;
mod processor;
mod published;
mod ranking;
mod recipes;
mod search;
mod tables;
mod transformers;
mod unseen;
mod untrained;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use lanner::output::{self, usage};

/// Keeps large blocks, which are allocated often, as in `lanner`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares predictors and strategies on published tables.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "\
Examples:
  lanner-bench latency --device desktop-gpu-gtx-1080ti-fp32
  lanner-bench few-shot --set ND --method default
  lanner-bench search --seeds 20"
)]
struct Cli {
    /// Threads to compute with [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare latency predictors on devices of LatBench and HELP
    Latency(latency::LatencyArgs),
    /// Predict latencies on an unseen device from a handful of measurements
    FewShot(few_shot::FewShotArgs),
    /// Predict latencies in a space where the device is new, from its latencies in another space
    CrossSpace(cross_space::CrossSpaceArgs),
    /// Compare accuracy predictors by rank correlation with few trained networks
    Ranking(ranking::RankingArgs),
    /// Predict accuracies on a task from 20 trained networks, and from other tasks and spaces
    CrossTask(cross_task::CrossTaskArgs),
    /// Rank networks before any is trained, by zero-cost proxies and by all of them together
    Untrained(untrained::UntrainedArgs),
    /// Compare strategies of search over a table of accuracies
    Search(search::SearchArgs),
    /// Search within latency limits among MetaD2A's candidates
    Constrained(constrained::ConstrainedArgs),
    /// Search accuracies within latency limits on HELP's devices
    Limited(limited::LimitedArgs),
    /// Predict latencies, energies and perplexities of transformers from a few measurements
    Transformers(transformers::TransformersArgs),
    /// Search perplexity and latency of GPT-like networks, two objectives on a surrogate
    Front(transformers::front::FrontArgs),
    Hostile(hostile::HostileArgs),
    /// Predict latencies of networks of a family that was never measured
    Unseen(unseen::UnseenArgs),
    /// Print the numbers of small networks, those that tell most of a device first
    Probes,
}

/// A named set of hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RecipeName {
    /// Hyper-parameters of the paper
    BrpNas,
    /// Our own hyper-parameters
    Default,
}

impl RecipeName {
    pub fn name(self) -> &'static str {
        match self {
            RecipeName::BrpNas => "brp-nas",
            RecipeName::Default => "default",
        }
    }
}

/// Options of all benches.
#[derive(clap::Args, Clone)]
pub struct Common {
    /// Folder of published tables [default: $LANNER_DATA, else ../shared/data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

impl Common {
    fn file(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = match &self.data {
            Some(dir) => dir.clone(),
            None => lanner_data::published::data_dir().ok_or_else(|| {
                usage("no published tables: give their folder with --data DIR or in LANNER_DATA")
            })?,
        };
        let path = dir.join(name);
        if !path.is_file() {
            return Err(usage(format!(
                "{} does not exist; --data names its folder",
                path.display()
            )));
        }
        Ok(path)
    }
}

fn main() -> std::process::ExitCode {
    output::end_where_nobody_reads();
    let cli = Cli::parse();
    if let Some(n) = cli.threads {
        // Fails only where a pool exists already; none does at this point.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(n.into()).build_global();
    }
    let done = match cli.command {
        Command::Latency(args) => latency::run(args),
        Command::FewShot(args) => few_shot::run(args),
        Command::CrossSpace(args) => cross_space::run(args),
        Command::Ranking(args) => ranking::run(args),
        Command::CrossTask(args) => cross_task::run(args),
        Command::Untrained(args) => untrained::run(args),
        Command::Search(args) => search::run(args),
        Command::Constrained(args) => constrained::run(args),
        Command::Limited(args) => limited::run(args),
        Command::Transformers(args) => transformers::run(args),
        Command::Front(args) => transformers::front::run(args),
        Command::Hostile(args) => hostile::run(args),
        Command::Unseen(args) => unseen::run(args),
        Command::Probes => unseen::probes(),
    };
    output::exit_code("lanner-bench", done)
}
