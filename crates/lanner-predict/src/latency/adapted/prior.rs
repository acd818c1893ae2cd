//! Assumptions about a new device.

use super::average::{Candidate, candidates};
use super::group::{Direction, Group, Shown};
use crate::regress::gp::{Component, HyperPrior, Kernel};
use crate::regress::linalg::Mat;
use crate::select::informative::most_informative;

/// Amplitude of groups carried over from another space, as a multiple of the others', at even odds.
/// Chosen on the development devices of `lanner-bench cross-space`.
const CARRIED: f64 = 20.0;
/// Step whose multiples spread evenly over the unit interval.
const GOLDEN: f64 = 0.618_033_988;

/// A guess of a device's latencies from another space.
#[derive(Debug, Clone)]
pub struct Guess {
    /// Log latencies over the target pool, but for a constant and a factor: p × 1, or p × 2 where the
    /// target space has two views and the source cannot tell which of them counts.
    pub latencies: Mat,
    pub belief: Confidence,
}

/// Confidence in a guess.
#[derive(Debug, Clone, Copy)]
pub struct Confidence {
    /// Known part of the device's function over the unknown part.
    pub odds: f64,
    /// The part of those candidates that believe in this one, of all that believe in any, for three
    /// measurements.
    pub share: f64,
    /// True if the share falls with the square of the number of measurements: more of them tell
    /// themselves what the guess is about.
    pub fades: bool,
}

impl Confidence {
    /// Share of candidates that believe in it after `measured` measurements.
    pub(super) fn share_of(&self, measured: usize) -> f64 {
        self.share * if self.fades { (3.0 / measured as f64).powi(2) } else { 1.0 }
    }
}

/// Assumptions about a new device before its first measurement.
#[derive(Debug, Clone)]
pub struct DevicePrior {
    pub(super) groups: Vec<Group>,
    /// The groups' places among all features that were offered, of which constant ones make no group, and
    /// the number of these.
    pub(super) places: Vec<usize>,
    pub(super) offered: usize,
    /// Confidence in the last groups, which are guesses from the device's latencies in another
    /// space.
    pub(super) carried: Vec<Confidence>,
    pub(super) direction: Direction,
}

impl DevicePrior {
    /// Adds guesses that were [`Carried`](super::Carried) over from another space, a group each.
    /// Candidates believe in one, by their shares, or in none: at most half of them, the fewer the
    /// more the first guess knows.
    pub fn with_carried(mut self, carried: &[Guess]) -> DevicePrior {
        for Guess { latencies, belief } in carried {
            if self.offer(latencies, Shown::Both) {
                self.carried.push(*belief);
            }
        }
        self
    }

    /// Adds a linear group of features; false if they are constant.
    pub(super) fn offer(&mut self, features: &Mat, shown: Shown) -> bool {
        let group = Group::new(Kernel::Linear, features, 1.0, &self.direction);
        let is_new = group.is_some();
        if let Some(group) = group {
            self.groups.push(Group { shown, ..group });
            self.places.push(self.offered);
        }
        self.offered += 1;
        is_new
    }

    /// The same assumptions of architectures outside the pool, of which these are all features that were
    /// offered.
    pub(super) fn of_others(&self, features: &[Mat]) -> DevicePrior {
        let of =
            |(group, &place): (&Group, &usize)| group.of_others(&features[place], &self.direction);
        DevicePrior {
            groups: self.groups.iter().zip(&self.places).map(of).collect(),
            places: self.places.clone(),
            offered: self.offered,
            carried: self.carried.clone(),
            direction: self.direction.clone(),
        }
    }

    /// Candidates for `measured` measurements.
    pub(super) fn candidates(&self, measured: usize) -> Vec<Candidate> {
        let shown: Vec<Shown> = self.groups.iter().map(|g| g.shown).collect();
        let Some(Confidence { odds, .. }) = self.carried.first() else {
            return candidates(&shown, measured);
        };
        let first = shown.len() - self.carried.len();
        let mut all = candidates(&shown[..first], measured);
        let unknown = 1.0 / (1.0 + odds);
        all.truncate((all.len() as f64 * unknown).ceil() as usize);
        let none = vec![0.0; self.carried.len()];
        all.iter_mut().for_each(|c| drop(c.splice(first..first, none.iter().copied())));
        let shares: Vec<f64> = self.carried.iter().map(|b| b.share_of(measured)).collect();
        let total: f64 = shares.iter().sum();
        for (i, mut candidate) in candidates(&shown, measured).into_iter().enumerate() {
            let mut left = (i as f64 * GOLDEN).fract() * total;
            for ((amplitude, belief), share) in
                candidate[first..].iter_mut().zip(&self.carried).zip(&shares)
            {
                let believed = (0.0..*share).contains(&left);
                *amplitude *= if believed { CARRIED * belief.odds } else { 0.0 };
                left -= share;
            }
            all.push(candidate);
        }
        all
    }

    /// `n` of the pool's `rows`, the most informative first; see [`most_informative`].
    pub fn choose(&self, rows: &[usize], n: usize, seed: u64) -> Vec<usize> {
        let component = |g: &Group| Component {
            kernel: g.kernel,
            x: g.x.clone().into(),
            amplitude: HyperPrior::new(1.0 / self.groups.len() as f64, 1.0),
            length: HyperPrior::new(g.length, 1.0),
        };
        let components: Vec<Component> = self.groups.iter().map(component).collect();
        most_informative(&components, rows, n, seed)
    }
}
