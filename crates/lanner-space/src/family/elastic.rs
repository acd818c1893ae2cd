//! Chains of stages whose layers have one width, as in Once-for-All.

use super::Family;
use crate::{Architecture, CellGraph, SpaceError, View, independent, literal::Literal};

const STAGES: usize = 5;
/// Largest number of layers in a stage.
const DEPTH: usize = 4;
const LAYERS: usize = STAGES * DEPTH;
const DEPTHS: [u8; 3] = [2, 3, 4];
const KERNELS: [u8; 3] = [3, 5, 7];
const EXPANSIONS: [u8; 3] = [3, 4, 6];
/// Number of resolutions: from 128 to 224 pixels, in steps of 4.
const RESOLUTIONS: u8 = 25;

/// Returns the resolution for a code, pixels.
fn resolution(code: u8) -> usize {
    128 + 4 * usize::from(code)
}

/// Places of the first code of the depths, kernels and expansions.
const FIRST_DEPTH: usize = 1;
const FIRST_KERNEL: usize = FIRST_DEPTH + STAGES;
const FIRST_EXPANSION: usize = FIRST_KERNEL + LAYERS;

const POSITIONS: [u8; FIRST_EXPANSION + LAYERS] = {
    let mut positions = [3; FIRST_EXPANSION + LAYERS];
    positions[0] = RESOLUTIONS;
    positions
};

/// Labels of nodes: layers by kernel and expansion, an absent layer, the ends.
const LABELS: [&str; 36] = [
    "k3_e3",
    "k3_e4",
    "k3_e6",
    "k5_e3",
    "k5_e4",
    "k5_e6",
    "k7_e3",
    "k7_e4",
    "k7_e6",
    "absent",
    "output",
    "input_128",
    "input_132",
    "input_136",
    "input_140",
    "input_144",
    "input_148",
    "input_152",
    "input_156",
    "input_160",
    "input_164",
    "input_168",
    "input_172",
    "input_176",
    "input_180",
    "input_184",
    "input_188",
    "input_192",
    "input_196",
    "input_200",
    "input_204",
    "input_208",
    "input_212",
    "input_216",
    "input_220",
    "input_224",
];
const ABSENT: u8 = 9;

/// Number of architectures of a stage: the sum of 9^depth over its depths.
const OF_STAGE: u128 = 81 + 729 + 6561;
/// Number of architectures: 25 · 7371⁵ ≈ 5.4 · 10²⁰.
const SIZE: u128 = RESOLUTIONS as u128 * OF_STAGE.pow(STAGES as u32);

/// Tells whether a layer (0 to 19) is there.
fn is_active(arch: &Architecture, layer: usize) -> bool {
    layer % DEPTH < usize::from(DEPTHS[usize::from(arch.codes()[FIRST_DEPTH + layer / DEPTH])])
}

/// Once-for-All's stages: each has a depth, each layer has a kernel and an expansion, and all share
/// one resolution.
///
/// Codes: the resolution (0 to 24 for 128, 132, … 224), the depth of each stage (0 to 2 for 2 to 4),
/// the kernel of each of the 20 layers (0 to 2 for 3, 5, 7), and the expansion of each (0 to 2 for 3,
/// 4, 6). A stage that is less deep leaves its last layers out: their codes are 0.
///
/// Texts: Once-for-All's own `{"ks": [3, …], "e": [4, …], "d": [2, …], "r": [224]}`, or the resolution
/// and the layers of each stage, with kernel and expansion of each layer
/// (`224:33,56/33,33,74/33,33/33,33/33,33`). The index counts by resolution, then by stages, the first
/// the slowest; in a stage by depth, then by the layers' kernels and expansions.
#[derive(Debug)]
pub struct ElasticStages;

impl Family for ElasticStages {
    fn positions(&self) -> &[u8] {
        &POSITIONS
    }

    fn labels(&self) -> Vec<&str> {
        LABELS.to_vec()
    }

