//! Reads a folder of class folders with PNG and JPEG files.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits, imageops::FilterType};

use super::{DataSet, Images, Shape, source::MOST_BYTES};
use crate::{DataError, error::shown};

/// Limits of one image: pixels a side, and bytes while it is decoded.
const MOST_SIDE: u32 = 16_384;
const MOST_ALLOCATED: u64 = 512 << 20;
/// Fraction of each class for testing, if the folder has no test split.
const TEST: f64 = 0.2;

/// Reads a data set from `DIR/train/CLASS/*.png` and `DIR/test/CLASS/*.png` (or `val`), or from
/// `DIR/CLASS/*.png`, where a fifth of each class becomes the test split, always the same one. Files
/// are PNG or JPEG, by their extension; other files are ignored. Classes are ordered by name.
///
/// The images are 1×H×W if all of them are grey, else 3×H×W; transparency is dropped. With `size`
/// (height, width), images are resized by a triangle filter, which averages when it makes smaller;
/// without, all must have the same size.
pub fn folder(path: impl AsRef<Path>, size: Option<(u32, u32)>) -> Result<DataSet, DataError> {
    let path = path.as_ref();
    if let Some((height, width)) = size
        && !((1..=MOST_SIDE).contains(&height) && (1..=MOST_SIDE).contains(&width))
    {
        let why = format!("resized to {height}×{width}, expected 1 to {MOST_SIDE} a side");
        return Err(DataError::file(path, why));
    }
    let train = path.join("train");
    let test = ["test", "val"].map(|t| path.join(t)).into_iter().find(|t| t.is_dir());
    match (train.is_dir(), test) {
        (true, Some(test)) => {
            let classes = class_names(&train)?;
            let [train, test] = [train, test].map(|split| files(&split, &classes));
            let (train, test) = (train?, test?);
            let sizes = [train.len(), test.len()];
            let all = [train, test].concat();
            let form = Form::of(path, &all, size)?;
            let (train, test) = all.split_at(sizes[0]);
            DataSet::read_from(
                path,
                form.read("folder train", train, &classes)?,
                form.read("folder test", test, &classes)?,
            )
        }
        (true, None) => Err(DataError::file(path, "a folder 'train', but none 'test' or 'val'")),
        (false, Some(test)) => {
            let test = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(DataError::file(path, format!("a folder '{test}', but none 'train'")))
        }
        (false, None) => {
            let classes = class_names(path)?;
            let all = files(path, &classes)?;
            let images = Form::of(path, &all, size)?.read("folder", &all, &classes)?;
            let (train, test) = images.split(TEST, 0)?;
            if test.is_empty() {
                let why = format!("{} images are too few to test with a fifth", images.len());
                return Err(DataError::file(path, why));
            }
            let mut splits = [images.select(&train)?, images.select(&test)?];
            for (split, name) in splits.iter_mut().zip([" train", " test"]) {
                split.name += name;
            }
            let [train, test] = splits;
            DataSet::read_from(path, train, test)
        }
    }
}

