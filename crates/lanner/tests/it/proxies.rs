//! `lanner proxies` as users call it.

use std::fs;

use crate::common::{fails, ok, rows};
use lanner::{data::Table, space::Space};

/// Small networks, so that tests are short.
const SMALL: [&str; 6] = ["--channels", "4", "--cells", "1", "--batch", "8"];

fn proxies<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["proxies", "--out", out], more, &SMALL].concat()
}

#[test]
fn a_table_is_computed_once_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.csv").display().to_string();
    let random = ["--resolution", "8", "--seed", "3", "--json", "--sample"];
    let first = rows(&ok(&proxies(&out, &[&random[..], &["3"]].concat())));
    assert_eq!((first[0]["computed"].as_u64(), first[0]["found"].as_u64()), (Some(3), Some(0)));
    let text = fs::read_to_string(&out).unwrap();
    // A row that a crash left torn is computed again, to the same numbers.
    fs::write(&out, &text[..text.len() - 20]).unwrap();
    let second = rows(&ok(&proxies(&out, &[&random[..], &["4"]].concat())));
    assert_eq!((second[0]["computed"].as_u64(), second[0]["found"].as_u64()), (Some(2), Some(2)));
    let again = fs::read_to_string(&out).unwrap();
    let values = |text: &str, line: usize| -> Vec<String> {
        let row = text.lines().filter(|l| !l.starts_with('#')).nth(line).unwrap();
        row.split(',').take(14).map(str::to_owned).collect()
    };
    assert_eq!(values(&text, 3), values(&again, 3));
    let table = Table::read(&out, &Space::NasBench201).unwrap().0;
    assert_eq!(table.len(), 4);
    assert!(table.column("l2_norm").unwrap().iter().all(|v| *v > 0.0));
    let (code, message) = fails(&proxies(&out, &["--resolution", "8", "--sample", "4"]));
    assert_eq!(code, 1);
    assert!(message.contains("other settings"), "{message}");
}

#[test]
fn digits_need_no_download() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.csv").display().to_string();
    let more = ["--dataset", "digits", "--sample", "2", "--proxies", "snip,nwot", "--seeds", "2"];
    ok(&proxies(&out, &more));
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("\narch,snip,nwot,seconds,note\n"), "{text}");
    assert!(text.contains("# dataset: digits, seed 0"), "{text}");
}

#[test]
fn a_file_says_whether_poolings_have_batch_norms() {
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name).display().to_string();
    let (plain, norms) = (out("plain.csv"), out("norms.csv"));
    // In one cell all edges are average poolings, in the other all are skip connections.
    let archs = out("archs.txt");
    fs::write(&archs, "444444\n111111\n").unwrap();
    let more = ["--resolution", "8", "--proxies", "params,nwot", "--archs", &archs];
    ok(&proxies(&plain, &more));
    ok(&proxies(&norms, &[&more[..], &["--pooling-norms"]].concat()));
    let column = |file: &str, name: &str| {
        Table::read(file, &Space::NasBench201).unwrap().0.column(name).unwrap().to_vec()
    };
    // Six edges of a cell; three cells of 4, 8 and 16 channels, a scale and a shift of each; and the two
    // blocks between stages pool 4 and 8 channels.
    let (before, after) = (column(&plain, "params"), column(&norms, "params"));
    let more_params = |i: usize| (1e6 * (after[i] - before[i])).round();
    assert_eq!([more_params(0), more_params(1)], [6.0 * 28.0 * 2.0 + 24.0, 24.0]);
    let (before, after) = (column(&plain, "nwot"), column(&norms, "nwot"));
    assert!(before[0] != after[0], "{before:?} {after:?}");
    let (code, message) = fails(&proxies(&plain, &[&more[..], &["--pooling-norms"]].concat()));
    assert_eq!(code, 1);
    assert!(message.contains("batch norms behind poolings"), "{message}");
}

#[test]
fn wrong_options_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.csv").display().to_string();
    for (more, expected) in [
        (&["--proxies", "snap"][..], "proxy is snap, expected epe_nas, expressivity"),
        (&["--resolution", "9"], "resolution is 9"),
        (&["--dataset", "digits", "--batch", "5000"], "--batch is 5000, expected 1 to 1437"),
        (&["--dataset", "digits", "--classes", "3"], "--classes are for --dataset random"),
        (&["--dataset", "imagenet"], "no image data set 'imagenet'"),
        (
            &["--resolution", "32", "--memory", "0"],
            "its images need 0.8 MiB of memory, over the limit of 0 MiB",
        ),
    ] {
        let sample = ["proxies", "--out", &out, "--sample", "1"];
        let (_, message) = fails(&[&sample[..], more].concat());
        assert!(message.contains(expected), "{message}");
    }
}
