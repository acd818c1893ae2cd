//! Tests with the real images, where they are present, and with small files of the same form.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::*;

mod damage;

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn message<T>(result: Result<T, DataError>) -> String {
    match result {
        Ok(_) => panic!("should be refused"),
        Err(error) => error.to_string(),
    }
}

/// Asserts that an error names the file and contains `what`.
fn assert_says<T>(result: Result<T, DataError>, path: &Path, what: &str) {
    let message = message(result);
    assert!(message.starts_with(&path.display().to_string()), "{message}");
    assert!(message.contains(what), "{message}\nexpected: {what}");
}

/// Expected values by scikit-learn 1.9.1 and numpy, with `d = load_digits()` and
/// `p = (d.images.astype(int) * 255 + 8) // 16`:
///
/// ```python
/// p[0].sum(), p[-1].sum(), p.sum(), (p[:1437] / 255).mean(), (p[:1437] / 255).std()
/// np.bincount(d.target[:1437]), np.bincount(d.target[1437:]), d.images[0].sum()
/// ```
#[test]
fn digits_are_scikit_learns() {
    let DataSet { train, test } = digits().unwrap();
    assert_eq!((train.len(), test.len(), train.shape().to_string()), (1437, 360, "1×8×8".into()));
    assert_eq!(train.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(train.class_counts(), [143, 146, 142, 146, 144, 145, 144, 143, 141, 143]);
    assert_eq!(test.class_counts(), [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]);
    let both: Vec<usize> =
        train.class_counts().iter().zip(test.class_counts()).map(|(a, b)| a + b).collect();
    assert_eq!(both, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert_eq!(train.labels[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(test.labels[357..], [8, 9, 8]);

    let sum = |pixels: &[u8]| pixels.iter().map(|&p| u64::from(p)).sum::<u64>();
    let first = train.image(0).unwrap();
    assert_eq!(first[..8], [0, 0, 80, 207, 143, 16, 0, 0]);
    assert_eq!(sum(first), 4687);
    assert_eq!(sum(test.image(359).unwrap()), 6250);
    assert_eq!(sum(&train.pixels) + sum(&test.pixels), 8_953_801);
    // The published levels can be recovered.
    let levels =
        |pixels: &[u8]| pixels.iter().map(|&p| (u64::from(p) * 16 + 127) / 255).sum::<u64>();
    assert_eq!(levels(first), 294);
    assert_eq!(levels(&train.pixels) + levels(&test.pixels), 561_718);

    let statistics = train.statistics();
    assert!((statistics.mean[0] - 0.3054346695184685).abs() < 1e-12, "{statistics:?}");
    assert!((statistics.std[0] - 0.37534217146419235).abs() < 1e-12, "{statistics:?}");
}

/// Expected values by numpy, with `b = np.fromfile(file, "u1").reshape(-1, 3073)` and
/// `x = b[:, 1:].reshape(-1, 3, 1024) / 255`: `np.bincount(b[:, 0])`, `x.mean((0, 2))`,
/// `x.std((0, 2))`, `b[0, 1:].sum()`.
#[test]
fn real_cifar_images_are_read() {
    let Some(folder) = lanner_testing::published("images") else { return };
    let DataSet { train, test } = by_name(&format!("cifar10:{}", folder.display())).unwrap();
    assert_eq!(
        (train.len(), test.len(), train.shape().to_string()),
        (4000, 1000, "3×32×32".into())
    );
    assert_eq!(train.class_counts(), [396, 366, 420, 384, 422, 393, 414, 385, 407, 413]);
    assert_eq!(test.class_counts(), [100; 10]);
    assert_eq!(train.labels[..10], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
    assert_eq!(train.classes[6], "frog");
    assert_eq!(train.image(0).unwrap().iter().map(|&p| u64::from(p)).sum::<u64>(), 317_790);
    let statistics = train.statistics();
    let close =
        |a: &[f64], b: [f64; 3], within| a.iter().zip(b).all(|(a, b)| (a - b).abs() < within);
    assert!(close(&statistics.mean, [0.49159668, 0.48175928, 0.4446567], 1e-7), "{statistics:?}");
    assert!(close(&statistics.std, [0.24711378, 0.24397223, 0.26250026], 1e-7), "{statistics:?}");

    let mut batch = vec![0.0; 4000 * 3072];
    let all: Vec<usize> = (0..4000).collect();
    train.batch(&all, &statistics, &mut batch).unwrap();
    let mean = batch.iter().map(|&v| f64::from(v)).sum::<f64>() / batch.len() as f64;
    let square = batch.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / batch.len() as f64;
    assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6, "{mean} {square}");

    let Some(whole) = lanner_testing::published("images/cifar-10-batches-bin") else { return };
    let train = cifar10(whole).unwrap().train;
    assert_eq!(train.class_counts(), [5000; 10]);
    let statistics = train.statistics();
    assert!(close(&statistics.mean, [0.4914, 0.4822, 0.4465], 1e-4), "{statistics:?}");
}

/// Records of a CIFAR file: image i has the pixels i, i + 1, …, and `labels[i]` as the last label.
fn cifar_file(labels: &[u8], label_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![];
    for (i, &label) in labels.iter().enumerate() {
        bytes.extend(std::iter::repeat_n(0, label_bytes - 1));
        bytes.push(label);
        bytes.extend((0..3072).map(|p| (p + i) as u8));
    }
    bytes
}

fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    gz(&builder.into_inner().unwrap())
}

#[test]
fn the_archive_and_the_folder_in_it_are_the_same() {
    let (one, two, test) = (cifar_file(&[3, 1], 1), cifar_file(&[9], 1), cifar_file(&[0, 5], 1));
    let archive = tar_gz(&[
        ("cifar-10-batches-bin/data_batch_2.bin", &two),
        ("cifar-10-batches-bin/readme.html", b"<html>"),
        ("cifar-10-batches-bin/test_batch.bin", &test),
        ("cifar-10-batches-bin/data_batch_1.bin", &one),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "cifar-10-binary.tar.gz", &archive);
    let from_archive = cifar10(&path).unwrap();
    assert_eq!(from_archive.train.labels, [3, 1, 9]);
    assert_eq!(from_archive.test.labels, [0, 5]);
    assert_eq!(from_archive.train.image(1).unwrap()[..3], [1, 2, 3]);
    assert_eq!(cifar10(dir.path()).unwrap(), from_archive); // the folder it is in

    for (name, bytes) in [("data_batch_1", &one), ("data_batch_2", &two), ("test_batch", &test)] {
        write(&dir, &format!("cifar-10-batches-bin/{name}.bin"), bytes);
    }
    fs::remove_file(path).unwrap();
    assert_eq!(cifar10(dir.path().join("cifar-10-batches-bin")).unwrap(), from_archive);
    assert_eq!(cifar10(dir.path()).unwrap(), from_archive);
}

#[test]
fn cifar100_has_fine_labels() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "train.bin", &cifar_file(&[99, 0, 47], 2));
    write(&dir, "test.bin", &cifar_file(&[47], 2));
    let set = by_name(&format!("cifar100:{}", dir.path().display())).unwrap();
    assert_eq!(set.train.labels, [99, 0, 47]);
    assert_eq!(set.train.classes.len(), 100);
    assert!(set.train.classes.is_sorted());
    assert_eq!(set.train.classes[47], "maple_tree");
    let file = dir.path().join("train.bin");
    fs::write(&file, cifar_file(&[0, 100], 2)).unwrap();
    assert_says(cifar100(dir.path()), &file, "image 2: the label is 100, expected 0 to 99");
}

#[test]
fn damaged_cifar_files_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let test = write(&dir, "test_batch.bin", &cifar_file(&[0], 1));
    assert_says(cifar10(dir.path()), dir.path(), "no images to train with; expected files such as");
    let good = cifar_file(&[1, 2], 1);
    let file = write(&dir, "data_batch_1.bin", &good);
    for (bytes, what) in [
        (&good[..6145], "6145 bytes, expected a multiple of 3073: a label and 3×32×32 pixels"),
        (&[], "the file is empty"),
        (&cifar_file(&[1, 10], 1), "image 2: the label is 10, expected 0 to 9"),
        (&gz(&good), "compressed; expected the .bin itself"),
    ] {
        fs::write(&file, bytes).unwrap();
        assert_says(cifar10(dir.path()), &file, what);
    }
    fs::write(&file, cifar_file(&[4, 4], 1)).unwrap();
    assert_says(cifar10(dir.path()), dir.path(), "all 2 training images are of one class, 'deer'");
    fs::remove_file(test).unwrap();
    assert_says(cifar10(dir.path()), dir.path(), "no images to test with");
    let nowhere = dir.path().join("nowhere");
    assert!(message(cifar10(&nowhere)).contains("cannot read"));

    let archive = tar_gz(&[("c/data_batch_1.bin", &good), ("c/test.bin", &good)]);
    let path = write(&dir, "a.tar.gz", &archive[..archive.len() / 2]);
    assert_says(cifar10(&path), &path, "truncated");
    let mut wrong_checksum = archive;
    let end = wrong_checksum.len();
    wrong_checksum[end - 8] ^= 1;
    fs::write(&path, wrong_checksum).unwrap();
    assert_says(cifar10(&path), &path, "damaged: ");
    fs::write(&path, tar_gz(&[("c/train.bin", &good), ("d/train.bin", &good)])).unwrap();
    assert_says(cifar10(&path), &path.join("train.bin"), "twice in the archive");
    fs::write(&path, gz(b"no archive")).unwrap();
    assert_says(cifar10(&path), &path, "");
    fs::write(&path, tar_gz(&[("c/readme", b"")])).unwrap();
    assert_says(cifar10(&path), &path, "no images to train with");
}

#[test]
fn an_entry_of_an_archive_may_claim_any_size() {
    let mut header = tar::Header::new_ustar();
    header.set_path("train.bin").unwrap();
    header.set_size(3073 << 32);
    header.set_cksum();
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "a.tar", header.as_bytes());
    assert_says(cifar10(&path), &path.join("train.bin"), "bytes, expected at most 4294967296");
    header.set_size(3073 << 16);
    header.set_cksum();
    fs::write(&path, header.as_bytes()).unwrap();
    assert_says(cifar10(&path), &path.join("train.bin"), "truncated");
}

