//! Objectives and limits of a search.

use std::fmt;
use std::str::FromStr;

use lanner_data::MetricKind;
use serde::{Deserialize, Serialize};

use super::LATENCY;
use crate::SearchError;

/// A metric to make as large or as small as possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    pub metric: String,
    pub maximise: bool,
}

impl Objective {
    /// Makes the objective of a metric. `maximise` is the caller's word; without it, the metric's
    /// name decides ([`MetricKind`]).
    ///
    /// # Errors
    /// The direction is neither given nor known from the name.
    pub fn named(metric: &str, maximise: Option<bool>) -> Result<Objective, SearchError> {
        let known = || MetricKind::of(metric).map(MetricKind::is_maximised);
        match maximise.or_else(known) {
            Some(maximise) => Ok(Objective { metric: metric.into(), maximise }),
            None => Err(SearchError::Setting {
                name: "metric",
                value: metric.into(),
                why: format!(
                    "its name does not tell whether more or less is better: --maximise {metric} or \
                     --minimise {metric}"
                ),
            }),
        }
    }

    /// Returns the value with a sign by which larger is better.
    pub fn signed(&self, value: f64) -> f64 {
        if self.maximise { value } else { -value }
    }
}

/// Largest or smallest allowed value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub metric: String,
    #[serde(flatten)]
    pub bound: Bound,
}

/// The side on which a limit bounds a metric, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// Makes a limit to the largest value.
    pub fn at_most(metric: &str, value: f64) -> Limit {
        Limit { metric: metric.into(), bound: Bound::AtMost(value) }
    }

    /// Makes a limit to the smallest value.
    pub fn at_least(metric: &str, value: f64) -> Limit {
        Limit { metric: metric.into(), bound: Bound::AtLeast(value) }
    }

    /// Returns the largest or smallest value.
    pub fn value(&self) -> f64 {
        match self.bound {
            Bound::AtMost(value) | Bound::AtLeast(value) => value,
        }
    }

    /// Turns the probability of at most [`Limit::value`] into that of keeping the limit.
    pub(crate) fn probability(&self, at_most: f64) -> f64 {
        match self.bound {
            Bound::AtMost(_) => at_most,
            Bound::AtLeast(_) => 1.0 - at_most,
        }
    }

    /// Tells whether a value keeps the limit; NaN does not.
    pub fn holds(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.maximise { "large" } else { "small" };
        write!(f, "{} as {end} as possible", self.metric)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if matches!(self.bound, Bound::AtMost(_)) { "<=" } else { ">=" };
        write!(f, "{} {sign} {}", self.metric, self.value())
    }
}

impl FromStr for Limit {
    type Err = SearchError;

    /// Reads `NAME<=NUMBER` or `NAME>=NUMBER`.
    fn from_str(text: &str) -> Result<Limit, SearchError> {
        let wrong = |why: &str| SearchError::Setting {
            name: "limit",
            value: format!("'{text}'"),
            why: format!("expected {why}"),
        };
        let (metric, number, bound): (_, _, fn(f64) -> Bound) =
            match (text.split_once("<="), text.split_once(">=")) {
                (Some((metric, number)), None) => (metric, number, Bound::AtMost),
                (None, Some((metric, number))) => (metric, number, Bound::AtLeast),
                _ => return Err(wrong(&format!("NAME<=NUMBER or NAME>=NUMBER, as {LATENCY}<=4"))),
            };
        let value = number_of(number.trim()).filter(|n| n.is_finite());
        match (metric.trim(), value) {
            ("", _) => Err(wrong("NAME<=NUMBER or NAME>=NUMBER, as top1>=90")),
            (metric, None) => Err(no_number(metric, number.trim(), &wrong)),
            (metric, Some(value)) if value <= 0.0 && is_positive(metric) => {
                Err(wrong(&format!("a number above 0, as all values of {metric} are")))
            }
            (LATENCY, Some(_)) if text.contains(">=") => {
                Err(wrong(&format!("{LATENCY}<=NUMBER: a latency has a largest value only")))
            }
            (metric, Some(value)) => Ok(Limit { metric: metric.into(), bound: bound(value) }),
        }
    }
}

/// Says why a text is no number of a limit, and how it is written.
fn no_number(metric: &str, text: &str, wrong: &dyn Fn(&str) -> SearchError) -> SearchError {
    let end = text.find(|c: char| c.is_alphabetic() || c == '%').unwrap_or(text.len());
    let (number, unit) = (text[..end].trim(), &text[end..]);
    let point = text.replace(',', ".");
    if text.matches(',').count() == 1 && number_of(&point).is_some() {
        return wrong(&format!("a decimal point: {point}; thousands are written 1_000 or 1e3"));
    }
    if number_of(number).is_some() && !unit.is_empty() {
        return wrong(&format!(
            "the number {number} alone: the unit of a metric is the end of its name, {metric}"
        ));
    }
    wrong(&format!("a finite number after {metric}, as 4, 3.5, 60_000 or 6e4; '{text}' is none"))
}

/// Reads a number; underscores may stand between digits, as in TOML and Python.
fn number_of(text: &str) -> Option<f64> {
    let between_digits = |(i, _): (usize, &str)| {
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        is_digit(text[..i].chars().next_back()) && is_digit(text[i + 1..].chars().next())
    };
    let is_number = text.match_indices('_').all(between_digits);
    is_number.then(|| text.replace('_', "").parse().ok()).flatten()
}

fn is_positive(metric: &str) -> bool {
    matches!(MetricKind::of(metric), Some(MetricKind::Cost | MetricKind::Rate))
}
