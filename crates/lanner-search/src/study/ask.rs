//! Letting the strategy choose.

use std::collections::{BTreeMap, HashMap};

use lanner_predict::PredictError;
use lanner_space::Architecture;
use rusqlite::{Connection, OptionalExtension};

use super::candidates::{Current, parents};
use super::types::{Counts, Objective, Settings, Trial};
use super::{Study, StudyError, now, read};
use crate::History;
use crate::constrained::LatencyProcess;
use crate::front::{promising, scalarised};

/// Of more trials than the two together, strategies see so many of the best and of the latest: a
/// Gaussian process of all would take hours.
const BEST: usize = 150;
const LATEST: usize = 150;
/// With two objectives, trials asked for by one weighting of them.
const WEIGHTING: usize = 2;
/// Trials before the first processes of two objectives, trials of a round then, and the mean of the
/// standard deviations by which hope goes beyond belief: those of [`crate::DefaultSearch`].
const START: usize = 10;
const BATCH: usize = 4;
const EXPLORATION: f64 = 0.6;
/// Empty rounds that a strategy may have in sequence (brp-nas of a tiny budget).
const EMPTY_ROUNDS: usize = 8;

/// What the file says when a round is chosen.
pub(super) struct Snapshot {
    round: u32,
    counts: Counts,
    state: Option<Vec<u8>>,
    /// Trials with values, in the order of asking.
    pub done: Vec<(String, [f64; 2])>,
    pending: Vec<String>,
    /// By the number of the limit: measured architectures.
    measured: Vec<Vec<(String, f64)>>,
}

/// What the strategy wants.
struct Proposal {
    archs: Vec<String>,
    predicted: Vec<BTreeMap<String, (f64, f64)>>,
    state: Vec<u8>,
}

impl Study {
    /// Up to `n` new trials, as the budget allows, in a batch of the strategy's choice: fewer than
    /// `n` is its wish to see results first. Empty when the budget is spent or nothing is left that
    /// may be within the limits.
    ///
    /// The trials and what the strategy remembers are on disk when this returns. Limits on
    /// [`ANALYTIC`](super::ANALYTIC) metrics hold for all of them. For limits on others, a process is
    /// fitted to all measurements of the study, and what is asked for has been measured to be within,
    /// or is so with a probability of at least [`PROBABLE`](super::PROBABLE).
    pub fn ask(&mut self, n: usize) -> Result<Vec<Trial>, StudyError> {
        loop {
            let settings = &self.settings;
            let snapshot = self.database.read(|c| Snapshot::read(c, settings))?;
            let n = n.min(settings.budget.saturating_sub(snapshot.counts.spent()));
            if n == 0 {
                return Ok(Vec::new());
            }
            let round = snapshot.round;
            let proposal = self.propose(snapshot, n)?;
            if proposal.archs.is_empty() {
                self.strategy = None;
                return Ok(Vec::new());
            }
            match self.commit(round, &proposal)? {
                Some(trials) => {
                    self.strategy = self.strategy.take().map(|(_, s)| (round + 1, s));
                    return Ok(trials);
                }
                // Another process asked in between: choose again in sight of its trials.
                None => self.strategy = None,
            }
        }
    }

    /// Writes a round, if none was written since `round`.
    fn commit(
        &mut self,
        round: u32,
        proposal: &Proposal,
    ) -> Result<Option<Vec<Trial>>, StudyError> {
        let (seed, time) = (self.settings.seed, now());
        self.database.write(|c| {
            if last_round(c)? != round {
                return Ok(None);
            }
            c.execute(
                "INSERT INTO strategy VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET round = ?1, state = ?2",
                (round + 1, &proposal.state),
            )?;
            let mut insert = c.prepare_cached(
                "INSERT INTO trial (round, arch, state, seed, asked_at)
                 VALUES (?, ?, 'asked', ?, ?)",
            )?;
            let mut predict = c.prepare_cached("INSERT INTO prediction VALUES (?, ?, ?, ?)")?;
            let mut trials = Vec::new();
            for (arch, predicted) in proposal.archs.iter().zip(&proposal.predicted) {
                insert.execute((round + 1, arch, seed_of(seed, arch), time))?;
                let id = c.last_insert_rowid();
                for (metric, (median, sd)) in predicted {
                    if median.is_finite() && sd.is_finite() {
                        predict.execute((id, metric, median, sd))?;
                    }
                }
                trials.extend(read::trial(c, id)?);
            }
            Ok(Some(trials))
        })
    }

