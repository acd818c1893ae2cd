//! What a network consists of, and what it would cost on simple simulated devices: encodings that
//! need no measurement and teach a predictor which combinations of costs are plausible.

use lanner_network::{Network, Op, Skeleton};
use lanner_space::{Architecture, Space, View, nasbench201};
use rayon::prelude::*;

use crate::linalg::Mat;

/// What a layer does, as far as devices treat it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Conv,
    Depthwise,
    Pool,
    Shuffle,
    Add,
}

/// The analytic costs of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layer {
    kind: Kind,
    /// Multiply-accumulates (of a pooling, additions).
    macs: f64,
    /// Values read and written.
    elements: f64,
    weights: f64,
}

/// A device that runs one layer after the other, each bound by arithmetic, by memory, or by the
/// time that it takes to start a layer (the roofline model; Williams et al. 2009). Units are
/// multiply-accumulates of a dense convolution.
#[derive(Debug, Clone, Copy)]
struct Device {
    start: f64,
    /// Multiply-accumulates in the time in which one value is moved.
    balance: f64,
    /// How much slower depthwise convolutions and poolings compute.
    light: f64,
}

impl Device {
    fn family() -> Vec<Device> {
        let mut all = Vec::new();
        for start in [0.0, 2e4, 1e5, 5e5, 2e6] {
            for balance in [1.0, 8.0, 32.0] {
                all.extend([1.0, 8.0].map(|light| Device { start, balance, light }));
            }
        }
        all
    }

    fn time(&self, layer: &Layer) -> f64 {
        let light = matches!(layer.kind, Kind::Depthwise | Kind::Pool);
        let compute = layer.macs * if light { self.light } else { 1.0 };
        self.start.max(compute).max(self.balance * (layer.elements + layer.weights))
    }
}

/// The chosen layers of one architecture, for the spaces in which these are known without building
/// its network: NAS-Bench-201 and FBNet, of which whole tables are asked for.
fn layers(space: &Space, codes: &[u8]) -> Option<Vec<Layer>> {
    match space {
        Space::NasBench201 => Some(cell(codes)),
        Space::Fbnet => Some(chain(codes)),
        _ => None,
    }
}

/// One cell at each of the three resolutions of NAS-Bench-201, dead operations as `none`.
fn cell(codes: &[u8]) -> Vec<Layer> {
    let mut all = Vec::new();
    for (channels, side) in [(16.0, 32.0), (32.0, 16.0), (64.0, 8.0)] {
        let plane: f64 = channels * side * side;
        for &code in codes {
            let (kind, macs, weights) = match code {
                2 => (Kind::Conv, channels * plane, channels * channels),
                3 => (Kind::Conv, 9.0 * channels * plane, 9.0 * channels * channels),
                4 => (Kind::Pool, 9.0 * plane, 0.0),
                _ => continue,
            };
            all.push(Layer { kind, macs, elements: 2.0 * plane, weights });
        }
        for node in 1..4 {
            let terms = (nasbench201::EDGES.iter().zip(codes))
                .filter(|(edge, code)| edge.1 == node && **code != nasbench201::NONE)
                .count();
            let add = Layer { kind: Kind::Add, macs: 0.0, elements: 3.0 * plane, weights: 0.0 };
            all.extend((1..terms).map(|_| add));
        }
    }
    all
}

/// Output channels and stride of FBNet's layers, behind a stem of 16 channels and 32 pixels: the
/// network that HW-NAS-Bench and HELP measured. Costs agree with its published FLOPs.
const FBNET: [(f64, f64); 22] = [
    (16., 1.),
    (24., 1.),
    (24., 1.),
    (24., 1.),
    (24., 1.),
    (32., 2.),
    (32., 1.),
    (32., 1.),
    (32., 1.),
    (64., 2.),
    (64., 1.),
    (64., 1.),
    (64., 1.),
    (112., 1.),
    (112., 1.),
    (112., 1.),
    (112., 1.),
    (184., 2.),
    (184., 1.),
    (184., 1.),
    (184., 1.),
    (352., 1.),
];
/// Kernel, expansion and groups of FBNet's blocks; the code after them is the skip.
const BLOCKS: [(f64, f64, f64); 8] = [
    (3., 1., 1.),
    (3., 1., 2.),
    (3., 3., 1.),
    (3., 6., 1.),
    (5., 1., 1.),
    (5., 1., 2.),
    (5., 3., 1.),
    (5., 6., 1.),
];

