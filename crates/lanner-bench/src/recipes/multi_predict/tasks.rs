//! The recipe `multi-predict` across tasks and spaces: proxies, a small network, pre-training and
//! fine-tuning (Akhauri & Abdelfattah, "Multi-Predict", AutoML-Conf 2023).
//!
//! Twelve proxies → MLP of four layers of 128 → accuracy, by L1 loss and AdamW. Trained on the source
//! (250 epochs, 4e-4, cosine), then on the target's samples alone (50 epochs at 1e-3, all weights).
//! Proxies are normalised over each data set as in NASFLAT; accuracies are scaled by the least and the
//! greatest value in the training samples. Every call begins from the pre-trained weights, unlike the
//! official code, whose repetitions go on training the same network.

use lanner_predict::accuracy::adapted::without_failures;
use lanner_predict::regress::linalg::Mat;

use crate::recipes::SUITE_ZERO;

/// Width of the network.
pub const WIDTH: usize = 128;

/// Proxies in the order of the inputs, without zen.
pub const PROXIES: &[&str] = SUITE_ZERO.split_at(12).0;
/// Proxies whose logarithm is normalised.
const LOGARITHMS: [&str; 6] = ["fisher", "flops", "grad_norm", "params", "snip", "synflow"];

/// Normalises proxies over a data set as NASFLAT does, p × 12: log1p and min–max for magnitudes,
/// z-score for grasp, min–max for the rest. A missing proxy or value becomes 0.
pub fn normalised(columns: &[(String, Vec<f64>)], rows: usize) -> Mat {
    normalised_of(PROXIES, columns, rows)
}

/// Normalises the proxies of these names as [`normalised`].
pub(crate) fn normalised_of(names: &[&str], columns: &[(String, Vec<f64>)], rows: usize) -> Mat {
    let column = |name: &str| -> Vec<f64> {
        let Some((_, values)) = columns.iter().find(|c| c.0 == name) else {
            return vec![0.0; rows];
        };
        let mut values = without_failures(values);
        if LOGARITHMS.contains(&name) {
            values.iter_mut().for_each(|v| *v = v.max(0.0).ln_1p());
        }
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let n = known.len() as f64;
        let (shift, scale) = if name == "grasp" {
            let mean = known.iter().sum::<f64>() / n;
            (mean, (known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
        } else {
            let least = known.iter().copied().fold(f64::INFINITY, f64::min);
            (least, known.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least)
        };
        let scaled = |v: f64| {
            if v.is_finite() && scale > 0.0 { (v - shift) / scale } else { 0.0 }
        };
        values.into_iter().map(scaled).collect()
    };
    let columns: Vec<Vec<f64>> = names.iter().copied().map(column).collect();
    Mat::from_fn(rows, names.len(), |i, j| columns[j][i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipes::multi_predict::MultiPredict;

    #[test]
    fn it_learns_a_source_and_keeps_it_when_a_target_agrees() {
        let x = Mat::from_fn(200, 3, |i, j| ((i * (3 + 4 * j)) % 17) as f64 / 17.0);
        let y: Vec<f64> = (0..200).map(|i| x[(i, 0)] - x[(i, 1)] * x[(i, 2)]).collect();
        let source = MultiPredict::pre_train(WIDTH, &x, &y, 0).unwrap();
        let rank = |m: &MultiPredict| lanner_predict::metrics::spearman(&m.predict(&x), &y);
        assert!(rank(&source) > 0.95, "{}", rank(&source));
        let few: Vec<usize> = (0..200).step_by(10).collect();
        let some: Vec<f64> = few.iter().map(|&i| y[i]).collect();
        let before = source.predict(&x);
        let tuned = source.fine_tuned(&x.select(&few), &some, 0).unwrap();
        assert!(rank(&tuned) > 0.9, "{}", rank(&tuned));
        // Fine-tuning works on a copy.
        assert_eq!(before, source.predict(&x));
        assert!(source.fine_tuned(&x.select(&few), &[f64::NAN; 20], 0).is_err());
    }

    #[test]
    fn failures_and_missing_proxies_are_zero() {
        let columns = vec![
            ("synflow".into(), vec![0.0, 1.0, 3.0, -1e8]),
            ("grasp".into(), vec![-1.0, 1.0, -1.0, 1.0]),
            ("jacov".into(), vec![2.0, f64::NAN, 4.0, 3.0]),
        ];
        let x = normalised(&columns, 4);
        let of = |name: &str| -> Vec<f64> {
            let j = PROXIES.iter().position(|p| *p == name).unwrap();
            (0..4).map(|i| x[(i, j)]).collect()
        };
        assert_eq!(of("synflow"), [0.0, 0.5, 1.0, 0.0]);
        assert_eq!(of("grasp"), [-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(of("jacov"), [0.0, 0.0, 1.0, 0.5]);
        assert_eq!(of("nwot"), [0.0; 4]);
    }
}
