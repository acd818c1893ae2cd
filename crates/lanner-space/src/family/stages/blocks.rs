//! Parts of a transformer's network, and their costs.

use super::{ChosenLayer, ChosenStage, Inner, Stage, StageSpace, Stem};
use crate::Architecture;

/// A part of a transformer's network, for one input. Sizes are averages where a table tells no more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Block {
    /// Looks up tokens.
    Embedding { tokens: f64, vocabulary: f64, width: f64 },
    /// Multiplies each token by a matrix.
    Linear { tokens: f64, inputs: f64, outputs: f64, bias: bool },
    /// Compares `tokens` with `sources`, and sums these by the result; `width` is that of all heads together.
    Attention { tokens: f64, sources: f64, width: f64, heads: f64 },
    /// Norms each token.
    Norm { tokens: f64, width: f64 },
    /// Applies an activation, or multiplies by a gate.
    Activation { tokens: f64, width: f64 },
    /// Adds the input of a layer to its output.
    Sum { tokens: f64, width: f64 },
}

impl Block {
    /// Returns multiply-accumulates.
    pub fn macs(&self) -> f64 {
        match *self {
            Block::Linear { tokens, inputs, outputs, .. } => tokens * inputs * outputs,
            Block::Attention { tokens, sources, width, .. } => 2.0 * tokens * sources * width,
            _ => 0.0,
        }
    }

    /// Returns the number of weights.
    pub fn params(&self) -> f64 {
        match *self {
            Block::Embedding { vocabulary, width, .. } => vocabulary * width,
            Block::Linear { inputs, outputs, bias, .. } => {
                inputs * outputs + if bias { outputs } else { 0.0 }
            }
            // A factor and a shift.
            Block::Norm { width, .. } => 2.0 * width,
            _ => 0.0,
        }
    }

    /// Returns the number of values that are read and written, without weights.
    pub fn values(&self) -> f64 {
        match *self {
            Block::Linear { tokens, inputs, outputs, .. } => tokens * (inputs + outputs),
            Block::Attention { tokens, sources, width, heads } => {
                2.0 * (tokens + sources) * width + 2.0 * tokens * sources * heads
            }
            Block::Embedding { tokens, width, .. } => tokens * width,
            Block::Norm { tokens, width } | Block::Activation { tokens, width } => {
                2.0 * tokens * width
            }
            Block::Sum { tokens, width } => 3.0 * tokens * width,
        }
    }
}

impl StageSpace {
    /// Returns the parts of the network of an architecture, in order.
    pub fn blocks(&self, arch: &Architecture) -> Vec<Block> {
        let shape = &self.shape;
        let (bias, chosen) = self.chosen(arch);
        let (mut blocks, mut widths) = (Vec::new(), Vec::new());
        for (i, (stage, ChosenStage { width, layers })) in
            shape.stages.iter().zip(chosen).enumerate()
        {
            let tokens = f64::from(stage.tokens);
            let linear = |inputs, outputs| Block::Linear { tokens, inputs, outputs, bias };
            match (i, shape.stem, widths.last()) {
                // Stages that attend to others have tokens of their own.
                (i, Stem::Tokens { vocabulary }, _) if i == 0 || stage.attends_to.is_some() => {
                    blocks.push(Block::Embedding { tokens, vocabulary: vocabulary.into(), width });
                }
                (0, Stem::Patches(patches), _) => {
                    blocks.push(linear(f64::from(patches.values()), width));
                    // Positions, and the token of the class.
                    let vocabulary = tokens + if shape.class_token { 1.0 } else { 0.0 };
                    blocks.push(Block::Embedding { tokens, vocabulary, width });
                }
                (_, _, Some(&before)) => blocks.push(linear(before, width)),
                _ => {}
            }
            let memory =
                stage.attends_to.map(|at| (widths[at], f64::from(shape.stages[at].tokens)));
            for layer in layers {
                stage.layer(&mut blocks, (width, bias), memory, layer);
            }
            widths.push(width);
        }
        if let (Some(&width), Some(stage)) = (widths.last(), shape.stages.last()) {
            let tokens = f64::from(stage.tokens);
            blocks.push(Block::Norm { tokens, width });
            if shape.outputs > 0 {
                let tokens = if shape.each_token { tokens } else { 1.0 };
                let bias = !shape.each_token;
                blocks.push(Block::Linear {
                    tokens,
                    inputs: width,
                    outputs: shape.outputs.into(),
                    bias,
                });
            }
        }
        blocks
    }
}

impl Stage {
    /// Adds the blocks of a layer, given what it chooses.
    fn layer(
        &self,
        blocks: &mut Vec<Block>,
        (width, bias): (f64, bool),
        memory: Option<(f64, f64)>,
        chosen: ChosenLayer,
    ) {
        let tokens = f64::from(self.tokens);
        let linear = |tokens, inputs, outputs| Block::Linear { tokens, inputs, outputs, bias };
        let attend = |blocks: &mut Vec<Block>, heads: f64, memory: Option<(f64, f64)>| {
            let inner = match self.inner {
                Inner::Width => width,
                Inner::Fixed(inner) => inner.into(),
                Inner::Head(of_head) => heads * f64::from(of_head),
            };
            let (keys, sources) = memory.unwrap_or((width, tokens));
            blocks.push(Block::Norm { tokens, width });
            blocks.push(linear(tokens, width, inner));
            blocks.push(linear(sources, keys, 2.0 * inner));
            blocks.push(Block::Attention { tokens, sources, width: inner, heads });
            blocks.push(linear(tokens, inner, width));
            blocks.push(Block::Sum { tokens, width });
        };
        attend(blocks, chosen.heads, None);
        if let Some((keys, sources)) = memory {
            attend(blocks, chosen.cross_heads, Some((keys, sources * chosen.cross_layers)));
        }
        let Some(hidden) = chosen.hidden else { return };
        blocks.push(Block::Norm { tokens, width });
        for _ in 0..1 + usize::from(self.gated) {
            blocks.push(linear(tokens, width, hidden));
            blocks.push(Block::Activation { tokens, width: hidden });
        }
        blocks.push(linear(tokens, hidden, width));
        blocks.push(Block::Sum { tokens, width });
    }
}
