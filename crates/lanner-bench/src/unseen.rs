//! Latencies of networks of a family that was never measured, and of one with a few measurements.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use lanner::output::{Row, print_rows, usage};
use lanner_data::read_network_latencies;
use lanner_network::onnx::{self, ReadOptions};
use lanner_network::{TensorGraph, TensorOp};
use lanner_predict::latency::any_network::{self, AnyLatency, Counted, Origin, Sample};
use lanner_predict::metrics;
use lanner_predict::regress::linalg::Mat;
use lanner_predict::regress::trees::{ExtraTrees, TreeOptions};

/// Options of the bench.
#[derive(clap::Args)]
#[command(after_help = "\
The table has the column network and a column of latencies; a network's family is its name without the number \
behind the last hyphen, and its graph FOLDER/NAME.onnx, for which weights are not needed. Ratios are \
predicted / measured. A profile may be of another day, when the machine was slower or faster by a factor: it is \
made as fast as the families that are known.

Example:
  lanner-bench unseen --graphs graphs --table latbench/families.csv --column ort_1_ms \\
    --profile latbench/profile.csv")]
pub struct UnseenArgs {
    /// Folder of the networks' ONNX files
    #[arg(long, value_name = "DIR")]
    graphs: PathBuf,
    /// Table of latencies
    #[arg(long, value_name = "FILE")]
    table: PathBuf,
    /// Column of the table with the latencies, ms
    #[arg(long, default_value = "latency_ms")]
    column: String,
    /// Table of a profile of the device, by lanner profile --measurements
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Number of measured networks of the family in the second setting
    #[arg(long, default_value_t = 10)]
    measured: usize,
    /// Print JSON: {"rows": [...]}
    #[arg(long)]
    json: bool,
}

struct Network {
    family: String,
    latency: f64,
    counted: Counted,
    features: Vec<f64>,
    flops: f64,
}

/// Latency of a network, its prediction, and the bounds of the interval.
type Checked = (f64, f64, f64, f64);

