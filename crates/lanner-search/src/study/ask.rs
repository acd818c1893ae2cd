//! Asks the strategy for trials.

use std::collections::BTreeMap;

use lanner_predict::Pool;
use lanner_space::Architecture;

use super::candidates::parents;
use super::limits::Known;
use super::predictors::Predictors;
use super::snapshot::{Snapshot, history, last_round};
use super::types::Trial;
use super::warm_start::Origin;
use super::{PROBABLE, SearchError, Study, checksum, costs, now, read};
use crate::Job;
use crate::strategy::{Strategy, scalarised};

/// Number of evaluated trials from which on networks are measured that are probably over a limit:
/// before, no strategy knows which are worth it.
const LEARNING: usize = 10;
/// Largest number of times in a round that the most promising candidates are mutated to have better ones.
const GENERATIONS: usize = 5;
/// Largest number of empty rounds in sequence that a strategy may have (brp-nas with a tiny budget).
const EMPTY_ROUNDS: usize = 8;

/// A strategy's choice, and its state after it.
struct Proposal {
    /// Architectures as text.
    archs: Vec<String>,
    predicted: Vec<BTreeMap<String, (f64, f64)>>,
    state: Vec<u8>,
}

impl Study {
    /// Asks the strategy for up to `n` new trials, as the budget allows. A strategy may return
    /// fewer to see results first. Empty when the budget is spent, or no network is left that may
    /// be within the limits.
    ///
    /// The trials and the strategy's state are on disk when this returns. All of them keep the
    /// limits on [`ANALYTIC`](super::ANALYTIC) metrics. For limits on other metrics, a process is
    /// fitted to the study's measurements, and each trial was measured to be within the limit, or
    /// is within it with a probability of at least [`PROBABLE`].
    pub fn ask(&mut self, n: usize) -> Result<Vec<Trial>, SearchError> {
        self.ask_measuring(n, 0, &[], |_, _| Ok(()))
    }

    /// [`Study::ask`] where measurements cost much less than trials: up to `each` of them for each
    /// trial that was evaluated. A network that is promising and may be within the limits, though it
    /// probably is not, is given to `measure`, which stores its measurements of `metrics`
    /// ([`Study::measured`]) or leaves it out; the strategy then chooses again, in sight of them.
    pub fn ask_measuring(
        &mut self,
        n: usize,
        each: usize,
        metrics: &[String],
        mut measure: impl FnMut(&mut Study, &[Architecture]) -> Result<(), SearchError>,
    ) -> Result<Vec<Trial>, SearchError> {
        loop {
            let (job, space) = (&self.job, &self.space);
            let snapshot = self.database.read(|c| Snapshot::read(c, job, space))?;
            let n = n.min(job.budget.saturating_sub(snapshot.counts.spent()));
            if n == 0 {
                return Ok(Vec::new());
            }
            let round = snapshot.round;
            let ended = snapshot.counts.done + snapshot.counts.failed;
            let spare = match ended >= LEARNING && !metrics.is_empty() {
                true => (each * (ended + 1)).saturating_sub(self.count_measurements()?),
                false => 0,
            };
            // One is within the limit among as many networks as may be measured for one trial.
            let least = (1.0 / (each + 1) as f64).min(PROBABLE);
            let state = snapshot.state.clone();
            let proposal = self.propose(snapshot, n, (spare > 0).then_some((least, metrics)))?;
            if spare > 0 {
                let mut unknown = self.unmeasured(&proposal.archs, metrics)?;
                unknown.truncate(spare);
                let before = self.count_measurements()?;
                if !unknown.is_empty() {
                    measure(self, &unknown)?;
                }
                // A network that cannot be measured is tried as a trial.
                if self.count_measurements()? > before {
                    self.rewind(state.as_deref())?;
                    continue;
                }
            }
            if proposal.archs.is_empty() {
                self.strategy = None;
                return Ok(Vec::new());
            }
            match self.commit(round, &proposal)? {
                Some(trials) => {
                    self.strategy = self.strategy.take().map(|(_, s)| (round + 1, s));
                    return Ok(trials);
                }
                // Another process asked meanwhile: choose again, knowing its trials.
                None => self.strategy = None,
            }
        }
    }

