//! The answer of a study: the best trial that is surely within all limits. The command, the report,
//! `best.json` and a resumed run all ask here.

use std::collections::{HashMap, HashSet};

use lanner_space::Architecture;
use rusqlite::{Connection, OptionalExtension};

use super::read::trial;
use super::schema::VALUES;
use super::types::Trial;
use super::{SearchError, Study};
use crate::job::Bound;
use crate::{Limit, front};

/// Quantile of the normal distribution below which 95 % lie.
const SURE: f64 = 1.645;
/// Relative deviation between measurements of one network at different times that is expected before
/// any is repeated, in place of one repetition (docs/benchmarks.md, "How well the tables repeat").
const EXPECTED: f64 = 0.045;

/// How much the machine's state changes measurements, beyond their standard errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Relative standard deviation between measurements of one network at different times.
    pub deviation: f64,
    /// Number of measurements of the network that is measured again and again.
    pub measurements: usize,
}

impl Drift {
    /// Estimates the drift from measurements (value and standard error) of one network. Before there
    /// are any, 4.5 % are expected; this counts as much as one repetition.
    pub fn of(measured: &[(f64, f64)]) -> Drift {
        let logs: Vec<f64> = measured.iter().map(|m| m.0.ln()).collect();
        let (n, mean) = (logs.len() as f64, logs.iter().sum::<f64>() / logs.len() as f64);
        let spread: f64 = logs.iter().map(|l| (l - mean) * (l - mean)).sum();
        // The part that standard errors explain is no drift.
        let errors: f64 = measured.iter().map(|(value, se)| (se / value).powi(2)).sum::<f64>() / n;
        let repeats = (n - 1.0).max(0.0);
        let excess = if repeats > 0.0 { (spread - repeats * errors).max(0.0) } else { 0.0 };
        let variance = (EXPECTED * EXPECTED + excess) / (1.0 + repeats);
        Drift { deviation: variance.sqrt(), measurements: measured.len() }
    }

    /// Returns the value whose measurement with this relative standard error just surely keeps a limit.
    pub fn sure_bound(&self, limit: &Limit, relative_se: f64) -> f64 {
        let margin = SURE * relative_se.hypot(self.deviation);
        match limit.bound {
            Bound::AtMost(most) => most / (1.0 + margin),
            Bound::AtLeast(least) => least / (1.0 - margin).max(f64::MIN_POSITIVE),
        }
    }

    /// Tells whether a measured value keeps a limit with a probability of at least .95, given its
    /// standard error and the drift. A value without a standard error is exact.
    pub fn surely_holds(&self, limit: &Limit, value: f64, se: Option<f64>) -> bool {
        let margin = match se.filter(|se| se.is_finite()) {
            Some(se) => SURE * se.hypot(self.deviation * value),
            None => 0.0,
        };
        match limit.bound {
            Bound::AtMost(_) => limit.holds(value + margin),
            Bound::AtLeast(_) => limit.holds(value - margin),
        }
    }
}

/// The last measurement of a network: value and standard error.
pub(super) type Last = (f64, Option<f64>);

