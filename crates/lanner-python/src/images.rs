//! Image data sets of the library.

use lanner::data::images as sets;
use pyo3::prelude::*;

use crate::error::OrException;

/// Pixels, one byte a value, image by image, and labels.
type Split = (Vec<u8>, Vec<u16>);

/// Reads a data set: shape of an image (channels, height, width), training and test images.
#[pyfunction]
pub fn images(py: Python, name: &str) -> PyResult<((usize, usize, usize), Split, Split)> {
    let set = py.detach(|| sets::by_name(name)).or_exception()?;
    let shape = set.train.shape();
    let split = |images: sets::Images| (images.pixels, images.labels);
    Ok(((shape.channels, shape.height, shape.width), split(set.train), split(set.test)))
}
