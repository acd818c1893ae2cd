//! Normalises bytes for a network: (pixel / 255 − mean) / standard deviation, by channel.

use super::{Images, Shape};
use crate::DataError;

/// Mean and standard deviation of each channel, with pixels from 0 to 1: CIFAR-10's training images
/// have the means 0.4914, 0.4822, 0.4465.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    pub mean: Vec<f64>,
    /// Standard deviation over all pixels (divided by N, not by N − 1).
    pub std: Vec<f64>,
}

impl Statistics {
    /// Value of black after normalisation, for each channel; crops are padded with it.
    pub fn black(&self) -> Vec<f32> {
        (0..self.mean.len()).map(|c| self.normalised(c, 0)).collect()
    }

    fn normalised(&self, channel: usize, pixel: u8) -> f32 {
        let std = self.std.get(channel).copied().unwrap_or(1.0);
        // A constant channel becomes 0.
        let std = if std > 0.0 { std } else { 1.0 };
        ((f64::from(pixel) / 255.0 - self.mean.get(channel).copied().unwrap_or(0.0)) / std) as f32
    }
}

impl Images {
    /// Computes mean and standard deviation of each channel over all images. Every split is normalised
    /// with those of the training split. Sums are of integers, so that the result is exact to the last
    /// division.
    pub fn statistics(&self) -> Statistics {
        let Shape { channels, height, width } = self.shape();
        let plane = (height * width).max(1);
        let mut sums = vec![(0u64, 0u64, 0u64); channels];
        for (i, pixels) in self.pixels.chunks_exact(plane).enumerate() {
            let Some((n, sum, squares)) = sums.get_mut(i % channels.max(1)) else { break };
            *n += plane as u64;
            for &p in pixels {
                *sum += u64::from(p);
                *squares += u64::from(p) * u64::from(p);
            }
        }
        let moments = |&(n, sum, squares): &(u64, u64, u64)| {
            // n·Σx² − (Σx)² in integers, so that no digits cancel.
            let spread = u128::from(squares) * u128::from(n) - u128::from(sum) * u128::from(sum);
            let n = n.max(1) as f64;
            (sum as f64 / n / 255.0, (spread as f64).sqrt() / n / 255.0)
        };
        let (mean, std) = sums.iter().map(moments).unzip();
        Statistics { mean, std }
    }

    /// Writes the normalised images of a batch as N×C×H×W; `out` must have exactly that length.
    pub fn batch(
        &self,
        indices: &[usize],
        statistics: &Statistics,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let (each, plane) = (self.pixels_each(), self.height * self.width);
        let wrong = |why: String| Err(DataError::Images(format!("{}: {why}", self.name)));
        if statistics.mean.len() != self.channels || statistics.std.len() != self.channels {
            return wrong(format!(
                "statistics of {} channels for images of {}",
                statistics.mean.len(),
                self.channels
            ));
        }
        if indices.len().checked_mul(each) != Some(out.len()) {
            return wrong(format!(
                "a buffer of {} values for {} images of {}",
                out.len(),
                indices.len(),
                self.shape()
            ));
        }
        if out.is_empty() {
            return Ok(());
        }
        let tables: Vec<[f32; 256]> = (0..self.channels)
            .map(|c| std::array::from_fn(|pixel| statistics.normalised(c, pixel as u8)))
            .collect();
        for (&index, out) in indices.iter().zip(out.chunks_exact_mut(each)) {
            let (image, _) = self.checked(index)?;
            let planes = image.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
            for ((pixels, out), table) in planes.zip(&tables) {
                for (o, &p) in out.iter_mut().zip(pixels) {
                    *o = table[usize::from(p)];
                }
            }
        }
        Ok(())
    }

    /// Labels of a batch.
    pub fn batch_labels(&self, indices: &[usize]) -> Result<Vec<u16>, DataError> {
        indices.iter().map(|&i| self.checked(i).map(|(_, label)| label)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbered;
    use super::*;

    fn two() -> Images {
        let shape = Shape { channels: 2, height: 1, width: 2 };
        let pixels = vec![0, 255, 51, 51, 255, 0, 51, 51];
        Images::new("test", shape, numbered(2), pixels, vec![1, 0]).unwrap()
    }

    #[test]
    fn statistics_are_a_channel_each() {
        let statistics = two().statistics();
        assert_eq!(statistics, Statistics { mean: vec![0.5, 0.2], std: vec![0.5, 0.0] });
        assert_eq!(statistics.black(), [-1.0, -0.2]);
    }

    #[test]
    fn a_batch_is_normalised_in_the_order_of_its_indices() {
        let images = two();
        let mut out = [9.0; 8];
        images.batch(&[1, 0], &images.statistics(), &mut out).unwrap();
        assert_eq!(out, [1.0, -1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0]);
        assert_eq!(images.batch_labels(&[1, 0, 0]).unwrap(), [0, 1, 1]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let images = two();
        let s = images.statistics();
        let one = Statistics { mean: vec![0.0], std: vec![1.0] };
        for (result, expected) in [
            (images.batch(&[2], &s, &mut [0.0; 4]), "image 2 of 2"),
            (images.batch(&[0], &s, &mut [0.0; 8]), "a buffer of 8 values for 1 images of 2×1×2"),
            (images.batch(&[0], &one, &mut [0.0; 4]), "statistics of 1 channels for images of 2"),
            (images.batch_labels(&[5]).map(drop), "image 5 of 2"),
        ] {
            assert_eq!(result.unwrap_err().to_string(), format!("test: {expected}"));
        }
        images.batch(&[], &s, &mut []).unwrap();
    }
}
