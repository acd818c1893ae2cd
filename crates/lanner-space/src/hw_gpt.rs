//! The spaces of HW-GPT-Bench (Sukthanker et al., "HW-GPT-Bench: Hardware-Aware Architecture Benchmark for
//! Language Models", NeurIPS 2024): GPT-like decoders in three sizes. Each layer chooses its number of heads, which
//! have 64 channels, and the ratio of its gated MLP; all share one width; linear layers have biases or none.
//! Half of a head's channels are turned by the token's place; attention and MLP stand side by side.
//!
//! Sequences have 1,024 tokens of a vocabulary of 50,254. Published FLOPs are twice the multiply-accumulates
//! without those of the attention, of 8 sequences (s) and 4 (m).

use crate::definition::{Definition, Sizes};
use crate::family::{
    Activation, Inner, StageSpace, Stages, Stem, TransformerStage as Stage, Width,
};
use crate::parameters::Parameter;

const VOCABULARY: u32 = 50_254;
const CONTEXT: u32 = 1_024;

fn space(name: &'static str, widths: [u32; 3], layers: [u32; 3], heads: [i64; 3]) -> Definition {
    let stage = Stage {
        name: String::new(),
        width: Width::Choice(widths.to_vec()),
        depth: layers.to_vec(),
        layer: vec![Parameter::choice("heads", heads), Parameter::choice("mlp_ratio", [2, 3, 4])],
        tied: false,
        tokens: CONTEXT,
        inner: Inner::Head(64),
        gated: true,
        activation: Activation::Silu,
        causal: true,
        rotary: 32,
        parallel: true,
        attends_to: None,
    };
    let shape = Stages {
        parameters: vec![Parameter::choice("bias", [false, true])],
        stem: Stem::Tokens { vocabulary: VOCABULARY },
        stages: vec![stage],
        bias: false,
        outputs: VOCABULARY,
        each_token: true,
        class_token: false,
    };
    let family = StageSpace::new(shape).expect("the published choices");
    let sizes = Sizes { channels: 0, cells: 0, resolution: 0, classes: VOCABULARY as usize };
    Definition::new(name, family, sizes)
}

/// The small scale: 10 to 12 layers.
pub mod s {
    pub const NAME: &str = "hw-gpt-s";

    pub(crate) fn definition() -> crate::Definition {
        super::space(NAME, [192, 384, 768], [10, 11, 12], [4, 8, 12])
    }
}

/// The medium scale: 22 to 24 layers.
pub mod m {
    pub const NAME: &str = "hw-gpt-m";

    pub(crate) fn definition() -> crate::Definition {
        super::space(NAME, [256, 512, 1024], [22, 23, 24], [8, 12, 16])
    }
}

/// The large scale: 34 to 36 layers.
pub mod l {
    pub const NAME: &str = "hw-gpt-l";

    pub(crate) fn definition() -> crate::Definition {
        super::space(NAME, [320, 640, 1280], [34, 35, 36], [8, 16, 20])
    }
}
