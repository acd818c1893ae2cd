//! Evaluation of networks: how fast they are ([`measure`]), how good ([`train`], or the user's own
//! [`script`]), and at a glance how good ([`proxies`]). A search takes them as an
//! [`Evaluator`](evaluator::Evaluator) and a [`Meter`](meter::Meter).
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path};
//! use lanner_evaluate::measure::{Adaptive, LatencyCampaign, Protocol, Rten, equivalent_groups, reference};
//! use lanner_network::{OnnxOptions, Skeleton};
//! use lanner_space::Space;
//!
//! let space = Space::NasBench201;
//! let archs: Vec<_> = space.iter().collect();
//! let campaign = LatencyCampaign {
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
//! // Measures one network of each group that computes the same; the same call again resumes.
//! let kinds = equivalent_groups(&campaign.space, &archs);
//! campaign.run(&runtime, &kinds, Path::new("latency.csv"), &header, |done, total| {
//!     println!("{done} of {total}");
//!     ControlFlow::Continue(())
//! })?;
//! # Ok::<(), lanner_evaluate::EvaluateError>(())
//! ```

mod append_file;
mod error;
pub mod evaluator;
mod journal;
mod json_numbers;
pub mod measure;
mod memory;
pub mod meter;
mod plausible;
mod process;
pub mod proxies;
pub mod script;
pub mod train;

pub use error::EvaluateError;
pub use journal::Header;
pub use memory::memory_limit;
