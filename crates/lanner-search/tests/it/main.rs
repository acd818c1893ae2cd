//! Tests of lanner-search from outside, in one program: linked once.

mod common;
mod predictors;
mod run;
mod run_limits;
mod strategies;
mod study;
mod study_damage;
mod study_earlier;
mod study_files;
mod study_processes;
