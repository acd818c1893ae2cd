//! Tests of lanner-predict from outside, in one program: linked once.

mod accuracy_adapted;
mod fitted;
mod gcn_fit;
mod gcn_golden;
mod latency;
mod parameters;
mod prior;
mod rates;
