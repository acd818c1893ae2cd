//! `lanner network` shows the network of an architecture: costs, layers, drawings, ONNX model.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use lanner_data::write_file;
use lanner_network::{
    Cost, Diagram, Init, Network, OnnxOptions, Precision, Skeleton, View, Weights, json, onnx,
};
use lanner_space::{Architecture, Space};

use crate::onnx_file::{self, OpenDims, Shown};
use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows, usage};
use crate::skeleton::SkeletonArgs;

#[derive(clap::Args)]
#[command(after_help = "\
Without an option for the output, the costs of the network are shown twice: as written, the way \
published tables count it, and pruned, without its dead operations, the way a runtime should get it. \
FLOPs are counted as in the published tables (multiply-accumulates of convolutions, and batch norm, \
ReLU and pooling as well); MACs are those of convolutions and linear layers alone. Memory is for one \
image of 32-bit floats.

All other outputs show the pruned network, or with --as-written the network as written. A cell with \
no path from input to output yields zeros, and is written so.

Of an ONNX file, such as one that PyTorch exported, shapes are inferred; its weights are not read. \
Operators that Lanner does not know are named, and counted as copies.

A transformer's network is shown as an ONNX file is; its FLOPs are those of one input.

Examples:
  lanner network '|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|'
  lanner network 333333 --table
  lanner network 302143 --onnx net.onnx --fold --seed 7
  lanner network 302143 --onnx net-int8.onnx --int8
  lanner network 302143 --svg net.svg --as-written
  lanner network 302143 --resolution 16 --classes 120 --json | jq .cost
  lanner network 302143 --dot | dot -Tpdf -o net.pdf
  lanner network 7818488874147327324245 --space fbnet
  lanner network 7818488874147327324245 --space fbnet \\
    --channels 1504 --resolution 32 --classes 100
  lanner space sample hw-gpt-s -n 1 > gpt.txt
  lanner network \"$(cat gpt.txt)\" --space hw-gpt-s --onnx gpt.onnx
  lanner network model.onnx
  lanner network bert.onnx --dim sequence=128 --table")]
pub struct NetworkArgs {
    /// The architecture, as the search space writes it, or any ONNX file
    #[arg(value_name = "ARCH|FILE.onnx")]
    arch: String,
    #[command(flatten)]
    open: OpenDims,
    #[command(flatten)]
    skeleton: SkeletonArgs,
    /// Keep dead operations, as in the published networks
    #[arg(long)]
    as_written: bool,
    /// Print each layer with its shape and costs
    #[arg(long, group = "output")]
    table: bool,
    /// Print a drawing of cell and network for Graphviz
    #[arg(long, group = "output")]
    dot: bool,
    /// Print layers and costs as JSON
    #[arg(long, group = "output")]
    json: bool,
    /// Write an ONNX model with random weights
    #[arg(long, value_name = "FILE", group = "output")]
    onnx: Option<PathBuf>,
    /// Write a drawing of cell and network
    #[arg(long, value_name = "FILE", group = "output")]
    svg: Option<PathBuf>,
    /// Replace the file of --onnx or --svg even if it is of another kind
    #[arg(long)]
    force: bool,
    /// Merge batch norms into the convolutions before them
    #[arg(long, requires = "onnx")]
    fold: bool,
    /// Run convolutions and linear layers in 8-bit integers, scaling activations at each run; folds
    /// too
    #[arg(long, requires = "onnx")]
    int8: bool,
    /// Seed of the weights
    #[arg(long, default_value_t = 0, requires = "onnx")]
    seed: u64,
}

pub fn run(args: NetworkArgs) -> anyhow::Result<()> {
    if onnx_file::is_onnx(&args.arch) {
        return file(&args);
    }
    if args.open.batch.is_some() || !args.open.dim.is_empty() {
        return Err(usage("--batch and --dim are for ONNX files"));
    }
    let space = Space::by_name(&args.skeleton.space).map_err(|e| usage(e.to_string()))?;
    let arch = space.parse(&args.arch).map_err(|e| usage(e.to_string()))?;
    let skeleton = args.skeleton.skeleton(&space).map_err(|e| usage(e.to_string()))?;
    if skeleton.is_transformer() {
        return transformer(&args, &skeleton, &arch);
    }
    let view = if args.as_written { View::Raw } else { View::Pruned };
    let build = |view| args.skeleton.build(&space, &arch, view).map_err(|e| usage(e.to_string()));
    let network = build(view)?;
    let cost = Cost::of(&network);
    if args.table {
        return print_layers(&network, &cost);
    }
    if args.json {
        let mut out = std::io::stdout().lock();
        return Ok(writeln!(out, "{}", json(&network, &cost))?);
    }
    let drawings = || -> anyhow::Result<[Diagram; 2]> {
        Ok([Diagram::cell(&space, &arch, view)?, Diagram::blocks(&network, &cost)])
    };
    if args.dot {
        let mut out = std::io::stdout().lock();
        return Ok(out.write_all(Diagram::dot(&drawings()?).as_bytes())?);
    }
    for (file, kind) in [(&args.svg, Kind::Drawing), (&args.onnx, Kind::Onnx)] {
        if let Some(path) = file {
            out_file::check(path, kind, &[&args.skeleton.space], args.force)?;
        }
    }
    if let Some(path) = &args.svg {
        let svg = Diagram::svg(&space.print(&arch), &drawings()?);
        return Ok(write_file(path, svg.as_bytes())?);
    }
    if let Some(path) = &args.onnx {
        onnx::fits(&network)?;
        let weights = Weights::init(&network, Init { seed: args.seed });
        let (network, weights) = match args.fold || args.int8 {
            true => weights.fold(&network)?,
            false => (network, weights),
        };
        let precision = if args.int8 { Precision::Int8 } else { Precision::F32 };
        let options = OnnxOptions { precision, ..OnnxOptions::default() };
        return Ok(write_file(path, &onnx::encode(&network, &weights, options)?)?);
    }
    summary(&build(View::Raw)?, &build(View::Pruned)?)
}

