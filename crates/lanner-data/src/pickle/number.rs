//! Decodes numbers from the memory layouts of numpy and torch.

use super::{globals::Dtype, value::Tensor};

/// Number of elements of a shape; `None` if the product overflows.
pub(super) fn count(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d))
}

/// Decodes exactly `count` numbers; `None` if the type is not numeric or the bytes have another
/// length.
pub(super) fn decode(dtype: Dtype, bytes: &[u8], count: u64) -> Option<Vec<f64>> {
    let size = dtype.size.max(1);
    if bytes.len() as u64 != count.checked_mul(size as u64)? {
        return None;
    }
    bytes.chunks_exact(size).map(|chunk| one(dtype, chunk)).collect()
}

/// Gathers the numbers of a tensor in row-major order from its storage.
pub(super) fn gather(tensor: &Tensor, bytes: &[u8]) -> Option<Vec<f64>> {
    let (dtype, size) = (tensor.storage.dtype, tensor.storage.dtype.size.max(1));
    let total = count(&tensor.sizes)?;
    // A stride of 0 repeats an element, so that a few bytes could ask for any amount of memory.
    if total > (bytes.len() / size) as u64 || tensor.sizes.len() != tensor.strides.len() {
        return None;
    }
    let mut numbers = Vec::with_capacity(total as usize);
    let mut index = vec![0u64; tensor.sizes.len()];
    for _ in 0..total {
        let at = index
            .iter()
            .zip(&tensor.strides)
            .try_fold(tensor.offset, |at, (&i, &s)| at.checked_add(i.checked_mul(s)?))?;
        let start = usize::try_from(at).ok()?.checked_mul(size)?;
        numbers.push(one(dtype, bytes.get(start..start.checked_add(size)?)?)?);
        for (i, &n) in index.iter_mut().zip(&tensor.sizes).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    Some(numbers)
}

/// Decodes one number.
pub(super) fn one(dtype: Dtype, bytes: &[u8]) -> Option<f64> {
    let mut raw = [0u8; 8];
    let n = bytes.len();
    if n > 8 || n != dtype.size {
        return None;
    }
    raw[..n].copy_from_slice(bytes);
    if dtype.big_endian {
        raw[..n].reverse();
    }
    let bits = u64::from_le_bytes(raw);
    // Shifts the sign bit to the top and back, so that it fills the higher bits.
    let signed = |bits: u64| ((bits << (64 - 8 * n)) as i64) >> (64 - 8 * n);
    Some(match (dtype.kind, n) {
        (b'f', 8) => f64::from_bits(bits),
        (b'f', 4) => f32::from_bits(bits as u32).into(),
        (b'f', 2) => half(bits as u16),
        (b'B', 2) => f32::from_bits((bits as u32) << 16).into(),
        (b'i', 1 | 2 | 4 | 8) => signed(bits) as f64,
        (b'u', 1 | 2 | 4 | 8) => bits as f64,
        (b'b', 1) => f64::from(bits != 0),
        _ => return None,
    })
}

/// Decodes an IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match (bits >> 10) & 0x1f {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(i32::from(e) - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_the_standard() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn integers_keep_their_sign() {
        let dtype = |kind, size, big_endian| Dtype { kind, size, big_endian };
        assert_eq!(one(dtype(b'i', 2, false), &[0xfe, 0xff]), Some(-2.0));
        assert_eq!(one(dtype(b'i', 2, true), &[0xff, 0xfe]), Some(-2.0));
        assert_eq!(one(dtype(b'u', 2, false), &[0xfe, 0xff]), Some(65534.0));
        assert_eq!(one(dtype(b'i', 8, false), &[0xff; 8]), Some(-1.0));
        assert_eq!(one(dtype(b'f', 8, false), &[0; 4]), None);
        assert_eq!(one(dtype(b'U', 4, false), &[0; 4]), None);
    }
}