    /// Makes a chain of the 20 layers between an input that tells its resolution and the output;
    /// absent layers keep their places.
    fn graph(&self, arch: &Architecture, _: View) -> CellGraph {
        let codes = arch.codes();
        let mut labels = vec![ABSENT + 2 + codes[0]];
        labels.extend((0..LAYERS).map(|layer| match is_active(arch, layer) {
            true => 3 * codes[FIRST_KERNEL + layer] + codes[FIRST_EXPANSION + layer],
            false => ABSENT,
        }));
        labels.push(ABSENT + 1);
        CellGraph::chain(labels)
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        let text = text.trim();
        let fail = |why| SpaceError::text(space, text, why);
        let codes = if Literal::opens(text) {
            parse_dict(&Literal::parse(text).map_err(fail)?)
        } else {
            parse_short(text)
        };
        Ok(self.canonical(&Architecture::new(codes.map_err(fail)?)))
    }

    fn print(&self, arch: &Architecture) -> String {
        let list = |codes: &[u8], values: [u8; 3]| {
            let values = codes.iter().map(|&c| values[usize::from(c)].to_string());
            values.collect::<Vec<_>>().join(", ")
        };
        let codes = arch.codes();
        format!(
            "{{\"ks\": [{}], \"e\": [{}], \"d\": [{}], \"r\": [{}]}}",
            list(&codes[FIRST_KERNEL..FIRST_EXPANSION], KERNELS),
            list(&codes[FIRST_EXPANSION..], EXPANSIONS),
            list(&codes[FIRST_DEPTH..FIRST_KERNEL], DEPTHS),
            resolution(codes[0])
        )
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        Some(SIZE)
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(&POSITIONS, codes)?;
        let arch = Architecture::new(codes);
        let absent = (0..LAYERS).filter(|&layer| !is_active(&arch, layer));
        for layer in absent {
            for first in [FIRST_KERNEL, FIRST_EXPANSION] {
                if codes[first + layer] != 0 {
                    return Err(format!(
                        "position {} is of a layer that its stage has not: {}, expected 0",
                        first + layer,
                        codes[first + layer]
                    ));
                }
            }
        }
        Ok(())
    }

    fn at(&self, mut index: u128) -> Architecture {
        let mut codes = vec![0; POSITIONS.len()];
        for stage in (0..STAGES).rev() {
            let mut of_stage = index % OF_STAGE;
            index /= OF_STAGE;
            let mut depth = 0;
            while of_stage >= 9u128.pow(DEPTHS[depth].into()) {
                of_stage -= 9u128.pow(DEPTHS[depth].into());
                depth += 1;
            }
            codes[FIRST_DEPTH + stage] = depth as u8;
            for layer in (0..usize::from(DEPTHS[depth])).rev() {
                codes[FIRST_EXPANSION + DEPTH * stage + layer] = (of_stage % 3) as u8;
                codes[FIRST_KERNEL + DEPTH * stage + layer] = (of_stage / 3 % 3) as u8;
                of_stage /= 9;
            }
        }
        codes[0] = index as u8;
        Architecture::new(codes)
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        let codes = arch.codes();
        Some((0..STAGES).fold(u128::from(codes[0]), |index, stage| {
            let depth = usize::from(codes[FIRST_DEPTH + stage]);
            let before: u128 = DEPTHS[..depth].iter().map(|&d| 9u128.pow(d.into())).sum();
            let layers = DEPTH * stage..DEPTH * stage + usize::from(DEPTHS[depth]);
            let layer = |l: usize| 3 * codes[FIRST_KERNEL + l] + codes[FIRST_EXPANSION + l];
            let of_stage = layers.fold(0, |i, l| 9 * i + u128::from(layer(l)));
            index * OF_STAGE + before + of_stage
        }))
    }

