use lanner_predict::accuracy::relation;
use lanner_predict::select::iterative::Selection;

use crate::{BrpNas, DefaultSearch, Evolution, RandomSearch, Ranker, Strategy, WeakPredictors};

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 5] =
    ["default", "brp-nas", "weak-predictors", "regularized-evolution", "random"];

/// The strategy of a name, for a search of `budget` evaluations (all of them phase 1 of `brp-nas`,
/// by our recipe), or a message that says which there are.
pub fn by_name(name: &str, budget: usize, seed: u64) -> Result<Box<dyn Strategy + Send>, String> {
    Ok(match name {
        "default" => Box::new(DefaultSearch::new(seed)),
        "random" => Box::new(RandomSearch::new(seed)),
        "regularized-evolution" => Box::new(Evolution::new(seed)),
        "weak-predictors" => Box::new(WeakPredictors::new(seed)),
        "brp-nas" => {
            let ranker = Ranker::Binary(relation::RelationRecipe::default_ranking());
            let threads = rayon::current_num_threads();
            Box::new(BrpNas::new(Selection::brp_nas(budget), ranker, seed, threads))
        }
        _ => return Err(format!("no strategy '{name}'; there are: {}", NAMES.join(", "))),
    })
}
