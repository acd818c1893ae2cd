//! `lanner train` as users call it.

use std::fs;

use crate::common::{fails, ok, rows};
use lanner::{data::Table, space::Space};

/// Small networks, so that tests are short.
const SMALL: [&str; 4] = ["--channels", "4", "--epochs", "1"];

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--out", out], more, &SMALL].concat()
}

#[test]
fn a_table_is_trained_once_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("t.csv").display().to_string();
    let first = rows(&ok(&train(&out, &["--seed", "3", "--json", "--sample", "2"])));
    assert_eq!((first[0]["trained"].as_u64(), first[0]["found"].as_u64()), (Some(2), Some(0)));
    let text = fs::read_to_string(&out).unwrap();
    for line in [
        "# dataset: digits",
        "# images: 1150 to train with, 287 to choose by, 360 to test",
        "# mean: 0.30543",
        "# skeleton: 4 channels, 1 cells, 8 pixels, 10 classes",
        "arch,val_accuracy,test_accuracy,val_loss,test_loss,train_loss,best_epoch,seconds,note",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
    // A row that a crash left torn is trained again, to the same numbers with any number of threads.
    fs::write(&out, &text[..text.len() - 9]).unwrap();
    let threads = ["--threads", "1", "--seed", "3", "--json", "--sample", "3"];
    let second = rows(&ok(&train(&out, &threads)));
    assert_eq!((second[0]["trained"].as_u64(), second[0]["found"].as_u64()), (Some(2), Some(1)));
    let values = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|l| l.starts_with('|'));
        rows.map(|r| r.split(',').take(7).collect::<Vec<_>>().join(",")).collect()
    };
    let (before, after) = (values(&text), values(&fs::read_to_string(&out).unwrap()));
    assert!(before.iter().all(|row| after.contains(row)), "{before:?} {after:?}");
    let table = Table::read(&out, &Space::NasBench201).unwrap().0;
    assert_eq!(table.len(), 3);
    assert!(table.column("val_accuracy").unwrap().iter().all(|v| (10.0..=100.0).contains(v)));
    let (code, message) = fails(&train(&out, &["--sample", "3", "--lr", "0.3"]));
    assert_eq!(code, 1);
    assert!(message.contains("other settings"), "{message}");
}

#[test]
fn images_can_be_smaller_and_trainings_several() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("t.csv").display().to_string();
    let more = ["--sample", "1", "--resolution", "4", "--seeds", "2", "--augment", "crops"];
    ok(&train(&out, &more));
    let text = fs::read_to_string(&out).unwrap();
    assert!(
        text.contains("val_accuracy,test_accuracy,val_accuracy_se,test_accuracy_se,"),
        "{text}"
    );
    assert!(text.contains(" 4 pixels, 10 classes\n") && text.contains("of each\n"), "{text}");
}

#[test]
fn wrong_options_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("t.csv").display().to_string();
    for (more, code, expected) in [
        (&["--batch", "1200"][..], 1, "batch is 1200, expected at most 1150, the training images"),
        (&["--batch", "0"], 2, "batch is 0, expected 1 or more"),
        (&["--lr", "nan"], 2, "learning rate is NaN, expected more than 0"),
        (&["--label-smoothing", "1"], 2, "label smoothing is 1, expected 0 or more"),
        (&["--resolution", "3"], 2, "images of 8×8 reduced to 3×3"),
        (&["--resolution", "2"], 2, "resolution is 2, expected a multiple of 4"),
        (&["--validation", "0"], 1, "validation split is 0, expected one or more"),
        (&["--validation", "1"], 1, "a validation split of 1"),
        (&["--dataset", "imagenet"], 1, "no image data set 'imagenet'"),
        (&["--dataset", "cifar10:/nowhere"], 1, "cannot read /nowhere"),
        (&["--memory", "0"], 1, "over the limit of 0"),
        (&["--channels", "0"], 2, "channels is 0, expected 1 to 1024"),
        (&["--cells", "101"], 2, "cells is 101"),
    ] {
        let sample = ["train", "--out", &out, "--sample", "1"];
        let (found, message) = fails(&[&sample[..], more].concat());
        assert!(message.contains(expected), "{message}");
        assert_eq!(found, code, "{message}");
    }
}
