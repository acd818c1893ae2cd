//! `lanner train` trains networks, into a table.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use lanner_data::images::{self, Augmentation};
use lanner_evaluate::train::{TrainCampaign, TrainData, TrainOptions, TrainRecipe, TrainSummary};
use lanner_network::{Skeleton, View};
use lanner_space::{Architecture, Space};

use crate::{
    out_file::{self, Kind},
    output::{Row, print_rows, progress, usage},
    selection::Selection,
    stop::on_interrupt,
};

/// Train networks, into a table
#[derive(clap::Args)]
#[command(after_help = "\
Networks are small by default, for small budgets: docs/training.md shows how well such trainings tell \
which network is better at full size. Some training images are kept for validation; val_accuracy is \
that of the best epoch, and the value to choose networks by. test_accuracy is measured with the same \
weights. Accuracies are in %. A training whose loss becomes infinite or NaN has empty values, and the \
column note says so.

As many networks as there are --threads are trained at a time, one thread each. Results are the same \
to the bit for any number of threads. Each network is on disk as soon as it is trained: the same \
command again goes on where it was stopped. A file with other settings is refused.

Data sets: digits, cifar10:PATH, cifar100:PATH, mnist:DIR, fashion-mnist:DIR. Grey images become three \
equal channels. With --resolution, images are reduced to means of blocks.

Examples:
  lanner train --sample 40 --out trained.csv
  lanner train --archs best.txt --epochs 40 --cells 5 --seeds 3 --out again.csv
  lanner train --sample 60 --dataset cifar10:cifar-10-batches-bin \\
    --resolution 16 --out cifar10.csv")]
pub struct TrainArgs {
    #[command(flatten)]
    selection: Selection,
    /// Seed of --sample, of the validation split, of the weights and of the order of images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The table to write, or to go on with where it exists
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The data set to train on
    #[arg(long, value_name = "NAME", default_value = "digits")]
    dataset: String,
    /// The share of the training images kept for validation
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    validation: f64,
    /// Passes over the training images
    #[arg(long, default_value_t = TrainRecipe::default().epochs)]
    epochs: usize,
    /// Images in a training step
    #[arg(long, default_value_t = TrainRecipe::default().batch)]
    batch: usize,
    /// The highest learning rate
    #[arg(long, default_value_t = TrainRecipe::default().learning_rate)]
    lr: f32,
    /// Epochs over which the learning rate rises
    #[arg(long, default_value_t = TrainRecipe::default().warm_up)]
    warm_up: f32,
    /// Weight decay of the optimiser
    #[arg(long, default_value_t = TrainRecipe::default().weight_decay)]
    weight_decay: f32,
    /// Share of a label that is spread over all classes
    #[arg(long, default_value_t = TrainRecipe::default().label_smoothing)]
    label_smoothing: f32,
    /// Flips and crops [default: for colour images]
    #[arg(long, value_enum)]
    augment: Option<Augment>,
    /// Number of trainings of each network over which values are averaged
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// The most memory for all networks in training together, MiB [default: 75 % of what is free]
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// The search space: a name or a .toml file
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// The width that all others follow from [default: as published, 16 for nasbench201]
    #[arg(long)]
    channels: Option<usize>,
    /// Number of cells: in each stage, for darts in all [default: 1, for darts 5]
    #[arg(long)]
    cells: Option<usize>,
    /// Height and width to reduce images to, pixels [default: the size they have]
    #[arg(long)]
    resolution: Option<usize>,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Augment {
    /// Images as they are
    None,
    /// Crops after padding by an eighth
    Crops,
    /// Crops and mirror images
    FlipsAndCrops,
}

pub fn run(args: TrainArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    let threads =
        threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let table = table(&args, space, threads)?;
    let inputs: Vec<&Path> = args.selection.files().collect();
    out_file::check(&args.out, Kind::Measurements, &inputs, false)?;
    let groups = args.selection.groups(&table.space, args.seed)?;
    let archs: Vec<Architecture> = groups.into_iter().map(|mut g| g.swap_remove(0)).collect();
    // Finds wrong options of the skeleton before a file is made.
    table.skeleton.build(&archs[0], View::Pruned).map_err(|e| usage(e.to_string()))?;
    let stopped = on_interrupt();
    let bar = progress(0, "training");
    let start = Instant::now();
    let outcome = table.run(&archs, &args.out, |done, total| {
        bar.tell(done as u64, total as u64);
        if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.clear();
    let TrainSummary { trained, found, diverged, stopped } = outcome?;
    let row = Row::new()
        .with("file", args.out.display().to_string())
        .with("networks", archs.len())
        .with("trained", trained)
        .with("found", found)
        .with("diverged", diverged)
        .with("seconds", start.elapsed().as_secs_f64());
    print_rows(&[row], args.json)?;
    if stopped {
        let (done, all) = (trained + found, archs.len());
        anyhow::bail!("stopped at {done} of {all}; the same command goes on from there");
    }
    Ok(())
}

fn table(args: &TrainArgs, space: Space, threads: usize) -> anyhow::Result<TrainCampaign> {
    let mut set = images::by_name(&args.dataset)?;
    let images::Shape { height, width, .. } = set.train.shape();
    if height != width {
        anyhow::bail!("{}: images of {height}×{width}, expected square ones", set.train.name);
    }
    let mut resolution = height;
    if let Some(smaller) = args.resolution {
        set = set.reduced(smaller, smaller).map_err(|e| usage(format!("--resolution: {e}")))?;
        resolution = smaller;
    }
    let padding = resolution / 8;
    let recipe = TrainRecipe {
        epochs: args.epochs,
        batch: args.batch,
        learning_rate: args.lr,
        warm_up: args.warm_up,
        weight_decay: args.weight_decay,
        label_smoothing: args.label_smoothing,
        augmentation: args.augment.map(|augment| match augment {
            Augment::None => Augmentation::NONE,
            Augment::Crops => Augmentation { flip: false, padding },
            Augment::FlipsAndCrops => Augmentation { flip: true, padding },
        }),
        ..TrainRecipe::default()
    };
    recipe.check().map_err(|e| usage(e.to_string()))?;
    let data = TrainData::new(set, args.validation, args.seed)?;
    let published = Skeleton::trained(&space).map_err(|e| usage(e.to_string()))?;
    let skeleton = Skeleton {
        channels: args.channels.unwrap_or(published.channels),
        cells: args.cells.unwrap_or(space.few_cells().trained.min(published.cells)),
        resolution,
        classes: data.classes().len(),
        ..published
    };
    // The path of a data set is no setting: only its kind goes into the table's header.
    let name = args.dataset.split_once(':').map_or(args.dataset.as_str(), |(kind, _)| kind);
    let options = TrainOptions {
        seed: args.seed,
        threads,
        memory_limit: lanner_evaluate::memory_limit(args.memory),
    };
    Ok(TrainCampaign {
        space,
        skeleton,
        data,
        dataset: name.to_string(),
        recipe,
        seeds: args.seeds as usize,
        options,
    })
}
