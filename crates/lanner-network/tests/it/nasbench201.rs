//! Compares networks of NAS-Bench-201 with published figures, and checks properties of all networks.

use std::collections::HashMap;

use lanner_network::{
    Cost, Diagram, Init, LayerWeights, Nasbench201, NetworkError, Op, Shape, View, Weights, json,
    peak_memory,
};
use lanner_space::{Architecture, Space};
use proptest::prelude::*;

const SPACE: Space = Space::NasBench201;

fn any_arch() -> impl Strategy<Value = Architecture> {
    prop::collection::vec(0u8..5, 6).prop_map(Architecture::new)
}

/// The published table, if it is present.
fn published() -> Option<String> {
    let file = lanner_testing::published("nasbench201/accuracy.csv")?;
    Some(std::fs::read_to_string(file).unwrap())
}

fn cost(arch: &Architecture, view: View) -> Cost {
    Cost::of(&Nasbench201::default().build(arch, view).unwrap())
}

/// Converts millions, published with six decimals, exactly to units.
fn units(millions: f64) -> u64 {
    (millions * 1e6).round() as u64
}

#[test]
fn flops_and_parameters_are_the_published_ones_for_all() {
    let mut published_of = HashMap::new();
    if let Some(text) = published() {
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |i: usize| units(cells[i].parse().unwrap());
            published_of.insert(SPACE.parse(cells[2]).unwrap(), (number(15), number(16)));
        }
        assert_eq!(published_of.len(), 15_625);
    }
    let mut checked = 0;
    for arch in SPACE.iter() {
        let cost = cost(&arch, View::Raw);
        let got = (cost.flops, cost.params);
        let (flops, params) = SPACE.flops_and_params(&arch).unwrap();
        assert_eq!(got, (units(flops), units(params)), "{}", SPACE.print(&arch));
        if let Some(&expected) = published_of.get(&arch) {
            assert_eq!(got, expected, "{}", SPACE.print(&arch));
            checked += 1;
        }
    }
    assert_eq!(checked, published_of.len());
}

#[test]
fn macs_are_those_of_the_benchmarks_own_tables() {
    // NAS-Bench-201's API reports 220.11969 M and 1.531546 M for the all-3×3 network.
    let all = cost(&Architecture::new([3; 6]), View::Raw);
    assert_eq!((all.macs, all.params), (220_119_690, 1_531_546));
    let none = cost(&Architecture::new([0; 6]), View::Raw);
    assert_eq!((none.macs, none.params), (7_783_050, 73_306));
}

#[test]
fn the_skeleton_has_the_published_shapes() {
    let net = Nasbench201::default().build(&Architecture::new([3; 6]), View::Raw).unwrap();
    assert_eq!((net.input(), net.output()), (Shape::new(3, 32, 32), Shape::vector(10)));
    let shape = |name: &str| net.layers.iter().find(|l| l.name == name).unwrap().shape;
    assert_eq!(shape("stage1.cell5.node3"), Shape::new(16, 32, 32));
    assert_eq!(shape("stage2.cell1.node3"), Shape::new(32, 16, 16));
    assert_eq!(shape("stage3.cell5.node3"), Shape::new(64, 8, 8));
    assert_eq!(net.layers.iter().filter(|l| matches!(l.op, Op::Conv(_))).count(), 1 + 90 + 6);

    let wide = Nasbench201 { channels: 8, cells: 2, resolution: 64, classes: 120 };
    let net = wide.build(&Architecture::new([2; 6]), View::Pruned).unwrap();
    assert_eq!(net.output(), Shape::vector(120));
    assert!(net.layers.iter().any(|l| l.shape == Shape::new(32, 16, 16)));
}

#[test]
fn a_disconnected_cell_is_one_layer_of_zeros() {
    let arch = SPACE.parse("300000").unwrap();
    let net = Nasbench201::default().build(&arch, View::Pruned).unwrap();
    assert_eq!(net.layers.iter().filter(|l| l.op == Op::Zero).count(), 15);
    let cost = Cost::of(&net);
    assert_eq!((cost.flops, cost.params), (7_943_872, 73_306));
    let text = Diagram::dot(&[Diagram::cell(&SPACE, &arch, View::Pruned).unwrap()]);
    assert!(text.contains("not reached"), "{text}");
}

#[test]
fn options_out_of_range_say_what_is_expected() {
    let arch = Architecture::new([1; 6]);
    let message = |skeleton: Nasbench201| skeleton.build(&arch, View::Raw).unwrap_err().to_string();
    let good = Nasbench201::default();
    assert_eq!(message(Nasbench201 { channels: 0, ..good }), "channels is 0, expected 1 to 1024");
    assert_eq!(message(Nasbench201 { cells: 101, ..good }), "cells is 101, expected 1 to 100");
    assert!(message(Nasbench201 { resolution: 30, ..good }).contains("multiple of 4"));
    assert!(message(Nasbench201 { classes: usize::MAX, ..good }).contains("1 to 100000"));
    let wrong = good.build(&Architecture::new([9; 6]), View::Raw).unwrap_err();
    assert!(matches!(wrong, NetworkError::Space(_)), "{wrong}");
}

