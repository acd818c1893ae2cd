//! Features of architectures for accuracy predictors: counts of operations, properties of the
//! cells' graphs, shares of the output by the operations that it came through; for a chain, the
//! position of each operation.
//!
//! Two families beside the plain counts:
//!
//! - **Graph properties** (GRAF: Kadlecová et al., "Surprisingly Strong Performance Prediction with
//!   Neural Graph Features", ICML 2024): for each subset of the operations, the shortest and longest
//!   path from input to output that uses only them, how many there are, and by how many of these
//!   operations the output is entered and the input left.
//! - **Variance shares.** A node adds up its inputs. At initialisation, a convolution with batch
//!   normalisation passes variance 1 whatever comes in, an identity passes what comes in, average
//!   pooling a part of it. So each path has a share of the output's variance, and the distribution of
//!   (convolutions on the path, depth, first and last operation) over these shares tells what the
//!   network computes rather than what it contains.

mod cell;
mod cost;
mod operation;
mod shares;

use std::sync::Arc;

use lanner_space::{Architecture, Space};
use rayon::prelude::*;

use crate::Pool;
use crate::encode::parameters::{ParameterEncoder, ParameterFeatures, Seen};
use crate::encode::{counts, memo};
use crate::regress::linalg::Mat;
use cell::{Cell, POOLING};
pub use cost::log_flops;
use operation::{Operations, Set};
use shares::Shares;

/// The features of every architecture of a pool, one matrix (p × d) a group, in natural units.
///
/// Columns depend on the space alone; numbers are for NAS-Bench-201. Of spaces with several cells in an architecture
/// each group but `live_one_hot` has its columns once a cell. In a chain everything is said by what
/// stands where: its groups of paths and shares have no columns, and other spaces have no `places` and
/// `choices`.
#[derive(Debug, Clone)]
pub struct CellFeatures {
    /// Number of each operation (5 columns).
    pub counts: Mat,
    /// The same of live operations, those on a path from input to output (4 columns, without none).
    pub live_counts: Mat,
    /// One-hot choices, see [`counts::live_one_hot`].
    pub live_one_hot: Mat,
    /// Graph properties for the 15 subsets of operations, and for the paths of a cell the most and
    /// fewest 3×3 convolutions, convolutions, 1×1 convolutions, poolings and identities (85 columns).
    pub graph: Mat,
    /// Moments over variance shares: log variance, mean 1×1, 3×3 and poolings, standard deviation
    /// of convolutions, share of the pure identity, dead (7 columns).
    pub share_moments: Mat,
    /// Distributions over variance shares.
    pub shares: Mat,
    /// The same with pooling that loses nothing.
    pub lossless_shares: Mat,
    /// Log of the gain of the backward pass; numbers of live operations, convolutions, 3×3, sums,
    /// operations after the input and before the output, paths (8 columns).
    pub size: Mat,
    /// Number of each operation up to each position of a chain.
    pub places: Mat,
    /// One-hot choices of a chain.
    pub choices: Mat,
    /// Log multiply-accumulates and parameters, where they are not a line in the counts; of transformers, their
    /// [summary](ParameterFeatures::summary).
    pub cost: Mat,
}

impl CellFeatures {
    /// Features of all architectures of `pool`.
    pub fn new(pool: &Pool) -> Arc<CellFeatures> {
        let encoder = CellEncoder::of(pool);
        let slot = pool.memo.as_ref().map(|memo| &*memo.cells);
        memo::features(slot, pool, |archs| encoder.features(archs))
    }

    /// A space of parameters has no cells: totals stand for the counts, places for the choices.
    fn of_parameters(
        ParameterFeatures { places, totals, summary }: ParameterFeatures,
    ) -> CellFeatures {
        let none = Mat::zeros(places.rows, 0);
        CellFeatures {
            counts: totals,
            graph: places.clone(),
            live_one_hot: places,
            live_counts: none.clone(),
            share_moments: none.clone(),
            shares: none.clone(),
            lossless_shares: none.clone(),
            size: none.clone(),
            places: none.clone(),
            choices: none,
            cost: summary,
        }
    }
}

impl memo::Rows for CellFeatures {
    fn matrices(&self) -> Vec<&Mat> {
        let f = self;
        vec![
            &f.counts,
            &f.live_counts,
            &f.live_one_hot,
            &f.graph,
            &f.share_moments,
            &f.shares,
            &f.lossless_shares,
            &f.size,
            &f.places,
            &f.choices,
            &f.cost,
        ]
    }

    fn from_matrices(matrices: Vec<Mat>) -> CellFeatures {
        let mut matrices = matrices.into_iter();
        let mut next = || matrices.next().expect("as many matrices as there are groups");
        CellFeatures {
            counts: next(),
            live_counts: next(),
            live_one_hot: next(),
            graph: next(),
            share_moments: next(),
            shares: next(),
            lossless_shares: next(),
            size: next(),
            places: next(),
            choices: next(),
            cost: next(),
        }
    }
}

