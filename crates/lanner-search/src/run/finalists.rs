//! Measures the best trials again before one of them is returned.

use lanner_evaluate::meter::{Effort, Latency};

use super::Run;
use super::control::{Control, Phase};
use crate::SearchError;
use crate::study::Trial;

impl Run {
    /// Returns the study's answer ([`Study::best`](crate::study::Study::best)), once it is one that was
    /// measured with more effort. What was measured so before, maybe by an earlier process, is not
    /// measured again: a finished study keeps its answer.
    pub(super) fn finalist(
        &mut self,
        control: &mut Control,
    ) -> Result<Option<(Trial, Option<Latency>)>, SearchError> {
        let mut again = 0;
        let found = loop {
            let Some(trial) = self.study.best()? else { break None };
            if self.limit().is_none() {
                let latency = self.known_latency(&trial.arch)?;
                break Some((trial, latency));
            }
            if let Some(latency) = self.final_latency(&trial.arch)? {
                break Some((trial, Some(latency)));
            }
            if control.is_stopped() {
                break None;
            }
            if self.measure(&trial.arch, Some(trial.id), Effort::Final)?.is_none() {
                break Some((trial, None));
            }
            again += 1;
            control.progress(Phase::MeasuringAgain, again, again);
        };
        control.ended(Phase::MeasuringAgain);
        Ok(found)
    }

    /// Returns the last latency of a network if it was measured with more effort.
    pub(super) fn final_latency(
        &self,
        arch: &lanner_space::Architecture,
    ) -> Result<Option<Latency>, SearchError> {
        let known = self.study.measurements_of(arch)?;
        let last = known.iter().rfind(|m| m.metric == crate::LATENCY);
        let last = last.filter(|m| m.budget == Effort::Final.describe(&self.setup.device));
        Ok(last.map(|m| Latency { ms: m.value, se: m.se.unwrap_or(0.0) }))
    }
}
