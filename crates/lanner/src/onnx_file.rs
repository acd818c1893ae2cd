//! ONNX files of the user: reads them, and shows their costs.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use lanner::say;
use lanner_data::write_file;
use lanner_evaluate::measure::{Model, ModelSource};
use lanner_network::{
    Diagram, TensorGraph,
    onnx::{self, ReadOptions, show},
};

use crate::out_file::{self, Kind};
use crate::output::{Row, print_rows, usage};

/// Most boxes of a drawing as SVG: laying out more takes minutes, and nobody sees anything.
const MOST_BOXES: usize = 1500;
/// Protocol Buffers do not allow larger files.
const MOST_BYTES: u64 = 2 << 30;

#[derive(clap::Args, Default)]
pub struct OpenDims {
    /// For ONNX files: the batch where the model leaves it open [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub batch: Option<u64>,
    /// For ONNX files: the size of an open dimension, such as sequence=128
    #[arg(long, value_name = "NAME=SIZE", value_parser = dim)]
    pub dim: Vec<(String, u64)>,
}

/// Reads `NAME=SIZE`.
pub fn dim(text: &str) -> Result<(String, u64), String> {
    let (name, size) = text.rsplit_once('=').ok_or("expected NAME=SIZE, such as sequence=128")?;
    let number = size.parse().ok().filter(|&n: &u64| n > 0);
    Ok((name.into(), number.ok_or_else(|| format!("'{size}', expected a number of 1 or more"))?))
}

impl OpenDims {
    pub fn options(&self) -> ReadOptions {
        ReadOptions { batch: self.batch, dims: self.dim.clone() }
    }

    /// Refuses a name of --dim that no input of these files has.
    pub fn check(&self, files: &[&Path]) -> anyhow::Result<()> {
        for (i, (name, size)) in self.dim.iter().enumerate() {
            if self.dim[..i].iter().any(|(before, _)| before == name) {
                return Err(usage(format!("--dim {name}={size}: {name} is given twice")));
            }
        }
        for (i, (name, size)) in self.dim.iter().enumerate() {
            let options = self.options();
            let has_it = |file: &&Path| match bytes(file) {
                Ok(model) => onnx::read(&model, &options)
                    .map_or(true, |graph| onnx::has_dim(&graph, &model, &options, i)),
                Err(_) => true,
            };
            if !files.is_empty() && !files.iter().any(has_it) {
                let file = files[0].display();
                let which = match files.len() {
                    1 => format!("{file}: no input has"),
                    n => format!("{file} and {} others: no input has", n - 1),
                };
                return Err(usage(format!(
                    "--dim {name}={size}: {which} an open dimension '{name}'"
                )));
            }
        }
        Ok(())
    }
}

/// Whether an argument names an ONNX file rather than an architecture.
pub fn is_onnx(text: &str) -> bool {
    Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
}

/// Reads the bytes of a model.
pub fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(name)?;
    let facts = file.metadata().with_context(name)?;
    if facts.is_dir() {
        return Err(usage(format!("{} is a folder, expected an ONNX file", name())));
    }
    if facts.len() > MOST_BYTES {
        anyhow::bail!("{}: {} bytes, expected at most {MOST_BYTES}", name(), facts.len());
    }
    let mut bytes = Vec::with_capacity(facts.len() as usize + 1);
    file.take(MOST_BYTES).read_to_end(&mut bytes).with_context(name)?;
    Ok(bytes)
}

/// Lists the files of arguments, of which folders stand for the ONNX files in them, in order.
pub fn models(paths: &[PathBuf]) -> anyhow::Result<Vec<Model>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
            let entry = entry?.path();
            if !is_onnx(&entry.to_string_lossy()) {
                continue;
            }
            match entry.is_file() {
                true => inside.push(entry),
                false => say!("note: left out: {} is no file", entry.display()),
            }
        }
        if inside.is_empty() {
            return Err(usage(format!("{}: no file in it ends in .onnx", path.display())));
        }
        inside.sort();
        files.extend(inside);
    }
    let model = |path: PathBuf| {
        let Some(name) = path.to_str().map(String::from) else {
            return Err(usage(format!(
                "{}: its name is not UTF-8, so that no table can hold it: give the file another",
                path.display()
            )));
        };
        if !path.is_file() {
            return Err(usage(format!("{name}: there is no such file")));
        }
        if !is_onnx(&name) {
            let why = "expected a file that ends in .onnx; architectures of a table: --archs";
            return Err(usage(format!("{name}: {why} FILE")));
        }
        Ok(Model { name, source: ModelSource::File(path) })
    };
    files.into_iter().map(model).collect()
}