fn chain(codes: &[u8]) -> Vec<Layer> {
    let mut all = Vec::new();
    let (mut from, mut side) = (16.0, 32.0);
    for (&(to, stride), &code) in FBNET.iter().zip(codes) {
        let after = side / stride;
        let (before, behind): (f64, f64) = (side * side, after * after);
        let same = from == to && stride == 1.0;
        match BLOCKS.get(usize::from(code)) {
            Some(&(kernel, expansion, groups)) => {
                let inner = from * expansion;
                all.push(Layer {
                    kind: Kind::Conv,
                    macs: from * inner * before / groups,
                    elements: (from + inner) * before,
                    weights: from * inner / groups,
                });
                if groups > 1.0 {
                    let elements = 2.0 * inner * before;
                    all.push(Layer { kind: Kind::Shuffle, macs: 0.0, elements, weights: 0.0 });
                }
                all.push(Layer {
                    kind: Kind::Depthwise,
                    macs: kernel * kernel * inner * behind,
                    elements: inner * (before + behind),
                    weights: kernel * kernel * inner,
                });
                all.push(Layer {
                    kind: Kind::Conv,
                    macs: inner * to * behind / groups,
                    elements: (inner + to) * behind,
                    weights: inner * to / groups,
                });
                if same {
                    let elements = 3.0 * to * behind;
                    all.push(Layer { kind: Kind::Add, macs: 0.0, elements, weights: 0.0 });
                }
            }
            None if same => {}
            None => all.push(Layer {
                kind: Kind::Conv,
                macs: from * to * behind,
                elements: from * before + to * behind,
                weights: from * to,
            }),
        }
        (from, side) = (to, after);
    }
    all
}

/// The layers of a whole network. What follows a convolution at no cost of its own in a deployed
/// network (batch norm, activation) is left out.
fn of_network(network: &Network) -> Vec<Layer> {
    let mut all = Vec::new();
    for layer in &network.layers {
        let shapes = network.input_shapes(layer);
        let read: f64 = shapes.iter().map(|s| s.len() as f64).sum();
        let out = layer.shape.len() as f64;
        let window = |kernel: usize| (kernel * kernel) as f64;
        let (kind, macs, weights) = match layer.op {
            Op::Conv(c) => {
                let inputs = shapes.first().map_or(1, |s| s.channels);
                let kernel = (inputs / c.groups.max(1)) as f64 * window(c.kernel);
                let light = c.groups > 1 && c.groups == inputs;
                let kind = if light { Kind::Depthwise } else { Kind::Conv };
                (kind, kernel * out, kernel * c.out_channels as f64)
            }
            Op::Linear { .. } => (Kind::Conv, read * out, read * out),
            Op::MaxPool(pool) | Op::AvgPool { pool, .. } => {
                (Kind::Pool, window(pool.kernel) * out, 0.0)
            }
            Op::GlobalAvgPool => (Kind::Pool, read, 0.0),
            Op::Add | Op::Mul if layer.inputs.len() > 1 => (Kind::Add, 0.0, 0.0),
            Op::Concat | Op::ChannelShuffle { .. } | Op::Slice { .. } | Op::Shift => {
                (Kind::Shuffle, 0.0, 0.0)
            }
            _ => continue,
        };
        all.push(Layer { kind, macs, elements: read + out, weights });
    }
    all
}

/// The codes of an architecture, with dead choices (of spaces that have them) as the first code.
pub(super) fn codes(space: &Space, arch: &Architecture, live: bool) -> Vec<u8> {
    let codes = arch.codes().to_vec();
    if !live || *space != Space::NasBench201 {
        return codes;
    }
    codes
        .into_iter()
        .zip(space.live(arch))
        .map(|(code, live)| if live { code } else { 0 })
        .collect()
}

/// Times on the family of simulated devices, p × 30; `None` for spaces whose layers are not known.
pub(super) fn simulated(space: &Space, archs: &[Architecture], live: bool) -> Option<Mat> {
    let family = Device::family();
    let mut data = Vec::with_capacity(archs.len() * family.len());
    for arch in archs {
        let layers = layers(space, &codes(space, arch, live))?;
        data.extend(family.iter().map(|d| layers.iter().map(|l| d.time(l)).sum::<f64>()));
    }
    Some(Mat { rows: archs.len(), cols: family.len(), data })
}