/// Compares a random batch norm after a 1×1 convolution with its folded form.
#[test]
fn folding_keeps_the_function() {
    let net = Nasbench201::default().build(&SPACE.parse("200000").unwrap(), View::Raw).unwrap();
    let mut weights = Weights::init(&net, Init { seed: 5 });
    let mut tick = 0.0f32;
    for layer in &mut weights.layers {
        if let LayerWeights::Norm { scale, shift, mean, variance } = layer {
            for v in scale.iter_mut().chain(shift).chain(mean).chain(variance) {
                tick += 1.0;
                *v = 1.0 + 0.4 * tick.sin();
            }
        }
    }
    let (folded, merged) = weights.fold(&net).unwrap();
    merged.check(&folded).unwrap();
    // Only the head's batch norm remains.
    assert_eq!(folded.layers.iter().filter(|l| matches!(l.op, Op::BatchNorm { .. })).count(), 1);
    let find = |net: &lanner_network::Network, name: &str| {
        net.layers.iter().position(|l| l.name == name).unwrap()
    };
    let at = |name: &str| &weights.layers[find(&net, name)];
    let (
        LayerWeights::Affine { weight, .. },
        LayerWeights::Norm { scale, shift, mean, variance },
        LayerWeights::Affine { weight: new_weight, bias: new_bias },
    ) = (
        at("stage1.cell1.0-1.conv"),
        at("stage1.cell1.0-1.bn"),
        &merged.layers[find(&folded, "stage1.cell1.0-1.conv")],
    )
    else {
        panic!("other kinds of layers");
    };
    let x: Vec<f32> = (0..16).map(|i| (i as f32).cos()).collect();
    for o in 0..16 {
        let dot = |w: &[f32]| -> f32 { x.iter().zip(&w[16 * o..]).map(|(a, b)| a * b).sum() };
        let apart = (dot(weight) - mean[o]) / (variance[o] + 1e-5).sqrt() * scale[o] + shift[o];
        let at_once = dot(new_weight) + new_bias[o];
        assert!((apart - at_once).abs() < 1e-5, "{apart} {at_once}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pruning_only_removes(arch in any_arch()) {
        let (raw, pruned) = (cost(&arch, View::Raw), cost(&arch, View::Pruned));
        prop_assert!(pruned.flops <= raw.flops && pruned.params <= raw.params);
        prop_assert!(pruned.depth <= raw.depth && pruned.activation_bytes <= raw.activation_bytes);
        prop_assert!(pruned.critical_flops <= pruned.flops);
        // Every layer leads to the output.
        let net = Nasbench201::default().build(&arch, View::Pruned).unwrap();
        let readers = net.readers();
        prop_assert!(readers[..readers.len() - 1].iter().all(|&n| n > 0));
        // The layers' own order is valid, and no peak is below the largest layer.
        let order: Vec<usize> = (0..net.layers.len()).collect();
        prop_assert_eq!(peak_memory(&net, &order).unwrap(), pruned.peak_bytes);
        let largest = pruned.layers.iter().map(|l| l.output_bytes).max().unwrap();
        prop_assert!(pruned.peak_bytes >= largest && pruned.peak_bytes <= pruned.activation_bytes + 12288);
    }

    #[test]
    fn views_share_the_weights_of_common_layers(arch in any_arch(), seed in any::<u64>()) {
        let [raw, pruned] = [View::Raw, View::Pruned].map(|view| {
            let net = Nasbench201 { cells: 1, ..Nasbench201::default() }.build(&arch, view).unwrap();
            let weights = Weights::init(&net, Init { seed });
            weights.check(&net).unwrap();
            net.layers.into_iter().map(|l| l.name).zip(weights.layers).collect::<HashMap<_, _>>()
        });
        for (name, weights) in pruned.iter().filter(|(name, _)| raw.contains_key(*name)) {
            prop_assert_eq!(&raw[name], weights);
        }
    }

    #[test]
    fn outputs_are_well_formed(arch in any_arch()) {
        let net = Nasbench201 { cells: 2, ..Nasbench201::default() }.build(&arch, View::Raw).unwrap();
        let cost = Cost::of(&net);
        let value = json(&net, &cost);
        prop_assert_eq!(value["layers"].as_array().unwrap().len(), net.layers.len());
        prop_assert_eq!(value["cost"]["flops"].as_u64().unwrap(), cost.flops);
        let drawings =
            [Diagram::cell(&SPACE, &arch, View::Raw).unwrap(), Diagram::blocks(&net, &cost), Diagram::layers(&net)];
        let svg = Diagram::svg("a < b & \"c\"", &drawings);
        let boxes = drawings.iter().map(|d| d.nodes.len()).sum::<usize>() + 1;
        prop_assert_eq!(svg.matches("<rect").count(), boxes);
        prop_assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("NaN"));
        let dot = Diagram::dot(&drawings);
        let arrows = drawings.iter().map(|d| d.edges.len()).sum::<usize>();
        prop_assert_eq!(dot.matches(" -> ").count(), arrows);
    }
}
