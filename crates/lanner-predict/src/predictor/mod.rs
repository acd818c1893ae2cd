//! Predictors by the names of their methods, and on disk: [`fitted`] fits, asks and saves any method,
//! [`mod@file`] is the format of all of them.

pub mod file;
pub mod fitted;
