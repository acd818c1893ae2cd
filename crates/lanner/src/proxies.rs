//! `lanner proxies` computes zero-cost proxies of networks, into a table.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use lanner_data::{Table, images};
use lanner_evaluate::proxies::{
    Batch, Proxy, ProxyCampaign, ProxyOptions, ProxySummary, ProxyWeights,
};
use lanner_network::{Skeleton, View};
use lanner_predict::accuracy::untrained::{RANK, rank};
use lanner_space::{Architecture, Space};

use crate::{
    out_file::{self, Kind},
    output::{Row, print_rows, progress, usage},
    selection::Selection,
    skeleton::SkeletonArgs,
    stop::on_interrupt,
};

/// Compute zero-cost proxies of networks, into a table
#[derive(clap::Args)]
#[command(after_help = "\
Proxies are scores of an untrained network, computed from one minibatch: epe_nas, fisher, flops, \
grad_norm, grasp, jacov, l2_norm, nwot, params, plain, snip, synflow, zen, as NAS-Bench-Suite-Zero \
defines them, and expressivity, lswag, lswag_gradients, meco, progressivity, swap, swap_cell, swap_layers, trainability, vkdnw, \
zico. A value that does not exist is empty, and the column note says why.

The best networks of the table are printed by rank, the mean of nine of the proxies; \
`lanner search --warm-start FILE:rank` starts from it.

Each network is on disk before the next one begins: the same command again goes on where it was \
stopped. A file with other settings is refused.

Data sets: random (images and labels from N(0, 1)), digits, cifar10:PATH, cifar100:PATH, mnist:DIR, \
fashion-mnist:DIR. Grey images become three equal channels.

Examples:
  lanner proxies --sample 100 --out proxies.csv
  lanner proxies --all --proxies synflow,params,flops --out cheap.csv
  lanner proxies --sample 300 --dataset cifar10:cifar-10-batches-bin \\
    --seeds 3 --out cifar10.csv")]
