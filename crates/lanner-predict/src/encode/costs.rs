//! Costs of a network before anything is measured: its number of layers of each kind, and its times
//! on simple simulated devices. Both mean the same in every space, and teach a predictor which
//! combinations of costs are plausible.

mod layers;

use std::sync::Arc;

use lanner_network::OpNode;
use lanner_space::{Architecture, Space, View};
use rayon::prelude::*;

use super::memo;
use crate::Pool;
use crate::regress::linalg::Mat;
use layers::{Layer, LayerKind};

/// A device that runs one layer after the other, each bound by arithmetic, by memory, or by the
/// time that it takes to start a layer (the roofline model; Williams et al. 2009). Units are
/// multiply-accumulates of a dense convolution.
#[derive(Debug, Clone, Copy)]
struct Device {
    start: f64,
    /// Multiply-accumulates in the time in which one value is moved.
    balance: f64,
    /// Slowdown of the arithmetic of depthwise convolutions and poolings.
    light: f64,
}

impl Device {
    /// Devices from those for which only arithmetic counts to those for which only the number of
    /// layers does.
    fn family() -> Vec<Device> {
        let mut all = Vec::new();
        for start in [0.0, 2e4, 1e5, 5e5, 2e6, 1e7, 5e7] {
            for balance in [1.0, 8.0, 32.0] {
                all.extend([1.0, 8.0].map(|light| Device { start, balance, light }));
            }
        }
        all
    }

    fn time(&self, layer: &Layer) -> f64 {
        let light = matches!(layer.kind, LayerKind::Depthwise | LayerKind::Pool);
        let compute = layer.macs * if light { self.light } else { 1.0 };
        self.start.max(compute).max(self.balance * (layer.elements + layer.weights))
    }
}

/// Costs of architectures, a row each.
///
/// Networks have the published skeleton of the space but one cell a stage (of DARTS six cells), and batch
/// norms and activations as parts of the convolutions before them; of FBNet it is the smaller network
/// whose latencies were published.
#[derive(Debug, Clone)]
pub struct AnalyticCosts {
    /// Numbers of convolutions, depthwise ones, rearrangements, sums and poolings; their
    /// multiply-accumulates, dense and depthwise; values moved; weights (p × 9).
    pub totals: Mat,
    /// Times on a family of simulated devices (p × 42).
    pub times: Mat,
}

/// Costs of all operations of the texts and, in spaces whose texts have operations that lead nowhere, of
/// the live ones.
pub type RawAndLive = (AnalyticCosts, Option<AnalyticCosts>);

impl memo::Rows for RawAndLive {
    fn matrices(&self) -> Vec<&Mat> {
        [Some(&self.0), self.1.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|c| [&c.totals, &c.times])
            .collect()
    }

    fn from_matrices(matrices: Vec<Mat>) -> RawAndLive {
        let mut matrices = matrices.into_iter();
        let mut next = || Some(AnalyticCosts { totals: matrices.next()?, times: matrices.next()? });
        (next().expect("costs of all operations"), next())
    }
}

/// Kinds of layers that are counted.
const KINDS: [LayerKind; 5] =
    [LayerKind::Conv, LayerKind::Depthwise, LayerKind::Shuffle, LayerKind::Add, LayerKind::Pool];

impl AnalyticCosts {
    /// Costs of all that the text says, or of what is live: without operations that lead nowhere.
    /// A row of an architecture that makes no network is zero. A space of parameters has no network, and no
    /// columns, unless it is of transformers.
    pub fn new(space: &Space, archs: &[Architecture], live: bool) -> AnalyticCosts {
        if space.parameters().is_some() && space.stages().is_none() {
            let none = || Mat::zeros(archs.len(), 0);
            return AnalyticCosts { totals: none(), times: none() };
        }
        let family = Device::family();
        let view = if live { View::Pruned } else { View::Raw };
        let (totals, times): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (archs.par_iter())
            .map(|arch| {
                let layers = layers::of(space, arch, view).unwrap_or_default();
                let time = |d: &Device| layers.iter().map(|l| d.time(l)).sum();
                (totals(&layers), family.iter().map(time).collect())
            })
            .unzip();
        let rows = archs.len();
        let matrix = |rows_of: Vec<Vec<f64>>, cols| Mat { rows, cols, data: rows_of.concat() };
        AnalyticCosts {
            totals: matrix(totals, KINDS.len() + 4),
            times: matrix(times, family.len()),
        }
    }