pub fn run(args: UnseenArgs) -> anyhow::Result<()> {
    let mut networks = Vec::new();
    for row in read_network_latencies(&args.table, &args.column)? {
        let path = args.graphs.join(format!("{}.onnx", row.network));
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let graph = onnx::read(&bytes, &ReadOptions::default())
            .with_context(|| path.display().to_string())?;
        let family = row.network.rsplit_once('-').map_or(row.network.as_str(), |n| n.0);
        networks.push(Network {
            family: family.into(),
            latency: row.latency_ms,
            counted: Counted::of(&graph),
            features: features(&graph),
            flops: graph.cost().products as f64,
        });
    }
    let profile = match &args.profile {
        Some(path) => read_network_latencies(path, "latency_ms")?
            .into_iter()
            .map(|row| {
                let number = row.network.strip_prefix("probe-").and_then(|n| n.parse().ok());
                let Some(number) = number else {
                    return Err(usage(format!(
                        "{}: '{}' is no probe",
                        path.display(),
                        row.network
                    )));
                };
                let graph = onnx::read(&onnx::probe(number), &ReadOptions::default())?;
                Ok(Sample {
                    network: Counted::of(&graph),
                    latency: row.latency_ms,
                    origin: Origin::Probe,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, network) in networks.iter().enumerate() {
        families.entry(&network.family).or_default().push(i);
    }
    let numbers: BTreeMap<&str, u32> = families.keys().copied().zip(0..).collect();
    let levels = levels(&profile, &networks, &families)?;
    let mut rows = Vec::new();
    let mut all: BTreeMap<(&str, &str), Vec<Checked>> = BTreeMap::new();
    for (&family, members) in &families {
        let of = |i: usize, origin: Origin| Sample {
            network: networks[i].counted.clone(),
            latency: networks[i].latency,
            origin,
        };
        let level = median(levels.iter().filter(|l| *l.0 != family).map(|l| *l.1).collect());
        let others: Vec<usize> = (0..networks.len()).filter(|i| !members.contains(i)).collect();
        let known = &members[..args.measured.min(members.len() / 2)];
        let rest = &members[known.len()..];
        let half: Vec<usize> = members.iter().copied().step_by(2).collect();
        let other_half: Vec<usize> = members.iter().copied().skip(1).step_by(2).collect();
        let no: &[usize] = &[];
        for (setting, own, test) in
            [("unseen", no, members.as_slice()), ("few", known, rest), ("half", &half, &other_half)]
        {
            // In the third setting, half of each other family too.
            let others: Vec<usize> = match setting {
                "half" => families
                    .iter()
                    .filter(|f| *f.0 != family)
                    .flat_map(|f| f.1.iter().copied().step_by(2))
                    .collect(),
                _ => others.clone(),
            };
            let truth: Vec<f64> = test.iter().map(|&i| networks[i].latency).collect();
            let mut samples: Vec<Sample> = (others.iter())
                .map(|&i| of(i, Origin::Family(numbers[networks[i].family.as_str()])))
                .collect();
            let levelled = |s: &Sample| Sample { latency: level * s.latency, ..s.clone() };
            samples.extend(profile.iter().map(levelled));
            samples.extend(own.iter().map(|&i| of(i, Origin::Own)));
            let fitted = AnyLatency::fit(&samples, "latency_ms")?;
            let asked: Vec<Counted> = test.iter().map(|&i| networks[i].counted.clone()).collect();
            let forecast = fitted.predict(&asked);
            let sums = fitted.sums_of(&asked);
            let train: Vec<usize> = others.iter().chain(own).copied().collect();
            let per_flop = train.iter().map(|&i| networks[i].latency / networks[i].flops);
            let factor = median(per_flop.collect());
            let flops: Vec<f64> = test.iter().map(|&i| factor * networks[i].flops).collect();
            let width = networks[0].features.len();
            let x =
                |of: &[usize]| Mat::from_fn(of.len(), width, |r, c| networks[of[r]].features[c]);
            let y: Vec<f64> = train.iter().map(|&i| networks[i].latency.ln()).collect();
            let trees = ExtraTrees::fit(&x(&train), &y, &TreeOptions::default(), 0)?;
            let trees: Vec<f64> = trees.predict(&x(test)).into_iter().map(f64::exp).collect();
            let none = vec![f64::NAN; truth.len()];
            for (method, mean, low, high) in [
                ("any-network", &forecast.mean, &forecast.low, &forecast.high),
                ("sums", &sums, &none, &none),
                ("trees", &trees, &none, &none),
                ("flops", &flops, &none, &none),
            ] {
                let cells = all.entry((setting, method)).or_default();
                let values = (0..truth.len()).map(|i| (truth[i], mean[i], low[i], high[i]));
                let own: Vec<_> = values.collect();
                cells.extend(&own);
                rows.push(summary(setting, method, family, &own));
            }
        }
    }
    rows.retain(|row| row.text("method") == Some("any-network"));
    for ((setting, method), cells) in &all {
        rows.push(summary(setting, method, "all", cells));
    }
    print_rows(&rows, args.json)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(1.0)
}

/// Median of what networks of each family take, over what the profile alone says.
fn levels<'a>(
    profile: &[Sample],
    networks: &[Network],
    families: &BTreeMap<&'a str, Vec<usize>>,
) -> anyhow::Result<BTreeMap<&'a str, f64>> {
    if profile.is_empty() {
        return Ok(BTreeMap::new());
    }
    let counted: Vec<Counted> = networks.iter().map(|n| n.counted.clone()).collect();
    let times = AnyLatency::fit(profile, "latency_ms")?.sums_of(&counted);
    let ratio = |&i: &usize| networks[i].latency / times[i];
    Ok(families.iter().map(|(name, of)| (*name, median(of.iter().map(ratio).collect()))).collect())
}

fn summary(setting: &str, method: &str, family: &str, cells: &[(f64, f64, f64, f64)]) -> Row {
    let column = |of: fn(&(f64, f64, f64, f64)) -> f64| cells.iter().map(of).collect::<Vec<f64>>();
    let (truth, mean) = (column(|c| c.0), column(|c| c.1));
    let (low, high) = (column(|c| c.2), column(|c| c.3));
    let mape = cells.iter().map(|c| (c.1 / c.0 - 1.0).abs()).sum::<f64>() / cells.len() as f64;
    let mut ratios: Vec<f64> = cells.iter().map(|c| c.1 / c.0).collect();
    ratios.sort_by(f64::total_cmp);
    let mut row = Row::new()
        .with("setting", setting)
        .with("method", method)
        .with("family", family)
        .with("networks", cells.len())
        .with("mape", 100.0 * mape)
        .with("within_10", metrics::within_of_truth(&mean, &truth, 10.0))
        .with("spearman", metrics::spearman(&mean, &truth))
        .with("median_ratio", ratios[ratios.len() / 2]);
    if low.iter().all(|v| v.is_finite()) {
        row = row
            .with("coverage", metrics::coverage(&low, &high, &truth))
            .with("width", metrics::relative_width(&low, &high, &mean));
    }
    row
}

/// Features of a whole graph, for trees: logarithms of products, values and number by kind.
fn features(graph: &TensorGraph) -> Vec<f64> {
    let mut sums = vec![0.0; 4 * TensorOp::ALL.len() + 4];
    for node in &graph.nodes {
        let kind = TensorOp::ALL.iter().position(|k| *k == node.kind).unwrap_or(0);
        let values: u64 = node.outputs.iter().map(|&t| graph.tensors[t].values()).sum();
        let parts = [node.products as f64, values as f64, node.weights as f64, 1.0];
        for (i, part) in parts.into_iter().enumerate() {
            sums[4 * kind + i] += part;
            sums[4 * TensorOp::ALL.len() + i] += part;
        }
    }
    sums.into_iter().map(f64::ln_1p).collect()
}

/// Prints the order of probes, for lanner-predict/src/latency/any_network/probes.txt.
pub fn probes() -> anyhow::Result<()> {
    for line in any_network::order_probes(2500)?.chunks(20) {
        let numbers: Vec<String> = line.iter().map(u64::to_string).collect();
        println!("{}", numbers.join(" "));
    }
    Ok(())
}
