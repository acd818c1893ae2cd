//! The `lanner` command.

mod adapt;
mod device;
mod fit;
mod import;
mod latency;
mod measure;
mod network;
mod onnx_file;
mod out_file;
mod prior;
mod profile;
mod proxies;
mod rank;
mod report;
mod search;
mod selection;
mod skeleton;
mod space;
mod stop;
mod study;
mod table;
mod train;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use lanner::output;

/// Convolution and Gaussian processes allocate large blocks often; mimalloc keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds the neural network to deploy on your device with the fewest trainings and measurements.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "\
Examples:
  lanner search
  lanner search --evaluate table:accuracy.csv --metric c10_test_200 --budget 60
  lanner measure --sample 100 --out mine.csv
  lanner proxies --sample 100 --out proxies.csv
  lanner train --sample 40 --out trained.csv
  lanner fit latency.csv --metric pixel_ms --out pixel.lanner
  lanner adapt --sources built-in --target ten.csv --out mine.lanner
  lanner rank pixel.lanner --top 10
  lanner profile --out cpu.lanner
  lanner latency model.onnx --predictor cpu.lanner
  lanner import latbench latbench-*.pickle --out latency.csv"
)]
struct Cli {
    /// Threads to compute with [default: all cores; 1 for measure and proxies]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Search(Box<search::SearchArgs>),
    /// Fit a predictor to a table of your own
    Fit(fit::FitArgs),
    Adapt(adapt::AdaptArgs),
    Rank(rank::RankArgs),
    Import(import::ImportArgs),
    Latency(latency::LatencyArgs),
    Measure(measure::MeasureArgs),
    Profile(profile::ProfileArgs),
    Proxies(proxies::ProxiesArgs),
    Report(report::ReportArgs),
    /// Show the network of an architecture: costs, layers, drawings, ONNX
    Network(network::NetworkArgs),
    Study(study::StudyArgs),
    Table(table::TableArgs),
    Train(train::TrainArgs),
    /// Describe a search space
    Space(space::SpaceArgs),
    Watch(report::WatchArgs),
}

/// Takes `-5` for a value, not for an option, so that the option before it tells what it expects.
fn negative_numbers(command: clap::Command) -> clap::Command {
    command.allow_negative_numbers(true).mut_subcommands(negative_numbers)
}

fn main() -> std::process::ExitCode {
    output::end_where_nobody_reads();
    let mut command = negative_numbers(Cli::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed.map_err(|error| error.format(&mut command)) {
        Ok(cli) => cli,
        Err(error) => return output::usage_code(&error),
    };
    if let Some(n) = cli.threads {
        // Fails only where a pool exists already; none does at this point.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(n.into()).build_global();
    }
    let done = match cli.command {
        Command::Search(args) => search::run(*args),
        Command::Fit(args) => fit::fit(args),
        Command::Adapt(args) => adapt::run(args),
        Command::Rank(args) => rank::run(args),
        Command::Network(args) => network::run(args),
        Command::Import(args) => import::run(args),
        Command::Measure(args) => measure::run(args, cli.threads.map_or(1, usize::from)),
        Command::Latency(args) => latency::run(args),
        Command::Profile(args) => profile::run(args, cli.threads.map_or(1, usize::from)),
        Command::Proxies(args) => proxies::run(args, cli.threads.map_or(1, usize::from)),
        Command::Study(args) => study::run(args),
        Command::Report(args) => report::run(args),
        Command::Table(args) => table::run(args),
        Command::Train(args) => train::run(args, cli.threads.map(usize::from)),
        Command::Space(args) => space::run(args),
        Command::Watch(args) => report::watch(args),
    };
    output::exit_code("lanner", done)
}
