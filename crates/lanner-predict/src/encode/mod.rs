//! Encodings of architectures and networks for predictors, as vectors or as a graph:
//!
//! - [`graph`]: the labelled graph that a graph network reads.
//! - [`counts`]: counts of operations, one-hot choices and their products.
//! - [`cells`]: properties of a cell's graph and shares of variance, for accuracies.
//! - `program`: a cell as the little program that a runtime executes, for latencies.
//! - [`costs`]: sizes and times on simulated devices by analysis of the layers.
//! - `memo`: features of the last pool, copied for the next one.
//! - [`parameters`]: values of declared parameters.
//! - `tensor_operations`: operations over tensors of any network.
//! - [`operations`]: a network of any space as counts of its operations.

pub mod cells;
pub mod costs;
pub mod counts;
pub mod graph;
pub(crate) mod memo;
pub mod operations;
pub mod parameters;
pub(crate) mod program;
pub(crate) mod tensor_operations;
