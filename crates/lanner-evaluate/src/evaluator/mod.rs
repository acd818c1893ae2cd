//! Evaluators: how good a network is, by training it, by proxies, by a command or by a table.
//!
//! A search calls an [`Evaluator`] from several threads at a time. Any closure over a [`Request`] is
//! one, so that a program can evaluate networks itself:
//!
//! ```
//! use lanner_evaluate::evaluator::{Answer, Evaluator, Request};
//! let mine = |request: &Request| {
//!     let convolutions = request.arch.codes().iter().filter(|&&code| code == 3).count();
//!     Ok(Answer::metric("score", convolutions as f64))
//! };
//! fn takes_any(_: &dyn Evaluator) {}
//! takes_any(&mine);
//! ```

mod command;
mod proxies;
mod table;
mod train;

use std::{collections::BTreeMap, path::Path};

use lanner_data::images::Statistics;
use lanner_space::Architecture;

use crate::EvaluateError;
pub use command::CommandEvaluator;
pub use proxies::ProxyEvaluator;
pub use table::TableEvaluator;
pub use train::{TRAINED, TrainEvaluator};

/// One network to evaluate.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub arch: &'a Architecture,
    /// Seed of the evaluation; below 2³², so that any program takes it.
    pub seed: u64,
    /// Metrics without which the evaluation is of no use.
    pub needed: &'a [String],
    /// Path at which a trained network may be left as ONNX.
    pub out: &'a Path,
    /// Path for all that a program prints during the evaluation.
    pub log: &'a Path,
    /// Number of the worker, from 0.
    pub worker: usize,
    /// Tells whether to give up. Poll it often: it may also wait, while a latency is measured.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Numbers by name.
    Metrics(BTreeMap<String, f64>),
    /// The reason why there are none, with the last lines that a program printed.
    Failed(String),
    /// The evaluation was given up because [`Request::stop`] said so.
    Stopped,
}

impl Answer {
    /// The answer with one metric.
    pub fn metric(name: &str, value: f64) -> Answer {
        Answer::Metrics([(name.to_string(), value)].into())
    }
}

/// Where the work of an evaluation is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: values are looked up.
    Table,
    /// In this process, within seconds.
    Here,
    /// In another program or the caller's own function, for as long as it takes.
    Elsewhere,
}

/// Preparation of images before a network takes them: `(pixel / 255 − mean) / std` per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageInput {
    /// Name of the data set.
    pub dataset: String,
    pub statistics: Statistics,
    pub classes: Vec<String>,
}

/// Evaluates networks: returns their metrics.
pub trait Evaluator: Send + Sync {
    /// Evaluates one network.
    ///
    /// # Errors
    /// Problems that the next network would have too, such as a missing program. A network that
    /// cannot be evaluated is [`Answer::Failed`].
    fn evaluate(&self, request: &Request) -> Result<Answer, EvaluateError>;

    /// Whether an evaluation may return this metric.
    fn may_tell(&self, metric: &str) -> bool {
        let _ = metric;
        true
    }

    fn place(&self) -> Place {
        Place::Elsewhere
    }

    /// The only architectures that can be evaluated; `None` if there is no such list.
    fn listed(&self) -> Option<&[Architecture]> {
        None
    }

    /// The images that networks are trained on here.
    fn images(&self) -> Option<ImageInput> {
        None
    }
}

impl<F> Evaluator for F
where
    F: Fn(&Request) -> Result<Answer, EvaluateError> + Send + Sync,
{
    fn evaluate(&self, request: &Request) -> Result<Answer, EvaluateError> {
        self(request)
    }
}