fn idx(magic: u32, dimensions: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [&[magic], dimensions].concat();
    [header.iter().flat_map(|d| d.to_be_bytes()).collect(), bytes.to_vec()].concat()
}

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";

/// A folder of four small files: three training images and two test images of 2×3.
fn idx_folder(packed: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (prefix, n) in [("train", 3), ("t10k", 2)] {
        let pixels: Vec<u8> = (0..6 * n as u8).collect();
        let images = idx(IMAGES, &[n, 2, 3], &pixels);
        let labels = idx(LABELS, &[n], &[9, 0, 4][..n as usize]);
        for (what, bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
            let name = format!("{prefix}-{what}-ubyte");
            match packed {
                true => write(&dir, &format!("{name}.gz"), &gz(&bytes)),
                false => write(&dir, &name, &bytes),
            };
        }
    }
    dir
}

#[test]
fn idx_files_are_read_plain_and_packed() {
    let dir = idx_folder(false);
    let set = by_name(&format!("mnist:{}", dir.path().display())).unwrap();
    assert_eq!(set.train.shape(), Shape { channels: 1, height: 2, width: 3 });
    assert_eq!((&*set.train.labels, &*set.test.labels), (&[9, 0, 4][..], &[9, 0][..]));
    assert_eq!(set.train.image(2).unwrap(), [12, 13, 14, 15, 16, 17]);
    assert_eq!(set.train.image(3), None);
    assert_eq!(mnist(idx_folder(true).path()).unwrap(), set);
    let fashion = by_name(&format!("fashion-mnist:{}", dir.path().display())).unwrap();
    assert_eq!(fashion.train.classes[9], "Ankle boot");
    assert_eq!(fashion.train.pixels, set.train.pixels);
}

