//! The newest measurements of each network, which are shown with its trials.

use std::collections::{BTreeMap, HashMap};

use lanner_space::Architecture;

use super::types::{Measurement, Trial};
use super::{SearchError, Study};

/// The newest measured values of each network, by metric. Measurements for the comparison with random search
/// are left out.
#[derive(Debug, Default)]
pub struct Newest(HashMap<Architecture, BTreeMap<String, f64>>);

impl Newest {
    fn add(&mut self, m: Measurement) {
        if !m.comparison {
            self.0.entry(m.arch).or_default().insert(m.metric, m.value);
        }
    }

    /// Adds what was measured to the metrics of a trial.
    pub fn complete(&self, mut trial: Trial) -> Trial {
        if let Some(measured) = self.0.get(&trial.arch) {
            trial.metrics.extend(measured.iter().map(|(name, value)| (name.clone(), *value)));
        }
        trial
    }
}

impl Study {
    /// Returns the newest measurements of all networks.
    pub fn newest(&self) -> Result<Newest, SearchError> {
        let mut newest = Newest::default();
        self.for_each_measurement(|m| newest.add(m))?;
        Ok(newest)
    }

    /// Returns the newest measurements of one network.
    pub fn newest_of(&self, arch: &Architecture) -> Result<Newest, SearchError> {
        let mut newest = Newest::default();
        self.measurements_of(arch)?.into_iter().for_each(|m| newest.add(m));
        Ok(newest)
    }
}
