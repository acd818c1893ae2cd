use lanner_network::{Cost, OpKind, Skeleton};
use lanner_space::{Architecture, Space, View};

use super::*;
use crate::encode::operations::count;

fn networks(space: &Space, texts: &[&str], view: View) -> Vec<Counted> {
    let skeleton = Skeleton { cells: 1, ..Skeleton::of(space).unwrap() };
    let archs: Vec<Architecture> = texts.iter().map(|t| space.parse(t).unwrap()).collect();
    count(&skeleton, &archs, view).unwrap()
}

/// Cells of NAS-Bench-201 in which each operation occurs, some of them dead.
const CELLS: [&str; 14] = [
    "333333", "222222", "111111", "301402", "123404", "444444", "313131", "023210", "334100",
    "412303", "100234", "210043", "041320", "342011",
];

/// Pays for arithmetic, values moved and the start of a layer, as the simulated devices do.
fn roofline(network: &Counted) -> f64 {
    let device = |op: &OpNode| costs::times_of(op);
    let time = |op: &OpNode| 2e-9 * device(op)[0] + 1e-9 * device(op)[14];
    0.2 + network.operations.iter().map(|(op, count)| count * time(op)).sum::<f64>()
}

#[test]
fn operations_have_all_costs_but_those_of_nothing() {
    let space = Space::NasBench201;
    let skeleton = Skeleton::of(&space).unwrap();
    for text in CELLS {
        let network = skeleton.build(&space.parse(text).unwrap(), View::Raw).unwrap();
        let (counted, cost) = (Counted::of(&network), Cost::of(&network));
        let sum = |of: fn(&OpNode) -> u64| -> f64 {
            counted.operations.iter().map(|(op, n)| n * of(op) as f64).sum()
        };
        assert_eq!(sum(|op| op.flops), cost.flops as f64, "{text}");
        assert_eq!(sum(|op| op.params), cost.params as f64, "{text}");
    }
}

#[test]
fn a_simulated_device_is_found_and_known_in_every_space() {
    let known = networks(&Space::NasBench201, &CELLS, View::Raw);
    let latencies: Vec<f64> = known.iter().map(roofline).collect();
    let model = OperationsModel::fit(&[known], &latencies).unwrap();
    for space in Space::ALL.into_iter().filter(|space| space.parameters().is_none()) {
        let arch = space.iter().nth(77).unwrap();
        let network = Skeleton::of(&space).unwrap().build(&arch, View::Raw).unwrap();
        let counted = Counted::of(&network);
        let (asked, truth) = (model.latency(&counted), roofline(&counted));
        assert!((asked / truth).ln().abs() < 0.35, "{space}: {asked} {truth}");
    }
}

/// A device that no simulated one is like: what operations take has nothing to do with their costs.
#[test]
fn times_of_measured_operations_are_learnt() {
    let known = networks(&Space::NasBench201, &CELLS, View::Raw);
    let time = |op: &OpNode| match op.kind {
        OpKind::Conv if op.kernel == 1 => 3.0,
        OpKind::AvgPool => 7.0,
        _ => 1.0,
    };
    let device = |n: &Counted| n.operations.iter().map(|(op, c)| c * time(op)).sum::<f64>();
    let latencies: Vec<f64> = known.iter().map(device).collect();
    let model = OperationsModel::fit(&[known], &latencies).unwrap();
    let asked = ["143123", "400213", "212121", "340340", "014141"];
    let asked = networks(&Space::NasBench201, &asked, View::Raw);
    for (network, latency) in asked.iter().zip(model.latencies(&asked)) {
        assert!((latency / device(network) - 1.0).abs() < 0.05, "{latency} {}", device(network));
        assert_eq!(latency.to_bits(), model.latency(network).to_bits());
    }
}

#[test]
fn the_view_that_a_device_runs_is_found() {
    let views = [View::Raw, View::Pruned].map(|v| networks(&Space::NasBench201, &CELLS, v));
    assert_ne!(views[0], views[1]);
    for (i, view) in views.iter().enumerate() {
        let latencies: Vec<f64> = view.iter().map(roofline).collect();
        assert_eq!(OperationsModel::fit(&views, &latencies).unwrap().seen(&[0, 1]), Some(&i));
    }
}

#[test]
fn latencies_that_tell_nothing_are_refused() {
    let known = networks(&Space::NasBench201, &CELLS, View::Raw);
    let refused = |n: usize, latencies: &[f64]| {
        OperationsModel::fit(&[known[..n].to_vec()], latencies).unwrap_err().to_string()
    };
    assert!(refused(3, &[1.0, 2.0, 3.0]).contains("5"));
    assert!(refused(6, &[2.0; 6]).contains("tell nothing"));
    assert!(refused(6, &[1.0, 2.0, -3.0, 4.0, 5.0, 6.0]).contains("latency 2 is -3"));
    assert!(refused(6, &[1.0, 2.0]).contains("6 architectures, but 2"));
}