impl Study {
    /// Returns the network that is measured again and again, to learn how the machine drifts.
    pub fn repeated(&self) -> Result<Option<Architecture>, SearchError> {
        let text: Option<String> = self.database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'repeated'", [], |r| r.get(0))
                .optional()
        })?;
        Ok(text.map(|text| self.space.parse(&text)).transpose()?)
    }

    /// Names the network that is measured again and again.
    pub fn set_repeated(&mut self, arch: &Architecture) -> Result<(), SearchError> {
        let text = self.space.print(arch);
        self.database.write(|c| super::set(c, "repeated", text))
    }

    /// Estimates the drift of a metric from the repeated measurements of one network.
    pub fn drift(&self, metric: &str) -> Result<Drift, SearchError> {
        self.database.read(|c| drift(c, metric))
    }

    /// Tells whether a measured value is surely within all limits of a metric: with a probability of at
    /// least .95, given its standard error and the drift.
    pub fn is_surely_within(
        &self,
        metric: &str,
        value: f64,
        se: Option<f64>,
    ) -> Result<bool, SearchError> {
        let drift = self.drift(metric)?;
        let mut limits = self.job.limits.iter().filter(|l| l.metric == metric);
        Ok(limits.all(|limit| drift.surely_holds(limit, value, se)))
    }

    /// Returns the answer of a study: the best done trial by the first objective, the earliest of
    /// equals, that is surely within all limits ([`Study::is_surely_within`]) by the last measurements
    /// of its architecture, or by its own metrics where nothing was measured.
    pub fn best(&self) -> Result<Option<Trial>, SearchError> {
        self.database.read(|c| {
            let drifts = self.drifts(c)?;
            let mut select = c.prepare_cached(
                "SELECT id FROM trial WHERE value IS NOT NULL ORDER BY value DESC, id",
            )?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let Some(trial) = trial(c, &self.space, row.get(0)?)? else { continue };
                if self.within_limits(c, &trial, &drifts)? {
                    return Ok(Some(trial));
                }
            }
            Ok(None)
        })
    }

    /// Returns the trials that no other one beats in all objectives, the best first value first; with
    /// one objective the best alone. Limits count as in [`Study::best`]. For an objective that was
    /// measured apart from the trial, such as a latency, the architecture's last measurement counts.
    pub fn front(&self) -> Result<Vec<Trial>, SearchError> {
        if self.job.objectives.len() < 2 {
            return Ok(self.best()?.into_iter().collect());
        }
        self.database.read(|c| {
            let drifts = self.drifts(c)?;
            let last = (self.job.objectives.iter())
                .map(|o| last_measured(c, &o.metric, usize::MAX))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut within: Vec<(i64, Vec<f64>)> = Vec::new();
            let columns = &VALUES[..self.job.objectives.len().min(VALUES.len())];
            let mut select = c.prepare_cached(&format!(
                "SELECT id, arch, {} FROM trial WHERE {} IS NOT NULL ORDER BY id",
                columns.join(", "),
                columns.join(" IS NOT NULL AND ")
            ))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let mut values: Vec<f64> =
                    (0..columns.len()).map(|i| row.get(i + 2)).collect::<rusqlite::Result<_>>()?;
                for (i, objective) in self.job.objectives.iter().enumerate() {
                    if !last[i].is_empty()
                        && let Some((measured, _)) = last[i].get(row.get_ref(1)?.as_str()?)
                    {
                        values[i] = objective.signed(*measured);
                    }
                }
                within.push((row.get(0)?, values));
            }
            // Removes trials over a limit from the front, again and again until all on it are within.
            loop {
                let points: Vec<&[f64]> = within.iter().map(|d| d.1.as_slice()).collect();
                let ids: Vec<i64> = front(&points).into_iter().map(|i| within[i].0).collect();
                let mut trials = Vec::new();
                let mut over = HashSet::new();
                for id in ids {
                    let Some(trial) = trial(c, &self.space, id)? else { continue };
                    if self.within_limits(c, &trial, &drifts)? {
                        trials.push(trial);
                    } else {
                        over.insert(id);
                    }
                }
                if over.is_empty() {
                    return Ok(trials);
                }
                within.retain(|d| !over.contains(&d.0));
            }
        })
    }

    /// Returns the drift of each limited metric.
    pub(super) fn drifts(&self, c: &Connection) -> rusqlite::Result<Vec<Drift>> {
        self.job.limits.iter().map(|l| drift(c, &l.metric)).collect()
    }

    fn within_limits(
        &self,
        c: &Connection,
        trial: &Trial,
        drifts: &[Drift],
    ) -> rusqlite::Result<bool> {
        let text = self.space.print(&trial.arch);
        for (limit, drift) in self.job.limits.iter().zip(drifts) {
            let measured: Option<Last> = c
                .prepare_cached(
                    "SELECT value, se FROM measurement WHERE metric = ? AND arch = ?
                     ORDER BY id DESC LIMIT 1",
                )?
                .query_row((&limit.metric, &text), |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?;
            let told = trial.metrics.get(&limit.metric).map(|value| (*value, None));
            let last = measured.or(told);
            if last.is_some_and(|(v, se)| !drift.surely_holds(limit, v, se)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

pub(super) fn drift(c: &Connection, metric: &str) -> rusqlite::Result<Drift> {
    let measured: Vec<(f64, f64)> = c
        .prepare_cached(
            "SELECT value, se FROM measurement WHERE metric = ? AND se IS NOT NULL AND value > 0
             AND arch = (SELECT value FROM study WHERE key = 'repeated') ORDER BY id",
        )?
        .query_map([metric], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Drift::of(&measured))
}

/// Returns the last measurement of a metric for each of the latest `most` architectures, as texts.
pub(super) fn last_measured(
    c: &Connection,
    metric: &str,
    most: usize,
) -> rusqlite::Result<HashMap<String, Last>> {
    let mut last = HashMap::new();
    let mut select = c.prepare_cached(
        "SELECT arch, value, se FROM measurement WHERE metric = ? ORDER BY id DESC",
    )?;
    let mut rows = select.query([metric])?;
    while let Some(row) = rows.next()? {
        if last.len() >= most {
            break;
        }
        last.entry(row.get(0)?).or_insert((row.get(1)?, row.get(2)?));
    }
    Ok(last)
}
