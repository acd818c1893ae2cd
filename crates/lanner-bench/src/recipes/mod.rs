//! Published methods to compare Lanner's own predictors with: `help`, `nasflat` and `multi-predict` by
//! their authors' recipes, and plain methods ([`peers`]).

pub mod help;
mod mlp;
pub mod multi_predict;
pub mod nasflat;
pub mod peers;
mod pre_training;
