//! Choices without learning, to compare a search with: by size, and by chance.

use lanner_network::{Skeleton, View};
use lanner_space::Architecture;
use rayon::prelude::*;

use super::candidates::Current;
use super::limits::Measured;
use super::snapshot::Snapshot;
use super::types::State;
use super::{SearchError, Study};
use crate::run::{Baseline, spaced};
use crate::{DefaultSearch, History};

impl Study {
    /// Returns the `n` candidates with the most FLOPs, the largest first, that are likely to be within
    /// all limits by what is known now: the choice of somebody who knows only that larger networks
    /// tend to be better. In a large space they are the largest of those drawn from it, not of all.
    pub fn largest(&mut self, n: usize) -> Result<Vec<Architecture>, SearchError> {
        let skeleton = self.job.skeleton(&self.space)?;
        let (current, open) = self.likely()?;
        let rows: Vec<usize> = (0..open.len()).filter(|&r| open[r]).collect();
        let mut sized: Vec<(u64, usize)> = (rows.into_par_iter())
            .filter_map(|r| Some((flops(&skeleton, &current.pool.archs[r])?, r)))
            .collect();
        sized.sort_by_key(|&(flops, row)| (std::cmp::Reverse(flops), row));
        Ok(sized.into_iter().take(n).map(|(_, r)| current.pool.archs[r].clone()).collect())
    }

    /// Predicts the best value of up to `n` random networks that are likely to be within the limits,
    /// from the study's own trials: fits the processes of [`DefaultSearch`] and draws random searches
    /// from their predictions. `None` with two objectives or too few trials.
    pub fn by_chance(&mut self, n: usize) -> Result<Option<Baseline>, SearchError> {
        let [objective] = &self.job.objectives[..] else { return Ok(None) };
        let objective = objective.clone();
        let (job, space) = (&self.job, &self.space);
        let done = self.database.read(|c| Snapshot::read(c, job, space))?.done;
        let seed = self.job.seed;
        let (current, open) = self.likely()?;
        let mut history = History::default();
        for (arch, values) in &done {
            if let Some(row) = current.pool.row_of(arch) {
                history.tell(row, Some(values[0]));
            }
        }
        let rows: Vec<usize> = (0..open.len()).filter(|&r| open[r]).collect();
        if rows.is_empty() || n == 0 {
            return Ok(None);
        }
        let best = DefaultSearch::new(seed).by_chance(&current.pool, &history, &rows, n);
        Ok(best.map(|values| {
            let value = |k: usize| objective.signed(values[k - 1]);
            let curve = spaced(values.len()).into_iter().map(|k| (k, value(k))).collect();
            Baseline { what: "estimated from the trials".into(), curve }
        }))
    }

    /// Returns the candidates, evaluated ones too, and which of them are likely to be within the
    /// limits.
    fn likely(&mut self) -> Result<(&Current, Vec<bool>), SearchError> {
        self.load_predictors()?;
        let (limits, space) = (&self.job.limits, &self.space);
        let measured = self.database.read(|c| {
            let each = limits.iter().map(|l| Measured::read(c, space, &l.metric));
            each.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut known: Vec<Architecture> =
            (measured.iter()).flat_map(|m| &m.latest).map(|m| m.0.clone()).collect();
        for trial in self.trials()?.iter().filter(|t| t.state == State::Done) {
            known.push(trial.arch.clone());
        }
        let (current, changed) = self.candidates.at(0, 0, &known, &[]);
        if changed {
            self.limits.new_pool();
            self.strategy = None;
        }
        let mut open = current.may.clone();
        let predictor = self.predictors.as_mut().and_then(|p| p.latency.as_mut());
        self.limits.allowed(current, &measured, &[], predictor, None, &mut open);
        Ok((current, open))
    }
}

/// Returns the FLOPs of the pruned network; `None` if it cannot be built. Those of a transformer are its
/// multiply-accumulates, for which it need not be built.
pub(crate) fn flops(skeleton: &Skeleton, arch: &Architecture) -> Option<u64> {
    if skeleton.is_transformer() {
        return skeleton.space.flops_and_params(arch).map(|costs| (1e6 * costs.0) as u64);
    }
    Some(skeleton.counts(arch, View::Pruned).ok()?.flops)
}
