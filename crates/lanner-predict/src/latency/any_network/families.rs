//! How far what measured families teach is true of a family that was never measured.
//!
//! Each family is left out in turn: its base time is that of sums refitted without it, and the effects of
//! operations' sizes are those that all others teach, in closed form. So the share of the effects that is
//! believed, down to none, and the width of intervals come from what would have been wrong.

use super::{Origin, Sample};
use crate::encode::tensor_operations::{self as ops, ALL_SUMS, CLASS_COUNT};
use crate::regress::linalg::{Cholesky, Mat};
use crate::regress::mixture;

/// Shares of the effects that can be believed.
const TRUSTS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Fewest networks of a family, and families, that tell of others.
const MEMBERS: usize = 5;
const FAMILIES: usize = 4;
/// Groups of networks that are alike, where there are no families.
const GROUPS: usize = 12;

/// Results of leaving each family out.
pub(super) struct LeftOut {
    /// Share of the effects that is believed of networks of no measured family.
    pub trust: f64,
    /// Half the width of their 90 % intervals, on the scale of logarithms.
    pub half: f64,
}

/// A fitted process: its precision, and that times what it was fitted to.
pub(super) struct Process<'a> {
    pub precision: &'a Mat,
    pub alpha: &'a [f64],
    pub errors: &'a [f64],
}

/// Fits the sums of rows.
pub(super) fn base(samples: &[&Sample], sums: &Mat, latencies: &[f64], rows: &[usize]) -> Vec<f64> {
    let y: Vec<f64> = rows.iter().map(|&r| latencies[r]).collect();
    mixture::weighted(&sums.select(rows), &y, |i| samples[rows[i]].origin.importance()).1
}

/// Leaves each family out.
pub(super) fn left_out(
    samples: &[&Sample],
    sums: &Mat,
    latencies: &[f64],
    weights: &[f64],
    process: &Process,
) -> LeftOut {
    let n = samples.len();
    let (groups, are_families) = groups(samples, weights);
    // Errors of each group's networks, for each trust.
    let mut errors: Vec<[Vec<f64>; TRUSTS.len()]> = Vec::new();
    for group in &groups {
        let mut is_out = vec![false; n];
        group.iter().for_each(|&i| is_out[i] = true);
        let rest: Vec<usize> = (0..n).filter(|&i| !is_out[i]).collect();
        let m = group.len();
        let block = Mat::from_fn(m, m, |a, b| process.precision[(group[a], group[b])]);
        let Some(factor) = Cholesky::new(block) else { continue };
        let part: Vec<f64> = group.iter().map(|&i| process.alpha[i]).collect();
        let left = factor.solve(&part);
        let other = base(samples, sums, latencies, &rest);
        let error = |a: usize, trust: f64| {
            let i = group[a];
            let time =
                (0..ALL_SUMS).map(|j| other[j] * sums[(i, j)]).sum::<f64>() + other[ALL_SUMS];
            let effect = process.errors[i] - left[a];
            ((latencies[i] / time.max(1e-9)).ln() - trust * effect).abs()
        };
        errors.push(TRUSTS.map(|trust| (0..m).map(|a| error(a, trust)).collect()));
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    let of = |t: usize| -> Vec<f64> { errors.iter().map(|g| mean(&g[t])).collect() };
    let none = of(0);
    let best =
        (0..TRUSTS.len()).min_by(|&a, &b| mean(&of(a)).total_cmp(&mean(&of(b)))).unwrap_or(0);
    // Effects that help by no more than chance are not believed.
    let gains: Vec<f64> = none.iter().zip(of(best)).map(|(a, b)| a - b).collect();
    let gain = mean(&gains);
    let count = gains.len().max(2) as f64;
    let variance = gains.iter().map(|g| (g - gain).powi(2)).sum::<f64>() / (count - 1.0);
    let chosen = if gain > (variance / count).sqrt() { best } else { 0 };
    // Each family counts the same, and a further one would be the farthest with its share. Groups of what is
    // alike are none: some are a few odd networks, so there each network counts the same.
    let mut all: Vec<(f64, f64)> = errors
        .iter()
        .flat_map(|g| {
            g[chosen]
                .iter()
                .map(|&e| (e, if are_families { 1.0 / g[chosen].len() as f64 } else { 1.0 }))
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted = match are_families {
        true => (0.9 * (errors.len() + 1) as f64).min(errors.len() as f64 - 1e-9),
        false => 0.9 * all.len() as f64,
    };
    let mut sum = 0.0;
    let at = all.iter().find(|(_, weight)| {
        sum += weight;
        sum >= wanted
    });
    let half = at.or(all.last()).map_or(1.0, |e| e.0);
    LeftOut { trust: TRUSTS[chosen], half: half.clamp(0.01, 5.0) }
}

/// Rows of the families that were measured, by their names; where these are too few, of networks that are
/// alike, those of the profile among them. Tells whether they are families.
fn groups(samples: &[&Sample], weights: &[f64]) -> (Vec<Vec<usize>>, bool) {
    let mut origins: Vec<Origin> = samples.iter().map(|s| s.origin).collect();
    origins.sort_unstable();
    origins.dedup();
    let rows_of = |origin: Origin| -> Vec<usize> {
        (0..samples.len()).filter(|&i| samples[i].origin == origin).collect()
    };
    let families: Vec<Vec<usize>> = (origins.into_iter().filter(|k| *k != Origin::Probe))
        .map(rows_of)
        .filter(|g| g.len() >= MEMBERS && g.len() < samples.len())
        .collect();
    if families.len() >= FAMILIES {
        return (families, true);
    }
    let points: Vec<[f64; CLASS_COUNT]> =
        samples.iter().map(|s| ops::share_roots(&s.network.operations, weights)).collect();
    (alike(&points), false)
}

/// Groups of points that are near each other: those nearest to each of a dozen that are far from each other.
fn alike(points: &[[f64; CLASS_COUNT]]) -> Vec<Vec<usize>> {
    let mut nearest = vec![(f64::INFINITY, 0); points.len()];
    let mut centre = 0;
    for group in 0..GROUPS.min(points.len()) {
        for (point, near) in points.iter().zip(&mut nearest) {
            let d = ops::distance(point, &points[centre]);
            if d < near.0 {
                *near = (d, group);
            }
        }
        let far = nearest.iter().enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        centre = far.map_or(0, |(i, _)| i);
    }
    let mut groups = vec![Vec::new(); GROUPS];
    nearest.iter().enumerate().for_each(|(i, n)| groups[n.1].push(i));
    groups.retain(|g| !g.is_empty() && g.len() < points.len());
    groups
}
