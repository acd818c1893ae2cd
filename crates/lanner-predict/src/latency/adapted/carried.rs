//! Latencies that are carried over from another space, as functions of costs and references.

use serde::{Deserialize, Serialize};

use super::simulated::Simulated;
use crate::encode::costs::AnalyticCosts;
use crate::regress::linalg::{Mat, Standardiser};

/// Extra costs of new kinds of layers, in standard deviations of the mixture of references.
const NEW_KINDS: [f64; 2] = [0.7, -0.4];

/// Knowledge of a device from its latencies in one space, for use in any other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Weights of the references.
    pub(super) mixture: Vec<f64>,
    /// Share of the device's function that is known, from 0 to 1.
    pub(super) known: f64,
    pub(super) simulated: Simulated,
    pub(super) new_kinds: Vec<usize>,
}

impl Carried {
    /// The same for more devices than the references: the place among these of each, if it is one.
    pub(super) fn among(mut self, places: &[Option<usize>]) -> Carried {
        let mut weights = self.mixture.iter().copied();
        let of = |place: &Option<usize>| place.and_then(|_| weights.next()).unwrap_or(0.0);
        self.mixture = places.iter().map(of).collect();
        self
    }

    /// Scales of the guesses over the target pool: of the mixture, and of totals of new kinds of
    /// layers.
    pub(super) fn scales(&self, costs: &[AnalyticCosts], references: &Mat) -> [Standardiser; 2] {
        let rows: Vec<usize> = (0..references.rows).collect();
        [self.mixed(references), self.new_totals(costs)].map(|x| Standardiser::of(&x, &rows))
    }

    /// The guesses of some architectures, from their costs and the references' functions of them.
    pub(super) fn latencies(
        &self,
        costs: &[AnalyticCosts],
        references: &Mat,
        [mixture, totals]: &[Standardiser; 2],
    ) -> Vec<Mat> {
        let mixed = self.mixed(references);
        let (known, new) = (mixture.apply(&mixed), totals.apply(&self.new_totals(costs)));
        let mut guesses = vec![mixed];
        if known.cols > 0 && new.cols > 0 {
            guesses.extend(NEW_KINDS.map(|by| {
                Mat::from_fn(known.rows, 1, |i, j| {
                    known[(i, j)] + by * (new.row(i).iter().sum::<f64>() / new.cols as f64)
                })
            }));
        }
        let times: Vec<&Mat> = costs.iter().map(|costs| &costs.times).collect();
        guesses.push(self.simulated.latencies(&times));
        guesses
    }

    fn mixed(&self, references: &Mat) -> Mat {
        let mix = |row: &[f64]| row.iter().zip(&self.mixture).map(|(x, w)| x * w).sum();
        Mat::from_fn(references.rows, 1, |i, _| mix(references.row(i)))
    }

    /// Totals of the costs that the source space does not vary.
    fn new_totals(&self, costs: &[AnalyticCosts]) -> Mat {
        let new = &self.new_kinds;
        let of = |c: &AnalyticCosts| {
            Mat::from_fn(c.totals.rows, new.len(), |i, k| c.totals[(i, new[k])])
        };
        Mat::joined(&costs.iter().map(of).collect::<Vec<_>>().iter().collect::<Vec<_>>())
    }
}
