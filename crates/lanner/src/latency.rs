//! `lanner latency` predicts the latency of ONNX files on a device with a profile.

use std::path::{Path, PathBuf};

use lanner_evaluate::measure::ModelSource;
use lanner_predict::latency::any_network::{AnyLatency, Counted};

use crate::onnx_file::{self, OpenDims};
use crate::output::{Row, print_rows, usage};

/// Predict the latency of any ONNX files on a device, from its profile
#[derive(clap::Args)]
#[command(after_help = "\
The predictor is one that lanner profile wrote. Latencies are medians with 90 % intervals, in \
milliseconds. `unknown` names operators that Lanner does not know, which count as copies.

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

pub fn run(args: LatencyArgs) -> anyhow::Result<()> {
    let predictor = AnyLatency::load(&args.predictor)
        .map_err(|e| usage(format!("{e}; lanner profile writes predictors of ONNX files")))?;
    let (mut counted, mut rows) = (Vec::new(), Vec::new());
    let models = onnx_file::models(&args.models)?;
    let files: Vec<&Path> = models.iter().map(|model| Path::new(&model.name)).collect();
    args.open.check(&files)?;
    for model in models {
        let ModelSource::File(path) = &model.source else { continue };
        let graph = onnx_file::graph(path, &args.open.options())?;
        counted.push(Counted::of(&graph));
        rows.push((model.name, graph.cost()));
    }
    let forecast = predictor.predict(&counted);
    let rows: Vec<Row> = rows
        .into_iter()
        .enumerate()
        .map(|(i, (name, cost))| {
            let row = Row::new()
                .with("network", name)
                .with(predictor.metric(), forecast.mean[i])
                .with("low", forecast.low[i])
                .with("high", forecast.high[i])
                .with("macs", cost.macs);
            match cost.unknown.is_empty() {
                true => row,
                false => row.with("unknown", cost.unknown.join(", ")),
            }
        })
        .collect();
    print_rows(&rows, args.json)
}