/// Makes the features of any architectures of a space.
#[derive(Debug, Clone)]
pub struct CellEncoder {
    space: Space,
    layout: Layout,
    parameters: Option<ParameterEncoder>,
}

impl CellEncoder {
    pub fn new(space: &Space) -> CellEncoder {
        CellEncoder::seeing(space, Seen::All)
    }

    /// The same without parameters on which the network does not depend, for latencies.
    pub fn of_network(space: &Space) -> CellEncoder {
        CellEncoder::seeing(space, Seen::OfNetwork)
    }

    fn seeing(space: &Space, seen: Seen) -> CellEncoder {
        let parameters = ParameterEncoder::new(space, seen);
        CellEncoder { space: space.clone(), layout: Layout::new(space), parameters }
    }

    /// The encoder of a pool's space.
    pub(crate) fn of(pool: &Pool) -> CellEncoder {
        let new = || CellEncoder::new(&pool.space);
        pool.memo.as_ref().map_or_else(new, |memo| memo.encoder.get_or_init(new).clone())
    }

    /// True if the architectures are chains.
    pub fn is_chain(&self) -> bool {
        self.layout.chain && self.parameters.is_none()
    }

    /// The encoder of parameters, in a space of them.
    pub fn parameters(&self) -> Option<&ParameterEncoder> {
        self.parameters.as_ref()
    }

    /// A row an architecture.
    pub fn features(&self, archs: &[Architecture]) -> CellFeatures {
        let CellEncoder { space, layout, parameters } = self;
        if let Some(parameters) = parameters {
            return CellFeatures::of_parameters(parameters.features(archs));
        }
        let rows: Vec<[Vec<f64>; 8]> =
            archs.par_iter().map(|arch| layout.row(space, arch)).collect();
        let mut groups: [Vec<f64>; 8] = Default::default();
        for row in &rows {
            groups.iter_mut().zip(row).for_each(|(all, one)| all.extend_from_slice(one));
        }
        let rows = archs.len();
        let [counts, live_counts, graph, share_moments, shares, lossless_shares, size, places] =
            groups.map(|data| Mat { rows, cols: data.len() / rows.max(1), data });
        let live_one_hot = counts::live_one_hot(space, archs);
        CellFeatures {
            counts,
            live_counts,
            choices: if layout.chain { live_one_hot.clone() } else { Mat::zeros(rows, 0) },
            live_one_hot,
            graph,
            share_moments,
            shares,
            lossless_shares,
            size,
            places,
            cost: cost::log_costs(space, archs),
        }
    }
}

/// Number of random architectures that tell how deep the cells of a space are, and whether they are
/// chains.
const SEEN: usize = 200;

/// Decides the columns, which depend on the space alone.
#[derive(Debug, Clone)]
struct Layout {
    operations: Operations,
    subsets: Vec<Set>,
    families: Vec<Set>,
    /// The most operations on a path.
    depth: usize,
    chain: bool,
}

impl Layout {
    fn new(space: &Space) -> Layout {
        let operations = Operations::new(space);
        let mut rng = lanner_nn::rng(0, "cells of a space");
        let (mut depth, mut chain) = (0.0f64, true);
        for _ in 0..SEEN {
            let arch = space.sample(&mut rng);
            for cell in Cell::all(&operations, space, &arch) {
                depth = depth.max(cell.longest(|_| true).unwrap_or(0.0));
                chain &= cell.is_chain();
            }
        }
        Layout {
            subsets: operations.subsets(),
            families: operations.families(),
            depth: depth as usize,
            chain,
            operations,
        }
    }

    /// All groups but one-hots and cost, of one architecture.
    fn row(&self, space: &Space, arch: &Architecture) -> [Vec<f64>; 8] {
        let operations = &self.operations;
        let mut groups: [Vec<f64>; 8] = Default::default();
        for cell in Cell::all(operations, space, arch) {
            groups[0].extend(operations.codes.iter().map(|&op| cell.count(op, false)));
            groups[1].extend(operations.passing.iter().map(|&op| cell.count(op, true)));
            if self.chain {
                cell.places(operations, self.depth, &mut groups[7]);
                continue;
            }
            cell.graph(operations, (&self.subsets, &self.families), self.depth, &mut groups[2]);
            let shares = Shares::new(operations, &cell, POOLING);
            let lossless = Shares::new(operations, &cell, 1.0);
            shares::moments(operations, shares.as_ref(), &mut groups[3]);
            shares::distributions(operations, shares.as_ref(), self.depth, &mut groups[4]);
            shares::distributions(operations, lossless.as_ref(), self.depth, &mut groups[5]);
            groups[6].extend(cell.size(operations));
        }
        groups
    }
}

/// Groups side by side, each column with mean 0 and variance 1 over the pool, constant ones left
/// out.
pub fn standardised(groups: &[&Mat]) -> Mat {
    let joined = Mat::joined(groups);
    let all: Vec<usize> = (0..joined.rows).collect();
    joined.standardised_by(&all)
}

#[cfg(test)]
mod tests;