/// Reads a model as a graph of operations.
pub fn graph(path: &Path, options: &ReadOptions) -> anyhow::Result<TensorGraph> {
    onnx::read(&bytes(path)?, options).with_context(|| path.display().to_string())
}

/// What to show of a file.
pub struct Shown<'a> {
    pub table: bool,
    pub dot: bool,
    pub json: bool,
    pub svg: Option<&'a PathBuf>,
    pub force: bool,
}

/// Shows costs, operations or drawing of a file.
pub fn show_file(path: &Path, options: &ReadOptions, shown: &Shown) -> anyhow::Result<()> {
    if let Some(svg) = shown.svg {
        out_file::check(svg, Kind::Drawing, &[path], shown.force)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    show_graph(&graph(path, options)?, &name, shown)
}

/// Shows costs, operations or drawing of a network over tensors.
pub fn show_graph(graph: &TensorGraph, name: &str, shown: &Shown) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if shown.json {
        return Ok(writeln!(out, "{}", graph.json())?);
    }
    if shown.dot {
        return Ok(out.write_all(Diagram::dot(&[graph.diagram()]).as_bytes())?);
    }
    drop(out);
    if let Some(svg) = shown.svg {
        let diagram = graph.diagram();
        let boxes = diagram.nodes.len();
        if boxes > MOST_BOXES {
            return Err(usage(format!(
                "{boxes} boxes, expected at most {MOST_BOXES}: --dot writes the drawing for Graphviz"
            )));
        }
        return Ok(write_file(svg, Diagram::svg(name, &[diagram]).as_bytes())?);
    }
    if shown.table {
        return operations(graph);
    }
    let cost = graph.cost();
    let million = |n: u64| format!("{:.6}", n as f64 / 1e6);
    let kibibytes = |n: u64| format!("{:.1}", n as f64 / 1024.0);
    let tensors = |of: &[usize]| {
        let one =
            |&t: &usize| format!("{} {}", graph.tensors[t].name, show(&graph.tensors[t].dims));
        of.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let mut facts = vec![
        ("inputs", tensors(&graph.inputs)),
        ("outputs", tensors(&graph.outputs)),
        ("FLOPs (million)", million(cost.flops)),
        ("MACs (million)", million(cost.macs)),
        ("parameters (million)", million(cost.params)),
        ("operations", graph.nodes.len().to_string()),
        ("depth (operations)", cost.depth.to_string()),
        ("peak memory (KiB)", kibibytes(cost.peak_bytes)),
        ("activations (KiB)", kibibytes(cost.activation_bytes)),
        ("weights (KiB)", kibibytes(cost.weight_bytes)),
        ("understood (% of operations)", format!("{:.1}", 100.0 * cost.understood)),
    ];
    if !cost.unknown.is_empty() {
        facts.push(("not known, counted as copies", cost.unknown.join(", ")));
    }
    let row = |(name, value): (&str, String)| Row::new().with("", name).with("value", value);
    print_rows(&facts.into_iter().map(row).collect::<Vec<_>>(), false)
}

fn operations(graph: &TensorGraph) -> anyhow::Result<()> {
    let rows: Vec<Row> = graph
        .nodes
        .iter()
        .map(|node| {
            let first = node.outputs.first().map(|&t| &graph.tensors[t]);
            let bytes: u64 = node.outputs.iter().map(|&t| graph.tensors[t].bytes()).sum();
            Row::new()
                .with("operation", node.name.as_str())
                .with("op", node.describe())
                .with("shape", first.map_or(String::new(), |t| show(&t.dims)))
                .with("flops", node.flops.to_string())
                .with("macs", node.macs.to_string())
                .with("weights", node.weights.to_string())
                .with("output_bytes", bytes.to_string())
        })
        .collect();
    print_rows(&rows, false)
}
