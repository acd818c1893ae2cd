//! Transformers: stages of layers with attention and an MLP, as data.
//!
//! **Choices.** They are those of a [`ParameterSpace`] that [`StageSpace::new`] makes: parameters of the network
//! as a whole; for each stage `embed_dim`, `depth`, and what its layers choose, each layer for itself or
//! ([`Stage::tied`]) all together. With several stages, names begin with that of the stage: `encoder_embed_dim`.
//! What a layer chooses is known by its name: `heads`, `mlp_ratio` or `ffn_dim`, `cross_heads` and `cross_layers`.
//!
//! **Texts.** A dict of lists, as the authors of such spaces write it:
//! `{"embed_dim":192,"depth":2,"heads":[4,8],"mlp_ratio":[3.5,4],"bias":false}`. The names of HW-GPT-Bench and
//! AutoFormer (`n_layer`, `n_head`, `num_heads`) are read, too.
//!
//! **Blocks.** [`StageSpace::blocks`] returns what the network computes, for costs and predictors.

use std::fmt::Write;

use rand::Rng;

use super::parameters::{Domain, Held, Node, Wrong};
use super::{Family, ParameterSpace};
use crate::literal::Literal;
use crate::parameters::Parameter;
use crate::{Architecture, CellGraph, SpaceError, View};

/// Names that authors use for `depth` and `heads`, after the name of the stage.
const ALIASES: [(&str, &str); 5] = [
    ("n_layer", "depth"),
    ("layer_num", "depth"),
    ("n_head", "heads"),
    ("num_heads", "heads"),
    ("mlp_ratios", "mlp_ratio"),
];

/// A space of transformers.
#[derive(Debug)]
pub struct StageSpace {
    shape: Stages,
    parameters: ParameterSpace,
    /// The repeated groups of layers, by their place among the nodes.
    layers: Vec<usize>,
}

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
    /// What a layer chooses.
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
    /// Checks the choices and makes the space; an error says what is wrong.
    pub fn new(shape: Stages) -> Result<StageSpace, String> {
        let mut all = Vec::new();
        let mut layers = Vec::new();
        for (i, stage) in shape.stages.iter().enumerate() {
            let fail = |why: &str| Err(format!("stage {}: {why}", i + 1));
            let name = |what: &str| stage.parameter(what);
            if let Width::Choice(widths) = &stage.width {
                let widths = widths.iter().map(|&w| i64::from(w));
                all.push(Parameter::choice(&name("embed_dim"), widths).log());
            } else if !stage.tied {
                return fail("a width that follows from the heads needs heads that are tied");
            }
            let depths = stage.depth.iter().map(|&d| i64::from(d));
            all.push(Parameter::choice(&name("depth"), depths));
            if stage.attends_to.is_some_and(|at| at >= i) {
                return fail("attends to a stage that is not before it");
            }
            let named = |p: &Parameter| Parameter { name: name(&p.name), ..p.clone() };
            if stage.tied {
                all.extend(stage.layer.iter().map(named));
            } else {
                layers.push(all.len() + shape.parameters.len());
                all.push(Parameter::repeat(&name("layer"), &name("depth"), stage.layer.clone()));
            }
        }
        let declared: Vec<Parameter> = shape.parameters.iter().cloned().chain(all).collect();
        let parameters = ParameterSpace::new(&declared).map_err(|Wrong { why, .. }| why)?;
        Ok(StageSpace { shape, parameters, layers })
    }

    /// Returns the choices.
    pub fn shape(&self) -> &Stages {
        &self.shape
    }

    /// Returns whether linear layers have a bias, and what is chosen in each stage.
    pub fn chosen(&self, arch: &Architecture) -> (bool, Vec<ChosenStage>) {
        let held = self.parameters.held(arch);
        let nodes = self.parameters.nodes();
        let value = |name: &str| {
            let at = nodes.iter().position(|n| n.name == name)?;
            number(&nodes[at], &held[at])
        };
        let items = |name: &str| {
            let at = nodes.iter().position(|n| n.name == name)?;
            match (&held[at], &nodes[at].domain) {
                (Held::Items(items), Domain::Repeat { group, .. }) => Some((group, items)),
                _ => None,
            }
        };
        let stage = |stage: &Stage| {
            let width = match stage.width {
                Width::Choice(_) => value(&stage.parameter("embed_dim")),
                Width::PerHead => {
                    value("dim").zip(value(&stage.parameter("heads"))).map(|(d, h)| d * h)
                }
            };
            let width = width.unwrap_or(0.0);
            let depth = value(&stage.parameter("depth")).unwrap_or(0.0) as usize;
            let layers = items(&stage.parameter("layer"));
            let layer = |n: usize| {
                let of_layer = |name: &str| match layers {
                    Some((group, items)) => {
                        let at = group.iter().position(|node| node.name == name)?;
                        number(&group[at], items.get(n)?.get(at)?)
                    }
                    None => value(&stage.parameter(name)),
                };
                let of = |name: &str| of_layer(name).or_else(|| value(name));
                ChosenLayer {
                    heads: of("heads").unwrap_or(1.0),
                    cross_heads: of("cross_heads").unwrap_or(1.0),
                    cross_layers: of("cross_layers").unwrap_or(1.0),
                    hidden: of("ffn_dim").or_else(|| of("mlp_ratio").map(|ratio| ratio * width)),
                }
            };
            ChosenStage { width, layers: (0..depth).map(layer).collect() }
        };
        let bias = value("bias").map_or(self.shape.bias, |b| b > 0.0);
        (bias, self.shape.stages.iter().map(stage).collect())
    }

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
    /// Returns the name of a parameter of the stage.
    fn parameter(&self, what: &str) -> String {
        match self.name.as_str() {
            "" => what.into(),
            name => format!("{name}_{what}"),
        }
    }

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

