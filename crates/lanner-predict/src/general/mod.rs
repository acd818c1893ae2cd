//! Predictors of any metric, latencies and accuracies alike: the plain [`baselines`] that every other one must
//! beat, and regressions by a graph network ([`gcn`]).

pub mod baselines;
pub mod gcn;
