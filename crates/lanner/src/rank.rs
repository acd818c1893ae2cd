//! `lanner rank` lists the best architectures by a fitted predictor, in a space of any size.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use lanner_data::Table;
use lanner_predict::latency::operations::OPERATIONS;
use lanner_predict::predictor::{self, Predictor, Target};
use lanner_predict::{Forecast, PredictError};
use lanner_space::{Architecture, Shuffle, Space};
use rayon::prelude::*;

use crate::fit::with_quality;
use crate::output::{Row, print_rows, progress, usage};
use crate::selection::read_archs;

/// Rank architectures by a fitted predictor: the whole space, or some of it
#[derive(clap::Args)]
#[command(after_help = "\
The best come first: the fastest for a latency, the most accurate for an accuracy. Of a space of more \
than ten million architectures, only a part can be ranked, by --sample or --archs. Architectures are \
predicted in blocks: memory holds only the best ones, and the table of --out.

Examples:
  lanner rank pixel.lanner --top 10
  lanner rank accuracy.lanner --out all.csv
  lanner rank cells.lanner --out all-423624.csv
  lanner rank darts.lanner --sample 10000000 --top 100
  lanner rank board.lanner --archs candidates.txt
  lanner rank board.lanner --archs measured.csv --check
  lanner rank operations.lanner --space fbnet --sample 100000")]
pub struct RankArgs {
    /// A file that `lanner fit --out` or `lanner adapt --out` wrote
    predictor: PathBuf,
    /// Number of architectures to print
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// Rank N architectures at random, each once, instead of the whole space
    #[arg(long, value_name = "N", conflicts_with = "archs", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
    /// Rank the architectures of a file: one a line, or a .csv or .parquet table
    #[arg(long, value_name = "FILE")]
    archs: Option<PathBuf>,
    /// Print how well the predictions agree with the metric in the table of --archs instead, on the
    /// architectures that it was not fitted to
    #[arg(long, requires = "archs")]
    check: bool,
    /// Seed of --sample
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the predictions of all ranked architectures to this table
    #[arg(long, value_name = "TABLE")]
    out: Option<PathBuf>,
    /// The search space: a name or a .toml file [default: the space that the predictor was made for;
    /// only predictors of `lanner fit --predictor operations` take another one]
    #[arg(long)]
    space: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Largest size of spaces that are ranked whole: architectures pass one by one.
const RANKED: u128 = 10_000_000;
/// Smallest latency of a prediction, ms.
const LEAST_MS: f64 = 1e-6;

pub fn run(args: RankArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        Table::check_writable(out)?;
    }
    let predictor = load(&args)?;
    let source = Source::new(&args, &*predictor)?;
    let mut ranking = Ranking::new(&args, predictor.target());
    source.each_block(&*predictor, |archs, forecast| ranking.add(archs, forecast))?;
    ranking.finish(&args, &*predictor)
}

/// Reads the predictor, for --space if that is given.
fn load(args: &RankArgs) -> anyhow::Result<Box<dyn Predictor>> {
    let space = args.space.as_deref().map(Space::by_name).transpose();
    let space = space.map_err(|e| usage(e.to_string()))?;
    let loaded = match &space {
        None => predictor::load(&args.predictor),
        Some(space) => predictor::load_for(&args.predictor, space),
    };
    let predictor = loaded.map_err(|e| match e {
        PredictError::UnknownSpace { path, made_for } => usage(format!(
            "{} is for the space '{made_for}', whose file it lacks: --space FILE.toml",
            path.display()
        )),
        PredictError::OtherSpace { path, made_for, wanted } => usage(format!(
            "{} is for the space '{made_for}', and --space is '{wanted}': leave it out, or fit another \
             predictor; those of `lanner fit --predictor {OPERATIONS}` rank any space",
            path.display()
        )),
        other => other.into(),
    })?;
    if space.is_some() && predictor.measured().is_empty() {
        let (file, space) = (args.predictor.display(), predictor.space());
        eprintln!(
            "note: {file} was fitted in another space; of {space} it tells an order rather than values"
        );
    }
    Ok(predictor)
}

