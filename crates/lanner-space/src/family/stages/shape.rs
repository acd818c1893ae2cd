//! Declaration of a space of transformers, and the choices of an architecture.

use crate::parameters::Parameter;

/// The choices of a transformer, and what is fixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// Parameters of the network as a whole. `bias` (true or false) says whether linear layers have one; `dim` is
    /// the width of a head where [`Width::PerHead`] needs it; `mlp_ratio` may stand here for all layers.
    pub parameters: Vec<Parameter>,
    pub stem: Stem,
    pub stages: Vec<Stage>,
    /// Whether linear layers have a bias, where that is no parameter.
    pub bias: bool,
    /// Number of outputs, of each token or of the whole; 0 leaves the head out.
    pub outputs: u32,
    /// Whether there is an output for each token.
    pub each_token: bool,
    /// Whether a token stands before those of the patches, from which the outputs are computed; else they are
    /// computed from the mean of all.
    pub class_token: bool,
}

/// The layer that makes tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stem {
    /// Looks up tokens of a vocabulary.
    Tokens { vocabulary: u32 },
    /// Multiplies patches by a matrix.
    Patches(Patches),
}

/// Patches of an image, or of a signal: an image of height 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patches {
    pub channels: u32,
    pub height: u32,
    pub width: u32,
    /// Height and width of a patch; the height is 1 in a signal.
    pub side: u32,
    /// Distance between patches.
    pub stride: u32,
}

impl Patches {
    /// Returns the number of patches from top to bottom and from left to right.
    pub fn grid(&self) -> [u32; 2] {
        let count = |size: u32, side: u32| match size.checked_sub(side) {
            Some(rest) => rest / self.stride.max(1) + 1,
            None => 0,
        };
        match self.height {
            1 => [1, count(self.width, self.side)],
            _ => [count(self.height, self.side), count(self.width, self.side)],
        }
    }

    /// Returns the number of values of a patch.
    pub fn values(&self) -> u32 {
        self.channels * self.side * if self.height == 1 { 1 } else { self.side }
    }
}

/// Function between the matrices of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Relu,
    /// Hendrycks and Gimpel 2016.
    Gelu,
    /// Computes x / (1 + e⁻ˣ).
    Silu,
}

/// The width of a stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Width {
    /// One of these: the parameter `embed_dim`.
    Choice(Vec<u32>),
    /// Heads times the parameter `dim`; the stage is tied.
    PerHead,
}

/// The width of all heads of an attention together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inner {
    /// That of the stage, which heads divide among them.
    Width,
    /// A fixed one, which heads divide among them.
    Fixed(u32),
    /// A fixed one a head.
    Head(u32),
}

/// A stack of layers of one width.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name before its parameters' names; empty where it is the only one.
    pub name: String,
    pub width: Width,
    /// Numbers of layers to choose from.
    pub depth: Vec<u32>,
    /// Choices of a layer.
    pub layer: Vec<Parameter>,
    /// Whether all layers of the stage are alike.
    pub tied: bool,
    /// Number of tokens.
    pub tokens: u32,
    pub inner: Inner,
    /// Whether the MLP multiplies by a gate: three matrices instead of two.
    pub gated: bool,
    pub activation: Activation,
    /// Whether a token attends to those before it only.
    pub causal: bool,
    /// Channels of each head that are turned by the token's place (Su et al. 2021, RoFormer); 0 for none.
    pub rotary: u32,
    /// Whether attention and MLP of a layer both read its input, and are added up.
    pub parallel: bool,
    /// The earlier stage to whose tokens each layer attends as well.
    pub attends_to: Option<usize>,
}

impl Stage {
    /// Returns the name of a parameter of the stage.
    pub(super) fn parameter(&self, what: &str) -> String {
        match self.name.as_str() {
            "" => what.into(),
            name => format!("{name}_{what}"),
        }
    }
}

/// Choices of an architecture in a stage. Numbers are fractions where a table tells averages.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenStage {
    pub width: f64,
    pub layers: Vec<ChosenLayer>,
}

/// Choices of an architecture in a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenLayer {
    pub heads: f64,
    /// Heads of the attention to another stage.
    pub cross_heads: f64,
    /// Number of that stage's last layers to which it attends.
    pub cross_layers: f64,
    /// Width between the matrices of the MLP, unless there is none.
    pub hidden: Option<f64>,
}
