//! Spaces of parameters as data: what a program declares, and what a TOML file says.
//!
//! ```
//! use lanner_space::{Parameter, Parameters, Space};
//!
//! let block = vec![Parameter::choice("kernel", [3, 5, 7]), Parameter::choice("expand", [2, 4])];
//! let space = Space::of_parameters(&Parameters {
//!     name: "my-resnets".into(),
//!     parameter: vec![
//!         Parameter::integer("depth", 2, 6),
//!         Parameter::choice("act", ["relu", "gelu"]),
//!         Parameter::float("lr", 1e-4, 1e-1).log().outside_network(),
//!         Parameter::repeat("block", "depth", block),
//!         Parameter::choice("se", [false, true]).when("act", ["relu"]),
//!     ],
//! })?;
//! let arch = space.parse(
//!     r#"{"depth": 2, "act": "gelu", "lr": 0.01,
//!         "block": [{"kernel": 3, "expand": 2}, {"kernel": 5, "expand": 2}]}"#,
//! )?;
//! assert_eq!(
//!     space.print(&arch),
//!     r#"{"depth":2,"act":"gelu","lr":0.01,"block":[{"kernel":3,"expand":2},{"kernel":5,"expand":2}]}"#
//! );
//! # Ok::<(), lanner_space::SpaceError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// A space of parameters. Serialised, it has the keys of the [TOML file](crate::user).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Name by which tables, predictors and studies call the space: a–z, 0–9, `-`, `_`, `.`.
    pub name: String,
    /// The parameters, in the order of an architecture's text.
    pub parameter: Vec<Parameter>,
}

/// A parameter: exactly one of `integer`, `float`, `choice` and `repeat` is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name in an architecture's text: letters, digits, `_` and `-`.
    pub name: String,
    /// Smallest and largest whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integer: Option<[i64; 2]>,
    /// Smallest and largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float: Option<[f64; 2]>,
    /// The values to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Vec<Value>>,
    /// Name of the parameter that says how often the group `parameter` is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// Group of parameters that each item of a repeat has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameter: Vec<Parameter>,
    /// Distance of two whole numbers of `integer`; 1 if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// Whether ratios of numbers matter rather than differences.
    #[serde(default, skip_serializing_if = "is_false")]
    pub log: bool,
    /// Whether the values of `choice` are in an order; if it is missing, numbers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// Values of parameters before this one for which it exists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Values>,
    /// Whether the network depends on it; latency predictors ignore others, such as a learning rate.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub network: bool,
}

/// A value of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

/// A value, or several of which one must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    One(Value),
    Any(Vec<Value>),
}

fn yes() -> bool {
    true
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Parameter {
    fn new(name: &str) -> Parameter {
        Parameter {
            name: name.into(),
            integer: None,
            float: None,
            choice: None,
            repeat: None,
            parameter: Vec::new(),
            step: None,
            log: false,
            ordered: None,
            when: BTreeMap::new(),
            network: true,
        }
    }

    /// Makes a whole number from `low` to `high`.
    pub fn integer(name: &str, low: i64, high: i64) -> Parameter {
        Parameter { integer: Some([low, high]), ..Parameter::new(name) }
    }

    /// Makes a number from `low` to `high`.
    pub fn float(name: &str, low: f64, high: f64) -> Parameter {
        Parameter { float: Some([low, high]), ..Parameter::new(name) }
    }

    /// Makes a choice of values. Numbers are in an order.
    pub fn choice<V: Into<Value>>(name: &str, values: impl IntoIterator<Item = V>) -> Parameter {
        let values = values.into_iter().map(Into::into).collect();
        Parameter { choice: Some(values), ..Parameter::new(name) }
    }

    /// Makes a group of parameters that is repeated as often as the parameter `length` says.
    pub fn repeat(name: &str, length: &str, group: Vec<Parameter>) -> Parameter {
        Parameter { repeat: Some(length.into()), parameter: group, ..Parameter::new(name) }
    }

    /// Sets the distance of two whole numbers.
    pub fn step(self, step: i64) -> Parameter {
        Parameter { step: Some(step), ..self }
    }

    /// Makes ratios matter rather than differences.
    pub fn log(self) -> Parameter {
        Parameter { log: true, ..self }
    }

    /// Says whether the values of a choice are in an order.
    pub fn ordered(self, ordered: bool) -> Parameter {
        Parameter { ordered: Some(ordered), ..self }
    }

    /// Makes the parameter exist only if `other`, a parameter before it, has one of these values.
    pub fn when<V: Into<Value>>(
        mut self,
        other: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Parameter {
        let values = values.into_iter().map(Into::into).collect();
        self.when.insert(other.into(), Values::Any(values));
        self
    }

    /// Says that the network does not depend on the parameter.
    pub fn outside_network(self) -> Parameter {
        Parameter { network: false, ..self }
    }
}

impl Value {
    /// Returns the number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Integer(i) => Some(*i as f64),
            Value::Number(x) => Some(*x),
            _ => None,
        }
    }

    /// Tells whether two values mean the same: 1 and 1.0 do.
    pub(crate) fn is(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Integer(a), Value::Integer(b)) => a == b,
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a == b,
                _ => self == other,
            },
        }
    }
}

