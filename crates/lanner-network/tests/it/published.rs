//! Compares FLOPs and parameters of the networks of every space with all rows of the tables of
//! NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022) and NASFLAT (Akhauri & Abdelfattah 2024):
//! exactly, after correction for operations that the programs behind those tables count differently.

use std::collections::HashMap;

use lanner_network::{Cost, Network, Op, OpGraph, OpKind, Shape, Skeleton, View};
use lanner_space::{Architecture, Space};

type Row = HashMap<String, String>;

/// Rows of a table by column; empty if the table is absent.
fn table(name: &str) -> Vec<Row> {
    let Some(file) = lanner_testing::published(name) else { return Vec::new() };
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(fields);
    let names = lines.next().unwrap();
    lines.map(|fields| names.iter().cloned().zip(fields).collect()).collect()
}

/// Fields of a line; commas within quotes do not separate.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

/// All numbers in a text such as `[[(0, 1), …`.
fn numbers(text: &str) -> Vec<u8> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

fn skeleton(space: &str) -> Skeleton {
    Skeleton::of(&Space::by_name(space).unwrap()).unwrap()
}

fn network(skeleton: &Skeleton, codes: &[u8]) -> Network {
    skeleton.build(&Architecture::new(codes), View::Raw).unwrap()
}

/// Converts millions with six decimals exactly to units.
fn units(row: &Row, column: &str) -> i64 {
    (row[column].parse::<f64>().unwrap() * 1e6).round() as i64
}

fn flops_and_params(net: &Network) -> (i64, i64) {
    let cost = Cost::of(net);
    (cost.flops as i64, cost.params as i64)
}

/// FLOPs that the mean over the last feature map counts.
fn global_pooling(net: &Network) -> u64 {
    let costs = Cost::of(net).layers;
    net.layers
        .iter()
        .zip(costs)
        .filter(|(l, _)| l.op == Op::GlobalAvgPool)
        .map(|(_, c)| c.flops)
        .sum()
}

/// The rows have 49 bits of the adjacency matrix and 7 operations in NASLib's own numbering. The mean
/// over the image is no module there and counts nothing.
#[test]
fn nasbench101_differs_in_the_global_pooling() {
    let skeleton = skeleton("nasbench101");
    for row in table("nasbench101/accuracy_and_proxies_500.csv") {
        let all = numbers(&row["arch"]);
        let (matrix, ops) = all.split_at(49);
        let ops = ops[1..6].iter().map(|op| [9, 9, 2, 1, 0][usize::from(*op)]);
        let mut codes: Vec<u8> = [7].into_iter().chain(ops).collect();
        codes.extend((0..7).flat_map(|from| &matrix[7 * from + from + 1..7 * from + 7]));
        let net = network(&skeleton, &codes);
        let (flops, params) = flops_and_params(&net);
        let pooling = global_pooling(&net) as i64;
        let expected = (units(&row, "flops"), units(&row, "params"));
        assert_eq!((flops - pooling, params), expected, "{}", row["arch"]);
    }
}

/// NASLib's network has eight cells and 32 channels; its batch norms within cells have neither scale
/// nor shift (one operation a value instead of two), and there is one more behind each pooling.
#[test]
fn nasbench301_differs_in_the_batch_norms_of_cells() {
    let skeleton = Skeleton { channels: 32, cells: 8, ..skeleton("darts") };
    for row in table("nasbench301/accuracy_surrogate_and_proxies.csv") {
        // Pairs of (input, operation); those of a node ascend in codes.
        let mut codes = numbers(&row["arch"]);
        for node in codes.chunks_exact_mut(4).filter(|n| n[..2] > n[2..]) {
            node.rotate_left(2);
        }
        let net = network(&skeleton, &codes).with_pooling_norms();
        let (mut flops, mut params) = flops_and_params(&net);
        for layer in net.layers.iter().filter(|l| l.name.contains(".node")) {
            if let Op::BatchNorm { .. } = layer.op {
                flops -= layer.shape.len() as i64;
                params -= 2 * layer.shape.channels as i64;
            }
        }
        assert_eq!((flops, params), (units(&row, "flops"), units(&row, "params")));
    }
}

