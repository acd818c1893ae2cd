//! Margins by which one of two architectures is better, and rankings by them.

/// Margins between all pairs: margin(i, j) = `first[i]` + `second[j]` + `constant`.
#[derive(Debug, Clone, PartialEq)]
pub struct Margins {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub constant: f32,
}

impl Margins {
    /// The log-odds of i being better than j.
    pub fn margin(&self, i: usize, j: usize) -> f32 {
        self.first[i] + self.second[j] + self.constant
    }

    /// The symmetrised scores: higher is better.
    pub fn scores(&self) -> Vec<f64> {
        let pairs = self.first.iter().zip(&self.second);
        pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    }
}

/// The number of opponents that each model beats (a draw counts half), by the symmetrised relation
/// of all members' margins averaged: O(n²) comparisons. Where every member agrees on the order, it
/// is the order of the scores.
pub fn copeland(margins: &[Margins]) -> Vec<f64> {
    let n = margins.first().map_or(0, |m| m.first.len());
    let beats = |i: usize, j: usize| {
        let votes: i32 =
            margins.iter().map(|m| m.margin(i, j).total_cmp(&m.margin(j, i)) as i32).sum();
        0.5 + 0.5 * f64::from(votes.signum())
    };
    (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| beats(i, j)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_orders_as_the_mean_margin_over_all_opponents() {
        let n = 7;
        let value = |k: usize, i: usize| ((i * 37 + k * 11) % 13) as f32 / 3.0;
        let margins = Margins {
            first: (0..n).map(|i| value(1, i)).collect(),
            second: (0..n).map(|i| -value(2, i)).collect(),
            constant: 0.7,
        };
        let scores = margins.scores();
        let mean = |i: usize| -> f64 {
            (0..n).map(|j| f64::from(margins.margin(i, j) - margins.margin(j, i))).sum::<f64>()
                / n as f64
        };
        for i in 0..n {
            for j in 0..n {
                let difference = mean(i) - mean(j);
                assert!((difference - (scores[i] - scores[j])).abs() < 1e-5);
                let symmetrised = margins.margin(i, j) - margins.margin(j, i);
                assert!((f64::from(symmetrised) - (scores[i] - scores[j])).abs() < 1e-5);
            }
        }
        let counts = copeland(std::slice::from_ref(&margins));
        let order = |v: &[f64]| {
            let mut o: Vec<usize> = (0..n).collect();
            o.sort_by(|&a, &b| v[a].total_cmp(&v[b]).then(a.cmp(&b)));
            o
        };
        assert_eq!(order(&counts), order(&scores));
    }
}
