//! `rank`: an untrained score of networks that combines zero-cost proxies.
//!
//! The mean of the normal scores of [`MEMBERS`] among the networks at hand: of what counts activations
//! (nwot, swap), of what looks at the images' gradients (jacov), at channels (meco), and the four of
//! AZ-NAS. They fail in different spaces, and their mean in fewer; sums over weights and
//! gradients (params, l2_norm, synflow, snip, grad_norm) are the best in some spaces and turn around in
//! others. They were chosen in view of all spaces of `lanner-bench untrained`, which also chooses members
//! for each space from the other spaces alone, and prints that beside.
//!
//! ```
//! use lanner_predict::accuracy::untrained::rank;
//! let columns = [("nwot".to_string(), vec![1.0, 2.0, 3.0]), ("flops".to_string(), vec![5.0, f64::NAN, 9.0])];
//! let scores = rank(&columns).unwrap();
//! assert!(scores[2] > scores[0] && scores[0] > scores[1] - 1.0);
//! ```

use std::collections::HashMap;
use std::fmt;

use lanner_data::Table;
use lanner_space::{Architecture, Space};

use super::adapted::without_failures;
use super::scores::NormalScores;
use super::{AccuracyFeatures, AccuracyModel};
use crate::checks::check_varied;
use crate::predictor::file::{Array, ModelFile};
use crate::{Pool, PredictError};

/// Name of the score.
pub const RANK: &str = "rank";
/// The proxies that it combines, of those that there are.
pub const MEMBERS: [&str; 9] = [
    "expressivity",
    "flops",
    "jacov",
    "meco",
    "nwot",
    "progressivity",
    "swap",
    "swap_cell",
    "trainability",
];

/// The scale of `rank`, from some networks of a space.
#[derive(Debug, Clone)]
pub struct UntrainedRank {
    members: Vec<(String, NormalScores)>,
}

impl UntrainedRank {
    /// Learns the scale from columns of proxies, name and one value a network. Of [`MEMBERS`], those
    /// are left out that most networks lack and that are the same for all. `None` if none is left.
    pub fn new(columns: &[(String, Vec<f64>)]) -> Option<UntrainedRank> {
        UntrainedRank::of(&MEMBERS, columns)
    }

    /// [`UntrainedRank::new`] with other members.
    pub fn of(members: &[&str], columns: &[(String, Vec<f64>)]) -> Option<UntrainedRank> {
        let members: Vec<(String, NormalScores)> = (columns.iter())
            .filter(|(name, _)| members.contains(&name.as_str()))
            .filter_map(|(name, values)| {
                let mut known = without_failures(values);
                known.retain(|v| v.is_finite());
                let varies = known.iter().any(|v| *v != known[0]);
                (2 * known.len() > values.len() && varies)
                    .then(|| (name.clone(), NormalScores::new(&known)))
            })
            .collect();
        (!members.is_empty()).then_some(UntrainedRank { members })
    }

    /// The proxies that are made use of.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    /// Scores of `count` networks by their columns; larger is better. A proxy that a network lacks
    /// counts as the lowest: proxies fail where nothing flows. Beyond the networks that the scale was
    /// learned from, it goes on in a line.
    pub fn scores(&self, columns: &[(String, Vec<f64>)], count: usize) -> Vec<f64> {
        let mut sums = vec![0.0; count];
        for (name, scale) in &self.members {
            let column = columns.iter().find(|c| c.0 == *name);
            let values = column.map_or(vec![f64::NAN; count], |c| without_failures(&c.1));
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += match value.is_finite() {
                    true => scale.score_beyond(value),
                    false => scale.score(f64::NEG_INFINITY),
                };
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= self.members.len() as f64);
        sums
    }
}

/// Scores networks among each other by their columns of proxies, see [`UntrainedRank`]; `None` if there
/// is none of its members.
pub fn rank(columns: &[(String, Vec<f64>)]) -> Option<Vec<f64>> {
    let count = columns.first()?.1.len();
    Some(UntrainedRank::new(columns)?.scores(columns, count))
}

/// Reads a table's untrained scores, larger is better: the column of that name, or, for [`RANK`] where
/// there is none, [`rank`] of the columns of proxies. Networks without a value are left out.
pub fn of_table(table: &Table, column: &str) -> Result<Vec<(Architecture, f64)>, PredictError> {
    let values = match column == RANK && !table.names.iter().any(|n| n == RANK) {
        false => table.column(column)?.to_vec(),
        // A table of `lanner proxies`.
        true => {
            let columns: Vec<(String, Vec<f64>)> =
                table.names.iter().cloned().zip(table.columns.iter().cloned()).collect();
            rank(&columns).ok_or_else(|| PredictError::Model {
                why: format!("none of the proxies {}", MEMBERS.join(", ")),
            })?
        }
    };
    let all = table.archs.iter().cloned().zip(values);
    Ok(all.filter(|(_, value)| value.is_finite()).collect())
}

/// Arrays of a predictor's file.
const CODES: &str = "prior codes";
const VALUES: &str = "prior values";

/// Most networks from which [`UntrainedScores`] predicts the scores of others.
const LEARNED: usize = 600;

/// Untrained scores of some networks of a space, and predictions of them for all others: proxies are a
/// function of the architecture, so that those of a few hundred networks tell those of the rest.
pub struct UntrainedScores {
    /// In the order that was given: others are predicted from some of them.
    networks: Vec<(Architecture, f64)>,
    known: HashMap<Architecture, f64>,
    features: AccuracyFeatures,
    model: AccuracyModel,
}

