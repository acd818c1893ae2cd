use lanner_data::images::{Augmentation, DataSet, EpochSeed, Images, Shape, Statistics};
use lanner_network::Network;

use crate::EvaluateError;

/// A data set for training: its split, and the statistics by which images are normalised.
#[derive(Debug, Clone)]
pub struct TrainData {
    set: DataSet,
    statistics: Statistics,
    training: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

/// DataPart of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataPart {
    /// Images to train with.
    Training,
    /// Some of the training images, kept to choose epochs and networks by.
    Validation,
    /// The test images.
    Test,
}

impl TrainData {
    /// Keeps the fraction `validation` of the training images, equally of each class, for validation.
    /// All images are normalised by the statistics of all training images.
    ///
    /// # Errors
    /// When the parts of the set do not fit together, all training images are of one class, or no
    /// image is kept for validation.
    pub fn new(set: DataSet, validation: f64, seed: u64) -> Result<TrainData, EvaluateError> {
        // The fields of images are public, and may have changed.
        let checked = |i: Images| -> Result<Images, EvaluateError> {
            Ok(Images::new(i.name.clone(), i.shape(), i.classes, i.pixels, i.labels)?)
        };
        let set = DataSet::new(checked(set.train)?, checked(set.test)?)?;
        let (training, kept) = set.train.split(validation, seed)?;
        if kept.is_empty() {
            return Err(EvaluateError::Value {
                name: "validation split",
                value: validation.to_string(),
                expected: format!("one or more of the {} training images", set.train.len()),
            });
        }
        Ok(TrainData {
            statistics: set.train.statistics(),
            training,
            validation: kept,
            test: (0..set.test.len()).collect(),
            set,
        })
    }

    /// Shape of an image.
    pub fn shape(&self) -> Shape {
        self.set.train.shape()
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.set.train.classes
    }

    /// Statistics by which images are normalised.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Number of images of a part.
    pub fn len(&self, part: DataPart) -> usize {
        self.part(part).1.len()
    }

    /// Loads `count` images of a part from number `start` on, normalised, and their labels, for a
    /// network of `channels` channels (N × channels × H × W; a grey image is repeated in all
    /// channels).
    ///
    /// # Errors
    /// When the part has too few images, or colour images have another number of channels.
    pub fn batch(
        &self,
        part: DataPart,
        start: usize,
        count: usize,
        channels: usize,
    ) -> Result<(Vec<f32>, Vec<u16>), EvaluateError> {
        let (images, indices) = self.part(part);
        let end = start.checked_add(count).filter(|&end| end <= indices.len());
        let Some(end) = end else {
            return Err(EvaluateError::Value {
                name: "end of the batch",
                value: start.saturating_add(count).to_string(),
                expected: format!("at most {} images", indices.len()),
            });
        };
        self.load(images, &indices[start..end], channels, Augmentation::NONE, NO_EPOCH)
    }

    /// Loads augmented training images by their numbers, see [`TrainData::training`].
    pub(super) fn augmented(
        &self,
        indices: &[usize],
        channels: usize,
        augmentation: Augmentation,
        epoch_seed: EpochSeed,
    ) -> Result<(Vec<f32>, Vec<u16>), EvaluateError> {
        self.load(&self.set.train, indices, channels, augmentation, epoch_seed)
    }

    /// Numbers of the training images among all images of the set.
    pub(super) fn training(&self) -> &[usize] {
        &self.training
    }

    /// Usual augmentation for such images.
    pub(super) fn usual_augmentation(&self) -> Augmentation {
        match self.shape().channels {
            1 => Augmentation::NONE,
            _ => Augmentation { flip: true, padding: self.shape().height / 8 },
        }
    }

    /// Checks that the images and classes fit the network.
    pub(super) fn check(&self, network: &Network) -> Result<(), EvaluateError> {
        let (image, input) = (self.shape(), network.input());
        let same = (image.height, image.width) == (input.height, input.width);
        if !same || (image.channels != input.channels && image.channels != 1) {
            return Err(EvaluateError::Value {
                name: "shape of the images",
                value: image.to_string(),
                expected: format!("{input}, the network's input, or a grey image of its size"),
            });
        }
        if self.classes().len() != network.output().len() {
            return Err(EvaluateError::Value {
                name: "number of classes",
                value: self.classes().len().to_string(),
                expected: format!("{}, the network's outputs", network.output().len()),
            });
        }
        Ok(())
    }

    fn part(&self, part: DataPart) -> (&Images, &[usize]) {
        match part {
            DataPart::Training => (&self.set.train, &self.training),
            DataPart::Validation => (&self.set.train, &self.validation),
            DataPart::Test => (&self.set.test, &self.test),
        }
    }

    fn load(
        &self,
        images: &Images,
        indices: &[usize],
        channels: usize,
        augmentation: Augmentation,
        epoch_seed: EpochSeed,
    ) -> Result<(Vec<f32>, Vec<u16>), EvaluateError> {
        let shape = images.shape();
        if shape.channels != channels && shape.channels != 1 {
            return Err(EvaluateError::Value {
                name: "channels",
                value: channels.to_string(),
                expected: format!("{}, those of the images", shape.channels),
            });
        }
        let mut pixels = vec![0.0; indices.len() * shape.values()];
        images.batch(indices, &self.statistics, &mut pixels)?;
        augmentation.apply(&mut pixels, shape, &self.statistics.black(), indices, epoch_seed)?;
        if shape.channels != channels {
            let grey = pixels.chunks_exact(shape.values());
            pixels = grey.flat_map(|image| image.repeat(channels)).collect();
        }
        Ok((pixels, images.batch_labels(indices)?))
    }
}

/// Seed for images that are not augmented, which does not matter.
const NO_EPOCH: EpochSeed = EpochSeed { seed: 0, epoch: 0 };
