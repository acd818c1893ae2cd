//! Networks as counts of their operations, which are not bound to a search space.

use std::collections::HashMap;

use lanner_network::{Network, NetworkError, OpGraph, OpKind, OpNode, Skeleton};
use lanner_space::{Architecture, Space, View};
use rayon::prelude::*;

use crate::PredictError;
use crate::encode::costs;

/// The operations of a network, each kind once.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Operations in order of appearance, with the number of each.
    pub operations: Vec<(OpNode, f64)>,
}

impl Counted {
    pub fn of(network: &Network) -> Counted {
        let OpGraph { nodes, arcs } = OpGraph::of(network);
        let mut read = vec![0; nodes.len()];
        arcs.iter().for_each(|&(_, to)| read[to] += 1);
        let mut places: HashMap<OpNode, usize> = HashMap::new();
        let mut operations: Vec<(OpNode, f64)> = Vec::new();
        for (node, read) in nodes.into_iter().zip(read) {
            // A sum of one term is no sum, and what is zero is not computed.
            let alone = matches!(node.kind, OpKind::Add | OpKind::Mul) && read < 2;
            if alone || matches!(node.kind, OpKind::Input | OpKind::Zero) {
                continue;
            }
            let place = *places.entry(node).or_insert(operations.len());
            match operations.get_mut(place) {
                Some(known) => known.1 += 1.0,
                None => operations.push((node, 1.0)),
            }
        }
        Counted { operations }
    }
}

/// The networks of architectures.
pub fn count(
    skeleton: &Skeleton,
    archs: &[Architecture],
    view: View,
) -> Result<Vec<Counted>, PredictError> {
    let bad = |e: NetworkError| PredictError::Model { why: e.to_string() };
    let counted = |arch| Ok(Counted::of(&skeleton.build(arch, view).map_err(bad)?));
    archs.par_iter().map(counted).collect()
}

/// The views of a space that can differ: all that texts say and, where some of that leads nowhere, what is live.
pub fn views(space: &Space) -> &'static [View] {
    if costs::shows_dead(space) { &[View::Raw, View::Pruned] } else { &[View::Raw] }
}
