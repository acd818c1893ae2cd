//! Real handwritten digits, part of the program.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{DataSet, Images, Shape, numbered};
use crate::DataError;

const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };
/// Number of training images, four fifths. The images are in the order of collection, so that training
/// has not seen most of the writers of the test images.
const TRAIN: usize = 1437;
const TEST: usize = 360;
/// A byte for each label, then a byte for each pixel's level.
const PACKED: &[u8] = include_bytes!("digits.gz");

/// Returns 1,797 handwritten digits of 8×8 pixels: the test set of UCI's "Optical Recognition of
/// Handwritten Digits" (Alpaydin & Kaynak, 1998), which scikit-learn has as `load_digits`. The first
/// 1,437 are for training, the last 360 for testing. Its 17 levels of grey, 0 to 16, are spread over 0
/// to 255.
///
/// There is nothing to download.
pub fn digits() -> Result<DataSet, DataError> {
    let mut labels = Vec::new();
    GzDecoder::new(PACKED)
        .read_to_end(&mut labels)
        .map_err(|e| DataError::Images(format!("the digits of this build: {e}")))?;
    let mut pixels = labels.split_off(TRAIN + TEST);
    pixels.iter_mut().for_each(|level| *level = ((u32::from(*level) * 255 + 8) / 16) as u8);
    let mut labels: Vec<u16> = labels.into_iter().map(u16::from).collect();
    let test_pixels = pixels.split_off(TRAIN * SHAPE.values());
    let test_labels = labels.split_off(TRAIN);
    DataSet::new(
        Images::new("digits train", SHAPE, numbered(10), pixels, labels)?,
        Images::new("digits test", SHAPE, numbered(10), test_pixels, test_labels)?,
    )
}
