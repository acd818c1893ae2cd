//! Compares `l2_norm`, which shows how weights were drawn, with the published tables of several
//! spaces.

use lanner_network::View;

use super::*;

/// Architectures of a table's first rows, with their `l2_norm`.
fn rows(file: &str, arch: &str, column: &str, task: &str) -> Vec<(String, f64)> {
    let Some(file) = lanner_testing::published(file) else { return Vec::new() };
    let mut table = csv::Reader::from_path(file).unwrap();
    let names = table.headers().unwrap().clone();
    let at = |name: &str| names.iter().position(|n| n == name).unwrap();
    let (arch, value) = (at(arch), at(column));
    let of_task = |r: &csv::StringRecord| task.is_empty() || r[at("dataset")] == *task;
    let records = table.records().map(|r| r.unwrap()).filter(of_task);
    let pairs = records.map(|r| (r[arch].to_string(), r[value].parse().unwrap()));
    pairs.take(8).collect()
}

/// The norm of a layer's weights hardly varies, and shows their distribution.
#[test]
fn norms_of_weights_are_the_published_ones() {
    let micro = "transbench101/micro_proxies.csv";
    let macros = "transbench101/macro_proxies.csv";
    for (space, file, arch, column, task, classes) in [
        ("nasbench101", "nasbench101/accuracy_and_proxies_500.csv", "arch", "l2_norm", "", 10),
        ("darts", "nasbench301/accuracy_surrogate_and_proxies.csv", "arch", "l2_norm", "", 10),
        ("fbnet", "fbnet/latency_and_proxies.csv", "ops", "zcp_l2_norm", "", 100),
        ("transbench101-micro", micro, "arch", "l2_norm", "class_scene", 63),
        ("transbench101-macro", macros, "arch", "l2_norm", "class_scene", 63),
    ] {
        let space = lanner_space::Space::by_name(space).unwrap();
        let mut skeleton = lanner_network::Skeleton::of(&space).unwrap();
        skeleton.classes = classes;
        match space.name() {
            "darts" => (skeleton.channels, skeleton.cells) = (32, 8),
            "fbnet" => (skeleton.channels, skeleton.resolution) = (1504, 32),
            _ => {}
        }
        for (text, expected) in rows(file, arch, column, task) {
            let text = match space.name() {
                "transbench101-micro" => text.chars().filter(char::is_ascii_digit).collect(),
                _ => text,
            };
            let network = skeleton.build(&space.parse(&text).unwrap(), View::Raw).unwrap();
            let params = ProxyWeights::of(&space).fill(&network, 0);
            let found = separate::l2_norm(&network, &params).unwrap();
            let apart = (found / expected - 1.0).abs();
            assert!(apart < 0.015, "{space} {text}: {found} for {expected}");
        }
    }
}

#[test]
fn kernels_by_outputs_have_their_deviation_and_no_biases() {
    use lanner_network::{Builder, Conv, Op, Shape};
    let mut net = Builder::new("two", Shape::new(32, 4, 4)).unwrap();
    let conv = Conv { groups: 4, bias: true, ..Conv::same(64, 3) };
    let conv = net.add("conv", Op::Conv(conv), &[0]).unwrap();
    let pool = net.add("pool", Op::GlobalAvgPool, &[conv]).unwrap();
    net.add("linear", Op::Linear { out_features: 100, bias: true }, &[pool]).unwrap();
    let net = net.finish();
    let deviation = |w: &[f32]| (w.iter().map(|w| w * w).sum::<f32>() / w.len() as f32).sqrt();
    for (linear, expected) in [(Some(0.01), 0.01), (None, (1.0f32 / 64.0 / 3.0).sqrt())] {
        let params = ProxyWeights::FanOut { linear }.fill(&net, 3);
        let (kernel, bias) = params.layer(1);
        let ratio = deviation(kernel) / (2.0f32 / (9.0 * 64.0)).sqrt();
        assert!((ratio - 1.0).abs() < 0.05 && bias.iter().all(|b| *b == 0.0), "{ratio}");
        let (matrix, bias) = params.layer(3);
        let ratio = deviation(matrix) / expected;
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
        assert_eq!(bias.iter().all(|b| *b == 0.0), linear.is_some());
    }
}
