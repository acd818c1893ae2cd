//! The recipe `multi-predict` for latency across search spaces (Akhauri & Abdelfattah,
//! "Multi-Predict", AutoML-Conf 2023).
//!
//! A network is encoded by its latencies on reference devices, which were measured in both spaces. An
//! MLP of four layers of 256 learns the target device's latencies from about 100 samples of the source
//! space and then, with all its weights, from the few of the target space. L1 loss, AdamW; 250 epochs
//! at 4e-4 along a cosine, then 50 at 1e-3. Every call begins from the pre-trained weights, unlike the
//! official code, whose repetitions go on training the same network.

use lanner_predict::regress::linalg::Mat;

/// Width of the network.
pub const WIDTH: usize = 256;

/// Encodes a pool as latencies on reference devices (a slice a device, one value a row of the pool),
/// each scaled to [0, 1] over the pool: p × references.
pub fn encoding(references: &[&[f64]]) -> Mat {
    let rows = references.iter().map(|r| r.len()).min().unwrap_or(0);
    let scales: Vec<(f64, f64)> = (references.iter())
        .map(|values| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let range = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
            (least, if range > 0.0 { range } else { 1.0 })
        })
        .collect();
    Mat::from_fn(rows, references.len(), |i, j| (references[j][i] - scales[j].0) / scales[j].1)
}

#[cfg(test)]
mod tests {
    use lanner_predict::encode::costs::AnalyticCosts;
    use lanner_predict::metrics::spearman;
    use lanner_space::Space;
    use rand::seq::SliceRandom;

    use super::*;
    use crate::recipes::multi_predict::MultiPredict;

    const DEVICES: [[f64; 3]; 5] =
        [[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0], [0.5, 0.5, 0.1], [0.3, 0.1, 0.6]];

    /// Times of a pool on simulated devices of three kinds, limited by arithmetic, by memory, and by
    /// starts of layers.
    fn simulated(space: Space) -> Mat {
        let mut rng = lanner_nn::rng(3, "chains");
        let archs: Vec<_> = match space.has_uniform_layers() {
            true => space.iter().step_by(23).collect(),
            false => (0..500).map(|_| space.sample(&mut rng)).collect(),
        };
        AnalyticCosts::new(&space, &archs, false).times
    }

    /// Latencies on a device that mixes the three kinds, each in units of its mean.
    fn device(times: &Mat, shares: [f64; 3]) -> Vec<f64> {
        let mut sum = vec![0.2; times.rows];
        for (share, column) in shares.iter().zip([0, 4, 25]) {
            let mean = (0..times.rows).map(|i| times[(i, column)]).sum::<f64>() / times.rows as f64;
            sum.iter_mut().enumerate().for_each(|(i, s)| *s += share * times[(i, column)] / mean);
        }
        sum
    }

    #[test]
    fn the_recipe_learns_in_the_source_space() {
        let spaces = [simulated(Space::NasBench201), simulated(Space::Fbnet)];
        let encoded = |space: usize| {
            let columns = DEVICES.map(|d| device(&spaces[space], d));
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            encoding(&columns)
        };
        let (from, to) = (encoded(0), encoded(1));
        assert!(from.data.iter().all(|v| (0.0..=1.0).contains(v)));
        let shares = [0.8, 0.1, 0.5];
        let all = device(&spaces[0], shares);
        let mut rows: Vec<usize> = (0..all.len()).collect();
        rows.shuffle(&mut lanner_nn::rng(7, "measured"));
        rows.truncate(60);
        let values: Vec<f64> = rows.iter().map(|&r| all[r]).collect();
        let truth = device(&spaces[1], shares);
        let source = MultiPredict::pre_train(WIDTH, &from.select(&rows), &values, 0).unwrap();
        let rank = |network: &MultiPredict| spearman(&network.predict(&to), &truth);
        // From two measurements of the target space a new network learns nothing reliable.
        let (mut tuned, mut new) = (0.0, 0.0);
        for few in [[3, 77], [150, 260], [301, 12], [40, 41], [9, 222]] {
            let y = few.map(|r| truth[r]);
            tuned += rank(&source.fine_tuned(&to.select(&few), &y, 0).unwrap()) / 5.0;
            new += rank(&MultiPredict::pre_train(WIDTH, &to.select(&few), &y, 0).unwrap()) / 5.0;
        }
        assert!(tuned > 0.95 && tuned > new, "{tuned} {new}");
    }
}
