//! `lanner latency` predicts the latency of ONNX files on a device with a profile.

use std::path::{Path, PathBuf};

use lanner_evaluate::measure::ModelSource;
use lanner_network::TensorGraph;
use lanner_predict::PredictError;
use lanner_predict::latency::any_network::{AnyLatency, Counted};

use crate::onnx_file::{self, OpenDims};
use crate::output::{Row, print_rows, usage};

/// Predict the latency of any ONNX files on a device, from its profile
#[derive(clap::Args)]
#[command(after_help = "\
The predictor is one that lanner profile wrote. Latencies are medians with 90 % intervals, in \
milliseconds. `unknown` names operators that Lanner does not know, which count as copies; of several \
files, one that cannot be read has a `note`, and so has a network of operations, or with numbers (8-bit \
integers, 16-bit floats), that the predictor has no measurements of.

Examples:
  lanner latency model.onnx --predictor cpu.lanner
  lanner latency nets/ --predictor cpu.lanner --json")]
pub struct LatencyArgs {
    /// ONNX files, or folders of them
    #[arg(required = true, value_name = "FILE.onnx|DIR")]
    models: Vec<PathBuf>,
    /// The profile of the device
    #[arg(long, value_name = "FILE")]
    predictor: PathBuf,
    #[command(flatten)]
    open: OpenDims,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

/// Says why a file is no profile. The table of a profile's measurements has its name, with `.csv` behind it.
fn no_predictor(file: &Path, error: &PredictError) -> anyhow::Error {
    let profile = file.with_extension("");
    usage(match file.extension().is_some_and(|e| e == "csv") && profile.is_file() {
        true => format!(
            "{} is a table of measurements; the predictor beside it is {}",
            file.display(),
            profile.display()
        ),
        false => format!("{error}; lanner profile writes predictors of ONNX files"),
    })
}

pub fn run(args: LatencyArgs) -> anyhow::Result<()> {
    let predictor =
        AnyLatency::load(&args.predictor).map_err(|e| no_predictor(&args.predictor, &e))?;
    let models = onnx_file::models(&args.models)?;
    let files: Vec<&Path> = models.iter().map(|model| Path::new(&model.name)).collect();
    args.open.check(&files)?;
    let mut rows = Vec::with_capacity(models.len());
    let mut left_out = 0;
    for model in &models {
        let ModelSource::File(path) = &model.source else { continue };
        let row = Row::new().with("network", model.name.as_str());
        rows.push(match onnx_file::graph(path, &args.open.options()) {
            Ok(graph) => predicted(&predictor, &graph, row),
            // One damaged file of a folder does not hide the others.
            Err(why) if models.len() > 1 => {
                left_out += 1;
                row.with("note", format!("left out: {}", why.root_cause()))
            }
            Err(why) => return Err(why),
        });
    }
    print_rows(&rows, args.json)?;
    match left_out == rows.len() {
        true => anyhow::bail!("none of {left_out} files can be read"),
        false => Ok(()),
    }
}

fn predicted(predictor: &AnyLatency, graph: &TensorGraph, row: Row) -> Row {
    let counted = Counted::of(graph);
    let forecast = predictor.predict(std::slice::from_ref(&counted));
    let cost = graph.cost();
    let row = row
        .with(predictor.metric(), forecast.mean[0])
        .with("low", forecast.low[0])
        .with("high", forecast.high[0])
        .with("macs", cost.macs);
    let row = match cost.unknown.is_empty() {
        true => row,
        false => row.with("unknown", cost.unknown.join(", ")),
    };
    match predictor.doubt(&counted) {
        None => row,
        Some(doubt) => row
            .with("note", format!("{doubt}; measure some such networks for lanner profile --with")),
    }
}