/// Source of the architectures to rank.
enum Source<'a> {
    Whole(&'a Space),
    /// A number of random ones.
    Sample(Shuffle<'a>, u64),
    List(Vec<Architecture>),
}

impl Source<'_> {
    fn new<'a>(args: &RankArgs, predictor: &'a dyn Predictor) -> anyhow::Result<Source<'a>> {
        let space = predictor.space();
        if let Some(file) = &args.archs {
            return Ok(Source::List(read_archs(file, space)?));
        }
        if let Some(count) = args.sample {
            let most = space.distinct().max(space.choices().map_or(0, |_| space.size()));
            if u128::from(count) > most {
                return Err(usage(format!("--sample is {count}, expected 1 to {most}")));
            }
            let mut rng = lanner_nn::rng(args.seed, "sample to rank");
            return Ok(Source::Sample(space.shuffle(&mut rng), count));
        }
        if let Some(archs) = predictor.candidates() {
            return Ok(Source::List(archs.to_vec()));
        }
        match space.size() {
            0..=RANKED => Ok(Source::Whole(space)),
            size => Err(usage(format!(
                "{space} has {size} architectures, too many to rank: some of them by --sample N or --archs FILE"
            ))),
        }
    }

    /// Returns the number of places, some of which may be empty.
    fn places(&self) -> u128 {
        match self {
            Source::Whole(space) => space.size(),
            Source::Sample(shuffle, _) => shuffle.len(),
            Source::List(archs) => archs.len() as u128,
        }
    }

    fn wanted(&self) -> u64 {
        match self {
            Source::Sample(_, count) => *count,
            // This is at most ten million, or a list that is in memory.
            _ => self.places() as u64,
        }
    }

    fn at(&self, place: u128) -> Option<Architecture> {
        match self {
            Source::Whole(space) => space.at(place).ok(),
            Source::Sample(shuffle, _) => shuffle.at(place),
            Source::List(archs) => archs.get(place as usize).cloned(),
        }
    }

    /// Predicts all architectures, and passes each block to `tell` in the order of the places, for any
    /// number of threads.
    fn each_block(
        &self,
        predictor: &dyn Predictor,
        mut tell: impl FnMut(Vec<Architecture>, Forecast),
    ) -> anyhow::Result<()> {
        let wanted = self.wanted();
        let block = predictor.block().min(wanted.max(1) as usize) as u128;
        let wave = 2 * rayon::current_num_threads() as u128;
        let bar = progress(wanted, "ranking");
        let (mut place, mut done) = (0, 0);
        while place < self.places() && done < wanted {
            let starts: Vec<u128> = (0..wave).map(|b| place + b * block).collect();
            let blocks: Vec<(Vec<Architecture>, Forecast)> = starts
                .par_iter()
                .map(|&start| {
                    let places = start.min(self.places())..(start + block).min(self.places());
                    let archs: Vec<Architecture> = places.filter_map(|p| self.at(p)).collect();
                    let forecast = predictor.predict(&archs);
                    (archs, forecast)
                })
                .collect();
            for (mut archs, mut forecast) in blocks {
                let left = (wanted - done) as usize;
                archs.truncate(left);
                for values in [&mut forecast.mean, &mut forecast.low, &mut forecast.high] {
                    values.truncate(left);
                }
                done += archs.len() as u64;
                tell(archs, forecast);
            }
            place += wave * block;
            bar.tell(done, wanted);
        }
        bar.clear();
        anyhow::ensure!(done == wanted, "{done} of {wanted} architectures could be drawn");
        Ok(())
    }
}

/// An architecture among the best.
#[derive(Clone)]
struct Place {
    arch: Architecture,
    mean: f64,
    /// Interval of the prediction, if the predictor has one.
    interval: Option<(f64, f64)>,
}

/// The best architectures so far, and all of them if a table is to be written.
struct Ranking {
    target: Target,
    top: usize,
    /// The best first; of equal ones, the one that came first.
    best: Vec<Place>,
    count: u64,
    /// Architectures and predictions for the table.
    all: Option<(Vec<Architecture>, Forecast)>,
}

impl Ranking {
    fn new(args: &RankArgs, target: Target) -> Ranking {
        let all = (args.out.is_some() || args.check).then(Default::default);
        Ranking { target, top: args.top, best: Vec::new(), count: 0, all }
    }

    fn better(&self, a: f64, b: f64) -> bool {
        match self.target {
            Target::Latency => a.total_cmp(&b).is_lt(),
            Target::Accuracy => a.total_cmp(&b).is_gt(),
        }
    }

