//! Figures of merit of predictions: error bands, rank correlations, regret, coverage, the mean and
//! standard error over seeds, and predictions of values that a fit did not see.

use crate::{Forecast, PredictError};

/// Fraction of predictions within `percent` % of the *truth*: |p − t| ≤ percent/100 · |t|.
pub fn within_of_truth(predicted: &[f64], truth: &[f64], percent: f64) -> f64 {
    share(predicted.iter().zip(truth), |(p, t)| (p - t).abs() <= percent / 100.0 * t.abs())
}

/// Fraction of truths within `percent` % of the *prediction*, as the BRP-NAS code counts.
pub fn within_of_prediction(predicted: &[f64], truth: &[f64], percent: f64) -> f64 {
    within_of_truth(truth, predicted, percent)
}

/// Fraction of truths inside [low, high].
pub fn coverage(low: &[f64], high: &[f64], truth: &[f64]) -> f64 {
    share(low.iter().zip(high).zip(truth), |((l, h), t)| l <= t && t <= h)
}

/// Mean width of the intervals [low, high], relative to the predictions that they are of.
pub fn relative_width(low: &[f64], high: &[f64], predicted: &[f64]) -> f64 {
    let widths = low.iter().zip(high).zip(predicted).map(|((l, h), p)| (h - l) / p.abs());
    widths.sum::<f64>() / predicted.len() as f64
}

fn share<T>(items: impl ExactSizeIterator<Item = T>, holds: impl Fn(T) -> bool) -> f64 {
    let n = items.len();
    items.filter_map(|i| holds(i).then_some(())).count() as f64 / n as f64
}

/// Ranks from 0, ties get their mean rank.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        // `tied` is a part of `order`; its offset is the number of smaller values.
        let first = (tied.as_ptr() as usize - order.as_ptr() as usize) / size_of::<usize>();
        let mean = first as f64 + (tied.len() - 1) as f64 / 2.0;
        tied.iter().for_each(|&i| ranks[i] = mean);
    }
    ranks
}

/// Pearson correlation; NaN where one side is constant.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma) * (x - ma);
        bb += (y - mb) * (y - mb);
    }
    ab / (aa * bb).sqrt()
}

/// Spearman rank correlation, ties with mean ranks.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    pearson(&ranks(a), &ranks(b))
}

/// Kendall τ-b in O(n log n) (Knight 1966); NaN where one side is constant.
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i].total_cmp(&a[j]).then(b[i].total_cmp(&b[j])));
    let pairs = |len: usize| (len * len.saturating_sub(1) / 2) as f64;
    let tied_a: f64 = order.chunk_by(|&i, &j| a[i] == a[j]).map(|c| pairs(c.len())).sum();
    let tied_both: f64 =
        order.chunk_by(|&i, &j| a[i] == a[j] && b[i] == b[j]).map(|c| pairs(c.len())).sum();
    let mut values: Vec<f64> = order.iter().map(|&i| b[i]).collect();
    let discordant = sort_counting_swaps(&mut values);
    let tied_b: f64 = values.chunk_by(|x, y| x == y).map(|c| pairs(c.len())).sum();
    let all = pairs(n);
    let concordant_less_discordant = all - tied_a - tied_b + tied_both - 2.0 * discordant;
    concordant_less_discordant / ((all - tied_a) * (all - tied_b)).sqrt()
}

/// Merge sort; returns how many pairs stood in the wrong order.
fn sort_counting_swaps(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let mut swaps = sort_counting_swaps(&mut values[..n / 2]);
    swaps += sort_counting_swaps(&mut values[n / 2..]);
    let (left, right) = (values[..n / 2].to_vec(), values[n / 2..].to_vec());
    let (mut i, mut j) = (0, 0);
    for slot in values.iter_mut() {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            *slot = left[i];
            i += 1;
        } else {
            *slot = right[j];
            j += 1;
            swaps += (left.len() - i) as f64;
        }
    }
    swaps
}

