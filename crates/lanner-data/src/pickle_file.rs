//! Reads pickles from their containers: a bare file, bzip2, or one of torch's two formats.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek},
    path::Path,
};

use bzip2::read::MultiBzDecoder;
use zip::ZipArchive;

use crate::{
    DataError,
    import::Progress,
    pickle::{self, Input, Limits, Pickle},
};

/// First integer of torch's older container, little-endian.
const TORCH_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Reads the pickle of a file, and the tensors that it names.
pub(crate) fn load(
    path: &Path,
    limits: Limits<'_>,
    progress: &Progress<'_>,
) -> Result<Pickle, DataError> {
    let open = || File::open(path).map_err(DataError::io(path, "read"));
    let mut magic = [0; 4];
    let mut file = open()?;
    let size = file.metadata().map_err(DataError::io(path, "read"))?.len();
    let got = file.read(&mut magic).map_err(DataError::io(path, "read"))?;
    let file = open()?;
    match &magic[..got] {
        [] => Err(DataError::file(path, "the file is empty")),
        [b'B', b'Z', b'h', ..] => {
            let plain = Bounded::new(MultiBzDecoder::new(progress.count(file)), size);
            read(Input::new(plain, None), path, limits.packed(size))
        }
        [b'P', b'K', ..] => read_zip(file, path, limits),
        _ => read(Input::new(progress.count(file), Some(size)), path, limits),
    }
}

/// Reads a bare pickle, or torch's container before 1.6: five pickles, then the storages.
fn read<R: Read>(
    mut input: Input<R>,
    path: &Path,
    limits: Limits<'_>,
) -> Result<Pickle, DataError> {
    let mut next = |limits| pickle::read(&mut input, limits).map_err(|f| f.into_error(path));
    let first = next(limits)?;
    if first.root().big() != Some(&TORCH_MAGIC) {
        return Ok(first);
    }
    let version = next(limits)?;
    if version.root().int() != Some(1001) {
        return Err(DataError::file(path, "a torch file of another version than 1001"));
    }
    let system = next(limits)?;
    let little = system.root().get("little_endian");
    if little.is_some_and(|l| l.is(false)) {
        return Err(DataError::file(path, "torch tensors of a big-endian machine"));
    }
    let mut main = next(limits)?;
    let sizes: HashMap<String, u64> =
        main.storage_records().map(|s| (s.key.to_string(), s.dtype.size as u64)).collect();
    if sizes.is_empty() {
        return Ok(main);
    }
    let keys = next(limits)?;
    let mut left = limits.memory;
    for key in keys.root().list().into_iter().flatten() {
        let key = key.str().unwrap_or_default();
        let Some(size) = sizes.get(key) else {
            let what = crate::error::shown(key);
            return Err(DataError::file(
                path,
                format!("a torch storage '{what}' that no tensor names"),
            ));
        };
        let bytes = input
            .array::<8>()
            .map(u64::from_le_bytes)
            .and_then(|n| input.bytes(n.saturating_mul(*size), left))
            .map_err(|f| f.into_error(path))?;
        left -= bytes.len() as u64;
        main.storages.insert(key.to_owned(), bytes);
    }
    Ok(main)
}

/// Reads torch's container since 1.6: a zip with `data.pkl` and a record for each storage.
fn read_zip(file: impl Read + Seek, path: &Path, limits: Limits<'_>) -> Result<Pickle, DataError> {
    let broken =
        |e: zip::result::ZipError| DataError::file(path, format!("not a readable zip file: {e}"));
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    let Some(name) = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|n| *n == "data.pkl" || n.ends_with("/data.pkl"))
        .map(String::from)
    else {
        return Err(DataError::file(path, "a zip file, but not of torch.save: it has no data.pkl"));
    };
    let folder = name.trim_end_matches("data.pkl").to_owned();
    let entry = archive.by_name(&name).map_err(broken)?;
    let (packed, size) = (entry.compressed_size(), entry.size());
    let mut input = Input::new(Bounded::new(entry, packed), Some(size));
    let mut pickle =
        pickle::read(&mut input, limits.packed(packed)).map_err(|f| f.into_error(path))?;
    drop(input);

    let keys: Vec<(String, u64)> = pickle
        .storage_records()
        .map(|s| (s.key.to_string(), s.len.saturating_mul(s.dtype.size as u64)))
        .collect();
    let mut left = limits.memory;
    for (key, size) in keys {
        if pickle.storages.contains_key(&key) {
            continue;
        }
        let entry = archive.by_name(&format!("{folder}data/{key}")).map_err(broken)?;
        let (packed, there) = (entry.compressed_size(), entry.size());
        if there < size {
            return Err(DataError::file(
                path,
                format!(
                    "the torch storage '{}' has {there} bytes, expected {size}",
                    crate::error::shown(&key)
                ),
            ));
        }
        let bytes = Input::new(Bounded::new(entry, packed), Some(there))
            .bytes(size, left)
            .map_err(|f| f.into_error(path))?;
        left -= bytes.len() as u64;
        pickle.storages.insert(key, bytes);
    }
    if !pickle.storages.is_empty()
        && let Ok(mut order) = archive.by_name(&format!("{folder}byteorder"))
    {
        let mut text = [0; 3];
        if matches!(order.read(&mut text), Ok(3)) && &text == b"big" {
            return Err(DataError::file(path, "torch tensors of a big-endian machine"));
        }
    }
    Ok(pickle)
}

/// A decompressor that stops with an error when it yields far more than real data would.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    /// Largest ratio of decompression; the pickles of benchmarks shrink to a tenth to a hundredth.
    const MOST_RATIO: u64 = 2000;
    const FREE: u64 = 64 << 20;

    fn new(inner: R, packed: u64) -> Self {
        let left = packed.saturating_mul(Self::MOST_RATIO).saturating_add(Self::FREE);
        Bounded { inner, left }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(format!(
                "the compressed data unpacks to more than {} times its size",
                Self::MOST_RATIO
            ))
        })?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_stopped() {
        let mut endless = Bounded::new(io::repeat(b'N'), 10);
        let error = io::copy(&mut endless, &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("more than 2000 times its size"));
        let fine = Bounded::new(io::repeat(b'N').take(1 << 20), 10);
        assert_eq!(io::copy(&mut { fine }, &mut io::sink()).unwrap(), 1 << 20);
    }
}
