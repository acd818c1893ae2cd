//! Choice of the architectures to measure or to train next: [`informative`] for a device of which
//! nothing is known yet, [`iterative`] for a predictor that is to tell the best apart.

pub mod informative;
pub mod iterative;
