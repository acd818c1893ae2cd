//! `lanner adapt` with tables of other spaces and tasks.

use lanner::data::Table;
use lanner::network::{Cost, Skeleton, View};
use lanner::predict::metrics::spearman;
use lanner::space::{Architecture, Space};

use crate::common::{fails, ok, rows};

/// Devices that pay in every space the same for the start of a layer, arithmetic and memory.
const DEVICES: [(&str, [f64; 3]); 4] = [
    ("mine_ms", [1e-3, 4e-9, 2e-8]),
    ("gpu_ms", [2e-2, 1e-10, 1e-9]),
    ("cpu_ms", [1e-4, 8e-9, 4e-9]),
    ("dsp_ms", [1e-3, 1e-9, 8e-8]),
];

/// Different architectures at random.
fn some(space: &Space, count: usize, seed: u64) -> Vec<Architecture> {
    space.shuffled(&mut lanner::nn::rng(seed, "some")).take(count).collect()
}

/// A column of this name in both, of these architectures.
fn table(archs: &[Architecture], space: &Space, columns: &[(&str, Vec<f64>)]) -> Table {
    let (names, values): (Vec<&str>, Vec<Vec<f64>>) = columns.iter().cloned().unzip();
    let names = names.into_iter().map(String::from).collect();
    Table::new(space.clone(), archs.to_vec(), names, values).unwrap()
}

fn latencies(space: &Space, archs: &[Architecture], [start, macs, bytes]: [f64; 3]) -> Vec<f64> {
    let skeleton = Skeleton::of(space).unwrap();
    let one = |arch| {
        let cost = Cost::of(&skeleton.build(arch, View::Pruned).unwrap());
        let layer = |l: &lanner::network::LayerCost| {
            start + macs * l.macs as f64 + bytes * l.output_bytes as f64
        };
        0.1 + cost.layers.iter().map(layer).sum::<f64>()
    };
    archs.iter().map(one).collect()
}

#[test]
fn a_device_measured_in_another_space_is_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (cells, chains) = (Space::NasBench201, Space::Fbnet);
    let write = |name: &str, space: &Space, archs: &[Architecture], devices: &[usize]| {
        let column = |&d: &usize| (DEVICES[d].0, latencies(space, archs, DEVICES[d].1));
        let columns: Vec<_> = devices.iter().map(column).collect();
        table(archs, space, &columns).write(file(name)).unwrap();
        file(name)
    };
    let target = write("few.csv", &cells, &some(&cells, 4, 1), &[0]);
    let sources = write("cells.csv", &cells, &some(&cells, 300, 2), &[1, 2, 3]);
    let there = write("chains.csv", &chains, &some(&chains, 300, 3), &[1, 2, 3]);
    let own = write("own.csv", &chains, &some(&chains, 60, 4), &[0]);
    let asked = some(&cells, 500, 5);
    let archs = write("asked.csv", &cells, &asked, &[0]);
    let truth = latencies(&cells, &asked, DEVICES[0].1);
    let (model, said) = (file("mine.lanner"), file("said.csv"));
    let base = ["adapt", "--target", &target, "--sources", &sources, "--out", &model, "--json"];
    let other = ["--from-space", "fbnet", "--from", &own, &there];
    let quality = |more: &[&str]| {
        let row = &rows(&ok(&[&base[..], more].concat()))[0];
        assert_eq!(
            (row["measured"].as_u64(), row["sources"].as_u64()),
            (Some(4), Some(3)),
            "{row}"
        );
        ok(&["rank", &model, "--archs", &archs, "--out", &said]);
        let (said, _) = Table::read(&said, &cells).unwrap();
        let of = |arch| said.value("mine_ms", arch).unwrap().unwrap();
        spearman(&asked.iter().map(of).collect::<Vec<f64>>(), &truth)
    };
    let (with, without) = (quality(&other), quality(&[]));
    assert!(with > 0.95 && with > without, "{with} {without}");

    let refused = |more: &[&str], says: &str| {
        let (_, message) = fails(&[&base[..], more].concat());
        assert!(message.contains(says), "{message}");
    };
    refused(&["--from-space", "fbnet", "--from", &there], "fbnet have no column 'mine_ms'");
    let named = ["--from-metric", "gpu_ms"];
    refused(&[&other[..4], &named].concat(), "fbnet have no column 'gpu_ms', the device's own");
    refused(&other[..4], "share 0 other devices");
    refused(&["--from-space", "nasbench201", "--from", &own], "give --from to --sources");
    refused(&["--from", &own], "--from-space");
    refused(&["--from-space", "fbnet", "--from", &sources], "cells.csv");
    refused(&["--proxies", &sources], "--proxies is for accuracies");
}