/// Distance of the best of the `k` highest-scored to the best of all.
pub fn top_k_regret(scores: &[f64], truth: &[f64], k: usize) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
    let best = |v: &mut dyn Iterator<Item = f64>| v.fold(f64::NEG_INFINITY, f64::max);
    best(&mut truth.iter().copied()) - best(&mut order.iter().take(k).map(|&i| truth[i]))
}

/// Mean and standard error of the mean; the error of a single value is 0.
pub fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The fewest and the most values that are left out one by one: each is a fit.
const LEFT_OUT: std::ops::RangeInclusive<usize> = 4..=50;

/// A forecast of each row's value by `predict`, which gets all other rows, their values, and that row;
/// `None` where there are fewer than 4 rows or more than 50, or a fit fails.
pub fn leave_one_out(
    rows: &[usize],
    values: &[f64],
    mut predict: impl FnMut(&[usize], &[f64], usize) -> Result<Forecast, PredictError>,
) -> Option<Forecast> {
    fn without<T: Copy>(items: &[T], i: usize) -> Vec<T> {
        [&items[..i], &items[i + 1..]].concat()
    }
    if !LEFT_OUT.contains(&rows.len()) {
        return None;
    }
    let mut all = Forecast::default();
    for (i, &row) in rows.iter().enumerate() {
        let one = predict(&without(rows, i), &without(values, i), row).ok()?;
        all.mean.extend(one.mean);
        all.low.extend(one.low);
        all.high.extend(one.high);
    }
    Some(all)
}

/// Linear interpolation between order statistics of sorted values.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// τ-b by its definition over all pairs.
    fn slow_kendall(a: &[f64], b: &[f64]) -> f64 {
        let (mut s, mut na, mut nb) = (0.0, 0.0, 0.0);
        for i in 0..a.len() {
            for j in 0..i {
                let sign = |x: f64, y: f64| f64::from(u8::from(x > y)) - f64::from(u8::from(x < y));
                let (x, y) = (sign(a[i], a[j]), sign(b[i], b[j]));
                s += x * y;
                na += x * x;
                nb += y * y;
            }
        }
        s / f64::sqrt(na * nb)
    }

    proptest! {
        #[test]
        fn kendall_equals_its_definition(pairs in prop::collection::vec((0u8..9, 0u8..9), 2..60)) {
            let a: Vec<f64> = pairs.iter().map(|p| p.0.into()).collect();
            let b: Vec<f64> = pairs.iter().map(|p| p.1.into()).collect();
            let (fast, slow) = (kendall(&a, &b), slow_kendall(&a, &b));
            prop_assert!((fast - slow).abs() < 1e-12 || (fast.is_nan() && slow.is_nan()));
        }

        #[test]
        fn spearman_ignores_monotone_maps(a in prop::collection::vec(-5.0..5.0f64, 3..40), seed: u8) {
            let b: Vec<f64> = a.iter().map(|x| (x + f64::from(seed)).exp()).collect();
            prop_assert!((spearman(&a, &b) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn known_values() {
        // scipy.stats.spearmanr / kendalltau([1,2,2,4,5], [3,1,2,5,5])
        let (a, b) = ([1., 2., 2., 4., 5.], [3., 1., 2., 5., 5.]);
        assert!((spearman(&a, &b) - 0.631_578_947_368_421_1).abs() < 1e-12);
        assert!((kendall(&a, &b) - 0.444_444_444_444_444_4).abs() < 1e-12);
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [1.5, 0.0, 1.5]);
        assert_eq!(within_of_truth(&[1.1, 2.0, 2.6], &[1.0, 2.0, 2.0], 10.01), 2.0 / 3.0);
        assert_eq!(top_k_regret(&[3., 2., 1.], &[5., 9., 7.], 1), 4.0);
        assert_eq!(coverage(&[0., 2.], &[1., 3.], &[0.5, 1.5]), 0.5);
        assert_eq!(mean_and_error(&[1.0, 3.0]), (2.0, 1.0));
    }
}
