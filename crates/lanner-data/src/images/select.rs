//! Selects images: validation splits and small balanced subsets, both as indices.

use super::{Images, hash::hash};
use crate::DataError;

/// Purposes of an image's hash, so that a subset and a split with the same seed are independent.
const SPLIT: u64 = 1;
const SUBSET: u64 = 2;

impl Images {
    /// Divides the images into indices for training and for validation, both ascending. Validation has
    /// `fraction` of all images, rounded, and of each class to within one; each class keeps at least
    /// one image for training.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), DataError> {
        if !(0.0..1.0).contains(&fraction) {
            return Err(DataError::Images(format!(
                "{}: a validation split of {fraction}, expected 0 or more and less than 1",
                self.name
            )));
        }
        let classes = self.shuffled_classes(seed, SPLIT);
        let share = |n: usize| n as f64 * fraction;
        let mut sizes: Vec<usize> = classes.iter().map(|c| share(c.len()) as usize).collect();
        // The images that rounding down left over go to the classes that lost most by it.
        let mut order: Vec<usize> = (0..classes.len()).collect();
        let lost = |c: &usize| share(classes[*c].len()).fract();
        order.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
        let total = share(self.len()).round() as usize;
        let mut missing = total.saturating_sub(sizes.iter().sum());
        for c in order {
            if missing > 0 && sizes[c] + 1 < classes[c].len() {
                sizes[c] += 1;
                missing -= 1;
            }
        }
        let (mut training, mut validation) = (vec![], vec![]);
        for (class, size) in classes.iter().zip(sizes) {
            validation.extend_from_slice(&class[..size]);
            training.extend_from_slice(&class[size..]);
        }
        training.sort_unstable();
        validation.sort_unstable();
        Ok((training, validation))
    }

    /// Draws the indices of `n` images, ascending: the same number of each class, to within one, as
    /// far as the classes have enough. With the same seed, a smaller subset is part of a larger one.
    pub fn subset(&self, n: usize, seed: u64) -> Result<Vec<usize>, DataError> {
        if n == 0 || n > self.len() {
            return Err(DataError::Images(format!(
                "{}: a subset of {n} images, expected 1 to {}",
                self.name,
                self.len()
            )));
        }
        // Each round has one image of each class; the order of the classes is drawn too.
        let mut ranked: Vec<(usize, u64, usize)> = vec![];
        for (c, class) in self.shuffled_classes(seed, SUBSET).into_iter().enumerate() {
            let turn = hash(&[seed, SUBSET, u64::MAX, c as u64]);
            ranked.extend(class.into_iter().enumerate().map(|(round, i)| (round, turn, i)));
        }
        ranked.sort_unstable();
        let mut indices: Vec<usize> = ranked.into_iter().take(n).map(|(_, _, i)| i).collect();
        indices.sort_unstable();
        Ok(indices)
    }

    /// Makes a split of the images at `indices`; each must exist.
    pub fn select(&self, indices: &[usize]) -> Result<Images, DataError> {
        let mut pixels = Vec::with_capacity(indices.len() * self.pixels_each());
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let (image, label) = self.checked(index)?;
            pixels.extend_from_slice(image);
            labels.push(label);
        }
        Images::new(self.name.clone(), self.shape(), self.classes.clone(), pixels, labels)
    }

    /// Pixels and label of an image, or an error if it does not exist.
    pub(super) fn checked(&self, index: usize) -> Result<(&[u8], u16), DataError> {
        self.image(index).zip(self.labels.get(index).copied()).ok_or_else(|| {
            DataError::Images(format!("{}: image {index} of {}", self.name, self.len()))
        })
    }

    /// Indices of each class, in an order drawn by hashes.
    fn shuffled_classes(&self, seed: u64, purpose: u64) -> Vec<Vec<usize>> {
        let mut classes = vec![vec![]; self.classes.len()];
        for (i, &label) in self.labels.iter().enumerate() {
            if let Some(class) = classes.get_mut(usize::from(label)) {
                class.push(i);
            }
        }
        for class in &mut classes {
            class.sort_by_cached_key(|&i| (hash(&[seed, purpose, i as u64]), i));
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Shape, numbered};
    use super::*;

    fn images(labels: Vec<u16>) -> Images {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let pixels = (0..labels.len()).map(|i| i as u8).collect();
        Images::new("test", shape, numbered(7), pixels, labels).unwrap()
    }

    fn counts(images: &Images, indices: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; images.classes.len()];
        indices.iter().for_each(|&i| counts[usize::from(images.labels[i])] += 1);
        counts
    }

    proptest! {
        #[test]
        fn splits_are_stratified(
            labels in prop::collection::vec(0u16..7, 1..200),
            fraction in 0.0..1.0f64,
            seed: u64,
        ) {
            let images = images(labels);
            let (training, validation) = images.split(fraction, seed).unwrap();
            let mut all = [training.clone(), validation.clone()].concat();
            all.sort();
            prop_assert_eq!(all, (0..images.len()).collect::<Vec<_>>());
            prop_assert!(training.is_sorted() && validation.is_sorted());
            let there = images.class_counts();
            for (n, v) in there.iter().zip(counts(&images, &validation)) {
                prop_assert!((v as f64 - *n as f64 * fraction).abs() <= 1.0);
                prop_assert!(v < *n || *n == 0);
            }
            prop_assert_eq!(images.split(fraction, seed).unwrap().1, validation);
        }

        #[test]
        fn subsets_are_balanced_and_nested(
            labels in prop::collection::vec(0u16..7, 2..200),
            n in 1..199usize,
            seed: u64,
        ) {
            let images = images(labels);
            let n = n.min(images.len() - 1);
            let subset = images.subset(n, seed).unwrap();
            prop_assert_eq!(subset.len(), n);
            prop_assert!(subset.windows(2).all(|w| w[0] < w[1]));
            let larger = images.subset(n + 1, seed).unwrap();
            prop_assert!(subset.iter().all(|i| larger.contains(i)));
            let (there, got) = (images.class_counts(), counts(&images, &subset));
            let most = *got.iter().max().unwrap();
            for (n, g) in there.iter().zip(&got) {
                prop_assert!(g + 1 >= most || g == n);
            }
        }
    }

    #[test]
    fn seeds_matter_and_the_total_is_rounded() {
        let images = images((0..100).map(|i| i % 7).collect());
        let (_, a) = images.split(0.25, 1).unwrap();
        let (_, b) = images.split(0.25, 2).unwrap();
        assert_eq!((a.len(), b.len()), (25, 25));
        assert_ne!(a, b);
        assert_ne!(images.subset(25, 1).unwrap(), images.subset(25, 2).unwrap());
        assert!(images.split(0.0, 1).unwrap().1.is_empty());
        let half = images.select(&a).unwrap();
        assert_eq!(half.pixels, a.iter().map(|&i| i as u8).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_is_told() {
        let images = images(vec![0, 1, 2]);
        let message = |r: Result<Vec<usize>, DataError>| r.unwrap_err().to_string();
        assert_eq!(message(images.subset(4, 0)), "test: a subset of 4 images, expected 1 to 3");
        assert!(images.subset(0, 0).is_err());
        for fraction in [1.0, -0.1, f64::NAN] {
            let message = images.split(fraction, 0).unwrap_err().to_string();
            assert!(message.contains("expected 0 or more and less than 1"), "{message}");
        }
        assert_eq!(images.select(&[3]).unwrap_err().to_string(), "test: image 3 of 3");
    }
}
