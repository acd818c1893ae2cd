//! Costs of networks, where the architecture tells more of them than counts of operations do.

use lanner_space::{Architecture, Space};

use super::cell::Cell;
use super::operation::{OperationKind, Operations};
use crate::regress::linalg::Mat;

/// Log multiply-accumulates and log parameters (p × 2) of networks that change their channels and
/// resolution as the architecture says; no columns for other spaces.
pub(super) fn log_costs(space: &Space, archs: &[Architecture]) -> Mat {
    let costs: Vec<(f64, f64)> = archs.iter().map_while(|a| space.relative_costs(a)).collect();
    if costs.is_empty() || costs.len() < archs.len() {
        return Mat::zeros(archs.len(), 0);
    }
    let data = costs.iter().flat_map(|(flops, params)| [flops.ln(), params.ln()]).collect();
    Mat { rows: archs.len(), cols: 2, data }
}

/// Log multiply-accumulates up to a constant, by which networks of one space compare: of the
/// published network where there is a formula, else an estimate from the operations of the cells. A space
/// of parameters has none: all are equal.
pub fn log_flops(space: &Space, archs: &[Architecture]) -> Vec<f64> {
    if let Some(flops) = archs.iter().map(|a| space.flops_and_params(a)).collect::<Option<Vec<_>>>()
    {
        // FLOPs of a network with nothing but a head may round to zero.
        return flops.iter().map(|f| f.0.max(1e-9).ln()).collect();
    }
    if space.parameters().is_some() {
        return vec![0.0; archs.len()];
    }
    let costs = log_costs(space, archs);
    if costs.cols > 0 {
        return (0..costs.rows).map(|i| costs[(i, 0)]).collect();
    }
    let operations = Operations::new(space);
    let worth = |label: u8| match operations.kind(label) {
        OperationKind::Learned { kernel } => f64::from(kernel).powi(2),
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
