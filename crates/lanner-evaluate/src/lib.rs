//! Evaluation of networks: how fast they are ([`measure`]), how good ([`train`], or the user's own
//! [`script`]), and at a glance how good ([`proxies`]). A search takes them as an
//! [`Evaluator`](evaluator::Evaluator) and a [`Meter`](meter::Meter).
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path};
//! use lanner_evaluate::measure::{Adaptive, Campaign, Protocol, Rten, groups, reference};
//! use lanner_network::{OnnxOptions, Skeleton};
//! use lanner_space::Space;
//!
//! let space = Space::NasBench201;
//! let archs: Vec<_> = space.iter().collect();
//! let campaign = Campaign {
//!     skeleton: Skeleton::of(&space)?,
//!     onnx: OnnxOptions::default(),
//!     protocol: Protocol::Adaptive(Adaptive::default()),
//!     seed: 0,
//!     reference: Some(reference(&space)?),
//!     baseline_ms: None,
//!     space,
//! };
//! let runtime = Rten::new(1);
//! let header = campaign.header(&runtime, &[("threads", "1".into())]);
//! // One network of each kind that computes the same; the same call again goes on from there.
//! let kinds = groups(&campaign.space, &archs);
//! campaign.run(&runtime, &kinds, Path::new("latency.csv"), &header, |done, total| {
//!     println!("{done} of {total}");
//!     ControlFlow::Continue(())
//! })?;
//! # Ok::<(), lanner_evaluate::EvaluateError>(())
//! ```

mod error;
pub mod evaluator;
mod journal;
mod lines;
pub mod measure;
mod memory;
pub mod meter;
mod process;
pub mod proxies;
pub mod script;
pub mod train;

pub use error::EvaluateError;
pub use journal::Header;
pub use memory::memory_limit;
