//! Regressors that learn numbers from vectors or graphs and know no architecture: Gaussian
//! processes ([`gp`]), ridge regression, extremely randomised trees, graph networks ([`gcn`]),
//! non-negative mixtures, and the linear algebra beneath them.

pub mod gcn;
pub mod gp;
pub(crate) mod lanes;
pub mod linalg;
pub(crate) mod mixture;
pub mod ridge;
pub mod trees;
