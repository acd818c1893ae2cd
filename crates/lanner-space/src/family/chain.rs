//! Chains of stages of layers.

mod parts;

use std::fmt;

use super::Family;
use crate::{Architecture, CellGraph, SpaceError, View, independent};
pub use parts::{Block, ChainActivation, ChainSkeleton, Layer, Skip, Stage, Up};

/// Stages after each other; the layers of a stage have one width.
#[derive(Clone)]
pub struct ChainSpace {
    pub stages: Vec<Stage>,
    pub skeleton: ChainSkeleton,
    /// Heights and widths of the image to choose from; empty if that is fixed.
    pub resolutions: Vec<u16>,
    positions: Vec<u8>,
    /// Labels of nodes: layers and widths, then an absent layer, then the ends.
    labels: Vec<String>,
}

impl ChainSpace {
    /// Makes a chain of these stages, for images of one of these sizes; of none, of the skeleton's size.
    pub fn new(stages: Vec<Stage>, skeleton: ChainSkeleton, resolutions: Vec<u16>) -> ChainSpace {
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
            .chain(resolutions.iter().map(|r| format!("r{r}")))
            .collect();
        let first = (!resolutions.is_empty()).then_some(resolutions.len() as u8);
        let positions = first.into_iter().chain(stages.iter().flat_map(positions)).collect();
        ChainSpace { stages, skeleton, resolutions, positions, labels }
    }

    /// Returns the largest number of halvings of the image, of which sizes must be multiples where a stage
    /// doubles the resolution again; `None` if none does.
    pub fn multiple(&self) -> Option<usize> {
        self.stages.iter().any(|s| s.up.is_some()).then(|| {
            let mut halvings = self.skeleton.halvings();
            let deepest = self.stages.iter().map(|stage| {
                halvings += stage.halvings();
                halvings
            });
            1 << deepest.max().unwrap_or(0).max(self.skeleton.halvings()).clamp(0, 31)
        })
    }

    /// Returns the number of codes before those of the stages: that of the resolution.
    fn first(&self) -> usize {
        usize::from(!self.resolutions.is_empty())
    }

    /// Splits codes into stages and their codes.
    pub fn split<'a>(&'a self, codes: &'a [u8]) -> impl Iterator<Item = (&'a Stage, &'a [u8])> {
        let mut rest = &codes[self.first()..];
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
            let layer = |n: usize| {
                let code = codes[2 + if stage.tied { 0 } else { n }];
                stage.layers[usize::from(code)]
            };
            (stage.width[usize::from(codes[0])], (0..depth).map(layer).collect())
        };
        self.split(arch.codes()).map(stage).collect()
    }

    fn codes_of(&self, text: &str) -> Result<Vec<u8>, String> {
        let mut texts: Vec<&str> = text.split('/').collect();
        let mut all = Vec::new();
        if !self.resolutions.is_empty() {
            let first = texts.remove(0);
            let code = self.resolutions.iter().position(|r| format!("r{r}") == first);
            all.push(code.ok_or_else(|| {
                format!("it begins with '{first}', expected r and one of {:?}", self.resolutions)
            })? as u8);
        }
        if texts.len() != self.stages.len() {
            return Err(format!("{} stages, expected {}", texts.len(), self.stages.len()));
        }
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
            if stage.tied {
                if let Some(other) = codes[3..].iter().find(|c| **c != codes[2]) {
                    let other = stage.layers[usize::from(*other)];
                    return Err(format!(
                        "stage {} has a layer '{other}', but its layers are alike",
                        i + 1
                    ));
                }
                codes.truncate(3);
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
        let mut text = f.debug_struct("ChainSpace");
        text.field("stages", &self.stages).field("skeleton", &self.skeleton);
        if !self.resolutions.is_empty() {
            text.field("resolutions", &self.resolutions);
        }
        text.finish()
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
        if let Some(resolution) = self.resolution(arch) {
            nodes.push(label(&format!("r{resolution}")));
        }
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
        let stages = self.layers(arch).into_iter().map(stage).collect::<Vec<_>>().join("/");
        match self.resolution(arch) {
            Some(resolution) => format!("r{resolution}/{stages}"),
            None => stages,
        }
    }

    fn resolution(&self, arch: &Architecture) -> Option<usize> {
        let code = *arch.codes().first()?;
        self.resolutions.get(usize::from(code)).map(|&r| r.into())
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        let resolutions = self.resolutions.len().max(1) as u128;
        self.stages.iter().try_fold(resolutions, |size, s| size.checked_mul(s.size()?))
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(&self.positions, codes)?;
        for (i, (stage, codes)) in self.split(codes).enumerate() {
            let depth = stage.chosen(codes[1]);
            if let Some(code) = codes[2 + depth..].iter().find(|&&c| c != 0) {
                let stage = i + 1;
                return Err(format!(
                    "stage {stage} has {depth} layers, but a code {code} after them"
                ));
            }
        }
        Ok(())
    }

    /// Reads the index as digits, one for the resolution and one a stage, the first the slowest; in a stage
    /// width, then depth, then layers.
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
            for code in codes[2..2 + stage.chosen(depth as u8)].iter_mut().rev() {
                *code = (rest % layers) as u8;
                rest /= layers;
            }
            stages.push(codes);
        }
        if !self.resolutions.is_empty() {
            stages.push(vec![index as u8]);
        }
        stages.reverse();
        Architecture::new(stages.concat())
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        let known = "checked when the space was made";
        let first = if self.resolutions.is_empty() { 0 } else { arch.codes()[0].into() };
        Some(self.split(arch.codes()).fold(first, |index, (stage, codes)| {
            let size = stage.size().expect(known);
            let depth = usize::from(codes[1]);
            let before: u128 = (0..depth).map(|d| stage.of_depth(d).expect(known)).sum();
            let active = &codes[2..2 + stage.chosen(codes[1])];
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
            let active = 2 + stage.chosen(codes[1]);
            let mut codes = codes.to_vec();
            codes[active..].fill(0);
            codes
        };
        let first = arch.codes()[..self.first()].iter().copied();
        Architecture::new(
            first.chain(self.split(arch.codes()).flat_map(stage)).collect::<Vec<u8>>(),
        )
    }

    fn live(&self, arch: &Architecture) -> Vec<bool> {
        let stage = |(stage, codes): (&Stage, &[u8])| {
            let depth = stage.chosen(codes[1]);
            (0..codes.len()).map(move |i| i < 2 + depth)
        };
        let first = vec![true; self.first()];
        first.into_iter().chain(self.split(arch.codes()).flat_map(stage)).collect()
    }

    fn max_nodes(&self) -> usize {
        2 + self.first() + self.stages.iter().map(|s| 1 + s.deepest()).sum::<usize>()
    }

    fn chain(&self) -> Option<&ChainSpace> {
        Some(self)
    }
}