    fn add(&mut self, archs: Vec<Architecture>, mut forecast: Forecast) {
        if self.target == Target::Latency {
            // A straight line through latencies can go below zero, but no latency does.
            for values in [&mut forecast.mean, &mut forecast.low, &mut forecast.high] {
                values.iter_mut().for_each(|v| *v = v.max(LEAST_MS));
            }
        }
        self.count += archs.len() as u64;
        for (i, arch) in archs.iter().enumerate() {
            let mean = forecast.mean[i];
            let full = self.best.len() >= self.top;
            if full && self.best.last().is_none_or(|last| !self.better(mean, last.mean)) {
                continue;
            }
            let at = self.best.partition_point(|p| !self.better(mean, p.mean));
            let interval = forecast.low.get(i).copied().zip(forecast.high.get(i).copied());
            self.best.insert(at, Place { arch: arch.clone(), mean, interval });
            self.best.truncate(self.top);
        }
        if let Some((all, values)) = &mut self.all {
            all.extend(archs);
            values.mean.extend(forecast.mean);
            values.low.extend(forecast.low);
            values.high.extend(forecast.high);
        }
    }

    /// Writes the table and prints the best.
    fn finish(self, args: &RankArgs, predictor: &dyn Predictor) -> anyhow::Result<()> {
        let (space, metric) = (predictor.space(), predictor.metric());
        let measured = predictor.measured();
        if let (true, Some(file), Some(all)) = (args.check, &args.archs, &self.all) {
            print_rows(&[check(file, space, (metric, self.target), all, measured)?], args.json)?;
        }
        if let (Some(out), Some((archs, forecast))) = (&args.out, self.all) {
            let mut names = vec![metric.to_owned()];
            let mut columns = vec![forecast.mean];
            if !forecast.low.is_empty() {
                // The unit stays at the end of the name.
                let (stem, unit) = match metric.strip_suffix("_ms") {
                    Some(stem) => (stem, "_ms"),
                    None => (metric, ""),
                };
                names.extend([format!("{stem}_low{unit}"), format!("{stem}_high{unit}")]);
                columns.extend([forecast.low, forecast.high]);
            }
            Table::new(space.clone(), archs, names, columns)?.write(out)?;
        }
        if args.check {
            return Ok(());
        }
        let row = |(i, place): (usize, &Place)| {
            let mut row =
                Row::new().with("rank", i + 1).with("of", self.count).with(metric, place.mean);
            if let Some((low, high)) = place.interval {
                row = row.with("low_90", low).with("high_90", high);
            }
            row.with("measured", measured.contains(&place.arch))
                .with("arch", space.print(&place.arch))
        };
        let rows: Vec<Row> = self.best.iter().enumerate().map(row).collect();
        print_rows(&rows, args.json)
    }
}

/// Makes a row that tells how well predictions agree with a table's metric.
fn check(
    file: &Path,
    space: &Space,
    (metric, target): (&str, Target),
    (archs, forecast): &(Vec<Architecture>, Forecast),
    measured: &[Architecture],
) -> anyhow::Result<Row> {
    let (table, _) = Table::read(file, space)?;
    let column = table.column(metric).map_err(|e| usage(format!("{}: {e}", file.display())))?;
    let known: HashMap<&Architecture, f64> =
        table.archs.iter().zip(column.iter().copied()).collect();
    let measured: HashSet<&Architecture> = measured.iter().collect();
    let mut of = Forecast::default();
    let mut truth = Vec::new();
    for (i, arch) in archs.iter().enumerate().filter(|(_, arch)| !measured.contains(arch)) {
        let Some(value) = known.get(arch).filter(|v| v.is_finite()) else { continue };
        truth.push(*value);
        of.mean.push(forecast.mean[i]);
        of.low.extend(forecast.low.get(i));
        of.high.extend(forecast.high.get(i));
    }
    anyhow::ensure!(
        truth.len() >= 2,
        "{}: {} architectures have a '{metric}' and were not fitted to; a check needs 2",
        file.display(),
        truth.len()
    );
    let row = Row::new().with("metric", metric).with("checked", truth.len());
    Ok(with_quality(row, target, &of, &truth))
}