    /// Makes the strategy forget that it was asked since the last round, whose state this is.
    fn rewind(&mut self, state: Option<&[u8]>) -> Result<(), SearchError> {
        match (state, &mut self.strategy, self.candidates.pool()) {
            (Some(state), Some((_, strategy)), Some(pool)) => strategy.restore(pool, state)?,
            _ => self.strategy = None,
        }
        Ok(())
    }

    fn count_measurements(&self) -> Result<usize, SearchError> {
        self.database
            .read(|c| {
                c.prepare_cached("SELECT count(*) FROM measurement")?
                    .query_row([], |r| r.get::<_, i64>(0))
            })
            .map(|n| n as usize)
    }

    /// Returns the architectures for which a limited metric can be measured and was not.
    fn unmeasured(
        &self,
        archs: &[String],
        metrics: &[String],
    ) -> Result<Vec<Architecture>, SearchError> {
        let mut unknown = Vec::new();
        for text in archs {
            let arch = self.space.parse(text)?;
            let known = self.measurements_of(&arch)?;
            let is_new = |m: &&String| !known.iter().any(|k| k.metric == **m);
            if metrics.iter().filter(is_new).any(|m| self.limits.may_measure(m, &arch)) {
                unknown.push(arch);
            }
        }
        Ok(unknown)
    }

    /// Writes a round, if none was written since `round`.
    fn commit(
        &mut self,
        round: u32,
        proposal: &Proposal,
    ) -> Result<Option<Vec<Trial>>, SearchError> {
        let (space, seed, time) = (&self.space, self.job.seed, now());
        self.database.write(|c| {
            if last_round(c)? != round {
                return Ok(None);
            }
            c.execute(
                "INSERT INTO strategy (id, round, state) VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET round = ?1, state = ?2",
                (round + 1, &proposal.state),
            )?;
            checksum::add_to_strategy(c)?;
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
                checksum::add_to_trial(c, id)?;
                trials.extend(read::trial(c, space, id)?);
            }
            Ok(Some(trials))
        })
    }

    fn propose(
        &mut self,
        snapshot: Snapshot,
        n: usize,
        cheap: Option<(f64, &[String])>,
    ) -> Result<Proposal, SearchError> {
        if self.warm_start.is_none() {
            self.warm_start = Some(self.read_warm_start()?);
        }
        self.load_predictors()?;
        let Snapshot { round, counts, state, done, pending, measured, costs } = snapshot;
        let known: Vec<Architecture> = (done.iter().map(|d| &d.0))
            .chain(&pending)
            .chain(measured.iter().flat_map(|m| &m.latest).map(|m| &m.0))
            .chain(costs.iter().flatten().map(|c| &c.0))
            .chain(self.warm_start.iter().flatten().flat_map(|origin| origin.best()))
            .cloned()
            .collect();
        // A random search does not ask for mutations of good networks.
        let mut parents = match self.job.strategy.learns() {
            true => parents(&self.weighted(&done, round)),
            false => Vec::new(),
        };
        let mut generation = 0;
        let (current, strategy, rows, limits) = loop {
            let (current, changed) = self.candidates.at(counts.all(), round, &known, &parents);
            let pool = &current.pool;
            if changed {
                self.limits.new_pool();
                self.strategy = None;
            }
            let costs = costs::of_pool(pool, &costs);
            if !costs.is_empty() {
                // Every network that is built teaches the costs of all others.
                self.limits.new_pool();
                self.strategy = None;
            }
            let predictors = self.predictors.get_or_insert_default();
            if self.strategy.as_ref().is_none_or(|s| s.0 != round) {
                let origins = self.warm_start.get_or_insert_default();
                let mut strategy = begun(&self.job, pool, origins, predictors, &costs);
                if let Some(state) = &state {
                    strategy.restore(pool, state)?;
                }
                self.strategy = Some((round, strategy));
            }
            let mut history =
                self.database.read(|c| history(c, current, &counts, &done, &pending))?;
            history.round = round;
            let mut open = current.may.clone();
            open.iter_mut().enumerate().for_each(|(r, o)| *o &= !history.is_taken(r));
            let predictor = predictors.latency.as_mut();
            let limits =
                self.limits.allowed(current, &measured, &costs, predictor, cheap, &mut open);
            let Some((_, strategy)) = &mut self.strategy else { unreachable!("made above") };
            if generation < GENERATIONS && !current.is_whole {
                let promising = strategy.parents(pool, &history, Some(&open));
                let before = parents.len();
                for row in promising {
                    if !parents.contains(&pool.archs[row]) {
                        parents.push(pool.archs[row].clone());
                    }
                }
                if parents.len() > before {
                    generation += 1;
                    continue;
                }
            }
            let mut rows = Vec::new();
            for _ in 0..EMPTY_ROUNDS {
                if !rows.is_empty() || !open.contains(&true) {
                    break;
                }
                rows = strategy.ask(pool, &history, Some(&open), n);
            }
            break (current, strategy, rows, limits);
        };
        let beliefs = strategy.beliefs();
        let predicted = rows.iter().enumerate().map(|(i, &row)| {
            let objective = match &self.job.objectives[..] {
                // A strategy sees several objectives as one number.
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
            state: strategy.save(&current.pool),
            archs: rows.iter().map(|&r| current.texts[r].clone()).collect(),
        })
    }
}

