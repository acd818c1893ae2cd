//! The front of several objectives, with its latencies measured again.

use std::collections::HashMap;

use lanner_evaluate::meter::{Effort, Latency};
use lanner_space::Architecture;

use super::Run;
use super::control::{Control, Phase};
use crate::study::{State, Trial};
use crate::{SearchError, hypervolume};

/// Trials none of which beats another one in all objectives.
pub struct Front {
    pub points: Vec<Point>,
    /// Volume (of two objectives: area) between the front and the reference point.
    pub hypervolume: f64,
    /// Worst value of each objective among all done trials.
    pub reference: Vec<f64>,
}

pub struct Point {
    pub trial: Trial,
    /// Last measured values of the objectives.
    pub values: Vec<f64>,
    pub latency: Option<Latency>,
}

impl Run {
    /// Computes the front of several objectives. Latencies are measured with more effort, one after the
    /// other, until all networks on the resulting front were measured so.
    pub(super) fn front(&mut self, control: &mut Control) -> Result<Option<Front>, SearchError> {
        let objectives = self.study.job().objectives.clone();
        if objectives.len() < 2 {
            return Ok(None);
        }
        let mut lost: Vec<i64> = Vec::new();
        let mut again = 0;
        let front = loop {
            let front = self.study.front()?;
            let mut next = None;
            for trial in front.iter().filter(|t| self.needs_latency() && !lost.contains(&t.id)) {
                if self.final_latency(&trial.arch)?.is_none() {
                    next = Some(trial.clone());
                    break;
                }
            }
            let Some(trial) = next.filter(|_| !control.is_stopped()) else { break front };
            if self.measure(&trial.arch, Some(trial.id), Effort::Final)?.is_none() {
                // A network that can no longer be measured keeps its values.
                lost.push(trial.id);
            }
            again += 1;
            control.progress(Phase::MeasuringFront, again, front.len().max(again));
        };
        control.ended(Phase::MeasuringFront);
        let mut measured: HashMap<(String, Architecture), f64> = HashMap::new();
        self.study.for_each_measurement(|m| {
            measured.insert((m.metric, m.arch), m.value);
        })?;
        let value = |t: &Trial, metric: &str| {
            let last = measured.get(&(metric.to_string(), t.arch.clone()));
            last.or(t.metrics.get(metric)).copied().unwrap_or(f64::NAN)
        };
        let values = |t: &Trial| objectives.iter().map(|o| value(t, &o.metric)).collect();
        let mut points = Vec::new();
        for trial in front {
            points.push(Point {
                values: values(&trial),
                latency: match self.needs_latency() {
                    true => self.final_latency(&trial.arch)?,
                    false => self.known_latency(&trial.arch)?,
                },
                trial,
            });
        }
        let signed = |values: &[f64]| -> Vec<f64> {
            objectives.iter().zip(values).map(|(o, v)| o.signed(*v)).collect()
        };
        let mut worst = vec![f64::INFINITY; objectives.len()];
        for t in self.study.trials()?.iter().filter(|t| t.state == State::Done) {
            let at = signed(&values(t));
            worst.iter_mut().zip(at).for_each(|(w, v)| *w = w.min(v));
        }
        let all: Vec<Vec<f64>> = points.iter().map(|p| signed(&p.values)).collect();
        let hypervolume = hypervolume(&all, &worst);
        Ok(Some(Front { hypervolume, reference: signed(&worst), points }))
    }
}
