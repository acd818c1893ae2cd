//! Encoder–decoder transformers for translation as in HAT (Wang et al., "HAT: Hardware-Aware Transformers for
//! Efficient Natural Language Processing", ACL 2020).
//!
//! Encoder and decoder each have a width; the encoder has six layers, the decoder one to six. Each layer chooses its
//! heads and the width of its MLP; a layer of the decoder also how many of the encoder's last layers it
//! attends to. Heads share 512 channels. Sentences have 30 tokens.
//!
//! HAT's latency tables tell averages over the layers only: [`averages`] is the space of their rows.

use crate::definition::{Definition, Sizes};
use crate::family::{
    Activation, Inner, StageSpace, Stages, Stem, TransformerStage as Stage, Width,
};
use crate::parameters::Parameter;

/// Pairs of bytes of WMT'14 English–German that languages share.
const VOCABULARY: u32 = 32_768;
/// Length of sentences where latencies are measured.
const TOKENS: u32 = 30;

fn space(name: &'static str, layer: [Vec<Parameter>; 2], tied: bool) -> Definition {
    let [encoder, decoder] = layer;
    let stage = |name: &str, depth: Vec<u32>, layer, attends_to: Option<usize>| Stage {
        name: name.into(),
        width: Width::Choice(vec![512, 640]),
        depth,
        layer,
        tied,
        tokens: TOKENS,
        inner: Inner::Fixed(512),
        gated: false,
        activation: Activation::Relu,
        causal: attends_to.is_some(),
        rotary: 0,
        parallel: false,
        attends_to,
    };
    let shape = Stages {
        parameters: vec![],
        stem: Stem::Tokens { vocabulary: VOCABULARY },
        stages: vec![
            stage("encoder", vec![6], encoder, None),
            stage("decoder", (1..=6).collect(), decoder, Some(0)),
        ],
        bias: true,
        outputs: VOCABULARY,
        each_token: true,
        class_token: false,
    };
    let family = StageSpace::new(shape).expect("the published choices");
    let sizes = Sizes { channels: 0, cells: 0, resolution: 0, classes: VOCABULARY as usize };
    Definition::new(name, family, sizes)
}

/// The name on the command line.
pub const NAME: &str = "hat";

pub(crate) fn definition() -> Definition {
    let heads = |name| Parameter::choice(name, [2, 4, 8]);
    let hidden = || Parameter::choice("ffn_dim", [512, 1024, 2048, 3072]);
    let decoder = vec![
        heads("heads"),
        heads("cross_heads"),
        Parameter::choice("cross_layers", [1, 2, 3]),
        hidden(),
    ];
    space(NAME, [vec![heads("heads"), hidden()], decoder], false)
}

/// Averages over the layers, as HAT's tables tell them.
pub mod averages {
    use super::*;

    pub const NAME: &str = "hat-averages";

    pub(crate) fn definition() -> Definition {
        let heads = |name| Parameter::float(name, 2.0, 8.0);
        let hidden = || Parameter::float("ffn_dim", 512.0, 3072.0);
        let decoder = vec![
            heads("heads"),
            heads("cross_heads"),
            Parameter::float("cross_layers", 1.0, 3.0),
            hidden(),
        ];
        // Different networks may have the same averages.
        Definition {
            repeats_rows: true,
            ..space(NAME, [vec![heads("heads"), hidden()], decoder], true)
        }
    }
}
