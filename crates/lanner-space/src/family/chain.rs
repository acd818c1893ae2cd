//! Chains of stages of layers.

use std::fmt;

use super::Family;
use crate::{Architecture, CellGraph, SpaceError, View, independent};

/// Stages after each other; the layers of a stage have one width.
#[derive(Clone)]
pub struct ChainSpace {
    pub stages: Vec<Stage>,
    pub skeleton: ChainSkeleton,
    positions: Vec<u8>,
    /// Labels of nodes: layers and widths, then an absent layer, then the ends.
    labels: Vec<String>,
}

/// Choices of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stage {
    /// Possible numbers of layers, ascending.
    pub depth: Vec<u8>,
    /// Possible channels of all its layers.
    pub width: Vec<u16>,
    /// Stride of its first layer.
    pub stride: u8,
    /// Possible layers, for each of its layers.
    pub layers: Vec<Layer>,
}

/// A layer; a size that its block does not have is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    pub block: Block,
    pub kernel: u8,
    pub expansion: u8,
}

/// Kind of layer, see [`crate::user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Block {
    /// Inverted bottleneck.
    Mb,
    /// Depthwise separable convolution.
    Sep,
    Conv,
    Identity,
}

/// The network around the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainSkeleton {
    pub resolution: u16,
    pub classes: u32,
    /// Channels of the first convolution, 3×3 of stride 2.
    pub stem: u16,
    /// Channels of the last convolution, 1×1; 0 without one.
    pub head: u16,
}

impl Block {
    /// Every block with its name in files and texts.
    pub const ALL: [(&'static str, Block); 4] = [
        ("mb", Block::Mb),
        ("sep", Block::Sep),
        ("conv", Block::Conv),
        ("identity", Block::Identity),
    ];

    pub fn has_kernel(self) -> bool {
        self != Block::Identity
    }

    pub fn has_expansion(self) -> bool {
        self == Block::Mb
    }

    pub fn name(self) -> &'static str {
        Block::ALL.iter().find(|b| b.1 == self).expect("every block is listed").0
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.block.name())?;
        if self.block.has_kernel() {
            write!(f, "_k{}", self.kernel)?;
        }
        if self.block.has_expansion() {
            write!(f, "_e{}", self.expansion)?;
        }
        Ok(())
    }
}

impl Stage {
    /// Returns the largest number of layers.
    pub fn deepest(&self) -> usize {
        self.depth.iter().copied().max().unwrap_or(0).into()
    }

    /// Returns the number of codes: width, depth, layers.
    fn codes(&self) -> usize {
        2 + self.deepest()
    }

    /// Returns the number of choices of layers for a depth code.
    fn of_depth(&self, code: usize) -> Option<u128> {
        (self.layers.len() as u128).checked_pow(self.depth[code].into())
    }

    fn size(&self) -> Option<u128> {
        let all =
            (0..self.depth.len()).try_fold(0u128, |sum, d| sum.checked_add(self.of_depth(d)?));
        all?.checked_mul(self.width.len() as u128)
    }
}

impl ChainSpace {
    /// Makes a chain of these stages.
    pub fn new(stages: Vec<Stage>, skeleton: ChainSkeleton) -> ChainSpace {
        let positions = |s: &Stage| {
            let mut positions = vec![s.width.len() as u8, s.depth.len() as u8];
            positions.resize(s.codes(), s.layers.len() as u8);
            positions
        };
        let mut layers: Vec<Layer> = stages.iter().flat_map(|s| s.layers.clone()).collect();
        layers.sort_unstable();
        layers.dedup();
        let mut widths: Vec<u16> = stages.iter().flat_map(|s| s.width.clone()).collect();
        widths.sort_unstable();
        widths.dedup();
        let labels = (layers.iter().map(Layer::to_string))
            .chain(widths.iter().map(|w| format!("w{w}")))
            .chain(["absent", "input", "output"].map(String::from))
            .collect();
        let positions = stages.iter().flat_map(positions).collect();
        ChainSpace { stages, skeleton, positions, labels }
    }

    /// Splits codes into stages and their codes.
    pub fn split<'a>(&'a self, codes: &'a [u8]) -> impl Iterator<Item = (&'a Stage, &'a [u8])> {
        let mut rest = codes;
        self.stages.iter().map(move |stage| {
            let (own, after) = rest.split_at(stage.codes());
            rest = after;
            (stage, own)
        })
    }

    /// Returns width and layers of each stage.
    pub fn layers(&self, arch: &Architecture) -> Vec<(u16, Vec<Layer>)> {
        let stage = |(stage, codes): (&Stage, &[u8])| {
            let depth = usize::from(stage.depth[usize::from(codes[1])]);
            let layers = codes[2..2 + depth].iter().map(|&c| stage.layers[usize::from(c)]);
            (stage.width[usize::from(codes[0])], layers.collect())
        };
        self.split(arch.codes()).map(stage).collect()
    }

    fn codes_of(&self, text: &str) -> Result<Vec<u8>, String> {
        let texts: Vec<&str> = text.split('/').collect();
        if texts.len() != self.stages.len() {
            return Err(format!("{} stages, expected {}", texts.len(), self.stages.len()));
        }
        let mut all = Vec::new();
        for (i, (text, stage)) in texts.iter().zip(&self.stages).enumerate() {
            let place = format!("stage {} is '{text}'", i + 1);
            let (width, layers) = text.split_once(':').ok_or(format!("{place}, expected w16:…"))?;
            let position = stage.width.iter().position(|w| format!("w{w}") == width);
            let position =
                position.ok_or(format!("{place}: its width is one of {:?}", stage.width))?;
            let layers: Vec<&str> = layers.split(',').collect();
            let depth = stage.depth.iter().position(|&d| usize::from(d) == layers.len());
            let depth = depth.ok_or(format!("{place}: its depth is one of {:?}", stage.depth))?;
            let mut codes = vec![position as u8, depth as u8];
            for layer in layers {
                let code = stage.layers.iter().position(|l| l.to_string() == layer);
                codes.push(code.ok_or_else(|| {
                    let known: Vec<String> = stage.layers.iter().map(Layer::to_string).collect();
                    format!("stage {} has no layer '{layer}', but {}", i + 1, known.join(", "))
                })? as u8);
            }
            codes.resize(stage.codes(), 0);
            all.extend(codes);
        }
        Ok(all)
    }
}

