//! `lanner rank` lists the best architectures by a fitted predictor, in a space of any size.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use lanner_data::Table;
use lanner_predict::latency::operations::OPERATIONS;
use lanner_predict::predictor::ranking::{Place, Ranked, Ranking};
use lanner_predict::predictor::{self, Predictor, Target};
use lanner_predict::{Forecast, PredictError};
use lanner_space::{Architecture, Space};

use crate::fit::with_quality;
use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows, progress, usage};
use crate::selection::{read_archs, read_table};
use lanner::say;

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
    #[arg(long, value_name = "N", conflicts_with = "archs", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
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
    /// Replace the file of --out even if it is of another kind
    #[arg(long)]
    force: bool,
    /// The search space: a name or a .toml file [default: the space that the predictor was made for;
    /// only predictors of `lanner fit --predictor operations` take another one]
    #[arg(long)]
    space: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: RankArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        let mut inputs = vec![args.predictor.as_path()];
        inputs.extend(args.archs.as_deref());
        out_file::check(out, Kind::Table, &inputs, args.force)?;
    }
    let predictor = load(&args)?;
    let better = if predictor.target().is_minimised() { "less" } else { "more" };
    say!("lanner: {}: {better} is better", predictor.metric());
    let ranked = ranked(&args, &*predictor)?;
    let bar = progress(0, "ranking");
    let all = args.out.is_some() || args.check;
    let mut tell = |done, wanted| bar.tell(done, wanted);
    let ranking = Ranking::new(&*predictor, &ranked, args.top, all, &mut tell)?;
    bar.clear();
    finish(ranking, &args, &*predictor)
}

/// The architectures to rank.
fn ranked<'a>(args: &RankArgs, predictor: &'a dyn Predictor) -> anyhow::Result<Ranked<'a>> {
    let space = predictor.space();
    if let Some(file) = &args.archs {
        return Ok(Ranked::List(read_archs(file, space)?));
    }
    if let Some(count) = args.sample {
        let sample = Ranked::sample(space, count, args.seed);
        return sample.map_err(|e| usage(format!("--sample: {e}")));
    }
    Ranked::all(predictor).ok_or_else(|| {
        usage(format!(
            "{space} has {} architectures, too many to rank: some of them by --sample N or --archs FILE",
            crate::space::count(space)
        ))
    })
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
        say!(
            "note: {file} was fitted in another space; of {space} it tells an order rather than values"
        );
    }
    Ok(predictor)
}

/// Writes the table and prints the best.
fn finish(ranking: Ranking, args: &RankArgs, predictor: &dyn Predictor) -> anyhow::Result<()> {
    let (space, metric) = (predictor.space(), predictor.metric());
    let measured = predictor.measured();
    if let (true, Some(file), Some(all)) = (args.check, &args.archs, &ranking.all) {
        print_rows(&[check(file, space, (metric, predictor.target()), all, measured)?], args.json)?;
    }
    if let (Some(out), Some((archs, forecast))) = (&args.out, ranking.all) {
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
            Row::new().with("rank", i + 1).with("of", ranking.count).with(metric, place.mean);
        if let Some((low, high)) = place.interval {
            row = row.with("low_90", low).with("high_90", high);
        }
        row.with("measured", measured.contains(&place.arch)).with("arch", space.print(&place.arch))
    };
    let rows: Vec<Row> = ranking.best.iter().enumerate().map(row).collect();
    print_rows(&rows, args.json)
}
/// Makes a row that tells how well predictions agree with a table's metric.
fn check(
    file: &Path,
    space: &Space,
    (metric, target): (&str, Target),
    (archs, forecast): &(Vec<Architecture>, Forecast),
    measured: &[Architecture],
) -> anyhow::Result<Row> {
    let table = read_table(file, space)?;
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
