//! The options that select networks of a space: --all, --unique, --sample, --choose, --archs.

use std::path::{Path, PathBuf};

use lanner_data::Table;
use lanner_evaluate::measure;
use lanner_predict::{Pool, candidates_to_measure, distinct, latency::LatencyFeatures};
use lanner_space::{Architecture, Space};

use crate::output::usage;
use lanner::say;

/// The networks that a command works on.
#[derive(clap::Args)]
#[group(multiple = false)]
pub struct Selection {
    /// Every network of the space
    #[arg(long)]
    all: bool,
    /// One network of each group that computes the same
    #[arg(long)]
    unique: bool,
    /// N networks at random
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// The N networks whose latencies tell a predictor the most about all others
    #[arg(long, value_name = "N")]
    choose: Option<usize>,
    /// The networks of a file: one architecture a line, or a .csv or .parquet table
    #[arg(long, value_name = "FILE")]
    archs: Option<PathBuf>,
}

impl Selection {
    /// Returns the file of --archs.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.archs.as_deref().into_iter()
    }

    /// Returns the networks in groups: with --unique, a group holds all that compute the same; else
    /// each network is a group of its own.
    pub fn groups(&self, space: &Space, seed: u64) -> anyhow::Result<Vec<Vec<Architecture>>> {
        let Selection { all, unique, sample, choose, archs } = self;
        if !(*all || *unique) && sample.is_none() && choose.is_none() && archs.is_none() {
            return Err(usage(
                "which networks? give --all, --unique, --sample, --choose or --archs",
            ));
        }
        let whole = *all || *unique;
        let listed = if whole { space.list() } else { Ok(Vec::new()) };
        let listed = listed.map_err(|e| usage(format!("{e} (--sample)")))?;
        let archs: Vec<Architecture> = if *all || *unique {
            listed
        } else if let Some(file) = archs {
            read_archs(file, space)?
        } else if let Some(count) = *choose {
            check_count("--choose", count, space)?;
            let mut generator = lanner_nn::rng(seed, "candidates of a choice");
            let pool =
                Pool::new(space.clone(), candidates_to_measure(space, count, &mut generator));
            let rows: Vec<usize> = (0..pool.len()).collect();
            let chosen = lanner_predict::choose(&LatencyFeatures::new(&pool), &rows, count, seed);
            chosen.into_iter().map(|r| pool.archs[r].clone()).collect()
        } else {
            let count = sample.unwrap_or(0);
            check_count("--sample", count, space)?;
            distinct(space, count, &mut lanner_nn::rng(seed, "sample of networks"))
        };
        Ok(match unique {
            true => measure::equivalent_groups(space, &archs),
            false => archs.into_iter().map(|a| vec![a]).collect(),
        })
    }
}

/// Largest number of networks of a sample; they are held in memory.
const MOST: u128 = 1_000_000;

fn check_count(option: &str, count: usize, space: &Space) -> anyhow::Result<()> {
    let most = space.size().min(MOST);
    match count as u128 > most || count == 0 {
        true => Err(usage(format!("{option} is {count}, expected 1 to {most}"))),
        false => Ok(()),
    }
}

/// Reads a table, and prints what had to be left out, or averaged.
pub fn read_table(file: impl AsRef<Path>, space: &Space) -> anyhow::Result<Table> {
    let (table, report) = Table::read(file, space)?;
    report.notes.iter().for_each(|sentence| say!("note: {sentence}"));
    Ok(table)
}

/// Reads the architectures of a file, each once.
pub fn read_archs(file: &Path, space: &Space) -> anyhow::Result<Vec<Architecture>> {
    let table = file.extension().is_some_and(|e| e == "csv" || e == "parquet");
    let mut archs = Vec::new();
    if table {
        archs = read_table(file, space)?.archs;
    } else {
        let text = lanner_space::text::read(file)
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
