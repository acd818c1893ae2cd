//! Chooses the architectures from which a strategy chooses.
//!
//! A space (or a list that the study was created with) of up to 20,000 architectures is used as a
//! whole, with one network for all that compute the same. From a larger one, 2,000 are drawn at
//! random (of a space where hardly any is within the limits on costs, as [`Exact::draw`] says), others
//! after every 1,000 trials, and each round adds mutations of the best and the latest trials, and of the
//! candidates that promise most by a model of several objectives. All of it follows from the seed and the
//! trials, so it is not stored.

use std::collections::HashSet;

use lanner_network::View;
use lanner_nn::{Rng, rng};
use lanner_predict::{FeatureMemo, Pool};
use lanner_space::{Architecture, Space};
use rand::RngExt;
use rayon::prelude::*;

use super::SearchError;
use super::within::{Exact, PATIENCE};
use crate::Job;
use crate::strategy::draw;

/// Largest size of spaces and lists that are used as a whole.
const WHOLE: usize = lanner_space::SMALL_SPACE as usize;
/// Number of candidates drawn from larger spaces, and number of trials after which others are drawn.
const SAMPLE: usize = 2000;
const RENEWED: usize = 1000;
/// Numbers of the best and of the latest trials that are mutated, and of mutations of each.
const PARENTS: usize = 20;
const CHILDREN: usize = 10;

/// The rules that decide the candidates.
pub(super) struct Candidates {
    space: Space,
    seed: u64,
    exact: Exact,
    list: Option<List>,
    base: Option<(usize, Vec<Architecture>)>,
    current: Option<Current>,
    memo: FeatureMemo,
}

struct List {
    archs: Vec<Architecture>,
    /// All architectures of a long list, to look mutations up.
    all: HashSet<Architecture>,
}

/// The candidates of one round.
pub(super) struct Current {
    pub pool: Pool,
    /// Each row as text.
    pub texts: Vec<String>,
    /// Whether each row may be asked for.
    pub may: Vec<bool>,
    /// Whether all architectures are candidates, so that none can be added.
    pub is_whole: bool,
    block: usize,
    added: Vec<Architecture>,
}

impl Candidates {
    pub fn new(
        job: &Job,
        space: &Space,
        list: Vec<Architecture>,
    ) -> Result<Candidates, SearchError> {
        let list = (!list.is_empty()).then(|| List {
            all: if list.len() > WHOLE { list.iter().cloned().collect() } else { HashSet::new() },
            archs: list,
        });
        Ok(Candidates {
            space: space.clone(),
            seed: job.seed,
            exact: Exact::of(job, space)?,
            list,
            base: None,
            current: None,
            memo: FeatureMemo::default(),
        })
    }

    /// Refuses trials to begin with that could not be asked for.
    pub fn check_first(&self, first: &[Architecture], budget: usize) -> Result<(), SearchError> {
        let wrong = |value: String, why: &str| {
            Err(SearchError::Setting { name: "first", value, why: why.into() })
        };
        if first.len() > budget {
            let why = "networks are more than --budget evaluations; raise it";
            return wrong(first.len().to_string(), why);
        }
        for arch in first {
            self.space.check(arch)?;
            if !self.is_listed(arch) {
                return wrong(
                    self.space.print(arch),
                    "the table that is searched has no value for it",
                );
            }
            if !self.exact.hold(arch) {
                let why = "it is over a limit of params, flops, macs or memory_bytes; leave it out";
                return wrong(self.space.print(arch), why);
            }
        }
        Ok(())
    }

    /// Tells whether all architectures are candidates at any time.
    fn is_whole(&self) -> bool {
        match &self.list {
            Some(list) => list.archs.len() <= WHOLE,
            None => self.space.size() <= WHOLE as u128,
        }
    }

    /// Returns the pool of the last call of [`Candidates::at`].
    pub fn pool(&self) -> Option<&Pool> {
        self.current.as_ref().map(|c| &c.pool)
    }

