//! Makes hostile inputs: changes good ones at random.

use lanner_nn::Rng;
use rand::RngExt;

/// Largest input that is made, in bytes.
const LONGEST: usize = 1 << 20;

/// Numbers at which code goes wrong, in any width.
const NUMBERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
    0x0010_0000,
];

/// Texts at which parsers go wrong.
const TEXTS: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "NaN",
    "inf",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "99999999999999999999999999",
    "0x",
    "\"",
    "'",
    "\n",
    "\r\n",
    ",",
    "{",
    "}",
    "[",
    "]]",
    "=",
    "\u{0}",
    "\u{feff}",
    "\u{1b}[31m",
    "é",
];

/// Changes a good input in one to eight ways.
pub fn mutated(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pick(rng, corpus).clone();
    // Some are as they are, and some are of random bytes.
    match rng.random_range(0..64) {
        0 => return bytes,
        1 => return (0..rng.random_range(0..512)).map(|_| rng.random()).collect(),
        _ => {}
    }
    let changes = 1 << rng.random_range(0..4);
    for _ in 0..changes {
        change(rng, &mut bytes, corpus);
        bytes.truncate(LONGEST);
    }
    bytes
}

/// Flips bits of a good input, or cuts it off: what disks and downloads do.
pub fn damaged(rng: &mut Rng, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    match rng.random_range(0..5) {
        0 => bytes.truncate(rng.random_range(0..bytes.len())),
        1 => {
            // A sector or a page of zeros.
            let start = rng.random_range(0..bytes.len()) & !511;
            let end = (start + [512, 4096][rng.random_range(0..2)]).min(bytes.len());
            bytes[start..end].fill(0);
        }
        _ => {
            for _ in 0..1 << rng.random_range(0..8) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
    }
    bytes
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[rng.random_range(0..all.len())]
}

/// A range of at most `longest` bytes.
fn range(rng: &mut Rng, len: usize, longest: usize) -> std::ops::Range<usize> {
    let start = rng.random_range(0..=len);
    let most = (len - start).min(longest);
    start..start + rng.random_range(0..=most)
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let len = bytes.len();
    match rng.random_range(0..11) {
        0 if len > 0 => bytes[rng.random_range(0..len)] ^= 1 << rng.random_range(0..8),
        1 if len > 0 => bytes[rng.random_range(0..len)] = rng.random(),
        2 => drop(bytes.drain(range(rng, len, 64))),
        3 => {
            let part = bytes[range(rng, len, 64)].to_vec();
            let times = 1 << rng.random_range(0..10);
            let at = rng.random_range(0..=len);
            let copies = part.repeat(times);
            bytes.splice(at..at, copies.into_iter().take(LONGEST));
        }
        4 => bytes.truncate(rng.random_range(0..=len)),
        5 => {
            let number = pick(rng, &NUMBERS).to_le_bytes();
            let width = 1 << rng.random_range(0..4);
            let mut number = number[..width].to_vec();
            if rng.random() {
                number.reverse();
            }
            overwrite(bytes, rng.random_range(0..=len), &number);
        }
        6 => {
            let text = pick(rng, &TEXTS).as_bytes();
            let at = range(rng, len, 8);
            bytes.splice(at, text.iter().copied());
        }
        // A number in a text.
        7 => {
            let digits: Vec<usize> = (0..len).filter(|&i| bytes[i].is_ascii_digit()).collect();
            if !digits.is_empty() {
                let at = *pick(rng, &digits);
                let text = pick(rng, &TEXTS[..10]).as_bytes();
                bytes.splice(at..=at, text.iter().copied());
            }
        }
        8 | 9 => {
            let other = pick(rng, corpus);
            let part = other[range(rng, other.len(), 256)].to_vec();
            let at = range(rng, len, 256);
            bytes.splice(at, part);
        }
        _ if len > 1 => {
            let (a, b) = (rng.random_range(0..len), rng.random_range(0..len));
            bytes.swap(a, b);
        }
        _ => bytes.push(rng.random()),
    }
}

fn overwrite(bytes: &mut Vec<u8>, at: usize, with: &[u8]) {
    let end = (at + with.len()).min(bytes.len());
    bytes.splice(at..end, with.iter().copied());
}