pub struct ProxiesArgs {
    #[command(flatten)]
    selection: Selection,
    /// Seed of --sample, of the minibatch and of the weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The table to write, or to go on with where it exists
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The data set that the minibatch is taken from
    #[arg(long, value_name = "NAME", default_value = "random")]
    dataset: String,
    /// Images in the minibatch
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    /// Number of initialisations over which values are averaged
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// The proxies to compute [default: all]
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    proxies: Vec<String>,
    /// The most memory for activations, MiB [default: 75 % of what is free]
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    #[command(flatten)]
    skeleton: SkeletonArgs,
    /// Add a batch norm after each pooling, as in NASLib's networks of NAS-Bench-301
    #[arg(long)]
    pooling_norms: bool,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

pub fn run(args: ProxiesArgs, threads: usize) -> anyhow::Result<()> {
    let space = Space::by_name(&args.skeleton.space).map_err(|e| usage(e.to_string()))?;
    let table = table(&args, space, threads)?;
    // Finds wrong options of the skeleton before a file is made.
    let inputs: Vec<&Path> = args.selection.files().collect();
    out_file::check(&args.out, Kind::Measurements, &inputs, false)?;
    let groups = args.selection.groups(&table.space, args.seed)?;
    let archs: Vec<Architecture> = groups.into_iter().map(|mut g| g.swap_remove(0)).collect();
    table.skeleton.build(&archs[0], View::Raw).map_err(|e| usage(e.to_string()))?;
    let stopped = on_interrupt();
    let bar = progress(archs.len() as u64, "computing proxies");
    let start = Instant::now();
    let outcome = table.run(&archs, &args.out, |done, total| {
        bar.tell(done as u64, total as u64);
        if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.clear();
    let ProxySummary { computed, found, absent, stopped } = outcome?;
    let row = Row::new()
        .with("file", args.out.display().to_string())
        .with("networks", archs.len())
        .with("computed", computed)
        .with("found", found)
        .with("absent_values", absent)
        .with("seconds", start.elapsed().as_secs_f64());
    let mut rows = vec![row];
    rows.extend(best(&args.out, &table.space)?.into_iter().filter(|_| !stopped));
    match args.json {
        true => print_rows(&rows, true)?,
        false => {
            print_rows(&rows[..1], false)?;
            print_rows(&rows[1..], false)?;
        }
    }
    if stopped {
        let (done, all) = (computed + found, archs.len());
        anyhow::bail!("stopped at {done} of {all}; the same command goes on from there");
    }
    Ok(())
}

/// Number of networks that are printed by rank, and the fewest that there must be in all.
const SHOWN: usize = 5;

/// Rows of the networks of a table with the best rank.
fn best(file: &Path, space: &Space) -> anyhow::Result<Vec<Row>> {
    let table = Table::read(file, space)?.0;
    let columns: Vec<(String, Vec<f64>)> = table.names.into_iter().zip(table.columns).collect();
    let scores = rank(&columns).filter(|scores| scores.len() > SHOWN);
    let mut order: Vec<(f64, &Architecture)> =
        scores.unwrap_or_default().into_iter().zip(&table.archs).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let row = |(score, arch)| Row::new().with("arch", space.print(arch)).with(RANK, score);
    Ok(order.into_iter().take(SHOWN).map(row).collect())
}

fn table(args: &ProxiesArgs, space: Space, threads: usize) -> anyhow::Result<ProxyCampaign> {
    let mut proxies = Vec::new();
    for name in args.proxies.iter().filter(|name| name.trim() != "all") {
        let proxy: Proxy = name.trim().parse().map_err(|e| usage(format!("--proxies: {e}")))?;
        if !proxies.contains(&proxy) {
            proxies.push(proxy);
        }
    }
    if proxies.is_empty() || args.proxies.iter().any(|name| name.trim() == "all") {
        proxies = Proxy::ALL.to_vec();
    }
    let mut skeleton = args.skeleton.skeleton(&space).map_err(|e| usage(e.to_string()))?;
    let is_chosen = space.at(0).is_ok_and(|arch| space.resolution(&arch).is_some());
    if args.skeleton.resolution.is_none() && is_chosen {
        // All networks see the same images, even where the space has the resolution as a choice.
        skeleton.resolution = 224;
    }
    let memory_limit = lanner_evaluate::memory_limit(args.memory);
    let count = args.batch as usize;
    let (skeleton, batch) = match args.dataset.as_str() {
        "random" => {
            // The skeleton finds values out of range before memory for images is allocated.
            let arch = space.at(0)?;
            let network = skeleton.build(&arch, View::Raw).map_err(|e| usage(e.to_string()))?;
            let values = network.input().len();
            let needed = (count as u64).saturating_mul(values as u64).saturating_mul(4);
            if let Some(limit) = memory_limit.filter(|limit| needed > *limit) {
                let (needed, limit) = (needed as f64 / 1048576.0, limit >> 20);
                return Err(usage(format!(
                    "--batch {count}: its images need {needed:.1} MiB of memory, over the limit of {limit} MiB"
                )));
            }
            let batch = Batch::random(count, values, skeleton.classes, args.seed);
            (skeleton, batch)
        }
        name => {
            if args.skeleton.resolution.or(args.skeleton.classes).is_some() {
                return Err(usage("--resolution and --classes are for --dataset random"));
            }
            let images = images::by_name(name)?.train;
            let batch =
                Batch::of_images(&images, count, args.seed).map_err(|e| usage(format!("--{e}")))?;
            let (resolution, classes) = (images.height, images.classes.len());
            (Skeleton { resolution, classes, ..skeleton }, batch)
        }
    };
    let dataset = match args.dataset.split_once(':') {
        // The path of a data set is no setting: only its kind goes into the table's header.
        Some((kind, _)) => format!("{kind}, seed {}", args.seed),
        None => format!("{}, seed {}", args.dataset, args.seed),
    };
    let weights = ProxyWeights::of(&space);
    let options = ProxyOptions { seed: args.seed, weights, threads, memory_limit };
    Ok(ProxyCampaign {
        space,
        skeleton,
        pooling_norms: args.pooling_norms,
        proxies,
        batch,
        dataset,
        seeds: args.seeds as usize,
        options,
    })
}
