//! Spaces of transformers: published sizes, texts and costs.

use lanner_space::family::{
    Activation, Inner, StageSpace, Stages, Stem, TransformerBlock, TransformerStage, Width,
};
use lanner_space::{Architecture, Definition, Parameter, Sizes, Space};

fn params(space: &Space, text: &str) -> f64 {
    let arch = space.parse(text).unwrap();
    space.stages().unwrap().blocks(&arch).iter().map(TransformerBlock::params).sum()
}

#[test]
fn sizes_are_products_of_the_published_choices() {
    let depths = |layers: [u32; 3], each: u128| layers.iter().map(|&l| each.pow(l)).sum::<u128>();
    for (space, size) in [
        (Space::HwGptS, 3 * 2 * depths([10, 11, 12], 9)),
        (Space::HwGptM, 3 * 2 * depths([22, 23, 24], 9)),
        (Space::HwGptL, 3 * 2 * depths([34, 35, 36], 9)),
        (Space::AutoFormerTiny, 3 * depths([12, 13, 14], 4)),
        (Space::AutoFormerSmall, 3 * depths([12, 13, 14], 9)),
        (Space::AutoFormerBase, 3 * depths([14, 15, 16], 9)),
        (Space::Pit, 4 * 4 * (3 * 3u128).pow(3)),
        // Heads and MLP; the same with cross attention to 1 to 3 layers.
        (Space::Hat, 2 * 2 * 12u128.pow(6) * (1..=6).map(|l| 108u128.pow(l)).sum::<u128>()),
    ] {
        assert_eq!(space.size(), size, "{space}");
    }
    assert!(!Space::HatAverages.is_counted());
}

/// DeiT-Ti and DeiT-S have 5,717,416 and 22,050,664 parameters by their authors' program (with 1,000 classes).
#[test]
fn vision_transformers_have_the_published_parameters() {
    let text = |width: u32, heads: &str, ratio: &str| {
        let list = |value: &str| [value; 12].join(",");
        format!(
            "{{\"embed_dim\":{width},\"depth\":12,\"heads\":[{}],\"mlp_ratio\":[{}]}}",
            list(heads),
            list(ratio)
        )
    };
    assert_eq!(params(&Space::AutoFormerTiny, &text(192, "3", "4")), 5_717_416.0);
    assert_eq!(params(&Space::AutoFormerSmall, &text(384, "6", "4")), 22_050_664.0);
}

#[test]
fn texts_of_the_authors_are_read() {
    let space = Space::HwGptS;
    let lists = |n: usize| (vec!["4"; n].join(", "), vec!["2"; n].join(", "));
    let (heads, ratios) = lists(10);
    let theirs = format!(
        "{{'sample_embed_dim': 192, 'sample_n_layer': 10, 'sample_n_head': [{heads}], 'sample_mlp_ratio': [{ratios}], \
         'sample_bias': True}}"
    );
    let arch = space.parse(&theirs).unwrap();
    let ours = space.print(&arch);
    assert!(
        ours.starts_with("{\"bias\":true,\"embed_dim\":192,\"depth\":10,\"heads\":[4,4,"),
        "{ours}"
    );
    assert_eq!(space.parse(&ours).unwrap(), arch);
    let autoformer = Space::AutoFormerTiny;
    let lists = (["3"; 12].join(","), ["4.0"; 12].join(","));
    let text = format!(
        "{{'depth': 12, 'embed_dim': 192, 'num_heads': [{}], 'mlp_ratio': [{}]}}",
        lists.0, lists.1
    );
    assert!(autoformer.print(&autoformer.parse(&text).unwrap()).contains("\"mlp_ratio\":[4.0,4.0"));
    for (text, says) in [
        (theirs.replacen("4, ", "", 1), "'mlp_ratio' has 10 values, expected 9"),
        (theirs.replacen("4, ", "5, ", 1), "layer 1: 5 of 'heads', expected one of 4, 8, 12"),
        (
            theirs.replacen("'sample_n_layer': 10", "'sample_n_layer': 11", 1),
            "10 items, expected 11",
        ),
        (theirs.replacen("[2", "2, 'x': [2", 1), "'mlp_ratio': expected a list"),
        ("[1]".into(), "expected {"),
        (String::new(), "expected"),
    ] {
        let told = space.parse(&text).unwrap_err().to_string();
        assert!(told.contains(says), "{told}\n  lacks {says}");
    }
}

/// A slow count by hand of one layer of the encoder and one of the decoder.
#[test]
fn a_decoder_attends_to_the_layers_of_the_encoder() {
    let stage = |name: &str, attends_to| TransformerStage {
        name: name.into(),
        width: Width::Choice(vec![8, 16]),
        depth: vec![1],
        layer: vec![
            Parameter::choice("heads", [1, 2]),
            Parameter::choice("cross_layers", [1, 2]),
            Parameter::choice("ffn_dim", [32]),
        ],
        tied: false,
        tokens: 10,
        inner: Inner::Fixed(4),
        gated: false,
        activation: Activation::Relu,
        causal: false,
        rotary: 0,
        parallel: false,
        attends_to,
    };
    let shape = Stages {
        parameters: vec![],
        stem: Stem::Tokens { vocabulary: 100 },
        stages: vec![stage("e", None), stage("d", Some(0))],
        bias: false,
        outputs: 0,
        each_token: true,
        class_token: false,
    };
    let wrong = Stages { stages: vec![stage("e", Some(0))], ..shape.clone() };
    assert!(
        StageSpace::new(wrong)
            .unwrap_err()
            .contains("stage 1: attends to a stage that is not before")
    );
    let space = StageSpace::new(shape).unwrap();
    let sizes = Sizes { channels: 0, cells: 0, resolution: 0, classes: 0 };
    let space = Space::define(Definition::new("translator", space, sizes)).unwrap();
    let text = "{\"e_embed_dim\":8,\"e_depth\":1,\"e_heads\":[2],\"e_cross_layers\":[1],\"e_ffn_dim\":[32],\
        \"d_embed_dim\":16,\"d_depth\":1,\"d_heads\":[1],\"d_cross_layers\":[2],\"d_ffn_dim\":[32]}";
    let arch: Architecture = space.parse(text).unwrap();
    assert_eq!(space.print(&arch), text);
    let (macs, params) = space.flops_and_params(&arch).unwrap();
    let mlp = |d: f64| 2.0 * d * 32.0;
    let own = |d: f64| 4.0 * d * 4.0;
    let scores = |sources: f64| 2.0 * 10.0 * sources * 4.0;
    let encoder = 10.0 * (own(8.0) + mlp(8.0)) + scores(10.0);
    // Keys and values come from two layers of ten tokens of width 8.
    let cross = 10.0 * 2.0 * 16.0 * 4.0 + 20.0 * 2.0 * 8.0 * 4.0 + scores(20.0);
    let decoder = 10.0 * (own(16.0) + mlp(16.0)) + scores(10.0) + cross;
    assert_eq!((macs * 1e6).round(), encoder + decoder);
    let weights = own(8.0) + mlp(8.0) + own(16.0) + mlp(16.0) + 2.0 * 16.0 * 4.0 + 2.0 * 8.0 * 4.0;
    let norms = 2.0 * 2.0 * 8.0 + 3.0 * 2.0 * 16.0 + 2.0 * 16.0;
    assert_eq!((params * 1e6).round(), 100.0 * 24.0 + weights + norms);
}