/// Entries of a folder ordered by name, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = || DataError::io(folder, "read");
    let mut paths = vec![];
    for entry in std::fs::read_dir(folder).map_err(unreadable())? {
        let entry = entry.map_err(unreadable())?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn class_names(folder: &Path) -> Result<Vec<String>, DataError> {
    let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let folders = entries(folder)?;
    let names: Vec<String> = folders.iter().filter(|p| p.is_dir()).filter_map(name).collect();
    match names.len() {
        0 => Err(DataError::file(folder, "no folders in it; expected one for each class")),
        1 => Err(DataError::file(
            folder,
            format!("only one class, '{}'; expected two or more", shown(&names[0])),
        )),
        n if n > usize::from(u16::MAX) => {
            Err(DataError::file(folder, format!("{n} classes, expected at most {}", u16::MAX)))
        }
        _ => Ok(names),
    }
}

/// Image files of a split with their labels.
fn files(folder: &Path, classes: &[String]) -> Result<Vec<(PathBuf, u16)>, DataError> {
    let mut files = vec![];
    for path in entries(folder)?.into_iter().filter(|p| p.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(label) = classes.iter().position(|c| *c == name) else {
            let why = "the class is not among those to train with";
            return Err(DataError::file(&path, why));
        };
        let before = files.len();
        for file in entries(&path)? {
            let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if matches!(&*extension, "png" | "jpg" | "jpeg") {
                files.push((file, label as u16));
            }
        }
        if files.len() == before {
            return Err(DataError::file(&path, "no .png, .jpg or .jpeg in the folder of a class"));
        }
    }
    if files.is_empty() {
        return Err(DataError::file(folder, "no images in it"));
    }
    Ok(files)
}

fn broken(path: &Path) -> impl FnOnce(image::ImageError) -> DataError {
    move |error| DataError::file(path, format!("damaged: {}", shown(&error.to_string())))
}

fn decoder(path: &Path) -> Result<impl ImageDecoder, DataError> {
    let metadata = std::fs::metadata(path).map_err(DataError::io(path, "read"))?;
    if !metadata.is_file() {
        return Err(DataError::file(path, "not a file"));
    }
    // A JPEG is read into memory before it is decoded.
    if metadata.len() > MOST_ALLOCATED {
        let why = format!("{} bytes, expected at most {MOST_ALLOCATED}", metadata.len());
        return Err(DataError::file(path, why));
    }
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(DataError::io(path, "read"))?;
    if reader.format().is_none() {
        return Err(DataError::file(path, "neither a PNG nor a JPEG by its first bytes"));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_SIDE);
    limits.max_image_height = Some(MOST_SIDE);
    limits.max_alloc = Some(MOST_ALLOCATED);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(broken(path))?;
    // The limits above are for the decoder's own memory.
    if decoder.total_bytes() > MOST_ALLOCATED {
        let (width, height) = decoder.dimensions();
        let why = format!("{height}×{width} pixels, which are more than {MOST_ALLOCATED} bytes");
        return Err(DataError::file(path, why));
    }
    Ok(decoder)
}

/// Form that all images are converted to.
struct Form {
    shape: Shape,
    resize: bool,
}

impl Form {
    /// Finds the form from the headers alone, so that a wrong size is an error before any decoding.
    fn of(
        folder: &Path,
        files: &[(PathBuf, u16)],
        size: Option<(u32, u32)>,
    ) -> Result<Self, DataError> {
        let mut grey = true;
        let mut first: Option<((u32, u32), &Path)> = None;
        for (path, _) in files {
            let decoder = decoder(path)?;
            let (width, height) = decoder.dimensions();
            let (_, other) = *first.get_or_insert(((height, width), path));
            let expected = first.map_or((0, 0), |f| f.0);
            if size.is_none() && (height, width) != expected {
                let (h, w) = expected;
                return Err(DataError::file(
                    path,
                    format!(
                        "{height}×{width} pixels, expected {h}×{w} as {} has; or ask for one size",
                        other.display()
                    ),
                ));
            }
            grey &= matches!(decoder.color_type(), ColorType::L8 | ColorType::La8)
                || matches!(decoder.color_type(), ColorType::L16 | ColorType::La16);
        }
        let (height, width) = size.or(first.map(|f| f.0)).unwrap_or((0, 0));
        let channels = if grey { 1 } else { 3 };
        let shape = Shape { channels, height: height as usize, width: width as usize };
        let total = files.len() as u64 * shape.values() as u64;
        if total > MOST_BYTES {
            let n = files.len();
            let why = format!("{n} images of {shape} are more than {MOST_BYTES} bytes");
            return Err(DataError::file(folder, why));
        }
        Ok(Form { shape, resize: size.is_some() })
    }

    fn read(
        &self,
        name: &str,
        files: &[(PathBuf, u16)],
        classes: &[String],
    ) -> Result<Images, DataError> {
        let (mut pixels, mut labels) = (vec![], vec![]);
        for (path, label) in files {
            let image = DynamicImage::from_decoder(decoder(path)?).map_err(broken(path))?;
            self.append(image, path, &mut pixels)?;
            labels.push(*label);
        }
        Images::new(name, self.shape, classes.to_vec(), pixels, labels)
    }

    /// Decodes an image and appends it as C×H×W.
    fn append(
        &self,
        image: DynamicImage,
        path: &Path,
        pixels: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        let Shape { channels, height, width } = self.shape;
        // Transparency is dropped first: the filter would weigh pixels by it.
        let mut image = match channels {
            1 => DynamicImage::ImageLuma8(image.into_luma8()),
            _ => DynamicImage::ImageRgb8(image.into_rgb8()),
        };
        let there = (image.height() as usize, image.width() as usize);
        if self.resize && there != (height, width) {
            image = image.resize_exact(width as u32, height as u32, FilterType::Triangle);
        }
        let bytes = image.into_bytes();
        if bytes.len() != self.shape.values() {
            return Err(DataError::file(path, format!("changed while it was read: now {there:?}")));
        }
        for c in 0..channels {
            pixels.extend(bytes.iter().skip(c).step_by(channels));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
