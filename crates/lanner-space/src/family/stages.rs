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

mod blocks;
mod shape;
mod text;

use rand::Rng;

use super::parameters::{Domain, Held, Node, Wrong};
use super::{Family, ParameterSpace};
use crate::literal::Literal;
use crate::parameters::Parameter;
use crate::{Architecture, CellGraph, SpaceError, View};
pub use blocks::Block;
pub use shape::{Activation, ChosenLayer, ChosenStage, Inner, Patches, Stage, Stages, Stem, Width};

/// A space of transformers.
#[derive(Debug)]
pub struct StageSpace {
    shape: Stages,
    parameters: ParameterSpace,
    /// The repeated groups of layers, by their place among the nodes.
    layers: Vec<usize>,
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
}

fn number(node: &Node, held: &Held) -> Option<f64> {
    let Held::Number(number) = held else { return None };
    match node.value(*number) {
        crate::Value::Bool(flag) => Some(f64::from(u8::from(flag))),
        value => value.number(),
    }
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
