//! What was known before the study: values of earlier searches and of tables.
//!
//! They are of any effort, task and scale, so they are never mixed with the study's own. They are no
//! trials, cost no budget, and their networks may be asked for. The strategy gets them as they are, one
//! list an origin ([`Strategy::warm_start`](crate::Strategy::warm_start)), and for networks of which an
//! origin has no value what a predictor makes of it.

use std::collections::HashMap;

use lanner_predict::Pool;
use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel};
use lanner_space::{Architecture, Space};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{SearchError, Study};
use crate::Job;

/// A predictor learns from so many of the best values and so many of the others.
const BEST: usize = 150;
const OTHERS: usize = 150;

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
struct Origin {
    origin: String,
    /// In the space's text form, with values of which more is better.
    values: Vec<(String, f64)>,
}

/// One origin, to tell values of any network.
pub(super) struct Earlier {
    values: HashMap<Architecture, f64>,
    /// Those to learn from, with the best first; the model is fitted when it is first needed.
    learned: Vec<(Architecture, f64)>,
    model: Option<Box<(AccuracyFeatures, AccuracyModel)>>,
}

/// What stands in the file for values that a study is given to start from; nothing if there are none.
pub(super) fn text(
    earlier: &[(String, Vec<(Architecture, f64)>)],
    job: &Job,
    space: &Space,
) -> Result<Option<String>, SearchError> {
    let wrong = |why: String| SearchError::Settings { why };
    let sign = job.objectives.first().map_or(1.0, |o| o.signed(1.0));
    let mut origins: Vec<Origin> = Vec::new();
    for (origin, values) in earlier {
        if origins.iter().any(|o| o.origin == *origin) {
            return Err(wrong(format!("'{origin}' is given twice to start from")));
        }
        for (arch, _) in values {
            space.check(arch)?;
        }
        let values = values.iter().filter(|v| v.1.is_finite());
        let values = values.map(|(a, v)| (space.print(a), sign * v)).collect();
        origins.push(Origin { origin: origin.clone(), values });
    }
    let text = || serde_json::to_string(&origins).map_err(|e| wrong(e.to_string()));
    (!origins.is_empty()).then(text).transpose()
}

impl Study {
    /// The origins of earlier values, and how many each has.
    pub fn origins(&self) -> Result<Vec<(String, usize)>, SearchError> {
        let origins = self.database.read(origins)?;
        Ok(origins.into_iter().map(|o| (o.origin, o.values.len())).collect())
    }

    /// All origins, ready to be asked.
    pub(super) fn read_earlier(&self) -> Result<Vec<Earlier>, SearchError> {
        let parsed = |origin: Origin| {
            let values = origin.values.into_iter();
            let values = values.map(|(text, v)| Ok((self.space.parse(&text)?, v)));
            Ok(Earlier::new(values.collect::<Result<_, SearchError>>()?))
        };
        self.database.read(origins)?.into_iter().map(parsed).collect()
    }
}

fn origins(connection: &Connection) -> rusqlite::Result<Vec<Origin>> {
    let text: Option<String> = connection
        .query_row("SELECT value FROM study WHERE key = 'earlier'", [], |r| r.get(0))
        .optional()?;
    let wrong = |e: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into())
    };
    text.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text).map_err(wrong))
}

impl Earlier {
    fn new(values: Vec<(Architecture, f64)>) -> Earlier {
        let mut order = values.clone();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.codes().cmp(b.0.codes())));
        let others = order.split_off(order.len().min(BEST));
        let step = others.len().div_ceil(OTHERS).max(1);
        order.extend(others.into_iter().step_by(step));
        Earlier { values: values.into_iter().collect(), learned: order, model: None }
    }

    /// A value for each network of a pool: the one there is, else the one that is predicted from
    /// those; NaN where there are too few to predict from.
    pub fn of(&mut self, pool: &Pool) -> Vec<f64> {
        let mut all: Vec<f64> =
            pool.archs.iter().map(|a| self.values.get(a).copied().unwrap_or(f64::NAN)).collect();
        let missing: Vec<usize> = (0..all.len()).filter(|&r| all[r].is_nan()).collect();
        if missing.is_empty() {
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
