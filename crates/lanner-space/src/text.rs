//! Text files as other programs write them: with byte order marks, in UTF-16, with any line ends.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest size of a file of [`read`], bytes.
const MOST: u64 = 64 << 20;

/// Encoding of a text, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// Number of first bytes that [`Encoding::of`] has to see.
    pub const LOOK: usize = 512;

    /// Finds the encoding by a byte order mark, whose length it returns too; UTF-8 without one.
    ///
    /// # Errors
    /// The bytes are an archive's or compressed: what they are, and what to do.
    pub fn of(start: &[u8]) -> Result<(Encoding, usize), String> {
        if let Some(what) = archive(start) {
            return Err(what.into());
        }
        Ok(match start {
            [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
            [0xff, 0xfe, ..] => (Encoding::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Encoding::Utf16Be, 2),
            _ => (Encoding::Utf8, 0),
        })
    }
}

/// Tells what kind of archive or compressed file begins with these bytes, and what to do.
pub fn archive(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some("compressed by gzip: unpack it first (gunzip, or tar -xzf)"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
            Some("compressed by bzip2: unpack it first (bunzip2)")
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("compressed by xz: unpack it first (unxz)"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("compressed by zstd: unpack it first (unzstd)"),
        [b'P', b'K', 3, 4, ..] => {
            Some("a zip archive, as .xlsx files are too: unpack it first, or save it as text")
        }
        _ if start.get(257..262) == Some(b"ustar") => {
            Some("a tar archive: unpack it first (tar -xf), and give what is in it")
        }
        _ => None,
    }
}

/// Decodes a text: UTF-8 or, after a byte order mark, UTF-16. Line ends become `\n`.
///
/// # Errors
/// The bytes are no such text; the message says what they are.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let (encoding, mark) = Encoding::of(bytes)?;
    let bytes = &bytes[mark..];
    let text = match encoding {
        Encoding::Utf8 => std::str::from_utf8(bytes)
            .map_err(|e| {
                let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
                format!("line {line}: not UTF-8 text")
            })?
            .to_owned(),
        _ => {
            let unit = |pair: &[u8]| match (encoding, pair) {
                (Encoding::Utf16Le, &[low, high]) => u16::from_le_bytes([low, high]),
                (_, &[high, low]) => u16::from_be_bytes([high, low]),
                _ => 0xfffd,
            };
            char::decode_utf16(bytes.chunks(2).map(unit))
                .collect::<Result<String, _>>()
                .map_err(|_| "not UTF-16 text, though it begins with a byte order mark")?
        }
    };
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Reads a text file of at most 64 MiB, see [`decode`].
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if bytes.len() as u64 > MOST {
        return Err(invalid(format!("more than {} MiB", MOST >> 20)));
    }
    decode(&bytes).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_encodings_and_line_ends_do_not_matter() {
        let plain = "name = \"a\"\n# ü\nlast";
        for end in ["\n", "\r\n", "\r"] {
            let text = plain.replace('\n', end);
            let utf16 = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit);
            let with = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
            for bytes in [
                text.clone().into_bytes(),
                with(&[0xef, 0xbb, 0xbf], text.clone().into_bytes()),
                with(&[0xff, 0xfe], utf16(u16::to_le_bytes).collect()),
                with(&[0xfe, 0xff], utf16(u16::to_be_bytes).collect()),
            ] {
                assert_eq!(decode(&bytes).unwrap(), plain);
            }
        }
        assert!(decode(b"a\nb\xff").unwrap_err().contains("line 2: not UTF-8"));
        assert!(decode(b"\xff\xfea\0b").is_ok_and(|text| text.contains('\u{fffd}')));
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, way) in
            [(&tar[..], "tar -xf"), (b"\x1f\x8b\x08", "gunzip"), (b"PK\x03\x04", "zip")]
        {
            assert!(decode(bytes).unwrap_err().contains(way));
        }
    }
}
