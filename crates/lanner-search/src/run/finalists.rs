//! Measures the best trials again before one of them is returned.

use lanner_evaluate::meter::{Effort, Latency};

use super::Run;
use super::control::{Control, Phase};
use crate::SearchError;
use crate::study::{State, Trial};

/// Largest number of networks to measure again, until one is surely within the limit.
const FINALISTS: usize = 20;

impl Run {
    /// Returns the best trial that is surely within the limit when measured with more effort.
    pub(super) fn finalist(
        &mut self,
        control: &mut Control,
    ) -> Result<Option<(Trial, Option<Latency>)>, SearchError> {
        let Some(objective) = self.study.job().objectives.first().cloned() else { return Ok(None) };
        let mut done: Vec<Trial> = self.study.trials()?;
        done.retain(|t| t.state == State::Done && t.metrics.contains_key(&objective.metric));
        done.retain(|t| self.keeps_evaluated_limits(t));
        let value = |t: &Trial| objective.signed(t.metrics[&objective.metric]);
        done.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.id.cmp(&b.id)));
        done.truncate(FINALISTS);
        if self.limit().is_none() {
            return Ok(done.into_iter().next().map(|trial| (trial, None)));
        }
        let total = done.len();
        let mut found = None;
        for (number, trial) in done.into_iter().enumerate() {
            if control.is_stopped() {
                break;
            }
            if let Some(latency) = self.measure(&trial.arch, Some(trial.id), Effort::Final)?
                && self.is_surely_within(latency)
            {
                found = Some((trial, Some(latency)));
                break;
            }
            control.progress(Phase::MeasuringAgain, number + 1, total);
        }
        control.ended(Phase::MeasuringAgain);
        Ok(found)
    }
}
