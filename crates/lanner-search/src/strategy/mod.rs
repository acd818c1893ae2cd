//! Strategies, which decide which architecture to evaluate next.

mod baselines;
mod brp_nas;
mod default_search;
mod front;
mod history;
mod names;
mod several_objectives;
mod state;

pub(crate) use baselines::draw;
pub use baselines::{Evolution, RandomSearch, WeakPredictors};
pub use brp_nas::{BrpNas, Ranker};
pub use default_search::DefaultSearch;
pub(crate) use front::scalarised;
pub use front::{front, hypervolume};
pub use history::{History, Strategy, Trial, simulate};
pub use names::StrategyName;
