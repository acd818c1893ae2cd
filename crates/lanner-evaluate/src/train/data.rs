use lanner_data::images::{Augmentation, DataSet, EpochSeed, Images, Shape, Statistics};
use lanner_network::Network;

use crate::EvaluateError;

/// A data set ready to train with: split, and with the statistics by which it is normalised.
#[derive(Debug, Clone)]
pub struct Data {
    set: DataSet,
    statistics: Statistics,
    training: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

/// What images are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To train with.
    Training,
    /// A part of the training images that is not trained with: to choose by.
    Validation,
    /// The test images.
    Test,
}

impl Data {
    /// Keeps the fraction `validation` of the training images, of each class alike, for validation.
    /// What all images are normalised by is of all training images.
    ///
    /// # Errors
    /// When the parts of the set do not fit together, all training images are of one class, or there
    /// is nothing left for validation.
    pub fn new(set: DataSet, validation: f64, seed: u64) -> Result<Data, EvaluateError> {
        // The fields of images are public.
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
        Ok(Data {
            statistics: set.train.statistics(),
            training,
            validation: kept,
            test: (0..set.test.len()).collect(),
            set,
        })
    }

    /// The shape of an image.
    pub fn shape(&self) -> Shape {
        self.set.train.shape()
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.set.train.classes
    }

    /// What images are normalised by.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The number of images of a part.
    pub fn len(&self, part: Part) -> usize {
        self.part(part).1.len()
    }

    /// So many images of a part from number `start` on, normalised, as a network of `channels` channels
    /// gets them (N × channels × H × W; grey images become `channels` equal ones), and their labels.
    ///
    /// # Errors
    /// When there are not so many, or colour images would need other channels.
    pub fn batch(
        &self,
        part: Part,
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

    /// Training images by their numbers among all images of the set, see [`Data::training`].
    pub(super) fn augmented(
        &self,
        indices: &[usize],
        channels: usize,
        augmentation: Augmentation,
        epoch_seed: EpochSeed,
    ) -> Result<(Vec<f32>, Vec<u16>), EvaluateError> {
        self.load(&self.set.train, indices, channels, augmentation, epoch_seed)
    }

    /// The numbers of the training images.
    pub(super) fn training(&self) -> &[usize] {
        &self.training
    }

    /// The augmentation that is usual for such images.
    pub(super) fn usual_augmentation(&self) -> Augmentation {
        match self.shape().channels {
            1 => Augmentation::NONE,
            _ => Augmentation { flip: true, padding: self.shape().height / 8 },
        }
    }

    /// Whether these are images for this network.
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

    fn part(&self, part: Part) -> (&Images, &[usize]) {
        match part {
            Part::Training => (&self.set.train, &self.training),
            Part::Validation => (&self.set.train, &self.validation),
            Part::Test => (&self.set.test, &self.test),
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

/// Where nothing is drawn.
const NO_EPOCH: EpochSeed = EpochSeed { seed: 0, epoch: 0 };
