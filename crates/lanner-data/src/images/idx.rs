//! Reads MNIST (LeCun et al., 1998) and Fashion-MNIST (Xiao et al., 2017) from IDX files: a magic
//! number that includes the number of dimensions, the dimensions as big-endian integers, the bytes.

use std::path::{Path, PathBuf};

use super::{DataSet, Images, Shape, named, numbered, source::Source};
use crate::DataError;

const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Reads MNIST from the folder of its four files, `train-images-idx3-ubyte` and so on, plain or `.gz`:
/// 60,000 and 10,000 images of 1×28×28 as published, or any other number and size.
pub fn mnist(folder: impl AsRef<Path>) -> Result<DataSet, DataError> {
    read("mnist", folder.as_ref(), &numbered(10))
}

/// Reads Fashion-MNIST like [`mnist`], with its own class names.
pub fn fashion_mnist(folder: impl AsRef<Path>) -> Result<DataSet, DataError> {
    read("fashion-mnist", folder.as_ref(), &named(&FASHION))
}

fn read(name: &str, folder: &Path, classes: &[String]) -> Result<DataSet, DataError> {
    if !folder.is_dir() {
        return Err(DataError::file(folder, "not a folder; expected one with the four IDX files"));
    }
    let split = |split: &str, prefix: &str| {
        let (shape, pixels) = images(&find(folder, prefix, "images", 3)?)?;
        let labels = labels(
            &find(folder, prefix, "labels", 1)?,
            pixels.len() / shape.values(),
            classes.len(),
        )?;
        Images::new(format!("{name} {split}"), shape, classes.to_vec(), pixels, labels)
    };
    DataSet::read_from(folder, split("train", "train")?, split("test", "t10k")?)
}

fn find(folder: &Path, prefix: &str, what: &str, dimensions: u8) -> Result<PathBuf, DataError> {
    let names = ["-", "."].map(|dot| format!("{prefix}-{what}{dot}idx{dimensions}-ubyte"));
    let both = names.iter().flat_map(|n| [n.clone(), format!("{n}.gz")]);
    both.map(|n| folder.join(n)).find(|p| p.exists()).ok_or_else(|| {
        DataError::file(folder, format!("no file {} or {}.gz in the folder", names[0], names[0]))
    })
}

/// Reads the header of a file of unsigned bytes: `N` dimensions.
fn header<const N: usize>(source: &mut Source, what: &str) -> Result<[u64; N], DataError> {
    let bytes = source.bytes(4 + 4 * N as u64, "the header")?;
    let mut words = bytes.as_chunks::<4>().0.iter().map(|&b| u32::from_be_bytes(b));
    let (magic, expected) = (words.next().unwrap_or(0), 0x0800 + N as u32);
    if magic != expected {
        return Err(source.wrong(format!(
            "the magic number is {magic:#010x}, expected {expected:#010x} for {what}"
        )));
    }
    let mut dimensions = [0; N];
    for (d, word) in dimensions.iter_mut().zip(words) {
        *d = u64::from(word);
    }
    Ok(dimensions)
}

/// Reads the shape of the images, and the pixels of all.
fn images(path: &Path) -> Result<(Shape, Vec<u8>), DataError> {
    let mut source = Source::open(path)?;
    let [n, height, width] = header(&mut source, "images")?;
    let claim = format!("pixels of {n} × {height} × {width}");
    let size = height.checked_mul(width).and_then(|each| each.checked_mul(n));
    let size = match size {
        Some(0) => return Err(source.wrong(format!("{claim}: expected none of them to be 0"))),
        Some(size) => size,
        None => return Err(source.wrong(format!("{claim}: more bytes than any file has"))),
    };
    let pixels = source.bytes(size, &claim)?;
    source.end()?;
    Ok((Shape { channels: 1, height: height as usize, width: width as usize }, pixels))
}

fn labels(path: &Path, images: usize, classes: usize) -> Result<Vec<u16>, DataError> {
    let mut source = Source::open(path)?;
    let [n] = header(&mut source, "labels")?;
    if n != images as u64 {
        return Err(source.wrong(format!("{n} labels, expected {images} as there are images")));
    }
    let bytes = source.bytes(n, &format!("{n} labels"))?;
    source.end()?;
    if let Some(i) = bytes.iter().position(|&l| usize::from(l) >= classes) {
        let why = format!("the label is {}, expected 0 to {}", bytes[i], classes - 1);
        return Err(DataError::row(path, format!("image {}", i + 1), why));
    }
    Ok(bytes.into_iter().map(u16::from).collect())
}