/// How many layers of each kind a network has, and their multiply-accumulates, values moved and
/// weights.
fn total(layers: &[Layer]) -> [f64; 8] {
    let of = |kind: Kind| layers.iter().filter(move |l| l.kind == kind);
    let count = |kind| of(kind).count() as f64;
    let macs = |kind| of(kind).map(|l| l.macs).sum::<f64>();
    [
        count(Kind::Conv),
        count(Kind::Depthwise),
        count(Kind::Shuffle),
        count(Kind::Add),
        macs(Kind::Conv),
        macs(Kind::Depthwise),
        layers.iter().map(|l| l.elements).sum(),
        layers.iter().map(|l| l.weights).sum(),
    ]
}

/// The totals of FBNet's networks, p × 8; `None` for other spaces.
pub(crate) fn totals(space: &Space, archs: &[Architecture]) -> Option<Mat> {
    if *space != Space::Fbnet {
        return None;
    }
    let mut data = Vec::with_capacity(archs.len() * 8);
    for arch in archs {
        data.extend(total(&layers(space, arch.codes())?));
    }
    Some(Mat { rows: archs.len(), cols: 8, data })
}

/// Of the spaces whose networks must be built for it: totals (p × 9) and times on the family of
/// simulated devices (p × 30), at the published size. `None` for NAS-Bench-201 and FBNet, and where a
/// network cannot be built.
pub(super) fn of_networks(space: &Space, archs: &[Architecture], view: View) -> Option<[Mat; 2]> {
    if matches!(space, Space::NasBench201 | Space::Fbnet) {
        return None;
    }
    let skeleton = Skeleton::of(space).ok()?;
    let family = Device::family();
    let rows: Option<Vec<(Vec<f64>, Vec<f64>)>> = archs
        .par_iter()
        .map(|arch| {
            let layers = of_network(&skeleton.build(arch, view).ok()?);
            let mut totals = total(&layers).to_vec();
            totals.push(layers.iter().filter(|l| l.kind == Kind::Pool).count() as f64);
            let times =
                family.iter().map(|d| layers.iter().map(|l| d.time(l)).sum::<f64>()).collect();
            Some((totals, times))
        })
        .collect();
    let (totals, times): (Vec<_>, Vec<_>) = rows?.into_iter().unzip();
    Some([totals, times].map(|rows: Vec<Vec<f64>>| {
        let cols = rows.first().map_or(0, Vec::len);
        Mat { rows: rows.len(), cols, data: rows.concat() }
    }))
}

/// Logarithms of multiply-accumulates and of weights of the chosen layers, p × 2.
pub(super) fn log_size(space: &Space, archs: &[Architecture]) -> Option<Mat> {
    let totals = totals(space, archs)?;
    Some(Mat::from_fn(archs.len(), 2, |i, j| match j {
        0 => (totals[(i, 4)] + totals[(i, 5)]).ln(),
        _ => totals[(i, 7)].ln(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published FLOPs of HELP's networks 0 and 1 less those of a network of skips differ by what
    /// these layers have, but for batch norms (2 a value) and ReLUs (1 a value).
    #[test]
    fn a_block_has_the_published_costs() {
        // Layer 0, k3_e1: the table's FLOPs exceed those of a skip by 786,432, of which 7 a value
        // of 16 × 32 × 32 are batch norms and ReLUs.
        let skip = chain(&[8; 22]);
        let mut codes = [8; 22];
        codes[0] = 0;
        let block = chain(&codes);
        let macs = |layers: &[Layer]| layers.iter().map(|l| l.macs).sum::<f64>();
        assert_eq!(macs(&block) - macs(&skip), 786_432.0 - 7.0 * 16.0 * 1024.0);
        codes[0] = 1;
        assert_eq!(macs(&chain(&codes)) - macs(&skip), 524_288.0 - 7.0 * 16.0 * 1024.0);
        // Identities cost nothing, the five changes of shape a convolution each.
        assert_eq!(skip.len(), 6);
    }

    #[test]
    fn dead_operations_cost_in_the_raw_cell_only() {
        let space = Space::NasBench201;
        let arch = [space.parse("013234").unwrap()];
        let raw = simulated(&space, &arch, false).unwrap();
        let live = simulated(&space, &arch, true).unwrap();
        assert!(raw.data.iter().zip(&live.data).all(|(r, l)| r > l));
        assert!(simulated(&Space::Darts, &arch, false).is_none());
    }
}