fn number(node: &Node, held: &Held) -> Option<f64> {
    let Held::Number(number) = held else { return None };
    match node.value(*number) {
        crate::Value::Bool(flag) => Some(f64::from(u8::from(flag))),
        value => value.number(),
    }
}

impl StageSpace {
    /// Prints lists of what the layers choose instead of a list of layers.
    fn print_held(&self, held: &[Held]) -> String {
        let mut out = String::from("{");
        let mut put = |name: &str, value: String| {
            let comma = if out.len() > 1 { "," } else { "" };
            let _ = write!(out, "{comma}\"{name}\":{value}");
        };
        let nodes = self.parameters.nodes();
        for (node, held) in nodes.iter().zip(held) {
            match (held, &node.domain) {
                (Held::Number(number), _) => put(&node.name, node.value(*number).to_string()),
                (Held::Items(items), Domain::Repeat { group, .. }) => {
                    for (at, choice) in group.iter().enumerate() {
                        let value = |item: &Vec<Held>| match item.get(at) {
                            Some(Held::Number(number)) => choice.value(*number).to_string(),
                            _ => "0".into(),
                        };
                        let values: Vec<String> = items.iter().map(value).collect();
                        put(&listed(&node.name, &choice.name), format!("[{}]", values.join(",")));
                    }
                }
                _ => {}
            }
        }
        out.push('}');
        out
    }

    /// Makes of a dict with lists of what layers choose one with a list of layers.
    fn with_layers(&self, literal: Literal) -> Result<Literal, String> {
        let Literal::Named(pairs) = literal else {
            return Err("expected {\"embed_dim\": …, \"depth\": …, …}".into());
        };
        let mut pairs: Vec<(String, Literal)> =
            pairs.into_iter().map(|(name, value)| (self.known_as(&name), value)).collect();
        for &at in &self.layers {
            let node = &self.parameters.nodes()[at];
            let Domain::Repeat { group, .. } = &node.domain else { continue };
            let mut layers: Vec<Vec<(String, Literal)>> = Vec::new();
            let mut is_listed = false;
            for choice in group {
                let name = listed(&node.name, &choice.name);
                let Some(place) = pairs.iter().position(|p| p.0 == name) else { continue };
                let (_, value) = pairs.swap_remove(place);
                let values = value.list().ok_or_else(|| format!("'{name}': expected a list"))?;
                if is_listed && values.len() != layers.len() {
                    return Err(format!(
                        "'{name}' has {} values, expected {}",
                        values.len(),
                        layers.len()
                    ));
                }
                layers.resize(values.len(), Vec::new());
                for (layer, value) in layers.iter_mut().zip(values) {
                    layer.push((choice.name.clone(), value.clone()));
                }
                is_listed = true;
            }
            if is_listed {
                let layers = layers.into_iter().map(Literal::Named).collect();
                pairs.push((node.name.clone(), Literal::List(layers)));
            }
        }
        Ok(Literal::Named(pairs))
    }

    /// Returns the name here of a parameter that may have its authors' name.
    fn known_as(&self, name: &str) -> String {
        let name = name.strip_prefix("sample_").unwrap_or(name);
        let found = ALIASES.iter().find_map(|(theirs, ours)| {
            let stage = name.strip_suffix(theirs)?;
            (stage.is_empty() || stage.ends_with('_')).then(|| format!("{stage}{ours}"))
        });
        found.unwrap_or_else(|| name.into())
    }
}

/// Returns the name of the list of what the layers of a repeat choose: `encoder_layer` and `heads` make
/// `encoder_heads`.
fn listed(layers: &str, choice: &str) -> String {
    format!("{}{choice}", layers.strip_suffix("layer").unwrap_or_default())
}

impl Family for StageSpace {
    fn positions(&self) -> &[u8] {
        self.parameters.positions()
    }

    fn labels(&self) -> Vec<&str> {
        self.parameters.labels()
    }

    fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        self.parameters.graph(arch, view)
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        let text = text.trim();
        let literal = Literal::parse(text).and_then(|literal| self.with_layers(literal));
        let literal = literal.map_err(|why| SpaceError::text(space, text, why))?;
        self.parameters.read(&literal).map_err(|why| SpaceError::text(space, text, why))
    }

    fn print(&self, arch: &Architecture) -> String {
        self.print_held(&self.parameters.held(arch))
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        self.parameters.size()
    }

    fn is_counted(&self) -> bool {
        self.parameters.is_counted()
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        self.parameters.check(codes)
    }

    fn at(&self, index: u128) -> Architecture {
        self.parameters.at(index)
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        self.parameters.index_of(arch)
    }

    fn drawn(&self, rng: &mut dyn Rng) -> Option<Architecture> {
        self.parameters.drawn(rng)
    }

    fn mutated(&self, arch: &Architecture, rng: &mut dyn Rng) -> Option<Architecture> {
        self.parameters.mutated(arch, rng)
    }

    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        self.parameters.neighbours(arch)
    }

    fn aligned(&self, arch: &Architecture) -> Vec<Option<u8>> {
        self.parameters.aligned(arch)
    }

    fn max_codes(&self) -> usize {
        self.parameters.max_codes()
    }

    fn parameters(&self) -> Option<&ParameterSpace> {
        Some(&self.parameters)
    }

    fn stages(&self) -> Option<&StageSpace> {
        Some(self)
    }
}