/// The table was counted by `flopth` on HW-NAS-Bench's network for CIFAR-100: a ReLU module that is
/// called twice in a block counts once, for its second call, and a pooling counts its inputs. The
/// table has seven digits of the FLOPs.
#[test]
fn fbnet_differs_in_shared_relus_and_pooling() {
    let small = Skeleton { channels: 1504, resolution: 32, classes: 100, ..skeleton("fbnet") };
    for row in table("fbnet/latency_and_proxies.csv") {
        let codes: Vec<u8> = row["ops"].bytes().map(|b| b - b'0').collect();
        let net = network(&small, &codes);
        let cost = Cost::of(&net);
        let mut flops = cost.flops - global_pooling(&net);
        for (layer, cost) in net.layers.iter().zip(&cost.layers) {
            if layer.name.ends_with(".expand.relu") {
                flops -= cost.flops;
            } else if layer.op == Op::GlobalAvgPool {
                flops += net.layers[layer.inputs[0]].shape.len() as u64;
            }
        }
        let published: f64 = row["zcp_flops"].parse().unwrap();
        let last_digit = 10f64.powi(published.log10() as i32 - 6);
        assert!((flops as f64 - published).abs() <= last_digit / 2.0, "{flops} {published}");
        assert_eq!(cost.params as f64, row["zcp_params"].parse::<f64>().unwrap());
    }
}

/// Classification is exact. The puzzle counts one of its nine tiles, with the pooling and the classes
/// of all. The cost of the decoders of other tasks depends on the encoder's output shape.
fn transbench101(kind: &str, of_codes: impl Fn(&[u8]) -> Vec<u8>) {
    let published = skeleton(&format!("transbench101-{kind}"));
    let mut decoders: HashMap<_, (i64, i64)> = HashMap::new();
    for row in table(&format!("transbench101/{kind}_proxies.csv")) {
        let task = row["dataset"].as_str();
        let (resolution, classes) = match task {
            "class_object" => (256, 100),
            "class_scene" => (256, 63),
            "jigsaw" => (64, 1000),
            _ => (256, 1),
        };
        let codes = of_codes(&numbers(&row["arch"]));
        let net = network(&Skeleton { resolution, classes, ..published.clone() }, &codes);
        let (flops, params) = flops_and_params(&net);
        let rest = (units(&row, "flops") - flops, units(&row, "params") - params);
        let shape = net.layers[net.layers.len() - 3].shape;
        let channels = shape.channels as i64;
        let expected = match task {
            "class_object" | "class_scene" => (0, 0),
            "jigsaw" => {
                let window = ((shape.height + 1) * (shape.width + 1)) as i64;
                (8 * channels * (window + 1000), 8 * channels * 1000)
            }
            _ => *decoders.entry((task.to_string(), shape)).or_insert(rest),
        };
        assert_eq!(rest, expected, "{task} {}", row["arch"]);
    }
    assert!(decoders.len() <= 24, "{} shapes of two tasks", decoders.len());
}

#[test]
fn transbench101_micro_is_exact_but_for_decoders() {
    transbench101("micro", <[u8]>::to_vec);
}

#[test]
fn transbench101_macro_is_exact_but_for_decoders() {
    transbench101("macro", |types| types.iter().filter(|t| **t > 0).map(|t| t - 1).collect());
}

/// A random architecture of a space.
fn some(space: &Space) -> Architecture {
    use rand::SeedableRng;
    space.sample(&mut rand_chacha::ChaCha8Rng::seed_from_u64(4))
}

/// All published spaces but transformers.
fn with_networks() -> impl Iterator<Item = Space> {
    Space::ALL.into_iter().filter(|space| space.parameters().is_none())
}

