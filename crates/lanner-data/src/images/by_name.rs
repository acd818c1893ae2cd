//! Reads the data set that a text of the command line names.

use std::path::Path;

use super::{DataSet, cifar10, cifar100, digits, fashion_mnist, mnist};
use crate::{DataError, error::shown};

/// Reads the data set that a text names: `digits`, `cifar10:PATH`, `cifar100:PATH`, `mnist:DIR`,
/// `fashion-mnist:DIR`, `folder:DIR` or `folder:DIR@HEIGHTxWIDTH`.
pub fn by_name(text: &str) -> Result<DataSet, DataError> {
    match text.split_once(':') {
        None if text == "digits" => digits(),
        Some((kind, path)) if !path.is_empty() => match kind {
            "cifar10" => cifar10(path),
            "cifar100" => cifar100(path),
            "mnist" => mnist(path),
            "fashion-mnist" => fashion_mnist(path),
            "folder" => {
                let (path, size) = sized(path);
                folder(Path::new(path), size)
            }
            _ => Err(unknown(text)),
        },
        _ => Err(unknown(text)),
    }
}

#[cfg(feature = "images-folder")]
use super::folder;

#[cfg(not(feature = "images-folder"))]
fn folder(path: &Path, _: Option<(u32, u32)>) -> Result<DataSet, DataError> {
    Err(DataError::file(
        path,
        "this build reads no folders of PNG and JPEG files; build lanner-data with its feature \
         `images-folder`",
    ))
}

fn unknown(text: &str) -> DataError {
    DataError::Images(format!(
        "no image data set '{}'; expected digits, cifar10:PATH, cifar100:PATH, mnist:DIR, \
         fashion-mnist:DIR or folder:DIR",
        shown(text)
    ))
}

/// Splits a `@32x32` off the end, height first.
fn sized(path: &str) -> (&str, Option<(u32, u32)>) {
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
    let split = || {
        let (folder, size) = path.rsplit_once('@')?;
        let (height, width) = size.split_once('x')?;
        Some((folder, (number(height)?, number(width)?)))
    };
    split().map_or((path, None), |(folder, size)| (folder, Some(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_from_paths() {
        assert_eq!(sized("a/b@24x32"), ("a/b", Some((24, 32))));
        for path in ["a/b", "a@b", "a@2x", "a@x2", "a@2x+3", "a@2x99999999999", "a@32x32/b"] {
            assert_eq!(sized(path), (path, None));
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "mnist", "cifar10:", "digits:x", "imagenet:x", ":", "a\nb"] {
            let message = by_name(text).unwrap_err().to_string();
            assert!(message.contains("expected digits, cifar10:PATH"), "{message}");
            assert!(message.lines().count() == 1);
        }
        if cfg!(not(feature = "images-folder")) {
            let message = by_name("folder:x@8x8").unwrap_err().to_string();
            assert!(message.starts_with("x: ") && message.contains("images-folder"), "{message}");
        }
    }
}