#[test]
fn an_accuracy_is_adapted_from_other_tasks_and_spaces() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (micro, cells) = (Space::by_name("transbench101-micro").unwrap(), Space::NasBench201);
    let flops = |space: &Space, archs: &[Architecture]| -> Vec<f64> {
        let skeleton = Skeleton::of(space).unwrap();
        let cost = |arch| Cost::of(&skeleton.build(arch, View::Pruned).unwrap());
        archs.iter().map(|arch| (cost(arch).macs as f64).ln()).collect()
    };
    let noisy = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .enumerate()
            .map(|(i, v)| v + 0.3 * ((i * 7919) % 101) as f64 / 101.0)
            .collect()
    };
    let write = |name: &str, space: &Space, archs: &[Architecture], metric: &str, proxies: bool| {
        let flops = flops(space, archs);
        let mut columns = vec![(metric, noisy(&flops))];
        if proxies {
            columns.push(("synflow", flops.iter().map(|f| f.exp()).collect()));
        }
        table(archs, space, &columns).write(file(name)).unwrap();
        file(name)
    };
    let asked = some(&micro, 300, 1);
    let twenty = write("twenty.csv", &micro, &asked[..20], "mine", false);
    let proxies = write("proxies.csv", &micro, &asked, "mine", true);
    let here = write("here.csv", &micro, &some(&micro, 200, 2), "accuracy", false);
    let there = write("there.csv", &cells, &some(&cells, 200, 3), "accuracy", true);
    let (here, there) = (format!("{here}:accuracy"), format!("{there}:accuracy"));
    let (model, said) = (file("mine.lanner"), file("said.csv"));
    let base = [
        "adapt",
        "--space",
        "transbench101-micro",
        "--target",
        &twenty,
        "--out",
        &model,
        "--as",
        "accuracy",
        "--json",
    ];
    let elsewhere = ["--from-space", "nasbench201", "--from", &there];
    let truth = noisy(&flops(&micro, &asked));
    let prior = format!("{proxies}:synflow");
    let same_space = [&elsewhere[..], &["--sources", &here]].concat();
    for (more, counts) in [
        (vec![], [20, 0, 0, 0]),
        (vec!["--prior", &prior], [20, 0, 0, 0]),
        (elsewhere.to_vec(), [20, 0, 1, 0]),
        ([&same_space[..], &["--proxies", &proxies]].concat(), [20, 1, 1, 300]),
    ] {
        let row = &rows(&ok(&[&base[..], &more].concat()))[0];
        let keys = ["trained", "sources", "other_space", "with_proxies"];
        assert_eq!(keys.map(|key| row[key].as_u64().unwrap()), counts, "{row}");
        assert_eq!(row["untrained"].as_u64(), more.contains(&"--prior").then_some(300), "{row}");
        assert!(row["spearman"].is_number() && row["coverage_90"].is_number(), "{row}");
        // The best first, of the whole space.
        let top = rows(&ok(&["rank", &model, "--top", "2", "--out", &said, "--json"]));
        assert!(top[0]["mine"].as_f64() >= top[1]["mine"].as_f64(), "{top:?}");
        let (said, _) = Table::read(&said, &micro).unwrap();
        assert_eq!(said.len() as u128, micro.size());
        let of = |arch| said.value("mine", arch).unwrap().unwrap();
        let rank = spearman(&asked.iter().map(of).collect::<Vec<f64>>(), &truth);
        assert!(rank > 0.7, "{more:?}: {rank}");
    }

    let refused = |more: &[&str], says: &str| {
        let (_, message) = fails(&[&base[..], more].concat());
        assert!(message.contains(says), "{message}");
    };
    let bare = there.replace(":accuracy", "");
    refused(&["--from-space", "nasbench201", "--from", &bare], "there.csv: no column 'mine'");
    refused(&["--from-space", "nasbench201", "--from", &bare], "TABLE:COLUMN");
    let wrong = here.replace(":accuracy", ":val_accuracy");
    refused(&["--sources", &wrong], "here.csv: no column 'val_accuracy'; there is only 'accuracy'");
    refused(&["--metric", "top1"], "twenty.csv: no column 'top1'");
    refused(&["--archs", &proxies], "--archs is for latencies, and 'mine' is an accuracy");
    refused(&["--proxies", &bare], "there.csv");
    let (code, message) = fails(&["adapt", "--space", "transbench101-micro", "--target", &twenty]);
    assert!(code == 2 && message.contains("--as latency"), "{message}");
    refused(
        &["--proxies", &twenty],
        "twenty.csv: no column is named as one of the proxies epe_nas",
    );
    refused(&["--sources", &format!("{here}_ms")], "no column 'accuracy_ms'");
    refused(&["--prior", &format!("{proxies}:nwot")], "proxies.csv:nwot: no column 'nwot'");
    refused(&["--prior", &twenty], "none of the proxies expressivity, flops");
}
