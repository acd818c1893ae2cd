//! Reads TensorFlow's record files: for each record, a length of 8 bytes with its checksum, and the
//! record with its own. Checksums are CRC-32C, rotated and shifted by a constant ("masked").

use std::io::{self, Read};

/// Largest record in bytes, far above those of any benchmark; a longer one has a broken length.
const LONGEST: u64 = 1 << 24;

/// Records of a file, one after the other.
pub(super) struct Records<R> {
    file: R,
    /// Number of bytes before the next record.
    pub offset: u64,
}

impl<R: Read> Records<R> {
    pub fn new(file: R) -> Self {
        Records { file, offset: 0 }
    }

    /// Reads the next record; `None` at the end of the file. The error says what is wrong with it.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut length = [0; 8];
        match self.fill(&mut length)? {
            0 => return Ok(None),
            8 => {}
            n => return Err(format!("the file ends {n} bytes into a record")),
        }
        self.checksum(&length, "length of the record")?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST {
            return Err(format!("a record of {length} bytes, more than any of a benchmark"));
        }
        let mut record = vec![0; length as usize];
        if self.fill(&mut record)? < record.len() {
            return Err(format!("the file ends within a record of {length} bytes"));
        }
        self.checksum(&record, "record")?;
        self.offset += 16 + length;
        Ok(Some(record))
    }

    /// Fills the buffer as far as the file goes; returns the number of bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(format!("cannot read: {e}")),
            }
        }
        Ok(filled)
    }

    fn checksum(&mut self, of: &[u8], what: &str) -> Result<(), String> {
        let mut stored = [0; 4];
        if self.fill(&mut stored)? < 4 {
            return Err(format!("the file ends before the checksum of the {what}"));
        }
        match u32::from_le_bytes(stored) == masked_crc(of) {
            true => Ok(()),
            false => Err(format!(
                "the checksum of the {what} is wrong: the file is damaged, or no TFRecord file"
            )),
        }
    }
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Frames a record with its length and checksums.
#[cfg(test)]
pub(super) fn framed(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    let crc = |bytes| masked_crc(bytes).to_le_bytes();
    [&length[..], &crc(&length), record, &crc(record)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checksums_are_crc_32c_masked() {
        // The value is from RFC 3720, B.4; the mask is a rotation and TensorFlow's constant.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(0x8a91_36aau32.rotate_right(15), 0x6d55_1522);
        assert_eq!(masked_crc(&[0; 32]), 0x6d55_1522u32.wrapping_add(0xa282_ead8));
    }

    proptest! {
        #[test]
        fn what_was_framed_is_read_and_damage_is_noticed(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let mut bytes: Vec<u8> = records.iter().flat_map(|r| framed(r)).collect();
            let read = |bytes: &[u8]| {
                let mut reader = Records::new(bytes);
                let mut all = Vec::new();
                while let Some(record) = reader.next()? {
                    all.push(record);
                }
                Ok::<_, String>(all)
            };
            prop_assert_eq!(read(&bytes).unwrap(), records);
            let end = at.index(bytes.len());
            prop_assert!(read(&bytes[..end]).map_or(true, |all| all.len() < 4));
            bytes[end] ^= 1 << bit;
            prop_assert!(read(&bytes).is_err());
        }
    }
}
