//! Hashes instead of streams of random numbers, so that draws for one image do not depend on others.

/// Hashes words by SplitMix64's finaliser (Steele et al., OOPSLA 2014), applied after each of them.
pub(super) fn hash(words: &[u64]) -> u64 {
    words.iter().fold(0x6c61_6e6e_6572, |state, &word| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Maps 32 bits of a hash to a number from 0 to n − 1.
pub(super) fn below(bits: u32, n: usize) -> usize {
    ((u128::from(bits) * n as u128) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_and_its_place_count() {
        let all = [hash(&[1, 2]), hash(&[2, 1]), hash(&[1]), hash(&[1, 2, 0]), hash(&[0, 0])];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn numbers_are_uniform() {
        let mut counts = [0; 9];
        for i in 0..9000 {
            counts[below(hash(&[3, i]) as u32, 9)] += 1;
        }
        assert!(counts.iter().all(|c| (880..1120).contains(c)), "{counts:?}");
        assert_eq!(below(u32::MAX, 9), 8);
    }
}
