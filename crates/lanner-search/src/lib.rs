//! Strategies that decide which architecture to evaluate next.
//!
//! A [`Strategy`] is asked for rows of a [`Pool`](lanner_predict::Pool) and is shown the
//! [`History`] of results; larger values are better. [`simulate`](strategy::simulate) is the loop
//! over a function that evaluates a row, such as a look-up in a published table:
//!
//! ```
//! use lanner_predict::Pool;
//! use lanner_search::{RandomSearch, strategy::simulate};
//! use lanner_space::Space;
//! let pool = Pool::whole(Space::NasBench201);
//! // A toy objective: how many 3×3 convolutions there are.
//! let value = |row: usize| pool.archs[row].codes().iter().filter(|&&c| c == 3).count() as f64;
//! let history = simulate(&mut RandomSearch::new(7), &pool, None, 50, |row| Some(value(row)));
//! assert_eq!(history.trials.len(), 50);
//! assert!(history.best().unwrap().value >= 3.0);
//! ```
//!
//! **Limits.** A mask tells which rows may be asked for, for example those whose predicted latency
//! is likely to be within a limit (see [`constrained`]).
//!
//! **Strategies.** [`RandomSearch`], [`Evolution`] (Real et al. 2019), [`WeakPredictors`] (Wu et
//! al. 2021) and [`BrpNas`] (Dudziak et al. 2020) are the baselines of the literature;
//! [`DefaultSearch`] is ours.
//!
//! **Studies.** A [`study`] keeps a whole search in a file, so that it can be killed, resumed,
//! shared by several processes and examined. **Runs.** A [`run`] executes a [`Job`] from the first
//! measurement to the best network; the command line and the examples use it.

#![forbid(unsafe_code)]

pub mod constrained;
mod error;
mod job;
pub mod run;
pub mod strategy;
pub mod study;

pub use error::SearchError;
pub use job::{
    Bound, Evaluate, Job, LATENCY, Limit, OBJECTIVES, Objective, Setup, Sizes, TableColumn,
};
pub use strategy::{
    BrpNas, DefaultSearch, Evolution, History, RandomSearch, Ranker, Strategy, StrategyName,
    WeakPredictors, front, hypervolume,
};
