use std::fmt;
use std::str::FromStr;

use lanner_predict::accuracy::relation;
use lanner_predict::select::iterative::Selection;
use serde::{Deserialize, Serialize};

use super::several_objectives::SeveralObjectives;
use super::{BrpNas, DefaultSearch, Evolution, RandomSearch, Ranker, Strategy, WeakPredictors};

/// Names of the strategies that can search a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StrategyName {
    Default,
    BrpNas,
    WeakPredictors,
    RegularizedEvolution,
    Random,
}

impl StrategyName {
    pub const ALL: [StrategyName; 5] = [
        StrategyName::Default,
        StrategyName::BrpNas,
        StrategyName::WeakPredictors,
        StrategyName::RegularizedEvolution,
        StrategyName::Random,
    ];

    /// Returns the name that the command line uses.
    pub fn text(self) -> &'static str {
        match self {
            StrategyName::Default => "default",
            StrategyName::BrpNas => "brp-nas",
            StrategyName::WeakPredictors => "weak-predictors",
            StrategyName::RegularizedEvolution => "regularized-evolution",
            StrategyName::Random => "random",
        }
    }

    /// Tells whether trials decide what is tried next.
    pub fn learns(self) -> bool {
        self != StrategyName::Random
    }

    /// Tells whether the strategy uses [`Strategy::warm_start`].
    pub fn takes_warm_start(self) -> bool {
        self == StrategyName::Default
    }

    /// Makes the strategy for a search of `budget` evaluations; for `brp-nas`, all of them are phase
    /// 1, by our recipe. `signs` has 1 for each objective to maximise and −1 for each to minimise.
    pub fn make(self, signs: &[f64], budget: usize, seed: u64) -> Box<dyn Strategy + Send> {
        let one: Box<dyn Strategy + Send> = match self {
            StrategyName::Default if signs.len() > 1 => Box::new(DefaultSearch::of_all_sizes(seed)),
            StrategyName::Default => Box::new(DefaultSearch::new(seed)),
            StrategyName::Random => Box::new(RandomSearch::new(seed)),
            StrategyName::RegularizedEvolution => Box::new(Evolution::new(seed)),
            StrategyName::WeakPredictors => Box::new(WeakPredictors::new(seed)),
            StrategyName::BrpNas => {
                let ranker = Ranker::Binary(relation::RelationRecipe::default_ranking());
                let threads = rayon::current_num_threads();
                Box::new(BrpNas::new(Selection::brp_nas(budget), ranker, seed, threads))
            }
        };
        match signs.len() {
            0 | 1 => one,
            _ => {
                let widens = self == StrategyName::Default;
                Box::new(SeveralObjectives::new(one, signs.to_vec(), widens, seed))
            }
        }
    }
}

impl FromStr for StrategyName {
    type Err = String;

    fn from_str(name: &str) -> Result<StrategyName, String> {
        let known = StrategyName::ALL.map(StrategyName::text);
        let found = StrategyName::ALL.into_iter().find(|s| s.text() == name);
        found.ok_or_else(|| format!("no strategy '{name}'; there are: {}", known.join(", ")))
    }
}

impl TryFrom<String> for StrategyName {
    type Error = String;

    fn try_from(name: String) -> Result<StrategyName, String> {
        name.parse()
    }
}

impl From<StrategyName> for String {
    fn from(name: StrategyName) -> String {
        name.text().into()
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