#[test]
fn damaged_idx_files_are_told() {
    let dir = idx_folder(false);
    let images = dir.path().join(TRAIN_IMAGES);
    let good = fs::read(&images).unwrap();
    let huge = [u32::MAX; 3];
    for (bytes, what) in [
        (vec![], "the file is empty"),
        (good[..9].to_vec(), "the header: 16 bytes expected, the file has only 9 more"),
        (good[..30].to_vec(), "pixels of 3 × 2 × 3: 18 bytes expected, the file has only 14 more"),
        ([&good[..], &[0]].concat(), "more bytes follow"),
        (idx(LABELS, &[3, 2, 3], &[0; 18]), "the magic number is 0x00000801, expected 0x00000803"),
        (idx(IMAGES, &[0, 2, 3], &[]), "pixels of 0 × 2 × 3: expected none of them to be 0"),
        (idx(IMAGES, &huge, &[0; 18]), "more bytes than any file has"),
        (idx(IMAGES, &[60_000, 28, 28], &[0; 18]), "47040000 bytes expected, the file has only 18"),
        (idx(IMAGES, &[2, 2, 3], &[0; 12]), "3 labels, expected 2 as there are images"),
        (gz(&good)[..25].to_vec(), "truncated"),
        (
            gz(&idx(IMAGES, &[3, 2, 3], &[0; 17])),
            "truncated: pixels of 3 × 2 × 3: 18 bytes expected",
        ),
        (gz(&idx(IMAGES, &[u32::MAX, 8, 8], &[])), "the file can unpack to at most 1678"),
    ] {
        fs::write(&images, bytes).unwrap();
        let result = mnist(dir.path());
        let path = if what.contains("labels") { dir.path() } else { &images };
        assert_says(result, path, what);
    }
    let mut broken = gz(&good);
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    fs::write(&images, broken).unwrap();
    assert!(mnist(dir.path()).is_err());
    fs::write(&images, good).unwrap();

    let labels = dir.path().join(TRAIN_LABELS);
    fs::write(&labels, idx(LABELS, &[3], &[0, 10, 1])).unwrap();
    assert_says(mnist(dir.path()), &labels, "image 2: the label is 10, expected 0 to 9");
    fs::write(&labels, idx(LABELS, &[3], &[7, 7, 7])).unwrap();
    assert_says(mnist(dir.path()), dir.path(), "all 3 training images are of one class, '7'");
    fs::remove_file(&labels).unwrap();
    assert_says(mnist(dir.path()), dir.path(), "no file train-labels-idx1-ubyte");
    fs::create_dir(&labels).unwrap();
    assert_says(mnist(dir.path()), &labels, "not a file");
    assert_says(mnist(&images), &images, "not a folder");
}

