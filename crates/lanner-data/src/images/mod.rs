//! Image classification data sets, for training candidates and for proxies.
//!
//! [`by_name`] reads a data set into memory, as bytes; [`Images`] is one split of it, N×C×H×W, with a
//! label for each image:
//!
//! ```
//! use lanner_data::images;
//!
//! let digits = images::by_name("digits")?; // real, 8×8, in the binary: nothing to download
//! let train = &digits.train;
//! assert_eq!((train.len(), train.channels, train.height, train.width), (1437, 1, 8, 8));
//!
//! // Splits, subsets and batches are lists of indices.
//! let (training, validation) = train.split(0.2, 7)?;
//! let statistics = train.statistics();
//! let mut batch = vec![0.0; 64 * train.pixels_each()];
//! train.batch(&training[..64], &statistics, &mut batch)?; // normalised, 64×1×8×8
//!
//! // For colour images, `Augmentation::COLOUR` has flips, and crops with padding 4.
//! let epoch_seed = images::EpochSeed { seed: 7, epoch: 0 };
//! let shifts = images::Augmentation { flip: false, padding: 1 };
//! shifts.apply(&mut batch, train.shape(), &statistics.black(), &training[..64], epoch_seed)?;
//! # assert_eq!(training.len() + validation.len(), 1437);
//! # Ok::<(), lanner_data::DataError>(())
//! ```
//!
//! | name | read from |
//! |---|---|
//! | `digits` | the program itself: 1,797 digits of 8×8 pixels |
//! | `cifar10:PATH`, `cifar100:PATH` | the binary version: its `.tar.gz`, or the folder in it |
//! | `mnist:DIR`, `fashion-mnist:DIR` | the four IDX files, plain or `.gz` |
//! | `folder:DIR`, `folder:DIR@32x32` | PNG and JPEG files, a folder for each class; resized to height×width if given. With the feature `images-folder` |
//!
//! **Randomness.** Splits, subsets and augmentations depend on hashes of the seed and the image's
//! index (and the epoch), not on a stream of random numbers. So they are the same for every batch
//! size, order and number of threads.
//!
//! **Damaged files.** Every reader checks the claims of a header against the length of the file before
//! it allocates memory, stops a decompression that yields far more than images would, and names the
//! file, the image and the wrong value.

mod augment;
mod batch;
mod by_name;
mod cifar;
mod digits;
#[cfg(feature = "images-folder")]
mod folder;
mod hash;
mod idx;
mod reduce;
mod select;
mod source;
#[cfg(test)]
mod tests;

pub use augment::{Augmentation, EpochSeed, flip, shift};
pub use batch::Statistics;
pub use by_name::by_name;
pub use cifar::{cifar10, cifar100};
pub use digits::digits;
#[cfg(feature = "images-folder")]
pub use folder::folder;
pub use idx::{fashion_mnist, mnist};

use std::path::Path;

use crate::DataError;

/// A data set: training images and test images of the same shape and classes.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    pub train: Images,
    pub test: Images,
}

impl DataSet {
    /// Makes a data set of two splits, which must have the same shape and classes; the training images
    /// must have more than one class.
    pub fn new(train: Images, test: Images) -> Result<Self, DataError> {
        let name = &train.name;
        if train.shape() != test.shape() {
            return Err(DataError::Images(format!(
                "{name}: the training images are {}, but the test images are {}",
                train.shape(),
                test.shape()
            )));
        }
        if train.classes != test.classes {
            return Err(DataError::Images(format!(
                "{name}: the {} classes of the training images are not the {} of the test images",
                train.classes.len(),
                test.classes.len()
            )));
        }
        let counts = train.class_counts();
        let mut there = (0..counts.len()).filter(|&c| counts[c] > 0);
        if let (Some(only), None) = (there.next(), there.next()) {
            return Err(DataError::Images(format!(
                "{name}: all {} training images are of one class, '{}'; expected two or more",
                train.len(),
                train.classes[only]
            )));
        }
        Ok(DataSet { train, test })
    }

    /// [`DataSet::new`], with errors that name a file or folder.
    fn read_from(path: &Path, train: Images, test: Images) -> Result<Self, DataError> {
        DataSet::new(train, test).map_err(|error| DataError::file(path, error.to_string()))
    }
}

/// Shape of one image, displayed as `3×32×32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 1 grey, 3 red, green, blue.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    /// Number of values of one image, C·H·W.
    pub fn values(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// Labelled images of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Name for messages, such as `cifar10 train`.
    pub name: String,
    /// 1 grey, 3 red, green, blue.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Name of each class; a label is an index into these.
    pub classes: Vec<String>,
    /// Pixels N×C×H×W, from 0 (black) to 255.
    pub pixels: Vec<u8>,
    /// Class of each of the N images.
    pub labels: Vec<u16>,
}

impl Images {
    /// Makes images from parts, which must fit together: at least one image, N×C×H×W pixels for N
    /// labels, each less than the number of classes.
    pub fn new(
        name: impl Into<String>,
        shape: Shape,
        classes: Vec<String>,
        pixels: Vec<u8>,
        labels: Vec<u16>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        let wrong = |why: String| Err(DataError::Images(format!("{name}: {why}")));
        let each = shape
            .channels
            .checked_mul(shape.height)
            .and_then(|n| n.checked_mul(shape.width))
            .filter(|&n| n > 0);
        let Some(each) = each else {
            return wrong(format!("images of {shape} pixels"));
        };
        if labels.is_empty() {
            return wrong("no images".into());
        }
        if labels.len().checked_mul(each) != Some(pixels.len()) {
            return wrong(format!(
                "{} pixels, expected {} × {shape} for {} labels",
                pixels.len(),
                labels.len(),
                labels.len()
            ));
        }
        if let Some(i) = labels.iter().position(|&l| usize::from(l) >= classes.len()) {
            return wrong(format!(
                "the label of image {} is {}, expected less than {} classes",
                i + 1,
                labels[i],
                classes.len()
            ));
        }
        let Shape { channels, height, width } = shape;
        Ok(Images { name, channels, height, width, classes, pixels, labels })
    }

    /// Number of images, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn shape(&self) -> Shape {
        Shape { channels: self.channels, height: self.height, width: self.width }
    }

    /// Number of pixels of one image, C·H·W.
    pub fn pixels_each(&self) -> usize {
        self.shape().values()
    }

    /// Pixels of one image, C×H×W; `None` if there is no such image.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let each = self.pixels_each();
        let start = index.checked_mul(each)?;
        self.pixels.get(start..start.checked_add(each)?)
    }

    /// Number of images of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }
}

/// Names of numbered classes: "0", "1", …
fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|c| c.to_string()).collect()
}

fn named(classes: &[&str]) -> Vec<String> {
    classes.iter().map(|&c| c.to_owned()).collect()
}
