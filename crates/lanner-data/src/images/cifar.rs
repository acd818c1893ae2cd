//! Reads CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) in their binary version. A record is a label
//! (CIFAR-100: the coarse label, then the fine one) and 3×32×32 pixels.

use std::{
    io::{self, Read},
    path::Path,
};

use tar::Archive;

use super::{
    DataSet, Images, Shape, named,
    source::{MOST_BYTES, Source, broken},
};
use crate::{DataError, error::shown};

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };
const PIXELS: usize = 3 * 32 * 32;

/// Differences between CIFAR-10 and CIFAR-100.
struct Version {
    name: &'static str,
    /// Folder in the published archive.
    folder: &'static str,
    archive: &'static str,
    classes: &'static [&'static str],
    /// Number of label bytes in a record; the last label is the one to learn.
    label_bytes: usize,
}

const CIFAR10: Version = Version {
    name: "cifar10",
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    classes: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    label_bytes: 1,
};

const CIFAR100: Version = Version {
    name: "cifar100",
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    classes: &FINE,
    label_bytes: 2,
};

/// Reads CIFAR-10 from `cifar-10-binary.tar.gz`, from the folder in it, or from a folder that contains
/// either. In a folder, the files may be any `data_batch*.bin`, `train*.bin`, `test*.bin`, also with
/// `cifar10_` in front, and have any number of images.
pub fn cifar10(path: impl AsRef<Path>) -> Result<DataSet, DataError> {
    read(&CIFAR10, path.as_ref())
}

/// Reads CIFAR-100 with its 100 fine classes, like [`cifar10`].
pub fn cifar100(path: impl AsRef<Path>) -> Result<DataSet, DataError> {
    read(&CIFAR100, path.as_ref())
}

/// Whether a file of this name has training images (`true`) or test images (`false`).
fn training(version: &Version, name: &str) -> Option<bool> {
    let name = name.strip_suffix(".bin")?;
    let name =
        name.strip_prefix(version.name).map_or(name, |rest| rest.trim_start_matches(['_', '-']));
    match name {
        n if n.starts_with("data_batch") || n.starts_with("train") => Some(true),
        n if n.starts_with("test") => Some(false),
        _ => None,
    }
}

/// Images of one file.
struct FileImages {
    training: bool,
    name: String,
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

fn read(version: &Version, path: &Path) -> Result<DataSet, DataError> {
    let mut parts = if path.is_dir() {
        let (inner, archive) = (path.join(version.folder), path.join(version.archive));
        let parts = read_folder(version, path)?;
        if !parts.is_empty() {
            parts
        } else if inner.is_dir() {
            read_folder(version, &inner)?
        } else if archive.is_file() {
            read_archive(version, &archive)?
        } else {
            parts
        }
    } else {
        read_archive(version, path)?
    };
    // An archive may have the files in any order.
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut splits = [(vec![], vec![]), (vec![], vec![])];
    for mut part in parts {
        let (pixels, labels) = &mut splits[usize::from(!part.training)];
        pixels.append(&mut part.pixels);
        labels.append(&mut part.labels);
    }
    let [train, test] = splits;
    let images = |(pixels, labels): (_, Vec<u16>), split, expected| {
        if labels.is_empty() {
            let why = format!("no images to {split} with; expected files such as {expected}");
            return Err(DataError::file(path, why));
        }
        Images::new(
            format!("{} {split}", version.name),
            SHAPE,
            named(version.classes),
            pixels,
            labels,
        )
    };
    let (first, second) = match version.label_bytes {
        1 => ("data_batch_1.bin", "test_batch.bin"),
        _ => ("train.bin", "test.bin"),
    };
    DataSet::read_from(path, images(train, "train", first)?, images(test, "test", second)?)
}

fn read_folder(version: &Version, folder: &Path) -> Result<Vec<FileImages>, DataError> {
    let unreadable = || DataError::io(folder, "read");
    let mut parts = vec![];
    let mut room = MOST_BYTES;
    for entry in std::fs::read_dir(folder).map_err(unreadable())? {
        let path = entry.map_err(unreadable())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(training) = training(version, &name) else { continue };
        let mut source = Source::open(&path)?;
        let Some(size) = source.length() else {
            return Err(source.wrong("compressed; expected the .bin itself, or the .tar.gz"));
        };
        let (pixels, labels) = records(version, &mut source, size, &mut room, &path)?;
        parts.push(FileImages { training, name, pixels, labels });
    }
    Ok(parts)
}

fn read_archive(version: &Version, path: &Path) -> Result<Vec<FileImages>, DataError> {
    let mut archive = Archive::new(Source::open(path)?);
    let mut parts: Vec<FileImages> = vec![];
    let mut room = MOST_BYTES;
    let damaged = |e: io::Error| match e.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            let why = format!("not a tar archive, or a damaged one: {}", shown(&e.to_string()));
            DataError::file(path, why)
        }
        _ => broken(path, e),
    };
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        // A sparse file would unpack to more than the archive has.
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let last = name.rsplit('/').next().unwrap_or_default().to_owned();
        let Some(training) = training(version, &last) else { continue };
        let inside = path.join(shown(&last));
        if parts.iter().any(|p| p.name == last) {
            return Err(DataError::file(inside, "twice in the archive"));
        }
        let size = entry.size();
        let (pixels, labels) = records(version, &mut entry, size, &mut room, &inside)?;
        parts.push(FileImages { training, name: last, pixels, labels });
    }
    // The checksum of a .gz comes after the end of the archive.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|e| broken(path, e))?;
    Ok(parts)
}

/// Reads pixels and labels from a file of records. Memory grows with the bytes read, whatever size is
/// claimed; a file of more than `room` bytes is an error.
fn records(
    version: &Version,
    reader: &mut dyn Read,
    size: u64,
    room: &mut u64,
    path: &Path,
) -> Result<(Vec<u8>, Vec<u16>), DataError> {
    let record = version.label_bytes + PIXELS;
    if size == 0 || !size.is_multiple_of(record as u64) {
        return Err(DataError::file(
            path,
            format!(
                "{size} bytes, expected a multiple of {record}: {} and 3×32×32 pixels an image",
                if version.label_bytes == 1 { "a label" } else { "two labels" }
            ),
        ));
    }
    *room = room.checked_sub(size).ok_or_else(|| {
        DataError::file(
            path,
            format!("{size} bytes, expected at most {room}; {MOST_BYTES} in all files"),
        )
    })?;
    let (mut pixels, mut labels) = (vec![], vec![]);
    let mut bytes = vec![0; record];
    for i in 0..size / record as u64 {
        reader.read_exact(&mut bytes).map_err(|e| broken(path, e))?;
        let (label, image) = bytes.split_at(version.label_bytes);
        let label = u16::from(label[version.label_bytes - 1]);
        if usize::from(label) >= version.classes.len() {
            let why = format!("the label is {label}, expected 0 to {}", version.classes.len() - 1);
            return Err(DataError::row(path, format!("image {}", i + 1), why));
        }
        pixels.extend_from_slice(image);
        labels.push(label);
    }
    Ok((pixels, labels))
}

#[rustfmt::skip]
const FINE: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];
