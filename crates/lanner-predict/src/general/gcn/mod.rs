//! Regression by a graph convolutional network on architectures as graphs: [`fit`] makes a
//! [`GcnPredictor`] of measurements by a [`GcnRecipe`].

mod fit;
mod recipe;
mod store;

pub(crate) use fit::on_members;
pub use fit::{Epoch, GcnPredictor, Progress, Samples, fit};
pub use recipe::{GcnRecipe, Loss, Scale, Schedule, TargetScaling};
pub(crate) use store::{Stored, missing, of_kind};