    /// Returns the candidates after `asked` trials, and whether they differ from the last time.
    /// `known` are architectures that must have a row; `parents` are mutated unless the space is
    /// used as a whole.
    pub fn at(
        &mut self,
        asked: usize,
        round: u32,
        known: &[Architecture],
        parents: &[Architecture],
    ) -> (&Current, bool) {
        let block = if self.is_whole() { 0 } else { asked / RENEWED };
        if self.base.as_ref().is_none_or(|b| b.0 != block) {
            self.base = Some((block, self.draw(block)));
        }
        let base = self.base.as_ref().map_or(&[][..], |b| &b.1);
        let mut seen: HashSet<&Architecture> = base.iter().collect();
        let mut added: Vec<Architecture> = Vec::new();
        added.extend(known.iter().filter(|a| seen.insert(a)).cloned());
        if !self.is_whole() {
            let mut rng = rng(self.seed, &format!("mutations {round}"));
            let children = self.mutations(parents, &mut rng);
            added.extend(children.iter().filter(|a| seen.insert(a)).cloned());
        }
        let same = |c: &Current| c.block == block && c.added == added;
        let changed = !self.current.as_ref().is_some_and(same);
        if changed {
            let may = base.iter().map(|_| true).chain(
                (added.par_iter().map(|a| self.is_listed(a) && self.exact.hold(a)))
                    .collect::<Vec<bool>>(),
            );
            let may = may.collect();
            let archs: Vec<Architecture> = base.iter().chain(&added).cloned().collect();
            let texts = archs.iter().map(|a| self.space.print(a)).collect();
            let pool = Pool::new(self.space.clone(), archs).with_memo(self.memo.clone());
            let is_whole = self.is_whole();
            self.current = Some(Current { pool, texts, may, is_whole, block, added });
        }
        (self.current.as_ref().expect("made above"), changed)
    }

    fn is_listed(&self, arch: &Architecture) -> bool {
        match &self.list {
            None => true,
            // A short list is in the base already, except for architectures over a limit.
            Some(list) if list.all.is_empty() => list.archs.contains(arch),
            Some(list) => list.all.contains(arch),
        }
    }

    fn draw(&self, block: usize) -> Vec<Architecture> {
        let mut rng = rng(self.seed, &format!("candidates {block}"));
        match &self.list {
            Some(list) if list.all.is_empty() => self.exact.filter(list.archs.clone()),
            Some(list) => {
                let mut all: Vec<usize> = (0..list.archs.len()).collect();
                let tries = if self.exact.limits.is_empty() { 1 } else { PATIENCE };
                let rows = draw(&mut all, SAMPLE * tries, &mut rng);
                let archs = rows.into_iter().map(|r| list.archs[r].clone()).collect();
                let mut within = self.exact.filter(archs);
                within.truncate(SAMPLE);
                within
            }
            None if self.is_whole() => self.exact.filter(representatives(&self.space)),
            None if self.space.parameters().is_some() => {
                // Among all points together, nearly all would have the longest repeats.
                let mut draws = lanner_nn::rng(self.seed, &format!("candidates {block}"));
                let random = std::iter::from_fn(|| Some(self.space.sample(&mut draws)));
                self.exact.draw(&self.space, random, SAMPLE, &mut rng)
            }
            None => {
                let random: Vec<_> =
                    self.space.shuffled(&mut rng).take(PATIENCE * SAMPLE).collect();
                let random = random.iter().map(|a| self.space.canonical(a));
                self.exact.draw(&self.space, random, SAMPLE, &mut rng)
            }
        }
    }

    /// Returns each parent with one or two choices changed, several times.
    fn mutations(&self, parents: &[Architecture], rng: &mut Rng) -> Vec<Architecture> {
        let mut children = Vec::new();
        for parent in parents {
            for _ in 0..CHILDREN {
                let mut child = self.space.mutate(parent, rng);
                if rng.random_bool(0.5) {
                    child = self.space.mutate(&child, rng);
                }
                let child = match self.list {
                    Some(_) => child,
                    None => self.space.canonical(&child),
                };
                children.push(child);
            }
        }
        children.retain(|c| self.is_listed(c));
        self.exact.filter(children)
    }
}

/// Chooses the trials to mutate; `trials` are in the order of asking, with values of which larger
/// is better.
pub(super) fn parents(trials: &[(Architecture, f64)]) -> Vec<Architecture> {
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_by(|&a, &b| trials[b].1.total_cmp(&trials[a].1).then(a.cmp(&b)));
    order.truncate(PARENTS);
    order.extend(trials.len().saturating_sub(PARENTS)..trials.len());
    let mut seen = HashSet::new();
    order.retain(|i| seen.insert(*i));
    order.into_iter().map(|i| trials[i].0.clone()).collect()
}

/// Returns one architecture for all whose pruned graphs are the same network, the first by index.
fn representatives(space: &Space) -> Vec<Architecture> {
    let archs: Vec<Architecture> = space.iter().collect();
    if space.parameters().is_some() {
        return archs;
    }
    let graphs: Vec<_> =
        archs.par_iter().map(|a| space.graph(a, View::Pruned).canonical()).collect();
    let mut seen = HashSet::new();
    let first: Vec<bool> = graphs.iter().map(|g| seen.insert(g)).collect();
    archs.into_iter().zip(first).filter(|x| x.1).map(|x| x.0).collect()
}
