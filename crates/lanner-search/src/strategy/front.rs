//! Computes with several objectives: the front, its hypervolume, and one number for all values.

use std::cmp::Ordering;

use rand::RngExt;

/// Returns the positions of the points on the front: no other point is at least as good in all
/// values and better in one (larger is better). The best first value comes first; of equal points,
/// the first one stands for all. Points that are not finite are left out.
pub fn front<P: AsRef<[f64]>>(points: &[P]) -> Vec<usize> {
    let at = |i: usize| points[i].as_ref();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.retain(|&i| at(i).iter().all(|v| v.is_finite()));
    order.sort_by(|&a, &b| {
        let differ = at(a).iter().zip(at(b)).map(|(a, b)| b.total_cmp(a)).find(|o| o.is_ne());
        differ.unwrap_or(Ordering::Equal)
    });
    if points.first().is_none_or(|p| p.as_ref().len() <= 2) {
        let mut best = f64::NEG_INFINITY;
        order.retain(|&i| {
            let last = at(i).last().copied().unwrap_or(0.0);
            let better = last > best;
            best = best.max(last);
            better
        });
        return order;
    }
    // Whatever beats a point comes before it.
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        let beats = |&j: &usize| at(j).iter().zip(at(i)).all(|(a, b)| a >= b);
        if !front.iter().any(beats) {
            front.push(i);
        }
    }
    front
}

/// Computes the volume of all points that are at most as good as one of `points` and at least as
/// good as `reference`, exactly. The dimensions are taken off one by one (While et al. 2012, "A fast
/// way of calculating exact hypervolumes").
pub fn hypervolume<P: AsRef<[f64]>>(points: &[P], reference: &[f64]) -> f64 {
    match reference.len() {
        0 => 0.0,
        1 => {
            let best = points.iter().filter_map(|p| p.as_ref().first().copied());
            (best.fold(reference[0], f64::max) - reference[0]).max(0.0)
        }
        2 => area(points, reference),
        d => {
            let mut all: Vec<&[f64]> =
                front(points).into_iter().map(|i| points[i].as_ref()).collect();
            all.retain(|p| p.iter().zip(reference).all(|(v, r)| v > r));
            all.sort_by(|a, b| a[d - 1].total_cmp(&b[d - 1]));
            // All points after one reach as far in the last dimension.
            let lower: Vec<&[f64]> = all.iter().map(|p| &p[..d - 1]).collect();
            let depth = |i: usize| all[i][d - 1] - reference[d - 1];
            let alone = |i: usize| gain(lower[i], &lower[i + 1..], &reference[..d - 1]);
            (0..all.len()).map(|i| depth(i) * alone(i)).sum()
        }
    }
}

fn area<P: AsRef<[f64]>>(points: &[P], reference: &[f64]) -> f64 {
    let mut low = reference[1];
    let mut area = 0.0;
    for i in front(points) {
        let &[first, second] = points[i].as_ref() else { continue };
        if first > reference[0] && second > low {
            area += (first - reference[0]) * (second - low);
            low = second;
        }
    }
    area
}

/// Computes by how much a point increases the hypervolume of others.
fn gain<P: AsRef<[f64]>>(point: &[f64], others: &[P], reference: &[f64]) -> f64 {
    let own: f64 = point.iter().zip(reference).map(|(v, r)| (v - r).max(0.0)).product();
    if own == 0.0 {
        return 0.0;
    }
    let shared = |other: &P| -> Vec<f64> {
        other.as_ref().iter().zip(point).map(|(a, b)| a.min(*b)).collect()
    };
    let shared: Vec<Vec<f64>> = others.iter().map(shared).collect();
    own - hypervolume(&shared, reference)
}

/// Weight of the sum of all shortfalls beside the largest one.
const AUGMENTED: f64 = 0.05;