    fn propose(&mut self, snapshot: Snapshot, n: usize) -> Result<Proposal, StudyError> {
        if self.earlier.is_none() {
            self.earlier = Some(self.read_earlier()?);
        }
        let Snapshot { round, counts, state, done, pending, measured } = snapshot;
        let parse = |text: &String| self.space.parse(text);
        let both: Vec<[f64; 2]> = done.iter().map(|d| d.1).collect();
        let values = match self.settings.objectives.len() {
            1 => done.iter().map(|d| d.1[0]).collect(),
            _ => scalarised(&done, self.settings.seed, round),
        };
        let done: Vec<(Architecture, f64)> = (done.iter().zip(values))
            .map(|(d, value)| Ok((parse(&d.0)?, value)))
            .collect::<Result<_, StudyError>>()?;
        let pending = pending.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let measured = (measured.iter())
            .map(|all| all.iter().map(|(text, v)| Ok((parse(text)?, *v))).collect())
            .collect::<Result<Vec<Vec<(Architecture, f64)>>, StudyError>>()?;
        let known: Vec<Architecture> = (done.iter().map(|d| &d.0))
            .chain(&pending)
            .chain(measured.iter().flatten().map(|m| &m.0))
            .cloned()
            .collect();
        // Mutations of good ones are not what a random search asks for.
        let parents = match self.settings.strategy.as_str() {
            "random" => Vec::new(),
            _ => parents(&done),
        };
        let (current, changed) = self.candidates.at(counts.all(), round, &known, &parents);
        let pool = &current.pool;
        if changed {
            self.limits.new_pool();
            self.strategy = None;
        }
        if self.strategy.as_ref().is_none_or(|s| s.0 != round) {
            let earlier = self.earlier.get_or_insert_default();
            let earlier: Vec<Vec<f64>> = earlier.iter_mut().map(|e| e.of(pool)).collect();
            let Settings { strategy, budget, seed, .. } = &self.settings;
            let mut strategy = crate::by_name(strategy, *budget, *seed)
                .map_err(|why| StudyError::Settings { why })?;
            strategy.warm_start(pool, &earlier);
            if let Some(state) = state {
                strategy.restore(pool, &state)?;
            }
            self.strategy = Some((round, strategy));
        }
        let history = self.database.read(|c| history(c, current, &counts, &done, &pending))?;
        let mut open = current.may.clone();
        open.iter_mut().enumerate().for_each(|(r, o)| *o &= !history.is_taken(r));
        let limits = self.limits.allowed(pool, &measured, &mut open);
        let Some((_, strategy)) = &mut self.strategy else { unreachable!("made above") };
        let mut rows = Vec::new();
        if let [first, second] = &self.settings.objectives[..]
            && self.settings.strategy == "default"
            && done.len() >= START
        {
            let known = (done.iter().zip(&both))
                .filter_map(|(d, v)| Some((pool.row_of(&d.0)?, *v)))
                .collect::<Vec<_>>();
            let process = self.limits.process(pool);
            rows = for_both(process, [first, second], &known, &history, &open, n);
        }
        let n = if self.settings.objectives.len() > 1 { n.min(WEIGHTING) } else { n };
        for _ in 0..EMPTY_ROUNDS {
            if !rows.is_empty() || !open.contains(&true) {
                break;
            }
            rows = strategy.ask(pool, &history, Some(&open), n);
        }
        let beliefs = strategy.beliefs();
        let predicted = rows.iter().enumerate().map(|(i, &row)| {
            let objective = match &self.settings.objectives[..] {
                // Two are known to the strategy as one number.
                [one] if beliefs.len() == rows.len() => {
                    Some((one.metric.clone(), (one.signed(beliefs[i].0), beliefs[i].1)))
                }
                _ => None,
            };
            let of_limits = limits.iter().filter_map(|(metric, beliefs)| {
                let b = beliefs.get(&row)?;
                Some((metric.clone(), (b.median, b.sd)))
            });
            objective.into_iter().chain(of_limits).collect()
        });
        Ok(Proposal {
            predicted: predicted.collect(),
            state: strategy.save(pool),
            archs: rows.iter().map(|&r| current.texts[r].clone()).collect(),
        })
    }
}

/// What the default strategy asks for with two objectives: a process for each, and what promises most
/// to widen the front. Nothing if there are too few trials or nothing promises anything.
fn for_both(
    process: &LatencyProcess,
    objectives: [&Objective; 2],
    known: &[(usize, [f64; 2])],
    history: &History,
    open: &[bool],
    n: usize,
) -> Vec<usize> {
    let rows: Vec<usize> = (0..open.len()).filter(|&r| open[r]).collect();
    let asked = [&rows[..], &history.pending].concat();
    let believed = [0, 1].map(|j| {
        // In the metric's own sign, by which latencies are positive and so seen as logarithms.
        let sign = objectives[j].signed(1.0);
        let values: Vec<(usize, f64)> = known.iter().map(|(r, v)| (*r, sign * v[j])).collect();
        let beliefs = process.beliefs(&values, f64::INFINITY, &asked)?;
        Ok::<_, PredictError>(beliefs.iter().map(|b| (sign * b.median, b.sd)).collect::<Vec<_>>())
    });
    let [Ok(first), Ok(second)] = believed else { return Vec::new() };
    let beliefs: Vec<[(f64, f64); 2]> =
        first.into_iter().zip(second).map(|(a, b)| [a, b]).collect();
    let (of_rows, of_pending) = beliefs.split_at(rows.len());
    let mut points: Vec<[f64; 2]> = known.iter().map(|k| k.1).collect();
    points.extend(of_pending.iter().map(|b| b.map(|b| b.0)));
    promising(&rows, of_rows, &points, EXPLORATION, n.min(BATCH))
}