#[test]
fn a_bomb_is_stopped() {
    // The header is right, but no images shrink to a thousandth.
    let side = 8192;
    let mut bytes = idx(IMAGES, &[3, side, side], &[]);
    bytes.resize(bytes.len() + 3 * (side * side) as usize, 0);
    let dir = idx_folder(false);
    let images = dir.path().join(TRAIN_IMAGES);
    fs::write(&images, gz(&bytes)).unwrap();
    assert_says(mnist(dir.path()), &images, "201326592 bytes expected, the file can unpack to");
    // An archive does not say how many bytes it has.
    let dir = tempfile::tempdir().unwrap();
    let path =
        write(&dir, "a.tar.gz", &tar_gz(&[("c/other", &bytes), ("c/train.bin", &[0; 3073])]));
    assert_says(cifar10(&path), &path, "unpacks to more than 100 times its size");
}

#[test]
fn parts_that_do_not_fit_are_told() {
    let shape = Shape { channels: 1, height: 1, width: 2 };
    let new = |pixels: usize, labels: &[u16]| {
        Images::new("x", shape, numbered(2), vec![0; pixels], labels.to_vec())
    };
    assert_eq!(message(new(0, &[])), "x: no images");
    assert_eq!(message(new(3, &[0, 1])), "x: 3 pixels, expected 2 × 1×1×2 for 2 labels");
    assert_eq!(message(new(2, &[2])), "x: the label of image 1 is 2, expected less than 2 classes");
    let empty = Shape { channels: 1, height: 0, width: usize::MAX };
    assert!(message(Images::new("x", empty, vec![], vec![], vec![0])).contains("1×0×"));
    let (train, other) = (new(4, &[0, 1]).unwrap(), digits().unwrap().test);
    assert!(
        message(DataSet::new(train, other)).contains("are 1×1×2, but the test images are 1×8×8")
    );
}