impl fmt::Debug for ChainSpace {
    /// Prints only the fields that define the space: files' fingerprints are of this text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainSpace")
            .field("stages", &self.stages)
            .field("skeleton", &self.skeleton)
            .finish()
    }
}

impl Family for ChainSpace {
    fn positions(&self) -> &[u8] {
        &self.positions
    }

    fn labels(&self) -> Vec<&str> {
        self.labels.iter().map(String::as_str).collect()
    }

    /// Makes a chain: for each stage its width, then its layers, with absent ones for those left out.
    fn graph(&self, arch: &Architecture, _: View) -> CellGraph {
        let label = |text: &str| self.labels.iter().position(|l| l == text).expect("a label") as u8;
        let mut nodes = vec![label("input")];
        for (stage, (width, layers)) in self.stages.iter().zip(self.layers(arch)) {
            nodes.push(label(&format!("w{width}")));
            nodes.extend(layers.iter().map(|l| label(&l.to_string())));
            nodes.extend((layers.len()..stage.deepest()).map(|_| label("absent")));
        }
        nodes.push(label("output"));
        CellGraph::chain(nodes)
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        let text = text.trim();
        let codes = self.codes_of(text);
        codes.map(Architecture::new).map_err(|why| SpaceError::text(space, text, why))
    }

    fn print(&self, arch: &Architecture) -> String {
        let stage = |(width, layers): (u16, Vec<Layer>)| {
            let layers: Vec<String> = layers.iter().map(Layer::to_string).collect();
            format!("w{width}:{}", layers.join(","))
        };
        self.layers(arch).into_iter().map(stage).collect::<Vec<_>>().join("/")
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        self.stages.iter().try_fold(1u128, |size, s| size.checked_mul(s.size()?))
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(&self.positions, codes)?;
        for (i, (stage, codes)) in self.split(codes).enumerate() {
            let depth = usize::from(stage.depth[usize::from(codes[1])]);
            if let Some(code) = codes[2 + depth..].iter().find(|&&c| c != 0) {
                let stage = i + 1;
                return Err(format!(
                    "stage {stage} has {depth} layers, but a code {code} after them"
                ));
            }
        }
        Ok(())
    }

    /// Reads the index as digits, one a stage, the first the slowest; in a stage width, then depth,
    /// then layers.
    fn at(&self, mut index: u128) -> Architecture {
        let mut stages = Vec::with_capacity(self.stages.len());
        for stage in self.stages.iter().rev() {
            let size = stage.size().expect("checked when the space was made");
            let mut rest = index % size;
            index /= size;
            let of_width = size / stage.width.len() as u128;
            let mut codes = vec![0; stage.codes()];
            codes[0] = (rest / of_width) as u8;
            rest %= of_width;
            let mut depth = 0;
            let of_depth = |d| stage.of_depth(d).expect("checked when the space was made");
            while rest >= of_depth(depth) {
                rest -= of_depth(depth);
                depth += 1;
            }
            codes[1] = depth as u8;
            let layers = stage.layers.len() as u128;
            for code in codes[2..2 + usize::from(stage.depth[depth])].iter_mut().rev() {
                *code = (rest % layers) as u8;
                rest /= layers;
            }
            stages.push(codes);
        }
        stages.reverse();
        Architecture::new(stages.concat())
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        let known = "checked when the space was made";
        Some(self.split(arch.codes()).fold(0, |index, (stage, codes)| {
            let size = stage.size().expect(known);
            let depth = usize::from(codes[1]);
            let before: u128 = (0..depth).map(|d| stage.of_depth(d).expect(known)).sum();
            let active = &codes[2..2 + usize::from(stage.depth[depth])];
            let count = stage.layers.len() as u128;
            let layers = active.iter().fold(0, |i, &c| i * count + u128::from(c));
            let of_width = size / stage.width.len() as u128;
            index * size + u128::from(codes[0]) * of_width + before + layers
        }))
    }

    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let all = independent::neighbours(&self.positions, arch.codes());
        // Making it canonical undoes a change of a layer that is left out.
        all.iter().map(|a| self.canonical(a)).filter(|a| a != arch).collect()
    }

    fn canonical(&self, arch: &Architecture) -> Architecture {
        let stage = |(stage, codes): (&Stage, &[u8])| {
            let depth = usize::from(stage.depth[usize::from(codes[1])]);
            let mut codes = codes.to_vec();
            codes[2 + depth..].fill(0);
            codes
        };
        Architecture::new(self.split(arch.codes()).flat_map(stage).collect::<Vec<u8>>())
    }

    fn live(&self, arch: &Architecture) -> Vec<bool> {
        let stage = |(stage, codes): (&Stage, &[u8])| {
            let depth = usize::from(stage.depth[usize::from(codes[1])]);
            (0..codes.len()).map(move |i| i < 2 + depth)
        };
        self.split(arch.codes()).flat_map(stage).collect()
    }

    fn max_nodes(&self) -> usize {
        2 + self.stages.iter().map(|s| 1 + s.deepest()).sum::<usize>()
    }

    fn chain(&self) -> Option<&ChainSpace> {
        Some(self)
    }
}
