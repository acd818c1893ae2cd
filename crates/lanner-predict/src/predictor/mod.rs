//! Predictors of every kind behind one trait, and on disk.
//!
//! A [`Predictor`] answers for any architectures of its space, however it was made: trained on a table
//! ([`fitted`]), or adapted to a device ([`AdaptedLatency`](crate::latency::adapted::AdaptedLatency)). Any of them
//! writes a file, and [`load`] reads it again without being told what it is. [`cross_validated`] tells
//! how good one of a table is, and [`ranking`] has the best architectures by any of them.
//!
//! ```
//! use lanner_predict::Pool;
//! use lanner_predict::predictor::fitted::{Fitted, MethodFeatures, FitSettings};
//! use lanner_predict::predictor::{Predictor, Target, load};
//! use lanner_space::Space;
//! let pool = Pool::new(Space::NasBench201, Space::NasBench201.iter().take(50).collect());
//! let rows: Vec<usize> = (0..40).collect();
//! let values: Vec<f64> = rows.iter().map(|row| 1.0 + (row % 5) as f64).collect();
//! let features = MethodFeatures::new("ridge-counts", Target::Latency, &pool).unwrap();
//! let settings = FitSettings {
//!     method: "ridge-counts".into(),
//!     target: Target::Latency,
//!     metric: "mine_ms".into(),
//! };
//! let fitted = Fitted::fit(&pool, &features, settings, (&rows, &values), 0)?;
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("mine.lanner");
//! fitted.save(&path)?;
//! let again = load(&path)?;
//! assert_eq!(again.predict(&pool.archs).mean, fitted.predict(&pool.archs).mean);
//! assert_eq!((again.metric(), again.target()), ("mine_ms", Target::Latency));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;

use lanner_data::MetricKind;
use lanner_space::{Architecture, Space};
use serde::{Deserialize, Serialize};

use crate::{Forecast, PredictError};

mod cross_validation;
pub mod file;
pub mod fitted;
mod fitted_model;
mod kinds;
pub mod ranking;

pub use cross_validation::cross_validated;
pub use kinds::{from_bytes, load, load_for};

/// Meaning of the numbers: it decides how they are modelled and which end is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Positive, less is better, relative errors matter.
    Latency,
    /// More is better, the order matters.
    Accuracy,
    /// Less is better, the order matters: a loss. Learned as an accuracy, with the other sign.
    Error,
    /// Positive, more is better, relative errors matter: images a second. Learned as a latency, by its
    /// reciprocal.
    Rate,
}

impl Target {
    /// Chooses by the kind of a metric.
    pub fn of(kind: MetricKind) -> Target {
        match kind {
            MetricKind::Cost => Target::Latency,
            MetricKind::Error => Target::Error,
            MetricKind::Quality => Target::Accuracy,
            MetricKind::Rate => Target::Rate,
        }
    }

    /// Tells whether less is better.
    pub fn is_minimised(self) -> bool {
        matches!(self, Target::Latency | Target::Error)
    }

    /// Tells whether values are positive, and relative errors matter.
    pub fn is_relative(self) -> bool {
        self.modelled() == Target::Latency
    }

    /// Names the values in the plural, for messages.
    pub fn words(self) -> &'static str {
        match self {
            Target::Latency => "latencies",
            Target::Accuracy => "accuracies",
            Target::Error => "errors",
            Target::Rate => "rates",
        }
    }

    /// The target that is modelled.
    fn modelled(self) -> Target {
        match self {
            Target::Error => Target::Accuracy,
            Target::Rate => Target::Latency,
            other => other,
        }
    }

    /// Converts a value to one of the target that is modelled, and back.
    pub(crate) fn turned(self, value: f64) -> f64 {
        match self {
            Target::Error => -value,
            Target::Rate => value.recip(),
            _ => value,
        }
    }

    /// Converts forecasts of the target that is modelled to those of this one.
    pub(crate) fn forecast(self, modelled: Forecast) -> Forecast {
        if self.modelled() == self {
            return modelled;
        }
        // A straight line through latencies can go below zero, which no rate has.
        let least = if self == Target::Rate { LEAST_COST } else { f64::NEG_INFINITY };
        let turned = |values: Vec<f64>| {
            values.into_iter().map(|v| self.turned(if v < least { least } else { v })).collect()
        };
        // A larger rate is a smaller cost.
        let Forecast { mean, low, high } = modelled;
        Forecast { mean: turned(mean), low: turned(high), high: turned(low) }
    }
}

/// Least cost whose rate is predicted.
const LEAST_COST: f64 = 1e-12;

/// A predictor of one metric for any architectures of one space.
pub trait Predictor: Send + Sync {
    /// The space whose architectures it predicts.
    fn space(&self) -> &Space;

    /// The name of the metric, with its unit: `pixel_ms`.
    fn metric(&self) -> &str;

    fn target(&self) -> Target;

    /// A forecast for each architecture, whatever the others are: medians and, where the predictor
    /// knows its uncertainty, 90 % intervals. Features are held for all of them at once: ask in blocks of
    /// [`Predictor::block`].
    fn predict(&self, archs: &[Architecture]) -> Forecast;

    /// Number of architectures to ask about at a time, so that memory stays within some hundred
    /// megabytes a thread.
    fn block(&self) -> usize {
        1 << 11
    }

    /// The architectures from whose values of the metric it learnt.
    fn measured(&self) -> &[Architecture];

    /// The architectures that it was made to rank, if they are not the whole space.
    fn candidates(&self) -> Option<&[Architecture]> {
        None
    }

    /// The same predictor for the networks of another space, if it does not depend on the space.
    fn elsewhere(&self, _space: &Space) -> Option<Box<dyn Predictor>> {
        None
    }

    /// One line for people: what it predicts, and from what.
    fn describe(&self) -> String;

    /// The content of its file.
    fn to_file(&self) -> file::ModelFile;

    /// Writes the file that [`load`] reads.
    fn save(&self, path: &Path) -> Result<(), PredictError> {
        self.to_file().save(path)
    }
}
