//! Reads a text as UTF-8 with `\n` as line ends, piece by piece, and bounds its records.

use std::{
    cell::Cell,
    io::{self, Read},
};

use lanner_space::text::Encoding;

/// Largest record in bytes: a million columns have a few. Within quotes, which may not be closed, four
/// times as many.
const LONGEST_RECORD: u64 = 16 << 20;

/// A reader that decodes a text, see [`lanner_space::text`], and counts its quotes.
pub(crate) struct TextReader<'a, R> {
    file: R,
    /// Known once the first bytes are read.
    encoding: Option<Encoding>,
    /// Bytes of the file that are not decoded yet.
    raw: Vec<u8>,
    /// Decoded bytes from `at` on that are not passed on yet.
    ready: Vec<u8>,
    at: usize,
    after_return: bool,
    /// Every well-formed field has an even number of quotes.
    quotes: &'a Cell<u64>,
    /// Length of the present record.
    record: u64,
}

impl<'a, R: Read> TextReader<'a, R> {
    pub fn new(file: R, quotes: &'a Cell<u64>) -> Self {
        TextReader {
            file,
            encoding: None,
            raw: Vec::new(),
            ready: Vec::new(),
            at: 0,
            after_return: false,
            quotes,
            record: 0,
        }
    }

    /// Decodes the next piece; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let n = self.file.read(&mut piece)?;
        self.raw.extend_from_slice(&piece[..n]);
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            None if n > 0 && self.raw.len() < Encoding::LOOK => return Ok(true),
            None => {
                let found = Encoding::of(&self.raw);
                let (encoding, mark) =
                    found.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
                self.raw.drain(..mark);
                *self.encoding.insert(encoding)
            }
        };
        self.ready.clear();
        self.at = 0;
        let raw = std::mem::take(&mut self.raw);
        match encoding {
            Encoding::Utf8 => raw.iter().for_each(|&byte| self.push(byte)),
            _ => self.decode(encoding, &raw, n == 0),
        }
        let longest = LONGEST_RECORD * if self.quotes.get() % 2 == 1 { 4 } else { 1 };
        if self.record > longest {
            let why = format!("a row of more than {} MiB; is a quote not closed?", longest >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(n > 0)
    }

    /// Decodes UTF-16. Half a character at the end waits for the next piece; at the end of the file, it
    /// is no text.
    fn decode(&mut self, encoding: Encoding, raw: &[u8], is_end: bool) {
        let mut units: Vec<u16> = Vec::with_capacity(raw.len() / 2);
        units.extend(raw.chunks_exact(2).map(|pair| match encoding {
            Encoding::Utf16Le => u16::from_le_bytes([pair[0], pair[1]]),
            _ => u16::from_be_bytes([pair[0], pair[1]]),
        }));
        let mut used = raw.len() - raw.len() % 2;
        if !is_end && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
            used -= 2;
        }
        if !is_end {
            self.raw = raw[used..].to_vec();
        } else if used < raw.len() {
            units.push(0xfffd);
        }
        for c in char::decode_utf16(units) {
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| self.push(byte));
        }
    }

    fn push(&mut self, byte: u8) {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        let byte = match byte {
            b'\n' if after_return => return,
            b'\r' => b'\n',
            other => other,
        };
        self.ready.push(byte);
        self.record += 1;
        match byte {
            b'"' => self.quotes.set(self.quotes.get() + 1),
            b'\n' if self.quotes.get().is_multiple_of(2) => self.record = 0,
            _ => {}
        }
    }
}

impl<R: Read> Read for TextReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            if !self.fill()? && self.at == self.ready.len() {
                return Ok(0);
            }
        }
        let n = buffer.len().min(self.ready.len() - self.at);
        buffer[..n].copy_from_slice(&self.ready[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