/// Makes the strategy for a pool, which knows what was known before the study.
fn begun(
    job: &Job,
    pool: &Pool,
    origins: &mut [Origin],
    predictors: &mut Predictors,
    costs: &[Vec<f64>],
) -> Box<dyn Strategy + Send> {
    let trained = origins.iter_mut().filter(|o| !o.untrained);
    let mut values: Vec<Vec<f64>> = trained.map(|o| o.of(pool)).collect();
    let prior = origins.iter_mut().find(|o| o.untrained).map(|o| o.of(pool));
    let priors = predictors.accuracies.iter_mut();
    values.extend(priors.map(|prior| prior.accuracies(&pool.archs)));
    let mut strategy = job.strategy.make(&job.signs(), job.budget, job.seed);
    strategy.warm_start(pool, &values);
    if let Some(prior) = prior {
        strategy.prior(pool, &prior);
    }
    strategy.costs(costs);
    strategy
}

impl Study {
    /// Returns one value for each trial, to choose the parents of mutations by.
    fn weighted(&self, done: &[(Architecture, Vec<f64>)], round: u32) -> Known {
        let values = match self.job.objectives.len() {
            1 => done.iter().map(|d| d.1[0]).collect(),
            _ => scalarised(done, self.job.seed, round),
        };
        done.iter().map(|d| d.0.clone()).zip(values).collect()
    }
}

impl Study {
    /// Returns the seed for an architecture's evaluation, the same whoever asks for it.
    pub fn seed_of(&self, arch: &Architecture) -> u64 {
        seed_of(self.job.seed, &self.space.print(arch)) as u64
    }
}

/// Returns the seed for an architecture's evaluation, below 2³².
pub(super) fn seed_of(study: u64, arch: &str) -> i64 {
    (lanner_nn::subseed(study, &format!("trial {arch}")) >> 32) as i64
}

/// Encodes the codes of architectures one after the other, each preceded by its length: a byte, or
/// [`LONG`] and four bytes.
pub(super) fn pack(archs: &[Architecture]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for arch in archs {
        match u8::try_from(arch.codes().len()) {
            Ok(length) if length < LONG => bytes.push(length),
            _ => {
                bytes.push(LONG);
                bytes.extend((arch.codes().len() as u32).to_le_bytes());
            }
        }
        bytes.extend(arch.codes());
    }
    bytes
}

/// Stands before a length of four bytes.
const LONG: u8 = 255;

/// Decodes the bytes of [`pack`].
pub(super) fn unpack(mut bytes: &[u8]) -> Vec<Architecture> {
    let mut archs = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (length, rest) = match (length, rest.split_first_chunk()) {
            (LONG, Some((length, rest))) => (u32::from_le_bytes(*length) as usize, rest),
            _ => (usize::from(length), rest),
        };
        let (codes, rest) = rest.split_at(length.min(rest.len()));
        archs.push(Architecture::new(codes));
        bytes = rest;
    }
    archs
}
