//! Independent generators for each purpose, from one study seed; never from the clock.

use rand::SeedableRng;

/// Random generator of this project: ChaCha with 8 rounds, the same stream on every platform.
pub type Rng = rand_chacha::ChaCha8Rng;

/// Makes the generator for a purpose of the study with this seed. Distinct purposes give unrelated
/// streams, so that a new use of chance does not shift the draws of the others.
///
/// ```
/// use rand::RngExt;
/// let draw = |seed, purpose| lanner_nn::rng(seed, purpose).random::<u64>();
/// assert_eq!(draw(1, "init"), draw(1, "init"));
/// assert_ne!(draw(1, "init"), draw(1, "dropout"));
/// assert_ne!(draw(1, "init"), draw(2, "init"));
/// ```
pub fn rng(seed: u64, purpose: &str) -> Rng {
    Rng::seed_from_u64(subseed(seed, purpose))
}

/// Derives a seed for a part of the study: FNV-1a of the purpose, mixed with the seed by the
/// finaliser of SplitMix64 (Steele, Lea & Flood 2014).
pub fn subseed(seed: u64, purpose: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in purpose.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(mix(seed).wrapping_add(hash))
}

fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
