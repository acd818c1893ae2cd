//! Random bytes, and good files that are cut off or changed, give an error or a sound data set, never
//! a panic.

use proptest::prelude::*;

use super::*;

/// A good file that is cut off, or has some bytes replaced.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (Just(good), any::<prop::sample::Index>(), any::<bool>(), places).prop_map(
        |(mut bytes, end, cut, places)| {
            for (place, value) in places {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        },
    )
}

/// Asserts that the result is an error or a consistent data set.
fn assert_sound(result: Result<DataSet, DataError>) {
    if let Ok(set) = result {
        for images in [set.train, set.test] {
            let Images { name, classes, pixels, labels, .. } = images.clone();
            assert_eq!(Images::new(name, images.shape(), classes, pixels, labels).unwrap(), images);
        }
    }
}

fn good_idx() -> Vec<u8> {
    idx(IMAGES, &[3, 2, 3], &[7; 18])
}

fn good_archive() -> Vec<u8> {
    let (train, test) = (cifar_file(&[1, 2], 1), cifar_file(&[0], 1));
    tar_gz(&[("c/data_batch_1.bin", &train), ("c/test_batch.bin", &test)])
}

proptest! {
    #[test]
    fn no_idx_file_panics(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            damaged(good_idx()),
            damaged(gz(&good_idx())),
            damaged(good_idx()).prop_map(|b| gz(&b)),
        ],
        labels: bool,
    ) {
        let dir = idx_folder(false);
        fs::write(dir.path().join(if labels { TRAIN_LABELS } else { TRAIN_IMAGES }), bytes).unwrap();
        assert_sound(mnist(dir.path()));
    }

    #[test]
    fn no_cifar_file_panics(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..1024),
            damaged(good_archive()),
            // Damages the archive inside, which the checksum of the .gz would protect.
            damaged(good_archive()).prop_map(|packed| {
                let mut plain = vec![];
                let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut plain);
                plain
            }),
        ],
        records in damaged(cifar_file(&[1, 2], 1)),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&dir, "archive", &bytes);
        assert_sound(cifar10(&path));
        assert_sound(cifar100(&path));
        write(&dir, "train.bin", &records);
        write(&dir, "test.bin", &cifar_file(&[1], 1));
        assert_sound(cifar10(dir.path()));
        assert_sound(cifar100(dir.path()));
    }
}