impl Study {
    /// The seed that the evaluation of an architecture has in this study, whoever asks for it.
    pub fn seed_of(&self, arch: &str) -> u64 {
        seed_of(self.settings.seed, arch) as u64
    }
}

/// For the evaluation of an architecture: below 2³².
pub(super) fn seed_of(study: u64, arch: &str) -> i64 {
    (lanner_nn::subseed(study, &format!("trial {arch}")) >> 32) as i64
}

impl Snapshot {
    pub fn read(c: &Connection, settings: &Settings) -> rusqlite::Result<Snapshot> {
        let latest = "SELECT id FROM (SELECT id FROM trial WHERE value IS NOT NULL
                      ORDER BY id DESC LIMIT ?)";
        let best = |column: &str| {
            format!(
                "SELECT id FROM (SELECT id FROM trial WHERE {column} IS NOT NULL
                 ORDER BY {column} DESC, id LIMIT ?)"
            )
        };
        let mut sources = vec![latest.to_string(), best("value")];
        if settings.objectives.len() > 1 {
            sources.push(best("value2"));
        }
        let sql = format!(
            "SELECT arch, value, value2 FROM trial WHERE id IN ({}) ORDER BY id",
            sources.join(" UNION ")
        );
        let limits: Vec<i64> = [LATEST as i64, BEST as i64, BEST as i64][..sources.len()].to_vec();
        let done = c
            .prepare_cached(&sql)?
            .query_map(rusqlite::params_from_iter(limits), |r| {
                let second: Option<f64> = r.get(2)?;
                Ok((r.get(0)?, [r.get(1)?, second.unwrap_or(0.0)]))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let pending = c
            .prepare_cached(
                "SELECT arch FROM trial WHERE state IN ('asked', 'running') ORDER BY id",
            )?
            .query_map([], |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let measured = (settings.limits.iter())
            .map(|l| super::limits::measured(c, &l.metric))
            .collect::<rusqlite::Result<_>>()?;
        let state = c.query_row("SELECT state FROM strategy", [], |r| r.get(0)).optional()?;
        Ok(Snapshot {
            round: last_round(c)?,
            counts: read::counts(c)?,
            state,
            done,
            pending,
            measured,
        })
    }
}

/// The last round that was asked for.
fn last_round(connection: &Connection) -> rusqlite::Result<u32> {
    let round = connection.query_row("SELECT round FROM strategy", [], |r| r.get(0)).optional()?;
    Ok(round.unwrap_or(0))
}

/// What the strategy is told.
fn history(
    c: &Connection,
    current: &Current,
    counts: &Counts,
    done: &[(Architecture, f64)],
    pending: &[Architecture],
) -> rusqlite::Result<History> {
    let mut history = History::default();
    for (arch, value) in done {
        if let Some(row) = current.pool.row_of(arch) {
            history.tell(row, Some(*value));
        }
    }
    pending.iter().filter_map(|a| current.pool.row_of(a)).for_each(|row| history.wait_for(row));
    if counts.all() < current.texts.len() {
        let rows: HashMap<&str, usize> =
            current.texts.iter().enumerate().map(|(row, text)| (text.as_str(), row)).collect();
        let mut select = c.prepare_cached("SELECT arch FROM trial")?;
        let mut trials = select.query([])?;
        while let Some(trial) = trials.next()? {
            if let Some(&row) = rows.get(trial.get_ref(0)?.as_str()?) {
                history.tell(row, None);
            }
        }
    } else {
        let mut select = c.prepare_cached("SELECT 1 FROM trial WHERE arch = ?")?;
        for (row, text) in current.texts.iter().enumerate() {
            if select.exists([text])? {
                history.tell(row, None);
            }
        }
    }
    history.elsewhere = counts.all().saturating_sub(history.asked());
    Ok(history)
}

/// Codes one after the other, each with its length before it.
pub(super) fn pack(archs: &[Architecture]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for arch in archs {
        bytes.push(arch.codes().len() as u8);
        bytes.extend(arch.codes());
    }
    bytes
}

/// The inverse of [`pack`].
pub(super) fn unpack(mut bytes: &[u8]) -> Vec<Architecture> {
    let mut archs = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (codes, rest) = rest.split_at(usize::from(length).min(rest.len()));
        archs.push(Architecture::new(codes));
        bytes = rest;
    }
    archs
}