/// Shows or writes the network of a transformer.
fn transformer(args: &NetworkArgs, skeleton: &Skeleton, arch: &Architecture) -> anyhow::Result<()> {
    for (given, option) in
        [(args.fold, "--fold"), (args.int8, "--int8"), (args.as_written, "--as-written")]
    {
        if given {
            return Err(usage(format!(
                "{option} is for networks of convolutions; networks of {} are transformers{}",
                skeleton.space,
                if args.int8 {
                    ": quantise the file of --onnx with onnxruntime.quantization"
                } else {
                    ""
                }
            )));
        }
    }
    let network = skeleton.tensors(arch).map_err(|e| usage(e.to_string()))?;
    for (file, kind) in [(&args.svg, Kind::Drawing), (&args.onnx, Kind::Onnx)] {
        if let Some(path) = file {
            out_file::check(path, kind, &[&args.skeleton.space], args.force)?;
        }
    }
    if let Some(path) = &args.onnx {
        let bytes = network.encode(Init { seed: args.seed }, Some(1));
        return Ok(write_file(path, &bytes.map_err(|e| usage(e.to_string()))?)?);
    }
    let NetworkArgs { table, dot, json, force, .. } = *args;
    let shown = Shown { table, dot, json, svg: args.svg.as_ref(), force };
    onnx_file::show_graph(network.graph(), &skeleton.space.print(arch), &shown)
}

/// Shows an ONNX file.
fn file(args: &NetworkArgs) -> anyhow::Result<()> {
    if args.onnx.is_some() || args.as_written {
        return Err(usage("--onnx and --as-written are for architectures, not for ONNX files"));
    }
    let NetworkArgs { table, dot, json, force, .. } = *args;
    let shown = Shown { table, dot, json, svg: args.svg.as_ref(), force };
    args.open.check(&[Path::new(&args.arch)])?;
    onnx_file::show_file(Path::new(&args.arch), &args.open.options(), &shown)
}

fn summary(raw: &Network, pruned: &Network) -> anyhow::Result<()> {
    let networks = [raw, pruned];
    let costs = networks.map(Cost::of);
    let mut rows = Vec::new();
    let mut fact = |name: &str, values: [String; 2]| {
        let [raw, pruned] = values;
        rows.push(Row::new().with("", name).with("as written", raw).with("pruned", pruned));
    };
    let millions =
        |of: fn(&Cost) -> u64| [0, 1].map(|i| format!("{:.6}", of(&costs[i]) as f64 / 1e6));
    let kibibytes =
        |of: fn(&Cost) -> u64| [0, 1].map(|i| format!("{:.1}", of(&costs[i]) as f64 / 1024.0));
    fact("FLOPs (million)", millions(|c| c.flops));
    fact("MACs (million)", millions(|c| c.macs));
    fact("parameters (million)", millions(|c| c.params));
    fact("FLOPs of the critical path (million)", millions(|c| c.critical_flops));
    fact("layers", networks.map(|n| (n.layers.len() - 1).to_string()));
    fact("depth (layers)", [0, 1].map(|i| costs[i].depth.to_string()));
    fact("peak memory (KiB)", kibibytes(|c| c.peak_bytes));
    fact("activations (KiB)", kibibytes(|c| c.activation_bytes));
    fact("weights (KiB)", kibibytes(|c| 4 * c.params));
    print_rows(&rows, false)
}

fn print_layers(network: &Network, cost: &Cost) -> anyhow::Result<()> {
    let rows: Vec<Row> = network
        .layers
        .iter()
        .zip(&cost.layers)
        .map(|(layer, cost)| {
            Row::new()
                .with("layer", layer.name.as_str())
                .with("op", layer.op.describe())
                .with("shape", layer.shape.to_string())
                .with("flops", cost.flops.to_string())
                .with("macs", cost.macs.to_string())
                .with("params", cost.params.to_string())
                .with("output_bytes", cost.output_bytes.to_string())
        })
        .collect();
    print_rows(&rows, false)
}
