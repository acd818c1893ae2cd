use std::{fs, io::Cursor};

use image::{GrayImage, ImageFormat, Rgb, RgbImage, RgbaImage};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn colour(width: u32, height: u32, red: u8) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([red, x as u8, y as u8]))
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn assert_says(dir: &TempDir, path: &Path, what: &str) {
    let message = folder(dir.path(), None).unwrap_err().to_string();
    assert!(message.starts_with(&path.display().to_string()), "{message}");
    assert!(message.contains(what), "{message}\nexpected: {what}");
}

/// A folder with two classes, in train and test, of images of 3 rows and 4 columns.
fn small() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (png, jpeg) = (ImageFormat::Png, ImageFormat::Jpeg);
    write(&dir, "train/cat/a.png", &encoded(colour(4, 3, 9), png));
    write(&dir, "train/cat/b.JPG", &encoded(RgbImage::from_pixel(4, 3, Rgb([40; 3])), jpeg));
    write(&dir, "train/cat/notes.txt", b"no image");
    write(
        &dir,
        "train/dog/a.png",
        &encoded(GrayImage::from_fn(4, 3, |x, _| [x as u8].into()), png),
    );
    write(&dir, "train/.hidden/a.png", b"");
    write(&dir, "test/dog/a.png", &encoded(RgbaImage::from_pixel(4, 3, [1, 2, 3, 0].into()), png));
    dir
}

#[test]
fn colours_become_planes() {
    let DataSet { train, test } = folder(small().path(), None).unwrap();
    assert_eq!(train.shape(), Shape { channels: 3, height: 3, width: 4 });
    assert_eq!(
        (&*train.classes, &*train.labels),
        (&["cat".into(), "dog".into()][..], &[0, 0, 1][..])
    );
    let first = train.image(0).unwrap();
    assert_eq!(first[..12], [9; 12]);
    assert_eq!(first[12..24], [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
    assert_eq!(first[24..], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert!(train.image(1).unwrap().iter().all(|p| p.abs_diff(40) <= 1)); // JPEG is lossy
    assert_eq!(train.image(2).unwrap()[..4], [0, 1, 2, 3]);
    assert_eq!((&*test.labels, &test.pixels[11..13]), (&[1][..], &[1, 2][..]));
}

#[test]
fn grey_images_without_splits() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..10u8 {
        let image = GrayImage::from_pixel(2, 2, [i].into());
        write(
            &dir,
            &format!("{}/{i}.png", ["x", "y"][usize::from(i % 2)]),
            &encoded(image, ImageFormat::Png),
        );
    }
    let DataSet { train, test } = folder(dir.path(), None).unwrap();
    assert_eq!(
        (train.channels, train.class_counts(), test.class_counts()),
        (1, vec![4, 4], vec![1, 1])
    );
    assert_eq!((&*train.name, &*test.name), ("folder train", "folder test"));
    assert_eq!(folder(dir.path(), None).unwrap().test, test);
}

#[test]
fn sizes_are_one_or_asked_for() {
    let dir = small();
    let path = write(&dir, "train/dog/b.png", &encoded(colour(6, 6, 200), ImageFormat::Png));
    assert_says(&dir, &path, "6×6 pixels, expected 3×4 as ");
    let text = format!("folder:{}@2x2", dir.path().display());
    let train = super::super::by_name(&text).unwrap().train;
    assert_eq!(train.shape(), Shape { channels: 3, height: 2, width: 2 });
    let image = train.image(3).unwrap();
    assert_eq!(image[..4], [200; 4]);
    assert!(image[4] < image[5] && image[4] == image[6], "{image:?}");
    for size in [(0, 1), (1, 16_385)] {
        let message = folder(dir.path(), Some(size)).unwrap_err().to_string();
        assert!(message.contains("expected 1 to 16384 a side"), "{message}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    let dir = small();
    let png = encoded(colour(4, 3, 1), ImageFormat::Png);
    let path = write(&dir, "train/dog/b.png", &png[..png.len() - 30]);
    assert_says(&dir, &path, "damaged: ");
    fs::write(&path, b"GIF89a").unwrap();
    assert_says(&dir, &path, "damaged: ");
    fs::write(&path, b"text").unwrap();
    assert_says(&dir, &path, "neither a PNG nor a JPEG");
    // Headers that claim huge sizes, with correct checksums.
    for (side, what) in [(0x7fff_ffff, "damaged: "), (16_384u32, "more than 536870912 bytes")] {
        let mut huge = png.clone();
        huge[16..20].copy_from_slice(&side.to_be_bytes());
        huge[20..24].copy_from_slice(&side.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        fs::write(&path, huge).unwrap();
        assert_says(&dir, &path, what);
    }
    fs::remove_file(path).unwrap();

    let path = write(&dir, "test/cow/a.png", &png);
    assert_says(&dir, path.parent().unwrap(), "the class is not among those to train with");
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    fs::remove_file(dir.path().join("train/dog/a.png")).unwrap();
    assert_says(&dir, &dir.path().join("train/dog"), "no .png, .jpg or .jpeg");
    fs::remove_dir(dir.path().join("train/dog")).unwrap();
    assert_says(&dir, &dir.path().join("train"), "only one class, 'cat'; expected two or more");
    fs::remove_dir_all(dir.path().join("test")).unwrap();
    assert_says(&dir, dir.path(), "a folder 'train', but none 'test' or 'val'");
    fs::rename(dir.path().join("train"), dir.path().join("val")).unwrap();
    assert_says(&dir, dir.path(), "a folder 'val', but none 'train'");
    let empty = tempfile::tempdir().unwrap();
    assert_says(&empty, empty.path(), "no folders in it; expected one for each class");
    assert!(folder("no/such", None).unwrap_err().to_string().contains("cannot read no/such"));
}

proptest! {
    #[test]
    fn no_image_panics(
        jpeg: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end: prop::sample::Index,
    ) {
        let format = if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png };
        let mut bytes = encoded(colour(4, 3, 1), format);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(end.index(bytes.len() * 2));
        let dir = small();
        write(&dir, "train/dog/b.png", &bytes);
        if let Ok(set) = folder(dir.path(), None) {
            prop_assert_eq!(set.train.len(), 4);
        }
        let _ = folder(dir.path(), Some((5, 5)));
    }
}
