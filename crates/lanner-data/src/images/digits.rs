//! Real handwritten digits, part of the program.

use super::{DataSet, Images, Shape, numbered};
use crate::DataError;

const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };
/// Number of training images, four fifths. The images are in the order of collection, so that training
/// has not seen most of the writers of the test images.
const TRAIN: usize = 1437;

/// Returns 1,797 handwritten digits of 8×8 pixels: the test set of UCI's "Optical Recognition of
/// Handwritten Digits" (Alpaydin & Kaynak, 1998), which scikit-learn has as `load_digits`. The first
/// 1,437 are for training, the last 360 for testing. Its 17 levels of grey, 0 to 16, are spread over 0
/// to 255.
///
/// The copy is the one in the crate `smartcore`; there is nothing to download.
pub fn digits() -> Result<DataSet, DataError> {
    let published = smartcore::dataset::digits::load_dataset();
    let wrong = |what: String| DataError::Images(format!("smartcore's digits: {what}"));
    let level = |v: f32| match v {
        0.0..=16.0 => Ok(((v as u32 * 255 + 8) / 16) as u8),
        _ => Err(wrong(format!("a pixel of {v}, expected 0 to 16"))),
    };
    let label = |v: f32| match v {
        0.0..=9.0 => Ok(v as u16),
        _ => Err(wrong(format!("a label of {v}, expected 0 to 9"))),
    };
    let mut pixels: Vec<u8> = published.data.into_iter().map(level).collect::<Result<_, _>>()?;
    let mut labels: Vec<u16> = published.target.into_iter().map(label).collect::<Result<_, _>>()?;
    if labels.len() <= TRAIN || pixels.len() != labels.len() * SHAPE.values() {
        return Err(wrong(format!("{} labels and {} pixels", labels.len(), pixels.len())));
    }
    let test_pixels = pixels.split_off(TRAIN * SHAPE.values());
    let test_labels = labels.split_off(TRAIN);
    DataSet::new(
        Images::new("digits train", SHAPE, numbered(10), pixels, labels)?,
        Images::new("digits test", SHAPE, numbered(10), test_pixels, test_labels)?,
    )
}
