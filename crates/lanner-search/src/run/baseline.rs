//! The curve of random search, as far as it is known.

use serde::{Deserialize, Serialize};

/// The expected best value of random search, and how it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// How it is known: `exact over the table`.
    pub what: String,
    /// Numbers of evaluations, increasing, and the best value after each.
    pub curve: Vec<(usize, f64)>,
}

/// Largest number of points of a curve.
const POINTS: usize = 160;

impl Baseline {
    /// Computes the mean, over all orders, of the best of the first n of `values`, for n up to
    /// `most`: exact, for drawing without replacement. Values that are not finite are left out.
    /// `None` without a finite value.
    ///
    /// E max = Σᵢ x₍ᵢ₎ C(i−1, n−1) / C(N, n) over the ascending order statistics.
    pub fn expected(
        what: impl Into<String>,
        values: &[f64],
        maximise: bool,
        most: usize,
    ) -> Option<Baseline> {
        let sign = if maximise { 1.0 } else { -1.0 };
        let mut x: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|v| sign * v).collect();
        x.sort_by(f64::total_cmp);
        let most = most.min(x.len());
        if most == 0 {
            return None;
        }
        let curve = spaced(most).into_iter().map(|n| (n, sign * expected_max(&x, n))).collect();
        Some(Baseline { what: what.into(), curve })
    }
}

/// Mean of the largest of n values drawn from ascending `x` without replacement.
fn expected_max(x: &[f64], n: usize) -> f64 {
    let mut weight = n as f64 / x.len() as f64;
    let mut sum = 0.0;
    for i in (n..=x.len()).rev() {
        sum += weight * x[i - 1];
        if weight < 1e-14 {
            break;
        }
        weight *= (i - n) as f64 / (i - 1).max(1) as f64;
    }
    sum
}

/// Returns numbers from 1 to `most`: all of them, or about 160 with growing distances.
pub fn spaced(most: usize) -> Vec<usize> {
    if most <= POINTS {
        return (1..=most).collect();
    }
    let step = (most as f64).ln() / (POINTS - 1) as f64;
    let mut all: Vec<usize> =
        (0..POINTS).map(|i| ((i as f64 * step).exp().round() as usize).min(most)).collect();
    all.push(most);
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All orders of five values, counted out.
    #[test]
    fn expectation_is_that_of_all_orders() {
        let values = [3.0, -1.0, 7.0, 7.0, 2.5];
        let mut orders = vec![vec![]];
        for _ in 0..5 {
            let grown = |o: &Vec<usize>| -> Vec<Vec<usize>> {
                let next = (0..5).filter(|i| !o.contains(i));
                next.map(|i| o.iter().copied().chain([i]).collect()).collect()
            };
            orders = orders.iter().flat_map(grown).collect();
        }
        assert_eq!(orders.len(), 120);
        for maximise in [true, false] {
            let curve = Baseline::expected("", &values, maximise, 9).unwrap().curve;
            assert_eq!(curve.len(), 5);
            for (n, expected) in curve {
                let best = |o: &Vec<usize>| {
                    let first = o[..n].iter().map(|&i| values[i]);
                    if maximise { first.fold(-9.0, f64::max) } else { first.fold(9.0, f64::min) }
                };
                let mean = orders.iter().map(best).sum::<f64>() / 120.0;
                assert!((mean - expected).abs() < 1e-12, "{n}: {expected}, counted {mean}");
            }
        }
        assert_eq!(Baseline::expected("", &[f64::NAN], true, 3), None);
    }

    #[test]
    fn many_points_are_thinned_to_few() {
        let all = spaced(1_000_000);
        assert!(all.len() <= POINTS + 1 && all[0] == 1 && all.ends_with(&[1_000_000]));
        assert!(all.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(spaced(3), [1, 2, 3]);
    }
}
