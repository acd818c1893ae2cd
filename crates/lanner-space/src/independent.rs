//! Spaces whose positions are chosen independently of each other, computed from the numbers of choices
//! alone. Their order is lexicographic, with the last position fastest.

use rand::{Rng, RngExt};

use crate::{Architecture, SpaceError, literal::Literal};

/// Returns the product of the numbers of choices.
pub(crate) fn size(choices: &[u8]) -> u128 {
    choices.iter().map(|&n| u128::from(n)).product()
}

/// Returns the product of the numbers of choices; `None` from 2^128.
pub(crate) fn checked_size(choices: &[u8]) -> Option<u128> {
    choices.iter().try_fold(1u128, |size, &n| size.checked_mul(n.into()))
}

/// Returns the architecture with an index below [`size`].
pub(crate) fn at(choices: &[u8], mut index: u128) -> Architecture {
    let mut codes = vec![0; choices.len()];
    for (code, &n) in codes.iter_mut().zip(choices).rev() {
        *code = (index % u128::from(n)) as u8;
        index /= u128::from(n);
    }
    Architecture::new(codes)
}

/// Returns the index of an architecture, the inverse of [`at`].
pub(crate) fn index_of(choices: &[u8], codes: &[u8]) -> u128 {
    codes.iter().zip(choices).fold(0, |index, (&c, &n)| index * u128::from(n) + u128::from(c))
}

/// Says why codes do not belong to the space.
pub(crate) fn check(choices: &[u8], codes: &[u8]) -> Result<(), String> {
    if codes.len() != choices.len() {
        return Err(format!("expected {} codes, got {}", choices.len(), codes.len()));
    }
    match (0..codes.len()).find(|&i| codes[i] >= choices[i]) {
        Some(i) => Err(format!("code {} at position {i} is not below {}", codes[i], choices[i])),
        None => Ok(()),
    }
}

/// Draws each position uniformly.
pub(crate) fn sample(choices: &[u8], rng: &mut impl Rng) -> Architecture {
    Architecture::new(choices.iter().map(|&n| rng.random_range(0..n)).collect::<Vec<_>>())
}

/// Changes one position that has more than one choice: draws the position uniformly, then its code.
pub(crate) fn mutate(choices: &[u8], codes: &[u8], rng: &mut impl Rng) -> Architecture {
    let mut codes = codes.to_vec();
    let free: Vec<usize> = (0..codes.len()).filter(|&i| choices[i] > 1).collect();
    if !free.is_empty() {
        let i = free[rng.random_range(0..free.len())];
        codes[i] = (codes[i] + rng.random_range(1..choices[i])) % choices[i];
    }
    Architecture::new(codes)
}

/// Returns the architectures that differ at exactly one position.
pub(crate) fn neighbours(choices: &[u8], codes: &[u8]) -> Vec<Architecture> {
    let mut all = Vec::new();
    for (i, &n) in choices.iter().enumerate() {
        for code in (0..n).filter(|&c| c != codes[i]) {
            let mut codes = codes.to_vec();
            codes[i] = code;
            all.push(Architecture::new(codes));
        }
    }
    all
}

/// Prints codes as one digit each.
pub(crate) fn digits(codes: &[u8]) -> String {
    codes.iter().map(|&c| (b'0' + c) as char).collect()
}

/// Reads codes as digits without separators (`02121`), or as a Python tuple or a list.
pub(crate) fn parse(space: &str, text: &str, choices: &[u8]) -> Result<Architecture, SpaceError> {
    let text = text.trim();
    let fail = |why| SpaceError::text(space, text, why);
    let codes = if Literal::opens(text) {
        let numbers = Literal::parse(text).map_err(fail)?.codes();
        numbers.ok_or_else(|| fail("expected a list of codes".into()))?
    } else {
        let digit = |b: u8| b.is_ascii_digit().then(|| b - b'0');
        let codes: Option<Vec<u8>> = text.bytes().map(digit).collect();
        codes.ok_or_else(|| fail(format!("expected {} digits", choices.len())))?
    };
    check(choices, &codes).map_err(fail)?;
    Ok(Architecture::new(codes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    proptest! {
        #[test]
        fn indices_are_positions_in_lexicographic_order(choices in prop::collection::vec(1u8..5, 1..6)) {
            let n = size(&choices);
            let all: Vec<_> = (0..n).map(|i| at(&choices, i)).collect();
            prop_assert!(all.is_sorted_by(|a, b| a < b));
            for (i, arch) in all.iter().enumerate() {
                prop_assert_eq!(index_of(&choices, arch.codes()), i as u128);
                prop_assert!(check(&choices, arch.codes()).is_ok());
            }
        }

        #[test]
        fn mutation_draws_from_the_neighbours(choices in prop::collection::vec(1u8..5, 1..6), seed: u64) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let arch = sample(&choices, &mut rng);
            let all = neighbours(&choices, arch.codes());
            prop_assert_eq!(all.len(), choices.iter().map(|&n| usize::from(n) - 1).sum::<usize>());
            let other = mutate(&choices, arch.codes(), &mut rng);
            prop_assert!(all.contains(&other) || all.is_empty());
        }
    }
}
