//! Makes images smaller, for cheaper trainings.

use super::{DataSet, Images};
use crate::DataError;

impl DataSet {
    /// Reduces the images to `height` × `width` pixels, each the mean of a block of old ones; the old
    /// sizes must be multiples of the new.
    pub fn reduced(&self, height: usize, width: usize) -> Result<DataSet, DataError> {
        let train = self.train.reduced(height, width)?;
        DataSet::new(train, self.test.reduced(height, width)?)
    }
}

impl Images {
    /// [`DataSet::reduced`] for one split.
    pub fn reduced(&self, height: usize, width: usize) -> Result<Images, DataError> {
        let fits = |old: usize, new: usize| new > 0 && old.is_multiple_of(new);
        if !fits(self.height, height) || !fits(self.width, width) {
            return Err(DataError::Images(format!(
                "{}: images of {}×{} reduced to {height}×{width}, expected divisors of the old sizes",
                self.name, self.height, self.width
            )));
        }
        let (down, across) = (self.height / height, self.width / width);
        let area = (down * across) as u32;
        let mut small = self.clone();
        (small.height, small.width) = (height, width);
        small.pixels = Vec::with_capacity(self.pixels.len() / area as usize);
        // Planes follow each other without gaps, so that bands of `down` rows never cross images.
        for band in self.pixels.chunks_exact(down * self.width) {
            for x in 0..width {
                let rows = band.chunks_exact(self.width);
                let block = rows.flat_map(|row| &row[x * across..(x + 1) * across]);
                let sum: u32 = block.map(|&p| u32::from(p)).sum();
                small.pixels.push(((sum + area / 2) / area) as u8);
            }
        }
        Ok(small)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shape, numbered};
    use super::*;

    fn two() -> Images {
        let shape = Shape { channels: 2, height: 2, width: 4 };
        let pixels = (0..32).map(|i| i * 7).collect();
        Images::new("test", shape, numbered(2), pixels, vec![1, 0]).unwrap()
    }

    #[test]
    fn pixels_are_the_means_of_blocks() {
        let small = two().reduced(1, 2).unwrap();
        assert_eq!(small.shape(), Shape { channels: 2, height: 1, width: 2 });
        assert_eq!(small.labels, [1, 0]);
        // The first block has 0, 7, 28 and 35, the second 14, 21, 42 and 49; 17.5 is rounded up.
        assert_eq!(small.pixels[..4], [18, 32, 74, 88]);
        assert_eq!(small.pixels.len(), 8);
        assert_eq!(two().reduced(2, 4).unwrap(), two());
        let white = Images { pixels: vec![255; 32], ..two() };
        assert_eq!(white.reduced(2, 1).unwrap().pixels, [255; 8]);
    }

    #[test]
    fn what_is_no_whole_part_is_refused() {
        for (height, width) in [(0, 4), (2, 3), (4, 4), (usize::MAX, 1)] {
            let message = two().reduced(height, width).unwrap_err().to_string();
            assert!(message.starts_with("test: images of 2×4 reduced to"), "{message}");
        }
    }
}
