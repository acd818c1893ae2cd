//! What a network costs, where its architecture tells more of it than counts of operations do.

use lanner_space::{Architecture, Space, transbench101_macro};

use super::cell::Cell;
use super::operation::{Kind, Operations};
use crate::regress::linalg::Mat;

/// Log multiply-accumulates and log parameters (p × 2) of networks that change their channels and
/// resolution as the architecture says; no columns for other spaces.
pub(super) fn log_costs(space: &Space, archs: &[Architecture]) -> Mat {
    match space {
        Space::TransBench101Macro => {
            let costs = archs.iter().map(macro_cost);
            let data = costs.flat_map(|(flops, params)| [flops.ln(), params.ln()]).collect();
            Mat { rows: archs.len(), cols: 2, data }
        }
        _ => Mat::zeros(archs.len(), 0),
    }
}

/// Log multiply-accumulates up to a constant, by which networks of one space compare: of the
/// published network where there is a formula, else an estimate from the operations of the cells.
pub fn log_flops(space: &Space, archs: &[Architecture]) -> Vec<f64> {
    if let Some(flops) = archs.iter().map(|a| space.flops_and_params(a)).collect::<Option<Vec<_>>>()
    {
        // FLOPs of a network with nothing but a head may round to zero.
        return flops.iter().map(|f| f.0.max(1e-9).ln()).collect();
    }
    let costs = log_costs(space, archs);
    if costs.cols > 0 {
        return (0..costs.rows).map(|i| costs[(i, 0)]).collect();
    }
    let operations = Operations::new(space);
    let worth = |label: u8| match operations.kind(label) {
        Kind::Learned { kernel } => f64::from(kernel).powi(2),
        _ => 0.0,
    };
    let of = |arch: &Architecture| -> f64 {
        let cells = Cell::all(&operations, space, arch);
        let sum = |c: &Cell| c.operations().map(|v| worth(c.labels[v])).sum::<f64>();
        // The stem and head of a network without operations cost something too.
        (1.0 + cells.iter().map(sum).sum::<f64>()).ln()
    };
    archs.iter().map(of).collect()
}

/// Of the modules of a TransNAS-Bench-101 macro network, in units of a 3×3 convolution of the first
/// module's channels at its resolution: two residual blocks each, the first of which changes
/// channels and resolution and projects its shortcut when it does.
fn macro_cost(arch: &Architecture) -> (f64, f64) {
    let (mut channels, mut pixels) = (1.0, 1.0);
    let (mut flops, mut params) = (0.0, 0.0);
    for &code in arch.codes() {
        let (wide, small) = (transbench101_macro::doubles(code), transbench101_macro::halves(code));
        let before = channels;
        channels *= if wide { 2.0 } else { 1.0 };
        pixels *= if small { 0.25 } else { 1.0 };
        let shortcut = if wide || small { before * channels / 9.0 } else { 0.0 };
        let weights = before * channels + 3.0 * channels * channels + shortcut;
        flops += weights * pixels;
        params += weights;
    }
    (flops, params)
}
