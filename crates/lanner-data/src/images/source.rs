//! Reads the bytes of a file, plain or `.gz`, with a bound on their number.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::DataError;

/// Largest number of bytes of a split in memory: MNIST has 47 million, CIFAR-10 154 million.
pub(super) const MOST_BYTES: u64 = 4 << 30;
/// Largest ratio of decompression. gzip shrinks images to a half or a fifth, drawings to a fiftieth;
/// its own limit is a thousandth.
const MOST_RATIO: u64 = 100;
/// Number of bytes that any file may unpack to.
const FREE: u64 = 16 << 20;

pub(super) struct Source {
    pub path: PathBuf,
    reader: Box<dyn Read>,
    /// Number of bytes that may still come: exact for a plain file, a bound for a compressed one.
    left: u64,
    compressed: bool,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let failed = || DataError::io(path, "read");
        // A folder or a pipe has no length to check anything against.
        let metadata = std::fs::metadata(path).map_err(failed())?;
        if !metadata.is_file() {
            return Err(DataError::file(path, "not a file"));
        }
        let size = metadata.len();
        if size == 0 {
            return Err(DataError::file(path, "the file is empty"));
        }
        let mut file = File::open(path).map_err(failed())?;
        let mut magic = Vec::new();
        Read::take(&mut file, 2).read_to_end(&mut magic).map_err(failed())?;
        let compressed = magic == [0x1f, 0x8b];
        let start = BufReader::new(io::Cursor::new(magic).chain(file));
        let (reader, left): (Box<dyn Read>, u64) = if compressed {
            (Box::new(MultiGzDecoder::new(start)), size.saturating_mul(MOST_RATIO) + FREE)
        } else {
            (Box::new(start), size)
        };
        Ok(Source { path: path.to_owned(), reader, left, compressed })
    }

    /// Number of bytes to come, if the file is not compressed.
    pub fn length(&self) -> Option<u64> {
        (!self.compressed).then_some(self.left)
    }

    /// Reads the next `n` bytes; `what` describes them in messages.
    pub fn bytes(&mut self, n: u64, what: &str) -> Result<Vec<u8>, DataError> {
        if n > self.left {
            let most = if self.compressed { "can unpack to at most" } else { "has only" };
            return Err(self
                .wrong(format!("{what}: {n} bytes expected, the file {most} {} more", self.left)));
        }
        if n > MOST_BYTES {
            return Err(self.wrong(format!("{what}: {n} bytes are more than {MOST_BYTES}")));
        }
        let mut bytes = Vec::new();
        // A compressed file may have fewer bytes: its memory grows as they come.
        if !self.compressed && bytes.try_reserve_exact(n as usize).is_err() {
            return Err(self.wrong(format!("{what}: no memory for {n} bytes")));
        }
        Read::take(&mut *self, n).read_to_end(&mut bytes).map_err(|e| self.broken(e))?;
        if bytes.len() as u64 != n {
            return Err(
                self.wrong(format!("truncated: {what}: {n} bytes expected, found {}", bytes.len()))
            );
        }
        Ok(bytes)
    }

    /// Fails unless the file ends here.
    pub fn end(&mut self) -> Result<(), DataError> {
        match self.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.wrong("more bytes follow the last image or label")),
            Err(error) => Err(self.broken(error)),
        }
    }

    pub fn wrong(&self, why: impl Into<String>) -> DataError {
        DataError::file(&self.path, why)
    }

    /// Converts the error of a read: the system's, or that of damaged bytes.
    pub fn broken(&self, error: io::Error) -> DataError {
        broken(&self.path, error)
    }
}

pub(super) fn broken(path: &Path, error: io::Error) -> DataError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DataError::file(path, "truncated: its end is missing"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            DataError::file(path, format!("damaged: {error}"))
        }
        _ => DataError::io(path, "read")(error),
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(if self.compressed {
                format!("it unpacks to more than {MOST_RATIO} times its size")
            } else {
                "it grows while it is read".into()
            })
        })?;
        Ok(n)
    }
}
