//! Computes with two objectives: the front, its hypervolume, and one number for both values.

use rand::RngExt;

/// Returns the positions of the points on the front: no other point is at least as good in both
/// values and better in one (larger is better). The best first value comes first; of equal points,
/// the first one stands for all.
pub fn front(points: &[[f64; 2]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.retain(|&i| points[i].iter().all(|v| v.is_finite()));
    order.sort_by(|&a, &b| {
        let (a, b) = (points[a], points[b]);
        b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1]))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&i| {
        let better = points[i][1] > best;
        best = best.max(points[i][1]);
        better
    });
    order
}

/// Computes the area of all points that are at most as good as one of `points` and at least as good
/// as `reference`.
pub fn hypervolume(points: &[[f64; 2]], reference: [f64; 2]) -> f64 {
    let mut low = reference[1];
    let mut area = 0.0;
    for i in front(points) {
        let [first, second] = points[i];
        if first > reference[0] && second > low {
            area += (first - reference[0]) * (second - low);
            low = second;
        }
    }
    area
}

/// Weight of the sum of both shortfalls beside the largest one.
const AUGMENTED: f64 = 0.05;

/// Combines both values into one number by the augmented Chebyshev function, with other random
/// weights in each round (ParEGO: Knowles 2006). Values are scaled to [0, 1].
pub(crate) fn scalarised<T>(points: &[(T, [f64; 2])], seed: u64, round: u32) -> Vec<f64> {
    let mut rng = lanner_nn::rng(seed, &format!("weights {round}"));
    let weight: f64 = rng.random();
    let weights = [weight, 1.0 - weight];
    let shortfall = |j: usize| -> Vec<f64> {
        let values = || points.iter().map(|p| p.1[j]);
        let best = values().fold(f64::NEG_INFINITY, f64::max);
        let range = best - values().fold(f64::INFINITY, f64::min);
        let scale = if range > 0.0 { weights[j] / range } else { 0.0 };
        values().map(|v| (best - v) * scale).collect()
    };
    let (first, second) = (shortfall(0), shortfall(1));
    first.iter().zip(&second).map(|(a, b)| -(a.max(*b) + AUGMENTED * (a + b))).collect()
}

/// Returns rows that promise to add most to the area, one after the other. The prediction of both
/// values of each of `rows` (median and standard deviation, larger is better) plus k deviations is
/// compared with the `known` values and with the predictions of rows chosen before (SMS-EGO:
/// Ponweiser et al. 2008). The k are quantiles of an exponential distribution with mean `scale`,
/// and grow where no row adds anything.
pub(crate) fn promising(
    rows: &[usize],
    beliefs: &[[(f64, f64); 2]],
    known: &[[f64; 2]],
    scale: f64,
    n: usize,
) -> Vec<usize> {
    let side = |j: usize| {
        let low = known.iter().map(|k| k[j]).fold(f64::INFINITY, f64::min);
        let high = known.iter().map(|k| k[j]).fold(f64::NEG_INFINITY, f64::max);
        low - 0.1 * (high - low)
    };
    let reference = [side(0), side(1)];
    let mut points: Vec<[f64; 2]> = front(known).into_iter().map(|i| known[i]).collect();
    let mut chosen: Vec<usize> = Vec::new();
    for i in 0..n.min(rows.len()) {
        let mut k = -scale * (1.0 - (i as f64 + 0.5) / n as f64).ln();
        let now = hypervolume(&points, reference);
        let mut best = None;
        for _ in 0..BOLDER {
            let gain = |j: usize| {
                let mut with = points.clone();
                with.push(beliefs[j].map(|(median, sd)| median + k * sd));
                hypervolume(&with, reference) - now
            };
            best = (0..rows.len())
                .filter(|j| !chosen.contains(j))
                .map(|j| (gain(j), j))
                .filter(|g| g.0 > 0.0)
                .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            if best.is_some() {
                break;
            }
            k = 2.0 * k + scale;
        }
        let Some((_, j)) = best else { break };
        points.push(beliefs[j].map(|b| b.0));
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
            assert_eq!(hypervolume(&points, reference), covered.count() as f64);
        }
        assert_eq!(front(&[[f64::NAN, 1.0], [0.0, 0.0]]), [1]);
    }

    #[test]
    fn a_beaten_point_never_has_the_better_number() {
        let mut rng = lanner_nn::rng(4, "front test");
        let points: Vec<((), [f64; 2])> = (0..40).map(|_| ((), rng.random())).collect();
        for round in 0..20 {
            let numbers = scalarised(&points, 7, round);
            for (i, p) in points.iter().enumerate() {
                for (j, q) in points.iter().enumerate() {
                    let beats = p.1[0] > q.1[0] && p.1[1] > q.1[1];
                    assert!(!beats || numbers[i] > numbers[j]);
                }
            }
        }
    }
}
