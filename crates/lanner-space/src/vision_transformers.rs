//! The spaces of AutoFormer (Chen et al., "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021) in
//! three sizes, and that of PiT (Heo et al., "Rethinking Spatial Dimensions of Vision Transformers", ICCV 2021) as
//! in ViT-Bench-101 (Wei et al., "Auto-Prox", AAAI 2024).
//!
//! AutoFormer: 196 patches of 16² pixels and a class token; each layer chooses its number of heads, of 64
//! channels each, and the ratio of its MLP. PiT: three stages of 27², 14² and 7² patches, each with a depth and a
//! number of heads; the width of a head and the ratio are those of all.

use crate::definition::{Definition, Sizes};
use crate::family::{
    Activation, Inner, Patches, StageSpace, Stages, Stem, TransformerStage as Stage, Width,
};
use crate::parameters::Parameter;

fn space(
    name: &'static str,
    parameters: Vec<Parameter>,
    stages: Vec<Stage>,
    stride: u32,
) -> Definition {
    let image = Patches { channels: 3, height: 224, width: 224, side: 16, stride };
    let shape = Stages {
        parameters,
        stem: Stem::Patches(image),
        stages,
        bias: true,
        outputs: 1000,
        each_token: false,
        class_token: true,
    };
    let family = StageSpace::new(shape).expect("the published choices");
    let sizes = Sizes { channels: 0, cells: 0, resolution: 224, classes: 1000 };
    Definition::new(name, family, sizes)
}

fn autoformer(
    name: &'static str,
    widths: [u32; 3],
    depths: [u32; 3],
    heads: &[i64],
    ratios: &[f64],
) -> Definition {
    let choice = |name, values: &[f64]| Parameter::choice(name, values.iter().copied());
    let stage = Stage {
        name: String::new(),
        width: Width::Choice(widths.to_vec()),
        depth: depths.to_vec(),
        layer: vec![Parameter::choice("heads", heads.iter().copied()), choice("mlp_ratio", ratios)],
        tied: false,
        tokens: 197,
        inner: Inner::Head(64),
        gated: false,
        activation: Activation::Gelu,
        causal: false,
        rotary: 0,
        parallel: false,
        attends_to: None,
    };
    space(name, vec![], vec![stage], 16)
}

/// AutoFormer's smallest space, that of ViT-Bench-101.
pub mod tiny {
    pub const NAME: &str = "autoformer-tiny";

    pub(crate) fn definition() -> crate::Definition {
        super::autoformer(NAME, [192, 216, 240], [12, 13, 14], &[3, 4], &[3.5, 4.0])
    }
}

/// AutoFormer's space of the size of DeiT-S.
pub mod small {
    pub const NAME: &str = "autoformer-small";

    pub(crate) fn definition() -> crate::Definition {
        super::autoformer(NAME, [320, 384, 448], [12, 13, 14], &[5, 6, 7], &[3.0, 3.5, 4.0])
    }
}

/// AutoFormer's space of the size of DeiT-B.
pub mod base {
    pub const NAME: &str = "autoformer-base";

    pub(crate) fn definition() -> crate::Definition {
        super::autoformer(NAME, [528, 576, 624], [14, 15, 16], &[8, 9, 10], &[3.0, 3.5, 4.0])
    }
}

/// PiT.
pub mod pit {
    use super::*;

    pub const NAME: &str = "pit";

    pub(crate) fn definition() -> Definition {
        let stage = |name: &str, side: u32, depth: [u32; 3]| Stage {
            name: name.into(),
            width: Width::PerHead,
            depth: depth.to_vec(),
            layer: vec![Parameter::choice("heads", [2, 4, 8])],
            tied: true,
            tokens: side * side + 1,
            inner: Inner::Width,
            gated: false,
            activation: Activation::Gelu,
            causal: false,
            rotary: 0,
            parallel: false,
            attends_to: None,
        };
        let stages =
            vec![stage("s1", 27, [1, 2, 3]), stage("s2", 14, [4, 6, 8]), stage("s3", 7, [2, 4, 6])];
        let parameters = vec![
            Parameter::choice("dim", [16, 24, 32, 40]),
            Parameter::choice("mlp_ratio", [2, 4, 6, 8]),
        ];
        space(NAME, parameters, stages, 8)
    }
}
