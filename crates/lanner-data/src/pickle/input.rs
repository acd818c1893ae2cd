//! Reads the bytes of a pickle, from a file or a decompressor.

use std::{
    io::{self, BufReader, Read},
    path::Path,
};

use crate::DataError;

/// Error of a pickle, with the byte where the reader was.
#[derive(Debug)]
pub(crate) struct Fault {
    pub offset: u64,
    pub cause: Cause,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Io(io::Error),
    /// A global that is not in the list.
    Global(String),
    Other(String),
}

impl Fault {
    pub fn into_error(self, path: &Path) -> DataError {
        let (path, offset) = (path.to_owned(), self.offset);
        match self.cause {
            Cause::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                DataError::Pickle { path, offset, why: "the compressed data ends too early".into() }
            }
            Cause::Io(error) => DataError::io(path, "read")(error),
            Cause::Global(name) => DataError::Global { path, offset, name },
            Cause::Other(why) => DataError::Pickle { path, offset, why },
        }
    }
}

/// A stream with a position and, if it is known, an end.
pub(crate) struct Input<R> {
    inner: BufReader<R>,
    offset: u64,
    size: Option<u64>,
}

impl<R: Read> Input<R> {
    /// Wraps a stream; `size` is the number of its bytes, if known.
    pub fn new(inner: R, size: Option<u64>) -> Self {
        Input { inner: BufReader::with_capacity(1 << 16, inner), offset: 0, size }
    }

    /// Number of bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { offset: self.offset, cause: Cause::Other(why.into()) }
    }

    fn io(&self, error: io::Error) -> Fault {
        Fault { offset: self.offset, cause: Cause::Io(error) }
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        let mut have = 0;
        while have < N {
            match self.inner.read(&mut bytes[have..]) {
                Ok(0) => {
                    return Err(
                        self.fault(format!("the data ends here, expected {} more bytes", N - have))
                    );
                }
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io(e)),
            }
        }
        self.offset += N as u64;
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads the next `n` bytes; more than `limit` is an error. Memory grows with the bytes that do
    /// arrive, so that a false length costs nothing.
    pub fn bytes(&mut self, n: u64, limit: u64) -> Result<Vec<u8>, Fault> {
        self.expect_left(n)?;
        if n > limit {
            return Err(self.fault(format!(
                "a value of {n} bytes, more than the {limit} bytes of memory left"
            )));
        }
        let mut bytes = Vec::new();
        let got = (&mut self.inner).take(n).read_to_end(&mut bytes).map_err(|e| self.io(e))? as u64;
        self.offset += got;
        if got < n {
            return Err(self.fault(format!("the data ends here, expected {} more bytes", n - got)));
        }
        Ok(bytes)
    }

    /// Checks an announced length against the bytes that are left, before any of them are read.
    pub fn expect_left(&self, n: u64) -> Result<(), Fault> {
        match self.size.map(|s| s.saturating_sub(self.offset)) {
            Some(left) if n > left => {
                Err(self.fault(format!("a length of {n} bytes is announced, but {left} are left")))
            }
            _ => Ok(()),
        }
    }

    /// Reads the text up to the next line end, for protocol 0.
    pub fn line(&mut self) -> Result<Vec<u8>, Fault> {
        const LONGEST: usize = 1 << 20;
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(line),
                _ if line.len() == LONGEST => {
                    return Err(self.fault(format!("a line of more than {LONGEST} bytes")));
                }
                byte => line.push(byte),
            }
        }
    }
}
