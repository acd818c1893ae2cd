//! Encodings of architectures as vectors: operation counts, one-hots, and their products.
//!
//! Each function takes a space and p architectures and returns p × d. They are defined for every
//! space by its codes, its cell graphs and [`Space::live`].

use lanner_space::{Architecture, Space, View};

use crate::encode::parameters::{ParameterEncoder, Seen};
use crate::regress::linalg::Mat;

/// Number of each operation in the text (raw) and in the computation (pruned): two counts a label
/// of the space. Of a space of parameters, its [totals](ParameterEncoder).
pub fn op_counts(space: &Space, archs: &[Architecture]) -> Mat {
    if let Some(parameters) = ParameterEncoder::new(space, Seen::All) {
        return parameters.features(archs).totals;
    }
    let labels = space.labels().len();
    let mut out = Mat::zeros(archs.len(), 2 * labels);
    for (i, arch) in archs.iter().enumerate() {
        for (half, view) in [View::Raw, View::Pruned].into_iter().enumerate() {
            for label in space.graph(arch, view).labels {
                out[(i, half * labels + usize::from(label))] += 1.0;
            }
        }
    }
    out
}

/// One-hot choices of the text, at the positions of [`Space::aligned`]; an absent one is all zero. Of a space
/// of parameters, its [places](ParameterEncoder).
pub fn one_hot(space: &Space, archs: &[Architecture]) -> Mat {
    hot(space, archs, |_| None)
}

/// One-hot codes of what is live. A dead choice is as the operation none where that is the first
/// code, else all zero.
pub fn live_one_hot(space: &Space, archs: &[Architecture]) -> Mat {
    hot(space, archs, |arch| Some(space.live(arch)))
}

fn hot(
    space: &Space,
    archs: &[Architecture],
    live: impl Fn(&Architecture) -> Option<Vec<bool>>,
) -> Mat {
    if let Some(parameters) = ParameterEncoder::new(space, Seen::All) {
        return parameters.features(archs).places;
    }
    let choices = space.positions();
    let none = space.labels().first().is_some_and(|&label| label == "none");
    let width = choices.iter().map(|&c| usize::from(c)).sum();
    let mut out = Mat::zeros(archs.len(), width);
    for (i, arch) in archs.iter().enumerate() {
        let live = live(arch);
        let mut offset = 0;
        for (position, code) in space.aligned(arch).into_iter().enumerate() {
            let counts = live.as_ref().is_none_or(|l| l[position]);
            match code {
                Some(code) if counts => out[(i, offset + usize::from(code))] = 1.0,
                Some(_) if none => out[(i, offset)] = 1.0,
                _ => {}
            }
            offset += usize::from(choices[position]);
        }
    }
    out
}

/// One-hot choices of the text, as [`one_hot`], without parameters on which the network does not depend.
pub fn network_one_hot(space: &Space, archs: &[Architecture]) -> Mat {
    match ParameterEncoder::new(space, Seen::OfNetwork) {
        Some(parameters) => parameters.features(archs).places,
        None => one_hot(space, archs),
    }
}

/// `x` and the products of all pairs of its columns that are not constant zero.
pub fn with_pairs(x: &Mat) -> Mat {
    with_these_pairs(x, &pairs(x))
}

/// The pairs of columns whose product is not zero in all rows.
pub fn pairs(x: &Mat) -> Vec<(usize, usize)> {
    (0..x.cols)
        .flat_map(|a| (a + 1..x.cols).map(move |b| (a, b)))
        .filter(|&(a, b)| (0..x.rows).any(|i| x[(i, a)] * x[(i, b)] != 0.0))
        .collect()
}

/// `x` and the products of these pairs of its columns.
pub fn with_these_pairs(x: &Mat, pairs: &[(usize, usize)]) -> Mat {
    let cols = x.cols + pairs.len();
    // In place: of tens of thousands of rows these are hundreds of megabytes.
    let mut data = Vec::with_capacity(x.rows * cols);
    for i in 0..x.rows {
        let row = x.row(i);
        data.extend_from_slice(row);
        data.extend(pairs.iter().map(|&(a, b)| row[a] * row[b]));
    }
    Mat { rows: x.rows, cols, data }
}

/// Multiply-accumulates of the space's published network, in millions; no column if the space has no
/// formula for them.
pub fn flops(space: &Space, archs: &[Architecture]) -> Mat {
    let all: Option<Vec<f64>> =
        archs.iter().map(|a| space.flops_and_params(a).map(|f| f.0)).collect();
    match all {
        Some(data) => Mat { rows: archs.len(), cols: 1, data },
        None => Mat::zeros(archs.len(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_one_hots_of_a_cell_with_a_dead_edge() {
        let space = Space::NasBench201;
        // 0→1 none; 1→2 and 1→3 are dead 3×3; 0→2 skip, 0→3 1×1, 2→3 pooling.
        let arch = vec![space.parse("013234").unwrap()];
        let counts = op_counts(&space, &arch);
        assert_eq!(counts.row(0)[..7], [1., 1., 1., 2., 1., 1., 1.]);
        assert_eq!(counts.row(0)[7..], [0., 0., 1., 0., 1., 1., 1.]);
        let raw = one_hot(&space, &arch);
        let live = live_one_hot(&space, &arch);
        assert_eq!((raw[(0, 13)], live[(0, 13)], live[(0, 10)]), (1.0, 0.0, 1.0));
        assert_eq!(live.row(0).iter().sum::<f64>(), 6.0);
        assert_eq!(with_pairs(&live).cols, 30 + 15);
    }
}
