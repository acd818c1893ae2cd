//! Changes of images that keep the class, in place: horizontal flips, and crops after padding.

use super::{
    Shape,
    hash::{below, hash},
};
use crate::DataError;

/// Random changes, drawn anew for each image in each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augmentation {
    /// Mirrors half of the images, left to right.
    pub flip: bool,
    /// Number of rows and columns of padding on each side; the old size is then cropped at random.
    pub padding: usize,
}

/// Seed of a training, and its epoch. The changes of an image depend on these and its index only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSeed {
    pub seed: u64,
    pub epoch: u64,
}

impl Augmentation {
    /// No changes.
    pub const NONE: Augmentation = Augmentation { flip: false, padding: 0 };
    /// Flips and crops with a padding of 4, as is usual for CIFAR.
    pub const COLOUR: Augmentation = Augmentation { flip: true, padding: 4 };

    /// Augments a batch N×C×H×W in place. `fill` has the value of the padding for each channel:
    /// [`Statistics::black`](super::Statistics::black) pads as if before normalisation.
    ///
    /// `indices` are those of the images: an image changes the same way in every batch.
    pub fn apply(
        &self,
        batch: &mut [f32],
        shape: Shape,
        fill: &[f32],
        indices: &[usize],
        epoch_seed: EpochSeed,
    ) -> Result<(), DataError> {
        let each = shape.values();
        if indices.len().checked_mul(each) != Some(batch.len()) || fill.len() != shape.channels {
            return Err(DataError::Images(format!(
                "augmentation: {} values and {} of padding for {} images of {shape}",
                batch.len(),
                fill.len(),
                indices.len()
            )));
        }
        if *self == Augmentation::NONE || each == 0 {
            return Ok(());
        }
        // Padding beyond the image's size would only make more images blank.
        let padding = self.padding.min(shape.height.max(shape.width));
        for (image, &index) in batch.chunks_exact_mut(each).zip(indices) {
            let bits = |what| hash(&[epoch_seed.seed, epoch_seed.epoch, index as u64, what]);
            if self.flip && bits(0) & 1 == 1 {
                flip(image, shape);
            }
            if padding > 0 {
                let offset = |bits| below(bits, 2 * padding + 1) as isize - padding as isize;
                let both = bits(1);
                shift(image, shape, fill, offset((both >> 32) as u32), offset(both as u32));
            }
        }
        Ok(())
    }
}

/// Mirrors an image C×H×W left to right.
pub fn flip(image: &mut [f32], shape: Shape) {
    for row in image.chunks_exact_mut(shape.width.max(1)) {
        row.reverse();
    }
}

/// Crops an image C×H×W to its own size, `down` rows further down and `right` columns further right
/// (up and left if negative): pixel (y, x) becomes the old pixel (y + down, x + right), or the
/// channel's `fill` where that is outside.
pub fn shift(image: &mut [f32], shape: Shape, fill: &[f32], down: isize, right: isize) {
    let Shape { height, width, .. } = shape;
    if height == 0 || width == 0 {
        return;
    }
    let (skip, rows) = (right.unsigned_abs().min(width), down.unsigned_abs().min(height));
    for (plane, &fill) in image.chunks_exact_mut(height * width).zip(fill) {
        let kept = (height - rows) * width;
        if down >= 0 {
            plane.copy_within(rows * width.., 0);
            plane[kept..].fill(fill);
        } else {
            plane.copy_within(..kept, rows * width);
            plane[..rows * width].fill(fill);
        }
        if skip == 0 {
            continue;
        }
        for row in plane.chunks_exact_mut(width) {
            if right >= 0 {
                row.copy_within(skip.., 0);
                row[width - skip..].fill(fill);
            } else {
                row.copy_within(..width - skip, skip);
                row[..skip].fill(fill);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pads and crops by the definition.
    fn shifted(image: &[f32], shape: Shape, fill: &[f32], down: isize, right: isize) -> Vec<f32> {
        let Shape { channels, height, width } = shape;
        let mut out = vec![];
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    let from =
                        |at: usize, by: isize, n| at.checked_add_signed(by).filter(|&at| at < n);
                    out.push(match (from(y, down, height), from(x, right, width)) {
                        (Some(y), Some(x)) => image[(c * height + y) * width + x],
                        _ => fill[c],
                    });
                }
            }
        }
        out
    }

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32).collect()
    }

    proptest! {
        #[test]
        fn shifts_are_padded_crops(
            (channels, height, width) in (1..3usize, 1..6usize, 1..6usize),
            (down, right) in (-8..8isize, -8..8isize),
        ) {
            let shape = Shape { channels, height, width };
            let mut image = numbers(shape.values());
            let fill = [-1.0, -2.0];
            let expected = shifted(&image, shape, &fill, down, right);
            shift(&mut image, shape, &fill, down, right);
            prop_assert_eq!(image, expected);
        }
    }

    #[test]
    fn images_are_augmented_alike_in_any_batch_and_otherwise_in_other_epochs() {
        let shape = Shape { channels: 3, height: 8, width: 8 };
        let each = shape.values();
        let augmented = |indices: &[usize], seed, epoch| {
            let mut batch: Vec<f32> = indices.iter().flat_map(|_| numbers(each)).collect();
            Augmentation::COLOUR
                .apply(&mut batch, shape, &[0.0; 3], indices, EpochSeed { seed, epoch })
                .unwrap();
            batch
        };
        let (all, reverse) = (augmented(&[3, 4, 5], 1, 0), augmented(&[5, 4], 1, 0));
        assert_eq!(all[each..2 * each], reverse[each..]);
        assert_eq!(all[2 * each..], reverse[..each]);
        assert_ne!(augmented(&[3, 4, 5], 1, 1), all);
        assert_ne!(augmented(&[3, 4, 5], 2, 0), all);
    }

    #[test]
    fn half_are_flipped_and_all_offsets_are_drawn() {
        let shape = Shape { channels: 1, height: 9, width: 9 };
        let indices: Vec<usize> = (0..2000).collect();
        let mut batch: Vec<f32> = indices.iter().flat_map(|_| numbers(81)).collect();
        let epoch_seed = EpochSeed { seed: 5, epoch: 3 };
        let flips = Augmentation { flip: true, padding: 0 };
        flips.apply(&mut batch, shape, &[0.0], &indices, epoch_seed).unwrap();
        let flipped = batch.chunks(81).filter(|i| i[0] == 8.0).count();
        assert!((900..1100).contains(&flipped), "{flipped}");

        let mut batch: Vec<f32> = indices.iter().flat_map(|_| numbers(81)).collect();
        let crops = Augmentation { flip: false, padding: 4 };
        crops.apply(&mut batch, shape, &[0.0], &indices, epoch_seed).unwrap();
        // The middle pixel shows both offsets.
        let mut seen = std::collections::BTreeSet::new();
        seen.extend(batch.chunks(81).map(|i| i[40] as usize));
        assert_eq!(seen.len(), 81);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let shape = Shape { channels: 1, height: 2, width: 2 };
        let epoch_seed = EpochSeed { seed: 0, epoch: 0 };
        for (n, fill) in [(5, &[0.0][..]), (8, &[0.0, 0.0])] {
            let error = Augmentation::NONE.apply(&mut numbers(n), shape, fill, &[0, 1], epoch_seed);
            assert!(error.unwrap_err().to_string().contains("for 2 images of 1×2×2"));
        }
        // Padding of any size must not panic.
        let huge = Augmentation { flip: true, padding: usize::MAX };
        huge.apply(&mut numbers(8), shape, &[0.0], &[0, 1], epoch_seed).unwrap();
    }
}
