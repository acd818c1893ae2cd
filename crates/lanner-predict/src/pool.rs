use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lanner_space::{Architecture, SMALL_SPACE, Space};

use crate::encode::memo::FeatureMemo;

/// The architectures among which a predictor is fitted and asked: a whole space or the rows of a
/// table. Everything in this crate speaks of them by their number.
#[derive(Debug, Clone)]
pub struct Pool {
    pub space: Space,
    pub archs: Vec<Architecture>,
    pub(crate) rows: Arc<HashMap<Architecture, usize>>,
    pub(crate) memo: Option<FeatureMemo>,
}

impl Pool {
    /// These architectures; of equal ones [`Pool::row_of`] finds the first.
    pub fn new(space: Space, archs: Vec<Architecture>) -> Pool {
        let mut rows = HashMap::with_capacity(archs.len());
        for (i, arch) in archs.iter().enumerate() {
            rows.entry(arch.clone()).or_insert(i);
        }
        Pool { space, archs, rows: Arc::new(rows), memo: None }
    }

    /// The pool with features shared through `memo`, for a sequence of pools of one space that have many
    /// architectures in common.
    pub fn with_memo(self, memo: FeatureMemo) -> Pool {
        Pool { memo: Some(memo), ..self }
    }

    /// Every architecture of an enumerable space, in its official order.
    pub fn whole(space: Space) -> Pool {
        let archs = space.iter().collect();
        Pool::new(space, archs)
    }

    pub fn len(&self) -> usize {
        self.archs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.archs.is_empty()
    }

    /// The number of an architecture.
    pub fn row_of(&self, arch: &Architecture) -> Option<usize> {
        self.rows.get(arch).copied()
    }
}

/// Size of the random reference of a space that is not small.
const SAMPLE: usize = 2_000;

/// The architectures by which a predictor of a table measures what it sees: the whole space if it is
/// small, else the table's own and random ones, always the same.
pub fn reference(space: &Space, archs: &[Architecture]) -> Pool {
    let mut rng = lanner_nn::rng(0, "reference of a space");
    let all: Vec<Architecture> = match space.size() <= SMALL_SPACE {
        true => space.iter().collect(),
        false => space.shuffled(&mut rng).take(SAMPLE).collect(),
    };
    let mut seen: HashSet<Architecture> = all.iter().cloned().collect();
    let others = archs.iter().filter(|a| seen.insert((*a).clone()));
    let all = all.iter().chain(others).cloned().collect();
    Pool::new(space.clone(), all)
}

/// All architectures of a space of at most `whole`, or `count` distinct ones of a larger one at random.
pub fn all_or_some(
    space: &Space,
    whole: u128,
    count: usize,
    generator: &mut impl rand::Rng,
) -> Vec<Architecture> {
    match space.size() <= whole {
        true => space.iter().collect(),
        false => {
            let most = usize::try_from(space.size()).unwrap_or(usize::MAX);
            distinct(space, count.min(most), generator)
        }
    }
}

/// `count` distinct architectures at random; the space must have as many.
pub fn distinct(space: &Space, count: usize, generator: &mut impl rand::Rng) -> Vec<Architecture> {
    if space.parameters().is_some() {
        // Some are drawn too seldom to wait for them.
        return space.shuffled(generator).take(count).collect();
    }
    let mut seen = HashSet::new();
    let mut archs = Vec::new();
    while archs.len() < count {
        let arch = space.sample(generator);
        if seen.insert(arch.clone()) {
            archs.push(arch);
        }
    }
    archs
}