    /// Costs of all operations of the texts and, where some lead nowhere, of the live ones.
    pub fn raw_and_live(space: &Space, archs: &[Architecture]) -> RawAndLive {
        let of = |live| AnalyticCosts::new(space, archs, live);
        (of(false), shows_dead(space).then(|| of(true)))
    }

    /// Costs of a pool's architectures.
    pub(crate) fn of_pool(pool: &Pool) -> Arc<RawAndLive> {
        let slot = pool.memo.as_ref().map(|memo| &*memo.costs);
        memo::features(slot, pool, |archs| AnalyticCosts::raw_and_live(&pool.space, archs))
    }

    /// Logarithms of multiply-accumulates and of weights, p × 2.
    pub fn log_size(&self) -> Mat {
        let totals = &self.totals;
        if totals.cols == 0 {
            return totals.clone();
        }
        // A network without any layer has neither.
        let log = |v: f64| v.max(1.0).ln();
        Mat::from_fn(totals.rows, 2, |i, j| match j {
            0 => log(totals[(i, 5)] + totals[(i, 6)]),
            _ => log(totals[(i, 8)]),
        })
    }
}

/// Tells whether texts of a space can have operations that lead nowhere.
pub(crate) fn shows_dead(space: &Space) -> bool {
    space.cell().is_some()
}

/// Times of an operation on the family of simulated devices.
pub(crate) fn times_of(op: &OpNode) -> Vec<f64> {
    let layer = Layer::of_operation(op);
    Device::family().iter().map(|device| device.time(&layer)).collect()
}

fn totals(layers: &[Layer]) -> Vec<f64> {
    let of = |kind: LayerKind| layers.iter().filter(move |l| l.kind == kind);
    let macs = |kind| of(kind).map(|l| l.macs).sum::<f64>();
    let mut row: Vec<f64> = KINDS.iter().map(|&kind| of(kind).count() as f64).collect();
    row.extend([
        macs(LayerKind::Conv),
        macs(LayerKind::Depthwise),
        layers.iter().map(|l| l.elements).sum(),
        layers.iter().map(|l| l.weights).sum(),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_operations_cost_in_the_raw_cell_only() {
        let space = Space::NasBench201;
        let arch = [space.parse("013234").unwrap()];
        let raw = AnalyticCosts::new(&space, &arch, false).times;
        let live = AnalyticCosts::new(&space, &arch, true).times;
        assert!(raw.data.iter().zip(&live.data).all(|(r, l)| r > l));
    }

    #[test]
    fn transformers_have_the_costs_of_their_blocks() {
        for space in Space::ALL.iter().filter(|space| space.stages().is_some()) {
            let archs = [space.sample(&mut lanner_nn::rng(1, "costs"))];
            let (macs, params) = space.flops_and_params(&archs[0]).unwrap();
            let row = AnalyticCosts::new(space, &archs, false).totals;
            assert!((row[(0, 5)] + row[(0, 6)] - 1e6 * macs).abs() < 1e-6 * 1e6 * macs, "{space}");
            assert!(row[(0, 8)] <= 1e6 * params && row[(0, 0)] > 10.0, "{space}");
        }
    }

    /// Against the costs that the network itself states.
    #[test]
    fn every_space_has_the_costs_of_its_networks() {
        use lanner_network::{Cost, Skeleton};
        for name in Space::NAMES {
            let space = Space::by_name(name).unwrap();
            if space.stages().is_some() {
                continue;
            }
            let published = Skeleton::of(&space).unwrap();
            // The measured FBNet is smaller than the published one.
            let resized = Skeleton { channels: 48, classes: 7, ..published.clone() }.sized_space();
            let spaces = [published.space, resized];
            for space in spaces.iter().filter(|s| **s != Space::Fbnet || s.is_resized()) {
                let mut rng = lanner_nn::rng(1, "costs");
                let archs: Vec<Architecture> = (0..5).map(|_| space.sample(&mut rng)).collect();
                let ours = AnalyticCosts::new(space, &archs, false);
                for (i, arch) in archs.iter().enumerate() {
                    let network = layers::skeleton(space).unwrap().build(arch, View::Raw).unwrap();
                    let macs = Cost::of(&network).macs as f64;
                    let row = ours.totals.row(i);
                    assert_eq!(row[5] + row[6], macs, "{name}");
                    // The device that starts for nothing and moves at once is bound by arithmetic.
                    assert!(ours.times.row(i).iter().all(|t| *t >= macs), "{name}");
                }
            }
        }
    }
}
