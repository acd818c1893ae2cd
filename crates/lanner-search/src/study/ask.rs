//! Letting the strategy choose.

use lanner_predict::Pool;
use lanner_space::Architecture;
use rusqlite::{Connection, OptionalExtension};

use super::read;
use super::types::Trial;
use super::{Study, StudyError, now};
use crate::History;

/// Empty rounds that a strategy may have in sequence (brp-nas of a tiny budget).
const EMPTY_ROUNDS: usize = 8;

impl Study {
    /// Up to `n` new trials, as the budget allows, in a batch of the strategy's choice: fewer than
    /// `n` is its wish to see results first. Empty when the budget is spent or nothing is left.
    ///
    /// The trials and what the strategy remembers are on disk when this returns.
    pub fn ask(&mut self, n: usize) -> Result<Vec<Trial>, StudyError> {
        loop {
            let counts = self.counts()?;
            let n = n.min(self.settings.budget.saturating_sub(counts.spent()));
            if n == 0 {
                return Ok(Vec::new());
            }
            let round = self.database.read(round)?;
            let (archs, state) = self.propose(round, n)?;
            if archs.is_empty() {
                return Ok(Vec::new());
            }
            let (seed, time) = (self.settings.seed, now());
            let trials = self.database.write(|c| {
                if self::round(c)? != round {
                    return Ok(None);
                }
                c.execute(
                    "INSERT INTO strategy VALUES (1, ?1, ?2)
                     ON CONFLICT (id) DO UPDATE SET round = ?1, state = ?2",
                    (round + 1, &state),
                )?;
                let mut insert = c.prepare_cached(
                    "INSERT INTO trial (round, arch, state, seed, asked_at)
                     VALUES (?, ?, 'asked', ?, ?)",
                )?;
                let mut trials = Vec::new();
                for arch in &archs {
                    let seed = lanner_nn::subseed(seed, &format!("trial {arch}")) >> 32;
                    insert.execute((round + 1, arch, seed as i64, time))?;
                    trials.extend(read::trial(c, c.last_insert_rowid())?);
                }
                Ok(Some(trials))
            })?;
            match trials {
                Some(trials) => {
                    if let Some((at, _)) = &mut self.strategy {
                        *at = round + 1;
                    }
                    return Ok(trials);
                }
                // Another process asked in between: choose again in sight of its trials.
                None => self.strategy = None,
            }
        }
    }

    /// What the strategy asks for after `round`, and what it remembers then.
    fn propose(&mut self, round: u32, n: usize) -> Result<(Vec<String>, Vec<u8>), StudyError> {
        if self.pool.is_none() {
            self.pool = Some(self.make_pool()?);
        }
        let pool = self.pool.as_ref().expect("made above");
        if self.strategy.as_ref().is_none_or(|s| s.0 != round) {
            let mut strategy =
                crate::by_name(&self.settings.strategy, self.settings.budget, self.settings.seed)
                    .map_err(|why| StudyError::Settings { why })?;
            let state: Option<Vec<u8>> = self
                .database
                .read(|c| c.query_row("SELECT state FROM strategy", [], |r| r.get(0)).optional())?;
            if let Some(state) = state {
                strategy.restore(pool, &state)?;
            }
            self.strategy = Some((round, strategy));
        }
        let mut history = History::default();
        let trials = self.database.read(|c| {
            c.prepare_cached("SELECT arch, value, state FROM trial ORDER BY id")?
                .query_map([], |r| {
                    Ok((
                        r.get::<_, String>(0)?,
                        r.get::<_, Option<f64>>(1)?,
                        r.get::<_, String>(2)?,
                    ))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for (arch, value, _) in trials {
            if let Some(row) = pool.row_of(&self.space.parse(&arch)?) {
                history.tell(row, value);
            }
        }
        let (_, strategy) = self.strategy.as_mut().expect("made above");
        let mut rows = Vec::new();
        for _ in 0..EMPTY_ROUNDS {
            rows = strategy.ask(pool, &history, None, n);
            if !rows.is_empty() {
                break;
            }
        }
        let state = strategy.save(pool);
        if rows.is_empty() {
            self.strategy = None;
        }
        Ok((rows.iter().map(|&r| self.space.print(&pool.archs[r])).collect(), state))
    }

    fn make_pool(&self) -> Result<Pool, StudyError> {
        let packed: Option<Vec<u8>> = self.database.read(|c| {
            c.query_row("SELECT value FROM study WHERE key = 'architectures'", [], |r| r.get(0))
                .optional()
        })?;
        let archs = match packed {
            Some(packed) => unpack(&packed),
            None if self.space.size() <= 20_000 => self.space.list()?,
            None => {
                let mut rng = lanner_nn::rng(self.settings.seed, "candidates");
                self.space.shuffled(&mut rng).take(4000).collect()
            }
        };
        Ok(Pool::new(self.space.clone(), archs))
    }
}

/// The last round that was asked for.
fn round(connection: &Connection) -> rusqlite::Result<u32> {
    connection
        .query_row("SELECT round FROM strategy", [], |r| r.get(0))
        .optional()
        .map(|round| round.unwrap_or(0))
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
fn unpack(mut bytes: &[u8]) -> Vec<Architecture> {
    let mut archs = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (codes, rest) = rest.split_at(usize::from(length).min(rest.len()));
        archs.push(Architecture::new(codes));
        bytes = rest;
    }
    archs
}