/// Combines all values into one number by the augmented Chebyshev function, with other random
/// weights in each round (ParEGO: Knowles 2006). Values are scaled to [0, 1].
pub(crate) fn scalarised<T>(points: &[(T, Vec<f64>)], seed: u64, round: u32) -> Vec<f64> {
    let mut rng = lanner_nn::rng(seed, &format!("weights {round}"));
    let count = points.first().map_or(0, |p| p.1.len());
    // Uniform on the simplex: the distances of sorted random numbers.
    let mut cuts: Vec<f64> = (1..count).map(|_| rng.random()).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.push(1.0);
    let mut before = 0.0;
    let mut numbers = vec![(0.0f64, 0.0); points.len()];
    for (j, cut) in cuts.into_iter().enumerate().take(count) {
        let weight = cut - std::mem::replace(&mut before, cut);
        let values = || points.iter().map(|p| p.1[j]);
        let best = values().fold(f64::NEG_INFINITY, f64::max);
        let range = best - values().fold(f64::INFINITY, f64::min);
        let scale = if range > 0.0 { weight / range } else { 0.0 };
        for ((largest, sum), v) in numbers.iter_mut().zip(values()) {
            let shortfall = (best - v) * scale;
            *largest = largest.max(shortfall);
            *sum += shortfall;
        }
    }
    numbers.into_iter().map(|(largest, sum)| -(largest + AUGMENTED * sum)).collect()
}

/// Returns rows that promise to add most to the hypervolume, one after the other. The prediction of
/// all values of each of `rows` (median and standard deviation, larger is better) plus k deviations
/// is compared with the `known` values and with the predictions of rows chosen before (SMS-EGO:
/// Ponweiser et al. 2008). The k are quantiles of an exponential distribution with mean `scale`,
/// and grow where no row adds anything.
pub(crate) fn promising(
    rows: &[usize],
    beliefs: &[Vec<(f64, f64)>],
    known: &[Vec<f64>],
    scale: f64,
    n: usize,
) -> Vec<usize> {
    // Ends of the front that nothing evaluated comes near count as well, as far as they are predicted.
    let hopes = beliefs.iter().map(|b| b.iter().map(|b| b.0 + scale * b.1).collect());
    let all: Vec<Vec<f64>> = known.iter().cloned().chain(hopes).collect();
    let ends: Vec<&Vec<f64>> = front(&all).into_iter().map(|i| &all[i]).collect();
    let side = |j: usize| {
        let low = ends.iter().map(|k| k[j]).fold(f64::INFINITY, f64::min);
        let high = ends.iter().map(|k| k[j]).fold(f64::NEG_INFINITY, f64::max);
        low - 0.1 * (high - low)
    };
    let reference: Vec<f64> = (0..known.first().map_or(0, Vec::len)).map(side).collect();
    let mut points: Vec<Vec<f64>> = front(known).into_iter().map(|i| known[i].clone()).collect();
    let mut chosen: Vec<usize> = Vec::new();
    for i in 0..n.min(rows.len()) {
        let mut k = -scale * (1.0 - (i as f64 + 0.5) / n as f64).ln();
        let now = if reference.len() == 2 { hypervolume(&points, &reference) } else { 0.0 };
        let mut best = None;
        for _ in 0..BOLDER {
            let hopes: Vec<Vec<f64>> = (beliefs.iter())
                .map(|b| b.iter().map(|(median, sd)| median + k * sd).collect())
                .collect();
            let adds = |j: usize| match reference.len() {
                2 => {
                    let mut with = points.clone();
                    with.push(hopes[j].clone());
                    hypervolume(&with, &reference) - now
                }
                _ => gain(&hopes[j], &points, &reference),
            };
            let mut candidates: Vec<usize> =
                (0..rows.len()).filter(|j| !chosen.contains(j)).collect();
            if reference.len() > 2 {
                // A beaten one adds no more than the one that beats it.
                let all: Vec<&[f64]> = candidates.iter().map(|&j| hopes[j].as_slice()).collect();
                candidates = front(&all).into_iter().map(|i| candidates[i]).collect();
            }
            best = (candidates.into_iter())
                .map(|j| (adds(j), j))
                .filter(|g| g.0 > 0.0)
                .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            if best.is_some() {
                break;
            }
            k = 2.0 * k + scale;
        }
        let Some((_, j)) = best else { break };
        points.push(beliefs[j].iter().map(|b| b.0).collect());
        chosen.push(j);
    }
    chosen.into_iter().map(|j| rows[j]).collect()
}