    /// Returns the architectures with another resolution, another depth of one stage, or another
    /// kernel or expansion of one layer that is there. Layers that a deeper stage gains have code 0.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let all = independent::neighbours(&POSITIONS, arch.codes());
        // Making it canonical undoes a change of an absent layer.
        all.iter().map(|a| self.canonical(a)).filter(|a| a != arch).collect()
    }

    /// Sets the codes of layers that are not there to 0.
    fn canonical(&self, arch: &Architecture) -> Architecture {
        let mut codes = arch.codes().to_vec();
        for layer in (0..LAYERS).filter(|&layer| !is_active(arch, layer)) {
            codes[FIRST_KERNEL + layer] = 0;
            codes[FIRST_EXPANSION + layer] = 0;
        }
        Architecture::new(codes)
    }

    /// Tells for each position whether it is of a layer that is there.
    fn live(&self, arch: &Architecture) -> Vec<bool> {
        let active = |i: usize| i < FIRST_KERNEL || is_active(arch, (i - FIRST_KERNEL) % LAYERS);
        (0..POSITIONS.len()).map(active).collect()
    }

    fn max_nodes(&self) -> usize {
        LAYERS + 2
    }

    fn resolution(&self, arch: &Architecture) -> Option<usize> {
        Some(resolution(arch.codes()[0]))
    }
}

/// Returns the code of a value, or an error with the expected values.
fn code_of(what: &str, place: usize, values: [u8; 3], value: u8) -> Result<u8, String> {
    let code = values.iter().position(|&v| v == value);
    code.map(|c| c as u8)
        .ok_or_else(|| format!("{what} {} is {value}, expected one of {values:?}", place + 1))
}

fn code_of_resolution(pixels: u8) -> Result<u8, String> {
    match (0..RESOLUTIONS).find(|&c| resolution(c) == usize::from(pixels)) {
        Some(code) => Ok(code),
        None => Err(format!("the resolution is {pixels}, expected 128, 132, … 224")),
    }
}

fn parse_dict(dict: &Literal) -> Result<Vec<u8>, String> {
    let mut codes = Vec::with_capacity(POSITIONS.len());
    let numbers = |name: &str, count: usize| {
        let value = dict.get(name).ok_or(format!("there is no '{name}'"))?;
        let numbers = value.codes().or_else(|| Some(vec![value.code()?]));
        match numbers {
            Some(numbers) if numbers.len() == count => Ok(numbers),
            _ => Err(format!("'{name}' is not a list of {count} numbers")),
        }
    };
    codes.push(code_of_resolution(numbers("r", 1)?[0])?);
    let lists = [("d", STAGES, DEPTHS), ("ks", LAYERS, KERNELS), ("e", LAYERS, EXPANSIONS)];
    for (name, count, values) in lists {
        for (i, value) in numbers(name, count)?.into_iter().enumerate() {
            codes.push(code_of(&format!("'{name}'"), i, values, value)?);
        }
    }
    Ok(codes)
}

fn parse_short(text: &str) -> Result<Vec<u8>, String> {
    let example = "expected 224:33,56/33,33,74/33,33/33,33/33,33";
    let (pixels, stages) = text.split_once(':').ok_or(example)?;
    let mut codes = vec![0; POSITIONS.len()];
    codes[0] = code_of_resolution(pixels.parse().map_err(|_| example)?)?;
    let stages: Vec<&str> = stages.split('/').collect();
    if stages.len() != STAGES {
        return Err(format!("{} stages, {example}", stages.len()));
    }
    for (stage, layers) in stages.iter().enumerate() {
        let layers: Vec<&str> = layers.split(',').collect();
        let depth = u8::try_from(layers.len()).unwrap_or(u8::MAX);
        codes[FIRST_DEPTH + stage] = code_of("the depth of stage", stage, DEPTHS, depth)?;
        for (i, layer) in layers.iter().enumerate() {
            let at = DEPTH * stage + i;
            let &[kernel, expansion] = layer.as_bytes() else {
                return Err(format!("layer '{layer}' of stage {}, {example}", stage + 1));
            };
            let digit = |b: u8| b.wrapping_sub(b'0');
            codes[FIRST_KERNEL + at] = code_of("the kernel of layer", at, KERNELS, digit(kernel))?;
            codes[FIRST_EXPANSION + at] =
                code_of("the expansion of layer", at, EXPANSIONS, digit(expansion))?;
        }
    }
    Ok(codes)
}
