use lanner_data::images::Images;
use rand::RngExt;

use super::init;
use crate::EvaluateError;

/// A minibatch of labelled images.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised pixels, N × C × H × W.
    pub images: Vec<f32>,
    /// Class of each of the N images.
    pub labels: Vec<u16>,
    pub classes: usize,
}

impl Batch {
    /// Draws `count` images of `values` numbers each from N(0, 1), and random labels. They need no
    /// data set, and are enough for most proxies.
    pub fn random(count: usize, values: usize, classes: usize, seed: u64) -> Batch {
        let mut images = vec![0.0; count.saturating_mul(values)];
        init::fill_normal(&mut images, &mut lanner_nn::rng(seed, "proxies: random images"));
        let mut generator = lanner_nn::rng(seed, "proxies: random labels");
        let most = classes.clamp(1, usize::from(u16::MAX) + 1);
        let labels = (0..count).map(|_| generator.random_range(0..most) as u16).collect();
        Batch { images, labels, classes }
    }

    /// Draws `count` training images by `seed`, normalised by the statistics of all; a grey image is
    /// repeated in three channels.
    ///
    /// # Errors
    /// When the images are not square, or fewer than `count`.
    pub fn of_images(images: &Images, count: usize, seed: u64) -> Result<Batch, EvaluateError> {
        if images.height != images.width {
            return Err(EvaluateError::Value {
                name: "size of the images",
                value: format!("{}×{} in {}", images.height, images.width, images.name),
                expected: "square ones".into(),
            });
        }
        if count > images.len() || count == 0 {
            return Err(EvaluateError::Value {
                name: "batch",
                value: count.to_string(),
                expected: format!("1 to {}", images.len()),
            });
        }
        let chosen = images.subset(count, seed)?;
        let mut pixels = vec![0.0; count * images.pixels_each()];
        images.batch(&chosen, &images.statistics(), &mut pixels)?;
        if images.channels == 1 {
            let each = images.pixels_each();
            pixels = pixels.chunks_exact(each).flat_map(|image| image.repeat(3)).collect();
        }
        let labels = images.batch_labels(&chosen)?;
        Ok(Batch { images: pixels, labels, classes: images.classes.len() })
    }

    /// Number of images, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Checks that these are images of `values` numbers for a network of `outputs` classes.
    pub(super) fn check(&self, values: usize, outputs: usize) -> Result<(), EvaluateError> {
        let wrong = |name, value: usize, expected: String| {
            Err(EvaluateError::Value { name, value: value.to_string(), expected })
        };
        if self.is_empty() {
            return wrong("number of images", 0, "1 or more".into());
        }
        if self.images.len() != self.len() * values {
            let expected = format!("{} images of {values}", self.len());
            return wrong("number of pixels", self.images.len(), expected);
        }
        let most = self.labels.iter().copied().max().map_or(0, usize::from);
        if most >= outputs {
            return wrong("label", most, format!("less than the network's {outputs} outputs"));
        }
        Ok(())
    }
}