/// Number of times that k grows before the search for additions ends.
const BOLDER: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the definitions: all pairs for the front, a grid of cells for the area.
    #[test]
    fn front_and_area_are_what_they_should_be() {
        let mut rng = lanner_nn::rng(3, "front test");
        for _ in 0..50 {
            let points: Vec<[f64; 2]> = (0..rng.random_range(0..12))
                .map(|_| [0, 1].map(|_| f64::from(rng.random_range(0u8..8))))
                .collect();
            let beaten =
                |p: [f64; 2]| points.iter().any(|q| q[0] >= p[0] && q[1] >= p[1] && *q != p);
            let mut expected: Vec<[f64; 2]> =
                points.iter().copied().filter(|p| !beaten(*p)).collect();
            expected.sort_by(|a, b| b[0].total_cmp(&a[0]));
            expected.dedup();
            let found: Vec<[f64; 2]> = front(&points).into_iter().map(|i| points[i]).collect();
            assert_eq!(found, expected);
            let reference = [1.0, 2.0];
            let cells = (0..8).flat_map(|x| (0..8).map(move |y| [f64::from(x), f64::from(y)]));
            let covered = cells.filter(|c| {
                c[0] >= reference[0]
                    && c[1] >= reference[1]
                    && points.iter().any(|p| p[0] >= c[0] + 1.0 && p[1] >= c[1] + 1.0)
            });
            assert_eq!(hypervolume(&points, &reference), covered.count() as f64);
        }
        assert_eq!(front(&[[f64::NAN, 1.0], [0.0, 0.0]]), [1]);
    }

    /// Compares with the definitions in three and four dimensions: all pairs for the front, and
    /// inclusion and exclusion over all subsets for the volume.
    #[test]
    fn volumes_of_more_objectives_are_those_of_all_subsets() {
        let mut rng = lanner_nn::rng(5, "front test");
        for round in 0..60 {
            let d = 3 + round % 2;
            let points: Vec<Vec<f64>> = (0..rng.random_range(0..11))
                .map(|_| (0..d).map(|_| f64::from(rng.random_range(0u8..7))).collect())
                .collect();
            let beaten = |p: &Vec<f64>| {
                points.iter().any(|q| q != p && q.iter().zip(p).all(|(a, b)| a >= b))
            };
            let mut expected: Vec<&Vec<f64>> = points.iter().filter(|p| !beaten(p)).collect();
            expected.sort_by(|a, b| b.partial_cmp(a).unwrap());
            expected.dedup();
            let found: Vec<&Vec<f64>> = front(&points).into_iter().map(|i| &points[i]).collect();
            assert_eq!(found, expected);
            let reference = vec![1.0; d];
            let mut volume = 0.0;
            for subset in 1u32..1 << points.len() {
                let chosen = || (0..points.len()).filter(|i| subset >> i & 1 == 1);
                let side = |j: usize| {
                    let least = chosen().map(|i| points[i][j]).fold(f64::INFINITY, f64::min);
                    (least - 1.0).max(0.0)
                };
                let shared: f64 = (0..d).map(side).product();
                volume += if subset.count_ones() % 2 == 1 { shared } else { -shared };
            }
            assert_eq!(hypervolume(&points, &reference), volume, "{points:?}");
            let new: Vec<f64> = (0..d).map(|_| f64::from(rng.random_range(0u8..7))).collect();
            let with = [&points[..], std::slice::from_ref(&new)].concat();
            let more = hypervolume(&with, &reference) - volume;
            assert_eq!(gain(&new, &points, &reference), more, "{new:?} {points:?}");
        }
    }

    #[test]
    fn a_beaten_point_never_has_the_better_number() {
        let mut rng = lanner_nn::rng(4, "front test");
        for round in 0..20 {
            let mut values = || (0..2 + round % 3).map(|_| rng.random()).collect();
            let points: Vec<((), Vec<f64>)> = (0..40).map(|_| ((), values())).collect();
            let numbers = scalarised(&points, 7, round);
            for (i, p) in points.iter().enumerate() {
                for (j, q) in points.iter().enumerate() {
                    let beats = p.1.iter().zip(&q.1).all(|(a, b)| a > b);
                    assert!(!beats || numbers[i] > numbers[j]);
                }
            }
        }
    }
}
