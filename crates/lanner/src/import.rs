//! `lanner import` turns published benchmark files into a table.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};
use lanner_data::import::{Format, Imported, read_where};
use lanner_space::Space;

use crate::out_file::{self, Kind};
use crate::output::{progress, usage};
use lanner::say;

/// Turn the files of a published benchmark into one table
///
/// Several files of one format become the columns of one table, joined on the architecture.
#[derive(Args)]
#[command(after_help = "Formats:
  hat          HAT's wmt14ende_<device>_all.csv, with --space hat-averages
  help         HELP's nasbench201_<device>_<batch>.pt, in milliseconds; the
               index file nasbench201_str_arch2idx.pt may be given too. With
               --space fbnet: fbnet_<device>.pt, and fbnet_metainfo.pt, which
               has the architectures
  hwgpt        HW-GPT-Bench as a CSV with the columns embed_dim, n_layer,
               heads, mlp_ratios, bias, with --space hw-gpt-s, -m or -l
  hwnasbench   HW-NAS-Bench-v1_0.pickle: latencies (ms) and energies (mJ) of
               NAS-Bench-201 on three data sets, as cifar10_edgegpu_ms;
               --rows dataset=cifar10 takes one, as edgegpu_ms
  latbench     LatBench's <device>.pickle, in seconds; disconnected networks
               have no latency
  nasbench101  nasbench_only108.tfrecord or nasbench_full.tfrecord: means over
               the trainings of a cell, and val_108_1seed, the validation
               accuracy of its first training
  nasbench201  NAS-Bench-201-v1_1-096897.pth, or its folder with one .pth for
               each architecture
  nasbench301  the folder of results_*.json, or the zip of it: means over the
               trainings of an architecture with the most frequent setting
  natsbench    the folder NATS-tss-v1_0-3ffb9-simple, or the one .pickle.pbz2;
               with --space natsbench-size the folder NATS-sss-v1_0-50262-simple
  suite-zero   NAS-Bench-Suite-Zero's zc_<space>.json, its trainings on svhn,
               scifar100 and ninapro (9x/<space>/<data set>/test.json), or a
               CSV of either: accuracies and proxies, as jigsaw_nwot;
               --rows dataset=jigsaw takes one data set, as nwot
  vitbench     ViT-Bench-101 as a CSV with the columns set, dim, depth,
               mlp_ratio, heads, with --space autoformer-tiny or pit;
               --rows dataset=SET takes one set
  csv          tables with a column arch, arch_str, architecture, ops,
               genotype, idx or index. Where an architecture has a row for
               each data set, --rows picks one data set

Latencies become milliseconds. A column is named after its file, as in titan_rtx_256_ms. Pickles are \
only read, never run: one that names an unknown Python global is refused.

Examples:
  lanner import help nasbench201_pixel3.pt --out latency.csv
  lanner import help fbnet_raspi4.pt fbnet_metainfo.pt \\
    --space fbnet --out fbnet.csv
  lanner import latbench *.pickle --out latbench.csv
  lanner import nasbench101 nasbench_only108.tfrecord --out nasbench101.csv
  lanner import nasbench301 nb_301_v13 --out nasbench301.csv
  lanner import natsbench NATS-tss-v1_0-3ffb9-simple --out accuracy.csv
  lanner import natsbench NATS-sss-v1_0-50262-simple \\
    --space natsbench-size --out size.csv
  lanner import hwnasbench HW-NAS-Bench-v1_0.pickle \\
    --rows dataset=cifar10 --out devices.csv
  lanner import suite-zero zc_transbench101_micro.json \\
    --space transbench101-micro --out proxies.csv
  lanner import hwgpt gpt_s.csv --space hw-gpt-s --out gpt.csv
  lanner import csv latency.csv accuracy.csv --out all.csv
  lanner import csv micro_proxies.csv --rows dataset=jigsaw \\
    --space transbench101-micro --out jigsaw.csv")]
pub struct ImportArgs {
    /// The format of the files
    #[arg(value_parser = PossibleValuesParser::new(Format::ALL.map(|(name, _)| name)))]
    format: String,
    /// The files, or for nasbench201, nasbench301 and natsbench a folder
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The table to write: .csv, or .parquet in a build with that feature
    #[arg(long, value_name = "TABLE")]
    out: PathBuf,
    /// The search space of the architectures [default: nasbench101 for its own format, darts for
    /// nasbench301, hat-averages for hat, hw-gpt-s for hwgpt, autoformer-tiny for vitbench, else nasbench201]
    #[arg(long)]
    space: Option<String>,
    /// Only the rows with TEXT in the column COLUMN; for hwnasbench, suite-zero and vitbench, which
    /// have several data sets, dataset=NAME
    #[arg(long, value_name = "COLUMN=TEXT")]
    rows: Option<String>,
    /// Replace the table if it exists
    #[arg(long)]
    force: bool,
}

pub fn run(args: ImportArgs) -> anyhow::Result<()> {
    let format: Format = args.format.parse()?;
    let own = match format {
        Format::NasBench101 => "nasbench101",
        Format::NasBench301 => "darts",
        Format::Hat => "hat-averages",
        Format::HwGpt => "hw-gpt-s",
        Format::VitBench => "autoformer-tiny",
        _ => "nasbench201",
    };
    let space = Space::by_name(args.space.as_deref().unwrap_or(own));
    let space = space.map_err(|e| usage(e.to_string()))?;
    // Refuses before minutes of reading, not after them.
    out_file::check(&args.out, Kind::Table, &args.files, true)?;
    if args.out.exists() && !args.force {
        return Err(usage(format!("{} exists; --force replaces it", args.out.display())));
    }
    let only = args.rows.as_deref().map(|rows| column_and_text(rows, format, &args.format));
    let only = only.transpose()?;
    let bar = progress(0, "reading");
    let tell = |done, total| bar.tell(done, total);
    let result = read_where(format, &args.files, &space, only, &tell);
    bar.clear();
    let Imported { table, notes } = result?;
    table.write(&args.out)?;
    for note in notes {
        say!("note: {note}");
    }
    say!(
        "{}: {} architectures of {space}, {} columns",
        args.out.display(),
        table.len(),
        table.names.len()
    );
    Ok(())
}

/// Splits --rows into column and text.
fn column_and_text<'a>(
    rows: &'a str,
    format: Format,
    name: &str,
) -> anyhow::Result<(&'a str, &'a str)> {
    if format != Format::Csv && !format.has_data_sets() {
        return Err(usage(format!(
            "--rows is for csv, hwnasbench, suite-zero and vitbench, not for {name}"
        )));
    }
    rows.split_once('=').ok_or_else(|| usage(format!("--rows '{rows}': expected COLUMN=TEXT")))
}