#[test]
fn every_space_has_a_network_of_the_published_size() {
    for space in with_networks() {
        let skeleton = Skeleton::of(&space).unwrap();
        let [raw, pruned] =
            [View::Raw, View::Pruned].map(|v| skeleton.build(&some(&space), v).unwrap());
        assert_eq!(raw.output(), Shape::vector(skeleton.classes), "{space}");
        let (raw, pruned) = (Cost::of(&raw), Cost::of(&pruned));
        assert!(pruned.flops <= raw.flops && pruned.params <= raw.params, "{space}");
        let wide = Skeleton { channels: 0, ..skeleton.clone() };
        let message = wide.build(&some(&space), View::Raw).unwrap_err().to_string();
        assert!(message.starts_with("channels is 0, expected 1 to "), "{message}");
        let deep = Skeleton { cells: 1000, ..skeleton };
        let message = deep.build(&some(&space), View::Raw).unwrap_err().to_string();
        assert!(message.starts_with("cells is 1000, expected "), "{message}");
    }
}

/// By the authors' program, the genotype `DARTS_V2` has 3.349342 M parameters without the auxiliary
/// head.
#[test]
fn darts_has_the_parameters_that_its_authors_count() {
    let darts_v2 = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
         ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), \
         ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), \
         ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
         ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";
    let arch = Space::Darts.parse(darts_v2).unwrap();
    let net = skeleton("darts").build(&arch, View::Raw).unwrap();
    assert_eq!(Cost::of(&net).params, 3_349_342);
}

/// Merged layers keep their cost, arcs go forward, and convolutions take in their norms.
#[test]
fn op_graphs_have_all_costs_and_no_free_norms() {
    for space in with_networks() {
        let net = Skeleton::of(&space).unwrap().build(&some(&space), View::Pruned).unwrap();
        let (graph, cost) = (OpGraph::of(&net), Cost::of(&net));
        assert_eq!(graph.nodes.iter().map(|n| n.flops).sum::<u64>(), cost.flops, "{space}");
        assert_eq!(graph.nodes.iter().map(|n| n.params).sum::<u64>(), cost.params, "{space}");
        assert!(graph.arcs.iter().all(|&(from, to)| from < to), "{space}");
        let fed = |v: usize| graph.arcs.iter().any(|a| a.1 == v);
        assert!((1..graph.nodes.len()).all(fed), "{space}");
        let count = |kind: OpKind| graph.nodes.iter().filter(|n| n.kind == kind).count();
        let convs = net.layers.iter().filter(|l| matches!(l.op, Op::Conv(_))).count();
        assert_eq!(count(OpKind::Conv), convs, "{space}");
        // The other nodes are norms behind sums and concatenations, and activations with many readers.
        let joined = net.layers.len() - graph.nodes.len();
        assert!(count(OpKind::Norm) <= 1 + count(OpKind::Concat), "{space}");
        assert!(joined > convs / 2, "{space}: {joined} of {}", net.layers.len());
        assert!(graph.nodes.iter().all(|n| n.features().iter().all(|f| f.is_finite())), "{space}");
    }
}

/// Three rows of the published tables (NATS-sss-v1_0-50262): multiply-accumulates and parameters on CIFAR-10,
/// then on ImageNet16-120.
#[test]
fn natsbench_size_has_the_published_costs() {
    for (text, [macs, params], [macs16, params16]) in [
        ("8:8:8:8:8", [4_481_114, 11_714], [1_121_336, 12_704]),
        ("8:8:8:16:32", [6_840_650, 49_202], [1_714_040, 52_832]),
        ("8:8:40:32:40", [21_827_994, 144_834], [5_461_816, 149_344]),
    ] {
        let published = skeleton("natsbench-size");
        let small = Skeleton { resolution: 16, classes: 120, ..published.clone() };
        let arch = published.space.parse(text).unwrap();
        for (skeleton, expected) in [(published, [macs, params]), (small, [macs16, params16])] {
            let cost = Cost::of(&skeleton.build(&arch, View::Raw).unwrap());
            assert_eq!([cost.macs, cost.params], expected, "{text}");
        }
    }
}
