//! Predictors of accuracy on a task: [`AccuracyModel`], recipe `default`, from trained networks of one space,
//! and [`GraphGp`], which it has to beat; the binary [`relation`]; and [`adapted`], from a handful of
//! trained networks and the tables of other tasks and spaces; [`untrained`], from none.

pub mod adapted;
mod default;
mod features;
mod graph_gp;
pub mod relation;
mod scores;
pub mod untrained;

pub use default::{AccuracyModel, gp_options};
pub use features::AccuracyFeatures;
pub use graph_gp::GraphGp;
