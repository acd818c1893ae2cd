//! Warm-start values: values of networks known before the study, from earlier searches and from
//! tables.
//!
//! They may come from any effort, task and scale, so they are never mixed with the study's own
//! values. They are no trials, cost no budget, and their networks may be asked for. The strategy
//! gets them as one list an origin ([`Strategy::warm_start`](crate::Strategy::warm_start)); a
//! predictor fills in the networks for which an origin has no value.

use std::collections::HashMap;

use lanner_predict::Pool;
use lanner_predict::accuracy::untrained::RANK;
use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel};
use lanner_space::{Architecture, Space};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{SearchError, Study};
use crate::Job;

/// Numbers of the best values, and of others, from which a predictor learns.
const BEST: usize = 150;
const OTHERS: usize = 150;
/// Numbers of values of an origin up to which nothing is predicted from them, but their networks are
/// candidates wherever they lie in the space: half of a search's start.
const FEW: usize = 5;

/// An origin as stored in the file.
#[derive(Serialize, Deserialize)]
struct StoredOrigin {
    origin: String,
    /// Architectures in the space's text form, with values of which larger is better.
    values: Vec<(String, f64)>,
}

/// Whether an origin is a table's column `rank`.
fn is_untrained(origin: &str) -> bool {
    origin.rsplit_once(':').is_some_and(|(_, column)| column == RANK)
}

/// An origin that gives values for any network.
pub(super) struct Origin {
    /// Whether the values are untrained scores, see [`Strategy::prior`](crate::Strategy::prior).
    pub untrained: bool,
    values: HashMap<Architecture, f64>,
    /// Values to learn from, the best first; the model is fitted when it is first needed.
    learned: Vec<(Architecture, f64)>,
    model: Option<Box<(AccuracyFeatures, AccuracyModel)>>,
}

/// Makes the stored text of warm-start values; `None` if there are none.
pub(super) fn text(
    warm_start: &[(String, Vec<(Architecture, f64)>)],
    job: &Job,
    space: &Space,
) -> Result<Option<String>, SearchError> {
    let wrong = |why: String| SearchError::Settings { why };
    let sign = job.objectives.first().map_or(1.0, |o| o.signed(1.0));
    let mut origins: Vec<StoredOrigin> = Vec::new();
    for (origin, values) in warm_start {
        if origins.iter().any(|o| o.origin == *origin) {
            return Err(wrong(format!("'{origin}' is given twice to start from")));
        }
        for (arch, _) in values {
            space.check(arch)?;
        }
        let sign = if is_untrained(origin) { 1.0 } else { sign };
        let values = values.iter().filter(|v| v.1.is_finite());
        let values = values.map(|(a, v)| (space.print(a), sign * v)).collect();
        origins.push(StoredOrigin { origin: origin.clone(), values });
    }
    let text = || serde_json::to_string(&origins).map_err(|e| wrong(e.to_string()));
    (!origins.is_empty()).then(text).transpose()
}

impl Study {
    /// Returns the origins of warm-start values, and how many values each has.
    pub fn origins(&self) -> Result<Vec<(String, usize)>, SearchError> {
        let origins = self.database.read(origins)?;
        Ok(origins.into_iter().map(|o| (o.origin, o.values.len())).collect())
    }

    /// Reads all origins, ready to give values.
    pub(super) fn read_warm_start(&self) -> Result<Vec<Origin>, SearchError> {
        let parsed = |origin: StoredOrigin| {
            let values = origin.values.into_iter();
            let values = values.map(|(text, v)| Ok((self.space.parse(&text)?, v)));
            let untrained = is_untrained(&origin.origin);
            Ok(Origin::new(values.collect::<Result<_, SearchError>>()?, untrained))
        };
        self.database.read(origins)?.into_iter().map(parsed).collect()
    }
}

fn origins(connection: &Connection) -> rusqlite::Result<Vec<StoredOrigin>> {
    let text: Option<String> = connection
        .query_row("SELECT value FROM study WHERE key = 'earlier'", [], |r| r.get(0))
        .optional()?;
    let wrong = |e: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into())
    };
    text.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text).map_err(wrong))
}

impl Origin {
    fn new(values: Vec<(Architecture, f64)>, untrained: bool) -> Origin {
        let mut order = values.clone();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.codes().cmp(b.0.codes())));
        let others = order.split_off(order.len().min(BEST));
        let step = others.len().div_ceil(OTHERS).max(1);
        order.extend(others.into_iter().step_by(step));
        Origin { untrained, values: values.into_iter().collect(), learned: order, model: None }
    }

    /// Returns the networks with the best values, a few.
    pub fn best(&self) -> impl Iterator<Item = &Architecture> {
        self.learned.iter().take(FEW).map(|(arch, _)| arch)
    }

    /// Returns a value for each network of a pool: the known one, else a prediction from the known
    /// ones; NaN where there are too few to predict from.
    pub fn of(&mut self, pool: &Pool) -> Vec<f64> {
        let mut all: Vec<f64> =
            pool.archs.iter().map(|a| self.values.get(a).copied().unwrap_or(f64::NAN)).collect();
        let missing: Vec<usize> = (0..all.len()).filter(|&r| all[r].is_nan()).collect();
        if missing.is_empty() || self.learned.len() <= FEW {
            return all;
        }
        if self.model.is_none() {
            let (archs, values): (Vec<_>, Vec<f64>) = self.learned.iter().cloned().unzip();
            let views = AccuracyFeatures::new(&Pool::new(pool.space.clone(), archs));
            let rows: Vec<usize> = (0..values.len()).collect();
            let model = AccuracyModel::fit(&views, &rows, &values, 0).ok();
            self.model = model.map(|m| Box::new((views, m)));
        }
        if let Some(fitted) = &self.model {
            let archs: Vec<Architecture> = missing.iter().map(|&r| pool.archs[r].clone()).collect();
            let predicted = fitted.1.predict_others(&fitted.0.of(&archs)).mean;
            missing.into_iter().zip(predicted).for_each(|(r, v)| all[r] = v);
        }
        all
    }
}
