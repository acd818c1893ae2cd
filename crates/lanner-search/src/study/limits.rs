//! Limits on metrics that are measured: what is likely to be within.

use std::collections::{BTreeMap, HashMap};

use lanner_predict::latency::LatencyFeatures;
use lanner_predict::{Pool, choose};
use lanner_space::{Architecture, Space};
use rusqlite::Connection;

use super::candidates::ANALYTIC;
use super::{SearchError, Study, read};
use crate::Limit;
use crate::constrained::{Belief, LatencyProcess};

/// [`Study::ask`] gives what is within all limits with at least this probability each: before a
/// network is measured, one that may as well be within as not is worth a look.
pub const PROBABLE: f64 = 0.5;
/// When nothing is so likely, what still may be within.
const POSSIBLE: f64 = 0.1;
/// A process is fitted to so many measurements at most, the latest.
const MOST: usize = 200;

/// The measured limits of a study.
pub(super) struct Limits {
    /// With their numbers among all limits.
    measured: Vec<(usize, Limit)>,
    process: Option<LatencyProcess>,
}

/// Architectures and their values.
pub(super) type Known = Vec<(Architecture, f64)>;
/// For a metric, beliefs by row.
pub(super) type Beliefs = Vec<(String, HashMap<usize, Belief>)>;

impl Limits {
    pub fn of(limits: &[Limit]) -> Limits {
        let all = limits.iter().cloned().enumerate();
        let measured = all.filter(|(_, l)| !ANALYTIC.contains(&l.metric.as_str())).collect();
        Limits { measured, process: None }
    }

    pub fn new_pool(&mut self) {
        self.process = None;
    }

    /// Closes what is not likely to be within all limits, and tells what is believed of the rest.
    pub fn allowed(&mut self, pool: &Pool, measured: &[Known], open: &mut [bool]) -> Beliefs {
        let mut beliefs = Beliefs::new();
        // The least probability of all limits.
        let mut within = vec![1.0f64; pool.len()];
        for (number, limit) in &self.measured.clone() {
            let known: Vec<(usize, f64)> = (measured[*number].iter())
                .filter_map(|(arch, value)| Some((pool.row_of(arch)?, *value)))
                .collect();
            let rows: Vec<usize> = (0..pool.len()).filter(|&r| open[r]).collect();
            let process = self.process.get_or_insert_with(|| LatencyProcess::new(pool));
            // Too few measurements to know anything: all is worth a look.
            if let Ok(believed) = process.beliefs(&known, limit.at_most, &rows) {
                rows.iter().zip(&believed).for_each(|(&r, b)| within[r] = within[r].min(b.within));
                let of_rows = rows.into_iter().zip(believed).collect();
                beliefs.push((limit.metric.clone(), of_rows));
            }
            for (row, value) in known {
                within[row] = if value > limit.at_most { 0.0 } else { within[row].max(PROBABLE) };
            }
        }
        let any = |least: f64| open.iter().zip(&within).any(|(o, p)| *o && *p >= least);
        let least = if any(PROBABLE) { PROBABLE } else { POSSIBLE };
        open.iter_mut().zip(&within).for_each(|(o, p)| *o &= *p >= least);
        beliefs
    }
}

/// The latest value of a metric for each architecture, of the latest of them, measured apart or with
/// a trial.
pub(super) fn measured(c: &Connection, space: &Space, metric: &str) -> rusqlite::Result<Known> {
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    for sql in [
        "SELECT arch, value FROM measurement WHERE metric = ? ORDER BY id DESC LIMIT ?",
        "SELECT trial.arch, metric.value FROM metric JOIN trial ON trial.id = metric.trial
         WHERE metric.name = ? ORDER BY metric.trial DESC LIMIT ?",
    ] {
        // To look for what no trial has would be to look through all of them.
        if values.len() >= MOST {
            break;
        }
        let mut select = c.prepare_cached(sql)?;
        let mut rows = select.query((metric, MOST as i64))?;
        while let Some(row) = rows.next()? {
            if values.len() >= MOST {
                break;
            }
            values.entry(row.get(0)?).or_insert(row.get(1)?);
        }
    }
    (values.into_iter())
        .map(|(text, v)| {
            let arch = space.parse(&text).map_err(|e| read::unreadable(0, e.to_string()))?;
            Ok((arch, v))
        })
        .collect()
}

impl Study {
    /// What the measurements so far say of a metric of any architectures: median, standard deviation
    /// of a new measurement, and how probable one within the study's limit is (1 without a limit).
    ///
    /// # Errors
    /// There are fewer than two measurements.
    pub fn forecast(
        &self,
        metric: &str,
        archs: &[Architecture],
    ) -> Result<Vec<Belief>, SearchError> {
        let known = self.database.read(|c| measured(c, &self.space, metric))?;
        let at_most = self.job.limit_of(metric).unwrap_or(f64::INFINITY);
        let mut all = archs.to_vec();
        let mut rows = Vec::new();
        for (arch, value) in known {
            rows.push((all.len(), value));
            all.push(arch);
        }
        let pool = Pool::new(self.space.clone(), all);
        let asked: Vec<usize> = (0..archs.len()).collect();
        Ok(LatencyProcess::new(&pool).beliefs(&rows, at_most, &asked)?)
    }

    /// The `n` networks whose measurements say most of the others', the most informative first: to
    /// measure before the first [`Study::ask`] of a study with measured limits.
    pub fn first_measurements(&mut self, n: usize) -> Result<Vec<Architecture>, SearchError> {
        let (current, changed) = self.candidates.at(0, 0, &[], &[]);
        if changed {
            self.limits.new_pool();
            self.strategy = None;
        }
        let rows: Vec<usize> = (0..current.pool.len()).filter(|&r| current.may[r]).collect();
        let views = LatencyFeatures::new(&current.pool);
        let chosen = choose(&views, &rows, n, self.job.seed);
        Ok(chosen.into_iter().map(|r| current.pool.archs[r].clone()).collect())
    }
}
