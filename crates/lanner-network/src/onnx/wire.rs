//! The wire format of Protocol Buffers, read in place: strings and bytes are parts of the file.

/// A field's value. Groups, which `onnx.proto` does not have, are refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub fn int(self) -> Result<i64, String> {
        match self {
            Value::Number(n) => Ok(n as i64),
            _ => Err("a field that should hold a number holds something else".into()),
        }
    }

    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err("a field that should hold bytes holds a number".into()),
        }
    }

    pub fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a name is not UTF-8".into())
    }

    /// Adds the numbers of a repeated field, which holds one or, packed, many.
    pub fn ints(self, to: &mut Vec<i64>, most: usize) -> Result<(), String> {
        match self {
            Value::Bytes(mut rest) => {
                while !rest.is_empty() {
                    to.push(varint(&mut rest)? as i64);
                    limit(to.len(), most)?;
                }
            }
            other => to.push(other.int()?),
        }
        limit(to.len(), most)
    }

    /// Adds the 32-bit floats of a repeated field.
    pub fn floats(self, to: &mut Vec<f32>, most: usize) -> Result<(), String> {
        match self {
            Value::Fixed32(bits) => to.push(f32::from_bits(bits)),
            Value::Bytes(bytes) => {
                limit(to.len() + bytes.len() / 4, most)?;
                to.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
            }
            _ => return Err("a field that should hold floats holds something else".into()),
        }
        limit(to.len(), most)
    }
}

fn limit(len: usize, most: usize) -> Result<(), String> {
    match len > most {
        true => Err(format!("a list has more than {most} numbers")),
        false => Ok(()),
    }
}

/// Fields of a message, in the order of the file.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(&mut self.0);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Value<'a>), String> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Fixed64(u64::from_le_bytes(take(rest, 8)?.try_into().unwrap_or_default())),
        2 => {
            let len = varint(rest)?;
            Value::Bytes(take(rest, usize::try_from(len).unwrap_or(usize::MAX))?)
        }
        5 => Value::Fixed32(u32::from_le_bytes(take(rest, 4)?.try_into().unwrap_or_default())),
        other => return Err(format!("a field has wire type {other}, which ONNX does not use")),
    };
    match key >> 3 {
        0 => Err("a field has number 0".into()),
        number => Ok((number, value)),
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest
        .split_at_checked(len)
        .ok_or_else(|| format!("a field of {len} bytes goes beyond the end of its message"))?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number has more than ten bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn fields_are_those_that_prost_writes() {
        #[derive(Clone, PartialEq, Message)]
        struct Sample {
            #[prost(int64, tag = "1")]
            number: i64,
            #[prost(float, tag = "2")]
            float: f32,
            #[prost(string, tag = "3")]
            text: String,
            #[prost(int64, repeated, packed = "false", tag = "4")]
            unpacked: Vec<i64>,
            #[prost(int64, repeated, tag = "5")]
            packed: Vec<i64>,
            #[prost(double, tag = "16")]
            double: f64,
        }
        let sample = Sample {
            number: -3,
            float: 0.5,
            text: "abc".into(),
            unpacked: vec![1, -1, 300],
            packed: vec![i64::MIN, 0, i64::MAX],
            double: -2.5,
        };
        let bytes = sample.encode_to_vec();
        let mut back = Sample::default();
        for field in Fields(&bytes) {
            match field.unwrap() {
                (1, v) => back.number = v.int().unwrap(),
                (2, Value::Fixed32(bits)) => back.float = f32::from_bits(bits),
                (3, v) => back.text = v.text().unwrap().into(),
                (4, v) => v.ints(&mut back.unpacked, 9).unwrap(),
                (5, v) => v.ints(&mut back.packed, 9).unwrap(),
                (16, Value::Fixed64(bits)) => back.double = f64::from_bits(bits),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(back, sample);
        for end in 0..bytes.len() {
            let read: Result<Vec<_>, _> = Fields(&bytes[..end]).collect();
            assert!(read.is_err() || Sample::decode(&bytes[..end]).is_ok(), "{end}");
        }
        assert!(Value::Bytes(&[1, 2, 3]).ints(&mut Vec::new(), 2).is_err());
    }
}