impl Values {
    pub(crate) fn all(&self) -> &[Value] {
        match self {
            Values::One(value) => std::slice::from_ref(value),
            Values::Any(values) => values,
        }
    }
}

impl fmt::Display for Value {
    /// Writes the value as in JSON and TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Integer(i) => write!(f, "{i}"),
            Value::Number(x) => write!(f, "{x:?}"),
            Value::Text(text) => quoted(text, f),
        }
    }
}

/// Writes a string as JSON and TOML do.
fn quoted(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if c < ' ' || c == '\u{7f}' => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

macro_rules! values_from {
    ($($from:ty: $make:expr),*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Value {
                ($make)(value)
            }
        }
    )*};
}
values_from!(
    bool: Value::Bool,
    i64: Value::Integer,
    i32: |i: i32| Value::Integer(i.into()),
    f64: Value::Number,
    &str: |text: &str| Value::Text(text.into()),
    String: Value::Text
);

impl Parameters {
    /// Writes the TOML file that defines the space.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let name = Value::from(self.name.as_str());
        let _ = writeln!(out, "name = {name}\nkind = \"parameters\"");
        for parameter in &self.parameter {
            let _ = writeln!(out, "\n[[parameter]]");
            for (key, value) in parameter.keys() {
                let _ = writeln!(out, "{key} = {value}");
            }
        }
        out
    }
}

impl Parameter {
    /// Returns keys and values as TOML.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        let values = |v: &[Value]| list(v.iter().map(Value::to_string).collect());
        let mut keys = vec![("name", Value::from(self.name.as_str()).to_string())];
        if let Some(bounds) = self.integer {
            keys.push(("integer", values(&bounds.map(Value::from))));
        }
        if let Some(bounds) = self.float {
            keys.push(("float", values(&bounds.map(Value::from))));
        }
        if let Some(choice) = &self.choice {
            keys.push(("choice", values(choice)));
        }
        if let Some(length) = &self.repeat {
            keys.push(("repeat", Value::from(length.as_str()).to_string()));
        }
        if !self.parameter.is_empty() {
            let item = |p: &Parameter| {
                let keys: Vec<String> =
                    p.keys().iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", keys.join(", "))
            };
            keys.push(("parameter", list(self.parameter.iter().map(item).collect())));
        }
        keys.extend(self.step.map(|step| ("step", step.to_string())));
        keys.extend(self.log.then(|| ("log", "true".into())));
        keys.extend(self.ordered.map(|ordered| ("ordered", ordered.to_string())));
        if !self.when.is_empty() {
            let one = |(name, any): (&String, &Values)| {
                format!("{} = {}", Value::from(name.as_str()), values(any.all()))
            };
            let all: Vec<String> = self.when.iter().map(one).collect();
            keys.push(("when", format!("{{ {} }}", all.join(", "))));
        }
        keys.extend((!self.network).then(|| ("network", "false".into())));
        keys
    }
}