impl UntrainedScores {
    /// Learns from networks and their scores, at least five that are not all equal.
    pub fn new(
        space: &Space,
        known: &[(Architecture, f64)],
    ) -> Result<UntrainedScores, PredictError> {
        let step = known.len().div_ceil(LEARNED).max(1);
        let (archs, values): (Vec<_>, Vec<f64>) = known.iter().step_by(step).cloned().unzip();
        let refused = |e: PredictError| PredictError::Model { why: format!("the prior: {e}") };
        check_varied(&values, "untrained scores").map_err(refused)?;
        let features = AccuracyFeatures::new(&Pool::new(space.clone(), archs));
        let rows: Vec<usize> = (0..values.len()).collect();
        let model = AccuracyModel::fit(&features, &rows, &values, 0).map_err(refused)?;
        let networks = known.to_vec();
        Ok(UntrainedScores { known: known.iter().cloned().collect(), networks, features, model })
    }

    /// Number of networks whose scores were given.
    pub fn networks(&self) -> usize {
        self.networks.len()
    }

    /// Adds the networks and their scores to a predictor's file.
    pub(crate) fn store(&self, space: &Space, file: &mut ModelFile) {
        let (archs, values): (Vec<_>, Vec<f64>) = self.networks.iter().cloned().unzip();
        file.insert_archs(CODES, space, &archs);
        file.tensors.insert(VALUES.into(), Array::f64(values));
    }

    /// Reads what [`UntrainedScores::store`] wrote, `None` if the file has no prior.
    pub(crate) fn read(
        file: &ModelFile,
        space: &Space,
    ) -> Result<Option<UntrainedScores>, PredictError> {
        let Some(array) = file.tensors.get(VALUES) else { return Ok(None) };
        let values = file.f64(VALUES, &[array.shape().iter().product()])?;
        let archs = file.archs_of(CODES, space, values.len())?;
        let known: Vec<_> = archs.into_iter().zip(values.iter().copied()).collect();
        UntrainedScores::new(space, &known).map(Some)
    }

    /// Scores of any networks of the space.
    pub fn of(&self, archs: &[Architecture]) -> Vec<f64> {
        let mut scores: Vec<f64> =
            archs.iter().map(|a| self.known.get(a).copied().unwrap_or(f64::NAN)).collect();
        let missing: Vec<usize> = (0..scores.len()).filter(|&i| scores[i].is_nan()).collect();
        if missing.is_empty() {
            return scores;
        }
        let others: Vec<Architecture> = missing.iter().map(|&i| archs[i].clone()).collect();
        let predicted = self.model.predict_others(&self.features.of(&others)).mean;
        missing.into_iter().zip(predicted).for_each(|(i, v)| scores[i] = v);
        scores
    }
}

impl fmt::Debug for UntrainedScores {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "UntrainedScores of {} networks", self.networks.len())
    }
}

/// Part of a predictor's description that tells of its prior.
pub(crate) fn said(prior: Option<&UntrainedScores>) -> String {
    prior.map_or_else(String::new, |scores| format!("; untrained scores: {}", scores.networks()))
}

/// Scores of a pool from those of some networks of its space, see [`UntrainedScores`].
pub fn for_pool(pool: &Pool, known: &[(Architecture, f64)]) -> Result<Vec<f64>, PredictError> {
    let values: HashMap<&Architecture, f64> = known.iter().map(|(a, v)| (a, *v)).collect();
    match pool.archs.iter().map(|a| values.get(a).copied()).collect::<Option<Vec<f64>>>() {
        Some(scores) => Ok(scores),
        None => Ok(UntrainedScores::new(&pool.space, known)?.of(&pool.archs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::spearman;

    fn column(name: &str, f: impl Fn(usize) -> f64) -> (String, Vec<f64>) {
        (name.into(), (0..50).map(f).collect())
    }

    #[test]
    fn it_is_the_mean_of_normal_scores_whatever_the_scale_of_a_proxy() {
        let noise = |i: usize| ((i * 7919) % 50) as f64;
        let plain = [column("nwot", |i| i as f64), column("jacov", noise)];
        let scaled = [
            column("nwot", |i| (i as f64 / 9.0).exp()),
            column("jacov", |i| noise(i).powi(3)),
            column("params", |i| -(i as f64)),
            column("swap", |_| 7.0),
        ];
        let (a, b) = (rank(&plain).unwrap(), rank(&scaled).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
        let sum: Vec<f64> = (0..50).map(|i| i as f64 + noise(i)).collect();
        assert!(spearman(&a, &sum) > 0.95);
        assert!(rank(&scaled[2..]).is_none() && rank(&[]).is_none());
    }

    #[test]
    fn a_failure_is_the_lowest_and_new_networks_may_be_beyond_all() {
        let mut columns = [column("nwot", |i| i as f64)];
        columns[0].1[20] = -1e8;
        let known = UntrainedRank::new(&columns).unwrap();
        let scores = known.scores(&columns, 50);
        assert!(scores.iter().all(|s| *s >= scores[20]));
        let asked = known.scores(&[("nwot".into(), vec![49.0, 60.0, 80.0])], 3);
        assert!(asked[0] < asked[1] && asked[1] < asked[2]);
    }
}
