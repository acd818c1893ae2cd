//! A random order of 0..n without a list of it.

use rand::{Rng, RngExt};

/// A permutation of the numbers below n, given by a few keys: a Feistel network on the smallest even
/// number of bits that hold n − 1, applied again to numbers that are not below n (Black & Rogaway,
/// "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    n: u128,
    half: u32,
    keys: [u64; 8],
}

impl Permutation {
    pub fn new(n: u128, rng: &mut impl Rng) -> Permutation {
        let bits = u128::BITS - n.saturating_sub(1).leading_zeros();
        Permutation {
            n,
            half: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| rng.random()),
        }
    }

    /// Returns the number at place `i`, below n.
    pub fn at(&self, i: u128) -> u128 {
        assert!(i < self.n, "place {i} of a permutation of {}", self.n);
        let mut number = i;
        loop {
            number = self.round_trip(number);
            if number < self.n {
                return number;
            }
        }
    }

    fn round_trip(&self, number: u128) -> u128 {
        let mask = u64::MAX >> (u64::BITS - self.half);
        let (mut left, mut right) = ((number >> self.half) as u64, number as u64 & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (u128::from(left) << self.half) | u128::from(right)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn every_number_comes_once_and_seeds_differ() {
        for n in [1, 2, 3, 5, 16, 17, 1000, 4096] {
            let orders: Vec<Vec<u128>> = (0..3)
                .map(|seed| {
                    let order = Permutation::new(n, &mut ChaCha8Rng::seed_from_u64(seed));
                    (0..n).map(|i| order.at(i)).collect()
                })
                .collect();
            for order in &orders {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            }
            assert!(n < 10 || orders[0] != orders[1]);
        }
    }

    #[test]
    fn the_beginning_of_a_long_order_is_spread_evenly() {
        // Checks means and correlation of successive numbers among 10^20, as fractions: uniform ones
        // have a mean of 1/2 ± 0.003 (one standard error of 10,000) and are uncorrelated (± 0.01).
        let n = 100_000_000_000_000_000_000;
        let order = Permutation::new(n, &mut ChaCha8Rng::seed_from_u64(7));
        let x: Vec<f64> = (0..10_000).map(|i| order.at(i) as f64 / n as f64 - 0.5).collect();
        let mean = x.iter().sum::<f64>() / 1e4;
        let with_next = x.windows(2).map(|w| 12.0 * w[0] * w[1]).sum::<f64>() / 1e4;
        let variance = x.iter().map(|x| 12.0 * x * x).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.012 && with_next.abs() < 0.04 && (variance - 1.0).abs() < 0.04);
    }
}
